// ServiceOracle: what clients may count on, at the instant when it matters.
//
//   ora.C2  when a client is told the outcome of an operation, the entry that carries it has been
//           declared committed by some node. That what is committed stays is ora.R5, R6, R7 and L1.
//   ora.C5  an operation completes within kCompletesWithin from when it was asked for, or from when
//           the cluster was last disturbed. What disturbs is the caller's matter (Checker::look).
//
// Entries are known by the hash of their payload, which names client and request.
//
// Not checked: what the answer says (ora.C1).
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "sim/check/finding.h"

namespace qk::sim {

// Ten times what a cluster with default timing needs for two elections in a row and a retry of the
// client.
inline constexpr int64_t kCompletesWithinNs = 10'000'000'000;

class ServiceOracle {
 public:
  explicit ServiceOracle(const FindingSink* sink) : sink_(sink) {}

  void invoked(uint64_t operation, uint64_t payload_hash);
  void committed(uint64_t payload_hash) { committed_.insert(payload_hash); }
  void completed(uint64_t operation);
  // `calm_since`: nothing disturbs the cluster since then.
  void look(int64_t now_ns, int64_t calm_since_ns);

 private:
  struct Asked {
    uint64_t payload_hash = 0;
    int64_t at_ns = 0;
  };

  const FindingSink* sink_;
  std::map<uint64_t, Asked> open_;  // operations without an answer
  std::set<uint64_t> committed_;
  int64_t now_ns_ = 0;
};

}  // namespace qk::sim
