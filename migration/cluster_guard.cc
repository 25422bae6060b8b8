#include "migration/cluster_guard.h"

namespace qk::migration {

absl::Status may_proceed(const std::vector<NodeStatus>& cluster, std::string_view id) {
  size_t healthy_others = 0;
  bool found = false;
  for (const NodeStatus& node : cluster) {
    if (node.id == id) {
      found = true;
      continue;
    }
    if (!is_at_rest(node.phase)) {
      return absl::FailedPreconditionError(
          cat("cluster guard: ", node.id, " is in phase ", to_string(node.phase),
              "; one node at a time may be outside idle, dual-write, accepted and rolled-back"));
    }
    if (node.healthy) ++healthy_others;
  }
  if (!found) return absl::InvalidArgumentError(cat("cluster guard: no node ", id));
  const size_t majority = cluster.size() / 2 + 1;
  if (healthy_others < majority) {
    return absl::FailedPreconditionError(cat("cluster guard: without ", id, " only ",
                                             healthy_others, " of ", cluster.size(),
                                             " voters are healthy, a majority is ", majority));
  }
  return absl::OkStatus();
}

}  // namespace qk::migration
