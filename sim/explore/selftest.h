// Hunting planted bugs: seed after seed, until an oracle notices.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sim/cluster/run.h"
#include "sim/explore/planted.h"

namespace qk::sim {

struct Hunt {
  const PlantedBug* bug = nullptr;
  bool hard = false;
  std::string planted() const { return cat(bug->name, hard ? ":hard" : ""); }
};

struct Catch {
  enum class How : uint8_t {
    kSurvived,
    kByAnother,  // by an oracle that is not meant for it
    kByMeant,
  };
  How how = How::kSurvived;
  // Which oracle; "expect" if a run did not reach what its scenario expects; "internal" for a check
  // of our own that failed. Empty: nothing noticed.
  std::string oracle;
  uint64_t seed = 0;    // the one that showed it
  uint64_t seeds = 0;   // tried
  uint64_t events = 0;  // of all runs
};

struct HuntTools {
  // The scenario of a bug, without it, for a seed.
  std::function<Plan(std::string_view scenario, uint64_t seed)> plan;
  std::function<RunResult(const Plan&)> run;
  // No further seed is to be tried.
  std::function<bool()> spent = [] { return false; };
};

// Whether `oracle` is meant for the bug.
bool is_meant(const PlantedBug& bug, std::string_view oracle);
// What a run with the bug that ended like this shows.
Catch judge(const PlantedBug& bug, const RunResult& result);
// Tries the seeds 1 to `seeds`. A violation ends it; an expectation that was not reached counts
// only for bugs that it is meant for, or if nothing else was noticed.
Catch hunt(const Hunt& hunt, uint64_t seeds, const HuntTools& tools);

}  // namespace qk::sim
