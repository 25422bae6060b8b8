// SweepSummary: what the records of a sweep say together.
//
// It depends on the definition and on the set of records alone. Its text has the same
// bytes after an undisturbed sweep, a resumed one, and merged shards.
//
// Verdict. A sweep is never green over what it did not show:
//   diverged       a seed gave two different runs
//   error, failed  a seed did; an error is one of this program: a check that failed, a process
//                  that died
//   inconclusive   a seed was; or an oracle with a subject was never evaluated, a probe that must
//                  be reached was not, a variant asks for random faults and no seed of it drew any,
//                  seeds are left, a planted bug was not noticed, or nothing ran at all
// One seed that drew no random fault is only counted: the others did.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/explore/residual_risk.h"
#include "sim/explore/seed_record.h"
#include "sim/explore/sweep_definition.h"

namespace qk::sim {

// Against an earlier sweep. Regressed: the earlier one had it as resolved.
enum class FindingState : uint8_t { kNone, kNew, kOngoing, kResolved, kRegressed };
std::string_view to_string(FindingState state);  // "", "new", "ongoing", "resolved", "regressed"

// All seeds of one variant with one signature.
struct SweepFinding {
  uint32_t variant = 0;
  std::string signature;
  SeedVerdict verdict = SeedVerdict::kInconclusive;  // the worst of them
  std::vector<uint64_t> seeds;                       // ascending
  SeedRecord shortest;  // fewest simulated nanoseconds, then events, then the smallest seed
  FindingState state = FindingState::kNone;
};

// What later sweeps are told of this one: (name of the variant, signature).
using FindingKey = std::pair<std::string, std::string>;
struct EarlierSweep {
  std::set<FindingKey> found;
  std::map<FindingKey, std::vector<uint64_t>> seeds;  // that showed it
  std::set<FindingKey> resolved;                      // by then, and not found
};

struct Divergence {
  uint32_t variant = 0;
  uint64_t seed = 0;
  std::string difference;
  std::vector<uint64_t> near = {};  // SeedRecord::near
};

struct OracleCount {
  std::string oracle;
  uint64_t times = 0;
  uint64_t seeds = 0;
  bool subject = false;  // some variant has one
};
struct ProbeCount {
  uint64_t times = 0;
  uint64_t seeds = 0;
};

struct SweepSummary {
  uint64_t jobs = 0;     // of this shard
  uint64_t ran = 0;      // of them, and counted
  uint64_t not_run = 0;  // the others
  bool cut = false;      // it ended at --max-failures; what ran after that does not count
  std::map<SeedVerdict, uint64_t> verdicts;
  uint64_t again = 0;                    // seeds that ran twice
  std::vector<SweepFinding> findings;    // failures first, then by variant and signature
  std::vector<FindingKey> resolved;      // only in the earlier sweep, whose seeds of it ran again
  std::vector<FindingKey> not_repeated;  // only in the earlier sweep, whose seeds did not all run
  std::vector<Divergence> divergences;
  std::vector<OracleCount> oracles;          // all that there are
  std::map<std::string, ProbeCount> probes;  // that a run may reach
  std::vector<std::string> inconclusive;     // reasons beside the seeds that are
  ResidualRisk risk;
  Nanos simulated = 0;
  uint64_t events = 0;
  int64_t cpu_ns = 0;  // not part of the report
  bool error = false;
  bool failed = false;
};

// After how many jobs, counted from the first, a sweep of these records ends because of
// max_failures; nothing: it does not. Records are by job number.
std::optional<uint64_t> failure_cut(const SweepDefinition& definition,
                                    const std::map<uint64_t, SeedRecord>& records);

SweepSummary summarize(const SweepDefinition& definition,
                       const std::map<uint64_t, SeedRecord>& records,
                       const EarlierSweep* earlier = nullptr);

// As a later sweep is told. `resolved` are carried on.
std::string findings_text(const SweepDefinition& definition, const SweepSummary& summary,
                          const EarlierSweep* earlier);
// The findings of a sweep from its records, and what it had as resolved from its findings.json
// (empty: nothing).
absl::StatusOr<EarlierSweep> earlier_sweep(const SweepDefinition& definition,
                                           const SweepSummary& summary, std::string_view findings);

}  // namespace qk::sim
