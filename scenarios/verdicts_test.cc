// What a run says of itself: every verdict has a reason, and no reason is lost.
#include <algorithm>

#include "families/builtin.h"
#include "families/contract/family_wrapper.h"
#include "families/fs/file_util.h"
#include "families/fs/temp_directory.h"
#include "families/fs/unsynced_file_system.h"
#include "image/identity.h"
#include "scenarios/test_support.h"
#include "sim/cluster/initial_state.h"

namespace qk::scenarios {
namespace {

using sim::Verdict;

std::string all(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// The canary, expecting these violations instead of its own.
sim::Plan canary(const std::vector<std::string>& violates) {
  sim::Plan plan = plan_of("canary-as-shipped", 1);
  plan.expect.violates = violates;
  return plan;
}

TEST_CASE("a run that is expected to violate is judged by exactly the oracles it names") {
  const sim::RunResult expected = sim::run(canary({"ora.L5"}), {});
  INFO(describe(expected));
  CHECK(expected.verdict == Verdict::kExpected);
  CHECK(expected.violations.size() == 1);
  CHECK(expected.unmet.empty());
}

TEST_CASE("another violation than the expected one fails, and both are named") {
  const sim::RunResult other = sim::run(canary({"ora.D1"}), {});
  INFO(describe(other));
  CHECK(other.verdict == Verdict::kViolation);
  CHECK(other.unmet ==
        std::vector<std::string>{"expected a violation of ora.D1, found ora.L5",
                                 "ora.L5 is not among the expected violations: ora.D1"});
}

TEST_CASE("one of two expected violations alone fails") {
  const sim::RunResult one_of_two = sim::run(canary({"ora.D1", "ora.L5"}), {});
  INFO(describe(one_of_two));
  CHECK(one_of_two.verdict == Verdict::kViolation);
  CHECK(one_of_two.unmet ==
        std::vector<std::string>{"expected a violation of ora.D1, found ora.L5"});
  // It did not end at the violation that it expects.
  CHECK(one_of_two.simulated == canary({}).run_for);
}

TEST_CASE("a run that violates nothing fails if it should") {
  sim::Plan plan = plan_of("canary-as-shipped", 1);
  plan.stores[0].family = "local";
  const sim::RunResult none = sim::run(plan, {});
  INFO(describe(none));
  CHECK(none.violations.empty());
  CHECK(none.verdict == Verdict::kViolation);
  CHECK(none.unmet == std::vector<std::string>{"expected a violation of ora.L5, found none"});
}

TEST_CASE("--keep-going shows whether the expected violations are the only ones") {
  sim::RunOptions options;
  options.keep_going = true;
  const sim::RunResult result = sim::run(canary({"ora.L5"}), options);
  INFO(describe(result));
  CHECK(result.simulated == canary({}).run_for);
  for (const sim::Violation& violation : result.violations) CHECK(violation.oracle == "ora.L5");
  CHECK(result.verdict == Verdict::kExpected);
}

// The built-in families, each instance of `name` in a wrapper of the test's own.
template <typename Wrapper>
sim::RunOptions with_wrapped(const std::string& name) {
  sim::RunOptions options;
  options.registry_of = [name](families::VolatileMemory* memory) {
    families::Registry registry;
    const families::Registry builtin = families::builtin_families(memory);
    for (families::FamilyDescriptor family : builtin.all()) {
      if (family.name == name) {
        family.open = [open = family.open](const families::OpenRequest& request)
            -> absl::StatusOr<std::unique_ptr<families::Family>> {
          QK_ASSIGN_OR_RETURN(auto inner, open(request));
          auto wrapper = std::make_unique<Wrapper>(std::move(inner));
          QK_RETURN_IF_ERROR(wrapper->refuses());
          return wrapper;
        };
      }
      registry.add(std::move(family));
    }
    return registry;
  };
  return options;
}

// Fails its 400th append, and every mutation after it, without having touched anything.
class PoisonedLog final : public families::LogWrapper {
 public:
  using LogWrapper::LogWrapper;
  families::Outcome append(std::span<const families::LogEntry> entries) override {
    if (++mutations_ < 400) return LogWrapper::append(entries);
    return families::Outcome::failed_clean(absl::InternalError("the driver is poisoned"));
  }

 private:
  int mutations_ = 0;
};

class PoisonedFamily final : public families::FamilyWrapper {
 public:
  explicit PoisonedFamily(std::unique_ptr<families::Family> inner)
      : FamilyWrapper(std::move(inner)), log_(&FamilyWrapper::log()) {}
  families::LogStorage& log() override { return log_; }
  absl::Status refuses() const { return absl::OkStatus(); }

 private:
  PoisonedLog log_;
};

TEST_CASE("a node that stops by itself is a violation, however often it comes back") {
  const sim::RunResult result =
      sim::run(plan_of("rolling-local-to-sqlite", 1), with_wrapped<PoisonedFamily>("local"));
  INFO(describe(result));
  CHECK(result.verdict == Verdict::kViolation);
  REQUIRE(result.violations.size() == 1);
  CHECK(result.violations[0].oracle == "ora.L12");
  CHECK(result.violations[0].actual == "stopped by itself: the driver is poisoned");
}

// Opens only what holds fewer than five entries: a fresh cluster starts, and the first copies of
// its disks do not open.
class UnreadableFamily final : public families::FamilyWrapper {
 public:
  using FamilyWrapper::FamilyWrapper;
  absl::Status refuses() {
    if (log().last_index() < 5) return absl::OkStatus();
    return absl::DataLossError("log_01: record damaged at offset 4096 (index 5)");
  }
};

TEST_CASE("a probe that cannot be opened says why") {
  const sim::RunResult result =
      sim::run(plan_of("rolling-pair", 1), with_wrapped<UnreadableFamily>("local"));
  INFO(describe(result));
  REQUIRE(result.violations.size() == 1);
  CHECK(result.violations[0].oracle == "ora.L9");
  CHECK(result.violations[0].actual == "log_01: record damaged at offset 4096 (index 5)");
}

// The built-in families; what is written to a store of `name` is never synced.
sim::RunOptions without_syncs(const std::string& name) {
  // They outlive the families that use them.
  auto disks = std::make_shared<std::vector<std::unique_ptr<families::FileSystem>>>();
  sim::RunOptions options;
  options.registry_of = [name, disks](families::VolatileMemory* memory) {
    families::Registry registry;
    const families::Registry builtin = families::builtin_families(memory);
    for (families::FamilyDescriptor family : builtin.all()) {
      if (family.name == name) {
        family.open = [disks, open = family.open](families::OpenRequest request) {
          disks->push_back(std::make_unique<families::UnsyncedFileSystem>(request.fs));
          request.fs = disks->back().get();
          return open(request);
        };
      }
      registry.add(std::move(family));
    }
    return registry;
  };
  return options;
}

// During a run one commit in many is looked at, at its end the last one always.
TEST_CASE("a commit that no quorum holds at the end of a run is a violation of ora.R7") {
  const sim::Plan plan = plan_of_text(
      "run_for: \"5s\" cluster { nodes: 3 default_store: \"s\" } store { id: \"s\" local {} } "
      "workload { clients: 1 rate: 5 }");
  const auto at_the_end = [&](const sim::RunResult& result) {
    std::vector<sim::Violation> found;
    for (const sim::Violation& violation : result.violations) {
      if (violation.t == plan.run_for && violation.oracle == "ora.R7") found.push_back(violation);
    }
    return found;
  };
  // Oracles that look at acks find it as well, and earlier.
  sim::RunOptions options = without_syncs("local");
  options.keep_going = true;
  const sim::RunResult result = sim::run(plan, options);
  INFO(describe(result));
  CHECK(result.verdict == Verdict::kViolation);
  CHECK(result.committed > 5);
  const std::vector<sim::Violation> found = at_the_end(result);
  REQUIRE(found.size() == 1);
  CHECK_THAT(found[0].expected, Catch::EndsWith("durable on a majority of 3 voters"));
  CHECK(found[0].actual == "durable on 0: none");

  const sim::RunResult sound = sim::run(plan, {});
  INFO(describe(sound));
  CHECK(sound.verdict == Verdict::kPass);
}

TEST_CASE("the stops that a scenario asks for are in the ledger, and the run passes") {
  const sim::RunResult result = sim::run(plan_of("rolling-local-to-sqlite", 1), {});
  INFO(describe(result));
  CHECK(result.verdict == Verdict::kPass);
  // One restart of each node before its new family is accepted, and the two crashes.
  CHECK(result.stops.size() == 3);
  const auto crashed = std::count_if(
      result.stops.begin(), result.stops.end(),
      [](const std::string& line) { return line.find("1 crash injected") != std::string::npos; });
  CHECK(crashed == 2);
}

TEST_CASE("a run that never evaluated an oracle whose subject it has does not pass") {
  sim::Plan plan = plan_of("rolling-pair", 1);
  plan.faults.clear();
  plan.expect = {};
  plan.run_for = 5 * sim::kSecond;
  plan.migrations[0].start = 2 * plan.run_for;  // there is one, and it never starts
  const sim::RunResult result = sim::run(plan, {});
  INFO(describe(result));
  CHECK(result.verdict == Verdict::kInconclusive);
  CHECK(result.inconclusive ==
        std::vector<std::string>{
            "n1: not started: from store \"from\" to store \"to\": its turn never came",
            "n2: not started: from store \"from\" to store \"to\": its turn never came",
            "n3: not started: from store \"from\" to store \"to\": its turn never came",
            "ora.I1 was never evaluated", "ora.I3 was never evaluated",
            "ora.D1 was never evaluated", "ora.D2 was never evaluated",
            "ora.D5 was never evaluated", "ora.M2 was never evaluated",
            "ora.M3 was never evaluated", "ora.M8 was never evaluated",
            "ora.M11 was never evaluated"});

  // Without a migration these have no subject; they are named all the same.
  plan.migrations.clear();
  const sim::RunResult without = sim::run(plan, {});
  INFO(describe(without));
  CHECK(without.verdict == Verdict::kPass);
  CHECK(std::count(without.unjudged.begin(), without.unjudged.end(), "ora.D1") == 1);
  CHECK(std::count(without.unjudged.begin(), without.unjudged.end(), "ora.C1") == 0);
}

// Ten seconds of a cluster on this family, whose nodes crash at `at` and come back a minute later.
sim::Plan crashed(const std::string& family, const std::vector<std::string>& nodes,
                  const std::string& at, const std::string& expect = "") {
  std::string faults;
  for (const std::string& node : nodes) {
    faults += cat("at { t: \"", at, "\" crash { node: \"", node, "\" restart_after: \"60s\" } } ");
  }
  return plan_of_text(cat("run_for: \"10s\" cluster { nodes: 3 default_store: \"s\" } store { id: ",
                          "\"s\" ", family, " {} } workload { clients: 2 rate: 10 } ", faults,
                          "expect { min_committed: 20 ", expect, " }"));
}

TEST_CASE("a run that ends with a dead cluster does not pass, unless that is expected") {
  // While clients are quiet as well: nothing that they see tells of the last two seconds.
  for (const char* at : {"5s", "9500ms"}) {
    const sim::RunResult dead = sim::run(crashed("local", {"n1", "n3"}, at), {});
    INFO(at << "\n" << describe(dead));
    CHECK(dead.verdict == Verdict::kInconclusive);
    CHECK_THAT(all(dead.inconclusive), Catch::StartsWith("the run ends ") &&
                                           Catch::Contains("n1 is down, n2 is up, n3 is down"));
    CHECK(sim::run(crashed("local", {"n1", "n3"}, at, "unavailable_at_end: true"), {}).verdict ==
          Verdict::kPass);
  }
  CHECK(sim::run(crashed("local", {"n1"}, "5s"), {}).verdict == Verdict::kPass);
}

TEST_CASE("a run that expects a dead cluster and ends with a live one does not pass") {
  const sim::RunResult alive =
      sim::run(crashed("local", {"n1"}, "5s", "unavailable_at_end: true"), {});
  INFO(describe(alive));
  CHECK(alive.verdict == Verdict::kInconclusive);
  CHECK_THAT(all(alive.inconclusive), Catch::Contains("expected unavailable_at_end"));
}

TEST_CASE("what volatile nodes took with them is told, and they never vote again") {
  sim::Plan plan = crashed("memory", {"n1", "n2", "n3"}, "5s");
  // They try to start again, and must fail.
  for (sim::FaultPlan& fault : plan.faults) {
    std::get<sim::CrashFault>(fault.what).restart_after = sim::kSecond;
  }
  const sim::RunResult lost = sim::run(plan, {});
  INFO(describe(lost));
  CHECK(lost.violations.empty());
  CHECK(lost.verdict == Verdict::kInconclusive);
  CHECK_THAT(all(lost.inconclusive),
             Catch::Contains("is held by 0 of 3 voters, a majority is 2") &&
                 Catch::Contains("without a leader: n1 is down, n2 is down, n3 is down"));
  plan.expect.unavailable_at_end = true;
  CHECK(sim::run(plan, {}).verdict == Verdict::kPass);

  // One of three is lost for good; the others go on, and hold everything.
  plan = crashed("memory", {"n2"}, "5s");
  const sim::RunResult one = sim::run(plan, {});
  INFO(describe(one));
  CHECK(one.verdict == Verdict::kPass);
}

// Ten seconds with these random faults, of which those of a mean of 1000h never come.
sim::RunResult run_with_random(const std::string& random) {
  return sim::run(plan_of_text(cat(
                      "run_for: \"10s\" cluster { nodes: 3 default_store: \"s\" } store { id: ",
                      "\"s\" local {} } workload { clients: 2 rate: 10 } random { ", random, " }")),
                  {});
}

TEST_CASE("a run that asks for random faults and has none does not pass") {
  const std::string never = "mean_time_to_crash: \"1000h\" ";
  const sim::RunResult none = run_with_random(never);
  INFO(describe(none));
  CHECK(none.verdict == Verdict::kInconclusive);
  CHECK(all(none.inconclusive) ==
        "random faults are asked for, and none was injected: "
        "crash (mean_time_to_crash 3600000.000s)\n");
  CHECK_THAT(all(run_with_random(never + "mean_time_to_partition: \"900h\"").inconclusive),
             Catch::EndsWith("crash (mean_time_to_crash 3600000.000s), "
                             "partition (mean_time_to_partition 3240000.000s)\n"));

  // Some came: what did not is told.
  const std::string until = " quiet_after: \"6s\"";
  const sim::RunResult some = run_with_random(never + "mean_time_to_partition: \"1s\"" + until);
  INFO(describe(some));
  CHECK(some.verdict == Verdict::kPass);
  CHECK_THAT(all(some.notes),
             Catch::Contains("no random crash (mean_time_to_crash 3600000.000s) was injected\n") &&
                 !Catch::Contains("partition"));
  const sim::RunResult both =
      run_with_random("mean_time_to_crash: \"1s\" mean_time_to_partition: \"1s\"" + until);
  INFO(describe(both));
  CHECK_THAT(all(both.notes), !Catch::Contains("random"));
}

TEST_CASE("an invalid answer is a finding about the clients' history") {
  sim::Plan plan = plan_of("rolling-pair", 1);
  plan.planted = sim::kGarbledAnswers;
  const sim::RunResult result = sim::run(plan, {});
  INFO(describe(result));
  CHECK(result.verdict == Verdict::kViolation);
  REQUIRE(result.violations.size() == 1);
  CHECK(result.violations[0].oracle == "ora.C1");
  CHECK(result.violations[0].actual.find("bad status or length") != std::string::npos);
}

TEST_CASE("an exception inside a run is an internal error, with the trace so far") {
  sim::Plan plan = plan_of("rolling-pair", 1);
  plan.planted = sim::kException;
  int called = 0;
  sim::RunOptions options;
  options.internal_error = [&](const sim::RunResult& result) {
    ++called;
    CHECK(result.verdict == Verdict::kInternalError);
  };
  const sim::RunResult result = sim::run(plan, options);
  CHECK(called == 1);
  CHECK(result.verdict == Verdict::kInternalError);
  REQUIRE(result.violations.size() == 1);
  CHECK(result.violations[0].actual == "uncaught exception: std::bad_alloc");
  CHECK(result.simulated == plan.run_for / 2);
  CHECK(result.trace->events() > 1000);
}

// The reasons that check_initial() gives for node `index`; "" if it may begin.
std::string refusal(const sim::Plan& plan, size_t index) {
  std::string reasons;
  for (const sim::BadStart& bad : sim::check_initial(plan)) {
    if (bad.node == index) reasons += bad.reason;
  }
  return reasons;
}

sim::DirectoryTree::Item& item_of(sim::Plan& plan, size_t node, std::string_view name) {
  for (sim::DirectoryTree::Item& item : plan.cluster.nodes[node].initial->items) {
    if (item.path.find(name) != std::string::npos && !item.directory) return item;
  }
  FAIL("no file " << name);
  return plan.cluster.nodes[node].initial->items[0];
}

TEST_CASE("a directory that a node cannot begin with is found before the run") {
  const sim::Plan good = plan_of("rolling-local-to-sqlite", 1);
  CHECK(sim::check_initial(good).empty());
  CHECK(sim::check_initial(plan_of("rolling-pair", 1)).empty());

  SECTION("damaged") {
    sim::Plan plan = good;
    std::string& bytes = item_of(plan, 1, "log/log_meta").bytes;
    bytes.resize(bytes.size() / 2);
    CHECK(sim::check_initial(plan).size() == 1);
    CHECK(refusal(plan, 1).find("log_meta") != std::string::npos);
  }
  SECTION("nothing in it") {
    sim::Plan plan = good;
    plan.cluster.nodes[0].initial->items.clear();
    CHECK(refusal(plan, 0) != "");
  }
  SECTION("another node's, as its identity says") {
    sim::Plan plan = good;
    families::TempDirectory directory;
    families::PosixFileSystem fs;
    image::Sidecar sidecar;
    sidecar.identity.group_id = plan.cluster.group;
    sidecar.identity.peer_id = plan.cluster.nodes[1].peer;
    sidecar.family = "local";
    sidecar.instance = "0123456789abcdef0123456789abcdef";
    sidecar.state = image::InstanceState::kCurrent;
    REQUIRE(image::write_sidecar(fs, directory.path(), sidecar).ok());
    const std::string name(image::kSidecarName);
    const auto bytes = families::read_file(fs, families::join_path(directory.path(), name), 4096);
    REQUIRE(bytes.ok());
    plan.cluster.nodes[0].initial->items.push_back({name, false, *bytes});
    CHECK(refusal(plan, 0).find(plan.cluster.nodes[1].peer) != std::string::npos);
  }
  SECTION("another cluster's") {
    sim::Plan plan = good;
    for (sim::NodePlan& node : plan.cluster.nodes) node.peer.replace(0, 9, "127.0.0.9");
    CHECK(sim::check_initial(plan).size() == 3);
    CHECK(refusal(plan, 2).find("of which 0 are nodes of this scenario") != std::string::npos);
  }
  SECTION("with fresh voters") {
    sim::Plan plan = good;
    plan.cluster.nodes[1].initial.reset();
    plan.cluster.nodes[2].initial.reset();
    CHECK(sim::check_initial(plan).size() == 2);
    CHECK(refusal(plan, 2).find("a voter that begins fresh has forgotten its log and its vote") !=
          std::string::npos);
  }
  SECTION("with fresh machines: one is a spare, four are a cluster by themselves") {
    for (const int count : {1, 4}) {
      sim::Plan plan = good;
      for (int i = 0; i < count; ++i) {
        sim::NodePlan node = good.cluster.nodes[0];
        node.id = cat("m", i);
        node.peer = cat("127.0.0.1:", 9000 + i, ":0:0");
        node.initial.reset();
        plan.cluster.nodes.push_back(std::move(node));
      }
      CHECK(sim::check_initial(plan).size() == (count == 1 ? 0 : 4));
      if (count == 1) continue;
      CHECK(refusal(plan, 6).find("can elect a leader without those of the configuration") !=
            std::string::npos);
    }
  }
  SECTION("of a cluster that the node is not part of") {
    sim::Plan plan = good;
    plan.cluster.nodes[2].peer = "127.0.0.9:1:0:0";
    CHECK(sim::check_initial(plan).size() == 1);
    CHECK(refusal(plan, 2).find("which the node's peer 127.0.0.9:1:0:0 is not part of") !=
          std::string::npos);
  }
}

TEST_CASE("directories of two clusters are found before the run") {
  sim::Plan plan;
  std::vector<sim::InitialState> states;
  for (size_t i = 0; i < 4; ++i) {
    sim::NodePlan node;
    node.id = cat("n", i + 1);
    node.peer = cat("127.0.0.1:", i + 1, ":0:0");
    node.initial.emplace();
    plan.cluster.nodes.push_back(std::move(node));
    states.push_back({i, {}});
  }
  const auto peer = [&](size_t i) { return plan.cluster.nodes[i].peer; };
  // One configuration entry, and a second entry whose payload has this hash.
  const auto holds = [&](size_t i, const std::vector<std::string>& voters, uint64_t hash) {
    sim::StateImage& state = states[i].state;
    state.entries = {{1, 1, families::EntryType::kConfiguration, voters.size()},
                     {2, 1, families::EntryType::kData, hash}};
    state.last = 2;
    state.configurations = {{1, {voters, {}}}};
  };
  const auto reasons = [&] {
    std::string text;
    for (const sim::BadStart& bad : sim::check_one_cluster(plan, states)) {
      text += cat("n", bad.node + 1, ": ", bad.reason, "\n");
    }
    return text;
  };
  const std::vector<std::string> all_four = {peer(0), peer(1), peer(2), peer(3)};
  for (size_t i = 0; i < 4; ++i) holds(i, all_four, 7);
  CHECK(reasons() == "");

  SECTION("logs that differ at one index and term") {
    holds(2, all_four, 8);
    CHECK_THAT(reasons(), Catch::StartsWith("n3: it is of another cluster: index 2: expected ") &&
                              !Catch::Contains("n4"));
  }
  SECTION("configurations that need not hear of each other") {
    for (const size_t i : {2, 3}) {
      holds(i, {peer(2), peer(3)}, 7);
      states[i].state.entries[0].payload_hash = 9;
      states[i].state.entries[0].term = 2;
      states[i].state.entries[1].term = 2;
    }
    for (const size_t i : {0, 1}) holds(i, {peer(0), peer(1)}, 7);
    CHECK_THAT(reasons(), Catch::Contains("n3: the configuration in it is 127.0.0.1:3:0:0, ") &&
                              Catch::Contains("as two clusters do") && Catch::Contains("n4: "));
  }
  SECTION("a configuration of one more voter is of the same cluster") {
    for (const size_t i : {0, 1, 2}) {
      states[i].state.entries[0] = {1, 1, families::EntryType::kConfiguration, 4};
      states[i].state.configurations = {{1, {{peer(0), peer(1), peer(2)}, {}}}};
    }
    CHECK(reasons() == "");
  }
}

}  // namespace
}  // namespace qk::scenarios
