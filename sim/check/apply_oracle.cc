#include "sim/check/apply_oracle.h"

#include "families/base/strings.h"

namespace qk::sim {

void ApplyOracle::applied(int node, int64_t index, uint64_t state_hash) {
  const auto [found, inserted] = applied_.try_emplace(index, Applied{state_hash, node});
  if (inserted || found->second.hash == state_hash) return;
  sink_->report("ora.R6", node, index,
                cat("state ", hex16(found->second.hash), " after index ", index, ", as on ",
                    sink_->node_name(found->second.node)),
                cat("state ", hex16(state_hash)));
}

}  // namespace qk::sim
