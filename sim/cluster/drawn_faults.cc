// expand_random(): what the seed draws of faults, before the run.
#include <iterator>

#include "sim/cluster/plan.h"
#include "sim/kernel/random.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

// Calls `draw` for each instant that a stream draws before `end`. Gaps are uniform in [1, 2 *
// mean]: no logarithm, so no floating point.
template <typename Draw>
void for_each_instant(RandomStream* random, Nanos mean, Nanos end, Draw draw) {
  if (mean == 0) return;
  for (Nanos t = random->between(1, 2 * mean); t < end; t += random->between(1, 2 * mean)) draw(t);
}

// A start takes about so long: a crash within it is one in a recovery.
constexpr Nanos kRecoveryLasts = 25 * kMillisecond;
// So many crashes in a row, at most, hit one node as it starts.
constexpr uint32_t kMaxAgain = 3;

FaultPlan drawn_at(Nanos t) {
  FaultPlan fault;
  fault.at.time = t;
  fault.at.text = cat(seconds_text(t, 9), "s");
  fault.where = "random";
  fault.drawn = true;
  fault.may_miss = true;
  return fault;
}

// Most often a call fails; sometimes the disk is full for a while, or a change is very late.
DiskFault drawn_disk_fault(RandomStream* random) {
  DiskFault fault;
  const uint64_t kind = random->below(8);
  const uint64_t access = random->below(8);
  fault.applied = static_cast<DiskApplied>(random->below(3));
  fault.nth = 1 + random->below(6);
  if (kind == 0) {
    fault.kind = DiskFaultKind::kDiskFull;
    fault.free = random->below(16) * 4096;
    fault.nth = 1;
    fault.times = 0;
  } else if (kind == 1) {
    constexpr DiskAccess kLate[] = {DiskAccess::kWrite, DiskAccess::kSync};
    fault.kind = DiskFaultKind::kStall;
    fault.access = kLate[access % 2];
    fault.applied = DiskApplied::kNothing;
    fault.stall = random->between(50 * kMillisecond, 2 * kSecond);
  } else {
    constexpr DiskAccess kFailing[] = {DiskAccess::kSync, DiskAccess::kSync,  DiskAccess::kSync,
                                       DiskAccess::kRead, DiskAccess::kWrite, DiskAccess::kWrite,
                                       DiskAccess::kOpen, DiskAccess::kRename};
    fault.access = kFailing[access];
  }
  return fault;
}

// What decides whether a random fault hits the node that matters just then. Draws of its own, and
// none if nothing is aimed.
class Aim {
 public:
  explicit Aim(const Plan& plan) : random_(plan.seed, "fault.aim"), ppm_(plan.random.aimed_ppm) {}
  // A selector; empty: no particular node.
  std::string draw() {
    if (ppm_ == 0 || !random_.chance_ppm(ppm_)) return "";
    return random_.below(2) == 0 ? "@leader" : "@migrating";
  }

 private:
  RandomStream random_;
  uint32_t ppm_;
};

void draw_crashes(Plan* plan, Nanos end, Aim* aim) {
  const RandomFaultPlan& random = plan->random;
  const std::vector<NodePlan>& nodes = plan->cluster.nodes;
  RandomStream crashes(plan->seed, "fault.crash");
  RandomStream again(plan->seed, "fault.crash.again");
  for_each_instant(&crashes, random.mean_time_to_crash, end, [&](Nanos t) {
    CrashFault crash;
    crash.node = nodes[crashes.below(nodes.size())].id;
    crash.loss = static_cast<CrashLoss>(crashes.below(5));
    crash.restart_after = crashes.between(random.restart_after.low, random.restart_after.high);
    crash.max_others_down = random.max_concurrent_down;
    const auto add = [&] {
      FaultPlan fault = drawn_at(t);
      fault.what = crash;
      plan->faults.push_back(std::move(fault));
    };
    if (std::string selector = aim->draw(); !selector.empty()) {
      crash.node = std::move(selector);
      return add();
    }
    add();
    for (uint32_t i = 0; i < kMaxAgain && again.chance_ppm(random.crash_again_ppm); ++i) {
      t += crash.restart_after + again.between(1, kRecoveryLasts);
      crash.loss = static_cast<CrashLoss>(again.below(5));
      crash.restart_after = again.between(random.restart_after.low, random.restart_after.high);
      if (t >= end) return;
      add();
    }
  });
}

void draw_partitions(Plan* plan, Nanos end, Aim* aim) {
  const RandomFaultPlan& random = plan->random;
  const std::vector<NodePlan>& nodes = plan->cluster.nodes;
  RandomStream partitions(plan->seed, "fault.partition");
  for_each_instant(&partitions, random.mean_time_to_partition, end, [&](Nanos t) {
    FaultPlan fault = drawn_at(t);
    PartitionFault partition;
    partition.sides.resize(2);
    const size_t alone = partitions.below(nodes.size());
    for (size_t i = 0; i < nodes.size(); ++i) {
      partition.sides[i == alone ? 0 : 1].push_back(nodes[i].id);
    }
    partition.asymmetric = partitions.below(4) == 0;
    // One side alone is cut off from everybody else.
    if (std::string selector = aim->draw(); !selector.empty()) {
      partition.sides = {{std::move(selector)}};
    }
    fault.duration = partitions.between(random.partition_for.low, random.partition_for.high);
    fault.what = std::move(partition);
    plan->faults.push_back(std::move(fault));
  });
}

