#include "sim/check/apply_oracle.h"

#include <algorithm>

#include "families/base/strings.h"

namespace qk::sim {

void ApplyOracle::loaded(int node, int64_t index, uint64_t state_hash) {
  Node& of = nodes_[static_cast<size_t>(node)];
  if (of.applied && index < *of.applied) {
    sink_->report("ora.R11", node, index, cat("a state at least at index ", *of.applied),
                  cat("a snapshot at index ", index, " replaced it"));
  }
  of.applied = index;
  of.committed = std::max(of.committed, index);
  if (index == 0) return;  // each starts from nothing
  const auto [found, inserted] = applied_.try_emplace(index, Applied{state_hash, node});
  if (inserted || found->second.hash == state_hash) return;
  sink_->report("ora.R9", node, index,
                cat("a snapshot of state ", hex16(found->second.hash), ", which ",
                    sink_->node_name(found->second.node), " had at index ", index),
                cat("state ", hex16(state_hash)));
}

void ApplyOracle::committed(int node, int64_t index) {
  Node& of = nodes_[static_cast<size_t>(node)];
  if (index <= of.committed) {
    sink_->report("ora.R11", node, index, cat("a commit index above ", of.committed),
                  cat("commit index ", index));
  }
  of.committed = std::max(of.committed, index);
}

void ApplyOracle::applied(int node, int64_t index, uint64_t state_hash) {
  Node& of = nodes_[static_cast<size_t>(node)];
  const int64_t next = of.applied ? *of.applied + 1 : index;
  if (index != next || index > of.committed) {
    sink_->report(
        "ora.R11", node, index,
        cat("index ", next, " applied next, up to index ", of.committed, ", which is committed"),
        cat("index ", index, " applied"));
  }
  of.applied = index;
  const auto [found, inserted] = applied_.try_emplace(index, Applied{state_hash, node});
  if (inserted || found->second.hash == state_hash) return;
  sink_->report("ora.R6", node, index,
                cat("state ", hex16(found->second.hash), " after index ", index, ", as on ",
                    sink_->node_name(found->second.node)),
                cat("state ", hex16(state_hash)));
}

}  // namespace qk::sim
