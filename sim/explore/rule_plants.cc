// Planted bugs of the Raft core: rules that it does not follow (sim/raft/rule_mutants.h). Those that
// endanger nothing in a run, or show in it only as lost time, are left to raft_walk_test.cc.
#include "sim/explore/plants.h"
#include "sim/raft/rule_mutants.h"

namespace qk::sim {
namespace {

constexpr std::string_view kCrashes = "rolling-under-random-faults";
constexpr std::string_view kTransfers =
    "rolling-under-random-faults cluster.snapshot_every_entries=20";
constexpr std::string_view kCalm = "rolling-pair store[to].family=sqlite";

}  // namespace

std::vector<Row> rule_plants() {
  std::vector<Row> rows;
  // What a rule is called here is what it is called there, and so is what is wrong.
  const auto add = [&rows](std::string_view name, std::string_view known_as, std::string_view level,
                           std::string_view scenario, std::string_view oracles) {
    const raft::RuleMutant* rule = nullptr;
    for (const raft::RuleMutant& other : raft::rule_mutants()) {
      if (other.name == name) rule = &other;
    }
    QK_CHECK(rule != nullptr && !rule->needs_bare_mutations);
    rows.push_back(
        {{rule->name, known_as, "RC", level, scenario, oracles, rule->what}, [name](Plant& plant) {
           plant.taps = [&plant, name] {
             return raft::make_rule_mutant(name, [&plant] { return plant.dice.acts(); });
           };
         }});
  };
  add("vote-terms-ignored", "", "N", kCrashes, "ora.R5 ora.R6 ora.R7 ora.R4 ora.L12");
  add("vote-log-ignored", "", "N", kCrashes, "ora.R5 ora.R6 ora.R7 ora.R4 ora.L12");
  add("vote-counted-twice", "", "N", kCrashes, "ora.R1 ora.R5 ora.R6 ora.R7");
  add("pre-vote-counted", "", "N", kCrashes, "ora.R1 ora.R5");
  add("previous-unchecked", "", "N", kCrashes, "ora.R4 ora.R13 ora.R12");
  add("old-leader-followed", "", "N", kCrashes, "ora.R4 ora.R13 ora.R12");
  add("conflicting-log-kept", "KB-33", "N", kTransfers, "ora.R9 ora.R4 ora.R6 ora.L12");
  add("snapshot-index-raised", "KB-38", "N", kTransfers, "ora.R9 ora.R4 ora.R6 ora.L12");
  add("log-cut-above-snapshot", "KB-55", "P0", kTransfers, "ora.L4 ora.L9 ora.L12");
  add("old-term-committed", "KB-75", "N", kCrashes, "ora.R7 ora.R5 ora.R6");
  add("own-log-counted-early", "KB-6", "P1", kCalm, "ora.R7");
  add("old-reply-counted", "KB-77", "N", kCrashes, "ora.R12 ora.R7");
  add("last-index-counted", "", "N", kCrashes, "ora.R12 ora.R7");
  add("reply-counted-twice", "", "N", kCrashes, "ora.R12 ora.R7");
  add("commit-unverified", "KB-7", "N", kCrashes, "ora.R6 ora.R7");
  return rows;
}

}  // namespace qk::sim
