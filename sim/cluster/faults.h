// FaultInjector: applies the plan's faults when their triggers come true. A scheduled fault that
// never fired is reported by its line, and so is a kind of random fault of which none came, so that
// a scenario cannot rot into an empty pass. What was injected can be written down.
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/cluster/world.h"

namespace qk::sim {

class FaultInjector {
 public:
  FaultInjector(const World& world, std::vector<SimNode*> nodes);

  // `end`: of the run. What would happen at that instant or later does not happen.
  void start(Nanos end);

  // Another future (RunOptions::turn) begins: of what has not come yet, what crashes leave is not
  // decided any more, and drawn faults come at other times, to other nodes.
  void draw_again(Nanos end);

  // Notifications of the cluster; triggers are judged here.
  void phase_entered(SimNode& node, PhaseCode from, PhaseCode to);
  void migration_progressed(SimNode& node);
  void disk_advanced(SimNode& node);
  void commit_advanced(int64_t index);

  // "rolling.qks.txtpb:37: n2:EXPORT@50% never fired", one line per fault that did not.
  std::vector<std::string> unfired() const;

  // The plan's faults with their targets as they were found and what crashes left, in the plan's
  // order, without the drawn ones that had no effect.
  std::vector<FaultPlan> injected() const;
  // Crashes that could not leave what their decision asks for: "rolling.qks.txtpb:40: crash of n2:
  // /node/db write 3 is not pending".
  std::vector<std::string> undecided() const;

  // Kinds of random fault that the plan asks for: one phrase for each kind of which none was
  // injected, "crash (mean_time_to_crash 600.000s)".
  struct Undrawn {
    std::vector<std::string> kinds;
    bool all = false;  // there are such kinds, and nothing of any of them was injected
  };
  Undrawn undrawn() const;

 private:
  struct Armed {
    const FaultPlan* plan = nullptr;
    FaultPlan injected = {};  // as it took effect
    std::string undecided = {};
    bool fired = false;
    bool due = false;           // its trigger came true; what comes of it is not decided yet
    std::string why = {};       // it had no effect when its time came
    std::string traced = {};    // the reason that the trace has; one that is tried again has many
    uint32_t seen = 0;          // entries (exits) of the phase so far
    SimNode* node = nullptr;    // who made the trigger come true
    bool waiting = false;       // offset or disk operation still to come
    uint64_t entry = 0;         // which stay of the node in the phase is meant
    EventId timer = {};         // of a fault that comes at a time
    SimNode* target = nullptr;  // of a disk error that waits for its operation, or for a call
    uint64_t disk_fault = 0;    // SimDisk::add_fault()
    uint64_t from = 0;          // the operation of the disk that it begins with
  };

  bool matches(const std::string& selector, const SimNode& node) const;
  void enter(Armed& fault, SimNode& node);
  void fire(Armed& fault);
  // The node that a selector names when the fault fires; null: none.
  SimNode* resolve_one(const std::string& selector, const Armed& fault) const;
  // It is reported as never fired.
  void has_no_effect(Armed& fault, std::string why);
  void apply(const CrashFault& crash, Armed& fault);
  void apply(const PartitionFault& partition, Armed& fault);
  void apply(const SlowDiskFault& slow, Armed& fault);
  void apply(const TransferFault& transfer, Armed& fault);
  void apply(const HealFault& heal, Armed& fault);
  void apply(const RollbackFault& rollback, Armed& fault);
  void apply(const DiskErrorFault& error, Armed& fault);
  void arm(const DiskErrorFault& error, Armed& fault, uint64_t from);
  void damage(SimNode& node, Armed& fault);
  // "", or why the fault budget has nothing left for damage to this node (damage_budget()).
  std::string over_budget(const SimNode& node) const;
  void begin_partition(const std::vector<std::vector<NodeId>>& sides, bool asymmetric,
                       std::optional<Nanos> duration);

  World world_;
  std::vector<SimNode*> nodes_;
  std::vector<Armed> faults_;
  std::deque<FaultPlan> drawn_again_;
  std::set<NodeId> damaged_;  // or about to be
};

}  // namespace qk::sim
