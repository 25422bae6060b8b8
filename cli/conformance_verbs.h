// The verbs that need the conformance suite, and are therefore not in qksim itself.
#pragma once

#include "cli/arguments.h"
#include "cli/environment.h"
#include "cli/exit_codes.h"

namespace qk::cli {

ExitCode conformance_command(const ConformanceArguments& arguments, const Environment& environment);
ExitCode contract_command(const ContractArguments& arguments, const Environment& environment);

}  // namespace qk::cli
