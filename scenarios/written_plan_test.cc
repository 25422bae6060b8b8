// What was drawn is written: the written form of a run is a scenario of its own that replays to the
// same chain, can be edited, and complains about what no longer fits.
#include "scenarios/written_plan.h"

#include <set>

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

TEST_CASE("a run that turns has the same beginning, and another future for each key") {
  for (const char* name : {"rolling-under-random-faults", "rolling-pair"}) {
    INFO(name);
    const LoadResult loaded = load_here(source_of(name), {}, 3);
    sim::RunOptions full;
    full.trace = sim::TraceLevel::kFull;
    const sim::RunResult whole = sim::run(*loaded.plan, full);
    const uint64_t half = whole.steps / 2;
    const auto turned = [&](uint64_t after, uint64_t key) {
      sim::RunOptions options = full;
      options.turn = sim::Turn{after, key};
      return sim::run(*loaded.plan, options);
    };
    const sim::RunResult other = turned(half, 1);
    REQUIRE(other.turned.has_value());
    REQUIRE(other.turned->events > 1000);
    for (uint64_t seq = 1; seq <= other.turned->events; ++seq) {
      const sim::Event& a = whole.trace->event(seq);
      const sim::Event& b = other.trace->event(seq);
      REQUIRE((a.t == b.t && a.kind == b.kind && a.node == b.node && a.args == b.args));
    }
    // A nearer end changes nothing before the turn, as long as the clients are not quiet yet.
    sim::Plan nearer = *loaded.plan;
    nearer.until = other.turned->t + sim::kClientQuiet + sim::kSecond;
    sim::RunOptions options = full;
    options.turn = sim::Turn{half, 1};
    const sim::RunResult shorter = sim::run(nearer, options);
    REQUIRE(shorter.turned.has_value());
    CHECK(shorter.turned->events == other.turned->events);
    CHECK(shorter.turned->t == other.turned->t);
    CHECK(shorter.simulated == *nearer.until);
    CHECK(other.violations.empty());
    CHECK(other.chain != whole.chain);
    CHECK(turned(half, 1).chain == other.chain);
    CHECK(turned(half, 2).chain != other.chain);
    // At the end, or later, nothing is left to be another.
    CHECK(turned(whole.steps, 1).chain == whole.chain);
    CHECK_FALSE(turned(whole.steps + 1, 1).turned.has_value());
  }
}

TEST_CASE("after a turn drawn faults come at other times, and a crash leaves what chance says") {
  const Written written = write(source_of("rolling-under-random-faults"), 3);
  sim::RunOptions options;
  options.turn = sim::Turn{1, 1};
  const sim::RunResult turned = sim::run(written.plan, options);
  const auto drawn = [](const std::vector<sim::FaultPlan>& faults) {
    std::set<sim::Nanos> times;
    for (const sim::FaultPlan& fault : faults) {
      if (fault.drawn) times.insert(fault.at.time);
    }
    return times;
  };
  const std::set<sim::Nanos> before = drawn(written.plan.faults);
  REQUIRE(before.size() > 2);
  const std::set<sim::Nanos> after = drawn(turned.injected);
  CHECK_FALSE(after.empty());
  for (const sim::Nanos t : after) CHECK(before.count(t) == 0);
  // What the plan decided of a crash is not asked of another one.
  for (const std::string& reason : turned.inconclusive) {
    CHECK(reason.find("is not pending") == std::string::npos);
  }
}

}  // namespace
}  // namespace qk::scenarios
