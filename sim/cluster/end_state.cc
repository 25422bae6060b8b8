#include "sim/cluster/end_state.h"

#include <algorithm>

#include "families/base/suggest.h"
#include "families/contract/quorum.h"

namespace qk::sim {
namespace {

bool is_among(const std::vector<const SimNode*>& nodes, const std::string& peer) {
  return std::any_of(nodes.begin(), nodes.end(),
                     [&](const SimNode* node) { return node->peer() == peer; });
}

// "1 of 3 voters (n2), a majority is 2"; of a joint configuration, the half that has none.
std::string counted(const std::vector<const SimNode*>& counting,
                    const families::Configuration& configuration) {
  const auto count = [&](const std::vector<std::string>& peers) {
    return static_cast<size_t>(
        std::count_if(peers.begin(), peers.end(),
                      [&](const std::string& peer) { return is_among(counting, peer); }));
  };
  const bool old = !configuration.old_peers.empty() &&
                   2 * count(configuration.peers) > configuration.peers.size();
  const std::vector<std::string>& peers = old ? configuration.old_peers : configuration.peers;
  std::vector<std::string> names;
  for (const SimNode* node : counting) {
    if (std::find(peers.begin(), peers.end(), node->peer()) != peers.end()) {
      names.push_back(node->name());
    }
  }
  return cat(names.size(), " of ", peers.size(), old ? " old voters" : " voters",
             names.empty() ? std::string() : cat(" (", join(names), ")"), ", a majority is ",
             peers.size() / 2 + 1);
}

bool is_quorum(const std::vector<const SimNode*>& counting,
               const families::Configuration& configuration) {
  return families::has_quorum(configuration,
                              [&](const std::string& peer) { return is_among(counting, peer); });
}

}  // namespace

std::optional<std::string> leaderless(const std::vector<SimNode*>& nodes) {
  // Of two nodes that think they lead, the one with the higher term does.
  const SimNode* leader = nullptr;
  std::vector<std::string> states;
  for (const SimNode* node : nodes) {
    states.push_back(cat(node->name(), node->up() ? " is up" : " is down"));
    if (node->leads() && (leader == nullptr || node->raft()->term() > leader->raft()->term())) {
      leader = node;
    }
  }
  if (leader == nullptr) return cat("the run ends without a leader: ", join(states));
  std::vector<const SimNode*> following;
  for (const SimNode* node : nodes) {
    const bool follows = node->up() && node->raft()->leader() == leader->peer() &&
                         node->raft()->term() == leader->raft()->term();
    if (node == leader || follows) following.push_back(node);
  }
  if (is_quorum(following, leader->raft()->configuration())) return std::nullopt;
  return cat("the run ends with ", leader->name(), " as the leader of ",
             counted(following, leader->raft()->configuration()), ": ", join(states));
}

std::optional<std::string> lost_commit(const std::vector<SimNode*>& nodes,
                                       const families::Configuration& configuration, int64_t index,
                                       int64_t term) {
  std::vector<const SimNode*> holding;
  for (const SimNode* node : nodes) {
    if (node->still_holds(index, term)) holding.push_back(node);
  }
  if (is_quorum(holding, configuration)) return std::nullopt;
  return cat("at the end the committed entry of index ", index, ", term ", term, " is held by ",
             counted(holding, configuration));
}

}  // namespace qk::sim
