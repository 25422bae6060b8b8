#include "sim/explore/selftest.h"

#include "families/base/strings.h"
#include "sim/explore/litmus.h"

namespace qk::sim {
namespace {

using How = Catch::How;

Catch caught(const PlantedBug& bug, std::string oracle) {
  Catch found;
  found.how = is_meant(bug, oracle) ? How::kByMeant : How::kByAnother;
  found.oracle = std::move(oracle);
  return found;
}

bool differ(const RunResult& a, const RunResult& b) {
  return a.chain != b.chain || a.events != b.events || a.digest != b.digest;
}

}  // namespace

bool is_meant(const PlantedBug& bug, std::string_view oracle) {
  return cat(" ", bug.oracles, " ").find(cat(" ", oracle, " ")) != std::string::npos;
}

Catch judge(const PlantedBug& bug, const RunResult& result) {
  if (!result.violations.empty()) return caught(bug, result.violations.front().oracle);
  if (result.verdict == Verdict::kInconclusive) return caught(bug, "expect");
  return {};
}

Catch hunt(const Hunt& hunt, uint64_t seeds, const HuntTools& tools) {
  const PlantedBug& bug = *hunt.bug;
  Catch unreached;
  uint64_t events = 0;
  uint64_t seed = 1;
  for (; seed <= seeds && !tools.spent(); ++seed) {
    Plan plan;
    if (bug.judge == Judge::kLitmus) {
      plan.seed = seed;
    } else {
      plan = tools.plan(bug.scenario, seed);
    }
    plan.planted = hunt.planted();
    Catch found;
    if (bug.judge == Judge::kLitmus) {
      const auto mutant = make_mutant(plan);
      if (!broken_litmus(mutant.get()).empty()) found = caught(bug, "ora.S2");
    } else {
      const RunResult result = tools.run(plan);
      events += result.events;
      found = judge(bug, result);
      if (bug.judge == Judge::kDeterminism) {
        const RunResult again = tools.run(plan);
        events += again.events;
        if (differ(result, again)) found = caught(bug, "ora.S1");
      }
    }
    found.seed = seed;
    found.seeds = seed;
    found.events = events;
    const bool expectation = found.oracle == "expect";
    if (found.how == How::kByMeant || (found.how == How::kByAnother && !expectation)) return found;
    if (expectation && unreached.oracle.empty()) unreached = found;
  }
  unreached.seeds = seed - 1;
  unreached.events = events;
  return unreached;
}

}  // namespace qk::sim
