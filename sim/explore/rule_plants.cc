// Planted bugs of the Raft core: rules that it does not follow (sim/raft/rule_mutants.h). Those that
// endanger nothing in a run, or show in it only as lost time, are left to raft_walk_test.cc.
#include "sim/explore/plants.h"
#include "sim/raft/rule_mutants.h"

namespace qk::sim {
namespace {

constexpr std::string_view kContested = "contested-leaders";

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
  add("vote-terms-ignored", "", "N", kContested, "ora.R5 ora.R6 ora.R7 ora.R4 ora.L12");
  add("vote-log-ignored", "", "N", kContested, "ora.R5 ora.R6 ora.R7 ora.R4 ora.L12");
  add("pre-vote-counted", "", "N", kContested, "ora.R1 ora.R5");
  add("previous-unchecked", "", "N", kContested, "ora.R4 ora.R6 ora.R12 ora.R13");
  add("log-cut-above-snapshot", "KB-55", "P0", kContested, "ora.L4 ora.L9 ora.L12");
  add("old-term-committed", "KB-75", "N", kContested, "ora.R7 ora.R5 ora.R6");
  add("own-log-counted-early", "KB-6", "P1", kContested, "ora.R7");
  add("last-index-counted", "", "N", kContested, "ora.R12 ora.R7");
  add("reply-counted-twice", "", "N", kContested, "ora.R12 ora.R7");
  add("commit-unverified", "", "N", kContested, "ora.R6 ora.R7");
  return rows;
}

}  // namespace qk::sim
