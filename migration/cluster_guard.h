// Cluster guard (migration.md 11): may this node take a risky step now? Pure: the operator's tool
// collects the statuses, nothing about migration goes on the wire or into the log (mig.I13).
#pragma once

#include <string>
#include <vector>

#include "migration/manifest.h"

namespace qk::migration {

struct NodeStatus {
  std::string id;
  Phase phase = Phase::kIdle;
  bool healthy = false;  // up, and in contact with a leader
  bool leader = false;
};

// A node outside these phases may be lost at any moment without breaking its L1 guarantee
// elsewhere.
inline bool is_at_rest(Phase phase) {
  return phase == Phase::kIdle || phase == Phase::kDualWrite || phase == Phase::kAccepted ||
         phase == Phase::kRetired || phase == Phase::kRolledBack;
}

// OK, or FailedPrecondition with the reason: another node is not at rest; or losing `id` now would
// leave fewer healthy voters than a majority.
absl::Status may_proceed(const std::vector<NodeStatus>& cluster, std::string_view id);

}  // namespace qk::migration
