// SyncOracle: ora.L11. A sync that failed says that bytes are lost which the instance counts on, and
// no later sync brings them back. So the instance acknowledges no mutation from then on, in any of
// its lanes, until a new process opens it again.
//
// Not judged: what the instance does instead, imports (their mutations are not told), and syncs of a
// process's other files.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "sim/check/finding.h"

namespace qk::sim {

class SyncOracle {
 public:
  explicit SyncOracle(const FindingSink* sink)
      : sink_(sink), nodes_(static_cast<size_t>(sink->node_count())) {}

  // A new process opens everything again.
  void starting(int node) { of(node) = {}; }
  // A sync of a file of the instance on this side failed; `what`: with which error.
  void failed(int node, int side, std::string what) { of(node)[static_cast<size_t>(side)] = what; }
  // The instance has answered a mutation. Returns whether there was something to judge.
  bool answered(int node, int side, bool ok) const;

 private:
  // The latest failed sync of each side; "" if there was none.
  using Sides = std::array<std::string, 2>;
  Sides& of(int node) { return nodes_[static_cast<size_t>(node)]; }

  const FindingSink* sink_;
  std::vector<Sides> nodes_;
};

}  // namespace qk::sim
