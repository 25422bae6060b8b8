#include "tools/qksim/argument_values.h"
#include "tools/qksim/verb_syntax.h"

namespace qk::cli {

CommandSyntax selftest_syntax(Command& command) {
  const auto to = std::make_shared<SelftestArguments>();
  CommandSyntax selftest("selftest", "Switch known bugs on, and see which are found");
  selftest.repeated("--bug", "NAME", &to->bugs,
                    "A bug, or all of a component, level, oracle or known bug (KB-20)");
  selftest.flag("--list", &to->list, "List them, run nothing");
  selftest.flag("--canary-only", &to->canary_only,
                "Only show that a run can fail, and only when it should");
  selftest.value("--seeds", "N", repetitions(&to->seeds), "Seeds to try for each bug, at most")
      .by_default("1000");
  selftest
      .value("--form", "FORM",
             choice(&to->forms,
                    {{"easy", Forms::kEasy}, {"hard", Forms::kHard}, {"both", Forms::kBoth}}),
             "easy (always), hard (one time in about eight), both")
      .by_default("both");
  selftest.value("--for", "TIME", duration(&to->budget), "Begin no further hunt after this time");
  selftest.option("--shrink", "DIR", &to->shrink_into,
                  "Make each run that a bug failed as small as it goes, as a file in DIR");
  selftest
      .value("--shrink-for", "TIME", duration(&to->shrink_for),
             "Stop shrinking one of them after this time")
      .by_default("2m");
  selftest
      .value("--jobs", "N", count(&to->jobs, kMaxJobs),
             "Hunts at a time; 0: one for each processor")
      .by_default("0");
  selftest.finish = [to, &command](const Given&) { command = *to; };
  return selftest;
}

}  // namespace qk::cli
