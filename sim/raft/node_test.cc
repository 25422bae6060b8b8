// Nodes at run time, on every durable family of this build: election, replication, restart,
// snapshots, transfer, barrier, fail-stop.
#include <algorithm>

#include "sim/raft/test_cluster.h"
#include "sim/raft/wire/convert.h"

namespace qk::raft::testing {
namespace {

template <typename Body>
void on_every_family(Body body) {
  families::VolatileMemory memory(1);
  const families::Registry registry = families::builtin_families(&memory);
  for (const families::FamilyDescriptor& family : registry.all()) {
    if (family.volatility == families::Volatility::kVolatile) continue;
    INFO("family " << family.name);
    body(family);
  }
}

int64_t count(const Machine& machine, const std::string& method) {
  return std::count_if(machine.sent.begin(), machine.sent.end(),
                       [&](const auto& sent) { return sent.second == method; });
}

TEST_CASE("a cluster elects, replicates and survives restarts") {
  on_every_family([](const families::FamilyDescriptor& family) {
    Cluster cluster(3, &family);
    cluster.boot_all();
    for (int i = 0; i < 20; ++i) cluster.commit(cat("a", i));
    cluster.settle();
    CHECK(cluster.machine(0).state.commands.size() == 20);
    const auto commands = cluster.machine(0).state.commands;

    for (const std::string& peer : cluster.peers) cluster.machine(peer).crash();
    cluster.boot_all();
    cluster.commit("after");
    cluster.settle();
    for (const std::string& peer : cluster.peers) {
      auto now = cluster.machine(peer).state.commands;
      CHECK(now.size() == 21);
      CHECK(now.rbegin()->second == "after");
      now.erase(std::prev(now.end()));
      CHECK(now == commands);
    }
  });
}

TEST_CASE("the leader's crash and lost messages cost no committed entry") {
  Cluster cluster(3);
  cluster.loss_ppm = 100'000;
  cluster.snapshot_every = 7;
  cluster.boot_all();
  for (int i = 0; i < 40; ++i) {
    cluster.commit(cat("c", i));
    if (i % 8 == 7) {
      const std::string leader = cluster.await_leader();
      cluster.machine(leader).crash();
      cluster.commit(cat("without ", i));
      REQUIRE(cluster.machine(leader).boot().ok());
    }
  }
  cluster.loss_ppm = 0;
  cluster.settle();
  std::set<std::string> seen;
  for (const auto& [index, command] : cluster.machine(0).state.commands) seen.insert(command);
  for (int i = 0; i < 40; ++i) CHECK(seen.count(cat("c", i)) == 1);
  CHECK(cluster.machine(0).state.commands == cluster.machine(1).state.commands);
  CHECK(cluster.machine(0).state.commands == cluster.machine(2).state.commands);
}

// Crashes, restarts, partitions, slow disks, snapshots and transfers at random; the machines check
// the safety rules all along. Whatever was acknowledged is there in the end, on every node.
TEST_CASE("random faults") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    Cluster cluster(3, nullptr, seed);
    cluster.snapshot_every = 8;
    cluster.boot_all();
    Scheduler& s = cluster.scheduler;
    std::set<std::string> acked;
    int proposed = 0;
    bool on = false;
    for (int step = 0; step < 150; ++step) {
      Machine& m = cluster.machine(static_cast<int>(s.random_below(3)));
      switch (s.random_below(12)) {
        case 0:
          m.crash();
          break;
        case 1:
          if (!m.running()) {
            m.crash();
            REQUIRE(m.boot().ok());
          }
          break;
        case 2:
          on = s.random_below(2) == 0;
          cluster.isolate(cluster.peers[s.random_below(3)], on);
          break;
        case 3:
          cluster.loss_ppm = static_cast<uint32_t>(s.random_below(3) * 100'000);
          break;
        case 4:
          m.storage_delay = static_cast<Nanos>(1 + s.random_below(40)) * kMs;
          break;
        case 5:
          if (m.running()) m.node().trigger_snapshot();
          break;
        case 6:
          if (m.running() && m.node().role() == Role::kLeader) {
            (void)m.node().transfer_leadership(cluster.peers[s.random_below(3)]);
          }
          break;
        default:
          if (!m.running()) break;
          for (int i = 0; i < 3; ++i) {
            const std::string command = cat("p", proposed++);
            m.node().propose(command, [&acked, command](absl::StatusOr<ApplyResult> result) {
              if (result.ok()) acked.insert(command);
            });
          }
      }
      s.run_for(static_cast<Nanos>(s.random_below(120)) * kMs);
    }
    cluster.loss_ppm = 0;
    for (const std::string& peer : cluster.peers) {
      cluster.isolate(peer, false);
      Machine& m = cluster.machine(peer);
      m.storage_delay = kMs;
      if (m.running()) continue;
      m.crash();
      REQUIRE(m.boot().ok());
    }
    cluster.commit("end");
    cluster.settle();
    std::set<std::string> present;
    for (const auto& [index, command] : cluster.machine(0).state.commands) present.insert(command);
    for (const std::string& command : acked) CHECK(present.count(command) == 1);
    CHECK(cluster.machine(0).state.commands == cluster.machine(1).state.commands);
    CHECK(cluster.machine(0).state.commands == cluster.machine(2).state.commands);
  }
}

TEST_CASE("storage that completes at once") {
  Cluster cluster(3);
  for (const std::string& peer : cluster.peers) cluster.machine(peer).after_storage_at_once = true;
  cluster.snapshot_every = 3;
  cluster.boot_all();
  for (int i = 0; i < 10; ++i) cluster.commit(cat("a", i));
  cluster.settle();
  CHECK(cluster.machine(2).state.commands.size() == 10);
  CHECK_FALSE(cluster.machine(2).published.empty());
}

TEST_CASE("a follower that is far behind takes a snapshot, nested files included") {
  on_every_family([](const families::FamilyDescriptor& family) {
    Cluster cluster(3, &family);
    cluster.snapshot_every = 10;
    cluster.boot_all();
    const std::string leader = cluster.await_leader();
    const std::string late = leader == cluster.peers[0] ? cluster.peers[1] : cluster.peers[0];
    cluster.machine(late).crash();
    for (int i = 0; i < 50; ++i) cluster.commit(cat("command number ", i));
    CHECK(cluster.machine(leader).published.size() >= 3);

    cluster.loss_ppm = 50'000;  // requests and chunks are asked for again
    REQUIRE(cluster.machine(late).boot().ok());
    REQUIRE(cluster.run_until([&] { return !cluster.machine(late).installed.empty(); }));
    cluster.loss_ppm = 0;
    cluster.settle();
    CHECK(cluster.machine(late).state.commands == cluster.machine(leader).state.commands);
    CHECK(count(cluster.machine(late), "get_file") > 10);

    // The installed state and the log after it survive a restart.
    const auto commands = cluster.machine(late).state.commands;
    cluster.machine(late).crash();
    REQUIRE(cluster.machine(late).boot().ok());
    cluster.settle();
    CHECK(cluster.machine(late).state.commands == commands);
  });
}

TEST_CASE("compaction keeps one snapshot's worth of log and follows the publish") {
  Cluster cluster(1);
  cluster.snapshot_every = 5;
  cluster.boot_all();
  for (int i = 0; i < 30; ++i) cluster.commit(cat("a", i));
  cluster.settle();
  cluster.scheduler.run_for(20 * kMs);
  Machine& machine = cluster.machine(0);
  const auto& published = machine.published;
  REQUIRE(published.size() >= 2);
  CHECK(machine.driver->authority().log().first_index() == published[published.size() - 2] + 1);
  // Before the first truncation two snapshots were published.
  const auto& operations = machine.driver->operations;
  const auto first_cut =
      std::find(operations.begin(), operations.end(), families::Operation::kTruncatePrefix);
  REQUIRE(first_cut != operations.end());
  CHECK(std::count(operations.begin(), first_cut, families::Operation::kPublish) >= 2);
}

TEST_CASE("leadership is handed over without an election timeout") {
  Cluster cluster(3);
  cluster.boot_all();
  cluster.commit("a");
  const std::string leader = cluster.await_leader();
  const std::string target = leader == cluster.peers[2] ? cluster.peers[1] : cluster.peers[2];
  CHECK(absl::IsInvalidArgument(cluster.machine(leader).node().transfer_leadership(leader)));
  CHECK(absl::IsInvalidArgument(cluster.machine(leader).node().transfer_leadership("nobody")));
  CHECK(absl::IsFailedPrecondition(cluster.machine(target).node().transfer_leadership(leader)));
  REQUIRE(cluster.machine(leader).node().transfer_leadership(target).ok());
  absl::Status refused;
  cluster.machine(leader).node().propose(
      "x", [&](absl::StatusOr<ApplyResult> result) { refused = result.status(); });
  CHECK(absl::IsPermissionDenied(refused));
  REQUIRE(cluster.run_until([&] { return cluster.leader() == target; }, 60 * kMs));
  cluster.commit("b");
  CHECK(cluster.machine(leader).node().leader() == target);
}

TEST_CASE("a proposal is refused by a follower, and aborted when leadership is lost") {
  Cluster cluster(3);
  cluster.boot_all();
  cluster.commit("a");
  const std::string leader = cluster.await_leader();
  const std::string other = leader == cluster.peers[0] ? cluster.peers[1] : cluster.peers[0];
  absl::Status status;
  const auto keep = [&](absl::StatusOr<ApplyResult> result) { status = result.status(); };
  REQUIRE(cluster.run_until([&] { return cluster.machine(other).node().leader() == leader; }));
  cluster.machine(other).node().propose("x", keep);
  CHECK(absl::IsPermissionDenied(status));
  CHECK(to_std(status.message()) == cat("not the leader; the leader is ", leader));

  cluster.isolate(leader, true);
  status = absl::OkStatus();
  cluster.machine(leader).node().propose("lost", keep);
  REQUIRE(cluster.run_until([&] { return !status.ok(); }));
  CHECK(absl::IsAborted(status));
  CHECK(cluster.machine(leader).node().role() != Role::kLeader);
  cluster.commit("b");
  cluster.isolate(leader, false);
  cluster.settle();
  for (const auto& [index, command] : cluster.machine(leader).state.commands) {
    CHECK(command != "lost");
  }
}

TEST_CASE("no vote leaves before save_meta has completed") {
  Cluster cluster(3);
  cluster.boot_all();
  cluster.machine(1).storage_delay = 400 * kMs;
  // Another node stands for election, so machine 1 must save its vote; its disk takes longer than
  // any election timeout.
  REQUIRE(cluster.run_until([&] { return cluster.machine(1).in_flight > 0; }));
  CHECK(cluster.machine(1).node().term() == 2);
  CHECK(cluster.machine(1).durable.term == 1);
  const int64_t before = count(cluster.machine(1), "request_vote answer");
  cluster.scheduler.run_for(300 * kMs);
  CHECK(cluster.machine(1).durable.term == 1);
  CHECK(count(cluster.machine(1), "request_vote answer") == before);
  CHECK(count(cluster.machine(1), "request_vote") == 0);
  cluster.scheduler.run_for(200 * kMs);
  CHECK(cluster.machine(1).durable.term >= 2);
  cluster.commit("a");
}

TEST_CASE("appends that wait are joined into one batch") {
  Cluster cluster(1);
  cluster.boot_all();
  cluster.commit("a");
  Machine& machine = cluster.machine(0);
  machine.storage_delay = 10 * kMs;
  const size_t before = machine.driver->operations.size();
  int done = 0;
  for (int i = 0; i < 50; ++i) {
    machine.node().propose(cat("b", i), [&](absl::StatusOr<ApplyResult> result) {
      CHECK(result.ok());
      ++done;
    });
  }
  REQUIRE(cluster.run_until([&] { return done == 50; }));
  CHECK(machine.driver->operations.size() == before + 2);
}

TEST_CASE("a barrier stops all lanes, and work goes on after it") {
  Cluster cluster(3);
  cluster.boot_all();
  cluster.commit("a");
  cluster.settle();
  const std::string leader = cluster.await_leader();
  Machine& machine = cluster.machine(leader);
  bool done = false;
  machine.node().propose("b", [&](absl::StatusOr<ApplyResult> r) { done = r.ok(); });
  REQUIRE(machine.in_flight == 1);
  bool ready = false;
  machine.node().request_barrier([&] {
    CHECK(machine.in_flight == 0);
    ready = true;
  });
  CHECK_FALSE(ready);
  REQUIRE(cluster.run_until([&] { return ready; }));

  const size_t operations = machine.driver->operations.size();
  bool late = false;
  machine.node().propose("c", [&](absl::StatusOr<ApplyResult> r) { late = r.ok(); });
  machine.node().trigger_snapshot();
  cluster.scheduler.run_for(50 * kMs);
  CHECK(machine.driver->operations.size() == operations);
  CHECK(machine.in_flight == 0);
  CHECK(done);

  machine.node().release_barrier();
  REQUIRE(cluster.run_until([&] { return late && !machine.published.empty(); }));

  // With nothing in flight it is there at once.
  cluster.scheduler.run_for(10 * kMs);
  ready = false;
  machine.node().request_barrier([&] { ready = true; });
  CHECK(ready);
  machine.node().release_barrier();
}

TEST_CASE("a storage error stops the node, and nothing is acknowledged afterwards") {
  Cluster cluster(3);
  cluster.boot_all();
  cluster.commit("a");
  cluster.settle();
  const std::string leader = cluster.await_leader();
  Machine& machine = cluster.machine(leader);
  const int64_t term = machine.node().term();
  machine.driver->fail_next = true;
  absl::Status status;
  machine.node().propose("b", [&](absl::StatusOr<ApplyResult> r) { status = r.status(); });
  REQUIRE(cluster.run_until([&] { return machine.node().failed(); }));
  CHECK(absl::IsAborted(status));
  CHECK(machine.failure == machine.node().failure());
  CHECK(to_std(machine.failure.message()) == "disk on fire");
  const size_t sent = machine.sent.size();
  cluster.scheduler.run_for(1000 * kMs);
  CHECK(machine.sent.size() == sent);
  status = absl::OkStatus();
  machine.node().propose("c", [&](absl::StatusOr<ApplyResult> r) { status = r.status(); });
  CHECK(absl::IsPermissionDenied(status));

  const std::string next = cluster.await_leader();
  CHECK(next != leader);
  CHECK(cluster.machine(next).node().term() > term);
  machine.crash();
  REQUIRE(machine.boot().ok());
  cluster.commit("d");
  cluster.settle();
}

TEST_CASE("a log that does not begin at 1 without a snapshot is refused, unchanged") {
  Cluster cluster(1);
  cluster.boot_all();
  for (int i = 0; i < 5; ++i) cluster.commit(cat("a", i));
  Machine& machine = cluster.machine(0);
  REQUIRE(machine.driver->authority().log().truncate_prefix(3).ok());
  machine.crash();
  const absl::Status status = machine.boot();
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(to_std(status.message()) ==
        "node start: no snapshot, but the log is 3..6: entries 1..2 are missing");
}

TEST_CASE("start rules: a lost vote is refused, or accepted and corrected through the driver") {
  Cluster cluster(1);
  cluster.boot_all();
  cluster.commit("a");
  Machine& machine = cluster.machine(0);
  const int64_t last = machine.node().last_index();
  families::LogEntry entry;
  entry.index = last + 1;
  entry.term = 9;
  entry.payload = "of term 9";
  REQUIRE(machine.driver->authority().log().append({&entry, 1}).ok());
  machine.crash();
  const absl::Status status = machine.boot();
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(to_std(status.message()).find("but the last log entry has term 9") !=
        std::string_view::npos);
  machine.accept_lost_vote = true;
  REQUIRE(machine.boot().ok());
  CHECK(machine.node().term() == 10);
  REQUIRE_FALSE(machine.driver->operations.empty());
  CHECK(machine.driver->operations.front() == families::Operation::kSaveMeta);
  cluster.commit("b");
}

TEST_CASE("a stopped node calls nothing") {
  Cluster cluster(1);
  cluster.boot_all();
  cluster.commit("a");
  Machine& machine = cluster.machine(0);
  bool called = false;
  machine.node().propose("b", [&](absl::StatusOr<ApplyResult>) { called = true; });
  const size_t sent = machine.sent.size();
  machine.node().stop();
  cluster.scheduler.run_for(1000 * kMs);
  CHECK_FALSE(called);
  CHECK(machine.sent.size() == sent);
}

TEST_CASE("a leader that contradicts what is committed stops the node") {
  for (const int64_t prev : {int64_t{1}, int64_t{2}}) {
    Cluster cluster(1);
    cluster.boot_all();
    cluster.commit("a");
    cluster.settle();
    Machine& machine = cluster.machine(0);
    REQUIRE(machine.node().commit_index() == 2);
    AppendRequest request;
    request.term = 9;
    request.prev = {prev, prev == 1 ? 2 : 1};  // both entries are of term 2
    request.entries.push_back({prev + 1, prev == 1 ? 8 : 1, families::EntryType::kData, "x"});
    const std::string other = "127.0.0.1:9:0:0";
    machine.node().receive(other, to_packet({cluster.peers[0], 1, request}, "test", other));
    CHECK(absl::IsDataLoss(machine.node().failure()));
    CHECK(to_std(machine.node().failure().message()) ==
          cat("leader 127.0.0.1:9:0:0 of term 9 has index 2 with term ", prev == 1 ? 8 : 1,
              ", but it is committed with term 2"));
  }
}

TEST_CASE("packets that are not for this node are dropped") {
  Cluster cluster(3);
  cluster.boot_all();
  const std::string leader = cluster.await_leader();
  const std::string other = leader == cluster.peers[0] ? cluster.peers[1] : cluster.peers[0];
  const int64_t term = cluster.machine(leader).node().term();
  const Message message{leader, 1, VoteRequest{false, term + 5, {100, term}}};
  cluster.machine(leader).node().receive(other, to_packet(message, "another group", other));
  cluster.machine(leader).node().receive(other, to_packet(message, "test", "127.0.0.1:9:0:0"));
  CHECK(cluster.machine(leader).node().term() == term);
  cluster.machine(leader).node().receive(other, to_packet(message, "test", other));
  CHECK(cluster.machine(leader).node().term() == term + 5);
}

}  // namespace
}  // namespace qk::raft::testing
