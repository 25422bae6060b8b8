// A scenario named on the command line: found, loaded, complained about.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "scenarios/loader.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/exit_codes.h"

namespace qk::cli {

// Sets `source`, or prints why not and returns kNoInput.
ExitCode find_scenario(const Environment& environment, const std::string& argument,
                       scenarios::ScenarioSource* source);

// Sets `result`, whose plan is then present; or prints the diagnostics and returns kData (also for
// a planted bug that does not exist), kUsage if
// a --set argument is to blame, or kUnavailable if a store's family is not in this build.
ExitCode load_scenario(const Environment& environment, const scenarios::ScenarioSource& source,
                       const std::vector<std::string>& sets, std::optional<uint64_t> seed,
                       scenarios::LoadResult* result);

// Gives a loaded scenario what the swarm of its seed draws. What that is for links is in the
// effective text as well; random faults are in the text as they were, and spelled out in a written
// plan.
void load_swarm(const Environment& environment, const scenarios::ScenarioSource& source,
                const std::vector<std::string>& sets, scenarios::LoadResult* result);

// Gives a loaded scenario, of whatever seed, the plan of `seed` after these ancestors, which is not
// drawn alone (sim/explore/feedback.h). The effective text is the first one's, whose faults are spelled
// out in a written plan only. With `swarm`, the first one draws its share of that.
void load_near(const Environment& environment, const scenarios::ScenarioSource& source,
               const std::vector<std::string>& sets, bool swarm,
               const std::vector<uint64_t>& ancestors, uint64_t seed,
               scenarios::LoadResult* result);

// kOk if `planted` is empty or names a bug of the catalogue ("NAME" or "NAME:hard"); or prints the
// nearest one and returns kUsage.
ExitCode check_planted(const Environment& environment, const std::string& planted);

}  // namespace qk::cli
