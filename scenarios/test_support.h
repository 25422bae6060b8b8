// What the tests that run shipped scenarios share.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>
#include <vector>

#include "families/fs/posix_file_system.h"
#include "scenarios/loader.h"
#include "sim/cluster/run.h"
#include "sim/legacy/legacy_family.h"

namespace qk::scenarios {

// How many seeds of the main scenario a test run shall take: QKSIM_TEST_SEEDS, or `usual`.
// Sanitizer builds take fewer.
inline uint64_t seed_count(uint64_t usual) {
  const char* text = std::getenv("QKSIM_TEST_SEEDS");
  return text == nullptr ? usual : std::strtoull(text, nullptr, 10);
}

// The first of them: QKSIM_TEST_FIRST_SEED, or 1.
inline uint64_t first_seed() {
  const char* text = std::getenv("QKSIM_TEST_FIRST_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

// With the families of this build, and directories next to the scenario.
inline LoadResult load_here(const ScenarioSource& source,
                            const std::vector<std::string>& overrides = {},
                            std::optional<uint64_t> seed = 1) {
  families::PosixFileSystem fs;
  families::VolatileMemory memory(0);
  return load(source, overrides, seed, sim::simulated_families(&memory),
              make_tree_resolver(fs, source.directory));
}

inline sim::Plan must_load(const ScenarioSource& source,
                           const std::vector<std::string>& overrides = {},
                           std::optional<uint64_t> seed = 1) {
  LoadResult loaded = load_here(source, overrides, seed);
  for (const Diagnostic& d : loaded.diagnostics) UNSCOPED_INFO(d.message);
  REQUIRE(loaded.plan.has_value());
  return std::move(*loaded.plan);
}

inline ScenarioSource source_of(const std::string& name) {
  for (ScenarioSource& source : builtin_scenarios()) {
    if (scenario_stem(source.file) == name) return std::move(source);
  }
  FAIL("no scenario " << name);
  return {};
}

inline sim::Plan plan_of(const std::string& name, uint64_t seed,
                         const std::vector<std::string>& overrides = {}) {
  return must_load(source_of(name), overrides, seed);
}

// A scenario of the test's own: `text` without its name.
inline sim::Plan plan_of_text(const std::string& text, uint64_t seed = 1) {
  return must_load({"mine.qks.txtpb", cat("name: \"mine\" ", text), "/"}, {}, seed);
}

inline std::string describe(const sim::RunResult& result) {
  std::string text = cat("committed ", result.committed, ", events ", result.events, "\n");
  for (const sim::Violation& v : result.violations) {
    text += cat(v.oracle, " ", v.name, " ", v.node, " index ", v.index, " t=", v.t, " #", v.seq,
                "\n  expected ", v.expected, "\n  actual ", v.actual, "\n");
  }
  for (const std::string& line : result.unmet) text += line + "\n";
  for (const std::string& line : result.inconclusive) text += line + "\n";
  for (const std::string& line : result.notes) text += line + "\n";
  for (const std::string& line : result.stops) text += line + "\n";
  return text;
}

}  // namespace qk::scenarios
