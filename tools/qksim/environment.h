// What a verb may touch besides its arguments. main() fills it with the process; a test with its
// own streams, directory and simulator.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>

#include "families/contract/family.h"
#include "families/fs/file_system.h"
#include "sim/cluster/run.h"
#include "sim/explore/planted.h"
#include "tools/qksim/arguments.h"
#include "tools/qksim/exit_codes.h"

namespace qk::cli {

// What decides about colour, per stream. Absent variables are empty.
struct Terminal {
  std::string no_color;
  std::string clicolor_force;
  std::string term;
  bool is_terminal = false;
};

struct Environment;

// The verbs of the conformance suite; they are in a program of their own.
struct Suite {
  std::function<ExitCode(const ConformanceArguments&, const Environment&)> conformance;
  std::function<ExitCode(const ContractArguments&, const Environment&)> contract;
};

struct Environment {
  std::ostream* out = nullptr;  // results
  std::ostream* err = nullptr;  // progress, logs, errors, hints
  Terminal terminal_out;
  Terminal terminal_err;
  bool colour_out = false;  // set by dispatch()
  bool colour_err = false;
  families::FileSystem* fs = nullptr;
  const families::Registry* registry = nullptr;
  // Of the simulator: these, and braft as shipped.
  const families::Registry* simulated = nullptr;
  std::string directory;  // absolute; relative arguments start here
  std::string version;    // "0.1.0"
  std::string build;      // "c0ffee12"
  std::function<sim::RunResult(const sim::Plan&, const sim::RunOptions&)> run;
  // What --planted may name.
  std::span<const sim::PlantedBug> planted = {};
  // Which nodes of a plan cannot begin with their initial directories.
  std::function<std::vector<sim::BadStart>(const sim::Plan&)> check_initial;
  Suite suite;
  std::function<ExitCode(const SelftestArguments&, const Environment&)> selftest;
  std::function<ExitCode(const ExploreArguments&, const Environment&)> explore;
  // Ends the process at once, after a bug of its own: no destructor runs.
  std::function<void(ExitCode)> exit_now = [](ExitCode) {};
  // A simulated machine stops: what volatile families of `registry` keep in memory is gone.
  std::function<void()> lose_memory = [] {};
  // For runs without --seed, and for names of instances and temporary files.
  std::function<uint64_t()> random_seed = [] { return uint64_t{0}; };
  // For "60.0s sim in 1.4s", and to say from time to time how far a verb has come.
  std::function<int64_t()> wall_ms = [] { return int64_t{0}; };
  // CPU time of this process, and how many CPUs it may use.
  std::function<int64_t()> cpu_ns = [] { return int64_t{0}; };
  uint32_t processors = 1;
  // From now on SIGINT and SIGTERM do not end the process but make interrupted() true; a second one
  // ends it. For verbs that leave something half made when they are killed.
  std::function<void()> catch_signals = [] {};
  std::function<bool()> interrupted = [] { return false; };
  // What is created from now on lacks these permission bits too.
  std::function<void(uint32_t)> narrow_modes = [](uint32_t) {};
};

// `path` as it is if absolute, else below the environment's directory. "." components and doubled
// slashes are dropped, because FileSystem takes normalised paths. What ends in a ".." component is
// resolved as the kernel does, through symbolic links; if it leads nowhere it stays as it is, for
// the call that uses it to fail.
std::string absolute_path(const Environment& environment, const std::string& path);

// Whether to colour a stream: --color, then NO_COLOR, then CLICOLOR_FORCE, then the terminal.
bool use_colour(Colour colour, const Terminal& terminal);

// "error: ..." on err, in the colour of errors. The message is one line; what it quotes of files
// and arguments is made printable.
void print_error(const Environment& environment, const std::string& message);

}  // namespace qk::cli
