// Checker: the oracles of a run, as plain calls.
//
// The cluster tells the checker what happened, at the instant when it happened; the
// checker keeps a ghost of what every node owes, and reports each broken invariant at once (the
// client history at the end). The system under test never reads any of it, and the oracles share
// no code with families, image, migration or raft: they read families through the storage
// contract and hash with an encoder of their own. kOracles (finding.h) lists them; the head of each
// *_oracle.h says exactly what is judged, and what is not.
//
// Damage. A node whose disk was damaged by the plan is judged like any other as long as it serves.
// What changes:
//   - it may stop, or refuse to start, with an error that tells of damage, and it then stays down. A
//     probe of its disk that meets such an error says nothing
//   - some damage cannot be detected, because what it leaves is whole and true, only old: lost and
//     misdirected writes, syncs that lied, and what the family declares (FamilyDescriptor::unchecked).
//     Such a node may forget. If a start shows so, it is out of service from then on, as if an
//     operator had looked into it, provided that it shows nothing that nobody ever wrote: each entry
//     is one of that term at that index, and none is missing between them. Probes look at what is
//     read now instead of what a power cut would leave
// Cut-over. Validation reads what the engines of a node that runs read, which may be memory. So the
// cut of a damaged node is judged at the mark of the cut-over, when B has just been opened again from
// its files: what B then holds must be all that was acknowledged. A is left, whatever its files hold.
//
// All others, and what is replicated, are judged as ever: the fault budget (damage_budget()) leaves a
// majority that was never damaged.
//
// Nodes are indices into the list of names. Feeds are cheap (O(log n)) except where a StateImage
// is handed in. A call that contradicts the protocol of this header (an outcome of a mutation that
// was never issued) is a bug of the caller, and checked as one.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "families/contract/mutation.h"
#include "sim/check/apply_oracle.h"
#include "sim/check/dual_oracle.h"
#include "sim/check/election_oracle.h"
#include "sim/check/finding.h"
#include "sim/check/ghost_state.h"
#include "sim/check/image_oracle.h"
#include "sim/check/import_oracle.h"
#include "sim/check/linearizability.h"
#include "sim/check/log_oracle.h"
#include "sim/check/migration_oracle.h"
#include "sim/check/promise_oracle.h"
#include "sim/check/service_oracle.h"
#include "sim/check/state_image.h"
#include "sim/check/stop_oracle.h"
#include "sim/check/sync_oracle.h"

namespace qk::sim {

enum class Standing : uint8_t { kAuthority, kMirror };

class Checker {
 public:
  // All nodes are voters until a configuration is seen.
  Checker(std::vector<std::string> nodes, Reporter reporter);

  // How configurations name the nodes, in their order; until then, by their names.
  void set_peers(std::vector<std::string> peers) { log_.set_peers(std::move(peers)); }
  // A crash may leave any prefix of an append batch (families::Partial of the node's families; in
  // a dual phase of either).
  void set_append_partial(int node, families::Partial partial);

  // --- Stops: ora.L12 (ora.L9: a refusal after a crash) ----------------------------------------

