#include "sim/check/migration_oracle.h"

#include <algorithm>

#include "families/contract/quorum.h"

namespace qk::sim {
namespace {

using Phase = MigrationPhase;

struct Edge {
  Phase from;
  Phase to;
};

// Transitions T1..T8, RB1, RB2, DT1, RS; returns to exporting after a lost queue or an abandoned
// import; the expiry of a validated cut; and the next migration of a node that has retired its
// old family.
constexpr Edge kEdges[] = {
    {Phase::kIdle, Phase::kExporting},           {Phase::kRolledBack, Phase::kExporting},
    {Phase::kRetired, Phase::kExporting},        {Phase::kExporting, Phase::kExporting},
    {Phase::kExporting, Phase::kBootstrapping},  {Phase::kExporting, Phase::kRolledBack},
    {Phase::kBootstrapping, Phase::kExporting},  {Phase::kBootstrapping, Phase::kValidated},
    {Phase::kBootstrapping, Phase::kRolledBack}, {Phase::kValidated, Phase::kExporting},
    {Phase::kValidated, Phase::kDualWrite},      {Phase::kValidated, Phase::kRolledBack},
    {Phase::kDualWrite, Phase::kExporting},      {Phase::kDualWrite, Phase::kCutoverValidated},
    {Phase::kDualWrite, Phase::kRolledBack},     {Phase::kCutoverValidated, Phase::kDualWrite},
    {Phase::kCutoverValidated, Phase::kCutOver}, {Phase::kCutoverValidated, Phase::kRolledBack},
    {Phase::kCutOver, Phase::kAccepted},         {Phase::kCutOver, Phase::kRolledBack},
    {Phase::kAccepted, Phase::kRetired},
};

bool is_edge(Phase from, Phase to) {
  return std::any_of(std::begin(kEdges), std::end(kEdges),
                     [&](const Edge& edge) { return edge.from == from && edge.to == to; });
}

bool starts_attempt(Phase from, Phase to) {
  return to == Phase::kExporting &&
         (from == Phase::kIdle || from == Phase::kRolledBack || from == Phase::kRetired);
}

Side authority_in(Phase phase) {
  return phase == Phase::kCutOver || phase == Phase::kAccepted || phase == Phase::kRetired
             ? Side::kB
             : Side::kA;
}

std::string describe(const PhaseRecord& record) {
  return cat(to_string(record.phase), " (generation ", record.generation, ", authority ",
             to_string(record.authority), ")");
}

}  // namespace

std::string_view to_string(Side side) { return side == Side::kA ? "A" : "B"; }

std::string_view to_string(MigrationPhase phase) {
  switch (phase) {
    case Phase::kIdle:
      return "idle";
    case Phase::kExporting:
      return "exporting";
    case Phase::kBootstrapping:
      return "bootstrapping";
    case Phase::kValidated:
      return "validated";
    case Phase::kDualWrite:
      return "dual-write";
    case Phase::kCutoverValidated:
      return "cutover-validated";
    case Phase::kCutOver:
      return "cut-over";
    case Phase::kAccepted:
      return "accepted";
    case Phase::kRetired:
      return "retired";
    case Phase::kRolledBack:
      return "rolled-back";
  }
  return "unknown";
}

bool is_dual(MigrationPhase phase) {
  return phase == Phase::kDualWrite || phase == Phase::kCutoverValidated ||
         phase == Phase::kCutOver;
}

MigrationOracle::MigrationOracle(const FindingSink* sink)
    : sink_(sink), nodes_(static_cast<size_t>(sink->node_count())) {}

void MigrationOracle::judge_edge(int node, const PhaseRecord& from, const PhaseRecord& to) const {
  if (!is_edge(from.phase, to.phase)) {
    sink_->report("ora.M2", node, 0, cat("a successor of ", describe(from)), describe(to));
    return;
  }
  const uint64_t generation = from.generation + (starts_attempt(from.phase, to.phase) ? 1 : 0);
  const Side authority = authority_in(to.phase);
  if (to.generation != generation || to.authority != authority) {
    sink_->report("ora.M2", node, 0, describe({to.phase, generation, authority}), describe(to));
  }
}

void MigrationOracle::judge_cut_over(int node, const PhaseRecord& to,
                                     const GhostState& ghost) const {
  const Node& of = nodes_[static_cast<size_t>(node)];
  if (!of.cut || of.cut->generation != to.generation) {
    sink_->report("ora.M3", node, 0,
                  cat("a cut validated in generation ", to.generation, " without a restart since"),
                  "cut-over without one");
    return;
  }
  const uint64_t behind = ghost.acked_count() - of.cut->acked;
  if (behind > of.fresh_mutations) {
    sink_->report("ora.M3", node, 0, cat("a cut at most ", of.fresh_mutations, " mutations old"),
                  cat("cut-over ", behind, " mutations after the cut"));
    return;
  }
  if (!of.decided_ns || *of.decided_ns - of.cut->made_ns > of.fresh_time_ns) {
    sink_->report("ora.M3", node, 0, cat("a cut at most ", of.fresh_time_ns, " ns old"),
                  of.decided_ns
                      ? cat("cut-over ", *of.decided_ns - of.cut->made_ns, " ns after the cut")
                      : std::string("cut-over at an unknown time"));
  }
}

bool MigrationOracle::judge_cut(int node, const Probe& a, const Probe& b,
                                const GhostState& ghost) const {
  // Two sides that cannot be read are not equal.
  for (const Probe* side : {&a, &b}) {
    if (side->ok()) continue;
    sink_->report("ora.M3", node, 0, "durable reads of both sides",
                  cat(side == &a ? "A: " : "B: ", to_std(side->status().message())));
    return false;
  }
  if (const auto difference = first_difference(*a, *b)) {
    sink_->report("ora.M3", node, difference->index, cat("A: ", difference->a),
                  cat("B: ", difference->b));
    return false;
  }
  if (!ghost.idle()) {
    sink_->report("ora.M3", node, 0, "a barrier: nothing in flight", "an open mutation");
    return false;
  }
  if (const auto difference = first_difference(ghost.acked(), *a)) {
    sink_->report("ora.M3", node, difference->index, cat("acked: ", difference->a),
                  cat("both sides: ", difference->b));
    return false;
  }
  return true;
}

void MigrationOracle::judge_durable(int node, const PhaseRecord& record,
                                    const absl::StatusOr<PhaseRecord>& durable) const {
  if (!durable.ok() || *durable != record) {
    sink_->report(
        "ora.M2", node, 0, cat(describe(record), " durable before the node goes on"),
        cat("power loss would leave ",
            durable.ok() ? describe(*durable) : std::string(to_std(durable.status().message()))));
  }
}

void MigrationOracle::relied_on(int node, const absl::StatusOr<PhaseRecord>& durable) {
  Node& of = nodes_[static_cast<size_t>(node)];
  judge_durable(node, of.record, durable);
  of.certain.reset();
}

void MigrationOracle::cut_validated(int node, uint64_t generation, const Probe& a, const Probe& b,
                                    int64_t now_ns, const GhostState& ghost) {
  auto& cut = nodes_[static_cast<size_t>(node)].cut;
  cut.reset();
  if (judge_cut(node, a, b, ghost)) cut = Cut{generation, ghost.acked_count(), now_ns};
}

void MigrationOracle::fenced(int node, uint64_t generation, const Probe& a, const Probe& b,
                             const GhostState& ghost) {
  auto& fence = nodes_[static_cast<size_t>(node)].fence;
  fence.reset();
  if (judge_cut(node, a, b, ghost)) fence = Cut{generation, ghost.acked_count(), 0};
}

void MigrationOracle::phase_changed(int node, const PhaseRecord& to,
                                    const absl::StatusOr<PhaseRecord>& durable,
                                    const GhostState& ghost) {
  Node& of = nodes_[static_cast<size_t>(node)];
  judge_edge(node, of.record, to);
  judge_durable(node, to, durable);
  if (to.phase == Phase::kCutOver) {
    judge_cut_over(node, to, ghost);
    if (!of.fence || of.fence->generation != to.generation ||
        of.fence->acked != ghost.acked_count()) {
      sink_->report("ora.M3", node, 0, "durable reads of both sides equal at the fence",
                    of.fence ? "mutations acked after the fence" : "cut-over without them");
    }
  }
  of.record = to;
  of.certain.reset();
  of.fence.reset();
  of.decided_ns.reset();
}

void MigrationOracle::phase_resumed(int node, const PhaseRecord& record, const GhostState& ghost) {
  Node& of = nodes_[static_cast<size_t>(node)];
  // What a start has read may not be durable before it says so; the next crash may take it back.
  if (!of.certain) of.certain = of.record;
  // What an earlier start read was judged then, with the cut of the process before it.
  if (record != *of.certain && record != of.record) {
    judge_edge(node, *of.certain, record);
    if (record.phase == Phase::kCutOver) judge_cut_over(node, record, ghost);
  }
  of.record = record;
  of.cut.reset();
  of.fence.reset();
  of.decided_ns.reset();
}

void MigrationOracle::given_up(int node, Side side, const absl::Status& opened) const {
  if (!opened.ok()) return;
  sink_->report("ora.M1", node, 0,
                cat(describe(nodes_[static_cast<size_t>(node)].record),
                    ", and nothing that opens at the place of ", to_string(side)),
                "after a power cut a program that knows nothing of migrations opens it");
}

void MigrationOracle::takes_risk(int node, const families::Configuration& configuration,
                                 const std::vector<std::string>& peers,
                                 const std::vector<bool>& up) const {
  std::string at_risk;
  for (size_t i = 0; i < peers.size(); ++i) {
    const Phase phase = nodes_[i].record.phase;
    const bool risky =
        phase != Phase::kIdle && phase != Phase::kDualWrite && phase < Phase::kAccepted;
    if (static_cast<int>(i) != node && up[i] && !risky) continue;
    at_risk += cat(at_risk.empty() ? "" : ", ", sink_->node_name(static_cast<int>(i)), " (",
                   up[i] ? std::string(to_string(phase)) : std::string("down"), ")");
  }
  const bool safe = families::has_quorum(configuration, [&](const std::string& peer) {
    for (size_t i = 0; i < peers.size(); ++i) {
      const Phase phase = nodes_[i].record.phase;
      if (peers[i] != peer) continue;
      return static_cast<int>(i) != node && up[i] &&
             (phase == Phase::kIdle || phase == Phase::kDualWrite || phase >= Phase::kAccepted);
    }
    return false;
  });
  if (safe) return;
  sink_->report("ora.M11", node, 0, "a majority of voters that is not at risk",
                cat("a risky step while at risk: ", at_risk));
}

void MigrationOracle::look(int64_t now_ns, int64_t calm_since_ns) {
  const int64_t since = std::max(roll_moved_ns_, calm_since_ns);
  if (!roll_waits_ || now_ns - since <= kMovesWithinNs) return;
  sink_->report("ora.M8", kCluster, 0, cat("a roll that goes on within ", kMovesWithinNs, " ns"),
                cat("it has waited for ", now_ns - since, " ns: ", roll_reason_));
  roll_moved_ns_ = now_ns;
}

void MigrationOracle::served(int node, Side side, uint64_t generation) const {
  const PhaseRecord& record = nodes_[static_cast<size_t>(node)].record;
  if (side == record.authority && generation == record.generation) return;
  sink_->report("ora.M1", node, 0, describe(record),
                cat("served from ", to_string(side), " of generation ", generation));
}

}  // namespace qk::sim
