// DualOracle: what a node's two families owe each other while it writes both.
//
//   ora.D1  when a mutation is acked in a dual phase, the mirror too holds, durably, everything
//           acked so far (and nothing that no mutation explains); and so it does when the dual write
//           begins, before the first ack. The authority's half of this is
//           ora.L1, L2 and L5, judged by GhostState alike.
//   ora.D2  a mutation that either family refused is not acked
//   ora.D5  from the issue of a mutation to its ack both families were given the same mutations of
//           its lane, in the same order; of a snapshot, its meta and the names of its files
//   ora.D3  after a crash in a dual phase, before serving, the mirror equals the authority, and
//           the authority was judged against everything acked
//   ora.D4  after a crash in a dual phase the hard state is at least the greater of what the two
//           families held when they were opened, and it still tells of the last vote granted
//
// Not checked: what the families hold between two probes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "families/contract/mutation.h"
#include "sim/check/finding.h"
#include "sim/check/ghost_state.h"

namespace qk::sim {

struct Vote {
  int64_t term = 0;
  std::string candidate;
};

class DualOracle {
 public:
  // What a family was really asked to do, as an outcome says.
  struct Applied {
    families::Operation operation = families::Operation::kAppend;
    uint64_t digest = 0;
    bool ok = false;
  };
  // `side`: 0 for A, 1 for B.
  void applied(int node, int side, const Applied& mutation);
  // What the families of this lane were asked to do before is no part of what comes.
  void forget(int node, families::Lane lane) { lane_of(node, lane) = {}; }
  // The mutation of this lane is acked, of a dual write or not. Whether anything was compared.
  bool acked(int node, families::Lane lane, bool dual);

  explicit DualOracle(const FindingSink* sink);

  void mirror_probed(int node, const GhostState& ghost, const Probe& durable,
                     bool append_prefix) const;
  void mirror_recovered(int node, const StateImage& authority, const StateImage& mirror) const;

  // The hard states of both families as they were opened after a crash, before reconciliation.
  void opened(int node, const families::HardState& a, const families::HardState& b);
  void authority_recovered(int node, const families::HardState& recovered,
                           const std::optional<Vote>& last_vote);

 private:
  // Of one lane, by side, since a mutation was issued.
  using Sides = std::array<std::vector<Applied>, 2>;
  Sides& lane_of(int node, families::Lane lane) {
    return lanes_[static_cast<size_t>(node)][static_cast<size_t>(lane)];
  }

  const FindingSink* sink_;
  std::vector<std::array<Sides, families::kLaneCount>> lanes_;
  std::vector<std::optional<families::HardState>> floor_;  // per node, until it has recovered
};

}  // namespace qk::sim
