// The words of each verb. Each leaves in `command` what it has read.
#pragma once

#include "tools/qksim/arguments.h"
#include "tools/qksim/command_syntax.h"

namespace qk::cli {

CommandSyntax run_syntax(Command& command);
CommandSyntax shrink_syntax(Command& command);
CommandSyntax sweep_syntax(Command& command);
CommandSyntax replay_syntax(Command& command);
CommandSyntax diff_syntax(Command& command);
CommandSyntax explain_syntax(Command& command);
CommandSyntax image_syntax(Command& command);
CommandSyntax migrate_syntax(Command& command);
CommandSyntax families_syntax(Command& command);
CommandSyntax scenarios_syntax(Command& command);
CommandSyntax conformance_syntax(Command& command);
CommandSyntax contract_syntax(Command& command);
CommandSyntax selftest_syntax(Command& command);
CommandSyntax explore_syntax(Command& command);

}  // namespace qk::cli
