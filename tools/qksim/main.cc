// qksim. The conformance suite is a quarter of the code and no run needs it, so it is a program of
// its own, which is built on demand and which qksim starts.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <string>

#include "tools/qksim/process.h"

namespace {

using qk::cli::Environment;
using qk::cli::ExitCode;

// "DIR/qksim-conformance" for the qksim that runs, under any name by which it was called.
std::string suite_program() {
  std::string path(4096, '\0');
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  path.resize(size < 0 ? 0 : static_cast<size_t>(size));
  path.resize(path.find_last_of('/') + 1);
  return path + "qksim-conformance";
}

// Only returns if the program cannot be started.
ExitCode start_suite(char** argv, const Environment& environment) {
  const std::string program = suite_program();
  std::cout.flush();
  ::execv(program.c_str(), argv);
  const int error = errno;
  print_error(environment, error == ENOENT
                               ? program +
                                     ": not built, expected the conformance suite; build it with: "
                                     "./qk build qksim-conformance"
                               : program + ": cannot be started: " + std::strerror(error));
  return ExitCode::kUnavailable;
}

}  // namespace

int main(int argc, char** argv) {
  qk::cli::Suite suite;
  suite.conformance = [argv](const qk::cli::ConformanceArguments&, const Environment& environment) {
    return start_suite(argv, environment);
  };
  suite.contract = [argv](const qk::cli::ContractArguments&, const Environment& environment) {
    return start_suite(argv, environment);
  };
  return qk::cli::run_process(argc, argv, suite);
}
