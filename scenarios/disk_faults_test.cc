// Faults of disks in a run: which nodes stop and come back, what explains a stop, what is told and
// written of it.
#include "scenarios/test_support.h"
#include "scenarios/written_plan.h"

namespace qk::scenarios {
namespace {

using sim::EventKind;
using sim::Verdict;

constexpr char kCluster[] = R"(
cluster { nodes: 3 default_store: "old" operator_restart_after: "200ms" }
store { id: "old" sqlite {} }
store { id: "new" leveldb {} }
workload { clients: 2 rate: 20 keys: 4 }
run_for: "14s"
)";
constexpr char kMigration[] = R"(
migration { from: "old" to: "new" start: "500ms" dual_write_for: "300ms" soak: "100ms"
            fresh_mutations: 2000 fresh_time: "20s" on_validation_fail: RETRY max_retries: 3 }
)";

struct Ran {
  sim::RunResult result;
  std::string text;  // for INFO

  explicit Ran(const std::string& scenario, uint64_t seed = 1) {
    sim::RunOptions options;
    options.trace = sim::TraceLevel::kFull;
    result = sim::run(plan_of_text(scenario, seed), options);
    text = describe(result);
  }
  std::vector<sim::Event> events(EventKind kind, sim::NodeId node = 0) const {
    std::vector<sim::Event> found;
    for (uint64_t seq = 1; seq <= result.trace->events(); ++seq) {
      const sim::Event& event = result.trace->event(seq);
      if (event.kind == kind && (node == 0 || event.node == node)) found.push_back(event);
    }
    return found;
  }
  uint64_t reached(const std::string& cell) const {
    const auto it = result.reach.find(cell);
    return it == result.reach.end() ? 0 : it->second;
  }
};

TEST_CASE("a node stops on a failed call, which explains it, and the operator starts it again") {
  const Ran run(
      cat(kCluster, R"(at { t: "2s" disk { node: "n2" kind: IO_ERROR operation: SYNC } })"));
  INFO(run.text);
  CHECK(run.result.verdict == Verdict::kPass);
  const auto faults = run.events(EventKind::kFaultDisk);
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].node == 2);
  CHECK(faults[0].t >= 2 * sim::kSecond);
  const auto stops = run.events(EventKind::kNodeStop);
  REQUIRE(stops.size() == 1);
  CHECK(stops[0].node == 2);
  CHECK(stops[0].arg(0) == static_cast<uint64_t>(absl::StatusCode::kUnknown));
  const auto restarts = run.events(EventKind::kFaultRestart);
  REQUIRE(restarts.size() == 1);
  CHECK(restarts[0].t == stops[0].t + 200 * sim::kMillisecond);
  REQUIRE(run.result.stops.size() == 1);
  CHECK_THAT(run.result.stops[0],
             Catch::StartsWith("n2: 1 stop on a disk fault (sync /node/sqlite/"));
  CHECK(run.reached("fault/io_error/A/sqlite->-") == 1);
  CHECK(run.reached("fault/stop/A/sqlite->-") == 1);
}

TEST_CASE("a fault that meets no call makes the run inconclusive, and says so") {
  const Ran run(
      cat(kCluster, R"(at { t: "2s" disk { node: "n2" kind: IO_ERROR path: "/nowhere" } })"));
  INFO(run.text);
  CHECK(run.result.verdict == Verdict::kInconclusive);
  REQUIRE(run.result.inconclusive.size() == 1);
  CHECK_THAT(run.result.inconclusive[0],
             Catch::EndsWith("2s never fired: no call of n2 to its disk matched"));
  CHECK(run.result.injected.size() == 1);
}

TEST_CASE("a full disk gets space before the operator starts the node again") {
  const Ran run(
      cat(kCluster, R"(at { t: "2s" disk { node: "n2" kind: DISK_FULL free: "8KiB" } })"));
  INFO(run.text);
  CHECK(run.result.verdict == Verdict::kPass);
  const auto stops = run.events(EventKind::kNodeStop);
  REQUIRE(stops.size() == 1);
  CHECK(stops[0].arg(0) == static_cast<uint64_t>(absl::StatusCode::kResourceExhausted));
  CHECK(run.events(EventKind::kFaultRestart).size() == 1);
  CHECK(run.reached("fault/disk_full/A/sqlite->-") >= 1);
}

