#include "conformance/history.h"

#include <algorithm>

namespace qk::sim::conformance {
namespace {

using families::HardState;
using families::Operation;

int64_t snapshot_index(const State& state) {
  return state.snapshot ? state.snapshot->meta.last_included_index : 0;
}

int64_t term_at(const State& state, int64_t index) {
  return state.entries[static_cast<size_t>(index - state.first)].term;
}

// The term that a leader of this node's next entry would have at least.
int64_t next_term(const State& state) {
  int64_t term = state.hard_state.term;
  if (!state.entries.empty()) term = std::max(term, state.entries.back().term);
  if (state.snapshot) term = std::max(term, state.snapshot->meta.last_included_term);
  return term;
}

Change random_append(RandomStream& random, const State& state) {
  const int64_t term = next_term(state);
  std::vector<families::LogEntry> batch;
  const int64_t from = state.last() + 1;
  const int64_t to = from + random.between(0, 4);
  for (int64_t index = from; index <= to; ++index) {
    switch (random.below(6)) {
      case 0:
        batch.push_back(no_op(index, term));
        break;
      case 1:
        batch.push_back(configuration(index, term,
                                      {{std::string(kPeer), std::string(kOtherPeer)},
                                       {std::string(kPeer), std::string(kThirdPeer)}}));
        break;
      default:
        batch.push_back(entry(index, term, random.below(120)));
    }
  }
  return append(std::move(batch));
}

Change random_hard_state(RandomStream& random, const State& state) {
  HardState next = state.hard_state;
  if (next.voted_for.empty() && random.below(2) == 0) {
    next.voted_for = kPeer;
  } else {
    next.term = next_term(state) + random.between(1, 2);
    next.voted_for = random.below(3) == 0 ? std::string() : std::string(kOtherPeer);
  }
  return save_meta(std::move(next));
}

Change random_publish(RandomStream& random, const State& state) {
  const int64_t index =
      random.between(std::max(snapshot_index(state) + 1, state.first), state.last());
  SnapshotState next = snapshot(index, term_at(state, index));
  if (random.below(3) == 0) next.meta.old_peers = {std::string(kThirdPeer)};
  next.files[cat("extra/", index)] = {std::string(random.below(200), 'x'), {{}, 1, {}}};
  return publish(std::move(next));
}

}  // namespace

std::vector<Change> full_history() {
  const families::Configuration joint{{std::string(kPeer), std::string(kOtherPeer)},
                                      {std::string(kPeer), std::string(kThirdPeer)}};
  SnapshotState tree = snapshot(4, 1);
  tree.meta.old_peers = {std::string(kThirdPeer)};
  tree.files["m\xc3\xbc\xe6\xbc\xa2/\xf0\x9f\x98\x80"] = {"not ASCII", {{}, {}, ""}};
  tree.files["local"] = {std::string(700, 'l'), {"", 0, {}}};
  tree.files["reference"] = {"r", {{}, 1, "sum"}};
  return {save_meta({2, std::string(kPeer)}),
          append({entry(1), no_op(2), configuration(3, 1, joint), entry(4)}),
          append({entry(5), entry(6, 2, 0), configuration(7, 2, joint), no_op(8, 2)}),
          publish(std::move(tree)),
          truncate_prefix(3),
          append(entries(9, 12, 3, 60)),
          truncate_suffix(11),
          save_meta({4, std::string(kOtherPeer)})};
}

Change random_change(RandomStream& random, const State& state) {
  const int64_t covered = snapshot_index(state);
  while (true) {
    switch (random.below(9)) {
      case 0:
      case 1:
        return random_hard_state(random, state);
      case 2:
        if (state.last() < std::max(covered + 1, state.first)) break;
        return random_publish(random, state);
      case 3:
        // Only what a snapshot covers may go.
        if (covered < state.first) break;
        return truncate_prefix(random.between(state.first + 1, covered + 1));
      case 4:
        if (state.last() <= std::max(covered, state.first)) break;
        return truncate_suffix(random.between(std::max(covered, state.first), state.last() - 1));
      case 5:
        if (covered == 0 || random.below(3) != 0) break;
        return reset(covered + 1);
      default:
        return random_append(random, state);
    }
  }
}

std::vector<Change> random_history(RandomStream& random, size_t count) {
  std::vector<Change> history;
  Model model;
  for (size_t i = 0; i < count; ++i) {
    history.push_back(random_change(random, model.state()));
    QK_CHECK(model.apply(history.back()) == Model::Verdict::kApplied);
  }
  return history;
}

State state_after(const std::vector<Change>& history) {
  Model model;
  for (const Change& change : history) {
    QK_CHECK(model.apply(change) == Model::Verdict::kApplied);
  }
  return model.state();
}

std::vector<Change> history_of(const State& state) {
  std::vector<Change> history;
  if (state.first != 1) history.push_back(reset(state.first));
  if (!state.entries.empty()) history.push_back(append(state.entries));
  if (state.hard_state != families::HardState()) history.push_back(save_meta(state.hard_state));
  if (state.snapshot) history.push_back(publish(*state.snapshot));
  return history;
}

Change more_entries(const State& state, int64_t count) {
  return append(entries(state.last() + 1, state.last() + count, next_term(state)));
}

std::vector<Change> one_of_each(const State& state) {
  QK_CHECK(state.entries.size() >= 3);
  const int64_t last = state.last();
  const int64_t term = next_term(state) + 1;
  const int64_t at = last + 2;
  SnapshotState next = snapshot(at, term);
  next.meta.old_peers = {std::string(kThirdPeer)};
  return {save_meta({term, std::string(kPeer)}),
          append({no_op(last + 1, term), entry(last + 2, term), entry(last + 3, term)}),
          append({configuration(last + 4, term, {{std::string(kPeer)}, {std::string(kOtherPeer)}}),
                  entry(last + 5, term, 0), entry(last + 6, term)}),
          truncate_suffix(last + 5),
          publish(std::move(next)),
          truncate_prefix(at),
          reset(at + 1)};
}

}  // namespace qk::sim::conformance
