#include "sim/check/checker.h"

#include <utility>

#include "families/base/hash.h"

namespace qk::sim {
namespace {

Side other(Side side) { return side == Side::kA ? Side::kB : Side::kA; }

}  // namespace

Checker::Checker(std::vector<std::string> nodes, Reporter reporter)
    : sink_(nodes, std::move(reporter)),
      nodes_(static_cast<size_t>(sink_.node_count())),
      ghosts_(nodes_.size()),
      dual_(&sink_),
      image_(&sink_),
      import_(&sink_),
      migration_(&sink_),
      election_(&sink_),
      log_(&sink_),
      promise_(&sink_),
      stop_(&sink_),
      sync_(&sink_),
      apply_(&sink_),
      history_(&sink_),
      service_(&sink_) {
  log_.set_peers(std::move(nodes));
}

void Checker::set_append_partial(int node, families::Partial partial) {
  nodes_[static_cast<size_t>(node)].append_prefix = partial == families::Partial::kBatchPrefix;
}

void Checker::report(int node, std::optional<Complaint> complaint) {
  if (!complaint) return;
  sink_.report(complaint->oracle, node, complaint->index, std::move(complaint->expected),
               std::move(complaint->actual));
}

void Checker::seed(int node, const StateImage& state) {
  ghosts_[static_cast<size_t>(node)].adopt(state);
  election_.seed(node, state.hard_state);
  log_.seed(node, state);
}

void Checker::mutation_issued(int node, uint64_t id, const families::Mutation& mutation,
                              std::optional<uint64_t> tree) {
  for (const families::LogEntry& entry : mutation.entries) {
    if (entry.type != families::EntryType::kConfiguration) continue;
    const auto configuration = families::decode_configuration(entry.payload);
    if (configuration.ok()) log_.configuration_seen(entry.index, entry.term, *configuration);
  }
  // What was done before, by a catch-up or at a start, is no part of it.
  dual_.forget(node, families::lane_of(mutation.operation));
  GhostState& ghost = ghosts_[static_cast<size_t>(node)];
  GhostMutation issued = ghost_of(id, mutation, tree);
  if (!issued.entries.empty()) {
    evaluated({oracle("ora.R4")});
    log_.appended(node, ghost.term_at(issued.entries.front().index - 1), issued.entries);
  }
  ghost.issue(std::move(issued));
}

void Checker::judge_state(int node, const StateImage& state) {
  Node& of = nodes_[static_cast<size_t>(node)];
  std::vector<Complaint> found = ghost(node).complaints(state, of.append_prefix);
  // What is owed may itself have a hole.
  if (found.empty()) {
    if (std::optional<Complaint> hole = find_hole(state)) found.push_back(*std::move(hole));
  }
  const auto has = [](const std::vector<Complaint>& all, const Complaint& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  };
  std::erase_if(of.known, [&](const Complaint& known) { return !has(found, known); });
  // One at a time, and in a run that goes on after a violation the next one behind it.
  for (Complaint& complaint : found) {
    if (has(of.known, complaint)) continue;
    of.known.push_back(complaint);
    report(node, std::move(complaint));
    return;
  }
}

void Checker::mutation_acked(int node, uint64_t id, int64_t count) {
  report(node, ghosts_[static_cast<size_t>(node)].ack(id, count));
}

void Checker::mutation_failed(int node, uint64_t id, families::Outcome::Kind kind, int64_t count) {
  GhostState& ghost = ghosts_[static_cast<size_t>(node)];
  QK_CHECK(kind != families::Outcome::Kind::kOk);
  if (kind == families::Outcome::Kind::kFailedClean) {
    ghost.fail_clean(id);
  } else {
    ghost.fail_indeterminate(id, count);
  }
}

void Checker::dual_opened(int node, const families::HardState& a, const families::HardState& b) {
  dual_.opened(node, a, b);
}

void Checker::recovered(int node, Standing standing, const StateImage& state) {
  Node& of = nodes_[static_cast<size_t>(node)];
  GhostState& ghost = ghosts_[static_cast<size_t>(node)];
  if (standing == Standing::kMirror) {
    QK_CHECK(of.authority_recovered);
    of.authority_recovered = false;
    evaluated({oracle("ora.D3")});
    dual_.mirror_recovered(node, ghost.acked(), state);
    return;
  }
  evaluated({oracle("ora.L1"), oracle("ora.L2"), oracle("ora.L4"), oracle("ora.L5"),
             oracle("ora.L9"), oracle("ora.L13")});
  judge_state(node, state);
  election_.recovered(node, state.hard_state.term);
  if (is_dual(migration_.record(node).phase)) {
    evaluated({oracle("ora.D4")});
    dual_.authority_recovered(node, state.hard_state, election_.last_vote(node));
  }
  ghost.adopt(state);
  of.authority_recovered = true;
}

void Checker::shown(int node, Side side, const StateImage& live, const Probe& durable) {
  evaluated({oracle("ora.L10")});
  if (excused(node, durable)) return;
  const std::string expected =
      cat("what ", to_string(side), " shows after a start survives a power cut");
  if (!durable.ok()) {
    sink_.report("ora.L10", node, 0, expected, std::string(to_std(durable.status().message())));
  } else if (const auto difference = first_difference(live, *durable)) {
    sink_.report("ora.L10", node, difference->index, cat(expected, ": ", difference->a),
                 difference->b);
  }
}

bool Checker::excused(int node, const Probe& found) const {
  if (!found.ok()) return damaged(node) && (may_forget(node) || !absl::IsNotFound(found.status()));
  return may_forget(node) && log_.knows(*found) && !find_hole(*found);
}

Probe Checker::unless_excused(int node, const Probe& found) const {
  return excused(node, found) ? Probe(ghost(node).acked()) : found;
}

absl::Status Checker::start_settled(int node, const StateImage& state) {
  nodes_[static_cast<size_t>(node)].starting = false;
  const std::vector<Finding> held = sink_.take(node);
  if (held.empty()) return absl::OkStatus();
  if (excused(node, state)) {
    nodes_[static_cast<size_t>(node)].lost = true;
    const std::string what = cat("it forgot (", held[0].oracle, "): expected ", held[0].expected,
                                 ", found ", held[0].actual);
    stop_.explain(node, StopReason::kForgot, what);
    return absl::DataLossError(what);
  }
  for (const Finding& finding : held) sink_.forward(finding);
  return absl::OkStatus();
}

bool Checker::start_failed(int node, absl::StatusCode code, std::string_view error) {
  nodes_[static_cast<size_t>(node)].starting = false;
  const std::vector<Finding> held = sink_.take(node);
  const uint64_t rows = stop_.ledger().size();
  const bool comes_back = stop_.refused(node, code, error);
  // What it did not serve from does not matter if it says why.
  if (stop_.ledger().size() == rows) {
    for (const Finding& finding : held) sink_.forward(finding);
  }
  return comes_back;
}

void Checker::opened_absent(int node) { absent(node, "no instance"); }

void Checker::absent(int node, std::string_view found) const {
  const StateImage& acked = ghosts_[static_cast<size_t>(node)].acked();
  if (acked.fresh()) return;
  sink_.report("ora.L13", node, 0,
               cat("an instance with log [", acked.first, ", ", acked.last, "], ",
                   describe(acked.hard_state), ", ", describe(acked.snapshot)),
               std::string(found));
}

void Checker::lost(int node, std::string_view error) {
  nodes_[static_cast<size_t>(node)].lost = true;
  stop_.explain(node, StopReason::kMemoryLost, std::string(error));
}

void Checker::served(int node, Side side, uint64_t generation) {
  evaluated({oracle("ora.M1")});
  if (nodes_[static_cast<size_t>(node)].lost) {
    sink_.report("ora.L13", node, 0, "a node that lost its storage stays down",
                 cat("served from ", to_string(side), " of generation ", generation));
  }
  migration_.served(node, side, generation);
}

void Checker::durable_probe(int node, Side side, const Probe& durable) {
  const PhaseRecord& record = migration_.record(node);
  const GhostState& ghost = ghosts_[static_cast<size_t>(node)];
  const bool append_prefix = nodes_[static_cast<size_t>(node)].append_prefix;
  if (excused(node, durable)) return;
  if (side == record.authority) {
    if (!durable.ok()) return unreadable(node, durable.status());
    evaluated({oracle("ora.L1"), oracle("ora.L2"), oracle("ora.L4"), oracle("ora.L5"),
               oracle("ora.L9"), oracle("ora.L13")});
    judge_state(node, *durable);
  } else if (is_dual(record.phase)) {
    evaluated({oracle("ora.D1")});
    dual_.mirror_probed(node, ghost, durable, append_prefix);
  }
}

void Checker::unreadable(int node, const absl::Status& status) const {
  if (excused(node, status)) return;
  if (absl::IsNotFound(status)) return absent(node, to_std(status.message()));
  sink_.report("ora.L9", node, 0, "what a power loss would leave opens and reads",
               std::string(to_std(status.message())));
}

void Checker::dual_ack(int node, const Probe& a, const Probe& b) {
  const Side authority = migration_.record(node).authority;
  durable_probe(node, authority, authority == Side::kA ? a : b);
  durable_probe(node, other(authority), authority == Side::kA ? b : a);
}

void Checker::phase_changed(int node, const PhaseRecord& to,
                            const absl::StatusOr<PhaseRecord>& durable) {
  evaluated({oracle("ora.M2")});
  if (to.phase == MigrationPhase::kCutOver) evaluated({oracle("ora.M3")});
  const bool forgets = damaged(node) && (!durable.ok() || may_forget(node));
  migration_.phase_changed(node, to, forgets ? to : durable, ghost(node));
}

void Checker::relied_on(int node, const absl::StatusOr<PhaseRecord>& durable) {
  evaluated({oracle("ora.M2")});
  const bool forgets = damaged(node) && (!durable.ok() || may_forget(node));
  migration_.relied_on(node, forgets ? migration_.record(node) : durable);
}

void Checker::phase_resumed(int node, const PhaseRecord& record) {
  migration_.phase_resumed(node, record, ghost(node));
}

void Checker::catch_up_differs(int node, const Probe& a, const Probe& b) {
  evaluated({oracle("ora.M3")});
  if (damaged(node) || !a.ok() || !b.ok()) return;  // which is what the comparison is for
  if (const auto difference = first_difference(*a, *b)) {
    sink_.report("ora.M3", node, difference->index,
                 cat("A and B that are equal after the catch-up: A: ", difference->a),
                 cat("B: ", difference->b));
  }
}

void Checker::cut_validated(int node, uint64_t generation, const Probe& a, const Probe& b,
                            int64_t now_ns) {
  migration_.cut_validated(node, generation, unless_excused(node, a), unless_excused(node, b),
                           now_ns, ghost(node));
}

void Checker::fenced(int node, uint64_t generation, const Probe& a, const Probe& b) {
  const bool since = nodes_[static_cast<size_t>(node)].damaged_since_opener;
  migration_.fenced(node, generation, unless_excused(node, a), since ? unless_excused(node, b) : b,
                    ghost(node));
}

void Checker::takes_risk(int node, const std::vector<bool>& up, bool may_stop) {
  evaluated({oracle("ora.M11")});
  if (may_stop) return;
  // Any node's configuration: none changes it in a run.
  migration_.takes_risk(node, configuration(node), log_.peers(), up);
}

void Checker::look(int64_t now_ns, bool calm) {
  now_ns_ = now_ns;
  if (!calm) calm_since_ns_ = now_ns;
  migration_.look(now_ns, calm_since_ns_);
  service_.look(now_ns, calm_since_ns_);
}

void Checker::invoked(uint64_t operation, const Command& command) {
  history_.invoked(operation, command);
  service_.invoked(operation, xxh3_64(encode_command(command)));
}

void Checker::completed(uint64_t operation, const Response& response) {
  evaluated({oracle("ora.C2"), oracle("ora.C5")});
  service_.completed(operation);
  history_.completed(operation, response);
}

void Checker::leader_elected(int node, int64_t term, std::span<const EntryDigest> queued) {
  evaluated({oracle("ora.R1"), oracle("ora.R5")});
  election_.leader_elected(node, term);
  StateImage log = ghost(node).log_view();
  if (!queued.empty()) {
    const int64_t keep = queued.front().index - log.first;
    if (keep >= 0 && keep < static_cast<int64_t>(log.entries.size())) {
      log.entries.resize(static_cast<size_t>(keep));
    }
    QK_CHECK(keep == static_cast<int64_t>(log.entries.size()));
    log.entries.insert(log.entries.end(), queued.begin(), queued.end());
    log.last = queued.back().index;
  }
  log_.leader_elected(node, term, log);
}

void Checker::committed(int node, const EntryDigest& entry, int64_t commit_term) {
  evaluated({oracle("ora.R6"), oracle("ora.R7")});
  service_.committed(entry.payload_hash);
  log_.committed(node, entry, commit_term, ghosts_);
}

void Checker::commit_probe(int node, int64_t index, int64_t term, std::span<const int> holders) {
  evaluated({oracle("ora.R7")});
  log_.commit_probed(index, term, holders, ghost(node));
}

void Checker::finish() {
  if (history_.answered() > 0) evaluated({oracle("ora.C1")});
  history_.judge();
}

}  // namespace qk::sim