TEST_CASE("a disk that fails for a time keeps the node down for that time, start by start") {
  const Ran run(cat(kCluster, R"(at { t: "2s" for: "1s" disk { node: "n2" kind: IO_ERROR } })"));
  INFO(run.text);
  CHECK(run.result.verdict == Verdict::kPass);
  const auto restarts = run.events(EventKind::kFaultRestart);
  REQUIRE(restarts.size() >= 4);
  CHECK(restarts.back().t >= 3 * sim::kSecond);
  CHECK(run.events(EventKind::kNodeStop).size() == restarts.size());
}

TEST_CASE("heal_all ends the faults of disks") {
  const Ran run(cat(kCluster, R"(
at { t: "2s" for: "4s" disk { node: "n2" kind: IO_ERROR } }
at { t: "2500ms" heal_all: true })"));
  INFO(run.text);
  CHECK(run.result.verdict == Verdict::kPass);
  CHECK(run.events(EventKind::kFaultDisk).back().t <= 2500 * sim::kMillisecond);
}

TEST_CASE("a stalled call stops no node") {
  const Ran run(
      cat(kCluster,
          R"(at { t: "2s" disk { node: "n2" kind: STALL operation: SYNC stall: "900ms" } })"));
  INFO(run.text);
  CHECK(run.result.verdict == Verdict::kPass);
  CHECK(run.events(EventKind::kNodeStop).empty());
  CHECK(run.reached("fault/stall/A/sqlite->-") == 1);
}

TEST_CASE("#op= names the operation that fails") {
  for (const uint64_t n : {1u, 2u, 5u}) {
    const Ran run(cat(kCluster, kMigration, R"(at { t: "n1:EXPORT#op=)", n,
                      R"(" disk { node: "n1" kind: IO_ERROR } })"));
    INFO(run.text);
    CHECK(run.result.verdict == Verdict::kPass);
    const auto faults = run.events(EventKind::kFaultDisk);
    REQUIRE(faults.size() == 1);
    uint64_t entered = 0;
    for (const sim::Event& event : run.events(EventKind::kMigPhase, 1)) {
      if (event.arg(0) == static_cast<uint64_t>(sim::PhaseCode::kExport) && entered == 0) {
        entered = event.seq;
      }
    }
    uint64_t operations = 0;
    for (const sim::Event& event : run.events(EventKind::kDiskOp, 1)) {
      operations += event.seq > entered && event.seq < faults[0].seq ? 1 : 0;
    }
    CHECK(operations == n - 1);
  }
}

// The operator cannot know whether the mark is there.
TEST_CASE("a migration whose first mark fails is asked for again, or goes on") {
  for (const std::string_view applied : {"NOTHING", "ALL"}) {
    const Ran run(cat(kCluster, kMigration, R"(at { t: "400ms" disk { node: "n1" kind: IO_ERROR
        operation: SYNC path: "/migration/manifest" applied: )",
                      applied, R"( } } expect { verdict: PASS migrated: ["n1", "n2", "n3"] })"));
    INFO(run.text);
    CHECK(run.result.verdict == Verdict::kPass);
    REQUIRE_FALSE(run.result.stops.empty());
    CHECK_THAT(run.result.stops[0], Catch::Contains("sync /node/migration/manifest"));
  }
}

