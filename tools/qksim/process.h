// Fills the environment from the process and hands over to the verbs.
#pragma once

#include "tools/qksim/environment.h"

namespace qk::cli {

// The body of main(): its return value is the exit code.
int run_process(int argc, char** argv, const Suite& suite);

}  // namespace qk::cli
