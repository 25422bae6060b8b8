#include "sim/explore/futures.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "families/base/strings.h"

namespace qk::sim {
namespace {

// A run of 1000 steps and 2000 events in which chance decides in step `at`, counted from 1: before
// it `before` of 10 futures end the same way, and all of them after it.
struct Decided {
  uint64_t at;
  uint64_t before = 0;
  size_t asked = 0;
  size_t asks = SIZE_MAX;

  std::optional<Moment> operator()(uint64_t steps) {
    if (asked == asks) return std::nullopt;
    ++asked;
    const uint64_t same = steps >= at ? 10 : before;
    return Moment{steps, 2 * steps, static_cast<Nanos>(steps), same, 1, 10 - same - (same < 10)};
  }
};

Curve curve_of(Decided* run, uint64_t points = 5) {
  return find_jump({1000, 2000, 1000}, points, 10, [&](uint64_t steps) { return (*run)(steps); });
}

TEST_CASE("the jump is found to the step", "[futures]") {
  for (const uint64_t at : {1u, 2u, 250u, 251u, 640u, 999u, 1000u}) {
    INFO(at);
    Decided run{at};
    const Curve curve = curve_of(&run);
    REQUIRE(curve.jump.has_value());
    CHECK(curve.complete);
    CHECK(curve.moments[*curve.jump].steps == at);
    CHECK(curve.moments[*curve.jump - 1].steps == at - 1);
    CHECK(run.asked < 20);
    CHECK(std::is_sorted(curve.moments.begin(), curve.moments.end(),
                         [](const Moment& a, const Moment& b) { return a.steps < b.steps; }));
    CHECK(curve.moments.back().steps == 1000);
  }
}

TEST_CASE("a curve that does not rise has no jump", "[futures]") {
  Decided run{0};
  const Curve curve = curve_of(&run);
  CHECK_FALSE(curve.jump.has_value());
  CHECK(curve.complete);
  CHECK(curve.moments.size() == 5);
  Scheduler scheduler;
  const Trace trace(&scheduler, {1, 1, {"n1"}}, TraceLevel::kFull);
  CHECK(curve_text(curve, trace).find("no jump: it ends this way from the start") !=
        std::string::npos);
}

TEST_CASE("where the time is over, what is known is kept, and no jump is claimed", "[futures]") {
  for (const size_t asks : {0u, 2u, 7u}) {
    INFO(asks);
    Decided run{640, 3};
    run.asks = asks;
    const Curve curve = curve_of(&run);
    CHECK_FALSE(curve.complete);
    CHECK_FALSE(curve.jump.has_value());
    CHECK(curve.moments.size() == asks + 1);
  }
}

TEST_CASE("the same violation is one of the same oracle in the same phase", "[futures]") {
  Violation violation;
  violation.oracle = "ora.L5";
  violation.phase = "CUT";
  RunResult result;
  CHECK(future_of(violation, result) == Future::kNone);
  result.violations.push_back(violation);
  CHECK(future_of(violation, result) == Future::kSame);
  result.violations[0].phase = "A";
  CHECK(future_of(violation, result) == Future::kOther);
  result.violations[0] = violation;
  result.violations[0].oracle = "ora.L1";
  CHECK(future_of(violation, result) == Future::kOther);
}

TEST_CASE("the curve, and the event at its jump, as text and as JSON", "[futures]") {
  Scheduler scheduler;
  Trace trace(&scheduler, {1, 1, {"n1", "n2"}}, TraceLevel::kFull);
  for (uint64_t seq = 1; seq <= 8; ++seq) {
    Event event{.node = 2, .kind = seq == 6 ? EventKind::kRaftCommit : EventKind::kDiskOp};
    event.args = {6, 1};
    trace.record(event, "/node/log");
  }
  Curve curve;
  curve.moments = {
      {0, 0, 0, 1, 1, 2}, {2, 4, 20, 1, 0, 3}, {3, 7, 30, 4, 0, 0}, {4, 8, 40, 4, 0, 0}};
  curve.jump = 2;
  CHECK(curve_text(curve, trace) ==
        R"(futures that end the same way, by the moment from which on chance is another
          0  0.000000s  #####...............  1 of 4, 1 otherwise
          4  0.000000s  #####...............  1 of 4
          7  0.000000s  ####################  4 of 4  <- jump
          8  0.000000s  ####################  4 of 4  the violation

the jump: from 1 of 4 to 4 of 4, in the step of events #5 to #7
  n2 commits up to 6, t=0.000000s #6
)");
  Violation violation;
  violation.oracle = "ora.L5";
  const std::string text = curve_json(curve, trace, violation);
  CHECK(text.find("\"jump\":{\"events\":[{\"seq\":\"6\",\"text\":\"n2 commits up to 6\"}],"
                  "\"moment\":2}") != std::string::npos);
  CHECK(text.find("\"oracle\":\"ora.L5\"") != std::string::npos);
  curve.moments[1].events = 7;
  CHECK(curve_text(curve, trace)
            .find("after event #7, which recorded nothing itself; the next one:\n"
                  "  n2 ") != std::string::npos);
  curve.moments[1].events = 4;
  // Where a later moment is the first from which nothing else can come, that is said.
  curve.moments[2].same = 3;
  curve.moments[2].none = 1;
  CHECK(curve_text(curve, trace).find("inevitable only from event #8 on") != std::string::npos);
}

}  // namespace
}  // namespace qk::sim
