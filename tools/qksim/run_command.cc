#include <algorithm>
#include <optional>

#include "families/base/printable.h"
#include "families/base/strings.h"
#include "families/fs/file_util.h"
#include "scenarios/written_plan.h"
#include "sim/explore/divergence.h"
#include "sim/explore/swarm.h"
#include "sim/kernel/trace_text.h"
#include "tools/qksim/output_file.h"
#include "tools/qksim/run_directory.h"
#include "tools/qksim/run_report.h"
#include "tools/qksim/scenario_argument.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

ExitCode exit_code(const RunReport& report) {
  const std::string_view word = verdict_word(report);
  if (word == "ERROR") return ExitCode::kInternal;
  if (word == "FAIL") return ExitCode::kViolated;
  return is_good(report) ? ExitCode::kOk : ExitCode::kInconclusive;
}

bool leaves_directory(const RunReport& report) {
  switch (report.arguments.artifacts) {
    case Artifacts::kAlways:
      return true;
    case Artifacts::kNone:
      return false;
    case Artifacts::kFail:
      return !is_good(report);
  }
  QK_CHECK(false);
}

// Which node parted first, and in which event, if two more runs part as well.
void tell_difference(const sim::Plan& plan, sim::RunOptions options, const sim::RunResult& first,
                     const sim::RunResult& second, const Environment& environment) {
  constexpr size_t kContext = 8;
  if (first.trace == nullptr || second.trace == nullptr) return;
  const auto chains = sim::first_difference(sim::chain_record_of(*first.trace),
                                            sim::chain_record_of(*second.trace));
  if (chains) *environment.err << printable(sim::to_text(*chains), "\n");
  options.trace = sim::TraceLevel::kFull;
  const sim::RunResult left = environment.run(plan, options);
  const sim::RunResult right = environment.run(plan, options);
  const auto event = sim::first_event_difference(sim::lines_of(*left.trace),
                                                 sim::lines_of(*right.trace), kContext);
  if (event) *environment.err << printable(sim::to_text(*event, "one run", "the other"), "\n");
}

// The same plan again; false and a message if it went another way.
bool repeats(const sim::Plan& plan, const sim::RunOptions& options, const sim::RunResult& first,
             const Environment& environment) {
  const sim::RunResult second = environment.run(plan, options);
  if (second.chain == first.chain && second.events == first.events &&
      second.digest == first.digest) {
    return true;
  }
  print_error(environment,
              cat("the same seed gave two different runs: chain ", chain_text(first.chain),
                  " with ", first.events, " events, then chain ", chain_text(second.chain),
                  " with ", second.events, " events"));
  tell_difference(plan, options, first, second, environment);
  return false;
}

// Writes the directory and names its files; kOk or kCannotWrite.
ExitCode leave_directory(const RunReport& report, const sim::Plan& plan,
                         const std::string& effective, const Environment& environment,
                         RunDirectory directory) {
  const absl::Status status = write_run_directory(report, plan, effective, environment, &directory);
  if (!status.ok()) {
    print_error(environment,
                cat("run directory ", directory.shown, ": ", to_std(status.message())));
    return ExitCode::kCannotWrite;
  }
  std::string line = cat("  artifacts ", printable(directory.shown));
  for (const std::string& file : directory.files) line += cat("  ", file);
  *environment.out << line << "\n";
  if (!is_good(report) && !report.result.violations.empty() && report.arguments.out.empty()) {
    *environment.out << "  next      qksim explain last-failed    |    qksim shrink last-failed\n";
  }
  return ExitCode::kOk;
}

// A plan that was written before may be replaced; a scenario that somebody wrote may not.
absl::Status check_plan_file(const std::string& path) {
  return check_writable(path, {scenarios::written_plan_head()});
}

ExitCode write_plan(const RunReport& report, const sim::Plan& plan, const std::string& effective,
                    const Environment& environment) {
  const std::string path = absolute_path(environment, report.arguments.write_plan);
  absl::Status status = check_plan_file(path);
  if (status.ok()) {
    status = replace_output(environment, path,
                            scenarios::written_plan(effective, scenarios::scenario_stem(path), plan,
                                                    report.result.injected));
  }
  if (status.ok()) return ExitCode::kOk;
  print_error(environment, cat("--write-plan: ", to_std(status.message())));
  return ExitCode::kCannotWrite;
}

