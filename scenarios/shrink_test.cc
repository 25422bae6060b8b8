// The search of the shrinker, with a run that is only a rule over the plan.
#include "scenarios/shrink.h"

#include <algorithm>

#include "scenarios/test_support.h"

namespace qk::scenarios {
namespace {

constexpr std::string_view kFailing = R"(
  run_for: "60s"
  cluster { nodes: 5 default_store: "a" link { loss: 0.01 } snapshot_every_entries: 80 }
  store { id: "a" local {} }
  store { id: "b" memory {} }
  migration { from: "a" to: "b" fresh_mutations: 100 fresh_time: "1s" accept_weak_durability: true }
  workload { clients: 4 }
  at { t: "1s" crash { node: "n1" } }
  at { t: "2s" crash { node: "n2" decided { kept { file: "/f" ordinal: 1 count: 5 } } } }
  at { t: "3s" crash { node: "n3" } }
  at { t: "4s" partition { side { node: "n5" } } }
)";

// Violates ora.L1 two seconds in, if n2 crashes and keeps the third write of /f; and something else
// with a single node.
sim::RunResult rule(const sim::Plan& plan) {
  sim::RunResult result;
  result.injected = plan.faults;
  result.committed = 40;
  for (const sim::FaultPlan& fault : plan.faults) {
    const auto* crash = std::get_if<sim::CrashFault>(&fault.what);
    if (crash == nullptr || crash->node != "n2" || !crash->decided) continue;
    if (!crash->decided->kept.contains({"/f", sim::PendingOperation::Kind::kWrite, 3})) continue;
    sim::Violation violation;
    violation.oracle = plan.cluster.nodes.size() > 1 ? "ora.L1" : "ora.L2";
    violation.phase = "A";
    violation.t = 2 * sim::kSecond;
    result.violations.push_back(violation);
    result.verdict = sim::Verdict::kViolation;
  }
  return result;
}

struct Search {
  LoadResult loaded = load_here({"rule.qks.txtpb", cat("name: \"rule\"", kFailing), "/"});
  ShrinkTools tools;
  uint64_t runs = 0;

