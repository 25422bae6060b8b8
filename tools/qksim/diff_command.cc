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
  sim::RunResult again;

  sim::LineSource lines() const {
    return recorded ? sim::lines_of(std::string_view(*recorded)) : sim::lines_of(*again.trace);
  }
};

std::optional<AllEvents> all_events(const RecordedRun& run, const Environment& environment) {
  AllEvents events;
  events.recorded = recorded_trace(environment, run);
  if (events.recorded) return events;
  events.again = run_again(environment, run, sim::TraceLevel::kFull);
  if (sim::first_difference(run.record, sim::chain_record_of(*events.again.trace))) {
    *environment.err << "note: " << printable(run.shown)
                     << " has no full trace, and this build runs it another way\n";
    return std::nullopt;
  }
  return events;
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
  const auto events = all_events(left, environment);
  const auto others = all_events(right, environment);
  if (events && others) {
    const auto event = sim::first_event_difference(events->lines(), others->lines(), kContext);
    *environment.out << printable(
        event ? sim::to_text(*event, left.shown, right.shown)
              : std::string("their events are equal; the scenario, the seed or a name is not\n"),
        "\n");
  }
  return ExitCode::kViolated;
}

}  // namespace qk::cli
