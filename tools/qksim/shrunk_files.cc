#include "tools/qksim/shrunk_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/base/units.h"
#include "scenarios/effective.h"
#include "scenarios/written_plan.h"
#include "tools/qksim/output_file.h"
#include "tools/qksim/run_report.h"
#include "tools/qksim/worker_pool.h"

namespace qk::cli {
namespace {

constexpr std::string_view kShrunkSuffix = ".qks.txtpb";

// A scenario's text, with the head that says what it is: `lines`, without the '#'.
std::string with_head(const std::string& text, const std::vector<std::string>& lines) {
  std::string head = cat(scenarios::written_plan_head(), "#\n");
  for (const std::string& line : lines) head += cat("# ", line, "\n");
  return head + text.substr(scenarios::kScenarioHead.size());
}

// A candidate may take longer than the run that fails early, but not without end.
constexpr int64_t kCandidateLimitMs = 120'000;
constexpr int kCandidatePollMs = 200;

// Verdict, oracle and phase of a run in a process of its own; nothing if that ended without an
// answer, as after a failed check of ours.
std::optional<sim::RunResult> run_apart(const Environment& environment, const sim::Plan& plan) {
  WorkerPool pool({.workers = 1, .cpu_limit_ms = kCandidateLimitMs, .wall_ms = environment.wall_ms},
                  [&](const WorkerPool::Job&, const WorkerPool::Send& send) {
                    // What a failed check says of itself is of no interest to who shrinks.
                    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
                    if (nowhere >= 0) ::dup2(nowhere, STDERR_FILENO);
                    sim::RunOptions options;
                    options.trace = sim::TraceLevel::kNone;
                    const sim::RunResult result = environment.run(plan, options);
                    const auto failure = scenarios::failure_of(result);
                    send(cat(static_cast<int>(result.verdict), " ", failure ? failure->oracle : "",
                             " ", failure ? failure->phase : ""));
                  });
  if (!pool.start({}).ok()) return std::nullopt;
  std::vector<WorkerPool::Outcome> outcomes;
  while (outcomes.empty() && !environment.interrupted()) outcomes = pool.wait(kCandidatePollMs);
  if (outcomes.empty() || !outcomes[0].answered) return std::nullopt;
  const std::string& message = outcomes[0].message;
  const size_t first = std::min(message.find(' '), message.size());
  const size_t second = std::min(message.find(' ', first + 1), message.size());
  const auto verdict = whole_number(message.substr(0, first));
  if (!verdict) return std::nullopt;
  sim::RunResult result;
  result.verdict = static_cast<sim::Verdict>(*verdict);
  if (second > first + 1) {
    sim::Violation violation;
    violation.oracle = message.substr(first + 1, second - first - 1);
    violation.phase = message.substr(std::min(second + 1, message.size()));
    result.violations.push_back(std::move(violation));
  }
  return result;
}

ExitCode write_shrunk(const Environment& environment, const std::string& file,
                      const std::string& text) {
  const absl::Status status = replace_output(environment, absolute_path(environment, file), text);
  if (status.ok()) return ExitCode::kOk;
  print_error(environment, std::string(to_std(status.message())));
  return ExitCode::kCannotWrite;
}

}  // namespace

std::string passing_file(const std::string& failing) {
  std::string stem = failing;
  if (stem.ends_with(kShrunkSuffix)) stem.resize(stem.size() - kShrunkSuffix.size());
  return cat(stem, "-passes", kShrunkSuffix);
}

ExitCode check_shrunk_files(const Environment& environment, const std::string& failing) {
  for (const std::string& file : {failing, passing_file(failing)}) {
    const absl::Status status =
        check_writable(absolute_path(environment, file), {scenarios::written_plan_head()});
    if (status.ok()) continue;
    print_error(environment, std::string(to_std(status.message())));
    return ExitCode::kCannotWrite;
  }
  return ExitCode::kOk;
}

ShrunkFiles shrink_into_files(const Environment& environment, const ShrinkJob& job) {
  const sim::Plan& plan = *job.loaded->plan;
  sim::RunOptions options;
  options.trace = sim::TraceLevel::kNone;
  scenarios::ShrinkTools tools;
  tools.load = [&](const scenarios::ScenarioSource& candidate) {
    return scenarios::load(candidate, {}, std::nullopt, *environment.simulated,
                           scenarios::make_tree_resolver(*environment.fs, candidate.directory));
  };
  std::string oracle;  // of the failure that stays; empty: not known yet
  tools.run = [&](const sim::Plan& candidate) -> std::optional<sim::RunResult> {
    std::optional<sim::RunResult> seen = run_apart(environment, candidate);
    if (!seen || seen->violations.empty()) return seen;
    if (!oracle.empty() && seen->violations.front().oracle != oracle) return seen;
    // Same plan, same run: it ends here as it ended there.
    return environment.run(candidate, options);
  };
  tools.any_phase = job.any_phase;
  tools.stop = [&] { return environment.interrupted() || job.spent() >= kShrinkShare; };
  tools.give_up = [&] { return environment.interrupted() || job.spent() >= kWholeTime; };
  tools.kept = job.kept;
  const std::optional<sim::RunResult> first = tools.run(plan);
  ShrunkFiles out;
  if (!first) {
    print_error(environment, cat(plan.name, " with seed ", seed_text(plan.seed),
                                 ": the run ends in a failed check of this program, expected a "
                                 "violation that an oracle finds"));
    out.code = environment.interrupted() ? ExitCode::kInterrupted : ExitCode::kInconclusive;
    return out;
  }
  if (!first->violations.empty()) oracle = first->violations.front().oracle;
  const std::string name(scenarios::scenario_stem(job.failing));
  absl::StatusOr<scenarios::Shrunk> shrunk = scenarios::shrink(*job.loaded, *first, name, tools);
  if (!shrunk.ok()) {
    print_error(environment, cat(plan.name, " with seed ", seed_text(plan.seed), ": ",
                                 to_std(shrunk.status().message())));
    out.code = environment.interrupted() ? ExitCode::kInterrupted : ExitCode::kInconclusive;
    return out;
  }
  out.shrunk = *std::move(shrunk);
  const scenarios::Shrunk& small = out.shrunk;
  const std::string passing = passing_file(job.failing);
  const sim::Violation& violation = small.result.violations.front();
  out.code = write_shrunk(
      environment, job.failing,
      with_head(
          small.text,
          {cat("Shrunk from ", plan.name, ", seed ", seed_text(plan.seed), ": ", violation.oracle,
               " ", violation.name, " in phase ", violation.phase, "."),
           cat("Taken away: ", small.steps.empty() ? "nothing" : join(small.steps, "; "), "."),
           small.sibling.empty()
               ? std::string("No run near it that was tried passes.")
               : cat("The nearest run that passes: ", passing, ", ", small.difference, "."),
           plan.planted.empty()
               ? "Without `expect` it is a regression test, once the cause is mended."
               : "It has a planted bug, so it always fails."}));
  if (out.code == ExitCode::kOk && !small.sibling.empty()) {
    out.code =
        write_shrunk(environment, passing,
                     with_head(small.sibling,
                               {cat("Passes, unlike ", job.failing, ": ", small.difference, ".")}));
  }
  return out;
}

}  // namespace qk::cli
