// The shipped scenarios under many seeds: every seed passes, and the same seed gives the same
// chain.
//
// QKSIM_TEST_SEEDS says how many seeds (sanitizer builds take fewer), QKSIM_TEST_FIRST_SEED which
// is the first instead of 1.
#include <algorithm>

#include "scenarios/test_support.h"
#include "sim/explore/litmus.h"
#include "sim/explore/selftest.h"

namespace qk::scenarios {
namespace {

// Enough for the easy form of each planted bug.
constexpr uint64_t kPlantedSeeds = 12;
// Of the main scenario, in a commit; `qk nightly` takes thousands.
constexpr uint64_t kSeeds = 150;

// A run passes, or violates exactly what its scenario expects (a canary).
sim::Verdict good_verdict(const sim::Plan& plan) {
  return plan.expect.verdict == sim::ExpectPlan::Verdict::kViolation ? sim::Verdict::kExpected
                                                                     : sim::Verdict::kPass;
}

void check_seeds(const std::string& scenario, uint64_t first, uint64_t last) {
  for (uint64_t seed = first_seed() - 1 + first; seed <= first_seed() - 1 + last; ++seed) {
    const sim::Plan plan = plan_of(scenario, seed);
    const sim::RunResult result = sim::run(plan, {});
    INFO("qksim run " << scenario << " --seed " << seed << "\n" << describe(result));
    CHECK(result.verdict == good_verdict(plan));
  }
}

TEST_CASE("rolling-local-to-sqlite passes under the first half of the seeds", "[first]") {
  check_seeds("rolling-local-to-sqlite", 1, (seed_count(kSeeds) + 1) / 2);
}

TEST_CASE("rolling-local-to-sqlite passes under the second half of the seeds", "[second]") {
  check_seeds("rolling-local-to-sqlite", (seed_count(kSeeds) + 1) / 2 + 1, seed_count(kSeeds));
}

TEST_CASE("every other shipped scenario passes under a fifth of the seeds", "[others]") {
  for (const ScenarioSource& source : builtin_scenarios()) {
    const std::string name(scenario_stem(source.file));
    if (name != "rolling-local-to-sqlite") check_seeds(name, 1, (seed_count(kSeeds) + 4) / 5);
  }
}

// The scenarios of a directory; each pins its seed, and says what it expects.
std::vector<sim::Plan> plans_of(const std::string& directory) {
  families::PosixFileSystem fs;
  const std::string path = cat(QK_SOURCE_DIR, "/scenarios/", directory);
  const auto names = fs.list(path);
  REQUIRE(names.ok());
  std::vector<sim::Plan> plans;
  for (const std::string& name : *names) {
    if (!name.ends_with(".qks.txtpb")) continue;
    INFO(name);
    const auto source = find_scenario(fs, path, name);
    REQUIRE(source.ok());
    REQUIRE(source->text.find("\nseed: ") != std::string::npos);
    plans.push_back(must_load(*source, {}, std::nullopt));
  }
  REQUIRE_FALSE(plans.empty());
  return plans;
}

TEST_CASE("regressions stay fixed", "[others]") {
  for (const sim::Plan& plan : plans_of("regressions")) {
    const sim::RunResult result = sim::run(plan, {});
    INFO(plan.name << "\n" << describe(result));
    CHECK(result.verdict == good_verdict(plan));
  }
}

// What is wrong with braft as shipped, under the same faults, is not wrong with `local`.
TEST_CASE("each finding is found, and its cure is one", "[others]") {
  for (sim::Plan plan : plans_of("findings")) {
    INFO(plan.name);
    const sim::RunResult shipped = sim::run(plan, {});
    INFO("as shipped\n" << describe(shipped));
    CHECK(shipped.verdict == sim::Verdict::kExpected);
    for (sim::StorePlan& store : plan.stores) {
      if (store.family == "local-as-shipped") store.family = "local";
    }
    // What a crash left is named by files of the other family; it leaves the least instead.
    for (sim::FaultPlan& fault : plan.faults) {
      auto* const crash = std::get_if<sim::CrashFault>(&fault.what);
      if (crash == nullptr) continue;
      crash->decided.reset();
      crash->loss = sim::CrashLoss::kKeepSynced;
    }
    const sim::RunResult local = sim::run(plan, {});
    INFO("local\n" << describe(local));
    CHECK(local.violations.empty());
    CHECK(local.committed > 10);
  }
}

TEST_CASE("the same seed gives the same chain, however often and whatever ran before",
          "[determinism]") {
  for (const ScenarioSource& source : builtin_scenarios()) {
    const std::string name(scenario_stem(source.file));
    const auto run = [&](uint64_t seed, sim::TraceLevel level) {
      sim::RunOptions options;
      options.trace = level;
      return sim::run(plan_of(name, seed), options);
    };
    INFO(name);
    const sim::RunResult first = run(7, sim::TraceLevel::kMarks);
    const sim::RunResult other = run(8, sim::TraceLevel::kMarks);
    const sim::RunResult again = run(7, sim::TraceLevel::kFull);
    CHECK(first.chain == again.chain);
    CHECK(first.digest == again.digest);
    CHECK(first.events == again.events);
    CHECK(first.chain != other.chain);
  }
}

sim::RunResult run_planted(const sim::Plan& plan) {
  sim::RunOptions options;
  options.trace = sim::TraceLevel::kNone;
  options.mutant_of = sim::make_mutant;
  return sim::run(plan, options);
}

// `scenario`: a name, and fields to replace, separated by spaces.
sim::Plan plan_for(std::string_view scenario, uint64_t seed) {
  std::vector<std::string> words;
  while (!scenario.empty()) {
    const size_t space = std::min(scenario.find(' '), scenario.size());
    words.emplace_back(scenario.substr(0, space));
    scenario.remove_prefix(std::min(space + 1, scenario.size()));
  }
  const std::string name = words.front();
  words.erase(words.begin());
  return plan_of(name, seed, words);
}

// The form that acts whenever it can; `qksim selftest` hunts the other one, too.
TEST_CASE("each planted bug is found by an oracle that is meant for it", "[planted]") {
  CHECK(sim::broken_litmus(nullptr).empty());
  sim::HuntTools tools;
  tools.plan = plan_for;
  tools.run = run_planted;
  for (const sim::PlantedBug& bug : sim::planted_bugs()) {
    // Those that end the process, those that act on some seeds alone, and those that selftest
    // names.
    if (bug.oracles == "internal" || bug.name == "canary" || !bug.survives.empty()) continue;
    const sim::Catch found = sim::hunt({&bug, false}, kPlantedSeeds, tools);
    INFO(bug.name << ": " << (found.oracle.empty() ? "nothing" : found.oracle) << " noticed, seed "
                  << found.seed << "; expected " << bug.oracles);
    CHECK(found.how == sim::Catch::How::kByMeant);
  }
}

TEST_CASE("the same planted bug and seed give the same finding", "[planted]") {
  for (const std::string planted : {"mirror-skips-append:hard", "append-ack-before-synced:hard"}) {
    sim::Plan plan = plan_for(sim::find_planted(planted)->scenario, 3);
    plan.planted = planted;
    const sim::RunResult first = run_planted(plan);
    const sim::RunResult again = run_planted(plan);
    INFO(planted << "\n" << describe(first));
    REQUIRE(first.violations.size() == 1);
    REQUIRE(again.violations.size() == 1);
    CHECK(first.violations[0].seq == again.violations[0].seq);
    CHECK(first.chain == again.chain);
  }
}

}  // namespace
}  // namespace qk::scenarios
