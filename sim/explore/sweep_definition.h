// SweepDefinition: what a sweep runs, apart from how (processes, time budget). It lies as
// sweep.json in the directory of the sweep, so that a resumed one does the same, and merged shards
// are known to be parts of one.
//
// A job is one seed of one variant. Jobs are numbered seed by seed, and within a seed by variant,
// so that a sweep that ends early has tried every variant. Shard K of N has every N-th seed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "families/base/status.h"
#include "sim/cluster/plan.h"

namespace qk::sim {

// A scenario with one combination of the values of all axes.
struct SweepVariant {
  std::string scenario;           // as the command line names it
  std::string name;               // the scenario's, and "PATH=VALUE" of each axis
  std::vector<std::string> sets;  // those of every variant, then those of the axes
  uint64_t scenario_hash = 0;
  std::vector<std::string> oracles;  // that have a subject: oracles_with_subject()
  bool random_faults = false;        // it asks for some
};

struct SeedRange {
  uint64_t first = 1;
  uint64_t last = 1;  // included
};

// Instead of the name of a probe: each that a run of the sweep may reach.
inline constexpr std::string_view kEveryProbe = "every";

struct SweepDefinition {
  std::string build;
  // Absolute; what scenarios that are files are relative to. Empty: not known. Another one makes no
  // other sweep.
  std::string directory;
  std::vector<SweepVariant> variants;
  std::vector<SeedRange> seeds;  // ascending, apart
  bool open_ended = false;       // as many of the seeds as the time allows
  bool swarm = false;
  bool feedback = false;      // some plans are made near those of runs before (feedback.h)
  std::string planted;        // as --planted spells it; empty: none
  uint32_t again_ppm = 0;     // share of the seeds that run twice
  uint32_t max_failures = 0;  // different failures after which a sweep ends; 0: it does not
  Nanos seed_limit = 0;       // CPU time of one seed
  std::vector<std::string> sometimes;  // probes that must be reached; kEveryProbe: all
  uint32_t shard = 1;
  uint32_t shards = 1;

  uint64_t seed_count() const;  // of all shards
  uint64_t job_count() const { return seed_count() * variants.size(); }
  uint64_t seed_at(uint64_t position) const;

  uint64_t seed_of(uint64_t job) const { return seed_at(job / variants.size()); }
  uint32_t variant_of(uint64_t job) const { return static_cast<uint32_t>(job % variants.size()); }
  // The job's number; nothing if it is not one of the sweep.
  std::optional<uint64_t> job_of(uint32_t variant, uint64_t seed) const;
  bool is_mine(uint64_t job) const { return job / variants.size() % shards == shard - 1; }
  uint64_t my_job_count() const;
  // Chosen by a hash of the seed, not by chance: the same ones in every sweep.
  bool runs_twice(uint64_t seed) const;
};

// Jobs and seeds a sweep may have, so that a slip in --seeds is told and not run.
inline constexpr uint64_t kMaxSweepJobs = 1'000'000'000;

// InvalidArgument if the sweep has no job, or too many.
absl::Status check(const SweepDefinition& definition);

// Ids of the oracles that runs of this plan, taken together, must evaluate: has_subject(). None if
// the plan expects a violation: its runs end at it.
std::vector<std::string> oracles_with_subject(const Plan& plan);

// InvalidArgument if no run can count such a probe: neither a named one (Reach) nor a cell of the
// matrix.
absl::Status check_probe(const std::string& name);

// "fault/crash/DUAL/local->sqlite": a cell of the matrix; nothing for any other probe.
struct FaultCell {
  std::string kind;
  std::string phase;
  std::string pair;
};
std::optional<FaultCell> fault_cell(std::string_view probe);

// "0x1..0x3E8, 0x5EED"
std::string seeds_text(const std::vector<SeedRange>& seeds);
std::string hex_seed(uint64_t seed);
// Sorted, each once, neighbours as one range.
std::vector<SeedRange> ranges_of(std::vector<uint64_t> seeds);

// Every combination of one value of each axis ("PATH=V1,V2"), the last axis fastest; one empty
// combination without axes. InvalidArgument names an axis that is not of this form.
absl::StatusOr<std::vector<std::vector<std::string>>> combinations(
    const std::vector<std::string>& axes);

std::string to_text(const SweepDefinition& definition);
absl::StatusOr<SweepDefinition> parse_definition(std::string_view text);
// As the same sweep without shards is written; two shards belong together if it is equal.
std::string unsharded_text(SweepDefinition definition);

}  // namespace qk::sim
