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

// What the decisions of one scenario name, at most.
constexpr uint64_t kMaxKept = 200'000;
constexpr size_t kMaxFileName = 4096;

template <typename Operation>  // Kept or Executing
sim::OperationKey key_of(Draft& draft, const Operation& operation) {
  if (operation.file().empty() || operation.file().size() > kMaxFileName) {
    draft.missing(operation, "file", "a path on the node's disk, as in \"/node/sqlite/db\"");
  }
  draft.at_least_one(operation, "ordinal", operation.ordinal());
  return {operation.file(), static_cast<sim::PendingOperation::Kind>(operation.op()),
          operation.ordinal()};
}

sim::Fate fate_of(Draft& draft, const qksim::Kept& kept) {
  if (kept.has_sectors() && kept.op() != qksim::WRITE) {
    draft.report(kept, "sectors", -1, Draft::Point::kName, "only a write has sectors",
                 "op: WRITE, or no sectors");
  }
  if (kept.garbage() && kept.op() != qksim::SIZE) {
    draft.report(kept, "garbage", -1, Draft::Point::kName, "only a growing size leaves garbage",
                 "op: SIZE, or no garbage");
  }
  if (kept.has_part() && kept.op() == qksim::WRITE) {
    draft.report(kept, "part", -1, Draft::Point::kName, "a write has sectors, not parts",
                 "sectors, or another op");
  }
  if (kept.has_part()) {
    draft.at_least_one(kept, "part", kept.part());
    return sim::Fate::torn(kept.part());
  }
  if (kept.has_sectors()) {
    if (kept.sectors() == 0) {
      draft.bad_value(kept, "sectors", {"found 0, which is nothing", "leave the operation out"});
    }
    return sim::Fate::torn(kept.sectors());
  }
  return kept.garbage() ? sim::Fate::garbage() : sim::Fate::keep();
}

sim::Decision decided(Draft& draft, const qksim::Crash& crash, uint64_t* total) {
  sim::Decision out;
  const qksim::Decided& decided = crash.decided();
  const bool process = crash.unsynced() == qksim::Crash::PROCESS;
  if (process && decided.kept_size() > 0) {
    draft.report(decided, "kept", 0, Draft::Point::kName,
                 "the end of a process takes nothing away but a part of what is executing",
                 "executing, or another unsynced");
  }
  for (const qksim::Kept& kept : decided.kept()) {
    sim::OperationKey key = key_of(draft, kept);
    const sim::Fate fate = fate_of(draft, kept);
    draft.at_least_one(kept, "count", kept.count());
    *total += kept.count();
    if (*total > kMaxKept) {
      draft.bad_value(kept, "count",
                      {"the decisions name too many operations", cat("at most ", kMaxKept)});
      return out;
    }
    for (uint32_t i = 0; i < kept.count(); ++i, ++key.ordinal) {
      if (out.kept.emplace(key, fate).second) continue;
      draft.report(kept, "ordinal", -1, Draft::Point::kName,
                   cat(to_string(key), " is decided twice"), "each operation once");
      break;
    }
  }
  if (!decided.has_executing()) return out;
  if (!process) {
    draft.report(decided, "executing", -1, Draft::Point::kName,
                 "a power loss cuts no operation in the middle", "unsynced: PROCESS, or kept");
  }
  out.executing = key_of(draft, decided.executing());
  out.picked = decided.executing().part();
  const uint32_t last = decided.executing().op() == qksim::WRITE ? 4 : 1;
  if (out.picked > last) {
    draft.bad_value(decided.executing(), "part", {cat("found ", out.picked), cat("0 to ", last)});
  }
  return out;
}

