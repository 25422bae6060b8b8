// Cluster guard (migration.md 11): may this node take a risky step now? Pure: the operator's tool
// collects the statuses, nothing about migration goes on the wire or into the log (mig.I13).
//
// Voters are counted, from the configuration in force (in a joint one, in each of its halves), not
// machines: a spare machine neither adds to a majority nor asks for a larger one.
#pragma once

#include <string>
#include <vector>

#include "migration/manifest.h"

namespace qk::migration {

struct NodeStatus {
  std::string id;
  std::string peer;  // as the configuration names it
  Phase phase = Phase::kIdle;
  bool healthy = false;  // up, and, if it votes, in contact with a leader
};

// A node outside these phases may be lost at any moment without breaking its L1 guarantee
// elsewhere.
inline bool is_at_rest(Phase phase) {
  return phase == Phase::kIdle || phase == Phase::kDualWrite || phase == Phase::kAccepted ||
         phase == Phase::kRetired || phase == Phase::kRolledBack;
}

// OK; or the reason, which names what was counted:
//   FailedPrecondition  not now: another node is not at rest, losing `id` now would leave fewer
//                       healthy voters than a majority, or no configuration is known
//   PermissionDenied    not ever: even if every other voter is healthy there is no majority without
//                       `id`, as in a cluster of one or two voters. `allow_unavailability` states
//                       that the cluster may stop while `id` is down; then every voter that a
//                       majority needs, `id` included, must be healthy. It changes nothing
//                       for clusters that can do without `id`.
absl::Status may_proceed(const std::vector<NodeStatus>& cluster,
                         const families::Configuration& configuration, std::string_view id,
                         bool allow_unavailability);

}  // namespace qk::migration
