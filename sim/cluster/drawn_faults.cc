// expand_random(): what the seed draws of faults, before the run.
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

FaultPlan drawn_at(Nanos t) {
  FaultPlan fault;
  fault.at.time = t;
  fault.at.text = cat(seconds_text(t, 9), "s");
  fault.where = "random";
  fault.drawn = true;
  fault.may_miss = true;
  return fault;
}

}  // namespace

void expand_random(Plan* plan, Nanos end) {
  const RandomFaultPlan& random = plan->random;
  if (random.quiet_after > 0) end = std::min(end, random.quiet_after);
  const std::vector<NodePlan>& nodes = plan->cluster.nodes;

  RandomStream crashes(plan->seed, "fault.crash");
  for_each_instant(&crashes, random.mean_time_to_crash, end, [&](Nanos t) {
    FaultPlan fault = drawn_at(t);
    CrashFault crash;
    crash.node = nodes[crashes.below(nodes.size())].id;
    crash.loss = static_cast<CrashLoss>(crashes.below(5));
    crash.restart_after = crashes.between(random.restart_after.low, random.restart_after.high);
    crash.max_others_down = random.max_concurrent_down;
    fault.what = std::move(crash);
    plan->faults.push_back(std::move(fault));
  });

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
    fault.duration = partitions.between(random.partition_for.low, random.partition_for.high);
    fault.what = std::move(partition);
    plan->faults.push_back(std::move(fault));
  });
}

}  // namespace qk::sim
