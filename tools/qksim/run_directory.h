// The directory that a run leaves: what a person needs to look at it again.
//
//   scenario.txtpb  the effective scenario      report.txt   what the run printed
//   plan.txtpb      the same, with all that was drawn spelled out (scenarios/written_plan.h)
//   trace.txt       the trace as text           timeline.dot, timeline.svg   the picture
//   chain.txt       the chain at checkpoints, and with what options the run was made
//
// .qksim/runs/<id>/ is named by a hash over effective scenario, seed, options and build, so
// repeating a run reuses its directory; `latest` and `last-failed` are symbolic links in the same
// place. A directory is written under another name, .staging-*, locked, and renamed when it is
// whole, so that any number of processes may run at once; what a killed one left is removed by the
// next.
//
// Only what qksim wrote is replaced: a directory whose marker, .qksim-run, names each file in it
// with the hash of its bytes, and links that lead to such a directory. Anything else is refused by
// name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "families/base/status.h"
#include "sim/cluster/plan.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/run_report.h"

namespace qk::cli {

// Below the directory in which qksim is started.
inline constexpr std::string_view kRuns = ".qksim/runs";

// Eight hex digits.
std::string run_id(const RunReport& report, uint64_t scenario_hash);

struct RunDirectory {
  std::string path;                // absolute
  std::string shown;               // as messages name it, with a '/' at its end
  std::vector<std::string> files;  // in the order they were written
};

// Where the run's directory goes: --out, which must not exist or be empty, or .qksim/runs/<id>,
// which must not hold anything that qksim did not write, nor may the links be anything else
// (FailedPrecondition otherwise). Writes nothing.
absl::StatusOr<RunDirectory> plan_run_directory(const RunReport& report, uint64_t scenario_hash,
                                                const Environment& environment);

// Writes all files, in .qksim/runs in the place of an earlier directory that says something else,
// and then moves the links. Signals are held back meanwhile.
absl::Status write_run_directory(const RunReport& report, const sim::Plan& plan,
                                 const std::string& effective, const Environment& environment,
                                 RunDirectory* directory);

// Removes the link `latest`: after a run that left no directory it would show an earlier
// run's picture as this one's. What it leads to stays.
absl::Status forget_latest(const Environment& environment);

}  // namespace qk::cli
