// Random walks of the core: clean ones hold every invariant of test_walk.h, and each mutant of a
// rule (rule_mutants.h) breaks one of those that are meant for it.
//
// QKSIM_TEST_SEEDS says how many walks are clean (kFewest at least: a walk is cheap, and what a few
// reach is chance), QKSIM_TEST_FIRST_SEED which comes first. A walk that fails prints its seed and,
// made short, what was done.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <iterator>
#include <string>

#include "sim/raft/rule_mutants.h"
#include "sim/raft/test_walk.h"

namespace qk::raft {
namespace {

using testing::draw;
using testing::Drawn;
using testing::Outcome;
using testing::Reached;
using testing::walk;

constexpr uint64_t kFewest = 400;

uint64_t number_from(const char* variable, uint64_t usual) {
  const char* text = std::getenv(variable);
  return text == nullptr ? usual : std::strtoull(text, nullptr, 10);
}

void add(Reached* sum, const Reached& one) {
  sum->leaders += one.leaders;
  sum->commits += one.commits;
  sum->crashes += one.crashes;
  sum->cuts += one.cuts;
  sum->resets += one.resets;
  sum->installs_in_log += one.installs_in_log;
  sum->installs += one.installs;
  sum->old_term_quorums += one.old_term_quorums;
}

TEST_CASE("clean walks hold every invariant", "[walk]") {
  const uint64_t first = number_from("QKSIM_TEST_FIRST_SEED", 1);
  const uint64_t seeds = std::max(number_from("QKSIM_TEST_SEEDS", 1000), kFewest);
  Reached reached;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    const Drawn drawn = draw(seed);
    const Outcome outcome = walk(drawn.profile, drawn.actions, "");
    if (!outcome.invariant.empty()) FAIL(testing::tell(seed, "", outcome));
    add(&reached, outcome.reached);
  }
  // What a walk is worth: none of it may become rare.
  INFO("leaders " << reached.leaders << ", commits " << reached.commits << ", crashes "
                  << reached.crashes << ", cuts " << reached.cuts << ", resets " << reached.resets
                  << ", installs " << reached.installs << ", into a log " << reached.installs_in_log
                  << ", majorities of an old term " << reached.old_term_quorums);
  CHECK(reached.leaders > 5 * seeds);
  CHECK(reached.commits > 10 * seeds);
  CHECK(reached.installs_in_log + reached.resets > 0);
  CHECK(reached.crashes > 5 * seeds);
  CHECK(reached.cuts > seeds / 10);
  CHECK(reached.installs > seeds / 10);
  CHECK(reached.old_term_quorums > seeds / 10);
}

TEST_CASE("a walk is the same every time", "[walk]") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Drawn drawn = draw(seed);
    std::string one, other;
    walk(drawn.profile, drawn.actions, "", &one);
    walk(drawn.profile, drawn.actions, "", &other);
    CHECK(!one.empty());
    CHECK(one == other);
  }
}

// Each mutant, and the invariants that it may die by.
struct Death {
  std::string_view mutant;
  std::string_view by;
};
constexpr Death kDeaths[] = {
    {"vote-terms-ignored", "vote"},
    {"vote-index-first", "vote"},
    {"vote-log-ignored", "vote"},
    {"second-vote", "R2 R13"},
    {"vote-in-memory", "R13 majority"},
    {"term-in-memory", "R13"},
    {"hard-state-counted-early", "R13 majority"},
    {"old-vote-counted", "majority"},
    {"pre-vote-counted", "majority check"},
    {"vote-counted-twice", "majority"},
    {"pre-vote-raises-term", "term"},
    {"higher-reply-ignored", "term"},
    {"candidate-stays", "follow"},
    {"leader-stays", "quorum"},
    {"transfer-to-lagging", "transfer"},
    {"previous-unchecked", "R4"},
    {"old-leader-followed", "follow"},
    {"matching-tail-cut", "cut"},
    {"longer-log-dropped", "cut"},
    {"conflicting-log-kept", "cut R9"},
    {"snapshot-index-raised", "R9 L4 cut"},
    {"log-cut-above-snapshot", "L4 check"},
    {"old-term-committed", "own-term"},
    {"own-log-counted-early", "R7"},
    {"append-answered-early", "R13"},
    {"old-reply-counted", "R12 R7 quorum transfer"},
    {"last-index-counted", "R12 R7"},
    {"reply-counted-twice", "R12 R7"},
    {"commit-unverified", "R6"},
};

TEST_CASE("each mutant of a rule breaks an invariant that is meant for it", "[walk]") {
  CHECK(std::size(kDeaths) == rule_mutants().size());
  constexpr uint64_t kSeeds = 4000;  // the rarest takes a quarter of them
  for (const RuleMutant& mutant : rule_mutants()) {
    INFO(mutant.name << ": " << mutant.what);
    const auto* const death = std::find_if(std::begin(kDeaths), std::end(kDeaths),
                                           [&](const Death& d) { return d.mutant == mutant.name; });
    REQUIRE(death != std::end(kDeaths));
    Outcome outcome;
    uint64_t seed = 1;
    for (; seed <= kSeeds; ++seed) {
      const Drawn drawn = draw(seed);
      outcome = walk(drawn.profile, drawn.actions, mutant.name);
      if (!outcome.invariant.empty()) break;
    }
    INFO("seed " << seed << ", " << outcome.invariant << ": " << outcome.why);
    CHECK(!outcome.invariant.empty());
    CHECK(cat(" ", death->by, " ").find(cat(" ", outcome.invariant, " ")) != std::string::npos);
  }
}

}  // namespace
}  // namespace qk::raft
