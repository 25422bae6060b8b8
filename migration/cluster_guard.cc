#include "migration/cluster_guard.h"

#include <algorithm>

#include "families/contract/quorum.h"

namespace qk::migration {
namespace {

// "1 of 3 voters (n2), a majority is 2"; of a joint configuration both halves.
template <typename Counts>
std::string counted(const std::vector<NodeStatus>& cluster,
                    const families::Configuration& configuration, Counts counts) {
  const auto half = [&](std::string_view what, const std::vector<std::string>& peers) {
    size_t count = 0;
    std::string names;
    for (const std::string& peer : peers) {
      if (!counts(peer)) continue;
      ++count;
      const auto node = std::find_if(cluster.begin(), cluster.end(),
                                     [&](const NodeStatus& n) { return n.peer == peer; });
      names += cat(names.empty() ? " (" : ", ", node == cluster.end() ? peer : node->id);
    }
    if (!names.empty()) names += ")";
    return cat(count, " of ", peers.size(), what, " voters", names, ", a majority is ",
               peers.size() / 2 + 1);
  };
  if (configuration.old_peers.empty()) return half("", configuration.peers);
  return cat(half(" new", configuration.peers), "; ", half(" old", configuration.old_peers));
}

}  // namespace

absl::Status may_proceed(const std::vector<NodeStatus>& cluster,
                         const families::Configuration& configuration, std::string_view id,
                         bool allow_unavailability) {
  const auto found = std::find_if(cluster.begin(), cluster.end(),
                                  [&](const NodeStatus& node) { return node.id == id; });
  if (found == cluster.end()) return absl::InvalidArgumentError(cat("cluster guard: no node ", id));
  for (const NodeStatus& node : cluster) {
    if (node.id == id || is_at_rest(node.phase)) continue;
    return absl::FailedPreconditionError(
        cat("cluster guard: ", node.id, " is in phase ", to_string(node.phase),
            "; one node at a time may be outside idle, dual-write, accepted and rolled-back"));
  }
  if (configuration.peers.empty()) {
    return absl::FailedPreconditionError(
        "cluster guard: no leader says which configuration is in force");
  }
  const auto other = [&](const std::string& peer) { return peer != found->peer; };
  const auto healthy = [&](const std::string& peer) {
    return std::any_of(cluster.begin(), cluster.end(),
                       [&](const NodeStatus& node) { return node.peer == peer && node.healthy; });
  };
  if (!families::has_quorum(configuration, other)) {
    if (!allow_unavailability) {
      return absl::PermissionDeniedError(
          cat("cluster guard: while ", id,
              " is down the cluster cannot commit: without it there "
              "are ",
              counted(cluster, configuration, other),
              "; a migration that may stop the cluster needs allow_unavailability"));
    }
    if (families::has_quorum(configuration, healthy)) return absl::OkStatus();
    return absl::FailedPreconditionError(
        cat("cluster guard: healthy: ", counted(cluster, configuration, healthy)));
  }
  const auto healthy_other = [&](const std::string& peer) { return other(peer) && healthy(peer); };
  if (families::has_quorum(configuration, healthy_other)) return absl::OkStatus();
  return absl::FailedPreconditionError(cat("cluster guard: healthy without ", id, ": ",
                                           counted(cluster, configuration, healthy_other)));
}

}  // namespace qk::migration
