#include "sim/check/sync_oracle.h"

#include <utility>

#include "families/base/strings.h"

namespace qk::sim {

bool SyncOracle::answered(int node, std::string_view root, bool ok, bool given_up) {
  Failures& failures = of(node);
  const auto failed = failures.find(root);
  if (failed == failures.end()) return false;
  Failure& failure = failed->second;
  const bool own = !std::exchange(failure.answered, true);
  if (own && given_up) {
    failures.erase(failed);
  } else if (ok) {
    sink_->report("ora.L11", node, 0,
                  cat("no acknowledgement of the instance in ", root,
                      " until it is opened again, because a sync failed: ", failure.what),
                  "it acknowledged a mutation");
  }
  return true;
}

}  // namespace qk::sim
