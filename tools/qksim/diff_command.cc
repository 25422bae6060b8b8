#include <functional>

#include "families/base/printable.h"
#include "families/base/strings.h"
#include "tools/qksim/recorded_run.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

constexpr size_t kContext = 12;

// Every event of a run: from its directory, or from running it again if that gives the same chain.
struct AllEvents {
  std::optional<std::string> recorded;
  std::shared_ptr<const sim::Trace> again;

  sim::LineSource lines() const {
    return recorded ? sim::lines_of(std::string_view(*recorded)) : sim::lines_of(*again);
  }
};

// Goes on with the events, or with nullptr if they cannot be had. A run that ends in a failed check
// of this program does so again: what follows is done there, and the process ends with it.
ExitCode with_events(RecordedRun run, const Environment& environment,
                     const std::function<ExitCode(const AllEvents*)>& next) {
  AllEvents events;
  events.recorded = recorded_trace(environment, run);
  if (events.recorded) return next(&events);
  const auto go_on = [&](const sim::RunResult& again) {
    if (sim::first_difference(run.record, sim::chain_record_of(*again.trace))) {
      *environment.err << "note: " << printable(run.shown)
                       << " has no full trace, and this build runs it another way\n";
      return next(nullptr);
    }
    events.again = again.trace;
    return next(&events);
  };
  run.options.internal_error = [&](const sim::RunResult& again) {
    environment.exit_now(go_on(again));
  };
  return go_on(run_again(environment, run, sim::TraceLevel::kFull));
}

}  // namespace

ExitCode diff_command(const DiffArguments& arguments, const Environment& environment) {
  RecordedRun left, right;
  ExitCode code = find_recorded_run(environment, arguments.left, &left);
  if (code != ExitCode::kOk) return code;
  code = find_recorded_run(environment, arguments.right, &right);
  if (code != ExitCode::kOk) return code;
  const auto difference = sim::first_difference(left.record, right.record);
  if (!difference) {
    *environment.out << "EQUAL  " << printable(head_line(left)) << "\n";
    return ExitCode::kOk;
  }
  *environment.out << "- " << printable(cat(left.shown, "  ", head_line(left))) << "\n+ "
                   << printable(cat(right.shown, "  ", head_line(right))) << "\n"
                   << printable(sim::to_text(*difference), "\n");
  return with_events(left, environment, [&](const AllEvents* events) {
    return with_events(right, environment, [&](const AllEvents* others) {
      if (events != nullptr && others != nullptr) {
        const auto event = sim::first_event_difference(events->lines(), others->lines(), kContext);
        *environment.out << printable(
            event
                ? sim::to_text(*event, left.shown, right.shown)
                : std::string("their events are equal; the scenario, the seed or a name is not\n"),
            "\n");
      }
      return ExitCode::kViolated;
    });
  });
}

}  // namespace qk::cli