  // A process begins to start on the node, before it reads anything.
  void starting(int node) {
    evaluated({oracle("ora.L12")});
    sink_.take(node);
    nodes_[static_cast<size_t>(node)].starting = true;
    if (damaged(node)) sink_.hold(node);
    stop_.starting(node);
    sync_.starting(node);
    apply_.restarted(node);
  }
  // What ends this incarnation is known: an injected crash, an operator.
  void explain_stop(int node, StopReason reason, std::string text) {
    stop_.explain(node, reason, std::move(text));
  }
  // A call of the node to its disk failed because of an injected fault.
  void disk_failed(int node, absl::StatusCode code, std::string what) {
    stop_.disk_failed(node, code, std::move(what));
  }
  // The plan damaged what the node's disk holds; see Damage, below, and StopOracle.
  void disk_damaged(int node, bool may_forget, absl::StatusCode code, std::string what) {
    Node& of = nodes_[static_cast<size_t>(node)];
    of.damaged = true;
    of.damaged_since_opener = true;
    of.may_forget = of.may_forget || may_forget;
    if (of.starting) sink_.hold(node);
    stop_.damaged(node, may_forget, code, std::move(what));
  }
  bool damaged(int node) const { return nodes_[static_cast<size_t>(node)].damaged; }
  bool may_forget(int node) const { return nodes_[static_cast<size_t>(node)].may_forget; }
  // The start of a damaged node is judged, and shows this state. An error: the node forgot what it
  // had acknowledged, as nothing can detect; it is taken out of service.
  absl::Status start_settled(int node, const StateImage& state);
  // The same, of a sync of a file of the instance in `root`: ora.L11.
  void sync_failed(int node, std::string_view root, std::string what) {
    sync_.failed(node, root, std::move(what));
  }
  // The instance in `root` is about to be opened.
  void family_opening(int node, const std::string& root) { sync_.opening(node, root); }
  // That instance has answered a mutation; `given_up`: a publish that failed and changed nothing.
  void family_answered(int node, std::string_view root, bool ok, bool given_up) {
    if (sync_.answered(node, root, ok, given_up)) evaluated({oracle("ora.L11")});
  }
  // The process is gone. What it said, if it ended by itself.
  void stopped(int node, absl::StatusCode code, std::string_view error) {
    stop_.stopped(node, code, error);
  }
  // Instead of recovered(kAuthority): the node refused to start with this error. No family of this
  // build declares refusals that the crash levels of a run can produce. Returns whether a disk fault
  // explains it.
  bool start_failed(int node, absl::StatusCode code, std::string_view error);
  // The explained ends of all processes, for people.
  std::vector<std::string> ledger() const { return summary_of(stop_.ledger(), sink_); }

  // --- Storage: ora.L1 L2 L5 L9 L13, ora.D1 D3 D4 ----------------------------------------------

  // What the node starts with, before the first event: a fresh image, or its initial directory's.
  void seed(int node, const StateImage& state);
  // When the mutation is handed to the driver. Ids are unique among what is open. `tree`: of a
  // publish, tree_hash() of its writer if the caller can afford it; otherwise the first tree seen
  // counts.
  void mutation_issued(int node, uint64_t id, const families::Mutation& mutation,
                       std::optional<uint64_t> tree = std::nullopt);
  // When its completion is delivered, before the core hears of it.
  void mutation_acked(int node, uint64_t id, int64_t count);
  // What a family of the node was really asked to do, on this side: ora.D2, ora.D5. The ack of a
  // mutation says whether it was a dual write.
  void family_applied(int node, Side side, const DualOracle::Applied& mutation) {
    dual_.applied(node, static_cast<int>(side), mutation);
  }
  void lane_acked(int node, families::Lane lane, bool dual) {
    if (dual_.acked(node, lane, dual)) evaluated({oracle("ora.D2"), oracle("ora.D5")});
  }
  void mutation_failed(int node, uint64_t id, families::Outcome::Kind kind, int64_t count = 0);
  // After the crash or stop of a node whose driver is dual: the hard states that the two families
  // held when they were opened again, before reconciliation. Optional; D4 uses it.
  void dual_opened(int node, const families::HardState& a, const families::HardState& b);
  // After each open that follows a crash or stop, and after reconciliation, before serving: the
  // authority first, then, in a dual phase, the mirror. The ghost adopts the authority's state.
  void recovered(int node, Standing standing, const StateImage& state);
  // ora.L10. After a start, before serving: what the side shows, and what it would show after a
  // power cut right now.
  void shown(int node, Side side, const StateImage& live, const Probe& durable);
  // Instead of recovered(kAuthority): the family says that there is no instance.
  void opened_absent(int node);
  // Instead of recovered(kAuthority): the node refused to start, because its authority is volatile
  // and was lost in a crash. ora.L13: from now on it never serves again.
  void lost(int node, std::string_view error);
  // What a copy of the side's disk, with everything unsynced dropped, recovers to right now, or why
  // it does not. Any instant is legal; after an ack is the interesting one. Sides that owe nothing
  // are ignored.
  void durable_probe(int node, Side side, const Probe& durable);
  // mutation_acked() must have been called: probes both sides.
  void dual_ack(int node, const Probe& a, const Probe& b);
  // ora.L9: what the node's authority holds durably could not be read, so nothing could be judged.
  // ora.L13 for NotFound, unless nothing was acked.
  void unreadable(int node, const absl::Status& status) const;

