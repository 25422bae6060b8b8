// Each oracle of migration passes a legal history and fails a minimal illegal one: M1, M2, M3.
#include <catch2/catch.hpp>

#include "sim/check/test_support.h"

namespace qk::sim {
namespace {

using Phase = MigrationPhase;
using families::Mutation;

// Node 0 with entries [1, 5], on its way through the phases.
struct Migration : Watched {
  StateImage now = state_of(1, entries(1, 5), {3, "10.0.0.1:1:0:0"});
  uint64_t ids = 0;
  int64_t clock = 0;

  Migration() {
    checker.seed(0, now);
    checker.migration_began(0, 2, 1000);
  }
  std::string go(Phase phase, Side authority = Side::kA, uint64_t generation = 1,
                 bool durable = true) {
    const PhaseRecord to{phase, generation, authority};
    checker.phase_changed(0, to, durable ? to : PhaseRecord{});
    return reported();
  }
  std::string resume(Phase phase, Side authority = Side::kA, uint64_t generation = 1) {
    checker.phase_resumed(0, {phase, generation, authority});
    return reported();
  }
  std::string serve(Side side, uint64_t generation = 1) {
    checker.served(0, side, generation);
    return reported();
  }
  void append() {
    const int64_t next = now.last + 1;
    checker.mutation_issued(0, ++ids, Mutation::append(entries(next, next)));
    checker.mutation_acked(0, ids, 1);
    now = state_of(1, entries(1, next), now.hard_state);
  }
  std::string cut(const StateImage& b) {
    checker.cut_validated(0, 1, now, b, clock);
    return reported();
  }
  std::string fence(const StateImage& b) {
    checker.cutting_over(0, clock);
    checker.fenced(0, 1, now, b);
    return reported();
  }
  void reach_dual() {
    for (const Phase phase :
         {Phase::kExporting, Phase::kBootstrapping, Phase::kValidated, Phase::kDualWrite}) {
      REQUIRE(go(phase) == "");
    }
  }
  void reach_validated_cut() {
    reach_dual();
    REQUIRE(cut(now) == "");
    REQUIRE(go(Phase::kCutoverValidated) == "");
  }
  void reach_cut_over() {
    reach_validated_cut();
    REQUIRE(fence(now) == "");
    REQUIRE(go(Phase::kCutOver, Side::kB) == "");
  }
};

TEST_CASE("a node answers from its durable authority alone") {
  Migration run;
  REQUIRE(run.serve(Side::kA, 0) == "");
  REQUIRE(run.serve(Side::kB, 0) == "ora.M1");
  run.reach_validated_cut();
  REQUIRE(run.serve(Side::kA) == "");
  REQUIRE(run.serve(Side::kB) == "ora.M1");
  REQUIRE(run.serve(Side::kA, 0) == "ora.M1");
  run.fence(run.now);
  run.go(Phase::kCutOver, Side::kB);
  REQUIRE(run.serve(Side::kB) == "");
  REQUIRE(run.serve(Side::kA) == "ora.M1");
  run.go(Phase::kRolledBack, Side::kA);
  REQUIRE(run.serve(Side::kA) == "");
  REQUIRE(run.serve(Side::kB) == "ora.M1");
}

TEST_CASE("a whole migration, a rollback, and another one follow the automaton") {
  Migration run;
  run.reach_dual();
  REQUIRE(run.go(Phase::kRolledBack) == "");
  REQUIRE(run.go(Phase::kExporting, Side::kA, 2) == "");
  REQUIRE(run.go(Phase::kExporting, Side::kA, 2) == "");
  REQUIRE(run.go(Phase::kBootstrapping, Side::kA, 2) == "");
  REQUIRE(run.go(Phase::kExporting, Side::kA, 2) == "");
}

TEST_CASE("phases that skip, go back, or name the wrong side or generation are M2") {
  Migration run;
  REQUIRE(run.go(Phase::kBootstrapping) == "ora.M2");

  Migration generation;
  REQUIRE(generation.go(Phase::kExporting, Side::kA, 0) == "ora.M2");
  REQUIRE(generation.go(Phase::kBootstrapping, Side::kA, 1) == "ora.M2");

  Migration side;
  REQUIRE(side.go(Phase::kExporting, Side::kB) == "ora.M2");

  Migration accepted;
  accepted.reach_cut_over();
  REQUIRE(accepted.go(Phase::kAccepted, Side::kB) == "");
  REQUIRE(accepted.go(Phase::kRolledBack, Side::kA) == "ora.M2");

  Migration stays_on_b;
  stays_on_b.reach_cut_over();
  REQUIRE(stays_on_b.go(Phase::kRolledBack, Side::kB) == "ora.M2");
}

TEST_CASE("a start without a manifest begins again only if none was ever relied on") {
  Migration lost;
  REQUIRE(lost.go(Phase::kExporting) == "");
  REQUIRE(lost.resume(Phase::kIdle, Side::kA, 0) == "ora.M2");

  // The step that wrote the first mark failed; a start read it, and a power cut took it away.
  Migration never;
  REQUIRE(never.resume(Phase::kExporting) == "");
  REQUIRE(never.resume(Phase::kIdle, Side::kA, 0) == "");
  REQUIRE(never.serve(Side::kA, 0) == "");
}

TEST_CASE("a phase that is relied on before it is durable is M2") {
  Migration run;
  REQUIRE(run.go(Phase::kExporting, Side::kA, 1, false) == "ora.M2");
}

TEST_CASE("a restart resumes the last durable phase, or the one being written") {
  Migration run;
  REQUIRE(run.resume(Phase::kIdle, Side::kA, 0) == "");
  run.reach_dual();
  REQUIRE(run.resume(Phase::kDualWrite) == "");
  REQUIRE(run.resume(Phase::kRolledBack) == "");
  run.checker.relied_on(0, PhaseRecord{Phase::kRolledBack, 1, Side::kA});
  REQUIRE(run.resume(Phase::kDualWrite) == "ora.M2");

  Migration forgets;
  forgets.reach_dual();
  REQUIRE(forgets.resume(Phase::kValidated) == "ora.M2");

  Migration idle;
  idle.reach_dual();
  REQUIRE(idle.resume(Phase::kIdle, Side::kA, 0) == "ora.M2");
}

TEST_CASE("cut-over with a fresh validated cut and an equal fence is legal") {
  Migration run;
  run.reach_validated_cut();
  run.append();
  run.append();
  REQUIRE(run.fence(run.now) == "");
  REQUIRE(run.go(Phase::kCutOver, Side::kB) == "");
  REQUIRE(run.go(Phase::kAccepted, Side::kB) == "");
  REQUIRE(run.go(Phase::kRetired, Side::kB) == "");
  // The next migration starts from the family that was B.
  REQUIRE(run.go(Phase::kExporting, Side::kA, 2) == "");
}

TEST_CASE("cut-over without a cut, with a stale one, or after a restart is M3") {
  SECTION("none") {
    Migration run;
    run.reach_dual();
    run.go(Phase::kCutoverValidated);
    run.fence(run.now);
    REQUIRE(run.go(Phase::kCutOver, Side::kB) == "ora.M3");
  }
  SECTION("stale") {
    Migration run;
    run.reach_validated_cut();
    for (int i = 0; i < 3; ++i) run.append();
    run.fence(run.now);
    REQUIRE(run.go(Phase::kCutOver, Side::kB) == "ora.M3");
  }
  SECTION("stale by time") {
    for (const int64_t age : {1000, 1001}) {
      Migration run;
      run.reach_validated_cut();
      run.clock += age;
      run.fence(run.now);
      REQUIRE(run.go(Phase::kCutOver, Side::kB) == (age > 1000 ? "ora.M3" : ""));
    }
  }
  SECTION("by the bounds of an earlier migration, or of another node's") {
    Migration run;
    run.checker.migration_began(0, 1, 1000);
    run.checker.migration_began(1, 9, 1000);
    run.reach_validated_cut();
    run.append();
    run.append();
    run.fence(run.now);
    REQUIRE(run.go(Phase::kCutOver, Side::kB) == "ora.M3");
  }
  SECTION("before a restart") {
    Migration run;
    run.reach_validated_cut();
    REQUIRE(run.resume(Phase::kCutoverValidated) == "");
    run.fence(run.now);
    REQUIRE(run.go(Phase::kCutOver, Side::kB) == "ora.M3");
  }
  SECTION("the restart that finds the record written is not between") {
    Migration run;
    run.reach_validated_cut();
    run.checker.cutting_over(0, run.clock);
    REQUIRE(run.resume(Phase::kCutOver, Side::kB) == "");
    // That start died before it served; the next one finds the same record.
    REQUIRE(run.resume(Phase::kCutOver, Side::kB) == "");
    // So did this one, and a power cut took the record back: the cut is gone by now.
    REQUIRE(run.resume(Phase::kCutoverValidated) == "");
    run.fence(run.now);
    REQUIRE(run.go(Phase::kCutOver, Side::kB) == "ora.M3");
  }
  SECTION("a restart that finds a cut-over without a cut") {
    Migration run;
    run.reach_dual();
    run.go(Phase::kCutoverValidated);
    REQUIRE(run.resume(Phase::kCutOver, Side::kB) == "ora.M3");
  }
}

TEST_CASE("sides that differ after the catch-up are M3, unless the plan damaged the disk") {
  Migration run;
  const StateImage other = state_of(1, entries(1, 4), run.now.hard_state);
  run.checker.catch_up_differs(0, run.now, run.now);
  REQUIRE(run.reported() == "");
  // The node could not read one of them either.
  run.checker.catch_up_differs(0, run.now, absl::InternalError("EIO"));
  REQUIRE(run.reported() == "");
  run.checker.catch_up_differs(0, run.now, other);
  REQUIRE(run.reported() == "ora.M3");
  run.checker.disk_damaged(0, false, absl::StatusCode::kDataLoss, "bit-flip");
  run.checker.catch_up_differs(0, run.now, other);
  REQUIRE(run.reported() == "");
}

TEST_CASE("a cut at which the sides differ, or lack something acked, is M3") {
  Migration run;
  run.reach_dual();
  const StateImage before = run.now;
  run.append();
  REQUIRE(run.cut(before) == "ora.M3");
  run.checker.cut_validated(0, 1, before, before, 0);
  REQUIRE(run.reported() == "ora.M3");
  run.checker.mutation_issued(0, 100, Mutation::append(entries(7, 7)));
  REQUIRE(run.cut(run.now) == "ora.M3");  // no barrier
  run.checker.mutation_acked(0, 100, 1);
  REQUIRE(run.cut(state_of(1, entries(1, 7), run.now.hard_state)) == "ora.M3");
}

TEST_CASE("a fence that is missing, unequal or overtaken is M3") {
  Migration missing;
  missing.reach_validated_cut();
  missing.checker.cutting_over(0, missing.clock);
  REQUIRE(missing.go(Phase::kCutOver, Side::kB) == "ora.M3");

  Migration unequal;
  unequal.reach_validated_cut();
  const StateImage before = unequal.now;
  unequal.append();
  REQUIRE(unequal.fence(before) == "ora.M3");

  Migration overtaken;
  overtaken.reach_validated_cut();
  overtaken.fence(overtaken.now);
  overtaken.append();
  REQUIRE(overtaken.go(Phase::kCutOver, Side::kB) == "ora.M3");
}

TEST_CASE("an instance that was given up and opens for an older program is M1") {
  Migration run;
  run.reach_cut_over();
  REQUIRE(run.go(Phase::kAccepted, Side::kB) == "");
  run.checker.given_up(0, Side::kA, absl::AlreadyExistsError("a file is there"));
  REQUIRE(run.reported() == "");
  run.checker.given_up(0, Side::kA, absl::OkStatus());
  REQUIRE(run.reported() == "ora.M1");
}

TEST_CASE("a risky step without a majority that is up and at rest is M11") {
  const auto risk = [](Migration& run, std::vector<bool> up, bool may_stop = false) {
    run.checker.takes_risk(1, up, may_stop);
    return run.reported();
  };
  Migration run;
  REQUIRE(risk(run, {true, true, true}) == "");
  // The node itself does not count, up or down.
  REQUIRE(risk(run, {true, false, true}) == "");
  REQUIRE(risk(run, {true, true, false}) == "ora.M11");
  REQUIRE(risk(run, {true, true, false}, true) == "");
  REQUIRE(run.go(Phase::kExporting) == "");
  REQUIRE(risk(run, {true, true, true}) == "ora.M11");
  for (const Phase phase : {Phase::kBootstrapping, Phase::kValidated}) {
    REQUIRE(run.go(phase) == "");
    REQUIRE(risk(run, {true, true, true}) == "ora.M11");
  }
  REQUIRE(run.go(Phase::kDualWrite) == "");
  REQUIRE(risk(run, {true, true, true}) == "");
  REQUIRE(run.cut(run.now) == "");
  REQUIRE(run.go(Phase::kCutoverValidated) == "");
  REQUIRE(risk(run, {true, true, true}) == "ora.M11");
  REQUIRE(run.go(Phase::kRolledBack) == "");
  REQUIRE(risk(run, {true, true, true}) == "");
}

TEST_CASE("a roll that neither moves nor waits by plan is M8, once nothing disturbs the cluster") {
  Migration run;
  const auto at = [&](int64_t now_ns, bool calm = true) {
    run.checker.look(now_ns, calm);
    return run.reported();
  };
  constexpr int64_t kMost = kMovesWithinNs;
  REQUIRE(at(5) == "");
  run.checker.roll_moves();
  run.checker.roll_waits("a reason");
  REQUIRE(at(5 + kMost) == "");
  REQUIRE(at(6 + kMost) == "ora.M8");
  // Reported once in that time.
  REQUIRE(at(7 + kMost) == "");

  Migration disturbed;
  disturbed.checker.roll_waits("a reason");
  disturbed.checker.look(100, false);
  disturbed.checker.look(100 + kMost, true);
  REQUIRE(disturbed.reported() == "");
  disturbed.checker.look(101 + kMost, true);
  REQUIRE(disturbed.reported() == "ora.M8");

  Migration planned;
  planned.checker.roll_waits("a reason");
  planned.checker.roll_moves();
  planned.checker.look(2 * kMost, true);
  REQUIRE(planned.reported() == "");
}

TEST_CASE("a start that relies on a phase that a power cut would take is M2") {
  Migration run;
  run.reach_dual();
  REQUIRE(run.resume(Phase::kDualWrite) == "");
  run.checker.relied_on(0, PhaseRecord{Phase::kDualWrite, 1, Side::kA});
  REQUIRE(run.reported() == "");
  run.checker.relied_on(0, PhaseRecord{Phase::kValidated, 1, Side::kA});
  REQUIRE(run.reported() == "ora.M2");
  run.checker.relied_on(0, absl::DataLossError("no valid slot"));
  REQUIRE(run.reported() == "ora.M2");
}

TEST_CASE("a crash in a start may take back a phase that the start has only read") {
  Migration run;
  run.reach_dual();
  REQUIRE(run.resume(Phase::kDualWrite) == "");
  run.checker.relied_on(0, PhaseRecord{Phase::kDualWrite, 1, Side::kA});
  // Written and not synced; read by a start that dies before it has made it durable.
  REQUIRE(run.resume(Phase::kCutoverValidated) == "");
  REQUIRE(run.resume(Phase::kDualWrite) == "");
  REQUIRE(run.resume(Phase::kCutoverValidated) == "");
  run.checker.relied_on(0, PhaseRecord{Phase::kCutoverValidated, 1, Side::kA});
  REQUIRE(run.reported() == "");
  REQUIRE(run.resume(Phase::kValidated) == "ora.M2");
}

}  // namespace
}  // namespace qk::sim
