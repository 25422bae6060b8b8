// Nodes whose storage lies where three URIs say, as braft's NodeOptions do.
#include "scenarios/test_support.h"

namespace qk::scenarios {
namespace {

std::vector<std::string> uris(std::string_view node, std::string_view log, std::string_view meta,
                              std::string_view snapshot) {
  return {cat("cluster.node[", node, "].log_uri=", log),
          cat("cluster.node[", node, "].raft_meta_uri=", meta),
          cat("cluster.node[", node, "].snapshot_uri=", snapshot)};
}

// Three nodes, the first of which is told where its storage lies.
sim::Plan three_nodes(std::string_view where, std::string_view rest) {
  const std::string text = cat(
      "name: \"uris\" run_for: \"12s\" cluster { default_store: \"old\" node { id: \"n1\" ", where,
      " } node { id: \"n2\" } node { id: \"n3\" } snapshot_every_entries: 40 } store { id: \"old\" "
      "local { segment_size: \"16KiB\" } } store { id: \"new\" sqlite {} } workload { clients: 2 "
      "rate: 20 } ",
      rest);
  return must_load({"uris.qks.txtpb", text, "/"});
}

constexpr std::string_view kCrashes =
    "random { mean_time_to_crash: \"2s\" restart_after: \"100ms..500ms\" max_concurrent_down: 1 } ";

TEST_CASE("a node with directories of other names migrates, crashes included") {
  const sim::Plan plan = three_nodes(
      "log_uri: \"local:///data/a/wal\" raft_meta_uri: \"local:///data/a/log\" "
      "snapshot_uri: \"local:///data/a/images\"",
      cat("migration { from: \"old\" to: \"new\" start: \"1s\" dual_write_for: \"300ms\" soak: "
          "\"200ms\" on_validation_fail: RETRY max_retries: 9 fresh_mutations: 2000 fresh_time: "
          "\"2s\" } expect { migrated: \"n1\" min_committed: 100 } ",
          kCrashes));
  const sim::RunResult result = sim::run(plan, {});
  INFO(describe(result));
  CHECK(result.verdict == sim::Verdict::kPass);
}

TEST_CASE("a node with directories in three places runs, crashes included") {
  const sim::Plan plan = three_nodes(
      "log_uri: \" local:// /fast/log\" raft_meta_uri: \"local:///safe//raft_meta\" snapshot_uri: "
      "\"local:///big/snapshot/\"",
      cat("expect { min_committed: 100 } ", kCrashes));
  const sim::RunResult result = sim::run(plan, {});
  INFO(describe(result));
  CHECK(result.verdict == sim::Verdict::kPass);
}

TEST_CASE("a family that keeps all in one directory refuses three, before the run") {
  sim::Plan plan = three_nodes("", "");
  CHECK(sim::check_initial(plan).empty());
  for (const std::string snapshot : {"sqlite:///a/snapshot", "sqlite:///b/snapshot"}) {
    plan.cluster.nodes[1].store = "new";
    plan.cluster.nodes[1].place =
        families::parse_triple({"sqlite:///a/log", "sqlite:///a/raft_meta", snapshot}, "/").value();
    const std::vector<sim::BadStart> bad = sim::check_initial(plan);
    if (snapshot.find("/a/") != std::string::npos) {
      CHECK(bad.empty());
    } else {
      REQUIRE(bad.size() == 1);
      CHECK(bad[0].node == 1);
      CHECK_THAT(bad[0].reason, Catch::Contains("family sqlite keeps log, metadata and snapshot "
                                                "together"));
    }
  }
}

// braft's own directory, spread over three places.
TEST_CASE("a node begins with what braft left, under other directory names") {
  const std::string names = "local:///srv/";
  const sim::Plan plan = plan_of("rolling-local-to-sqlite", 1,
                                 uris("n1", names + "wal", names + "votes", names + "images"));
  const sim::RunResult result = sim::run(plan, {});
  INFO(describe(result));
  CHECK(result.verdict == sim::Verdict::kPass);
  CHECK(plan.cluster.nodes[0].initial);
}

}  // namespace
}  // namespace qk::scenarios