// To a node of the plan, to the one that migrates, or away from whoever leads.
void draw_transfers(Plan* plan, Nanos end) {
  const std::vector<NodePlan>& nodes = plan->cluster.nodes;
  RandomStream transfers(plan->seed, "fault.transfer");
  for_each_instant(&transfers, plan->random.mean_time_to_transfer, end, [&](Nanos t) {
    const std::string to[] = {nodes[transfers.below(nodes.size())].id, "@migrating", "@follower"};
    FaultPlan fault = drawn_at(t);
    fault.what = TransferFault{to[transfers.below(std::size(to))]};
    plan->faults.push_back(std::move(fault));
  });
}

// What becomes of the bytes of a failed sync while the machine runs. Draws of its own, and none if it is off.
void draw_eviction(RandomStream* random, uint32_t ppm, DiskFault* fault) {
  const bool sync = fault->kind == DiskFaultKind::kIoError && fault->access == DiskAccess::kSync;
  if (ppm == 0 || !sync || !random->chance_ppm(ppm)) return;
  fault->reverts = random->below(3) == 0;
  if (!fault->reverts) fault->evict_after = random->between(0, kSecond);
}

void draw_disk_errors(Plan* plan, Nanos end) {
  const RandomFaultPlan& random = plan->random;
  const std::vector<NodePlan>& nodes = plan->cluster.nodes;
  RandomStream disks(plan->seed, "fault.disk");
  RandomStream evictions(plan->seed, "fault.evict");
  for_each_instant(&disks, random.mean_time_to_disk_error, end, [&](Nanos t) {
    FaultPlan fault = drawn_at(t);
    DiskErrorFault error;
    error.node = nodes[disks.below(nodes.size())].id;
    error.fault = drawn_disk_fault(&disks);
    draw_eviction(&evictions, random.failed_sync_evicts_ppm, &error.fault);
    error.max_others_down = random.max_concurrent_down;
    // Not longer than it draws: what nothing has met by then does not come after `quiet_after`.
    fault.duration = disks.between(200 * kMillisecond, 2 * kSecond);
    fault.what = std::move(error);
    plan->faults.push_back(std::move(fault));
  });
}

// Each kind from a stream of its own. What is hit is drawn from what is there when the time comes.
void draw_damage(Plan* plan, Nanos end) {
  const std::vector<NodePlan>& nodes = plan->cluster.nodes;
  for (size_t i = 0; i < kDiskFaultKinds; ++i) {
    const auto kind = static_cast<DiskFaultKind>(i);
    if (!is_damage(kind)) continue;
    RandomStream damages(plan->seed, cat("fault.damage.", i));
    for_each_instant(&damages, plan->random.mean_time_to_damage[i], end, [&](Nanos t) {
      FaultPlan fault = drawn_at(t);
      DiskErrorFault damage;
      damage.node = nodes[damages.below(nodes.size())].id;
      damage.fault.kind = kind;
      const uint64_t how = damages.below(8);
      if (kind == DiskFaultKind::kBitFlip) {
        damage.fault.damage = how == 0   ? DiskDamage::kZeros
                              : how == 1 ? DiskDamage::kGarbage
                                         : DiskDamage::kBits;
      } else if (!is_at_rest(kind)) {
        damage.fault.evicted = kind != DiskFaultKind::kFsyncLie && how % 2 == 0;
        damage.fault.nth = 1 + damages.below(6);
        fault.duration = damages.between(200 * kMillisecond, 2 * kSecond);
      }
      // A cache that lies does so for a while.
      if (kind == DiskFaultKind::kFsyncLie) damage.fault.times = how == 0 ? 0 : how;
      fault.what = std::move(damage);
      plan->faults.push_back(std::move(fault));
    });
  }
}

void draw_rollbacks(Plan* plan, Nanos end) {
  RandomStream rollbacks(plan->seed, "fault.rollback");
  for_each_instant(&rollbacks, plan->random.mean_time_to_rollback, end, [&](Nanos t) {
    FaultPlan fault = drawn_at(t);
    fault.what = RollbackFault{"@migrating"};
    plan->faults.push_back(std::move(fault));
  });
}

}  // namespace

void expand_random(Plan* plan, Nanos end) {
  if (plan->random.quiet_after > 0) end = std::min(end, plan->random.quiet_after);
  Aim aim(*plan);
  draw_crashes(plan, end, &aim);
  draw_partitions(plan, end, &aim);
  draw_transfers(plan, end);
  draw_rollbacks(plan, end);
  draw_disk_errors(plan, end);
  draw_damage(plan, end);
}

}  // namespace qk::sim
