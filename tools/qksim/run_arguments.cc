#include <algorithm>

#include "sim/explore/feedback.h"
#include "tools/qksim/argument_values.h"
#include "tools/qksim/verb_syntax.h"

namespace qk::cli {

CommandSyntax run_syntax(Command& command) {
  const auto to = std::make_shared<RunArguments>();
  CommandSyntax run("run", "Run a scenario once, for one seed");
  run.positional("SCENARIO", &to->scenario, "A file, or a built-in scenario's name").required();
  run.value(
      "--seed", "N",
      [to](std::string_view option, const std::string& word) {
        to->random_seed = word == "random";
        if (to->random_seed) return;
        to->seed = value_of(option, scenarios::parse_seed(word), ", or \"random\"");
      },
      "0 to 2^64-1, decimal or 0x hexadecimal, or random; default: the scenario's, or 1");
  run.repeated("--set", "PATH=VALUE", &to->sets, "Replace one field of the scenario");
  run.value("--until", "TIME", duration(&to->until), "Stop at this simulated time");
  run.option("--out", "DIR", &to->out, "Run directory, instead of .qksim/runs/ID");
  run.option("--write-plan", "FILE", &to->write_plan,
             "Write the scenario with all that was drawn spelled out");
  run.value("--artifacts", "WHEN",
            choice(&to->artifacts, {{"fail", Artifacts::kFail},
                                    {"always", Artifacts::kAlways},
                                    {"none", Artifacts::kNone}}),
            "When to leave a run directory: fail, always, none")
      .by_default("fail");
  run.value("--trace", "LEVEL",
            choice(&to->trace, {{"none", sim::TraceLevel::kNone},
                                {"marks", sim::TraceLevel::kMarks},
                                {"full", sim::TraceLevel::kFull}}),
            "What the trace keeps: none, marks, full")
      .by_default("marks");
  run.value("--log", "FORM",
            choice(&to->log, {{"short", ShortLog::kShort}, {"off", ShortLog::kOff}}),
            "short prints a line per change of state; off")
      .by_default("off");
  run.flag("--keep-going", &to->keep_going, "Go on after a violation");
  run.flag("--check-determinism", &to->check_determinism, "Run twice and compare the chains");
  run.flag("--swarm", &to->swarm, "Let the seed draw which kinds of fault are on, and how strong");
  run.value(
      "--near", "SEED,...",
      [to](std::string_view option, const std::string& word) {
        to->near.clear();
        for (size_t begin = 0; begin <= word.size();) {
          const size_t end = std::min(word.find(',', begin), word.size());
          to->near.push_back(
              value_of(option, scenarios::parse_seed(word.substr(begin, end - begin))));
          begin = end + 1;
        }
        if (to->near.size() <= sim::Feedback::kMaxAncestors) return;
        refuse(cat(option, ": ", to->near.size(), " seeds"),
               cat("allowed: at most ", sim::Feedback::kMaxAncestors));
      },
      "Repeat a run of sweep --feedback: the seeds that led to it");
  run.option("--planted", "TEXT", &to->planted, "Switch a known defect on").hidden();
  run.finish = [to, &command](const Given&) { command = *to; };
  return run;
}

}  // namespace qk::cli