sim::CrashFault crash(Draft& draft, const qksim::Crash& crash, uint64_t* kept) {
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
  switch (crash.level()) {
    case qksim::Crash::P1:
      out.level = sim::CrashLevel::kP1;
      break;
    case qksim::Crash::P2:
      out.level = sim::CrashLevel::kP2;
      break;
    case qksim::Crash::P2X:
      out.level = sim::CrashLevel::kP2x;
      break;
  }
  if (crash.has_level() && out.loss == Loss::kProcess) {
    draft.report(crash, "level", -1, Draft::Point::kName,
                 "the end of a process leaves what was written, whatever the file system",
                 "no level, or another unsynced");
  }
  if (crash.has_decided()) out.decided = decided(draft, crash, kept);
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

// What a kind of disk fault has no use for.
void only_for(Draft& draft, const qksim::DiskFault& disk, std::string_view field, bool given,
              bool used, std::string_view kinds) {
  if (!given || used) return;
  draft.report(disk, field, -1, Draft::Point::kName,
               cat(qksim::DiskFault::Kind_Name(disk.kind()), " has no ", field),
               cat("only ", kinds));
}

sim::SlowDiskFault slow_disk(Draft& draft, const qksim::DiskFault& disk) {
  sim::SlowDiskFault out;
  out.node = disk.node();
  out.factor = disk.factor();
  if (!disk.has_factor()) {
    draft.missing(disk, "factor", "times the normal latency, as in factor: 20");
  } else if (out.factor < 2 || out.factor > 1000) {
    draft.bad_value(disk, "factor", {cat(out.factor, " times the latency"), "2 to 1000"});
  }
  return out;
}

// A lie about calls is about one kind of them.
void only_operation(Draft& draft, const qksim::DiskFault& disk,
                    qksim::DiskFault::Operation operation) {
  if (disk.operation() == qksim::DiskFault::ANY || disk.operation() == operation) return;
  draft.report(disk, "operation", -1, Draft::Point::kValue,
               cat(qksim::DiskFault::Kind_Name(disk.kind()), " is of a ",
                   qksim::DiskFault::Operation_Name(operation)),
               cat(qksim::DiskFault::Operation_Name(operation), " or ANY"));
}

sim::DiskErrorFault damage_at_rest(Draft& draft, const qksim::ScheduledFault& at,
                                   const sim::Trigger& trigger) {
  const qksim::DiskFault& disk = at.disk();
  sim::DiskErrorFault out;
  out.node = disk.node();
  out.fault.kind = disk.kind() == qksim::DiskFault::BIT_FLIP ? sim::DiskFaultKind::kBitFlip
                                                             : sim::DiskFaultKind::kBadSector;
  out.fault.path = disk.path();
  if (disk.has_offset()) out.fault.offset = disk.offset();
  out.fault.damage = static_cast<sim::DiskDamage>(disk.sector());
  if (disk.has_mask()) {
    if (disk.mask() < 1 || disk.mask() > 255) {
      draft.bad_value(disk, "mask", {cat("found ", disk.mask()), "1 to 255"});
    }
    out.fault.mask = static_cast<uint8_t>(disk.mask());
  }
  if (at.has_for_()) {
    draft.report(at, "for", -1, Draft::Point::kName, "damage has no duration", "no \"for\"");
  }
  if (trigger.kind == sim::Trigger::Kind::kPhaseOperation) {
    draft.report(at, "t", -1, Draft::Point::kValue, "damage to bytes at rest hits no operation",
                 "a time, or a trigger without \"#op=\"");
  }
  return out;
}

sim::DiskErrorFault disk_error(Draft& draft, const qksim::ScheduledFault& at) {
  const qksim::DiskFault& disk = at.disk();
  sim::DiskErrorFault out;
  out.node = disk.node();
  sim::DiskFault& fault = out.fault;
  fault.access = static_cast<sim::DiskAccess>(disk.operation());
  fault.path = disk.path();
  fault.applied = static_cast<sim::DiskApplied>(disk.applied());
  if (disk.has_nth()) {
    fault.nth = disk.nth();
    draft.at_least_one(disk, "nth", disk.nth());
  }
  if (disk.has_times()) {
    fault.times = disk.times();
    draft.at_least_one(disk, "times", disk.times());
  } else if (at.has_for_() || disk.kind() == qksim::DiskFault::DISK_FULL) {
    fault.times = 0;
  }
  switch (disk.kind()) {
    case qksim::DiskFault::SLOW:
    case qksim::DiskFault::BIT_FLIP:
    case qksim::DiskFault::BAD_SECTOR:
      QK_CHECK(false);
    case qksim::DiskFault::LOST_WRITE:
    case qksim::DiskFault::MISDIRECTED:
      fault.kind = disk.kind() == qksim::DiskFault::LOST_WRITE ? sim::DiskFaultKind::kLostWrite
                                                               : sim::DiskFaultKind::kMisdirected;
      only_operation(draft, disk, qksim::DiskFault::WRITE);
      fault.evicted = disk.evicted();
      fault.to = disk.to();
      if (disk.has_offset()) fault.offset = disk.offset();
      if (disk.kind() == qksim::DiskFault::MISDIRECTED && disk.has_offset() && !disk.has_to()) {
        draft.missing(disk, "to", "the file that the offset is in");
      }
      break;
    case qksim::DiskFault::FSYNC_LIE:
      fault.kind = sim::DiskFaultKind::kFsyncLie;
      only_operation(draft, disk, qksim::DiskFault::SYNC);
      break;
    case qksim::DiskFault::IO_ERROR:
      fault.kind = sim::DiskFaultKind::kIoError;
      fault.reverts = disk.reverts();
      if (disk.has_evict_after()) {
        fault.evict_after.emplace();
        draft.duration(disk, "evict_after", disk.evict_after(), &*fault.evict_after);
      }
      break;
    case qksim::DiskFault::DISK_FULL:
      fault.kind = sim::DiskFaultKind::kDiskFull;
      if (disk.has_free()) draft.take(disk, "free", parse_size(disk.free()), &fault.free);
      if (disk.operation() == qksim::DiskFault::READ) {
        draft.report(disk, "operation", -1, Draft::Point::kValue, "a read needs no space",
                     "WRITE, SYNC, OPEN, RENAME, NAME or ANY");
      }
      break;
    case qksim::DiskFault::STALL:
      fault.kind = sim::DiskFaultKind::kStall;
      if (disk.operation() == qksim::DiskFault::READ ||
          disk.operation() == qksim::DiskFault::OPEN) {
        draft.report(disk, "operation", -1, Draft::Point::kValue, "only a change can be late",
                     "WRITE, SYNC, RENAME, NAME or ANY");
      }
      if (!disk.has_stall()) {
        draft.missing(disk, "stall", "how much later the change completes, as in stall: \"500ms\"");
      } else {
        draft.positive_duration(disk, "stall", disk.stall(), &fault.stall);
      }
      break;
  }
  return out;
}

void disk_fault(Draft& draft, const qksim::ScheduledFault& at, sim::FaultPlan* out) {
  const qksim::DiskFault& disk = at.disk();
  fault_node(draft, disk, disk.has_node(), disk.node());
  const auto kind = disk.kind();
  const bool slow = kind == qksim::DiskFault::SLOW;
  const bool stall = kind == qksim::DiskFault::STALL;
  const bool flip = kind == qksim::DiskFault::BIT_FLIP;
  const bool rests = flip || kind == qksim::DiskFault::BAD_SECTOR;
  const bool moves = kind == qksim::DiskFault::MISDIRECTED;
  const bool loses = moves || kind == qksim::DiskFault::LOST_WRITE;
  const bool lies = loses || kind == qksim::DiskFault::FSYNC_LIE;
  const std::string_view of_calls = "kinds that hit calls";
  only_for(draft, disk, "factor", disk.has_factor(), slow, "SLOW");
  only_for(draft, disk, "operation", disk.has_operation(), !slow && !rests, of_calls);
  only_for(draft, disk, "path", disk.has_path(), !slow, "the other kinds");
  only_for(draft, disk, "nth", disk.has_nth(), !slow && !rests, of_calls);
  only_for(draft, disk, "times", disk.has_times(), !slow && !rests, of_calls);
  only_for(draft, disk, "applied", disk.has_applied(), !slow && !stall && !rests && !lies,
           "IO_ERROR and DISK_FULL");
  only_for(draft, disk, "offset", disk.has_offset(), rests || moves,
           "BIT_FLIP, BAD_SECTOR and MISDIRECTED");
  only_for(draft, disk, "mask", disk.has_mask(), flip && disk.sector() == qksim::DiskFault::BITS,
           "BIT_FLIP of BITS");
  only_for(draft, disk, "sector", disk.has_sector(), flip, "BIT_FLIP");
  only_for(draft, disk, "evicted", disk.has_evicted(), loses, "LOST_WRITE and MISDIRECTED");
  const bool syncs =
      kind == qksim::DiskFault::IO_ERROR && disk.operation() == qksim::DiskFault::SYNC;
  only_for(draft, disk, "evict_after", disk.has_evict_after(), syncs, "IO_ERROR of a SYNC");
  only_for(draft, disk, "reverts", disk.has_reverts(), syncs, "IO_ERROR of a SYNC");
  only_for(draft, disk, "to", disk.has_to(), moves, "MISDIRECTED");
  only_for(draft, disk, "free", disk.has_free(), kind == qksim::DiskFault::DISK_FULL, "DISK_FULL");
  only_for(draft, disk, "stall", disk.has_stall(), stall, "STALL");
  if (slow) {
    out->what = slow_disk(draft, disk);
  } else if (rests) {
    out->what = damage_at_rest(draft, at, out->at);
  } else {
    out->what = disk_error(draft, at);
  }
}

void build_fault(Draft& draft, const qksim::ScheduledFault& at, uint64_t* kept) {
  sim::FaultPlan out;
  out.drawn = at.drawn();
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
      out.what = crash(draft, at.crash(), kept);
      break;
    case qksim::ScheduledFault::kPartition:
      out.what = partition(draft, at.partition());
      break;
    case qksim::ScheduledFault::kDisk:
      disk_fault(draft, at, &out);
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
    case qksim::ScheduledFault::kRollback:
      draft.known_node(at, "rollback", -1, at.rollback(), Draft::Selectors::kYes);
      out.what = sim::RollbackFault{at.rollback()};
      break;
    case qksim::ScheduledFault::WHAT_NOT_SET:
      draft.report(at, "t", -1, Draft::Point::kName, "the scheduled fault does nothing",
                   "one of crash, partition, disk, leader_transfer, heal_all, rollback");
      break;
  }
  draft.plan.faults.push_back(std::move(out));
}

