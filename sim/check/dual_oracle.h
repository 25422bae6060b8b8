// DualOracle: what a node's two families owe each other while it writes both.
//
//   ora.D1  when a mutation is acked in a dual phase, the mirror too holds, durably, everything
//           acked so far (and nothing that no mutation explains). The authority's half of this is
//           ora.L1, L2 and L5, judged by GhostState alike.
//   ora.D3  after a crash in a dual phase, before serving, the mirror equals the authority, and
//           the authority was judged against everything acked
//   ora.D4  after a crash in a dual phase the hard state is at least the greater of what the two
//           families held when they were opened, and it still tells of the last vote granted
//
// Not checked: that the mirror receives the same sequence of mutations (ora.D5), and what the
// families hold between two probes.
#pragma once

#include <optional>
#include <vector>

#include "sim/check/finding.h"
#include "sim/check/ghost_state.h"

namespace qk::sim {

struct Vote {
  int64_t term = 0;
  std::string candidate;
};

class DualOracle {
 public:
  explicit DualOracle(const FindingSink* sink);

  void mirror_probed(int node, const GhostState& ghost, const Probe& durable,
                     bool append_prefix) const;
  void mirror_recovered(int node, const StateImage& authority, const StateImage& mirror) const;

  // The hard states of both families as they were opened after a crash, before reconciliation.
  void opened(int node, const families::HardState& a, const families::HardState& b);
  void authority_recovered(int node, const families::HardState& recovered,
                           const std::optional<Vote>& last_vote);

 private:
  const FindingSink* sink_;
  std::vector<std::optional<families::HardState>> floor_;  // per node, until it has recovered
};

}  // namespace qk::sim
