// replay, diff and explain: what is said about recorded runs.
#include "tools/qksim/argument_values.h"
#include "tools/qksim/verb_syntax.h"

namespace qk::cli {
namespace {

constexpr char kRecordedRun[] = "A run directory, a run's id, latest or last-failed";

}  // namespace

CommandSyntax replay_syntax(Command& command) {
  const auto to = std::make_shared<ReplayArguments>();
  CommandSyntax replay("replay", "Run a recorded run again and compare the chains");
  replay.positional("RUN", &to->run, kRecordedRun).required();
  replay.value("--to", "SEQ", ordinal(&to->to), "Print the trace up to this event");
  replay.finish = [to, &command](const Given&) { command = *to; };
  return replay;
}

CommandSyntax diff_syntax(Command& command) {
  const auto to = std::make_shared<DiffArguments>();
  CommandSyntax diff("diff", "Find the first event that differs between two runs");
  diff.positional("RUN", &to->left, kRecordedRun).required();
  diff.positional("OTHER", &to->right, kRecordedRun).required();
  diff.finish = [to, &command](const Given&) { command = *to; };
  return diff;
}

CommandSyntax explain_syntax(Command& command) {
  const auto to = std::make_shared<ExplainArguments>();
  CommandSyntax explain("explain", "Say in words what led to a violation");
  explain.positional("RUN", &to->run, kRecordedRun).required();
  explain
      .value("--violation", "N", ordinal(&to->violation), "Which one, in the order of the report")
      .by_default("1");
  explain.value("--at", "SEQ", ordinal(&to->at), "Explain this event instead")
      .excludes("--violation");
  explain
      .value("--radius", "N", number(&to->radius), "How many lines of the trace before it to print")
      .by_default("40");
  explain.flag("--cone", &to->cone, "Lines of its causal past, instead of its node");
  explain.flag("--when", &to->when,
               "Find where the violation became inevitable: run up to many moments, and on from "
               "each with other chance");
  explain
      .value("--futures", "N", count(&to->futures, 1000, 1),
             "With --when: how many from each moment")
      .by_default("12");
  explain
      .value("--moments", "N", count(&to->moments, 1000, 2),
             "With --when: how many before the search")
      .by_default("9");
  explain
      .value("--jobs", "N", count(&to->jobs, kMaxJobs),
             "With --when: processes; 0: one for each CPU")
      .by_default("0");
  explain.value("--for", "TIME", duration(&to->time_limit),
                "With --when: stop after this much time");
  explain.flag("--json", &to->json, "With --when: print one line of JSON");
  explain.finish = [to, &command](const Given& given) {
    if (to->when) {
      refuse_given(given, {"--violation", "--at", "--radius", "--cone"}, "with --when",
                   "qksim help explain");
    } else {
      refuse_given(given, {"--futures", "--moments", "--jobs", "--for", "--json"}, "without --when",
                   "qksim help explain");
    }
    command = *to;
  };
  return explain;
}

}  // namespace qk::cli
