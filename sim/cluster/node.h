// SimNode: one machine of the cluster. Its disk outlives every process that runs on it; a process
// is the migration controller, the Raft node and the state machine on top of the disk's file
// system.
//
// Time. Storage calls run at once and end when the disk says; everything that waits for storage is
// an event at that instant. A controller step under a barrier blocks the whole process until its
// disk operations are done: what arrives meanwhile is handled afterwards, as in a process whose
// only thread sits in fsync.
//
// A crash takes the process away as an event of its own: handles die first, then the engines are
// destroyed, so that nothing they do on the way out reaches the disk that survives.
//
// Memory. What a volatile family keeps belongs to the machine: a process that stops in good
// order leaves it to the next one, any other end of a process takes it away. A node whose authority
// is lost so stays down for good.
//
// The node also feeds the checker, with what it sees of itself and with probes: copies of its disk
// on which everything unsynced is lost at once. A volatile family owes such a disk nothing; it is
// asked what it holds instead.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "families/contract/volatile_memory.h"
#include "migration/runner.h"
#include "sim/cluster/state_machine.h"
#include "sim/cluster/world.h"
#include "sim/disk/sim_disk.h"
#include "sim/raft/node.h"

namespace qk::sim {

class SimNode final : private migration::RunnerHost, private migration::RunnerObserver {
 public:
  SimNode(const World& world, NodeId id, const NodePlan& plan);
  ~SimNode() override;

  NodeId id() const { return id_; }
  const std::string& name() const { return plan_->id; }
  const std::string& peer() const { return plan_->peer; }
  // Of the plan's migrations, by position: the last that this node was asked to begin and that said
  // yes, and the last that it has accepted.
  std::optional<size_t> begun_migration() const { return begun_migration_; }
  std::optional<size_t> accepted_migration() const { return accepted_migration_; }
  // The store that it is on: where the last accepted migration led.
  const std::string& store() const;

  // The first start; the ghost is seeded from what the disk holds.
  void boot_first();
  // Runs, and speaks: a start that is still opening or repairing its families is not up.
  bool up() const { return raft() != nullptr && !stopping_; }
  // Runs at all: it can be crashed.
  bool running() const { return process_ != nullptr && !stopping_; }
  bool leads() const;
  SimDisk& disk() { return disk_; }
  migration::Controller* controller() const;
  raft::Node* raft() const;
  migration::Phase last_phase() const { return phase_; }
  PhaseCode phase_code() const;
  // Why it entered the phase, if its manifest says so.
  const std::string& phase_reason() const { return manifest_.reason; }
  bool migrating() const;
  // Counts every entry into a phase, so that a stay in one can be told from the next.
  uint64_t phase_entries() const { return phase_entries_; }

  void crash(CrashLoss loss, Nanos restart_after, bool scheduled);
  // Stops the process in good order and starts it again.
  void planned_restart(Nanos down_for);
  void slow_disk(uint32_t factor);
  bool is_slow() const { return slow_factor_ != 1; }
  // `answered` is called once, with Raft's answer, or never if the process goes down first.
  void transfer_leadership(SimNode& to, std::function<void(const absl::Status&)> answered);

  // `done` is called once, or never if the process goes down first.
  void propose(std::string payload, std::function<void(absl::StatusOr<std::string>)> done);
  void deliver(const std::string& from_peer, const NetMessage& message);

  // `migration`: which of the plan's it is.
  absl::Status request_migration(const migration::MigrationRequest& request, size_t migration);
  absl::Status request_validation();
  absl::Status request_cutover();
  absl::Status request_accept();
  absl::Status request_retire();

  // What side A or B would recover to if the power failed now and nothing unsynced survived; of a
  // volatile family, what it holds.
  Probe durable_state(migration::Side side) const;
  // Whether the authority counts for a majority that holds this entry (ora.R7). A crash of the node
  // takes nothing back of what a volatile one answered before.
  bool holds_durably(int64_t index, int64_t term) const;
  // Whether the machine has it at all: unlike the above, not what a crash took from a volatile
  // family.
  bool still_holds(int64_t index, int64_t term) const;
  migration::Side authority() const { return authority_; }

 private:
  class Process;

  // migration::RunnerHost
  void after(int64_t ns, std::function<void()> then) override;
  void at_barrier(std::function<void()> then) override;
  void release_barrier() override;
  void after_storage(std::function<void()> then) override;
  void when_idle(std::function<void()> then) override { after_storage(std::move(then)); }
  void stop(const absl::Status& why) override;

  // migration::RunnerObserver
  void phase_changed(migration::Phase from, const migration::Manifest& to) override;
  void cut_compared(int which, const migration::CutRecord& a, const Digest& b) override;
  void export_begun() override;
  void mark_durable(migration::Phase from, const migration::Manifest& to) override;
  void step_complete() override { world_.events->migration_progressed(*this); }
  void storage_used() override { world_.events->disk_advanced(*this); }

  absl::Status request(const std::function<absl::Status(migration::Controller&)>& ask);

  // What the node goes by from now on.
  void adopt(const migration::Manifest& manifest);
  void install_initial_tree();
  // Of one side, on this file system.
  std::string place_of(const std::string& path) const;
  families::OpenRequest open_request(migration::Side side, families::FileSystem* fs) const;
  void start_process();
  void open_families();
  bool judge_start();
  void go_live();
  // `error`: what the process said, if it ends by itself.
  void stop_process(Nanos restart_after, bool scheduled, std::string_view error);
  void end_process(CrashLevel level, Choice& choice);
  void schedule_start(Nanos after, bool scheduled);
  void report_start_failure(const absl::Status& status);
  bool is_volatile(const migration::Instance& instance) const;
  void lose_memory();
  void judge_import();
  void judge_image();

  // Runs `fn` now, or when the process is no longer blocked by a controller step.
  void when_free(std::function<void()> fn);
  // After whatever may have used the disk.
  void touch_disk();
  // Nothing begins any more in this process; its end is an event of its own.
  void begin_to_stop();
  void record_phase(PhaseCode code, const migration::Manifest& manifest, std::string_view text);
  void probe_ack(families::Operation operation);

  World world_;
  NodeId id_;
  const NodePlan* plan_;
  SimDisk disk_;
  families::VolatileMemory memory_;
  const families::Registry registry_;
  // For copies of the disk in machines that have just been switched on.
  families::VolatileMemory no_memory_{0};
  const families::Registry cold_registry_;
  bool memory_lost_ = false;        // since the last start that succeeded
  bool needs_lost_memory_ = false;  // this start does
  RandomStream election_random_;
  RandomStream id_random_;
  RandomStream probe_random_;
  uint64_t probed_entry_ = UINT64_MAX;  // the phase_entries_ at the last probe of an ack
  uint64_t choices_ = 0;

  uint64_t life_ = 0;  // of the process; callbacks of an earlier life do nothing
  std::unique_ptr<families::FileSystem> fs_;
  std::unique_ptr<Process> process_;
  bool stopping_ = false;
  uint32_t slow_factor_ = 1;
  bool created_ = false;

  migration::Phase phase_ = migration::Phase::kIdle;
  migration::Manifest manifest_;     // as last announced
  migration::FamilyConfig initial_;  // what the node began with
  std::optional<size_t> begun_migration_;
  std::optional<size_t> accepted_migration_;
  migration::Side authority_ = migration::Side::kA;
  uint64_t phase_entries_ = 0;
  bool blocked_ = false;  // by a controller step under a barrier
  std::deque<std::function<void()>> waiting_;

  std::optional<StateImage> cut_state_;  // of the export under way
};

}  // namespace qk::sim
