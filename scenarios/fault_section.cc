#include <algorithm>

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "scenarios/sections.h"
#include "scenarios/values.h"

namespace qk::scenarios {
namespace {

int index_of(Draft& draft, const qksim::ScheduledFault& at) {
  const auto& all = draft.scenario().at();
  for (int i = 0; i < all.size(); ++i) {
    if (&all[i] == &at) return i;
  }
  return 0;
}

void fault_node(Draft& draft, const google::protobuf::Message& fault, bool given,
                const std::string& node) {
  if (given) {
    draft.known_node(fault, "node", -1, node, Draft::Selectors::kYes);
  } else {
    draft.missing(fault, "node", cat("nodes: ", join(draft.node_ids()), ", ", kSelectors));
  }
}

sim::CrashFault crash(Draft& draft, const qksim::Crash& crash) {
  sim::CrashFault out;
  out.node = crash.node();
  fault_node(draft, crash, crash.has_node(), crash.node());
  draft.duration(crash, "restart_after", crash.restart_after(), &out.restart_after);
  using Loss = sim::CrashFault::Loss;
  switch (crash.unsynced()) {
    case qksim::Crash::KEEP_SYNCED:
      out.loss = Loss::kKeepSynced;
      break;
    case qksim::Crash::KEEP_ALL:
      out.loss = Loss::kKeepAll;
      break;
    case qksim::Crash::RANDOM_SUBSET:
      out.loss = Loss::kRandomSubset;
      break;
    case qksim::Crash::TORN_TAIL:
      out.loss = Loss::kTornTail;
      break;
    case qksim::Crash::PROCESS:
      out.loss = Loss::kProcess;
      break;
  }
  return out;
}

sim::PartitionFault partition(Draft& draft, const qksim::Partition& partition) {
  sim::PartitionFault out;
  out.asymmetric = partition.asymmetric();
  if (partition.side_size() == 0) {
    draft.missing(partition, "side", "as in partition { side { node: \"n1\" } }");
  }
  std::vector<std::string> seen;
  for (const qksim::Side& side : partition.side()) {
    std::vector<std::string> nodes(side.node().begin(), side.node().end());
    if (nodes.empty())
      draft.missing(side, "node", cat("nodes: ", join(draft.node_ids()), ", ", kSelectors));
    for (size_t i = 0; i < nodes.size(); ++i) {
      const int index = static_cast<int>(i);
      if (!draft.known_node(side, "node", index, nodes[i], Draft::Selectors::kYes)) continue;
      if (contains(seen, nodes[i])) {
        draft.report(side, "node", index, Draft::Point::kValue,
                     cat("node ", in_quotes(nodes[i]), " is in the partition twice"),
                     "each node once");
      }
      seen.push_back(nodes[i]);
    }
    out.sides.push_back(std::move(nodes));
  }
  // One side is cut off from all others, and @follower is every node that no side names.
  const std::vector<std::string> ids = draft.node_ids();
  const auto named = [&](const std::string& id) { return contains(seen, id); };
  if (partition.side_size() == 1 &&
      (named("@follower") || std::all_of(ids.begin(), ids.end(), named))) {
    draft.report(partition, "side", 0, Draft::Point::kName, "the side contains every node",
                 "a side that leaves at least one node out");
  }
  return out;
}

sim::SlowDiskFault slow_disk(Draft& draft, const qksim::DiskFault& disk) {
  sim::SlowDiskFault out;
  out.node = disk.node();
  fault_node(draft, disk, disk.has_node(), disk.node());
  out.factor = disk.factor();
  if (!disk.has_factor()) {
    draft.missing(disk, "factor", "times the normal latency, as in factor: 20");
  } else if (out.factor < 2 || out.factor > 1000) {
    draft.bad_value(disk, "factor", {cat(out.factor, " times the latency"), "2 to 1000"});
  }
  return out;
}

void build_fault(Draft& draft, const qksim::ScheduledFault& at) {
  sim::FaultPlan out;
  const Diagnostic place =
      draft.source().at(draft.scenario(), "at", index_of(draft, at), Draft::Point::kName);
  out.where = place.line > 0 ? cat(place.file, ":", place.line) : place.file;
  if (!at.has_t()) {
    draft.missing(at, "t", "when: \"22.8s\" or a trigger such as \"n1:DUAL+0.9s\"");
  } else if (draft.take(at, "t", parse_trigger(at.t()), &out.at) && !out.at.node.empty()) {
    draft.known_node(at, "t", -1, out.at.node, Draft::Selectors::kYes);
  }
  if (out.at.kind == sim::Trigger::Kind::kTime) draft.before_the_end(at, "t", at.t(), out.at.time);
  if (at.has_for_()) {
    sim::Nanos length = 0;
    draft.positive_duration(at, "for", at.for_(), &length);
    out.duration = length;
    if (!at.has_partition() && !at.has_disk()) {
      draft.report(at, "for", -1, Draft::Point::kName, "this fault cannot have \"for\"",
                   "only partition and disk have a duration; a crash has restart_after");
    }
  }
  switch (at.what_case()) {
    case qksim::ScheduledFault::kCrash:
      out.what = crash(draft, at.crash());
      break;
    case qksim::ScheduledFault::kPartition:
      out.what = partition(draft, at.partition());
      break;
    case qksim::ScheduledFault::kDisk:
      out.what = slow_disk(draft, at.disk());
      break;
    case qksim::ScheduledFault::kLeaderTransfer:
      draft.known_node(at, "leader_transfer", -1, at.leader_transfer(), Draft::Selectors::kYes);
      out.what = sim::TransferFault{at.leader_transfer()};
      break;
    case qksim::ScheduledFault::kHealAll:
      if (!at.heal_all()) {
        draft.bad_value(at, "heal_all", {"false does nothing", "true, or leave the fault out"});
      }
      out.what = sim::HealFault{};
      break;
    case qksim::ScheduledFault::WHAT_NOT_SET:
      draft.report(at, "t", -1, Draft::Point::kName, "the scheduled fault does nothing",
                   "one of crash, partition, disk, leader_transfer, heal_all");
      break;
  }
  draft.plan.faults.push_back(std::move(out));
}

void build_random(Draft& draft, const qksim::RandomFaults& random) {
  sim::RandomFaultPlan& out = draft.plan.random;
  if (!random.has_mean_time_to_crash() && !random.has_mean_time_to_partition()) {
    draft.report(draft.scenario(), "random", -1, Draft::Point::kName,
                 "random asks for no kind of fault",
                 "mean_time_to_crash, mean_time_to_partition or both; or leave random out");
  }
  if (random.has_mean_time_to_partition() && draft.plan.cluster.nodes.size() == 1) {
    draft.report(random, "mean_time_to_partition", -1, Draft::Point::kName,
                 "a cluster of one node has no partitions", "two nodes or more");
  }
  if (random.has_mean_time_to_crash()) {
    draft.positive_duration(random, "mean_time_to_crash", random.mean_time_to_crash(),
                            &out.mean_time_to_crash);
  }
  draft.take(random, "restart_after", parse_duration_range(random.restart_after()),
             &out.restart_after);
  if (random.has_mean_time_to_partition()) {
    draft.positive_duration(random, "mean_time_to_partition", random.mean_time_to_partition(),
                            &out.mean_time_to_partition);
  }
  draft.take(random, "partition_for", parse_duration_range(random.partition_for()),
             &out.partition_for);
  out.max_concurrent_down = random.max_concurrent_down();
  draft.at_least_one(random, "max_concurrent_down", out.max_concurrent_down);
  if (random.has_quiet_after()) {
    draft.positive_duration(random, "quiet_after", random.quiet_after(), &out.quiet_after);
  }
}

}  // namespace

void build_faults(Draft& draft) {
  const qksim::Scenario& scenario = draft.scenario();
  for (const qksim::ScheduledFault& at : scenario.at()) build_fault(draft, at);
  if (scenario.has_random()) build_random(draft, scenario.random());
}

}  // namespace qk::scenarios
