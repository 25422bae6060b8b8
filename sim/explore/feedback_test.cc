// Plans near others are a function of their seeds, and what is kept is what was new.
#include "sim/explore/feedback.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace qk::sim {
namespace {

Plan drawn(uint64_t seed) {
  Plan plan;
  plan.seed = seed;
  plan.run_for = 60 * kSecond;
  plan.cluster.nodes.resize(3);
  for (size_t i = 0; i < 3; ++i) plan.cluster.nodes[i].id = cat("n", i + 1);
  plan.random.mean_time_to_crash = 2 * kSecond;
  plan.random.restart_after = {100 * kMillisecond, 200 * kMillisecond};
  plan.random.quiet_after = 40 * kSecond;
  FaultPlan scheduled;
  scheduled.at.time = 50 * kSecond;
  scheduled.what = CrashFault{.node = "n2"};
  plan.faults.push_back(scheduled);
  return plan;
}

std::vector<Nanos> times(const Plan& plan) {
  std::vector<Nanos> all;
  for (const FaultPlan& fault : plan.faults) all.push_back(fault.at.time);
  return all;
}

TEST_CASE("a plan near another has most of its faults, and follows from its seeds") {
  const Plan parent = spelled_out(drawn(1));
  CHECK_FALSE(parent.random.any());
  REQUIRE(parent.faults.size() > 10);
  const Plan child = near(parent, 2);
  CHECK(child.seed == 2);
  CHECK(times(child) != times(parent));
  CHECK(times(child) == times(near(parent, 2)));
  CHECK(times(child) != times(near(parent, 3)));
  size_t same = 0;
  for (const Nanos t : times(child)) {
    const auto all = times(parent);
    same += std::find(all.begin(), all.end(), t) != all.end() ? 1 : 0;
    CHECK(t > 0);
  }
  CHECK(2 * same > child.faults.size());
  // What the scenario schedules stays; drawn faults stay before the quiet time.
  CHECK(child.faults.front().at.time == 50 * kSecond);
  for (const FaultPlan& fault : child.faults) {
    if (fault.drawn) CHECK(fault.at.time < 40 * kSecond);
  }
  const uint64_t line[] = {1, 2};
  CHECK(times(plan_after(line, 3, drawn)) == times(near(child, 3)));
  CHECK(plan_after({}, 3, drawn).random.any());
}

TEST_CASE("only a run with a tuple that is new is made others from") {
  Feedback feedback;
  CHECK(feedback.ancestors(5).empty());
  const std::vector<std::string> a = {"crash A"};
  const std::vector<std::string> both = {"crash A", "crash DUAL"};
  feedback.ran(1, {}, a);
  feedback.ran(2, {}, a);
  CHECK(feedback.kept() == 1);
  feedback.ran(3, {1}, both);
  CHECK(feedback.kept() == 2);
  CHECK(feedback.tuples() == 2);
  std::set<std::vector<uint64_t>> lines;
  for (uint64_t seed = 10; seed < 100; ++seed) {
    lines.insert(feedback.ancestors(seed));
    CHECK(feedback.ancestors(seed) == feedback.ancestors(seed));
  }
  CHECK(lines == std::set<std::vector<uint64_t>>{{}, {1}, {1, 3}});
}

}  // namespace
}  // namespace qk::sim
