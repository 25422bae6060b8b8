#include "sim/check/sync_oracle.h"

#include "families/base/strings.h"

namespace qk::sim {

bool SyncOracle::answered(int node, int side, bool ok) const {
  const std::string& failed = nodes_[static_cast<size_t>(node)][static_cast<size_t>(side)];
  if (failed.empty()) return false;
  if (ok) {
    sink_->report("ora.L11", node, 0,
                  cat("no acknowledgement of instance ", side == 0 ? "A" : "B",
                      " until it is opened again, because a sync failed: ", failed),
                  "it acknowledged a mutation");
  }
  return true;
}

}  // namespace qk::sim
