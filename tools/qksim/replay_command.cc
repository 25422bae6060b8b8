#include "families/base/printable.h"
#include "families/base/strings.h"
#include "sim/kernel/trace_text.h"
#include "tools/qksim/recorded_run.h"
#include "tools/qksim/run_report.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

// Lines on each side of the first event that differs.
constexpr size_t kContext = 8;

// Where the run left the recorded one, as exactly as the recorded one allows.
void tell_divergence(const RecordedRun& run, const sim::ChainDifference& difference,
                     const Environment& environment) {
  std::string text = sim::to_text(difference);
  if (run.record.build != environment.build) {
    text += cat("recorded by build ", run.record.build, ", run again by build ", environment.build,
                ": the program may have changed\n");
  }
  const auto trace = recorded_trace(environment, run);
  if (trace) {
    const sim::RunResult again = run_again(environment, run, sim::TraceLevel::kFull);
    const auto event = sim::first_event_difference(sim::lines_of(std::string_view(*trace)),
                                                   sim::lines_of(*again.trace), kContext);
    text += event ? sim::to_text(*event, "the recorded run", "this one")
                  : std::string(
                        "every event is as in the recorded trace.txt: chain.txt is of another run, "
                        "or this one differs from time to time\n");
  } else {
    text +=
        "the recorded run has no full trace, so its events cannot be compared (run --trace "
        "full)\n";
  }
  *environment.out << printable(text, "\n");
}

}  // namespace

ExitCode replay_command(const ReplayArguments& arguments, const Environment& environment) {
  RecordedRun run;
  const ExitCode code = find_recorded_run(environment, arguments.run, &run);
  if (code != ExitCode::kOk) return code;
  *environment.err << "replay " << printable(head_line(run)) << "\n";
  const sim::RunResult result =
      run_again(environment, run, arguments.to ? sim::TraceLevel::kFull : sim::TraceLevel::kMarks);
  if (arguments.to) {
    const sim::Trace& trace = *result.trace;
    for (uint64_t seq = 1; seq <= std::min(*arguments.to, trace.events()); ++seq) {
      *environment.out << printable(sim::text_line(trace, trace.event(seq), trace.text(seq)), "\n");
    }
  }
  const sim::ChainRecord again = sim::chain_record_of(*result.trace);
  const auto difference = sim::first_difference(run.record, again);
  if (!difference) {
    std::ostream& stream = arguments.to ? *environment.err : *environment.out;
    stream << "EQUAL  " << printable(head_line(run)) << "\n";
    return ExitCode::kOk;
  }
  print_error(environment, cat("the run went another way than the recorded one: chain ",
                               chain_text(run.record.points.back().chain), " with ",
                               run.record.points.back().events, " events, then chain ",
                               chain_text(result.chain), " with ", result.events, " events"));
  tell_divergence(run, *difference, environment);
  return ExitCode::kDiverged;
}

}  // namespace qk::cli