// The fault budget, as far as the text tells: which node a selector means shows in the run.
void within_budget(Draft& draft) {
  const size_t nodes = draft.plan.cluster.nodes.size();
  const size_t budget = nodes == 0 ? 0 : sim::damage_budget(nodes);
  std::vector<std::string> hit;
  const auto& all = draft.scenario().at();
  for (size_t i = 0; i < draft.plan.faults.size(); ++i) {
    const auto* error = std::get_if<sim::DiskErrorFault>(&draft.plan.faults[i].what);
    if (error == nullptr || !sim::is_damage(error->fault.kind)) continue;
    const bool selector = error->node.starts_with('@');
    if (contains(hit, error->node) || (selector && !hit.empty())) continue;
    hit.push_back(error->node);
    if (hit.size() <= budget) continue;
    draft.report(
        all[static_cast<int>(i)], "disk", -1, Draft::Point::kName,
        cat("damage to the disks of ", join(hit), ", of ", nodes, nodes == 1 ? " node" : " nodes"),
        budget == 0 ? std::string("none: the cluster has no copy to spare")
                    : cat("at most ", budget, ", so that a majority holds what is lost"));
    return;
  }
}

// All faults are drawn before the run: their number is bounded.
void mean_time(Draft& draft, const qksim::RandomFaults& random, std::string_view field,
               const std::string& text, sim::Nanos* out) {
  constexpr sim::Nanos kMaxDrawn = 1'000'000;
  draft.positive_duration(random, field, text, out);
  if (*out == 0 || draft.plan.run_for / *out <= kMaxDrawn) return;
  draft.bad_value(
      random, field,
      {cat(in_quotes(text), " draws too many faults"), cat("at least run_for / ", kMaxDrawn)});
}