void print(const RunReport& report, const Environment& environment) {
  if (report.arguments.log == ShortLog::kShort && report.result.trace != nullptr) {
    sim::write_short_log(*report.result.trace,
                         [&](std::string_view line) { *environment.out << printable(line, "\n"); });
  }
  *environment.out << report_text(report, environment.colour_out, /*timing=*/true);
}

}  // namespace

ExitCode run_command(const RunArguments& arguments, const Environment& environment) {
  scenarios::ScenarioSource source;
  ExitCode code = find_scenario(environment, arguments.scenario, &source);
  if (code != ExitCode::kOk) return code;
  RunReport report;
  report.arguments = arguments;
  report.version = environment.version;
  report.build = environment.build;
  const std::optional<uint64_t> seed =
      arguments.random_seed ? std::optional<uint64_t>(environment.random_seed()) : arguments.seed;
  scenarios::LoadResult loaded;
  code = load_scenario(environment, source, arguments.sets, seed, &loaded);
  if (code != ExitCode::kOk) return code;
  if (!arguments.near.empty()) {
    load_near(environment, source, arguments.sets, arguments.swarm, arguments.near,
              loaded.plan->seed, &loaded);
  } else if (arguments.swarm) {
    load_swarm(environment, source, arguments.sets, &loaded);
  }
  sim::Plan& plan = *loaded.plan;
  report.seed = plan.seed;
  if (arguments.until.has_value()) {
    plan.until = std::min(*arguments.until, plan.until.value_or(*arguments.until));
  }
  if (!arguments.planted.empty()) plan.planted = arguments.planted;
  code = check_planted(environment, plan.planted);
  if (code != ExitCode::kOk) return code;
  report.arguments.planted = plan.planted;
  report.name = plan.name;
  if (!arguments.write_plan.empty()) {
    const absl::Status status = check_plan_file(absolute_path(environment, arguments.write_plan));
    if (!status.ok()) {
      print_error(environment, std::string(to_std(status.message())));
      return ExitCode::kCannotWrite;
    }
  }
  absl::StatusOr<RunDirectory> directory =
      plan_run_directory(report, plan.scenario_hash, environment);
  if (!directory.ok()) {
    print_error(environment, std::string(to_std(directory.status().message())));
    return ExitCode::kCannotWrite;
  }

  *environment.err << "run " << printable(plan.name) << " seed " << seed_text(report.seed) << "\n";
  if (arguments.swarm) *environment.err << "swarm " << sim::swarm_text(plan) << "\n";
  sim::RunOptions options;
  options.keep_going = arguments.keep_going;
  options.trace = arguments.trace;
  const int64_t start_ms = environment.wall_ms();
  const auto tell = [&](const sim::RunResult& result) {
    report.result = result;
    report.wall_ms = environment.wall_ms() - start_ms;
    print(report, environment);
  };
  const auto leave = [&] {
    // Unless this run's directory takes its place, the link would show an earlier run's picture.
    ExitCode left = ExitCode::kOk;
    // A good run in another place is nothing to look for here.
    const bool elsewhere = !arguments.out.empty() && exit_code(report) == ExitCode::kOk;
    if (absl::Status status = elsewhere ? absl::OkStatus() : forget_latest(environment);
        !status.ok()) {
      print_error(environment, std::string(to_std(status.message())));
      left = ExitCode::kCannotWrite;
    }
    if (!leaves_directory(report)) return left;
    return worst(left, leave_directory(report, plan, loaded.effective, environment, *directory));
  };
  options.internal_error = [&](const sim::RunResult& result) {
    tell(result);
    leave();
    environment.exit_now(ExitCode::kInternal);
  };
  tell(environment.run(plan, options));
  code = exit_code(report);
  if (!arguments.write_plan.empty()) {
    code = worst(code, write_plan(report, plan, loaded.effective, environment));
  }
  if (arguments.check_determinism && !repeats(plan, options, report.result, environment)) {
    code = worst(code, ExitCode::kDiverged);
  }
  code = worst(code, leave());
  return environment.interrupted() ? ExitCode::kInterrupted : code;
}

}  // namespace qk::cli
