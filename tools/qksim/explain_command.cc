#include "families/base/printable.h"
#include "families/base/strings.h"
#include "sim/explore/explanation.h"
#include "tools/qksim/recorded_run.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

// What of the run there is to explain, or why there is nothing.
absl::StatusOr<std::string> explanation(const ExplainArguments& arguments,
                                        const sim::RunResult& result) {
  const sim::Trace& trace = *result.trace;
  const sim::ExplainOptions options{arguments.radius, arguments.cone};
  if (arguments.at) {
    if (*arguments.at <= trace.events()) return sim::explain_event(trace, *arguments.at, options);
    return absl::NotFoundError(
        cat("--at ", *arguments.at, ": the run has ", trace.events(), " events"));
  }
  if (arguments.violation <= result.violations.size()) {
    return sim::explain_violation(trace, result.violations[arguments.violation - 1], options);
  }
  if (result.violations.empty()) {
    return absl::NotFoundError("the run violates nothing; --at SEQ explains any event");
  }
  return absl::NotFoundError(cat("--violation ", arguments.violation, ": the run has ",
                                 result.violations.size(),
                                 " violations; --at SEQ explains any event"));
}

}  // namespace

// The plan is run again with a full trace: that costs about as much as reading one.
ExitCode explain_command(const ExplainArguments& arguments, const Environment& environment) {
  RecordedRun run;
  const ExitCode code = find_recorded_run(environment, arguments.run, &run);
  if (code != ExitCode::kOk) return code;
  *environment.err << "explain " << printable(head_line(run)) << "\n";
  if (arguments.when) return explain_when(arguments, environment, std::move(run));
  const auto tell = [&](const sim::RunResult& result) {
    const bool same = !sim::first_difference(run.record, sim::chain_record_of(*result.trace));
    if (!same) {
      print_error(environment,
                  "this build runs it another way, and explains what it does now (see "
                  "qksim replay)");
    }
    const auto text = explanation(arguments, result);
    if (!text.ok()) {
      print_error(environment, std::string(to_std(text.status().message())));
      return ExitCode::kUsage;
    }
    *environment.out << printable(*text, "\n");
    return same ? ExitCode::kOk : ExitCode::kDiverged;
  };
  // A run that ends in a failed check of ours is told before its process goes.
  run.options.internal_error = [&](const sim::RunResult& result) {
    environment.exit_now(tell(result));
  };
  return tell(run_again(environment, run, sim::TraceLevel::kFull));
}

}  // namespace qk::cli
