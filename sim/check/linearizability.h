// ClientHistory: ora.C1. There is a total order of the operations, one that respects real time (an
// operation answered before another was invoked comes first), in which each answer is the one that
// a single register per key, or a single counter, would have given.
//
// Keys are independent, so each is judged for itself (linearizability is local). An operation
// without an answer may take effect at any later time, or never. A key first holds the empty
// string; the counter starts at an unknown value, and it is the same for all.
//
// Method: Wing and Gong's search, just in time as Lowe does it. Events are taken in order; at each
// answer, all configurations (value, operations that took effect early) in which that operation
// has taken effect are derived from the ones before. Three facts keep them few:
//   - values that no later answer can tell apart are one value: what is not a prefix of any value
//     that the history mentions can only be overwritten;
//   - an unanswered operation that makes such a value is never needed;
//   - of two configurations that differ in the unanswered operations used, the one that used
//     fewer can do all that the other can.
//
// Not checked: that acked writes survive the end of the history (no later read, no finding), and
// order between keys.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/check/finding.h"
#include "sim/cluster/client_protocol.h"

namespace qk::sim {

class ClientHistory {
 public:
  explicit ClientHistory(const FindingSink* sink) : sink_(sink) {}

  // Operations are numbered by the caller, each number once; a repeated request is the same
  // operation. Events count in the order of the calls.
  void invoked(uint64_t operation, const Command& command);
  // An answer kStale or kMalformed leaves the operation unanswered, and kMalformed is a finding.
  void completed(uint64_t operation, const Response& response);
  // An answer that cannot be read: a finding, and the operation stays unanswered.
  void garbled(uint64_t operation, const absl::Status& why) const;

  // Judges the whole history; reports at most one finding, for the earliest answer that no order
  // explains. Its index is the number of the operation.
  void judge() const;

  size_t size() const { return operations_.size(); }
  size_t answered() const { return answered_; }

 private:
  struct Operation {
    Command command;
    uint64_t invoked = 0;  // position in the history
    std::optional<uint64_t> answered;
    Response response;
  };
  friend class KeyHistory;

  const FindingSink* sink_;
  std::map<uint64_t, Operation> operations_;
  uint64_t events_ = 0;
  size_t answered_ = 0;
};

}  // namespace qk::sim
