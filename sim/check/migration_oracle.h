// MigrationOracle: the phases of one node's migration, as its durable records tell them.
//
//   ora.M1  whenever a node answers, it does so from the (side, generation) that its last durable
//           phase record names as authoritative
//   ora.M2  each phase record follows from the one before by an edge of the automaton, names the
//           side that the phase demands, and a generation that grows by one with each attempt and
//           never else; it is durable when the node goes on; a restart resumes the last durable
//           phase, or one edge further (the record that the crash interrupted)
//   ora.M3  a node enters cut-over only if, in this generation and without a restart since, durable
//           reads of both sides at a cut were equal and held everything acked, at most
//           `fresh_mutations` mutations were acked since, and at the fence nothing is in flight and
//           durable reads of both sides are equal and hold everything acked; the cut is at most
//           `fresh_time` old when the node writes the mark. Both bounds are those with which this
//           attempt began.
//
// Phases, edges and authority are those of the migration design, written down here a second time.
// Sides are per attempt: A is the family that the attempt started from.
//
// Not checked: what happens inside a phase, cleanup (ora.M9), identity (ora.M10).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/check/finding.h"
#include "sim/check/ghost_state.h"

namespace qk::sim {

enum class Side : uint8_t { kA, kB };
std::string_view to_string(Side side);

enum class MigrationPhase : uint8_t {
  kIdle,
  kExporting,
  kBootstrapping,
  kValidated,
  kDualWrite,
  kCutoverValidated,
  kCutOver,
  kAccepted,
  kRetired,
  kRolledBack,
};
std::string_view to_string(MigrationPhase phase);

struct PhaseRecord {
  MigrationPhase phase = MigrationPhase::kIdle;
  uint64_t generation = 0;
  Side authority = Side::kA;
  friend bool operator==(const PhaseRecord&, const PhaseRecord&) = default;
};

// Both families are written, and an ack needs both.
bool is_dual(MigrationPhase phase);

class MigrationOracle {
 public:
  explicit MigrationOracle(const FindingSink* sink);

  // The bounds of freshness of the attempt that the node begins, in mutations and
  // nanoseconds.
  void began(int node, uint64_t fresh_mutations, int64_t fresh_time_ns) {
    Node& of = nodes_[static_cast<size_t>(node)];
    of.fresh_mutations = fresh_mutations;
    of.fresh_time_ns = fresh_time_ns;
  }

  // The node has written `to` and goes on; `durable`: what a disk that lost everything unsynced now
  // would tell, or why it tells nothing.
  void phase_changed(int node, const PhaseRecord& to, const absl::StatusOr<PhaseRecord>& durable,
                     const GhostState& ghost);
  // What the node read at a start.
  void phase_resumed(int node, const PhaseRecord& record, const GhostState& ghost);
  void served(int node, Side side, uint64_t generation) const;

  // Fresh durable reads of both sides at a cut that the node calls equal.
  void cut_validated(int node, uint64_t generation, const Probe& a, const Probe& b, int64_t now_ns,
                     const GhostState& ghost);
  // The node writes the mark of the cut-over.
  void cutting_over(int node, int64_t now_ns) {
    nodes_[static_cast<size_t>(node)].decided_ns = now_ns;
  }
  // The same at the fence, right before the node enters cut-over.
  void fenced(int node, uint64_t generation, const Probe& a, const Probe& b,
              const GhostState& ghost);

  const PhaseRecord& record(int node) const { return nodes_[static_cast<size_t>(node)].record; }

 private:
  struct Cut {
    uint64_t generation = 0;
    uint64_t acked = 0;  // mutations acked when it was made
    int64_t made_ns = 0;
  };
  struct Node {
    PhaseRecord record;
    std::optional<Cut> cut;
    std::optional<Cut> fence;
    uint64_t fresh_mutations = 0;
    int64_t fresh_time_ns = 0;
    std::optional<int64_t> decided_ns;
  };

  void judge_edge(int node, const PhaseRecord& from, const PhaseRecord& to) const;
  void judge_cut_over(int node, const PhaseRecord& to, const GhostState& ghost) const;
  bool judge_cut(int node, const Probe& a, const Probe& b, const GhostState& ghost) const;

  const FindingSink* sink_;
  std::vector<Node> nodes_;
};

}  // namespace qk::sim
