// Each oracle of Raft passes a legal history and fails a minimal illegal one: R1 to R7, R9,
// R11 to R13.
#include <catch2/catch.hpp>

#include "sim/check/test_support.h"

namespace qk::sim {
namespace {

using families::Mutation;

constexpr char kA[] = "10.0.0.1:1:0:0";
constexpr char kB[] = "10.0.0.2:1:0:0";

// Three nodes; entries reach a node by append() and are acked at once.
struct Cluster : Watched {
  uint64_t ids = 0;

  void append(int node, std::vector<families::LogEntry> batch) {
    const auto count = static_cast<int64_t>(batch.size());
    checker.mutation_issued(node, ++ids, Mutation::append(std::move(batch)));
    checker.mutation_acked(node, ids, count);
  }
  void apply(int node, Mutation mutation) {
    checker.mutation_issued(node, ++ids, mutation);
    checker.mutation_acked(node, ids, 0);
  }
  void commit(int node, const families::LogEntry& of, int64_t term) {
    checker.committed(node, digest_of(of), term);
  }
};

TEST_CASE("one leader per term") {
  Cluster run;
  run.checker.leader_elected(0, 2);
  run.checker.leader_elected(0, 2);
  run.checker.leader_elected(1, 3);
  REQUIRE(run.reported() == "");
  run.checker.leader_elected(1, 2);
  REQUIRE(run.reported() == "ora.R1");
}

TEST_CASE("one vote per term, the one in the initial directory included") {
  Cluster run;
  run.checker.seed(0, state_of(1, {}, {5, kA}));
  run.checker.vote_granted(0, 5, kA);
  run.checker.vote_granted(0, 6, kB);
  run.checker.vote_granted(1, 6, kA);
  REQUIRE(run.reported() == "");
  run.checker.vote_granted(0, 5, kB);
  REQUIRE(run.reported() == "ora.R2");
  run.checker.vote_granted(0, 6, kA);
  REQUIRE(run.reported() == "ora.R2");
}

TEST_CASE("the term of a node never decreases") {
  Cluster run;
  run.checker.seed(0, state_of(1, {}, {5, ""}));
  run.checker.term_observed(0, 5);
  run.checker.term_observed(0, 7);
  run.checker.term_observed(1, 2);
  REQUIRE(run.reported() == "");
  run.checker.term_observed(0, 6);
  REQUIRE(run.reported() == "ora.R3");
}

TEST_CASE("a crash may take back a term that was not saved") {
  Cluster run;
  run.checker.seed(0, state_of(1, {}, {5, ""}));
  run.checker.term_observed(0, 7);
  run.checker.recovered(0, Standing::kAuthority, state_of(1, {}, {5, ""}));
  run.checker.term_observed(0, 6);
  REQUIRE(run.reported() == "");
  run.checker.term_observed(0, 5);
  REQUIRE(run.reported() == "ora.R3");
}

TEST_CASE("logs match") {
  Cluster run;
  run.append(0, entries(1, 3));
  run.append(1, entries(1, 3));
  run.append(1, {entry(4, 2)});
  run.append(2, {entry(1, 1), entry(2, 2)});  // a conflict is legal while it lasts
  run.apply(2, Mutation::truncate_suffix(1));
  run.append(2, entries(2, 3));
  REQUIRE(run.reported() == "");
  SECTION("another payload") {
    run.append(0, {entry(4, 2, "other")});
    REQUIRE(run.reported() == "ora.R4");
  }
  SECTION("another type") {
    auto configuration = entry(4, 2);
    configuration.type = families::EntryType::kConfiguration;
    run.append(0, {configuration});
    REQUIRE(run.reported() == "ora.R4");
  }
  SECTION("another past") {
    run.append(1, {entry(5, 2)});
    run.append(0, {entry(4, 1), entry(5, 2)});
    REQUIRE(run.reported() == "ora.R4");
    REQUIRE(run.findings.empty());
  }
  SECTION("another past, across mutations in flight") {
    run.append(1, {entry(5, 2)});
    run.checker.mutation_issued(0, 100, Mutation::append({entry(4, 1)}));
    run.checker.mutation_issued(0, 101, Mutation::append({entry(5, 2)}));
    REQUIRE(run.reported() == "ora.R4");
  }
  SECTION("a past that a snapshot tells") {
    run.append(1, {entry(5, 2)});
    run.checker.seed(0, with_snapshot(state_of(5, {}), snapshot_at(4, 2)));
    run.append(0, {entry(5, 2)});
    REQUIRE(run.reported() == "");
    run.checker.seed(0, with_snapshot(state_of(5, {}), snapshot_at(4, 1)));
    run.append(0, {entry(5, 2)});
    REQUIRE(run.reported() == "ora.R4");
  }
  SECTION("terms that go down") {
    run.append(1, {entry(5, 1)});
    REQUIRE(run.reported() == "ora.R4");
  }
  SECTION("in the initial directories") {
    run.checker.seed(0, state_of(4, {entry(4, 2, "other")}));
    REQUIRE(run.reported() == "ora.R4");
  }
}

// Entries [1, 3] of term 1 on nodes 0 and 1, committed in term 1; node 2 has [1, 2].
struct Committed : Cluster {
  Committed() {
    run_in();
    REQUIRE(reported() == "");
  }
  void run_in() {
    append(0, entries(1, 3));
    append(1, entries(1, 3));
    append(2, entries(1, 2));
    for (int64_t i = 1; i <= 3; ++i) commit(0, entry(i, 1), 1);
    commit(1, entry(3, 1), 1);
  }
};

TEST_CASE("a new leader holds everything committed") {
  Committed run;
  run.checker.leader_elected(1, 2);
  REQUIRE(run.reported() == "");
  SECTION("an entry is missing") {
    run.checker.leader_elected(2, 3);
    REQUIRE(run.findings.size() == 1);
    REQUIRE(run.findings[0].index == 3);
    REQUIRE(run.reported() == "ora.R5");
  }
  SECTION("an entry differs") {
    run.append(2, {entry(3, 2)});
    run.checker.leader_elected(2, 3);
    REQUIRE(run.reported() == "ora.R5");
  }
  SECTION("what is in flight or queued counts") {
    run.checker.mutation_issued(2, 100, Mutation::append({entry(3, 1)}));
    run.checker.leader_elected(2, 3);
    REQUIRE(run.reported() == "");
  }
  SECTION("queued entries replace a tail") {
    run.append(2, {entry(3, 2)});
    const std::vector<EntryDigest> queued{digest_of(entry(3, 1))};
    run.checker.leader_elected(2, 3, queued);
    REQUIRE(run.reported() == "");
  }
  SECTION("a snapshot counts") {
    run.checker.seed(2, with_snapshot(state_of(4, {}), snapshot_at(3, 1)));
    run.checker.leader_elected(2, 3);
    REQUIRE(run.reported() == "");
  }
  SECTION("a leader of an earlier term need not hold it") {
    run.append(0, {entry(4, 5)});
    run.append(1, {entry(4, 5)});
    run.commit(0, entry(4, 5), 5);
    run.append(2, entries(3, 3));
    run.checker.leader_elected(2, 4);
    REQUIRE(run.reported() == "");
    run.checker.leader_elected(2, 6);
    REQUIRE(run.reported() == "ora.R5");
  }
}

TEST_CASE("no two entries are committed at one index") {
  Committed run;
  run.commit(2, entry(2, 1), 1);
  REQUIRE(run.reported() == "");
  run.commit(2, entry(3, 2), 2);
  REQUIRE(run.reported() == "ora.R6");
}

TEST_CASE("equal index, equal state") {
  Cluster run;
  for (const int node : {0, 1, 2}) run.checker.commit_advanced(node, 8, 1, 1);
  run.checker.applied(0, 7, 70);
  run.checker.applied(1, 7, 70);
  run.checker.applied(2, 8, 80);
  REQUIRE(run.reported() == "");
  run.checker.starting(2);
  run.checker.commit_advanced(2, 8, 1, 1);
  run.checker.applied(2, 7, 71);
  REQUIRE(run.reported() == "ora.R6");
}

TEST_CASE("a quorum durably holds what is declared committed") {
  Committed run;
  run.append(0, entries(4, 4));
  run.checker.mutation_issued(1, 100, Mutation::append(entries(4, 4)));
  SECTION("acked on one node of three") {
    run.commit(0, entry(4, 1), 1);
    REQUIRE(run.reported() == "ora.R7");
  }
  SECTION("another entry at the index does not count") {
    run.checker.mutation_failed(1, 100, families::Outcome::Kind::kFailedClean);
    run.append(1, {entry(4, 2)});
    run.commit(0, entry(4, 1), 2);
    REQUIRE(run.reported() == "ora.R7");
  }
  SECTION("acked on two") {
    run.checker.mutation_acked(1, 100, 1);
    run.commit(0, entry(4, 1), 1);
    REQUIRE(run.reported() == "");
  }
  SECTION("a commit index of an earlier term") {
    run.checker.commit_advanced(0, 4, 1, 2);
    REQUIRE(run.reported() == "ora.R7");
  }
  SECTION("a commit index of its leader's term, and one that is known") {
    run.checker.mutation_acked(1, 100, 1);
    run.checker.commit_advanced(0, 4, 1, 1);
    run.commit(0, entry(4, 1), 1);
    run.checker.commit_advanced(1, 4, 1, 2);
    REQUIRE(run.reported() == "");
  }
  const auto configure = [&](int64_t index, const families::Configuration& configuration) {
    families::LogEntry entry{index, 1, families::EntryType::kConfiguration,
                             families::encode_configuration(configuration)};
    run.append(0, {entry});
  };
  SECTION("a node without a vote does not count") {
    run.checker.mutation_acked(1, 100, 1);
    configure(5, {{"n1", "n3"}, {}});
    run.commit(0, entry(4, 1), 1);
    REQUIRE(run.reported() == "ora.R7");
  }
  SECTION("a node without a vote makes no majority larger") {
    configure(5, {{"n1"}, {}});
    run.commit(0, entry(4, 1), 1);
    REQUIRE(run.reported() == "");
  }
  SECTION("a joint configuration asks for a majority of each half") {
    run.checker.mutation_acked(1, 100, 1);
    configure(5, {{"n1", "n2"}, {"n1", "n2", "n3"}});
    run.commit(0, entry(4, 1), 1);
    REQUIRE(run.reported() == "");
    configure(6, {{"n1", "n2"}, {"n2", "n3"}});
    run.checker.commit_probe(0, 4, 1, std::vector<int>{0, 1});
    REQUIRE(run.reported() == "ora.R7");
  }
  SECTION("a snapshot's configuration counts where the log has none after it") {
    SnapshotDigest snapshot = snapshot_at(3, 1);
    snapshot.meta.peers = {"n2", "n3"};
    run.checker.seed(0, with_snapshot(state_of(4, entries(4, 4)), snapshot));
    run.checker.commit_probe(0, 4, 1, std::vector<int>{0, 1});
    REQUIRE(run.reported() == "ora.R7");
  }
  SECTION("what disks hold") {
    const std::vector<int> one{1};
    const std::vector<int> two{1, 2};
    run.checker.commit_probe(0, 4, 1, two);
    REQUIRE(run.reported() == "");
    run.checker.commit_probe(0, 4, 1, one);
    REQUIRE(run.reported() == "ora.R7");
  }
}

TEST_CASE("a message speaks only of what its sender has saved") {
  Cluster run;
  run.checker.seed(0, state_of(1, entries(1, 5), {5, kA}));
  run.checker.speaks_of_term(0, 5);
  run.checker.speaks_of_term(0, 4);
  run.checker.grants(0, 5, kA);
  run.checker.grants(0, 4, kB);  // late: the vote of a term that has passed
  run.checker.confirms(0, 5, 1);
  run.checker.confirms(0, 0, 0);
  REQUIRE(run.reported() == "");
  run.checker.speaks_of_term(0, 6);
  REQUIRE(run.reported() == "ora.R13");
  run.checker.grants(0, 5, kB);
  REQUIRE(run.reported() == "ora.R13");
  run.checker.confirms(0, 6, 1);
  REQUIRE(run.reported() == "ora.R13");
  run.checker.confirms(0, 5, 2);
  REQUIRE(run.reported() == "ora.R13");
  // Issued is not saved.
  run.checker.mutation_issued(0, 1, Mutation::save_meta({6, kB}));
  run.checker.grants(0, 6, kB);
  REQUIRE(run.reported() == "ora.R13");
  run.checker.mutation_acked(0, 1, 0);
  run.checker.grants(0, 6, kB);
  REQUIRE(run.reported() == "");
}

TEST_CASE("what a leader counts for a follower is durable there") {
  Cluster run;
  run.checker.seed(1, with_snapshot(state_of(4, entries(4, 5), {5, kA}), snapshot_at(3, 1)));
  run.checker.counted(1, 5, 5, 1);
  run.checker.counted(1, 5, 2, 1);  // in its snapshot
  REQUIRE(run.reported() == "");
  run.checker.counted(1, 5, 6, 1);
  REQUIRE(run.reported() == "ora.R12");
  // A follower that has moved on may have cut it off since.
  run.checker.counted(1, 4, 6, 1);
  REQUIRE(run.reported() == "");
}

TEST_CASE("each index is applied once, in order, once it is committed") {
  Cluster run;
  run.checker.starting(0);
  run.checker.loaded(0, 3, 33);
  run.checker.commit_advanced(0, 5, 1, 1);
  run.checker.applied(0, 4, 44);
  run.checker.applied(0, 5, 55);
  REQUIRE(run.reported() == "");
  run.checker.applied(0, 6, 66);
  REQUIRE(run.reported() == "ora.R11");
  run.checker.commit_advanced(0, 5, 1, 1);
  REQUIRE(run.reported() == "ora.R11");
  run.checker.commit_advanced(0, 9, 1, 1);
  run.checker.applied(0, 8, 88);
  REQUIRE(run.reported() == "ora.R11");
  // A new life applies again what its snapshot does not hold.
  run.checker.starting(0);
  run.checker.loaded(0, 3, 33);
  run.checker.commit_advanced(0, 4, 1, 1);
  run.checker.applied(0, 4, 44);
  REQUIRE(run.reported() == "");
}

TEST_CASE("a snapshot is the state of the log up to its index") {
  Cluster run;
  run.checker.loaded(0, 0, 1);
  run.checker.loaded(1, 0, 2);
  run.checker.commit_advanced(0, 1, 1, 1);
  run.checker.applied(0, 1, 11);
  run.checker.loaded(1, 1, 11);
  REQUIRE(run.reported() == "");
  run.checker.loaded(2, 1, 12);
  REQUIRE(run.reported() == "ora.R9");
}

Command write(uint64_t request) {
  return {.session = 1, .request = request, .kind = CommandKind::kWrite, .key = "k", .value = "v"};
}

TEST_CASE("an answer to what is not committed is C2") {
  Cluster run;
  const auto entry_of = [](int64_t index, uint64_t request) {
    return entry(index, 1, encode_command(write(request)));
  };
  run.append(0, {entry_of(1, 1), entry_of(2, 2)});
  run.append(1, {entry_of(1, 1)});
  run.checker.invoked(1, write(1));
  run.checker.invoked(2, write(2));
  run.commit(0, entry_of(1, 1), 1);
  run.checker.completed(1, {});
  REQUIRE(run.reported() == "");
  run.checker.completed(2, {});
  REQUIRE(run.reported() == "ora.C2");
}

TEST_CASE("an operation that stays open is C5, once nothing disturbs the cluster") {
  Cluster run;
  constexpr int64_t kMost = kCompletesWithinNs;
  const auto at = [&](int64_t now_ns, bool calm = true) {
    run.checker.look(now_ns, calm);
    return run.reported();
  };
  REQUIRE(at(10) == "");
  run.checker.invoked(1, write(1));
  REQUIRE(at(10 + kMost) == "");
  REQUIRE(at(20 + kMost, false) == "");
  REQUIRE(at(20 + 2 * kMost) == "");
  REQUIRE(at(21 + 2 * kMost) == "ora.C5");
  // Nothing is open.
  run.commit(0, entry(1, 1, encode_command(write(1))), 1);
  run.reported();
  run.checker.completed(1, {});
  REQUIRE(at(100 * kMost) == "");
}

}  // namespace
}  // namespace qk::sim
