// The verbs that need the conformance suite, and are therefore not in qksim itself.
#pragma once

#include "tools/qksim/arguments.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/exit_codes.h"

namespace qk::cli {

ExitCode conformance_command(const ConformanceArguments& arguments, const Environment& environment);
ExitCode contract_command(const ContractArguments& arguments, const Environment& environment);

}  // namespace qk::cli
