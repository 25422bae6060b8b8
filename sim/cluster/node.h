// SimNode: one node of the cluster, as the operator, the faults and the clients see it. It has
// three parts, and itself only decides when a process begins and ends:
//
//   Machine   what outlives every process: disk, memory of volatile families (machine.h)
//   Process   what runs between two starts: controller, Raft, replicated state (process.h)
//   Witness   what oracles and trace are told (witness.h)
//
// A crash takes the process away as an event of its own: handles die first, then the engines are
// destroyed, so that nothing they do on the way out reaches the disk that survives.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sim/cluster/machine.h"
#include "sim/cluster/process.h"
#include "sim/cluster/witness.h"

namespace qk::sim {

class SimNode final {
 public:
  SimNode(const World& world, NodeId id, const NodePlan& plan);

  NodeId id() const { return id_; }
  const std::string& name() const { return plan_.id; }
  const std::string& peer() const { return plan_.peer; }
  // See Witness.
  std::optional<size_t> begun_migration() const { return witness_.begun_migration(); }
  std::optional<size_t> accepted_migration() const { return witness_.accepted_migration(); }
  // The store that it is on: where the last accepted migration led.
  const std::string& store() const;

  // The first start; the ghost is seeded from what the disk holds.
  void boot_first();
  // Runs, and speaks: a start that is still opening or repairing its families is not up.
  bool up() const { return raft() != nullptr && running(); }
  // Runs at all: it can be crashed.
  bool running() const { return process_ != nullptr && !process_->stopping(); }
  bool leads() const { return up() && raft()->role() == raft::Role::kLeader; }
  SimDisk& disk() { return machine_.disk(); }
  migration::Controller* controller() const { return process_ ? process_->controller() : nullptr; }
  raft::Node* raft() const { return process_ ? process_->raft() : nullptr; }
  migration::Phase last_phase() const { return witness_.phase(); }
  PhaseCode phase_code() const { return code_of(witness_.phase()); }
  // Why it entered the phase, if its manifest says so.
  const std::string& phase_reason() const { return witness_.manifest().reason; }
  bool migrating() const;
  uint64_t phase_entries() const { return witness_.phase_entries(); }

  // `crash.node` is this one. `crashed` is told what was left.
  void crash(const CrashFault& crash, bool scheduled,
             std::function<void(const CrashReport&)> crashed);
  // Stops the process in good order and starts it again.
  void planned_restart(Nanos down_for);
  void slow_disk(uint32_t factor);
  bool is_slow() const { return machine_.is_slow(); }
  // Completes a fault of bytes at rest: which file, which byte, which bits. Of what the family of an
  // instance cannot check at all (UncheckedPath::bytes) it draws nothing: what that reads as is not
  // this node's fault, and would spread. False: nothing matches.
  bool aim_damage(DiskFault* fault, RandomStream* random) const;
  // False: there is no such byte.
  bool damage_disk(const DiskFault& fault);
  bool memory_lost() const { return machine_.memory_lost(); }
  // `answered` is called once, with Raft's answer, or never if the process goes down first.
  void transfer_leadership(SimNode& to, std::function<void(const absl::Status&)> answered);

  // RB1; `answered` as above. Asked of a node that is up.
  void request_rollback(std::string reason, std::function<void(const absl::Status&)> answered);

  // `done` is called once, or never if the process goes down first.
  void propose(std::string payload, std::function<void(absl::StatusOr<std::string>)> done);

  // `migration`: which of the plan's it is.
  absl::Status request_migration(const migration::MigrationRequest& request, size_t migration);
  absl::Status request_validation();
  absl::Status request_cutover();
  absl::Status request_accept();
  absl::Status request_retire();

  uint64_t probe_thinning_by_bytes() const { return witness_.probe_thinning_by_bytes(); }
  // What side A or B would recover to if the power failed now and nothing unsynced survived; of a
  // volatile family, what it holds.
  Probe durable_state(migration::Side side) const { return witness_.durable_state(side); }
  // Whether the authority counts for a majority that holds this entry (ora.R7). A crash of the node
  // takes nothing back of what a volatile one answered before.
  bool holds_durably(int64_t index, int64_t term) const {
    return witness_.holds_durably(index, term);
  }
  // Whether the machine has it at all: unlike the above, not what a crash took from a volatile
  // family.
  bool still_holds(int64_t index, int64_t term) const;
  migration::Side authority() const { return witness_.authority(); }

  // How much each of its random streams has drawn.
  void tell_draws(const Machine::DrawSink& sink) const;

  // ---- For its parts
  // The process can go on no longer; an operator brings it back later.
  void fail(const absl::Status& status);
  families::FileSystem& fs() const { return process_->fs(); }
  uint64_t state_hash() const { return process_->state_hash(); }

 private:
  absl::Status request(const std::function<absl::Status(migration::Controller&)>& ask);
  void start_process();
  void go_live();
  void refuse_to_start(const absl::Status& status);
  // `error`: what the process said, if it ends by itself.
  void stop_process(Nanos restart_after, bool scheduled, const absl::Status& error);
  void come_back(Nanos after, bool scheduled, bool make_space);

  World world_;
  NodeId id_;
  const NodePlan& plan_;
  Machine machine_;
  Witness witness_;
  uint64_t choices_ = 0;
  std::unique_ptr<Process> process_;
};

}  // namespace qk::sim
