// SyncOracle: ora.L11. A sync that failed says that bytes are lost which the instance counts on, and
// no later sync brings them back. So the instance acknowledges no mutation from then on, in any of
// its lanes, until it is opened again. An instance is named by its root: the next attempt of
// a migration has another one.
//
// A publish that fails in such a sync, and says that it has changed nothing, throws the files away
// that the sync was of: then nothing counts on them.
//
// Not judged: what the instance does instead, imports (their mutations are not told), and syncs of a
// process's other files.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/check/finding.h"

namespace qk::sim {

class SyncOracle {
 public:
  explicit SyncOracle(const FindingSink* sink)
      : sink_(sink), nodes_(static_cast<size_t>(sink->node_count())) {}

  // A new process opens everything again.
  void starting(int node) { of(node).clear(); }
  // The instance is about to be opened, again perhaps.
  void opening(int node, const std::string& root) { of(node).erase(root); }
  // A sync of a file of the instance failed; `what`: with which error.
  void failed(int node, std::string_view root, std::string what) {
    of(node).insert_or_assign(std::string(root), Failure{std::move(what)});
  }
  // The instance has answered a mutation; `given_up`: a publish that failed and changed nothing.
  // Returns whether there was something to judge.
  bool answered(int node, std::string_view root, bool ok, bool given_up);

 private:
  struct Failure {
    std::string what;
    bool answered = false;  // the mutation that it came in
  };
  // By root: the latest failed sync.
  using Failures = std::map<std::string, Failure, std::less<>>;
  Failures& of(int node) { return nodes_[static_cast<size_t>(node)]; }

  const FindingSink* sink_;
  std::vector<Failures> nodes_;
};

}  // namespace qk::sim
