// The written form of a run: a scenario in which everything that its seed drew, or that a crash
// decided, is spelled out. It replays to the same chain, can be edited by hand, and means the same
// after the generator of random faults has changed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/cluster/plan.h"

namespace qk::scenarios {

// How every written plan begins.
std::string written_plan_head();

// `effective` is LoadResult::effective of the plan that ran, `injected` what the run told
// (RunResult::injected). The scenario is called `name`, and pins seed and end.
std::string written_plan(std::string_view effective, std::string_view name, const sim::Plan& plan,
                         const std::vector<sim::FaultPlan>& injected);

// The same scenario under another name, that of its file.
std::string renamed(const std::string& written, const std::string& name);
// The same scenario, where violations of these oracles are expected, and nothing else.
std::string expecting_violations(const std::string& written,
                                 const std::vector<std::string>& oracles);

}  // namespace qk::scenarios
