#include "tools/qksim/argument_values.h"
#include "tools/qksim/verb_syntax.h"

namespace qk::cli {
namespace {

// More of either is more than any window can be explored with.
constexpr uint64_t kMaxOmitted = 8;
constexpr uint64_t kMaxNested = 3;

}  // namespace

CommandSyntax explore_syntax(Command& command) {
  const auto to = std::make_shared<ExploreArguments>();
  CommandSyntax explore(
      "explore",
      "Crash a run at every disk operation of a window, with every bounded set of unsynced writes\n"
      "Each distinct state is recovered, judged, and cut off again as soon as it serves; what is\n"
      "found is written as a scenario that `qksim run` reproduces");
  explore.positional("SCENARIO", &to->scenario, "A file, or a built-in scenario's name").required();
  explore.value("--seed", "N", seed(&to->seed), "Of the run; default: the scenario's, or 1");
  explore.repeated("--set", "PATH=VALUE", &to->sets, "Replace one field of the scenario");
  explore.option("--window", "FROM..TO", &to->window,
                 "From where to where: phases of a node (n1:DUAL..n1:B) or times (6s..8s); "
                 "default: the migration of the first node that migrates");
  explore.repeated("--node", "NODE", &to->nodes,
                   "Who crashes; default: who the window names, or every node");
  explore
      .option("--level", "LEVELS", &to->levels,
              "P0 process crash, P2 power cut where only syncs order anything")
      .by_default("P0,P2");
  explore
      .value("--omit", "K", count(&to->omit, kMaxOmitted),
             "How many unsynced writes before the last may be missing")
      .by_default("1");
  explore
      .value("--nested", "D", count(&to->nested, kMaxNested),
             "How many crashes in the recovery follow the first")
      .by_default("0");
  explore.value("--for", "TIME", duration(&to->time),
                "Begin nothing more after this time; exit code 2 then");
  explore
      .value("--jobs", "N", count(&to->jobs, kMaxJobs),
             "Worlds at a time; 0: one for each processor")
      .by_default("0");
  explore.value("--shard", "K/N", shard(&to->shard, &to->shards),
                "Take each N-th instant, from the K-th on");
  explore.option("--out", "DIR", &to->out,
                 "Where findings go, instead of .qksim/explore/SCENARIO-SEED");
  explore.option("--planted", "TEXT", &to->planted, "Switch a known defect on").hidden();
  explore.finish = [to, &command](const Given&) { command = *to; };
  return explore;
}

}  // namespace qk::cli