// The start after it finds the mark of the cut-over in the page cache, and serves from B.
TEST_CASE("a mark whose sync failed is durable before a start relies on it") {
  const Ran run(cat(kCluster, R"(
migration { from: "old" to: "new" start: "500ms" dual_write_for: "300ms" soak: "1s"
            fresh_mutations: 2000 fresh_time: "20s" }
at { t: "n1:V2" disk { node: "n1" kind: IO_ERROR operation: SYNC path: "/migration/manifest" } }
at { t: "n1:V2+1s" crash { node: "n1" unsynced: KEEP_SYNCED } })"));
  INFO(run.text);
  CHECK(run.result.violations.empty());
  CHECK(run.events(EventKind::kFaultCrash).size() == 1);
}

// ------------------------------------------------------------------------------------ damage

TEST_CASE("a node that finds its log damaged stays down, and says where; the others go on") {
  const Ran run(cat(kCluster, R"(
at { t: "2s" disk { node: "n2" kind: BIT_FLIP path: "/node/sqlite/db-wal" offset: 200 mask: 1 } }
at { t: "2s" crash { node: "n2" restart_after: "100ms" unsynced: KEEP_ALL } })"));
  INFO(run.text);
  CHECK(run.result.verdict == Verdict::kPass);
  REQUIRE(run.result.stops.size() == 1);
  CHECK_THAT(run.result.stops[0],
             Catch::Contains("1 end on damage to its disk (bit-flip in /node/sqlite/db-wal at 200; "
                             "the node says: /node/sqlite/db-wal: frame 0 is damaged"));
  CHECK(run.events(EventKind::kFaultRestart).size() == 1);
  CHECK(run.reached("fault/bit_flip/A/sqlite->-") == 1);
}

TEST_CASE("a sector that cannot be read stops a node where it must be read") {
  const Ran run(cat(kCluster, R"(
at { t: "2s" disk { node: "n2" kind: BAD_SECTOR path: "/node/sqlite/db" offset: 0 } }
at { t: "2s" crash { node: "n2" restart_after: "100ms" unsynced: KEEP_ALL } })"));
  INFO(run.text);
  CHECK(run.result.verdict == Verdict::kPass);
  REQUIRE(run.result.stops.size() == 1);
  CHECK_THAT(run.result.stops[0], Catch::Contains("read /node/sqlite/db: Input/output error"));
}

TEST_CASE("a node whose syncs lied forgets at a power cut, and is taken out") {
  const Ran run(cat(kCluster, R"(
at { t: "2s" for: "2s" disk { node: "n2" kind: FSYNC_LIE } }
at { t: "3s" crash { node: "n2" restart_after: "100ms" unsynced: KEEP_SYNCED } })"));
  INFO(run.text);
  CHECK(run.result.verdict == Verdict::kPass);
  REQUIRE(run.result.stops.size() == 1);
  CHECK_THAT(run.result.stops[0],
             Catch::Contains("out of service from start 2 on: it forgot (ora.L"));
  CHECK(run.reached("fault/fsync_lie/A/sqlite->-") > 10);
}

TEST_CASE("a lie without a power cut takes nothing away") {
  const Ran run(cat(kCluster, R"(
at { t: "2s" for: "2s" disk { node: "n2" kind: FSYNC_LIE } }
at { t: "3s" crash { node: "n2" restart_after: "100ms" unsynced: PROCESS } })"));
  INFO(run.text);
  CHECK(run.result.verdict == Verdict::kPass);
  CHECK(run.result.stops == std::vector<std::string>{"n2: 1 crash injected"});
}

TEST_CASE("the fault budget leaves a majority without damage") {
  const std::string both = R"(
at { t: "2s" disk { node: "n1" kind: BIT_FLIP } }
at { t: "2s" disk { node: "n2" kind: LOST_WRITE } })";
  const LoadResult refused =
      load_here({"mine.qks.txtpb", cat("name: \"mine\" ", kCluster, both), "/"});
  CHECK_FALSE(refused.plan.has_value());
  // Who a selector means is known in the run alone.
  const Ran run(cat(kCluster, R"(
at { t: "2s" disk { node: "n1" kind: LOST_WRITE } }
at { t: "3s" disk { node: "@leader" kind: BIT_FLIP } }
at { t: "3s" disk { node: "@follower" kind: BIT_FLIP } })"));
  INFO(run.text);
  CHECK(run.result.verdict == Verdict::kInconclusive);
  REQUIRE_FALSE(run.result.inconclusive.empty());
  CHECK_THAT(run.result.inconclusive[0],
             Catch::EndsWith("never fired: the fault budget of 3 nodes is 1, spent on n1"));
}

TEST_CASE("drawn damage is written with its place, and replayed") {
  uint64_t hits = 0;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    const std::string text = cat("name: \"mine\" ", kCluster, kMigration, R"(
random { mean_time_to_crash: "2s" mean_time_to_bit_flip: "1s" mean_time_to_bad_sector: "3s"
         mean_time_to_lost_write: "1s" mean_time_to_misdirected: "1s"
         mean_time_to_fsync_lie: "1s" quiet_after: "8s" })");
    const LoadResult loaded = load_here({"mine.qks.txtpb", text, "/"}, {}, seed);
    REQUIRE(loaded.plan.has_value());
    const sim::RunResult first = sim::run(*loaded.plan, {});
    INFO("seed " << seed << "\n" << describe(first));
    CHECK(first.violations.empty());
    const std::string written =
        written_plan(loaded.effective, "written", *loaded.plan, first.injected);
    INFO(written);
    const sim::Plan plan = must_load({"written.qks.txtpb", written, "/"}, {}, std::nullopt);
    const sim::RunResult again = sim::run(plan, {});
    CHECK(again.chain == first.chain);
    CHECK(again.violations.empty());
    for (const sim::FaultPlan& fault : first.injected) {
      const auto* error = std::get_if<sim::DiskErrorFault>(&fault.what);
      if (error == nullptr) continue;
      ++hits;
      CHECK((!sim::is_at_rest(error->fault.kind) || error->fault.offset.has_value()));
    }
  }
  CHECK(hits > 15);
}

// What was drawn is written with its times and targets, and is the same run.
TEST_CASE("drawn disk errors are written and replayed") {
  uint64_t hits = 0;
  uint64_t evictions = 0;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    // In the last ones, what a failed sync did not write does not stay readable.
    const std::string_view evicts = seed > 4 ? "failed_sync_evicts: 1" : "";
    const std::string text =
        cat("name: \"mine\" ", kCluster, kMigration,
            R"(random { mean_time_to_disk_error: "700ms" quiet_after: "8s" )", evicts, " }");
    const LoadResult loaded = load_here({"mine.qks.txtpb", text, "/"}, {}, seed);
    REQUIRE(loaded.plan.has_value());
    const sim::RunResult first = sim::run(*loaded.plan, {});
    INFO("seed " << seed << "\n" << describe(first));
    CHECK(first.violations.empty());
    const std::string written =
        written_plan(loaded.effective, "written", *loaded.plan, first.injected);
    const sim::Plan plan = must_load({"written.qks.txtpb", written, "/"}, {}, std::nullopt);
    const sim::RunResult again = sim::run(plan, {});
    CHECK(again.chain == first.chain);
    CHECK(again.verdict == first.verdict);
    CHECK(again.inconclusive == first.inconclusive);
    hits += first.injected.size();
    for (const sim::FaultPlan& fault : first.injected) {
      const auto* error = std::get_if<sim::DiskErrorFault>(&fault.what);
      if (error == nullptr) continue;
      evictions += error->fault.reverts || error->fault.evict_after ? 1 : 0;
      CHECK((seed > 4 || !error->fault.reverts));
      CHECK((seed > 4 || !error->fault.evict_after));
    }
  }
  CHECK(hits > 20);
  CHECK(evictions > 3);
}

TEST_CASE("the cache may drop what a failed sync lost, or the file system take it back") {
  for (const std::string_view how : {"evict_after: \"50ms\"", "reverts: true"}) {
    const Ran run(cat(kCluster, R"(at { t: "2s" disk { node: "n2" kind: IO_ERROR operation: SYNC )",
                      how, "} }"));
    INFO(how << "\n" << run.text);
    CHECK(run.result.verdict == Verdict::kPass);
    CHECK(run.events(EventKind::kNodeStop).size() == 1);
  }
}

// Each level leaves something of its own, which is written and replayed.
TEST_CASE("power cuts of each level are written and replayed") {
  struct Row {
    std::string_view journal;
    std::string_view level;
  };
  for (const Row& row :
       {Row{"EXT4", "P1"}, Row{"BTRFS", "P1"}, Row{"XFS", "P2X"}, Row{"XFS", "P2"}}) {
    std::string text = cat("name: \"mine\" ", kCluster, kMigration);
    text.insert(text.find("nodes: 3"), cat("disk { journal: ", row.journal, " } "));
    for (const std::string_view t : {"1200ms", "2300ms", "8s"}) {
      text += cat("at { t: \"", t,
                  "\" crash { node: \"n2\" restart_after: \"200ms\" level: ", row.level, " } }");
    }
    const LoadResult loaded = load_here({"mine.qks.txtpb", text, "/"}, {}, 3);
    REQUIRE(loaded.plan.has_value());
    const sim::RunResult first = sim::run(*loaded.plan, {});
    INFO(row.journal << " " << row.level << "\n" << describe(first));
    CHECK(first.violations.empty());
    REQUIRE(first.injected.size() == 3);
    const std::string written =
        written_plan(loaded.effective, "written", *loaded.plan, first.injected);
    CHECK((written.find(cat("level: ", row.level)) != std::string::npos) == (row.level != "P2"));
    const sim::Plan plan = must_load({"written.qks.txtpb", written, "/"}, {}, std::nullopt);
    const sim::RunResult again = sim::run(plan, {});
    CHECK(again.chain == first.chain);
    CHECK(again.inconclusive.empty() == first.inconclusive.empty());
  }
}

}  // namespace
}  // namespace qk::scenarios
