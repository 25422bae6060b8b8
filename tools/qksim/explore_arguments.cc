#include "tools/qksim/argument_values.h"
#include "tools/qksim/verb_syntax.h"

namespace qk::cli {
namespace {

// More of either is more than any window can be explored with.
constexpr uint64_t kMaxOmitted = 8;
constexpr uint64_t kMaxNested = 3;
constexpr uint64_t kMaxStates = 1'000'000'000;

void check_pair(const std::string& word) {
  const size_t mark = word.find('>');
  const bool two = mark != std::string::npos && mark > 0 && mark + 1 < word.size() &&
                   word.find('>', mark + 1) == std::string::npos;
  if (word == "all" || two) return;
  refuse(cat("--pair: ", in_quotes(word), " is not allowed"),
         "allowed: FROM>TO, as in 'local>sqlite', or all");
}

}  // namespace

CommandSyntax explore_syntax(Command& command) {
  const auto to = std::make_shared<ExploreArguments>();
  CommandSyntax explore(
      "explore",
      "Crash a run at every disk operation of a window, with every bounded set of unsynced writes\n"
      "Each distinct state is recovered, judged, and cut off again as soon as it serves; what is\n"
      "found is written as a scenario that `qksim run` reproduces. Exit code 0 says that all was\n"
      "explored and nothing violated, 1 a violation, 2 that something was not explored");
  explore.positional("SCENARIO", &to->scenarios, "Files, or built-in scenarios' names");
  explore.repeated("--pair", "FROM>TO", &to->pairs,
                   "Families of the first migration instead of the scenario's; all: each two that "
                   "keep what is synced");
  explore.value("--seed", "N", seed(&to->seed), "Of the run; default: the scenario's, or 1");
  explore.repeated("--set", "PATH=VALUE", &to->sets, "Replace one field of each scenario");
  explore.option("--window", "FROM..TO", &to->window,
                 "From where to where: phases of a node (n1:DUAL..n1:B) or times (6s..8s); "
                 "default: the migration of the first node that migrates");
  explore.repeated("--node", "NODE", &to->nodes,
                   "Who crashes; default: who the window names, or every node");
  explore
      .option(
          "--level", "LEVELS", &to->levels,
          "P0 process crash; power cut: P2 where only syncs order anything, P2x where renames tear "
          "as well, P1 under a journal (cluster.disk.journal)")
      .by_default("P0,P2");
  explore
      .value("--omit", "K", count(&to->omit, kMaxOmitted),
             "How many unsynced writes before the last may be missing")
      .by_default("1");
  explore
      .value("--nested", "D", count(&to->nested, kMaxNested),
             "How many crashes in the recovery follow the first")
      .by_default("0");
  explore
      .value("--most", "N", count(&to->most, kMaxStates),
             "Distinct states of one instant that are tried, the others are counted; 0: all")
      .by_default("0");
  explore
      .value("--recheck", "N", count(&to->recheck, kMaxStates),
             "Run one in N of the states that look like an earlier one to a start; 0: none")
      .by_default("100");
  explore.value("--for", "TIME", duration(&to->time),
                "Begin nothing more after this time; exit code 2 then");
  explore
      .value("--jobs", "N", count(&to->jobs, kMaxJobs),
             "Worlds at a time; 0: one for each processor")
      .by_default("0");
  explore.value("--shard", "K/N", shard(&to->shard, &to->shards),
                "Take each N-th instant, from the K-th on");
  explore
      .option("--out", "DIR", &to->out,
              "Directory of the exploration, instead of .qksim/explore/ID")
      .not_empty();
  explore.option("--resume", "DIR", &to->resume, "Go on with the exploration in this directory")
      .not_empty();
  explore.value("--progress", "FORM", progress_form(&to->progress), "auto, plain or none")
      .by_default("auto");
  explore.option("--planted", "TEXT", &to->planted, "Switch a known defect on").hidden();
  explore.finish = [to, &command](const Given& given) {
    if (to->resume.empty() == to->scenarios.empty()) {
      refuse("explore needs one of: SCENARIO, --resume DIR", "qksim help explore");
    }
    for (const std::string& pair : to->pairs) check_pair(pair);
    if (!to->resume.empty()) {
      refuse_given(given,
                   {"--pair", "--seed", "--set", "--window", "--node", "--level", "--omit",
                    "--nested", "--most", "--recheck", "--shard", "--out", "--planted"},
                   "with --resume", "what is explored is in its directory");
    }
    command = *to;
  };
  return explore;
}

}  // namespace qk::cli
