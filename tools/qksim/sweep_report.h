// What a sweep prints and leaves, as text:
//
//   FAIL  sweep of swarm  seeds 0x1..0x3E8, swarm  1000 of 1000 runs
//   verdicts  PASS 990, no fault 2, ? 1, FAIL 7; 50 ran twice
//   FAIL      ora.L1 CUT fault.crash  swarm  7 seeds  new
//     shortest  seed 0x2A  3.1s sim  10234 events  chain 5d02c1be77a4
//     expected  ...
//     repro     qksim run swarm --seed 0x2A --swarm
//   oracles   ora.L1 18234 in 1000 seeds ...
//   probes    ...
//   reach     the matrix phase x kind of fault, for each pair of families
//   risk      ...
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/explore/sweep_summary.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/exit_codes.h"
#include "tools/qksim/junit.h"

namespace qk::cli {

// "PASS", "FAIL", "?" or "ERROR".
std::string_view verdict_word(const sim::SweepDefinition& definition,
                              const sim::SweepSummary& summary);
ExitCode exit_code(const sim::SweepDefinition& definition, const sim::SweepSummary& summary);

// Equal for equal records: no time, no directory.
std::string report_text(const sim::SweepDefinition& definition, const sim::SweepSummary& summary);

// On stdout, the verdict in its colour.
void print_sweep_report(const Environment& environment, std::string_view report);

// The command that repeats one seed alone.
std::string repro_command(const sim::SweepDefinition& definition, uint32_t variant, uint64_t seed,
                          const std::vector<uint64_t>& near);

// Name of the run directory of a finding, below failures/: "ora.L1-CUT-fault.crash-0x2A". With more
// than one variant its number is in it.
std::string failure_name(const sim::SweepDefinition& definition, const sim::SweepFinding& finding);
// Those of `summary` that get a directory: the first ones.
std::vector<const sim::SweepFinding*> findings_to_keep(const sim::SweepSummary& summary);

// A line for each record, and one for all.
std::string json_lines(const sim::SweepDefinition& definition,
                       const std::map<uint64_t, sim::SeedRecord>& records,
                       const sim::SweepSummary& summary);

// One suite per variant; runs that found nothing are folded, a hundred in a case.
std::vector<JunitSuite> junit_suites(const sim::SweepDefinition& definition,
                                     const std::map<uint64_t, sim::SeedRecord>& records);

}  // namespace qk::cli
