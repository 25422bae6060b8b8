// A run that left a directory, named on the command line: found, read, and run again.
//
// RUN is a run directory, the id of one in .qksim/runs, "latest" or "last-failed".
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "sim/explore/chain_record.h"
#include "sim/explore/divergence.h"
#include "tools/qksim/arguments.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/exit_codes.h"

namespace qk::cli {

struct RecordedRun {
  std::string path;   // absolute
  std::string shown;  // as messages name it
  sim::ChainRecord record;
  sim::Plan plan;
  sim::RunOptions options;  // as it was run, but for the trace
};

// Sets `run`, or prints why not and returns kNoInput or kData.
ExitCode find_recorded_run(const Environment& environment, const std::string& argument,
                           RecordedRun* run);

// The whole trace.txt; nullopt if it holds marks alone, or cannot be read.
std::optional<std::string> recorded_trace(const Environment& environment, const RecordedRun& run);

// With RecordedRun::options.
sim::RunResult run_again(const Environment& environment, const RecordedRun& run,
                         sim::TraceLevel level);

// `qksim explain --when`.
ExitCode explain_when(const ExplainArguments& arguments, const Environment& environment,
                      RecordedRun run);

// "small  seed 0x5EED  1498 events  chain 5d02c1be77a4"
std::string head_line(const RecordedRun& run);

}  // namespace qk::cli
