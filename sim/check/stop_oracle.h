// StopOracle: ora.L12. A node stops, or refuses to start, only for a reason that somebody outside
// the node gave: a crash that was injected, an operator, the loss of a volatile family's memory
// or a call to its disk that a fault made fail. Who gives such a reason writes it into the
// ledger, for the node and for the incarnation that it ends; an end without a row there is a
// violation, whatever its error says. A failed call explains an end of its own incarnation only, and
// only one with the same status code: who takes an I/O error for damage, or for a file that is
// missing, is found. Damage that the plan does to what a disk holds explains each later end of the
// node that says so: an error of the same code that names a file.
//
// Not judged: whether a node that should have stopped (after a storage error) did.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "sim/check/finding.h"

namespace qk::sim {

enum class StopReason : uint8_t {
  kCrash,       // injected by the plan
  kOperator,    // a planned restart
  kMemoryLost,  // the start was refused, because its volatile authority was lost in a crash
  kDiskFault,   // a call to the disk failed, as the plan says
  kDamage,      // the node found damage that the plan did to its disk
  kForgot,      // damage that nothing can detect took back what the node acknowledged
};

struct LedgerRow {
  int node = 0;
  uint64_t incarnation = 0;  // counts the starts of the node, 1 for the first
  StopReason reason = StopReason::kCrash;
  std::string text;
};

class StopOracle {
 public:
  explicit StopOracle(const FindingSink* sink)
      : sink_(sink), nodes_(static_cast<size_t>(sink->node_count())) {}

  // A process begins to start on the node.
  void starting(int node);
  // What is about to end the incarnation. Several rows may explain one end.
  void explain(int node, StopReason reason, std::string text);
  // A call of the node to its disk failed because of an injected fault; `what`: with which error.
  void disk_failed(int node, absl::StatusCode code, std::string what);
  // The plan damaged what the node's disk holds; errors of this code may tell of it from now on.
  // `may_forget`: or any other error, because nothing may be left to be found damaged.
  void damaged(int node, bool may_forget, absl::StatusCode code, std::string what);
  // The incarnation is over; what the node said, if it ended by itself.
  void stopped(int node, absl::StatusCode code, std::string_view error);
  // The start was refused. Returns whether a disk fault explains it.
  bool refused(int node, absl::StatusCode code, std::string_view error);

  const std::vector<LedgerRow>& ledger() const { return ledger_; }

 private:
  struct Node {
    uint64_t incarnation = 0;
    bool explained = false;                  // this incarnation's end
    std::optional<StopReason> previous_end;  // absent: it ended by itself, or there was none
    std::map<absl::StatusCode, std::string> disk_errors = {};  // of this incarnation: the latest
    std::map<absl::StatusCode, std::string> damage = {};       // of the disk: the latest
    std::string may_forget = {};                               // the latest of such
  };
  bool explained_by_disk(int node, absl::StatusCode code);
  bool explained_by_damage(int node, absl::StatusCode code, std::string_view error);
  Node& of(int node) { return nodes_[static_cast<size_t>(node)]; }

  const FindingSink* sink_;
  std::vector<Node> nodes_;
  std::vector<LedgerRow> ledger_;
};

// "n1: 3 injected crashes, 1 operator restart", one for each node that stopped, then each refusal
// with its reason.
std::vector<std::string> summary_of(const std::vector<LedgerRow>& ledger, const FindingSink& sink);

}  // namespace qk::sim
