// Reach, on events that the test records by hand.
#include "sim/cluster/reach.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

namespace qk::sim {
namespace {

struct Watched {
  Scheduler scheduler;
  Trace trace{&scheduler, {1, 1, {"n1", "n2", "n3"}}, TraceLevel::kNone};
  Reach reach{3};

  Watched() { trace.set_observer(&reach); }
  void record(NodeId node, EventKind kind, std::array<uint64_t, kMaxArgs> args = {},
              uint64_t msg = 0) {
    Event event{.msg = msg, .node = node, .kind = kind};
    event.args = args;
    trace.record(event);
  }
  void enter(NodeId node, PhaseCode phase) {
    record(node, EventKind::kMigPhase, {static_cast<uint64_t>(phase)});
  }
  void crash(NodeId node, uint64_t lost = 0) { record(node, EventKind::kFaultCrash, {0, 1, lost}); }
  void restart(NodeId node) { record(node, EventKind::kFaultRestart); }
  void role(NodeId node, Role role) {
    record(node, EventKind::kRaftRole, {static_cast<uint64_t>(role), 2, 10, 10});
  }
  void issue(NodeId node, StoreOp op, uint64_t last = 0) {
    record(node, EventKind::kStoreIssue, {static_cast<uint64_t>(op), 0, last, last});
  }
  void done(NodeId node) { record(node, EventKind::kStoreDone); }
  uint64_t count(const std::string& name) const {
    const auto counts = reach.counts({.migration = true, .duplicates = true});
    const auto it = counts.find(name);
    return it == counts.end() ? 0 : it->second;
  }
};

TEST_CASE("reach: names of probes are distinct, and a plan lists those it can reach", "[reach]") {
  std::set<std::string_view> names;
  for (const ReachInfo& probe : kReachProbes) {
    CHECK(names.insert(probe.name).second);
    CHECK_FALSE(probe.seen.empty());
  }
  const Reach reach(3);
  const auto all = reach.counts(
      {.migration = true, .volatile_family = true, .duplicates = true, .defect = true});
  CHECK(all.size() == kReachProbeCount);
  const auto plain = reach.counts({});
  CHECK(plain.contains("crash/leader"));
  CHECK_FALSE(plain.contains("vote/in-CUT"));
  CHECK_FALSE(plain.contains("message/duplicate"));
  CHECK_FALSE(reach.counts({.migration = true}).contains("migration/cut-differs"));
}

TEST_CASE("reach: a tuple has phase, role and families beside the fault or the probe", "[reach]") {
  Watched run;
  run.reach.set_families(1, "local", "sqlite");
  CHECK(run.reach.tuples().empty());
  run.enter(1, PhaseCode::kDual);
  run.role(1, Role::kLeader);
  run.crash(1);
  run.reach.hit(ReachProbe::kMemoryLost);  // of a witness
  const auto tuples = run.reach.tuples();
  const auto has = [&](const std::string& tuple) {
    return std::find(tuples.begin(), tuples.end(), tuple) != tuples.end();
  };
  CHECK(has("fault/crash DUAL leader local->sqlite"));
  CHECK(has("crash/leader DUAL leader local->sqlite"));
  CHECK(has("open/memory-lost"));
  CHECK_FALSE(has("crash/leader DUAL follower local->sqlite"));
  CHECK(std::is_sorted(tuples.begin(), tuples.end()));
}

TEST_CASE("reach: a fault counts in its phase and pair of families", "[reach]") {
  Watched run;
  run.reach.set_families(1, "local", "sqlite");
  run.reach.set_families(2, "local", "");
  run.crash(1);
  run.restart(1);
  run.enter(1, PhaseCode::kDual);
  run.crash(1);
  run.record(2, EventKind::kFaultSlowDisk, {10});
  run.record(2, EventKind::kFaultSlowDisk, {1});
  run.record(2, EventKind::kNodeStop, {0});  // planned
  run.record(2, EventKind::kNodeStop, {13});
  run.record(0, EventKind::kFaultPartition, {1, 0, 0b001, 0b110});
  run.record(3, EventKind::kFaultTransfer, {1});
  run.record(1, EventKind::kFaultRollback);
  run.record(2, EventKind::kFaultDisk, {static_cast<uint64_t>(DiskFaultKind::kDiskFull)});
  CHECK(run.count("fault/disk_full/A/local->-") == 1);
  CHECK(run.count("fault/crash/A/local->sqlite") == 1);
  CHECK(run.count("fault/crash/DUAL/local->sqlite") == 1);
  CHECK(run.count("fault/slow_disk/A/local->-") == 1);
  CHECK(run.count("fault/stop/A/local->-") == 1);
  CHECK(run.count("fault/partition/DUAL/local->sqlite") == 0);  // n1 is down
  CHECK(run.count("fault/transfer/A/-") == 1);
  CHECK(run.count("fault/rollback/DUAL/local->sqlite") == 1);
  CHECK(run.count("transfer/in-a-phase") == 1);  // to n1
  CHECK(run.count("restart/in-A") == 1);
}

TEST_CASE("reach: crashes in recoveries, and twice in a phase", "[reach]") {
  Watched run;
  run.enter(1, PhaseCode::kBoot);
  run.crash(1);
  CHECK(run.count("crash/in-recovery") == 0);
  run.restart(1);
  run.crash(1);
  CHECK(run.count("crash/in-recovery") == 1);
  CHECK(run.count("crash/twice-in-a-phase") == 1);
  CHECK(run.count("crash/in-recovery-of-recovery") == 0);
  run.restart(1);
  run.crash(1);
  CHECK(run.count("crash/in-recovery-of-recovery") == 1);
  run.restart(1);
  run.enter(1, PhaseCode::kBoot);
  run.crash(1);
  CHECK(run.count("crash/in-recovery") == 1);
  CHECK(run.count("restart/in-BOOT") == 3);
}

TEST_CASE("reach: what a leader's crash takes", "[reach]") {
  Watched run;
  run.role(1, Role::kLeader);
  run.record(1, EventKind::kRaftCommit, {10});
  run.issue(1, StoreOp::kAppend, 10);
  run.done(1);
  run.crash(1);
  CHECK(run.count("crash/leader") == 1);
  CHECK(run.count("crash/leader-uncommitted") == 0);
  CHECK(run.count("crash/mutation-in-flight") == 0);
  run.role(2, Role::kLeader);
  run.enter(2, PhaseCode::kCut);
  run.issue(2, StoreOp::kAppend, 11);
  CHECK(run.count("down/two-nodes") == 0);
  run.crash(2, 1);
  CHECK(run.count("crash/leader") == 2);
  CHECK(run.count("crash/leader-uncommitted") == 1);
  CHECK(run.count("crash/dual-write-in-flight") == 1);
  CHECK(run.count("crash/unsynced-lost") == 1);
  CHECK(run.count("down/two-nodes") == 1);
  CHECK(run.count("down/no-majority") == 1);
}

TEST_CASE("reach: leaders that lose their followers, and votes, in CUT", "[reach]") {
  Watched run;
  run.enter(1, PhaseCode::kCut);
  run.role(1, Role::kLeader);
  run.record(0, EventKind::kFaultPartition, {1, 0, 0b110, 0b001});
  CHECK(run.count("leader/elected-in-dual-phase") == 1);
  CHECK(run.count("partition/leader") == 1);
  CHECK(run.count("partition/leader-in-CUT") == 1);
  CHECK(run.count("partition/in-dual-phase") == 1);
  run.record(1, EventKind::kRaftTerm, {3, 0});
  CHECK(run.count("vote/in-CUT") == 0);
  run.record(1, EventKind::kRaftTerm, {3, 2});
  CHECK(run.count("vote/in-CUT") == 1);
  run.role(1, Role::kFollower);
  CHECK(run.count("leader/stepped-down") == 1);
}

TEST_CASE("reach: messages that outlive an incarnation", "[reach]") {
  Watched run;
  run.record(1, EventKind::kNetSend, {2, 4}, 1);
  run.record(2, EventKind::kNetSend, {1, 4}, 2);
  run.record(2, EventKind::kNetRecv, {1, 4}, 1);
  CHECK(run.count("message/from-old-incarnation") == 0);
  run.crash(1);
  run.restart(1);
  run.record(2, EventKind::kNetRecv, {1, 4, 0, 0, 0, 1}, 1);
  CHECK(run.count("message/from-old-incarnation") == 1);
  CHECK(run.count("message/duplicate") == 1);
  run.record(1, EventKind::kNetRecv, {2, 4}, 2);
  CHECK(run.count("message/to-old-incarnation") == 1);
  run.record(1, EventKind::kNetSend, {2, 4}, 3);
  run.record(2, EventKind::kNetRecv, {1, 4}, 3);
  CHECK(run.count("message/from-old-incarnation") == 1);
}

TEST_CASE("reach: snapshots and truncations in the phases", "[reach]") {
  Watched run;
  run.enter(1, PhaseCode::kExport);
  run.record(1, EventKind::kNetSend, {3, 10}, 1);  // get_file
  run.record(1, EventKind::kSnapPublish, {10, 1});
  run.record(1, EventKind::kSnapInstall, {10, 1, 3});
  run.crash(3);
  CHECK(run.count("snapshot/transfer-interrupted") == 0);
  CHECK(run.count("snapshot/installed-in-catch-up") == 1);
  run.issue(1, StoreOp::kTruncateSuffix, 9);
  CHECK(run.count("truncate/suffix-in-catch-up") == 1);
  run.enter(1, PhaseCode::kDual);
  run.issue(1, StoreOp::kTruncateSuffix, 9);
  CHECK(run.count("truncate/suffix-in-dual-phase") == 1);
  CHECK(run.count("truncate/suffix") == 2);
  run.record(1, EventKind::kSnapPublish, {10, 1});
  CHECK(run.count("snapshot/published-in-dual-phase") == 1);
  run.record(1, EventKind::kNetSend, {2, 10}, 2);
  run.crash(2);  // the one that serves it
  CHECK(run.count("snapshot/transfer-interrupted") == 1);
  run.crash(1);  // no longer fetches
  CHECK(run.count("snapshot/transfer-interrupted") == 1);
}

TEST_CASE("reach: rollbacks, and what begins again after them", "[reach]") {
  Watched run;
  run.enter(1, PhaseCode::kExport);
  run.crash(1);
  run.restart(1);
  run.enter(1, PhaseCode::kExport);  // as a start tells it
  CHECK(run.count("migration/export-again") == 0);
  run.enter(1, PhaseCode::kExport);
  CHECK(run.count("migration/export-again") == 1);
  run.enter(1, PhaseCode::kV1);
  run.enter(1, PhaseCode::kExport);
  CHECK(run.count("migration/export-again") == 2);
  run.enter(1, PhaseCode::kRollback);
  run.enter(1, PhaseCode::kA);
  CHECK(run.count("migration/rollback") == 1);
  CHECK(run.count("migration/retry") == 0);
  run.enter(1, PhaseCode::kExport);
  CHECK(run.count("migration/retry") == 1);
  run.enter(1, PhaseCode::kDual);
  run.enter(1, PhaseCode::kV2);
  run.enter(1, PhaseCode::kRollback);
  CHECK(run.count("migration/rollback-after-DUAL") == 1);
  run.enter(1, PhaseCode::kB);
  run.enter(1, PhaseCode::kExport);  // another migration
  CHECK(run.count("migration/export-again") == 2);
}

}  // namespace
}  // namespace qk::sim
