#include "tools/qksim/process.h"

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <iostream>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "families/base/failure_scope.h"
#include "families/builtin.h"
#include "families/fs/posix_file_system.h"
#include "sim/cluster/run.h"
#include "sim/legacy/legacy_family.h"
#include "tools/qksim/build_id.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Terminal terminal(int descriptor) {
  return {variable("NO_COLOR"), variable("CLICOLOR_FORCE"), variable("TERM"),
          ::isatty(descriptor) == 1};
}

std::string working_directory() {
  char* path = ::getcwd(nullptr, 0);
  const std::string out = path == nullptr ? "/" : path;
  std::free(path);
  return out;
}

uint64_t random_u64() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

int64_t cpu_ns() {
  timespec time = {};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * sim::kSecond + time.tv_nsec;
}

// That this process may run on, which may be fewer than there are.
uint32_t processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<uint32_t>(std::max(1, CPU_COUNT(&set)));
}

// No verb throws by design, but the standard library may: out of memory above all. Unwinding lets
// staging places be removed, which a terminate would leave.
ExitCode run_verb(const std::vector<std::string>& words, const Environment& environment) {
  try {
    return dispatch(words, environment);
  } catch (const std::bad_alloc&) {
    std::cerr << "error: out of memory\n";
  } catch (const std::exception& e) {
    std::cerr << "error: internal: " << e.what() << "\n";
  }
  return ExitCode::kInternal;
}

// The one variable that outlives a call: a signal handler can reach nothing else.
volatile std::sig_atomic_t signalled = 0;

void handle_signals(void (*handler)(int), int flags) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before = {};
    // A signal that the caller had ignored (nohup) stays ignored.
    if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) {
      ::sigaction(signal, &action, nullptr);
    }
  }
}

// What is at work is to be finished or removed first.
void catch_signals() {
  // The second one ends the process.
  handle_signals([](int) { signalled = 1; }, SA_RESETHAND | SA_RESTART);
}

// Until then nothing is half made, and the end has the exit code that it always has.
void end_at_signals() {
  handle_signals([](int) { ::_exit(to_int(ExitCode::kInterrupted)); }, 0);
}

void narrow_modes(uint32_t missing) {
  const mode_t before = ::umask(0777);
  ::umask(before | (missing & 0777));
}

}  // namespace

int run_process(int argc, char** argv, const Suite& suite) {
  // A file that would grow over its limit is an error (EFBIG), not the end.
  ::signal(SIGXFSZ, SIG_IGN);
  end_at_signals();
  families::PosixFileSystem fs;
  families::VolatileMemory memory(random_u64());
  const families::Registry registry = families::builtin_families(&memory);
  const families::Registry simulated = sim::simulated_families(&memory);
  Environment environment;
  environment.out = &std::cout;
  environment.err = &std::cerr;
  environment.terminal_out = terminal(STDOUT_FILENO);
  environment.terminal_err = terminal(STDERR_FILENO);
  environment.fs = &fs;
  environment.registry = &registry;
  environment.simulated = &simulated;
  environment.directory = working_directory();
  environment.version = QKSIM_VERSION;
  environment.build = QKSIM_BUILD_ID;
  environment.suite = suite;
  environment.run = [](const sim::Plan& plan, const sim::RunOptions& options) {
    sim::RunOptions planting = options;
    planting.mutant_of = sim::make_mutant;
    return sim::run(plan, planting);
  };
  environment.planted = sim::planted_bugs();
  environment.selftest = selftest_command;
  environment.explore = explore_command;
  environment.check_initial = sim::check_initial;
  environment.exit_now = [](ExitCode code) {
    std::cout.flush();
    std::_Exit(to_int(code));
  };
  // Whatever verb it happens in, a bug of our own is exit code 70 and not a signal; base has
  // already said what it was. A run writes down more than that before it gets here.
  const FailureScope last_words(
      [&](const std::string&) { environment.exit_now(ExitCode::kInternal); });
  environment.lose_memory = [&memory] { memory.lose(); };
  // Chance and wall time end here: a run gets a seed, and never sees a clock.
  environment.random_seed = random_u64;
  environment.wall_ms = [] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
  environment.cpu_ns = cpu_ns;
  environment.processors = processors();
  environment.catch_signals = catch_signals;
  environment.interrupted = [] { return signalled != 0; };
  environment.narrow_modes = narrow_modes;
  const ExitCode code = run_verb({argv + 1, argv + argc}, environment);
  std::cout.flush();
  if (!std::cout.good()) {
    std::cerr << "error: standard output cannot be written\n";
    return to_int(worst(code, ExitCode::kCannotWrite));
  }
  return to_int(code);
}

}  // namespace qk::cli
