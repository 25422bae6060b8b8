// One node migrates from local to sqlite and back to work, and the machine stops at every single
// disk operation of it, once for each way of losing what was not synced.
//
// After the crash the node must open, hold everything acknowledged and nothing that was never
// issued, open a second time to the same state and phase, and then finish its migration.
//
// Not verified here: Raft, time, more than one crash, nested crashes in recovery.
#include <catch2/catch.hpp>
#include <memory>
#include <set>

#include "families/testing/points.h"
#include "sim/check/test_migrating_machine.h"

namespace qk::sim {
namespace {

TEST_CASE("a node migrates and ends with the new family alone") {
  MigratingMachine machine;
  REQUIRE(migrate(machine));
  CHECK(machine.controller()->phase() == Phase::kAccepted);
  CHECK(machine.controller()->manifest().authoritative == migration::Side::kB);
  CHECK(observe(machine.controller()->driver().authority()) == machine.acked());
  const auto fs = machine.disk().mount();
  const auto fenced = fs->stat("/node/local");
  REQUIRE(fenced.ok());
  CHECK(fenced->kind == families::FileKind::kFile);
  CHECK(families::exists(*fs, "/node/local.fenced-1").value());
  CHECK_FALSE(families::exists(*fs, "/node/migration/journal-log").value());
}

void crash_everywhere(CrashLevel level,
                      const std::function<std::unique_ptr<Choice>(uint64_t)>& choice) {
  std::set<Phase> phases;
  for (uint64_t n = 1;; n += families::one_point_in()) {
    MigratingMachine machine;
    machine.disk().pin_crash_at_operation(n);
    if (migrate(machine)) {
      CHECK(n > 300);  // the whole way is that long at least
      break;
    }
    INFO("crash inside disk operation " << n);
    machine.crash(level, *choice(n));
    REQUIRE(machine.open());
    const Phase phase = machine.controller()->phase();
    phases.insert(phase);
    machine.adopt();
    // From the dual write on nobody needs the image; every start removes it.
    if (migration::is_dual(phase)) {
      CHECK_FALSE(families::exists(machine.fs(), machine.controller()->image_file()).value());
    }
    REQUIRE(machine.open());
    CHECK(machine.controller()->phase() == phase);
    CHECK(observe(machine.controller()->driver().authority()) == machine.acked());

    REQUIRE(machine.append(1));
    while (machine.controller()->phase() != Phase::kAccepted) REQUIRE(machine.advance());
    REQUIRE(machine.append(1));
    CHECK(observe(machine.controller()->driver().authority()) == machine.acked());
  }
  for (const Phase phase :
       {Phase::kIdle, Phase::kExporting, Phase::kDualWrite, Phase::kCutOver, Phase::kAccepted}) {
    INFO(to_string(phase));
    CHECK(phases.count(phase) == 1);
  }
}

TEST_CASE("process crash at every disk operation of a migration") {
  crash_everywhere(CrashLevel::kP0,
                   [](uint64_t n) { return std::make_unique<Sampled>(RandomStream(n, "choice")); });
}

TEST_CASE("power cut at every disk operation of a migration, nothing unsynced survives") {
  crash_everywhere(CrashLevel::kP2, [](uint64_t) { return std::make_unique<DropAll>(); });
}

TEST_CASE("power cut at every disk operation of a migration, everything issued survives") {
  crash_everywhere(CrashLevel::kP2, [](uint64_t) { return std::make_unique<KeepAll>(); });
}

TEST_CASE("power cut at every disk operation of a migration, a sampled rest survives") {
  crash_everywhere(CrashLevel::kP2,
                   [](uint64_t n) { return std::make_unique<Sampled>(RandomStream(n, "choice")); });
}

}  // namespace
}  // namespace qk::sim
