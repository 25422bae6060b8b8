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
//   ora.M1  (also) once a node has announced that it gave up an instance, a power cut leaves nothing
//           of it at its place that a program which knows nothing of migrations would open or make
//   ora.M8  a roll that no plan holds up goes on within kMovesWithinNs from its last move, or from
//           when the cluster was last disturbed
//   ora.M11 when the operator takes a risky step with a node, the voters that are up and in no risky
//           phase are a majority without it, unless the plan lets the cluster stop
//
// Phases, edges and authority are those of the migration design, written down here a second time.
// Sides are per attempt: A is the family that the attempt started from.
//
// Not checked: what happens inside a phase, cleanup (ora.M9), identity (ora.M10); that a roll
// which always moves ends.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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

// Twice what the longest phase of the scenarios of this build takes.
inline constexpr int64_t kMovesWithinNs = 20'000'000'000;

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
  // What the node read at a start; idle if there was no manifest.
  void phase_resumed(int node, const PhaseRecord& record, const GhostState& ghost);
  // The node is about to serve, and a power cut would leave this.
  void relied_on(int node, const absl::StatusOr<PhaseRecord>& durable);
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

  // What an older program finds at the place of an instance that the node has given up, after a
  // power cut right now: OK if it would serve.
  void given_up(int node, Side side, const absl::Status& opened) const;

  // The operator begins a risky step with the node. `configuration`: the one in force; `peers`:
  // its name for each node; `up`: the nodes of which a process runs.
  void takes_risk(int node, const families::Configuration& configuration,
                  const std::vector<std::string>& peers, const std::vector<bool>& up) const;

  // The roll went on, or waits because its plan says so, or has ended.
  void roll_moves(int64_t now_ns) {
    roll_moved_ns_ = now_ns;
    roll_waits_ = false;
  }
  // It waits for `reason`.
  void roll_waits(std::string reason) {
    roll_waits_ = true;
    roll_reason_ = std::move(reason);
  }
  void look(int64_t now_ns, int64_t calm_since_ns);

  const PhaseRecord& record(int node) const { return nodes_[static_cast<size_t>(node)].record; }

 private:
  struct Cut {
    uint64_t generation = 0;
    uint64_t acked = 0;  // mutations acked when it was made
    int64_t made_ns = 0;
  };
  struct Node {
    PhaseRecord record;
    std::optional<PhaseRecord> certain;  // while a start has not told that `record` is durable
    std::optional<Cut> cut;
    std::optional<Cut> fence;
    uint64_t fresh_mutations = 0;
    int64_t fresh_time_ns = 0;
    std::optional<int64_t> decided_ns;
  };

  void judge_durable(int node, const PhaseRecord& record,
                     const absl::StatusOr<PhaseRecord>& durable) const;
  void judge_edge(int node, const PhaseRecord& from, const PhaseRecord& to) const;
  void judge_cut_over(int node, const PhaseRecord& to, const GhostState& ghost) const;
  bool judge_cut(int node, const Probe& a, const Probe& b, const GhostState& ghost) const;

  const FindingSink* sink_;
  std::vector<Node> nodes_;
  int64_t roll_moved_ns_ = 0;
  bool roll_waits_ = false;
  std::string roll_reason_;
};

}  // namespace qk::sim
