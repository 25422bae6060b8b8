// ApplyOracle: ora.R6, state-machine safety: all nodes that applied index i were then in the same
// state. The hash must be a function of the state, so that it also binds nodes that started from
// different snapshots; a state loaded from a snapshot counts as applied at its index.
//
// Not checked: that each index is applied once and in order (ora.R11), and which state is right.
#pragma once

#include <cstdint>
#include <map>

#include "sim/check/finding.h"

namespace qk::sim {

class ApplyOracle {
 public:
  explicit ApplyOracle(const FindingSink* sink) : sink_(sink) {}

  void applied(int node, int64_t index, uint64_t state_hash);

 private:
  struct Applied {
    uint64_t hash = 0;
    int node = 0;
  };
  const FindingSink* sink_;
  std::map<int64_t, Applied> applied_;
};

}  // namespace qk::sim