  // --- Images and imports: ora.I1 I3 L14 -------------------------------------------------------

  // ora.I1: the image that the node has just written cannot be read.
  void image_unreadable(int node, const absl::Status& status) const {
    if (!damaged(node)) image_.unreadable(node, status);
  }
  // A whole image file; `at_cut`: the logical state of the source at its cut, if it is known.
  void exported(int node, std::string_view image, const StateImage* at_cut = nullptr) {
    evaluated({oracle("ora.I1")});
    if (may_forget(node)) return;
    image_.exported(node, image, at_cut);
  }
  // What the system said of a whole image file, damaged or not.
  void image_judged(int node, std::string_view image, bool accepted) {
    evaluated({oracle("ora.I3")});
    image_.judged(node, image, accepted);
  }
  // What opening the destination of an import says, now or after any crash. `image`: the state in
  // the image (decode_image). `found`: what the instance holds, when it says that it is complete.
  void import_opened(int node, ImportOpen open, const Probe& found, const StateImage& image) {
    evaluated({oracle("ora.L14")});
    if (open == ImportOpen::kComplete && excused(node, found)) return;
    import_.import_opened(node, open, found, image);
  }

  // --- Migration: ora.M1 M2 M3 M8 M11 ----------------------------------------------------------

  // The node was asked to migrate and begins. A-6: how many mutations may be acked, and how much
  // time may pass, between the validated cut and the cut-over of this migration.
  void migration_began(int node, uint64_t fresh_mutations, int64_t fresh_time_ns) {
    migration_.began(node, fresh_mutations, fresh_time_ns);
  }
  // The node writes the mark of the cut-over; phase_changed() follows when it is durable.
  void cutting_over(int node, int64_t now_ns) {
    nodes_[static_cast<size_t>(node)].damaged_since_opener = false;
    migration_.cutting_over(node, now_ns);
  }
  // `durable`: what the manifest says after a power loss right now, or why nothing can be read.
  void phase_changed(int node, const PhaseRecord& to, const absl::StatusOr<PhaseRecord>& durable);
  void phase_resumed(int node, const PhaseRecord& record);
  // After each start, when all of it is told and before anything is served: what a power cut would
  // leave of the phase.
  void relied_on(int node, const absl::StatusOr<PhaseRecord>& durable);
  // The node answers a peer or a client, or opens its core, from this side.
  void served(int node, Side side, uint64_t generation);
  // Fresh durable reads of both sides, when the node has called a cut equal; call it before
  // phase_changed(kCutoverValidated).
  void cut_validated(int node, uint64_t generation, const Probe& a, const Probe& b, int64_t now_ns);
  // The same when it has found A and B different where a catch-up ends, and takes itself back. It may
  // be that it could not read them.
  void catch_up_differs(int node, const Probe& a, const Probe& b);
  // The same right before phase_changed(kCutOver).
  void fenced(int node, uint64_t generation, const Probe& a, const Probe& b);

  // See MigrationOracle.
  void given_up(int node, Side side, const absl::Status& opened) {
    migration_.given_up(node, side, opened);
  }
  // `may_stop`: the plan lets the cluster stop meanwhile.
  void takes_risk(int node, const std::vector<bool>& up, bool may_stop);
  void roll_moves() {
    evaluated({oracle("ora.M8")});
    migration_.roll_moves(now_ns_);
  }
  void roll_waits(std::string reason) { migration_.roll_waits(std::move(reason)); }
  // Time has come so far. `calm`: all nodes are up, with the disk and the network that the plan
  // promises, and the plan's timing lets a cluster elect a leader. ora.M8, ora.C5.
  void look(int64_t now_ns, bool calm);

  // --- Raft: ora.R12 and R13; what a message of the node says as it leaves ---------------------

  void speaks_of_term(int node, int64_t term) {
    evaluated({oracle("ora.R13")});
    promise_.speaks_of_term(node, term, ghost(node));
  }
  void grants(int node, int64_t term, const std::string& candidate) {
    promise_.grants(node, term, candidate, ghost(node));
  }
  void confirms(int node, int64_t index, int64_t term) {
    promise_.confirms(node, index, term, ghost(node));
  }
  // A success of `follower` reaches the leader of this term, who takes it for this entry.
  void counted(int follower, int64_t leader_term, int64_t index, int64_t term) {
    evaluated({oracle("ora.R12")});
    promise_.counted(follower, leader_term, index, term, ghost(follower));
  }

