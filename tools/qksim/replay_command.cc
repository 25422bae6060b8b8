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

// Where `result` left the recorded run, as exactly as the recorded one allows.
void tell_divergence(const RecordedRun& run, const std::optional<std::string>& trace,
                     const sim::RunResult& result, const sim::ChainDifference& difference,
                     const Environment& environment) {
  std::string text = sim::to_text(difference);
  if (run.record.build != environment.build) {
    text += cat("recorded by build ", run.record.build, ", run again by build ", environment.build,
                ": the program may have changed\n");
  }
  if (trace) {
    const auto event = sim::first_event_difference(sim::lines_of(std::string_view(*trace)),
                                                   sim::lines_of(*result.trace), kContext);
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

ExitCode compare(const RecordedRun& run, const std::optional<std::string>& trace,
                 const sim::RunResult& result, std::optional<uint64_t> to,
                 const Environment& environment) {
  if (to) {
    const sim::Trace& all = *result.trace;
    for (uint64_t seq = 1; seq <= std::min(*to, all.events()); ++seq) {
      *environment.out << printable(sim::text_line(all, all.event(seq), all.text(seq)), "\n");
    }
  }
  const auto difference = sim::first_difference(run.record, sim::chain_record_of(*result.trace));
  if (!difference) {
    std::ostream& stream = to ? *environment.err : *environment.out;
    stream << "EQUAL  " << printable(head_line(run)) << "\n";
    return ExitCode::kOk;
  }
  print_error(environment, cat("the run went another way than the recorded one: chain ",
                               chain_text(run.record.points.back().chain), " with ",
                               run.record.points.back().events, " events, then chain ",
                               chain_text(result.chain), " with ", result.events, " events"));
  tell_divergence(run, trace, result, *difference, environment);
  return ExitCode::kDiverged;
}

}  // namespace

ExitCode replay_command(const ReplayArguments& arguments, const Environment& environment) {
  RecordedRun run;
  const ExitCode code = find_recorded_run(environment, arguments.run, &run);
  if (code != ExitCode::kOk) return code;
  *environment.err << "replay " << printable(head_line(run)) << "\n";
  const std::optional<std::string> trace = recorded_trace(environment, run);
  const sim::TraceLevel level =
      arguments.to || trace ? sim::TraceLevel::kFull : sim::TraceLevel::kMarks;
  const auto judge = [&](const sim::RunResult& result) {
    return compare(run, trace, result, arguments.to, environment);
  };
  // A run that ended in a failed check of this program ends in it again, and is compared there:
  // nothing can be relied on afterwards.
  run.options.internal_error = [&](const sim::RunResult& result) {
    environment.exit_now(judge(result));
  };
  return judge(run_again(environment, run, level));
}

}  // namespace qk::cli
