// What a run says of itself: every verdict has a reason, and no reason is lost.
#include "scenarios/test_support.h"

namespace qk::scenarios {
namespace {

using sim::Verdict;

// The canary, expecting these violations instead of its own.
sim::Plan canary(const std::vector<std::string>& violates) {
  sim::Plan plan = plan_of("canary-as-shipped", 1);
  plan.expect.violates = violates;
  return plan;
}

TEST_CASE("a run that is expected to violate is judged by exactly the oracles it names") {
  const sim::RunResult expected = sim::run(canary({"ora.L5"}), {});
  INFO(describe(expected));
  CHECK(expected.verdict == Verdict::kExpected);
  CHECK(expected.violations.size() == 1);
  CHECK(expected.unmet.empty());
}

TEST_CASE("another violation than the expected one fails, and both are named") {
  const sim::RunResult other = sim::run(canary({"ora.D1"}), {});
  INFO(describe(other));
  CHECK(other.verdict == Verdict::kViolation);
  CHECK(other.unmet ==
        std::vector<std::string>{"expected a violation of ora.D1, found ora.L5",
                                 "ora.L5 is not among the expected violations: ora.D1"});
}

TEST_CASE("an expected violation that is missing beside another fails") {
  const sim::RunResult one_of_two = sim::run(canary({"ora.D1", "ora.L5"}), {});
  INFO(describe(one_of_two));
  CHECK(one_of_two.verdict == Verdict::kViolation);
  CHECK(one_of_two.unmet ==
        std::vector<std::string>{"expected a violation of ora.D1, found ora.L5"});
  // It did not end at the violation that it expects.
  CHECK(one_of_two.simulated == canary({}).run_for);
}

TEST_CASE("a run that violates nothing fails if it should") {
  sim::Plan plan = plan_of("canary-as-shipped", 1, {"store[shipped].local.durability=STRICT"});
  const sim::RunResult none = sim::run(plan, {});
  INFO(describe(none));
  CHECK(none.violations.empty());
  CHECK(none.verdict == Verdict::kViolation);
  CHECK(none.unmet == std::vector<std::string>{"expected a violation of ora.L5, found none"});
}

TEST_CASE("--keep-going shows whether the expected violations are the only ones") {
  sim::RunOptions options;
  options.keep_going = true;
  const sim::RunResult result = sim::run(canary({"ora.L5"}), options);
  INFO(describe(result));
  CHECK(result.simulated == canary({}).run_for);
  for (const sim::Violation& violation : result.violations) CHECK(violation.oracle == "ora.L5");
  CHECK(result.verdict == Verdict::kExpected);
}

}  // namespace
}  // namespace qk::scenarios
