// Witness: all that oracles and trace are told of one node. It sees what the Raft node and the
// migration's runner do, as their observer, and what is on the disk, with probes: copies of it on
// which everything unsynced is lost at once. A volatile family owes such a disk nothing; it is
// asked what it holds instead.
//
// What the node counts as being (its phase, its authority) is what it has announced: a mark counts
// from the moment on at which no crash can take it back.
//
// Nothing here changes what the node does. Only at a start it says what a crash took away.
#pragma once

#include <bitset>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "migration/runner.h"
#include "sim/cluster/family_watch.h"
#include "sim/cluster/machine.h"
#include "sim/cluster/message_watch.h"
#include "sim/raft/node.h"

namespace qk::sim {

class Witness final : public raft::NodeObserver, public migration::RunnerObserver {
 public:
  Witness(SimNode& node, const World& world, NodeId id, const NodePlan& plan, Machine& machine);

  // ---- What was announced
  const migration::Manifest& manifest() const { return manifest_; }
  migration::Phase phase() const { return manifest_.phase; }
  // How often the mark of an export was begun, durable or not: the cut is captured next.
  uint64_t exports_marked() const { return exports_marked_; }
  migration::Side authority() const { return manifest_.authoritative; }
  // Counts every entry into a phase, so that a stay in one can be told from the next.
  uint64_t phase_entries() const { return phase_entries_; }
  // Of the plan's migrations, by position: the last that this node was asked to begin and that said
  // yes, and the last that it has accepted.
  std::optional<size_t> begun_migration() const { return begun_migration_; }
  std::optional<size_t> accepted_migration() const { return accepted_migration_; }
  void migration_begun(size_t migration);

  // ---- A start
  // Whether a start has succeeded before.
  bool seen() const { return seen_; }
  // What a reader of the disk finds before anything is repaired.
  void process_begins(families::FileSystem& fs);
  // The storage is open.
  void opened(const migration::Manifest& manifest);
  // What the start has made of the disk; an error if it cannot be read.
  absl::Status judge_start();
  // The trace shows the phase that the node starts in, after those that the start went through.
  void goes_live();
  // A refusal to start is itself a finding: after a crash recovery must succeed (no family of this
  // build declares refusals that the simulated levels produce), and after any other end even more
  // so. A volatile family whose machine crashed must refuse: that the node stays down is what A-11
  // asks.
  // Returns whether a disk fault explains it.
  bool start_failed(const absl::Status& status);
  void disk_struck(const DiskCall& call, const DiskStrike& strike);
  void disk_damaged(const DiskFault& fault);
  // Damage to the file may read as another value, as its family declares; or to a file of no family.
  bool is_unchecked(std::string_view path) const;
  // Damage to the file may take something back that the file was told last, at least.
  bool is_undetectable(std::string_view path) const;

  // ---- An end
  void crashed(CrashLoss loss, bool scheduled, const CrashReport& report);
  // ora.L14: whatever a crash left of an import must not open as a whole instance that it is not,
  // nor say that it is one and then not open. (A volatile instance is lost whatever its directory
  // says.)
  void judge_import();
  void stopped(absl::StatusCode code, std::string_view why);

  // ---- Probes
  // See SimNode.
  Probe durable_state(migration::Side side) const;
  // Of an instance that lies on the disk.
  Probe durable_state_of(const migration::Instance& instance) const;
  bool holds_durably(int64_t index, int64_t term) const;

  // Draws of its random stream so far.
  uint64_t draws() const { return probe_random_.draws(); }
  // As probe_thinning(), of all that lies on the node's disk: a family may keep far more than the log
  // that it holds, such as a segment whose entries are all but gone.
  uint64_t probe_thinning_by_bytes() const;
  // ---- What crosses the borders of the process
  void family_applied(const std::string& root, const AppliedMutation& mutation);
  void family_opening(const std::string& root) { world_.checker->family_opening(index(), root); }
  void packet_sent(NodeId to, const raft::Packet& packet);
  void packet_arrived(NodeId from, const raft::Packet& packet);
  // The Raft node has started: the state machine is loaded.
  void raft_started();

  // For the trace: what the message that is being sent speaks of.
  void label(NetMessage* message);

