// Faults that a seed draws before the run, and what an operator does at an unlucky moment.
#include <algorithm>
#include <set>

#include "scenarios/test_support.h"

namespace qk::scenarios {
namespace {

using sim::CrashFault;
using sim::FaultPlan;
using sim::PartitionFault;
using sim::RollbackFault;
using sim::TransferFault;

constexpr char kRoll[] = R"(
run_for: "20s"
cluster { nodes: 3 default_store: "old" election_timeout: "150ms..300ms" }
store { id: "old" local {} }
store { id: "new" sqlite {} }
workload { clients: 2 rate: 20 keys: 5 }
migration { from: "old" to: "new" start: "1s" dual_write_for: "500ms" soak: "200ms"
            fresh_mutations: 2000 fresh_time: "5s" max_retries: 3
)";

sim::RunResult run_roll(const std::string& policy, const std::string& faults) {
  return sim::run(plan_of_text(cat(kRoll, "on_validation_fail: ", policy, " } ", faults)), {});
}

std::vector<FaultPlan> drawn(const std::string& random) {
  sim::Plan plan = plan_of_text(cat(kRoll, "} random { ", random, " }"), 7);
  sim::expand_random(&plan, plan.run_for);
  return plan.faults;
}

template <typename Fault>
std::vector<Fault> of(const std::vector<FaultPlan>& faults) {
  std::vector<Fault> out;
  for (const FaultPlan& fault : faults) {
    if (const auto* one = std::get_if<Fault>(&fault.what)) out.push_back(*one);
  }
  return out;
}

std::string crashes_text(const std::vector<FaultPlan>& faults) {
  std::string out;
  for (const FaultPlan& fault : faults) {
    const auto* crash = std::get_if<CrashFault>(&fault.what);
    if (crash != nullptr)
      out += cat(fault.at.text, " ", crash->node, " ", crash->restart_after, "\n");
  }
  return out;
}

TEST_CASE("each kind of random fault draws for itself", "[drawn]") {
  const std::string crash = "mean_time_to_crash: \"300ms\" ";
  const std::string alone = crashes_text(drawn(crash));
  CHECK(std::count(alone.begin(), alone.end(), '\n') > 20);
  const auto all = drawn(crash +
                         "mean_time_to_transfer: \"300ms\" mean_time_to_rollback: \"300ms\" "
                         "mean_time_to_partition: \"300ms\"");
  CHECK(crashes_text(all) == alone);
  CHECK(of<PartitionFault>(all).size() > 20);
  CHECK(of<RollbackFault>(all).size() > 20);
  std::set<std::string> targets;
  for (const TransferFault& transfer : of<TransferFault>(all)) targets.insert(transfer.node);
  CHECK(targets == std::set<std::string>{"@follower", "@migrating", "n1", "n2", "n3"});
}

TEST_CASE("a crash comes again as its node starts, and some hit who matters", "[drawn]") {
  const std::string crash = "mean_time_to_crash: \"300ms\" restart_after: \"100ms..200ms\" ";
  const size_t once = of<CrashFault>(drawn(crash)).size();
  CHECK(of<CrashFault>(drawn(crash + "crash_again: 1")).size() > 3 * once);
  const std::vector<FaultPlan> again = drawn(crash + "crash_again: 0.5");
  size_t in_a_start = 0;
  for (size_t i = 1; i < again.size(); ++i) {
    const auto& before = std::get<CrashFault>(again[i - 1].what);
    if (before.node != std::get<CrashFault>(again[i].what).node) continue;
    const sim::Nanos since = again[i].at.time - again[i - 1].at.time - before.restart_after;
    in_a_start += since > 0 && since <= 25 * sim::kMillisecond ? 1 : 0;
  }
  CHECK(in_a_start > once / 4);

  std::set<std::string> nodes;
  for (const CrashFault& one : of<CrashFault>(drawn(crash + "aimed: 0.5"))) nodes.insert(one.node);
  CHECK(nodes == std::set<std::string>{"@leader", "@migrating", "n1", "n2", "n3"});
  std::set<std::string> alone;
  for (const PartitionFault& one :
       of<PartitionFault>(drawn("mean_time_to_partition: \"300ms\" aimed: 1"))) {
    REQUIRE(one.sides.size() == 1);
    alone.insert(one.sides[0].begin(), one.sides[0].end());
  }
  CHECK(alone == std::set<std::string>{"@leader", "@migrating"});
}

TEST_CASE("what was injected names nodes, not selectors", "[drawn]") {
  const sim::RunResult result =
      run_roll("RETRY",
               "random { mean_time_to_crash: \"1s\" mean_time_to_partition: \"1s\" aimed: 0.7 "
               "mean_time_to_transfer: \"1s\" mean_time_to_rollback: \"1s\" quiet_after: \"6s\" }");
  INFO(describe(result));
  CHECK(result.verdict == sim::Verdict::kPass);
  const std::set<std::string> ids = {"n1", "n2", "n3"};
  for (const CrashFault& crash : of<CrashFault>(result.injected)) CHECK(ids.contains(crash.node));
  for (const PartitionFault& partition : of<PartitionFault>(result.injected)) {
    for (const auto& side : partition.sides) {
      for (const std::string& node : side) CHECK(ids.contains(node));
    }
  }
  for (const TransferFault& one : of<TransferFault>(result.injected)) CHECK(ids.contains(one.node));
  for (const RollbackFault& one : of<RollbackFault>(result.injected)) CHECK(ids.contains(one.node));
  CHECK(of<RollbackFault>(result.injected).size() > 0);
  CHECK(of<TransferFault>(result.injected).size() > 0);
}

TEST_CASE("the operator takes a migration back, and begins it again", "[drawn]") {
  const sim::RunResult result = run_roll(
      "RETRY",
      "at { t: \"n1:EXPORT\" rollback: \"n1\" } at { t: \"n1:DUAL+50ms\" rollback: \"n1\" }"
      "expect { migrated: [\"n1\", \"n2\", \"n3\"] }");
  INFO(describe(result));
  CHECK(result.verdict == sim::Verdict::kPass);
  CHECK(result.reach.at("migration/rollback") == 1);
  CHECK(result.reach.at("migration/rollback-after-DUAL") == 1);
  CHECK(result.reach.at("migration/retry") == 2);
  CHECK(result.reach.at("fault/rollback/EXPORT/local->sqlite") == 1);
  CHECK(result.reach.at("fault/rollback/DUAL/local->sqlite") == 1);
}

TEST_CASE("a migration that was taken back stays so without a retry", "[drawn]") {
  const sim::RunResult result =
      run_roll("ROLLBACK", "at { t: \"n1:DUAL+50ms\" rollback: \"@migrating\" }");
  INFO(describe(result));
  CHECK(result.verdict == sim::Verdict::kPass);
  CHECK(result.reach.at("migration/retry") == 0);
  CHECK(std::any_of(result.notes.begin(), result.notes.end(), [](const std::string& note) {
    return note == "n1: rolled back: taken back by the operator";
  }));
}

TEST_CASE("a rollback of nothing has no effect, and the run says so", "[drawn]") {
  const sim::RunResult result = run_roll("RETRY", "at { t: \"500ms\" rollback: \"n1\" }");
  INFO(describe(result));
  CHECK(result.verdict == sim::Verdict::kInconclusive);
  REQUIRE(result.inconclusive.size() == 1);
  CHECK_THAT(result.inconclusive[0],
             Catch::Contains("500ms never fired: ") && Catch::Contains("idle"));
}

}  // namespace
}  // namespace qk::scenarios