  Search() {
    REQUIRE(loaded.plan.has_value());
    tools.load = [](const ScenarioSource& source) { return load_here(source, {}, std::nullopt); };
    tools.run = [this](const sim::Plan& plan) {
      ++runs;
      return rule(plan);
    };
  }
  absl::StatusOr<Shrunk> shrink() {
    return scenarios::shrink(loaded, rule(*loaded.plan), "small", tools);
  }
};

TEST_CASE("shrinking keeps what the failure needs, and nothing else") {
  Search search;
  const auto shrunk = search.shrink();
  REQUIRE(shrunk.ok());
  CHECK(shrunk->complete);
  CHECK(shrunk->failure == FailureSignature{"ora.L1", "A"});
  CHECK(shrunk->runs == search.runs);
  const sim::Plan plan = must_load({"small.qks.txtpb", shrunk->text, "/"}, {}, std::nullopt);
  CHECK(plan.cluster.nodes.size() == 2);  // with one node it fails in another way
  CHECK(plan.workload.clients == 0);
  CHECK(plan.migrations.empty());
  CHECK(plan.cluster.link.loss_ppm == 0);
  CHECK(plan.until == 4 * sim::kSecond + sim::kMillisecond);
  CHECK(plan.expect.violates == std::vector<std::string>{"ora.L1"});
  REQUIRE(plan.faults.size() == 1);
  const auto& crash = std::get<sim::CrashFault>(plan.faults[0].what);
  CHECK(crash.node == "n2");
  CHECK(crash.decided->kept.size() == 1);  // of five
  CHECK(rule(plan).verdict == sim::Verdict::kViolation);

  REQUIRE_FALSE(shrunk->sibling.empty());
  const sim::Plan sibling =
      must_load({"small-passes.qks.txtpb", shrunk->sibling, "/"}, {}, std::nullopt);
  CHECK(rule(sibling).verdict == sim::Verdict::kPass);
  CHECK_FALSE(shrunk->difference.empty());

  // The same calls, the same result.
  Search again;
  CHECK(again.shrink()->text == shrunk->text);
}

TEST_CASE("shrinking that is stopped keeps what it has by then") {
  Search search;
  int left = 4;
  search.tools.stop = [&] { return left-- == 0; };
  const auto shrunk = search.shrink();
  REQUIRE(shrunk.ok());
  CHECK_FALSE(shrunk->complete);
  CHECK(rule(must_load({"small.qks.txtpb", shrunk->text, "/"}, {}, std::nullopt)).verdict ==
        sim::Verdict::kViolation);
}

TEST_CASE("shrinking that ran out of its time still looks for the run that passes") {
  Search search;
  int left = 12;
  search.tools.stop = [&] { return left-- <= 0; };
  const auto shrunk = search.shrink();
  REQUIRE(shrunk.ok());
  CHECK_FALSE(shrunk->complete);
  CHECK_FALSE(shrunk->sibling.empty());
  left = 12;
  search.tools.give_up = [] { return true; };
  CHECK(search.shrink()->sibling.empty());
}

// Violates something once there is a snapshot; with fewer than fifty operations only for every other
// seed, as what few operations do at the right moment.
sim::RunResult needs_snapshot(const sim::Plan& plan) {
  sim::RunResult result;
  const uint64_t operations = plan.workload.operations > 0 ? plan.workload.operations : 120;
  const uint32_t every = plan.cluster.snapshot_every_entries;
  result.injected = plan.faults;
  result.committed = plan.workload.clients > 0 ? operations : 0;
  if (every == 0 || result.committed < every) return result;
  if (operations < 50 && plan.seed % 2 == 1) return result;
  sim::Violation violation;
  violation.oracle = "ora.L1";
  violation.phase = plan.migrations.empty() ? "A" : "B";
  violation.t = 2 * sim::kSecond;
  result.violations.push_back(violation);
  result.verdict = sim::Verdict::kViolation;
  return result;
}

TEST_CASE("few operations under another seed take the place of many") {
  Search search;
  search.tools.run = needs_snapshot;
  for (const bool any_phase : {false, true}) {
    search.tools.any_phase = any_phase;
    const auto shrunk = scenarios::shrink(search.loaded, needs_snapshot(*search.loaded.plan),
                                          "small", search.tools);
    REQUIRE(shrunk.ok());
    CHECK(shrunk->complete);
    const sim::Plan plan = must_load({"small.qks.txtpb", shrunk->text, "/"}, {}, std::nullopt);
    CHECK(plan.seed == 2);
    CHECK(plan.workload.operations == 1);
    CHECK(plan.faults.empty());
    CHECK(plan.migrations.empty() == any_phase);
    CHECK(shrunk->failure.phase == (any_phase ? "A" : "B"));
  }
}

TEST_CASE("a candidate that fails a check of our own is passed over") {
  Search search;
  uint64_t ended = 0;
  search.tools.run = [&](const sim::Plan& plan) -> std::optional<sim::RunResult> {
    ++search.runs;
    if (plan.cluster.nodes.size() > 3) return rule(plan);
    ++ended;
    return std::nullopt;
  };
  const auto shrunk = search.shrink();
  REQUIRE(shrunk.ok());
  CHECK(ended > 0);
  CHECK(shrunk->complete);
  const sim::Plan plan = must_load({"small.qks.txtpb", shrunk->text, "/"}, {}, std::nullopt);
  CHECK(plan.cluster.nodes.size() == 4);
  CHECK(plan.faults.size() == 1);
  // Such a run does not pass either.
  const sim::Plan passes =
      must_load({"small-passes.qks.txtpb", shrunk->sibling, "/"}, {}, std::nullopt);
  CHECK(passes.cluster.nodes.size() == 4);
}

TEST_CASE("shrinking that is stopped at once says so") {
  Search search;
  search.tools.stop = [] { return true; };
  CHECK(search.shrink().status().message() == "stopped before the first step");
  CHECK(search.runs == 0);
}

TEST_CASE("a run that passes is not shrunk") {
  Search search;
  const auto shrunk = shrink(search.loaded, sim::RunResult(), "small", search.tools);
  CHECK(shrunk.status().message() == "the run violates nothing");
  // Nor one whose written form does not fail: then something that it does is not written.
  search.tools.run = [](const sim::Plan&) { return sim::RunResult(); };
  CHECK_FALSE(search.shrink().ok());
}

}  // namespace
}  // namespace qk::scenarios