 private:
  // raft::NodeObserver
  void role_changed(raft::Role role, int64_t term, const raft::Reason& why) override;
  void timer_fired(raft::Timer timer) override;
  void term_changed(int64_t term) override;
  void vote_granted(int64_t term, const std::string& candidate) override;
  void leader_started(int64_t term, const families::LogId& last) override;
  void mutation_issued(uint64_t id, const families::Mutation& mutation) override;
  void mutation_completed(uint64_t id, const families::Outcome& outcome) override;
  void message_sent(const std::string& to, const raft::Packet& packet,
                    const raft::Message* message) override;
  void committed(int64_t index, int64_t term) override;
  void applied(const families::LogEntry& entry) override;
  void snapshot_published(const families::SnapshotMeta& meta) override;
  void snapshot_installed(const families::SnapshotMeta& meta) override;
  void failed(const absl::Status& status) override;

  // migration::RunnerObserver
  void mark_begun(migration::Phase from, const migration::Manifest& to) override;
  void cut_compared(int which, const migration::CutRecord& a, const Digest& b) override;
  void export_begun() override;
  void mark_durable(migration::Phase from, const migration::Manifest& to) override;
  void step_begins(bool at_barrier) override;
  void background_done(const families::Family& family) override;
  void step_complete() override;
  void storage_used() override;
  void reconciled(const std::string& action) override;

  MessageWatch::Self self() const;
  void adopt(const migration::Manifest& manifest);
  void tell_families() const;
  void judge_hard_states(const migration::Manifest& found);
  void record_phase(PhaseCode code, const migration::Manifest& manifest, std::string_view text);
  void record_step(MigStep step, std::string_view text = {});
  void enter(PhaseCode from, PhaseCode to, const migration::Manifest& manifest);
  // What a power cut would leave; of a disk that may forget, what is read now: what a cut takes from
  // that one is nobody's fault.
  SimDisk durable_disk() const;
  // What the family of its instance declares of the file; null: nothing.
  const families::UncheckedPath* unchecked(std::string_view path) const;
  void damaged(bool may_forget, absl::StatusCode code, std::string what);
  void probe_ack(families::Operation operation);
  void judge_image();
  void judge_catch_up();
  void judge_fence(migration::Side side, families::FileSystem& after_power_cut);
  Event event(EventKind kind) const { return {.node = id_, .kind = kind}; }
  int index() const { return id_ - 1; }

  SimNode& node_;
  World world_;
  NodeId id_;
  Machine& machine_;
  RandomStream probe_random_;

  migration::Manifest manifest_;  // as last announced
  uint64_t phase_entries_ = 0;
  uint64_t exports_marked_ = 0;
  std::optional<size_t> begun_migration_;
  std::optional<size_t> accepted_migration_;
  bool seen_ = false;
  bool needs_lost_memory_ = false;       // this start does
  bool may_forget_ = false;              // its disk holds damage that no family can detect
  bool torn_ = false;                    // a crash tore a write since the last start that succeeded
  uint64_t shrinks_ = 0;                 // of files, before this start
  uint64_t probed_entry_ = UINT64_MAX;   // the phase_entries_ at the last ack
  std::bitset<8> probed_kinds_;          // operations that were probed since
  uint64_t passed_over_[2] = {0, 0};     // probes of appends, of other mutations
  std::optional<StateImage> cut_state_;  // of the export under way

  // Of the present process.
  struct OpenMutation {
    families::Operation operation;
    Nanos issued;
    uint64_t event;
  };
  std::map<uint64_t, OpenMutation> open_;
  MessageWatch messages_;
  raft::Role role_ = raft::Role::kFollower;
  uint64_t message_term_ = 0;
  uint64_t message_index_ = 0;
};

PhaseCode code_of(migration::Phase phase);

// How many times less often than in a short log a node is probed that owes this one.
uint64_t probe_thinning(const StateImage& acked);
// Of probes that come one time in `every`, at least one, it is enough to do one in so many, where one in
// `every_by_bytes` is what the bytes on the disk allow. Counted, not drawn: how often there is a probe
// changes nothing of a run.
inline bool passes_over(uint64_t every, uint64_t every_by_bytes, uint64_t* passed_over) {
  if (++*passed_over * every < every_by_bytes) return true;
  *passed_over = 0;
  return false;
}

}  // namespace qk::sim
