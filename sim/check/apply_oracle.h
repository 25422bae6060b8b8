// ApplyOracle: what a node's state machine is given.
//
//   ora.R6   all nodes that applied index i were then in the same state. The hash must be a
//   function
//            of the state, so that it also binds nodes that started from different snapshots.
//   ora.R9   a state that was loaded from a snapshot is the one that others had at its index
//   ora.R11  within a life of a node the commit index grows, and from the loaded state on each
//   index
//            is applied once, in order, and not before it is committed
//
// Not checked: which state is right.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "sim/check/finding.h"

namespace qk::sim {

class ApplyOracle {
 public:
  explicit ApplyOracle(const FindingSink* sink)
      : sink_(sink), nodes_(static_cast<size_t>(sink->node_count())) {}

  // A new life begins.
  void restarted(int node) { nodes_[static_cast<size_t>(node)] = {}; }
  // The state machine was loaded at this index, by a start (0: empty) or an installed snapshot.
  void loaded(int node, int64_t index, uint64_t state_hash);
  void committed(int node, int64_t index);
  void applied(int node, int64_t index, uint64_t state_hash);

 private:
  struct Applied {
    uint64_t hash = 0;
    int node = 0;
  };
  struct Node {
    std::optional<int64_t> applied;  // absent: not known yet in this life
    int64_t committed = 0;
  };
  const FindingSink* sink_;
  std::map<int64_t, Applied> applied_;
  std::vector<Node> nodes_;
};

}  // namespace qk::sim
