// `qksim conformance FAMILY --generated SETTING`: the generated suite (conformance/generated.h), in
// shards, and resumable: DIR/units.jsonl has a line for each unit that was done, in the order in
// which they were.
#pragma once

#include "tools/qksim/arguments.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/exit_codes.h"

namespace qk::cli {

// `families` as in sim::conformance::RunOptions; the filter was checked.
ExitCode generated_command(const ConformanceArguments& arguments,
                           const std::vector<std::string>& families,
                           const Environment& environment);

}  // namespace qk::cli