bool has_damage(const qksim::RandomFaults& random) {
  return random.has_mean_time_to_bit_flip() || random.has_mean_time_to_bad_sector() ||
         random.has_mean_time_to_lost_write() || random.has_mean_time_to_misdirected() ||
         random.has_mean_time_to_fsync_lie();
}

void build_damage(Draft& draft, const qksim::RandomFaults& random) {
  const auto take = [&](sim::DiskFaultKind kind, std::string_view field, bool given,
                        const std::string& text) {
    if (!given) return;
    if (sim::damage_budget(draft.plan.cluster.nodes.size()) == 0) {
      draft.report(
          random, field, -1, Draft::Point::kName,
          cat("a cluster of ", draft.plan.cluster.nodes.size(), " has no copy to spare for damage"),
          "three nodes or more");
    }
    mean_time(draft, random, field, text,
              &draft.plan.random.mean_time_to_damage[static_cast<size_t>(kind)]);
  };
  take(sim::DiskFaultKind::kBitFlip, "mean_time_to_bit_flip", random.has_mean_time_to_bit_flip(),
       random.mean_time_to_bit_flip());
  take(sim::DiskFaultKind::kBadSector, "mean_time_to_bad_sector",
       random.has_mean_time_to_bad_sector(), random.mean_time_to_bad_sector());
  take(sim::DiskFaultKind::kLostWrite, "mean_time_to_lost_write",
       random.has_mean_time_to_lost_write(), random.mean_time_to_lost_write());
  take(sim::DiskFaultKind::kMisdirected, "mean_time_to_misdirected",
       random.has_mean_time_to_misdirected(), random.mean_time_to_misdirected());
  take(sim::DiskFaultKind::kFsyncLie, "mean_time_to_fsync_lie", random.has_mean_time_to_fsync_lie(),
       random.mean_time_to_fsync_lie());
}

