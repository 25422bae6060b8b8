#include "sim/cluster/initial_state.h"

#include <algorithm>
#include <optional>

#include "families/base/suggest.h"
#include "sim/check/checker.h"

namespace qk::sim {
namespace {

using families::Configuration;
using Peers = std::vector<std::string>;

bool contains(const Peers& peers, const std::string& peer) {
  return std::find(peers.begin(), peers.end(), peer) != peers.end();
}

// Whether a majority of each can be chosen among `nodes` so that no node is in both.
bool majorities_part(const Peers& a, const Peers& b, const Peers& nodes) {
  size_t both = 0, only_a = 0, only_b = 0;
  for (const std::string& node : nodes) {
    const bool in_a = contains(a, node), in_b = contains(b, node);
    (in_a && in_b ? both : in_a ? only_a : only_b) += in_a || in_b ? 1 : 0;
  }
  const auto of_both = [](size_t voters, size_t others) {
    const size_t majority = voters / 2 + 1;
    return majority > others ? majority - others : 0;
  };
  return of_both(a.size(), only_a) + of_both(b.size(), only_b) <= both;
}

// Of joint configurations each half must be won, so they part only if all halves do.
bool quorums_part(const Configuration& a, const Configuration& b, const Peers& nodes) {
  for (const Peers* one : {&a.peers, &a.old_peers}) {
    for (const Peers* other : {&b.peers, &b.old_peers}) {
      if (!one->empty() && !other->empty() && !majorities_part(*one, *other, nodes)) return false;
    }
  }
  return true;
}

}  // namespace

Configuration InitialState::configuration() const {
  if (!state.configurations.empty()) return state.configurations.back().second;
  if (state.snapshot) return {state.snapshot->meta.peers, state.snapshot->meta.old_peers};
  return {};
}

std::vector<BadStart> check_one_cluster(const Plan& plan, const std::vector<InitialState>& states) {
  const std::vector<NodePlan>& nodes = plan.cluster.nodes;
  std::vector<std::optional<std::string>> reasons(nodes.size());
  const auto refuse = [&](size_t node, std::string reason) {
    if (!reasons[node]) reasons[node] = std::move(reason);
  };
  Peers peers;
  Peers names;
  for (const NodePlan& node : nodes) {
    peers.push_back(node.peer);
    names.push_back(node.id);
  }

  for (size_t i = 0; i < states.size(); ++i) {
    const Configuration configuration = states[i].configuration();
    if (configuration.peers.empty()) continue;
    const std::string& name = names[states[i].node];
    for (size_t n = 0; n < nodes.size(); ++n) {
      if (nodes[n].initial) continue;
      if (contains(configuration.peers, peers[n]) || contains(configuration.old_peers, peers[n])) {
        refuse(n, cat("the configuration in the directory of ", name, " is ",
                      join(configuration.peers), ", and names this node's peer ", peers[n],
                      ": a voter that begins fresh has forgotten its log and its vote"));
      } else if (quorums_part(configuration, {peers, {}}, peers)) {
        refuse(n,
               cat("nodes that begin fresh can elect a leader without those of the configuration "
                   "in the directory of ",
                   name, ", ", join(configuration.peers)));
      }
    }
    for (size_t j = 0; j < i; ++j) {
      const Configuration other = states[j].configuration();
      if (other.peers.empty() || !quorums_part(configuration, other, peers)) continue;
      refuse(states[i].node,
             cat("the configuration in it is ", join(configuration.peers),
                 ", that in the directory of ", names[states[j].node], " is ", join(other.peers),
                 ": each can elect a leader without the other, as two clusters do"));
    }
  }

  std::optional<Finding> found;
  Checker checker(names, [&](const Finding& finding) {
    if (!found) found = finding;
  });
  checker.set_peers(peers);
  for (const InitialState& state : states) {
    found.reset();
    checker.seed(static_cast<int>(state.node), state.state);
    if (!found) continue;
    refuse(state.node, cat("it is of another cluster: index ", found->index, ": expected ",
                           found->expected, ", found ", found->actual));
  }

  std::vector<BadStart> bad;
  for (size_t n = 0; n < nodes.size(); ++n) {
    if (reasons[n]) bad.push_back({n, *std::move(reasons[n])});
  }
  return bad;
}

}  // namespace qk::sim
