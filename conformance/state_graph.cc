#include "conformance/state_graph.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "conformance/bench.h"

namespace qk::sim::conformance {
namespace {

using families::HardState;
using families::LogEntry;
using families::Operation;

constexpr size_t kNone = static_cast<size_t>(-1);

// Types and lengths rotate, and differ between the terms of one index: a payload of more than a
// sector, a configuration, none at all.
LogEntry graph_entry(int64_t index, int64_t term) {
  switch ((index + 2 * term) % 4) {
    case 0:
      return configuration(index, term,
                           {{std::string(kPeer), std::string(kOtherPeer)},
                            term == 1 ? std::vector<std::string>{}
                                      : std::vector<std::string>{std::string(kThirdPeer)}});
    case 1:
      return no_op(index, term);
    case 2:
      return entry(index, term, 700);
    default:
      return entry(index, term, 30);
  }
}

SnapshotState graph_snapshot(int64_t index) {
  SnapshotState one = snapshot(index, 1);
  if (index % 2 == 0) {
    one.meta.old_peers = {std::string(kThirdPeer)};
    one.files["deep/er/more"] = {std::string(700, 'm'), {{}, 1, {}}};
    one.files["unlisted"] = {"in the tree alone", {}, true};
  }
  return one;
}

std::string name_of(const HardState& state) {
  const char* vote = state.voted_for.empty() ? "-" : state.voted_for == kPeer ? "p" : "q";
  return cat("t", state.term, vote);
}

std::string log_name(const State& state) {
  std::string terms;
  for (const LogEntry& one : state.entries) terms += cat(one.term);
  return cat(state.first, ":", terms.empty() ? "-" : terms);
}

std::string snapshot_name(const State& state) {
  return cat("s", state.snapshot ? state.snapshot->meta.last_included_index : 0);
}

struct Call {
  std::string name;
  Change change;
};

// Terms do not go down within a log, as those of a node's do not.
void add_appends(const GraphBounds& bounds, const State& state, std::vector<Call>* calls) {
  const int64_t next = state.last() + 1;
  const int64_t least = state.entries.empty() ? 1 : state.entries.back().term;
  for (int64_t term = least; term <= bounds.terms && next <= bounds.last_index; ++term) {
    calls->push_back({cat("append:", term), append({graph_entry(next, term)})});
    for (int64_t then = term; then <= bounds.terms && next + 1 <= bounds.last_index; ++then) {
      calls->push_back({cat("append:", term, then),
                        append({graph_entry(next, term), graph_entry(next + 1, then)})});
    }
  }
  calls->push_back({"nothing", append({})});
  calls->push_back({"append:gap", append({graph_entry(next + 1, 1)})});
  if (next > 1) calls->push_back({"append:overlap", append({graph_entry(next - 1, 1)})});
  calls->push_back(
      {"append:hole", append({graph_entry(next, least), graph_entry(next + 2, least)})});
  LogEntry without_term = graph_entry(next + 1, 1);
  without_term.term = 0;
  calls->push_back({"append:term0", append({graph_entry(next, least), without_term})});
}

void add_votes(const GraphBounds& bounds, std::vector<Call>* calls) {
  std::vector<HardState> all = {{0, ""}};
  for (int64_t term = 1; term <= bounds.terms; ++term) {
    for (const std::string_view vote : {std::string_view(), kPeer, kOtherPeer}) {
      all.push_back({term, std::string(vote)});
    }
  }
  for (HardState& one : all) {
    std::string name = cat("save:", name_of(one));
    calls->push_back({std::move(name), save_meta(std::move(one))});
  }
}

void add_publishes(const GraphBounds& bounds, std::vector<Call>* calls) {
  for (int64_t index = 1; index <= bounds.snapshot_index; ++index) {
    calls->push_back({cat("publish:", index), publish(graph_snapshot(index))});
  }
}

// Of what follows no state may come, whatever the state is: they are refused, or change nothing.
void add_refused_publishes(const State& state, std::vector<Call>* calls) {
  if (state.snapshot) {
    SnapshotState other = *state.snapshot;
    other.meta.peers.pop_back();
    calls->push_back({cat("publish:", other.meta.last_included_index, "-other"), publish(other)});
  }
  SnapshotState bad = graph_snapshot(1);
  bad.meta.last_included_index = 0;
  calls->push_back({"publish:0", publish(bad)});
  bad = graph_snapshot(1);
  bad.meta.last_included_term = 0;
  calls->push_back({"publish:term0", publish(bad)});
}

std::vector<Call> calls_in(const GraphBounds& bounds, const State& state) {
  std::vector<Call> calls;
  add_appends(bounds, state, &calls);
  for (int64_t index = 0; index <= bounds.last_index + 1; ++index) {
    calls.push_back({cat("prefix:", index), truncate_prefix(index)});
  }
  for (int64_t index = std::max<int64_t>(0, state.first - 2); index <= state.last() + 1; ++index) {
    calls.push_back({cat("suffix:", index), truncate_suffix(index)});
  }
  for (int64_t index = 0; index <= bounds.last_index + 1; ++index) {
    calls.push_back({cat("reset:", index), reset(index)});
  }
  add_votes(bounds, &calls);
  add_publishes(bounds, &calls);
  add_refused_publishes(state, &calls);
  return calls;
}

std::string own_domain(const State& state, Operation operation) {
  switch (operation) {
    case Operation::kSaveMeta:
      return name_of(state.hard_state);
    case Operation::kPublish:
      return snapshot_name(state);
    default:
      return log_name(state);
  }
}

}  // namespace

StateGraph::StateGraph(const GraphBounds& bounds) {
  QK_CHECK(bounds.last_index >= 1 && bounds.terms >= 1 && bounds.terms <= 9 &&
           bounds.snapshot_index >= 1);
  std::map<std::string, size_t> known;
  const auto number_of = [&](const State& state, size_t parent) {
    const std::string name =
        cat(log_name(state), ".", name_of(state.hard_state), ".", snapshot_name(state));
    const auto [it, is_new] = known.try_emplace(name, states_.size());
    if (is_new) states_.push_back({name, state, {}, parent});
    QK_CHECK(states_[it->second].state == state);
    return it->second;
  };
  number_of(State(), kNone);
  for (size_t from = 0; from < states_.size(); ++from) {
    for (Call& call : calls_in(bounds, states_[from].state)) {
      Model model(states_[from].state);
      const Model::Verdict verdict = model.apply(call.change);
      const size_t number = edges_.size();
      const size_t to = number_of(model.state(), number);
      edges_.push_back({from, to, std::move(call.name), std::move(call.change), verdict});
      states_[from].edges.push_back(number);
    }
  }
}

std::vector<size_t> StateGraph::path_to(size_t state) const {
  std::vector<size_t> path;
  for (; states_[state].parent != kNone; state = edges_[states_[state].parent].from) {
    path.push_back(states_[state].parent);
  }
  std::reverse(path.begin(), path.end());
  return path;
}

std::vector<std::vector<StateGraph::Step>> StateGraph::walks(size_t longest) const {
  std::vector<bool> taken(edges_.size(), false);
  size_t left = edges_.size();
  const auto untaken_at = [&](size_t state) {
    for (const size_t edge : states_[state].edges) {
      if (!taken[edge]) return edge;
    }
    return kNone;
  };
  // A shortest way to a state with an edge that is not taken.
  const auto way_from = [&](size_t start) {
    std::vector<size_t> came_by(states_.size(), kNone);
    std::vector<bool> seen(states_.size(), false);
    seen[start] = true;
    for (std::deque<size_t> next = {start}; !next.empty(); next.pop_front()) {
      const size_t state = next.front();
      if (untaken_at(state) != kNone) {
        std::vector<size_t> way;
        for (size_t at = state; at != start; at = edges_[came_by[at]].from) {
          way.push_back(came_by[at]);
        }
        std::reverse(way.begin(), way.end());
        return std::pair(true, way);
      }
      for (const size_t edge : states_[state].edges) {
        const size_t to = edges_[edge].to;
        if (seen[to]) continue;
        seen[to] = true;
        came_by[to] = edge;
        next.push_back(to);
      }
    }
    return std::pair(false, std::vector<size_t>());
  };

  std::vector<std::vector<Step>> all;
  while (left > 0) {
    std::vector<Step>& walk = all.emplace_back();
    size_t state = 0;
    while (left > 0) {
      const auto [found, way] = way_from(state);
      if (!found || (!walk.empty() && walk.size() + way.size() >= longest)) break;
      for (const size_t edge : way) walk.push_back({edge, false});
      if (!way.empty()) state = edges_[way.back()].to;
      const size_t edge = untaken_at(state);
      taken[edge] = true;
      --left;
      walk.push_back({edge, true});
      state = edges_[edge].to;
    }
  }
  return all;
}

std::vector<size_t> StateGraph::edges_by_domain() const {
  std::map<std::string, std::vector<size_t>> groups;
  for (size_t number = 0; number < edges_.size(); ++number) {
    const GraphEdge& edge = edges_[number];
    const std::string domain = own_domain(states_[edge.from].state, edge.change.operation);
    groups[cat(domain, " ", edge.name)].push_back(number);
  }
  // A prime, so that neighbours among the groups pick places that are far apart.
  constexpr size_t kStride = 7919;
  std::vector<size_t> picked;
  size_t place = 0;
  for (const auto& [name, group] : groups) {
    picked.push_back(group[place % group.size()]);
    place += kStride;
  }
  std::sort(picked.begin(), picked.end());
  return picked;
}

}  // namespace qk::sim::conformance
