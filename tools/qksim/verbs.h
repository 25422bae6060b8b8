// The verbs. Each takes its arguments and its environment, prints, and returns its exit code.
#pragma once

#include "tools/qksim/arguments.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/exit_codes.h"

namespace qk::cli {

ExitCode run_command(const RunArguments& arguments, const Environment& environment);
ExitCode shrink_command(const ShrinkArguments& arguments, const Environment& environment);

ExitCode sweep_command(const SweepArguments& arguments, const Environment& environment);
ExitCode sweep_merge(const SweepMergeArguments& arguments, const Environment& environment);

ExitCode replay_command(const ReplayArguments& arguments, const Environment& environment);
ExitCode diff_command(const DiffArguments& arguments, const Environment& environment);
ExitCode explain_command(const ExplainArguments& arguments, const Environment& environment);

ExitCode families_command(const FamiliesArguments& arguments, const Environment& environment);

ExitCode scenarios_list(const ScenariosListArguments& arguments, const Environment& environment);
ExitCode scenarios_show(const ScenariosShowArguments& arguments, const Environment& environment);
ExitCode scenarios_validate(const ScenariosValidateArguments& arguments,
                            const Environment& environment);

// Of the process, because they need the simulator: Environment::selftest, explore.
ExitCode selftest_command(const SelftestArguments& arguments, const Environment& environment);
ExitCode explore_command(const ExploreArguments& arguments, const Environment& environment);

ExitCode version_command(const Environment& environment);

// Parses `words` (without the program's name) and runs what they ask for.
ExitCode dispatch(const std::vector<std::string>& words, Environment environment);

}  // namespace qk::cli