  // --- Raft: ora.R1 to R7, R9, R11
  // ----------------------------------------------------------------------

  // `queued`: consecutive entries of its log that storage was not given yet; they replace what
  // storage has from the first of them on.
  void leader_elected(int node, int64_t term, std::span<const EntryDigest> queued = {});
  void vote_granted(int node, int64_t term, const std::string& candidate) {
    evaluated({oracle("ora.R2")});
    election_.vote_granted(node, term, candidate);
  }
  void term_observed(int node, int64_t term) {
    evaluated({oracle("ora.R3")});
    election_.term_observed(node, term);
  }
  // Each node, each index, as its commit index passes it. `commit_term`: its current term.
  void committed(int node, const EntryDigest& entry, int64_t commit_term);
  // `node` declared it committed. `holders`: nodes whose disk, with everything unsynced dropped,
  // holds the entry (StateImage::holds).
  void commit_probe(int node, int64_t index, int64_t term, std::span<const int> holders);
  // The node's commit index is `index` now, of an entry of `term`, and the node is in `node_term`.
  void commit_advanced(int node, int64_t index, int64_t term, int64_t node_term) {
    apply_.committed(node, index);
    log_.commit_advanced(node, index, term, node_term);
  }
  // The state machine was loaded at this index, by a start (0: empty) or an installed snapshot.
  void loaded(int node, int64_t index, uint64_t state_hash) {
    if (index > 0) evaluated({oracle("ora.R9")});
    apply_.loaded(node, index, state_hash);
  }
  void applied(int node, int64_t index, uint64_t state_hash) {
    evaluated({oracle("ora.R6"), oracle("ora.R11")});
    apply_.applied(node, index, state_hash);
  }

  // --- Clients: ora.C1 C2 C5 -------------------------------------------------------------------

  void invoked(uint64_t operation, const Command& command);
  void completed(uint64_t operation, const Response& response);

  // Instead of completed(): the answer does not decode.
  void garbled(uint64_t operation, const absl::Status& why) { history_.garbled(operation, why); }

  // At the end of the run: judges the client history.
  void finish();

  // How often each of kOracles was evaluated: one that never was has not held.
  const std::array<uint64_t, kOracleCount>& evaluations() const { return evaluations_; }

  const GhostState& ghost(int node) const { return ghosts_[static_cast<size_t>(node)]; }
  // The configuration in force, as the node's acked log has it.
  families::Configuration configuration(int node) const { return log_.in_force(ghost(node)); }

 private:
  struct Node {
    bool append_prefix = false;
    bool authority_recovered = false;  // for the mirror to be compared with
    bool starting = false;             // until start_settled() or start_failed()
    bool damaged = false;
    bool damaged_since_opener = false;  // since B was opened again for the cut-over
    bool may_forget = false;
    bool lost = false;
    std::vector<Complaint> known;  // of what it showed last, as far as it was reported
  };

  void report(int node, std::optional<Complaint> complaint);
  // Damage explains that a probe of the node failed or shows this state: an error tells of it, and
  // what may forget shows what was true once.
  bool excused(int node, const Probe& found) const;
  // Of a damaged node: what it owes, in place of a probe that is excused.
  Probe unless_excused(int node, const Probe& found) const;
  // What the authority shows, or would show after a power loss.
  void judge_state(int node, const StateImage& state);
  void absent(int node, std::string_view found) const;
  void evaluated(std::initializer_list<size_t> oracles) {
    for (const size_t index : oracles) ++evaluations_[index];
  }

  FindingSink sink_;
  std::array<uint64_t, kOracleCount> evaluations_{};
  std::vector<Node> nodes_;
  std::vector<GhostState> ghosts_;
  DualOracle dual_;
  ImageOracle image_;
  ImportOracle import_;
  MigrationOracle migration_;
  ElectionOracle election_;
  LogOracle log_;
  PromiseOracle promise_;
  StopOracle stop_;
  SyncOracle sync_;
  ApplyOracle apply_;
  ClientHistory history_;
  ServiceOracle service_;
  int64_t now_ns_ = 0;
  int64_t calm_since_ns_ = 0;
};

}  // namespace qk::sim
