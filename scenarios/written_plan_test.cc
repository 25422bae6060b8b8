// What was drawn is written: the written form of a run is a scenario of its own that replays to the
// same chain, can be edited, and complains about what no longer fits.
#include "scenarios/written_plan.h"

#include "scenarios/test_support.h"

namespace qk::scenarios {
namespace {

struct Written {
  sim::RunResult first;
  std::string text;
  sim::Plan plan;  // of the text
};

Written write(const ScenarioSource& source, uint64_t seed) {
  Written out;
  const LoadResult loaded = load_here(source, {}, seed);
  REQUIRE(loaded.plan.has_value());
  out.first = sim::run(*loaded.plan, {});
  out.text = written_plan(loaded.effective, "written", *loaded.plan, out.first.injected);
  out.plan = must_load({"written.qks.txtpb", out.text, "/"}, {}, std::nullopt);
  return out;
}

TEST_CASE("a written plan replays to the same chain") {
  size_t drawn = 0;
  size_t decided = 0;
  for (const ScenarioSource& source : builtin_scenarios()) {
    for (uint64_t seed = first_seed(); seed < first_seed() + (seed_count(300) + 99) / 100; ++seed) {
      const Written written = write(source, seed);
      INFO("qksim run " << scenario_stem(source.file) << " --seed " << seed);
      CHECK(written.plan.seed == seed);
      CHECK(written.plan.random.mean_time_to_crash == 0);
      for (const sim::FaultPlan& fault : written.plan.faults) {
        drawn += fault.drawn ? 1 : 0;
        const auto* crash = std::get_if<sim::CrashFault>(&fault.what);
        decided += crash != nullptr && crash->decided && !crash->decided->kept.empty() ? 1 : 0;
      }
      const sim::RunResult again = sim::run(written.plan, {});
      CHECK(again.chain == written.first.chain);
      CHECK(again.digest == written.first.digest);
      CHECK(again.verdict == written.first.verdict);
      CHECK(again.inconclusive == written.first.inconclusive);
    }
  }
  CHECK(drawn > 0);
  CHECK(decided > 0);
}

TEST_CASE("what the operator was drawn to do is written, and replays") {
  size_t transfers = 0;
  size_t rollbacks = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const Written written = write(source_of("swarm"), seed);
    INFO("qksim run swarm --seed " << seed);
    for (const sim::FaultPlan& fault : written.plan.faults) {
      if (!fault.drawn) continue;
      transfers += std::holds_alternative<sim::TransferFault>(fault.what) ? 1 : 0;
      rollbacks += std::holds_alternative<sim::RollbackFault>(fault.what) ? 1 : 0;
    }
    CHECK(sim::run(written.plan, {}).chain == written.first.chain);
  }
  CHECK(transfers > 0);
  CHECK(rollbacks > 0);
}

TEST_CASE("a decision about an operation that the run does not have makes it inconclusive") {
  const Written written = write(source_of("rolling-under-random-faults"), 3);
  sim::Plan plan = written.plan;
  for (sim::FaultPlan& fault : plan.faults) {
    auto* crash = std::get_if<sim::CrashFault>(&fault.what);
    if (crash == nullptr || !crash->decided || crash->decided->executing) continue;
    crash->decided->kept[{"/node/nothing", sim::PendingOperation::Kind::kWrite, 7}] =
        sim::Fate::keep();
    const sim::RunResult edited = sim::run(plan, {});
    CHECK(edited.events == written.first.events);
    CHECK(edited.verdict == sim::Verdict::kInconclusive);
    REQUIRE(edited.inconclusive.size() == 1);
    CHECK(edited.inconclusive[0].ends_with(
        cat("crash of ", crash->node, ": /node/nothing write 7 is not pending")));
    return;
  }
  FAIL("the run has no crash with a decision");
}

TEST_CASE("a written plan without one of its faults is another run") {
  const Written written = write(source_of("rolling-under-random-faults"), 3);
  sim::Plan plan = written.plan;
  REQUIRE(plan.faults.size() > 1);
  plan.faults.erase(plan.faults.begin());
  CHECK(sim::run(plan, {}).chain != written.first.chain);
}

}  // namespace
}  // namespace qk::scenarios
