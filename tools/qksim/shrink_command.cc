// qksim shrink: a run that fails, as small as it goes, as a file; and the nearest run that passes.
#include "families/base/printable.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/fs/file_util.h"
#include "scenarios/effective.h"
#include "scenarios/shrink.h"
#include "scenarios/written_plan.h"
#include "sim/kernel/trace_text.h"
#include "tools/qksim/output_file.h"
#include "tools/qksim/run_directory.h"
#include "tools/qksim/run_report.h"
#include "tools/qksim/scenario_argument.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

constexpr std::string_view kSuffix = ".qks.txtpb";

// The plan of a run directory, if the argument names one; else the argument.
std::string plan_of_run(const Environment& environment, const std::string& argument) {
  const bool link = argument == "latest" || argument == "last-failed";
  const std::string plan =
      families::join_path(link ? cat(kRuns, "/", argument) : argument, "plan.txtpb");
  return environment.fs->stat(absolute_path(environment, plan)).ok() ? plan : argument;
}

struct Files {
  std::string failing;  // as messages name them
  std::string passing;
};

Files files_of(const ShrinkArguments& arguments, const std::string& name) {
  std::string failing = arguments.output.empty() ? cat(name, "-shrunk", kSuffix) : arguments.output;
  std::string stem = failing;
  if (stem.ends_with(kSuffix)) stem.resize(stem.size() - kSuffix.size());
  return {std::move(failing), cat(stem, "-passes", kSuffix)};
}

// A scenario's text, with the head that says what it is: `lines`, without the '#'.
std::string with_head(const std::string& text, const std::vector<std::string>& lines) {
  std::string head = cat(scenarios::written_plan_head(), "#\n");
  for (const std::string& line : lines) head += cat("# ", line, "\n");
  return head + text.substr(scenarios::kScenarioHead.size());
}

ExitCode write(const Environment& environment, const std::string& file, const std::string& text) {
  const absl::Status status = replace_output(environment, absolute_path(environment, file), text);
  if (status.ok()) return ExitCode::kOk;
  print_error(environment, std::string(to_std(status.message())));
  return ExitCode::kCannotWrite;
}

}  // namespace

ExitCode shrink_command(const ShrinkArguments& arguments, const Environment& environment) {
  scenarios::ScenarioSource source;
  ExitCode code = find_scenario(environment, plan_of_run(environment, arguments.scenario), &source);
  if (code != ExitCode::kOk) return code;
  scenarios::LoadResult loaded;
  code = load_scenario(environment, source, arguments.sets, arguments.seed, &loaded);
  if (code != ExitCode::kOk) return code;
  sim::Plan& plan = *loaded.plan;
  if (!arguments.planted.empty()) plan.planted = arguments.planted;
  code = check_planted(environment, plan.planted);
  if (code != ExitCode::kOk) return code;
  const Files files = files_of(arguments, plan.name);
  for (const std::string& file : {files.failing, files.passing}) {
    const absl::Status status =
        check_writable(absolute_path(environment, file), {scenarios::written_plan_head()});
    if (status.ok()) continue;
    print_error(environment, std::string(to_std(status.message())));
    return ExitCode::kCannotWrite;
  }

  environment.catch_signals();
  const int64_t begin = environment.wall_ms();
  const auto spent = [&] { return (environment.wall_ms() - begin) * sim::kMillisecond; };
  *environment.err << "shrink " << printable(plan.name) << " seed " << seed_text(plan.seed) << "\n";
  sim::RunOptions options;
  options.trace = sim::TraceLevel::kNone;
  scenarios::ShrinkTools tools;
  tools.load = [&](const scenarios::ScenarioSource& candidate) {
    return scenarios::load(candidate, {}, std::nullopt, *environment.simulated,
                           scenarios::make_tree_resolver(*environment.fs, candidate.directory));
  };
  tools.run = [&](const sim::Plan& candidate) { return environment.run(candidate, options); };
  tools.stop = [&] {
    return environment.interrupted() || (arguments.time_limit && spent() >= *arguments.time_limit);
  };
  tools.kept = [&](const std::string& step) { *environment.err << "  " << step << "\n"; };
  const sim::RunResult first = tools.run(plan);
  const std::string name(scenarios::scenario_stem(files.failing));
  const absl::StatusOr<scenarios::Shrunk> shrunk = scenarios::shrink(loaded, first, name, tools);
  if (!shrunk.ok()) {
    print_error(environment, cat(plan.name, " with seed ", seed_text(plan.seed), ": ",
                                 to_std(shrunk.status().message())));
    return environment.interrupted() ? ExitCode::kInterrupted : ExitCode::kInconclusive;
  }

  const sim::Violation& violation = shrunk->result.violations.front();
  std::vector<std::string> head = {
      cat("Shrunk from ", plan.name, ", seed ", seed_text(plan.seed), ": ", violation.oracle, " ",
          violation.name, " in phase ", violation.phase, "."),
      cat("Taken away: ", shrunk->steps.empty() ? "nothing" : join(shrunk->steps, "; "), "."),
      shrunk->sibling.empty()
          ? std::string("No run near it that was tried passes.")
          : cat("The nearest run that passes: ", files.passing, ", ", shrunk->difference, "."),
      plan.planted.empty() ? "Without `expect` it is a regression test, once the cause is mended."
                           : "It has a planted bug, so it always fails."};
  code = write(environment, files.failing, with_head(shrunk->text, head));
  if (code == ExitCode::kOk && !shrunk->sibling.empty()) {
    code = write(environment, files.passing,
                 with_head(shrunk->sibling,
                           {cat("Passes, unlike ", files.failing, ": ", shrunk->difference, ".")}));
  }
  if (code != ExitCode::kOk) return code;
  std::ostream& out = *environment.out;
  out << "shrunk    " << printable(plan.name) << "  seed " << seed_text(plan.seed) << "  "
      << violation.oracle << " in phase " << violation.phase << "  " << shrunk->runs << " runs in "
      << sim::seconds_text(spent(), 1) << "s"
      << (shrunk->complete ? "" : "  stopped early: it may be smaller") << "\n";
  for (const std::string& step : shrunk->steps) out << "  " << printable(step) << "\n";
  out << "  fails     " << printable(files.failing) << "\n";
  out << "  passes    "
      << (shrunk->sibling.empty()
              ? std::string("no run near it that was tried")
              : cat(printable(files.passing), ": ", printable(shrunk->difference)))
      << "\n  next      qksim run " << printable(shell_quoted(files.failing)) << "\n";
  return environment.interrupted() ? ExitCode::kInterrupted : ExitCode::kOk;
}

}  // namespace qk::cli