void build_random(Draft& draft, const qksim::RandomFaults& random) {
  sim::RandomFaultPlan& out = draft.plan.random;
  if (!random.has_mean_time_to_crash() && !random.has_mean_time_to_partition() &&
      !random.has_mean_time_to_transfer() && !random.has_mean_time_to_rollback() &&
      !random.has_mean_time_to_disk_error() && !has_damage(random)) {
    draft.report(
        draft.scenario(), "random", -1, Draft::Point::kName, "random asks for no kind of fault",
        "one or more of mean_time_to_crash, mean_time_to_partition, mean_time_to_transfer, "
        "mean_time_to_rollback, mean_time_to_disk_error, mean_time_to_bit_flip, "
        "mean_time_to_bad_sector, mean_time_to_lost_write, mean_time_to_misdirected, "
        "mean_time_to_fsync_lie; or leave random out");
  }
  if (random.has_mean_time_to_partition() && draft.plan.cluster.nodes.size() == 1) {
    draft.report(random, "mean_time_to_partition", -1, Draft::Point::kName,
                 "a cluster of one node has no partitions", "two nodes or more");
  }
  if (random.has_mean_time_to_transfer() && draft.plan.cluster.nodes.size() == 1) {
    draft.report(random, "mean_time_to_transfer", -1, Draft::Point::kName,
                 "a cluster of one node has no other leader", "two nodes or more");
  }
  if (random.has_mean_time_to_rollback() && draft.plan.migrations.empty()) {
    draft.report(random, "mean_time_to_rollback", -1, Draft::Point::kName,
                 "a scenario without a migration has nothing to roll back", "a migration");
  }
  if (random.has_mean_time_to_crash()) {
    mean_time(draft, random, "mean_time_to_crash", random.mean_time_to_crash(),
              &out.mean_time_to_crash);
  }
  if (random.has_mean_time_to_transfer()) {
    mean_time(draft, random, "mean_time_to_transfer", random.mean_time_to_transfer(),
              &out.mean_time_to_transfer);
  }
  if (random.has_mean_time_to_rollback()) {
    mean_time(draft, random, "mean_time_to_rollback", random.mean_time_to_rollback(),
              &out.mean_time_to_rollback);
  }
  draft.probability(random, "crash_again", random.crash_again(), &out.crash_again_ppm);
  draft.probability(random, "aimed", random.aimed(), &out.aimed_ppm);
  draft.probability(random, "failed_sync_evicts", random.failed_sync_evicts(),
                    &out.failed_sync_evicts_ppm);
  draft.take(random, "restart_after", parse_duration_range(random.restart_after()),
             &out.restart_after);
  if (random.has_mean_time_to_partition()) {
    mean_time(draft, random, "mean_time_to_partition", random.mean_time_to_partition(),
              &out.mean_time_to_partition);
  }
  if (random.has_mean_time_to_disk_error()) {
    mean_time(draft, random, "mean_time_to_disk_error", random.mean_time_to_disk_error(),
              &out.mean_time_to_disk_error);
  }
  build_damage(draft, random);
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
  uint64_t kept = 0;
  for (const qksim::ScheduledFault& at : scenario.at()) build_fault(draft, at, &kept);
  within_budget(draft);
  if (scenario.has_random()) build_random(draft, scenario.random());
}

}  // namespace qk::scenarios
