// The shipped scenarios under many seeds: every seed passes, and the same seed gives the same
// chain.
//
// QKSIM_TEST_SEEDS says how many seeds (sanitizer builds take fewer); the first is always seed 1.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "families/fs/posix_file_system.h"
#include "scenarios/loader.h"
#include "sim/cluster/run.h"

namespace qk::scenarios {
namespace {

uint64_t seed_count(uint64_t usual) {
  const char* text = std::getenv("QKSIM_TEST_SEEDS");
  return text == nullptr ? usual : std::strtoull(text, nullptr, 10);
}

sim::Plan plan_of(const std::string& name, uint64_t seed,
                  const std::vector<std::string>& overrides = {}) {
  for (const ScenarioSource& source : builtin_scenarios()) {
    if (scenario_stem(source.file) != name) continue;
    families::PosixFileSystem fs;
    LoadResult loaded = load(source, overrides, seed, make_tree_resolver(fs, "/"));
    for (const Diagnostic& d : loaded.diagnostics) UNSCOPED_INFO(d.message);
    REQUIRE(loaded.plan.has_value());
    return std::move(*loaded.plan);
  }
  FAIL("no scenario " << name);
  return {};
}

std::string describe(const sim::RunResult& result) {
  std::string text = cat("committed ", result.committed, ", events ", result.events, "\n");
  for (const sim::Violation& v : result.violations) {
    text += cat(v.oracle, " ", v.name, " ", v.node, " index ", v.index, " t=", v.t, " #", v.seq,
                "\n  expected ", v.expected, "\n  actual ", v.actual, "\n");
  }
  for (const std::string& line : result.inconclusive) text += line + "\n";
  for (const std::string& line : result.notes) text += line + "\n";
  return text;
}

TEST_CASE("rolling-local-to-sqlite passes under every seed") {
  for (uint64_t seed = 1; seed <= seed_count(300); ++seed) {
    const sim::RunResult result = sim::run(plan_of("rolling-local-to-sqlite", seed), {});
    INFO("seed " << seed << "\n" << describe(result));
    CHECK(result.verdict == sim::Verdict::kPass);
  }
}

}  // namespace
}  // namespace qk::scenarios
