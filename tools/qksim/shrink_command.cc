// qksim shrink: a run that fails, as small as it goes, as a file; and the nearest run that passes.
#include <algorithm>

#include "families/base/printable.h"
#include "families/base/strings.h"
#include "families/fs/file_util.h"
#include "sim/kernel/trace_text.h"
#include "tools/qksim/run_directory.h"
#include "tools/qksim/run_report.h"
#include "tools/qksim/scenario_argument.h"
#include "tools/qksim/shrunk_files.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

// The plan of a run directory, if the argument names one; else the argument.
std::string plan_of_run(const Environment& environment, const std::string& argument) {
  const bool link = argument == "latest" || argument == "last-failed";
  const std::string plan =
      families::join_path(link ? cat(kRuns, "/", argument) : argument, "plan.txtpb");
  return environment.fs->stat(absolute_path(environment, plan)).ok() ? plan : argument;
}

}  // namespace

ExitCode shrink_command(const ShrinkArguments& arguments, const Environment& environment) {
  scenarios::ScenarioSource source;
  ExitCode code = find_scenario(environment, plan_of_run(environment, arguments.scenario), &source);
  if (code != ExitCode::kOk) return code;
  scenarios::LoadResult loaded;
  code = load_scenario(environment, source, arguments.sets, arguments.seed, &loaded);
  if (code != ExitCode::kOk) return code;
  if (arguments.swarm) load_swarm(environment, source, arguments.sets, &loaded);
  sim::Plan& plan = *loaded.plan;
  if (!arguments.planted.empty()) plan.planted = arguments.planted;
  code = check_planted(environment, plan.planted);
  if (code != ExitCode::kOk) return code;
  ShrinkJob job;
  job.loaded = &loaded;
  job.failing = arguments.output.empty() ? cat(plan.name, "-shrunk.qks.txtpb") : arguments.output;
  code = check_shrunk_files(environment, job.failing);
  if (code != ExitCode::kOk) return code;

  environment.catch_signals();
  const int64_t begin = environment.wall_ms();
  const auto spent = [&] { return (environment.wall_ms() - begin) * sim::kMillisecond; };
  *environment.err << "shrink " << printable(plan.name) << " seed " << seed_text(plan.seed) << "\n";
  job.any_phase = arguments.any_phase;
  job.spent = [&] {
    if (!arguments.time_limit) return int64_t{0};
    return spent() / std::max<int64_t>(1, *arguments.time_limit / kWholeTime);
  };
  job.kept = [&](const std::string& step) { *environment.err << "  " << step << "\n"; };
  const ShrunkFiles files = shrink_into_files(environment, job);
  if (files.code != ExitCode::kOk) return files.code;

  const scenarios::Shrunk& shrunk = files.shrunk;
  const sim::Violation& violation = shrunk.result.violations.front();
  std::ostream& out = *environment.out;
  out << "shrunk    " << printable(plan.name) << "  seed " << seed_text(plan.seed) << "  "
      << violation.oracle << " in phase " << violation.phase << "  " << shrunk.runs << " runs in "
      << sim::seconds_text(spent(), 1) << "s"
      << (shrunk.complete ? "" : "  stopped early: it may be smaller") << "\n";
  for (const std::string& step : shrunk.steps) out << "  " << printable(step) << "\n";
  out << "  fails     " << printable(job.failing) << "\n";
  out << "  passes    "
      << (shrunk.sibling.empty()
              ? std::string("no run near it that was tried")
              : cat(printable(passing_file(job.failing)), ": ", printable(shrunk.difference)))
      << "\n  next      qksim run " << printable(shell_quoted(job.failing))
      << " --artifacts always && qksim explain latest\n";
  return environment.interrupted() ? ExitCode::kInterrupted : ExitCode::kOk;
}

}  // namespace qk::cli
