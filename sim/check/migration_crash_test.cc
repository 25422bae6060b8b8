// One node migrates from local to sqlite and back to work, and the machine stops at every single
// disk operation of it, once for each way of losing what was not synced.
//
// After the crash the node must open, hold everything acknowledged and nothing that was never
// issued, open a second time to the same state and phase, and then finish its migration.
//
// Not verified here: Raft, time, more than one crash, nested crashes in recovery.
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <set>

#include "families/testing/points.h"
#include "sim/check/test_migrating_machine.h"
#include "sim/disk/crash_sweep.h"

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

// After each crash: the node opens, twice to the same; then it finishes its migration.
void recover_and_finish(MigratingMachine& machine, std::set<Phase>* phases) {
  REQUIRE(machine.open());
  const Phase phase = machine.controller()->phase();
  phases->insert(phase);
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

TEST_CASE("a crash at every disk operation of a migration") {
  // By the way of losing, so that none of them misses a phase.
  std::map<std::string, std::set<Phase>> phases;
  CrashSweep<MigratingMachine> sweep;
  sweep.stops = stops_inside<MigratingMachine>([] { return std::make_unique<MigratingMachine>(); },
                                               [](MigratingMachine& machine) { migrate(machine); });
  sweep.tries = one_stop_in(families::one_point_in());
  sweep.losses = [](size_t, uint64_t n) {
    return std::vector<Loss>{drawn_process_death(RandomStream(n, "choice")), nothing_survives(),
                             power_cut<KeepAll>("everything survives"),
                             drawn_power_cut(RandomStream(n, "choice"))};
  };
  sweep.judge = [&](MigratingMachine& left, const CrashPoint& point) {
    INFO(point.text());
    recover_and_finish(left, &phases[point.loss.name]);
  };
  const CrashCounts counts = sweep_crashes(sweep);
  CHECK(counts.stops > 300 / families::one_point_in());  // the whole way is that long at least
  CHECK(phases.size() == 4);
  for (const auto& [loss, seen] : phases) {
    for (const Phase phase :
         {Phase::kIdle, Phase::kExporting, Phase::kDualWrite, Phase::kCutOver, Phase::kAccepted}) {
      INFO(loss << ", " << to_string(phase));
      CHECK(seen.count(phase) == 1);
    }
  }
}

}  // namespace
}  // namespace qk::sim
