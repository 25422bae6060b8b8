// Rolls that an operator cannot simply carry through: few voters, machines without a vote, nodes
// that are away, clusters without a leader. What the run says about each.
#include <algorithm>

#include "scenarios/test_support.h"
#include "sim/kernel/trace_text.h"

namespace qk::scenarios {
namespace {

// A scenario of `nodes` with one migration, and what else it says.
sim::Plan roll(std::string_view cluster, std::string_view migration, std::string_view rest,
               std::string_view run_for = "12s") {
  const std::string text = cat(
      "name: \"roll\" run_for: \"", run_for,
      "\" cluster { default_store: \"old\" link { latency: "
      "\"1ms..4ms\" } ",
      cluster,
      " } store { id: \"old\" local {} } store { id: \"new\" sqlite {} } migration { from: \"old\" "
      "to: \"new\" start: \"1s\" dual_write_for: \"300ms\" soak: \"200ms\" fresh_mutations: 2000 "
      "fresh_time: \"2s\" ",
      migration, " } workload { clients: 2 rate: 10 } ", rest);
  return must_load({"roll.qks.txtpb", text, "/"});
}

std::string all(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// What the trace says of the roll's waits, as the short log does.
std::string traced_waits(const sim::RunResult& result) {
  std::string text;
  for (const sim::Mark& mark : result.trace->marks()) {
    if (mark.event.kind != sim::EventKind::kMigWait) continue;
    text += cat(result.trace->node_name(mark.event.node), ": ", sim::describe(*result.trace, mark),
                "\n");
  }
  return text;
}

TEST_CASE("one or two voters migrate only when the cluster may stop") {
  for (const int nodes : {1, 2}) {
    const std::string cluster = cat("nodes: ", nodes);
    const std::string expect =
        nodes == 1 ? "expect { migrated: \"n1\" min_committed: 20 }"
                   : "expect { migrated: \"n1\" migrated: \"n2\" min_committed: 20 }";
    const sim::RunResult refused = sim::run(roll(cluster, "", expect), {});
    INFO(describe(refused));
    CHECK(refused.verdict == sim::Verdict::kInconclusive);
    CHECK_THAT(all(refused.inconclusive), Catch::Contains(cat("0 of ", nodes, " voters")) ||
                                              Catch::Contains(cat("1 of ", nodes, " voters")));
    CHECK_THAT(all(refused.inconclusive),
               Catch::Contains("n1: not started") && Catch::Contains("allow_unavailability"));

    const sim::RunResult allowed =
        sim::run(roll(cluster, "allow_unavailability: true", expect), {});
    INFO(describe(allowed));
    CHECK(allowed.verdict == sim::Verdict::kPass);
  }
}

// Each node goes to the new store, and back to the old one.
sim::Plan there_and_back(std::string_view expect) {
  return roll(
      "nodes: 3", "",
      cat("migration { from: \"new\" to: \"old\" start: \"2s\" dual_write_for: \"300ms\" soak: "
          "\"200ms\" fresh_mutations: 2000 fresh_time: \"2s\" } ",
          expect),
      "24s");
}

TEST_CASE("a node migrates again when the operator has retired what the first migration left") {
  const std::string expect = "expect { migrated: \"n1\" migrated: \"n2\" migrated: \"n3\" }";
  const sim::RunResult both = sim::run(there_and_back(expect), {});
  INFO(describe(both) << traced_waits(both));
  CHECK(both.verdict == sim::Verdict::kPass);
  const std::vector<sim::Mark>& marks = both.trace->marks();
  CHECK(std::count_if(marks.begin(), marks.end(), [](const sim::Mark& mark) {
          return mark.event.kind == sim::EventKind::kMigPhase && mark.text == "retired";
        }) == 3);

  // The first one alone is not what is expected, with or without words for it.
  for (const std::string& expected : {expect, std::string()}) {
    sim::Plan plan = there_and_back(expected);
    plan.migrations[1].start = 2 * plan.run_for;
    const sim::RunResult one = sim::run(plan, {});
    INFO(describe(one));
    CHECK(one.violations.empty());
    CHECK(one.verdict == sim::Verdict::kInconclusive);
    CHECK_THAT(all(one.inconclusive),
               Catch::Contains("n2: not started: from store \"new\" to store \"old\": "));
    if (expected.empty()) continue;
    CHECK_THAT(all(one.inconclusive),
               Catch::Contains("n1 ended in phase accepted on store \"new\", "
                               "expected accepted on store \"old\""));
  }
}

TEST_CASE("each migration is judged by its own bounds, and what is gone through again is told") {
  sim::Plan plan = there_and_back("expect { migrated: \"n1\" migrated: \"n2\" migrated: \"n3\" }");
  plan.run_for = 60 * sim::kSecond;
  // So narrow that many a cut is stale before it has been looked at; the second migration's is
  // wide.
  plan.migrations[0].fresh_mutations = 4;
  const sim::RunResult result = sim::run(plan, {});
  INFO(describe(result));
  CHECK(result.violations.empty());
  CHECK(result.verdict == sim::Verdict::kPass);
  CHECK_THAT(all(result.notes),
             Catch::Contains(" went back from V2 to DUAL ") &&
                 Catch::Contains("times, the last time: the cutover cut went stale: "));
}

TEST_CASE("a fault that changes nothing has not been injected, and the run says why") {
  const auto unfired = [](const std::string& fault, sim::Nanos end = 0) {
    sim::Plan plan = roll("nodes: 3", "", fault);
    plan.migrations.clear();
    if (end > 0) plan.run_for = end;
    const sim::RunResult result = sim::run(plan, {});
    INFO(describe(result));
    CHECK(result.verdict == sim::Verdict::kInconclusive);
    return all(result.inconclusive);
  };
  std::string partitions;
  for (const char* other : {"n1", "n2", "n3"}) {
    partitions +=
        cat("at { t: \"3s\" for: \"1ms\" partition { side { node: \"@leader\" } side { node: \"",
            other, "\" } } } ");
  }
  CHECK_THAT(unfired(partitions), Catch::Contains("3s never fired: n") &&
                                      Catch::Contains(", which the partition names already"));
  CHECK_THAT(unfired("at { t: \"3s\" partition { side { node: \"@migrating\" } } }"),
             Catch::Contains("3s never fired: no node is @migrating"));
  CHECK_THAT(unfired("at { t: \"3s\" heal_all: true }"),
             Catch::Contains("3s never fired: there is nothing to heal"));
  // At the very end: nothing follows.
  CHECK_THAT(unfired("at { t: \"3s\" crash { node: \"n1\" } }", 3 * sim::kSecond),
             Catch::Contains("3s never fired"));
}

// Three voters of a real cluster, and n4, which has no vote.
const char* const kVotersAndSpare =
    "group: \"counter\" "
    "node { id: \"n1\" peer: \"127.0.0.1:8300:0:0\" initial_dir: "
    "\"braft:cluster-b-node0-all-killed\" } "
    "node { id: \"n2\" peer: \"127.0.0.1:8301:0:0\" initial_dir: "
    "\"braft:cluster-b-node1-all-killed\" } "
    "node { id: \"n3\" peer: \"127.0.0.1:8302:0:0\" initial_dir: "
    "\"braft:cluster-b-node2-all-killed\" } "
    "node { id: \"n4\" }";

TEST_CASE("a leader transfer that Raft refuses has not been injected, and the run says why") {
  const auto run = [](std::string_view cluster, std::string_view faults) {
    sim::Plan plan = roll(cluster, "", faults);
    plan.migrations.clear();
    return sim::run(plan, {});
  };
  const auto traced = [](const sim::RunResult& result) {
    std::string text;
    for (const sim::Mark& mark : result.trace->marks()) {
      if (mark.event.kind != sim::EventKind::kFaultNoEffect) continue;
      text += sim::describe(*result.trace, mark) + "\n";
    }
    return text;
  };
  const sim::RunResult spare = run(kVotersAndSpare, "at { t: \"3s\" leader_transfer: \"n4\" }");
  INFO(describe(spare));
  CHECK(spare.verdict == sim::Verdict::kInconclusive);
  CHECK_THAT(all(spare.inconclusive),
             Catch::Contains("3s never fired: transfer to 127.0.0.1:8303:0:0: not another member"));
  CHECK(traced(spare) ==
        "a fault without effect: 3s: transfer to 127.0.0.1:8303:0:0: not another member\n");

  // One of the three leads, one is asked first; the other must wait.
  std::string to_all;
  for (const char* node : {"n1", "n2", "n3"}) {
    to_all += cat("at { t: \"3s\" leader_transfer: \"", node, "\" } ");
  }
  const sim::RunResult busy = run("nodes: 3", to_all);
  INFO(describe(busy));
  CHECK(busy.verdict == sim::Verdict::kInconclusive);
  CHECK(busy.inconclusive.size() == 2);
  CHECK_THAT(all(busy.inconclusive),
             Catch::Contains("3s never fired: no other node leads that could hand over to n") &&
                 Catch::Contains(": another is under way"));

  // One that Raft takes on has an effect; @follower is never the leader.
  const sim::RunResult good = run("nodes: 3", "at { t: \"3s\" leader_transfer: \"@follower\" }");
  INFO(describe(good));
  CHECK(good.verdict == sim::Verdict::kPass);
  CHECK(traced(good) == "");
}

TEST_CASE("three voters and a spare machine migrate, and the spare one adds to no majority") {
  const sim::RunResult result = sim::run(
      roll(kVotersAndSpare, "",
           // For a while two of three voters commit, on two of four machines.
           "at { t: \"n1:DUAL\" crash { node: \"n2\" restart_after: \"1s\" } } expect { migrated: "
           "\"n1\" migrated: \"n2\" migrated: \"n3\" migrated: \"n4\" min_committed: 100 }",
           "24s"),
      {});
  INFO(describe(result) << all(result.waits));
  CHECK(result.verdict == sim::Verdict::kPass);
}

TEST_CASE("what a roll waits for is in the trace and in the result") {
  const sim::RunResult result =
      sim::run(roll("nodes: 3", "node: \"n1\" node: \"n2\" node: \"n3\"",
                    "at { t: \"n1:DUAL\" crash { node: \"n3\" restart_after: \"2s\" } } "
                    "at { t: \"n2:DUAL\" crash { node: \"n2\" restart_after: \"30s\" } } "),
               {});
  INFO(describe(result) << all(result.waits) << traced_waits(result));
  REQUIRE(result.waits.size() >= 2);
  // The first line is what it still waits for.
  CHECK_THAT(result.waits[0],
             Catch::StartsWith("n2 since t=") && Catch::EndsWith("s, still: n2 is down"));
  CHECK_THAT(all(result.waits),
             Catch::Contains("n1 for ") && Catch::Contains("cluster guard: healthy without n1: "
                                                           "1 of 3 voters (n2), a majority is 2"));
  const std::string traced = traced_waits(result);
  CHECK_THAT(
      traced,
      Catch::Contains("n1: the roll waits (planned): dual write for 0.300s\n") &&
          Catch::Contains("n1: the roll waits (work): export, import and catch-up") &&
          Catch::Contains("n1: the roll waits (guard): cluster guard: healthy without n1: ") &&
          Catch::Contains("n2: the roll waits (node): n2 is down\n"));
}

TEST_CASE("a cluster that elects no leader says why") {
  const auto reasons = [](std::string_view cluster) {
    const sim::RunResult result =
        sim::run(roll(cat("nodes: 3 ", cluster), "", "expect { min_committed: 10 }"), {});
    CHECK(result.verdict == sim::Verdict::kInconclusive);
    return all(result.inconclusive);
  };
  CHECK_THAT(reasons("disk { sync_latency: \"400ms..600ms\" }"),
             Catch::Contains("no leader was elected in ") &&
                 Catch::Contains("syncs take longer than the election timeout (0.150s to 0.300s)"));
  CHECK_THAT(reasons("election_timeout: \"1ms..2ms\" heartbeat: \"500us\""),
             Catch::Contains("a question and its answer take longer than the election timeout") ||
                 Catch::Contains("longer than the election timeout (0.001s to 0.002s)"));
}

// Slow disks and many small writes: what queues up during an export is many syncs' worth.
sim::Plan busy_roll(std::string_view expect) {
  sim::Plan plan = roll("nodes: 3 disk { sync_latency: \"2ms..20ms\" } snapshot_every_entries: 400",
                        "transfer_leadership_first: false", expect, "60s");
  plan.workload.clients = 8;
  plan.workload.rate = 50;
  plan.migrations[0].start = 10 * sim::kSecond;
  return plan;
}

TEST_CASE("a node that catches up leaves the disk to its own writes") {
  sim::Plan still = busy_roll("");
  still.migrations.clear();
  const sim::RunResult without = sim::run(still, {});
  const sim::RunResult with =
      sim::run(busy_roll("expect { migrated: \"n1\" migrated: \"n2\" migrated: \"n3\" }"), {});
  INFO("without: " << sim::to_text(*without.ack_gap) << ", with: " << sim::to_text(*with.ack_gap)
                   << "\n"
                   << describe(with));
  CHECK(with.verdict == sim::Verdict::kPass);
  CHECK(with.ack_gap->length() < 2 * sim::kSecond);
}

TEST_CASE("a gap that is longer than expected is not a pass, and says when and in which phase") {
  const std::string fault =
      "at { t: \"6s\" for: \"2s\" partition { side { node: \"n1\" } side { "
      "node: \"n2\" } side { node: \"n3\" } } } ";
  const auto verdict = [&](const std::string& expect) {
    return sim::run(roll("nodes: 3", "", cat(fault, "expect { ", expect, " }")), {});
  };
  const sim::RunResult broken = verdict("max_ack_gap: \"1900ms\"");
  CHECK(broken.verdict == sim::Verdict::kInconclusive);
  CHECK_THAT(all(broken.inconclusive), Catch::StartsWith("no client was answered for 2.") &&
                                           Catch::Contains("s at t=") &&
                                           Catch::Contains(", expected at most 1.90s"));
  CHECK(verdict("max_ack_gap: \"6s\"").verdict == sim::Verdict::kPass);
  CHECK(verdict("").verdict == sim::Verdict::kPass);
}

}  // namespace
}  // namespace qk::scenarios
