// Each oracle of storage passes a legal history and fails a minimal illegal one: L1, L2, L4, L5,
// L13, L14, I1, D1 to D5.
#include <catch2/catch.hpp>

#include "sim/check/test_support.h"

namespace qk::sim {
namespace {

using families::HardState;
using families::Mutation;
using families::Outcome;
using families::Partial;

constexpr char kVoteA[] = "10.0.0.1:1:0:0";
constexpr char kVoteB[] = "10.0.0.2:1:0:0";

// Node 0 with entries [1, 5] and (term 3, vote A) acked.
struct Acked : Watched {
  const StateImage start = state_of(1, entries(1, 5), {3, kVoteA});
  Acked() { checker.seed(0, start); }

  std::string recover(const StateImage& state) {
    checker.recovered(0, Standing::kAuthority, state);
    return reported();
  }
  // What a probe of the disk says, with everything as it is.
  std::string probe(const StateImage& state) {
    checker.durable_probe(0, Side::kA, state);
    return reported();
  }
};

GhostMutation publish(uint64_t id, SnapshotDigest snapshot) {
  GhostMutation mutation;
  mutation.id = id;
  mutation.operation = families::Operation::kPublish;
  mutation.snapshot = std::move(snapshot);
  return mutation;
}

TEST_CASE("an unchanged state is legal, and lost or changed entries are L1") {
  Acked run;
  REQUIRE(run.probe(run.start) == "");
  REQUIRE(run.probe(state_of(1, entries(1, 4), {3, kVoteA})) == "ora.L1");
  REQUIRE(run.probe(state_of(2, {entry(2, 1), entry(3, 1), entry(4, 1), entry(5, 1)},
                             {3, kVoteA})) == "ora.L1");
  auto changed = entries(1, 5);
  changed[2].payload += "!";
  run.checker.durable_probe(0, Side::kA, state_of(1, changed, {3, kVoteA}));
  REQUIRE(run.findings.size() == 1);
  REQUIRE(run.findings[0].oracle == "ora.L1");
  REQUIRE(run.findings[0].name == "acked-is-durable");
  REQUIRE(run.findings[0].node == "n1");
  REQUIRE(run.findings[0].index == 3);
}

TEST_CASE("an acked append must be there; an open one is all or nothing, or a declared prefix") {
  Acked run;
  const StateImage after = state_of(1, entries(1, 8), {3, kVoteA});
  const StateImage part = state_of(1, entries(1, 7), {3, kVoteA});
  run.checker.mutation_issued(0, 1, Mutation::append(entries(6, 8)));
  REQUIRE(run.probe(run.start) == "");
  REQUIRE(run.probe(after) == "");
  REQUIRE(run.probe(part) == "ora.L2");
  run.checker.set_append_partial(0, Partial::kBatchPrefix);
  REQUIRE(run.probe(part) == "");
  run.checker.mutation_acked(0, 1, 3);
  REQUIRE(run.probe(after) == "");
  REQUIRE(run.probe(part) == "ora.L1");
  REQUIRE(run.probe(state_of(1, entries(1, 9), {3, kVoteA})) == "ora.L2");
  REQUIRE(run.recover(after) == "");
}

TEST_CASE("an indeterminate append owes what it counted as durable, and a restart resolves it") {
  Acked run;
  run.checker.set_append_partial(0, Partial::kBatchPrefix);
  run.checker.mutation_issued(0, 1, Mutation::append(entries(6, 8)));
  run.checker.mutation_failed(0, 1, Outcome::Kind::kIndeterminate, 1);
  REQUIRE(run.probe(run.start) == "ora.L1");
  REQUIRE(run.probe(state_of(1, entries(1, 6), {3, kVoteA})) == "");
  REQUIRE(run.recover(state_of(1, entries(1, 7), {3, kVoteA})) == "");
  // From now on seven entries are owed, and no eighth.
  REQUIRE(run.probe(state_of(1, entries(1, 6), {3, kVoteA})) == "ora.L1");
  REQUIRE(run.probe(state_of(1, entries(1, 8), {3, kVoteA})) == "ora.L2");
}

TEST_CASE("a complaint that was reported hides none of another lane") {
  Acked run;
  const StateImage no_vote = state_of(1, entries(1, 5), {3, ""});
  REQUIRE(run.probe(no_vote) == "ora.L5");
  REQUIRE(run.probe(no_vote) == "");
  REQUIRE(run.probe(state_of(1, entries(1, 4), {3, ""})) == "ora.L1");
  REQUIRE(run.probe(run.start) == "");
  REQUIRE(run.probe(no_vote) == "ora.L5");
}

TEST_CASE("a clean failure changes nothing") {
  Acked run;
  run.checker.mutation_issued(0, 1, Mutation::append(entries(6, 8)));
  run.checker.mutation_failed(0, 1, Outcome::Kind::kFailedClean);
  REQUIRE(run.probe(run.start) == "");
  REQUIRE(run.probe(state_of(1, entries(1, 8), {3, kVoteA})) == "ora.L2");
}

TEST_CASE("what was truncated and acked does not come back") {
  Acked run;
  // A snapshot covers all that is removed from the front.
  const SnapshotDigest snapshot = snapshot_at(29, 1);
  run.checker.seed(0, with_snapshot(run.start, snapshot));
  const auto probe = [&](const StateImage& state) {
    return run.probe(with_snapshot(state, snapshot));
  };
  run.checker.mutation_issued(0, 1, Mutation::truncate_suffix(3));
  REQUIRE(probe(run.start) == "");
  REQUIRE(probe(state_of(1, entries(1, 2), {3, kVoteA})) == "ora.L1");
  run.checker.mutation_acked(0, 1, 0);
  REQUIRE(probe(state_of(1, entries(1, 3), {3, kVoteA})) == "");
  REQUIRE(probe(run.start) == "ora.L2");

  run.checker.mutation_issued(0, 2, Mutation::truncate_prefix(3));
  REQUIRE(probe(state_of(2, entries(2, 3), {3, kVoteA})) == "ora.L2");
  run.checker.mutation_acked(0, 2, 0);
  REQUIRE(probe(state_of(3, entries(3, 3), {3, kVoteA})) == "");
  REQUIRE(probe(state_of(1, entries(1, 3), {3, kVoteA})) == "ora.L2");

  run.checker.mutation_issued(0, 3, Mutation::reset(20));
  REQUIRE(probe(state_of(3, entries(3, 3), {3, kVoteA})) == "");
  run.checker.mutation_acked(0, 3, 0);
  REQUIRE(probe(state_of(20, {}, {3, kVoteA})) == "");
  REQUIRE(probe(state_of(21, {}, {3, kVoteA})) == "ora.L2");

  run.checker.mutation_issued(0, 4, Mutation::truncate_prefix(30));
  run.checker.mutation_acked(0, 4, 0);
  REQUIRE(probe(state_of(30, {}, {3, kVoteA})) == "");
}

TEST_CASE("several open mutations of a lane take effect in issue order or not") {
  Acked run;
  run.checker.mutation_issued(0, 1, Mutation::truncate_suffix(4));
  run.checker.mutation_issued(0, 2, Mutation::append({entry(5, 3)}));
  auto both = entries(1, 4);
  both.push_back(entry(5, 3));
  REQUIRE(run.probe(run.start) == "");
  REQUIRE(run.probe(state_of(1, entries(1, 4), {3, kVoteA})) == "");
  REQUIRE(run.probe(state_of(1, both, {3, kVoteA})) == "");
  auto second_only = entries(1, 5);
  second_only.push_back(entry(6, 3));
  REQUIRE(run.probe(state_of(1, second_only, {3, kVoteA})) == "ora.L2");
  run.checker.mutation_acked(0, 2, 1);
  REQUIRE(run.reported() == "ora.L2");
}

TEST_CASE("an ack that contradicts the contract is reported") {
  Acked run;
  run.checker.mutation_issued(0, 1, Mutation::append(entries(6, 8)));
  run.checker.mutation_acked(0, 1, 2);
  REQUIRE(run.reported() == "ora.L1");
  run.checker.mutation_issued(0, 2, Mutation::append(entries(9, 9)));
  run.checker.mutation_acked(0, 2, 1);
  REQUIRE(run.reported() == "ora.L2");
}

TEST_CASE("an older hard state, or another vote in the term, is L5; one never issued is L2") {
  Acked run;
  const auto with = [](HardState state) { return state_of(1, entries(1, 5), std::move(state)); };
  REQUIRE(run.probe(with({2, kVoteA})) == "ora.L5");
  REQUIRE(run.probe(with({3, ""})) == "ora.L5");
  REQUIRE(run.probe(with({3, kVoteB})) == "ora.L5");
  REQUIRE(run.probe(with({4, ""})) == "ora.L2");
  run.checker.mutation_issued(0, 1, Mutation::save_meta({4, kVoteB}));
  REQUIRE(run.probe(run.start) == "");
  REQUIRE(run.probe(with({4, kVoteB})) == "");
  REQUIRE(run.probe(with({4, kVoteA})) == "ora.L2");
  run.checker.mutation_acked(0, 1, 0);
  REQUIRE(run.probe(run.start) == "ora.L5");
  REQUIRE(run.recover(with({4, kVoteB})) == "");
}

TEST_CASE("lanes are judged each for itself") {
  Acked run;
  run.checker.mutation_issued(0, 1, Mutation::append(entries(6, 6)));
  run.checker.mutation_issued(0, 2, Mutation::save_meta({4, ""}));
  REQUIRE(run.probe(state_of(1, entries(1, 5), {4, ""})) == "");
  REQUIRE(run.probe(state_of(1, entries(1, 6), {3, kVoteA})) == "");
}

TEST_CASE("a published snapshot is kept until a later one replaces it") {
  GhostState ghost;
  const StateImage start = with_snapshot(state_of(6, entries(6, 8)), snapshot_at(5, 1, 50));
  ghost.adopt(start);
  REQUIRE_FALSE(ghost.judge(start, false));
  REQUIRE(ghost.judge(state_of(6, entries(6, 8)), false)->oracle == "ora.L1");
  REQUIRE(ghost.judge(with_snapshot(start, snapshot_at(4, 1)), false)->oracle == "ora.L1");
  REQUIRE(ghost.judge(with_snapshot(start, snapshot_at(5, 1, 51)), false)->oracle == "ora.L1");
  REQUIRE(ghost.judge(with_snapshot(start, snapshot_at(7, 1)), false)->oracle == "ora.L2");

  const StateImage after = with_snapshot(start, snapshot_at(7, 1, 70));
  ghost.issue(publish(1, snapshot_at(7, 1, std::nullopt)));
  REQUIRE_FALSE(ghost.judge(start, false));
  REQUIRE_FALSE(ghost.judge(after, false));
  REQUIRE_FALSE(ghost.ack(1, 1));
  REQUIRE(ghost.judge(start, false)->oracle == "ora.L1");
  REQUIRE_FALSE(ghost.judge(after, false));
  ghost.adopt(after);  // the tree is known from now on
  REQUIRE(ghost.judge(with_snapshot(start, snapshot_at(7, 1, 71)), false)->oracle == "ora.L1");

  // publishing the same index again keeps the published one.
  ghost.issue(publish(2, snapshot_at(7, 1, 71)));
  REQUIRE_FALSE(ghost.ack(2, 0));
  REQUIRE_FALSE(ghost.judge(after, false));
  ghost.issue(publish(3, snapshot_at(7, 1, 71)));
  REQUIRE(ghost.ack(3, 1)->oracle == "ora.L1");
}

TEST_CASE("an instance that acked anything does not open as fresh, or as absent") {
  Acked run;
  REQUIRE(run.probe(StateImage{}) == "ora.L13");
  run.checker.opened_absent(0);
  REQUIRE(run.reported() == "ora.L13");
  // A fresh one may.
  run.checker.seed(1, StateImage{});
  run.checker.recovered(1, Standing::kAuthority, StateImage{});
  run.checker.opened_absent(1);
  REQUIRE(run.reported() == "");
  run.checker.mutation_issued(1, 1, Mutation::save_meta({2, ""}));
  run.checker.opened_absent(1);
  REQUIRE(run.reported() == "");
  run.checker.mutation_acked(1, 1, 0);
  run.checker.opened_absent(1);
  REQUIRE(run.reported() == "ora.L13");
}

TEST_CASE("a start that fails is L9 after a crash, and L12 after any other end") {
  Acked run;
  run.checker.starting(0);
  run.checker.start_failed(0, absl::StatusCode::kDataLoss, "log_meta: not a ProtoBufFile");
  REQUIRE(run.findings.size() == 1);
  REQUIRE(run.findings[0].actual == "log_meta: not a ProtoBufFile");
  REQUIRE(run.reported() == "ora.L12");
  const auto after = [&](StopReason reason) {
    run.checker.starting(0);
    run.checker.explain_stop(0, reason, "");
    run.checker.stopped(0, absl::StatusCode::kOk, "");
    run.checker.starting(0);
    run.checker.start_failed(0, absl::StatusCode::kDataLoss, "log_meta: not a ProtoBufFile");
    return run.reported();
  };
  REQUIRE(after(StopReason::kCrash) == "ora.L9");
  REQUIRE(after(StopReason::kOperator) == "ora.L12");
}

TEST_CASE("a disk fault explains a stop of its incarnation with the same code, and no other") {
  Watched run;
  const auto stop = [&](absl::StatusCode code) {
    run.checker.stopped(0, code, "append");
    return run.reported();
  };
  run.checker.starting(0);
  run.checker.disk_failed(0, absl::StatusCode::kUnknown, "sync /a");
  REQUIRE(stop(absl::StatusCode::kUnknown) == "");
  run.checker.starting(0);
  REQUIRE(stop(absl::StatusCode::kUnknown) == "ora.L12");
  run.checker.starting(0);
  run.checker.disk_failed(0, absl::StatusCode::kUnknown, "read /a");
  REQUIRE(stop(absl::StatusCode::kDataLoss) == "ora.L12");
  // Of another node.
  run.checker.starting(0);
  run.checker.disk_failed(1, absl::StatusCode::kUnknown, "sync /a");
  REQUIRE(stop(absl::StatusCode::kUnknown) == "ora.L12");
  // A start that it makes fail is tried again; one that fails after it, without another, is not.
  run.checker.starting(0);
  run.checker.disk_failed(0, absl::StatusCode::kResourceExhausted, "write /b");
  REQUIRE(run.checker.start_failed(0, absl::StatusCode::kResourceExhausted, "open"));
  REQUIRE(run.reported() == "");
  run.checker.starting(0);
  REQUIRE_FALSE(run.checker.start_failed(0, absl::StatusCode::kResourceExhausted, "open"));
  REQUIRE(run.reported() == "ora.L9");
  REQUIRE(run.checker.ledger() ==
          std::vector<std::string>{
              "n1: 2 stops on a disk fault (the last: write /b in incarnation 5)"});
}

TEST_CASE("damage explains each later end with the same code that names a file, and no other") {
  Watched run;
  const auto refuse = [&](absl::StatusCode code, std::string_view error) {
    run.checker.starting(0);
    CHECK_FALSE(run.checker.start_failed(0, code, error));
    return run.reported();
  };
  run.checker.starting(0);
  run.checker.disk_damaged(0, false, absl::StatusCode::kDataLoss, "bit-flip in /f at 7");
  run.checker.stopped(0, absl::StatusCode::kDataLoss, "/f: checksum 1, expected 2");
  CHECK(run.reported() == "");
  CHECK(refuse(absl::StatusCode::kDataLoss, "/f: checksum 1, expected 2") == "");
  CHECK(refuse(absl::StatusCode::kDataLoss, "the log is damaged") == "ora.L12");
  CHECK(refuse(absl::StatusCode::kNotFound, "/f: no instance") == "ora.L12");
  CHECK(run.checker.ledger() ==
        std::vector<std::string>{"n1: 2 ends on damage to its disk (the last: bit-flip in /f at 7; "
                                 "the node says: /f: checksum 1, expected 2, in incarnation 2)"});
  run.checker.starting(1);
  CHECK_FALSE(run.checker.start_failed(1, absl::StatusCode::kDataLoss, "/f: checksum 1"));
  CHECK(run.reported() == "ora.L12");
}

// n1 has acknowledged three entries and starts again.
struct Forgetting : Watched {
  explicit Forgetting(bool may_forget) {
    checker.seed(0, state_of(1, {}));
    const std::vector<families::LogEntry> log = entries(1, 3);
    checker.mutation_issued(0, 1, families::Mutation::append(log));
    checker.mutation_acked(0, 1, 3);
    checker.disk_damaged(0, may_forget, absl::StatusCode::kDataLoss, "lost-write of write /f");
    checker.starting(0);
  }
  bool serves(const StateImage& state) {
    checker.recovered(0, Standing::kAuthority, state);
    return checker.start_settled(0, state).ok();
  }
};

TEST_CASE("a damaged node that shows all it owes is like any other") {
  for (const bool may_forget : {false, true}) {
    Forgetting run(may_forget);
    CHECK(run.serves(state_of(1, entries(1, 3))));
    CHECK(run.reported() == "");
  }
}

TEST_CASE("a node that forgot what nothing can detect is out of service") {
  Forgetting run(true);
  CHECK_FALSE(run.serves(state_of(1, entries(1, 2))));
  CHECK(run.reported() == "");
  run.checker.served(0, Side::kA, 0);
  CHECK(run.reported() == "ora.L13");
  Forgetting checked(false);
  CHECK(checked.serves(state_of(1, entries(1, 2))));
  CHECK(checked.reported() == "ora.L1");
}

TEST_CASE("no damage excuses what nobody wrote, nor a hole") {
  Forgetting invents(true);
  CHECK(invents.serves(state_of(1, {entry(1, 1), entry(2, 1, "garbage")})));
  CHECK(invents.reported() != "");
  Forgetting holes(true);
  StateImage state = state_of(1, entries(1, 3));
  state.entries.erase(state.entries.begin() + 1);
  CHECK(holes.serves(state));
  CHECK(holes.reported() != "");
}

TEST_CASE("a probe of a damaged disk that tells of damage says nothing; a wrong one does") {
  Forgetting run(false);
  CHECK(run.serves(state_of(1, entries(1, 3))));
  run.checker.durable_probe(0, Side::kA, absl::DataLossError("/f: checksum"));
  CHECK(run.reported() == "");
  run.checker.durable_probe(0, Side::kA, absl::NotFoundError("/f: no instance"));
  CHECK(run.reported() == "ora.L13");
  run.checker.durable_probe(0, Side::kA, state_of(1, entries(1, 2)));
  CHECK(run.reported() == "ora.L1");
}

TEST_CASE("an instance that acknowledges a mutation after a failed sync violates L11") {
  Watched run;
  const auto answered = [&](int node, std::string_view root, bool ok, bool given_up = false) {
    run.checker.family_answered(node, root, ok, given_up);
    return run.reported();
  };
  run.checker.starting(0);
  REQUIRE(answered(0, "/a", true) == "");
  run.checker.sync_failed(0, "/a", "sync /a/f");
  REQUIRE(answered(0, "/a", false) == "");
  REQUIRE(answered(0, "/b", true) == "");
  REQUIRE(answered(1, "/a", true) == "");
  // A publish that is refused afterwards does not make it good.
  REQUIRE(answered(0, "/a", false, true) == "");
  REQUIRE(answered(0, "/a", true) == "ora.L11");
  run.checker.starting(0);
  REQUIRE(answered(0, "/a", true) == "");
  run.checker.sync_failed(0, "/a", "sync /a/f");
  run.checker.family_opening(0, "/a");
  REQUIRE(answered(0, "/a", true) == "");
  // What the sync was of is thrown away.
  run.checker.sync_failed(0, "/a", "sync /a/snapshot/temp/data");
  REQUIRE(answered(0, "/a", false, true) == "");
  REQUIRE(answered(0, "/a", true) == "");
}

TEST_CASE("a stop is L12 unless the ledger explains it, for this node and this incarnation") {
  Watched run;
  for (const int node : {0, 1}) run.checker.starting(node);
  run.checker.explain_stop(0, StopReason::kCrash, "drawn");
  run.checker.stopped(0, absl::StatusCode::kOk, "");
  REQUIRE(run.reported() == "");
  run.checker.stopped(1, absl::StatusCode::kUnknown, "append: poisoned");
  REQUIRE(run.findings.size() == 1);
  REQUIRE(run.findings[0].node == "n2");
  REQUIRE(run.findings[0].actual == "stopped by itself: append: poisoned");
  REQUIRE(run.reported() == "ora.L12");
  // The crash explains nothing of the next incarnation.
  run.checker.starting(0);
  run.checker.stopped(0, absl::StatusCode::kUnknown, "append: poisoned");
  REQUIRE(run.reported() == "ora.L12");

  run.checker.starting(0);
  run.checker.explain_stop(0, StopReason::kOperator, "planned restart");
  run.checker.stopped(0, absl::StatusCode::kOk, "");
  run.checker.starting(0);
  run.checker.lost(0, "lost in a crash");
  REQUIRE(run.reported() == "");
  REQUIRE(run.checker.ledger() ==
          std::vector<std::string>{"n1: 1 crash injected, 1 restart by the operator, start 4 "
                                   "refused (A-11): lost in a crash"});
}

TEST_CASE("a probe that fails is reported with its own error, not as a fresh instance") {
  const Probe unread = absl::DataLossError("log_01: record damaged at offset 4096 (index 5)");
  const auto said = [](Watched& run, std::string_view oracle, std::string_view actual) {
    REQUIRE(run.findings.size() == 1);
    CHECK(run.findings[0].actual == actual);
    CHECK(run.reported() == oracle);
  };
  Acked run;
  run.checker.durable_probe(0, Side::kA, unread);
  said(run, "ora.L9", "log_01: record damaged at offset 4096 (index 5)");
  const Probe none = absl::NotFoundError("/node/local: no instance of family local");
  run.checker.durable_probe(0, Side::kA, none);
  said(run, "ora.L13", "/node/local: no instance of family local");
  // A node that has acked nothing may hold nothing; a mirror that is not written owes nothing.
  run.checker.durable_probe(1, Side::kA, none);
  run.checker.durable_probe(0, Side::kB, unread);
  CHECK(run.reported() == "");
  run.checker.image_unreadable(0, unread.status());
  said(run, "ora.I1", "log_01: record damaged at offset 4096 (index 5)");
  // Two sides that cannot be read are not equal.
  run.checker.cut_validated(0, 1, unread, unread, 0);
  said(run, "ora.M3", "A: log_01: record damaged at offset 4096 (index 5)");
  run.checker.fenced(0, 1, run.start, unread);
  said(run, "ora.M3", "B: log_01: record damaged at offset 4096 (index 5)");
  run.checker.phase_changed(0, {MigrationPhase::kExporting, 1, Side::kA}, unread.status());
  said(run, "ora.M2", "power loss would leave log_01: record damaged at offset 4096 (index 5)");
}

TEST_CASE("a half import does not open as complete") {
  Watched run;
  const StateImage image =
      with_snapshot(state_of(6, entries(6, 8), {3, kVoteA}), snapshot_at(5, 1));
  StateImage half = image;
  half.entries.pop_back();
  --half.last;
  const Probe unread = absl::DataLossError("db: page 3 is damaged");
  run.checker.import_opened(0, ImportOpen::kAbsent, unread, image);
  run.checker.import_opened(0, ImportOpen::kIncomplete, half, image);
  run.checker.import_opened(0, ImportOpen::kComplete, image, image);
  REQUIRE(run.reported() == "");
  run.checker.import_opened(0, ImportOpen::kComplete, half, image);
  REQUIRE(run.reported() == "ora.L14");
  run.checker.import_opened(0, ImportOpen::kComplete, unread, image);
  REQUIRE(run.findings.size() == 1);
  REQUIRE(run.findings[0].actual == "complete, but: db: page 3 is damaged");
  REQUIRE(run.reported() == "ora.L14");
  for (const StateImage& other :
       {state_of(6, entries(6, 8), {3, kVoteA}), with_snapshot(image, snapshot_at(5, 1, 8)),
        with_snapshot(state_of(6, entries(6, 8), {3, ""}), snapshot_at(5, 1))}) {
    run.checker.import_opened(0, ImportOpen::kComplete, other, image);
    REQUIRE(run.reported() == "ora.L14");
  }
}

// Node 0 in dual-write.
struct Dual : Acked {
  Dual() {
    uint64_t generation = 1;
    for (const MigrationPhase phase : {MigrationPhase::kExporting, MigrationPhase::kBootstrapping,
                                       MigrationPhase::kValidated, MigrationPhase::kDualWrite}) {
      checker.phase_changed(0, PhaseRecord{phase, generation, Side::kA},
                            PhaseRecord{phase, generation, Side::kA});
    }
    REQUIRE(reported() == "");
  }
};

TEST_CASE("at a dual ack the mirror holds the mutation too") {
  Dual run;
  const StateImage after = state_of(1, entries(1, 6), {3, kVoteA});
  run.checker.mutation_issued(0, 1, Mutation::append(entries(6, 6)));
  run.checker.dual_ack(0, after, run.start);  // still open: legal on either side
  REQUIRE(run.reported() == "");
  run.checker.mutation_acked(0, 1, 1);
  run.checker.dual_ack(0, after, after);
  REQUIRE(run.reported() == "");
  run.checker.dual_ack(0, after, run.start);
  REQUIRE(run.reported() == "ora.D1");
  run.checker.dual_ack(0, run.start, after);
  REQUIRE(run.reported() == "ora.L1");
  run.checker.durable_probe(0, Side::kB, state_of(1, entries(1, 7), {3, kVoteA}));
  REQUIRE(run.reported() == "ora.D1");
}

TEST_CASE("a side that is not a mirror yet owes nothing") {
  Acked run;
  run.checker.phase_changed(0, {MigrationPhase::kExporting, 1, Side::kA},
                            PhaseRecord{MigrationPhase::kExporting, 1, Side::kA});
  run.checker.durable_probe(0, Side::kB, StateImage{});
  REQUIRE(run.reported() == "");
}

TEST_CASE("after a crash in a dual phase both families are equal") {
  Dual run;
  run.checker.recovered(0, Standing::kAuthority, run.start);
  run.checker.recovered(0, Standing::kMirror, run.start);
  REQUIRE(run.reported() == "");
  run.checker.recovered(0, Standing::kAuthority, run.start);
  run.checker.recovered(0, Standing::kMirror, state_of(1, entries(1, 4), {3, kVoteA}));
  REQUIRE(run.reported() == "ora.D3");
  // Equal, but both without something acked, is not a reconciliation.
  run.checker.recovered(0, Standing::kAuthority, state_of(1, entries(1, 4), {3, kVoteA}));
  run.checker.recovered(0, Standing::kMirror, state_of(1, entries(1, 4), {3, kVoteA}));
  REQUIRE(run.reported() == "ora.L1");
}

TEST_CASE("reconciliation keeps the greater hard state, and every vote granted") {
  Dual run;
  const auto with = [](HardState state) { return state_of(1, entries(1, 5), std::move(state)); };
  const auto reopen = [&](HardState a, HardState b, HardState reconciled) {
    run.checker.seed(0, run.start);
    run.checker.mutation_issued(0, 1, Mutation::save_meta({4, kVoteB}));
    run.checker.dual_opened(0, a, b);
    return run.recover(with(std::move(reconciled)));
  };
  REQUIRE(reopen({3, kVoteA}, {3, kVoteA}, {3, kVoteA}) == "");
  REQUIRE(reopen({4, kVoteB}, {3, kVoteA}, {4, kVoteB}) == "");
  REQUIRE(reopen({4, kVoteB}, {3, kVoteA}, {3, kVoteA}) == "ora.D4");
  REQUIRE(reopen({3, kVoteA}, {4, kVoteB}, {3, kVoteA}) == "ora.D4");
  run.checker.vote_granted(0, 4, kVoteB);
  REQUIRE(reopen({3, kVoteA}, {3, kVoteA}, {3, kVoteA}) == "ora.D4");
  REQUIRE(reopen({3, kVoteA}, {4, kVoteB}, {4, kVoteB}) == "");
}

TEST_CASE("L13: a node that lost its volatile storage never serves again") {
  Watched node;
  node.checker.seed(0, state_of(1, entries(1, 3)));
  node.checker.served(0, Side::kA, 0);
  CHECK(node.reported().empty());
  node.checker.lost(0, "lost in a crash");
  CHECK(node.reported().empty());
  node.checker.served(1, Side::kA, 0);
  CHECK(node.reported().empty());
  node.checker.served(0, Side::kA, 0);
  CHECK(node.reported() == "ora.L13");
}

TEST_CASE("what is owed has no hole, and no gap to the snapshot") {
  Watched run;
  const auto probe = [&](const StateImage& state) {
    run.checker.seed(0, state);
    run.checker.durable_probe(0, Side::kA, state);
    return run.reported();
  };
  REQUIRE(probe(state_of(1, entries(1, 5))) == "");
  REQUIRE(probe(with_snapshot(state_of(4, entries(4, 5)), snapshot_at(3, 1))) == "");
  REQUIRE(probe(with_snapshot(state_of(2, entries(2, 5)), snapshot_at(3, 1))) == "");
  REQUIRE(probe(with_snapshot(state_of(4, {}), snapshot_at(3, 1))) == "");
  REQUIRE(probe(with_snapshot(state_of(5, entries(5, 5)), snapshot_at(3, 1))) == "ora.L4");
  REQUIRE(probe(state_of(2, entries(2, 5))) == "ora.L4");
  StateImage hole = state_of(1, entries(1, 5));
  hole.entries[2].index = 4;
  REQUIRE(find_hole(hole)->oracle == "ora.L4");
  REQUIRE(find_hole(hole)->index == 3);
}

TEST_CASE("a dual write gives both families the same, and neither refuses it") {
  using families::Lane;
  using families::Operation;
  Watched run;
  const auto give = [&](Side side, uint64_t digest, bool ok = true) {
    run.checker.family_applied(0, side, {Operation::kAppend, digest, ok});
  };
  const auto ack = [&](bool dual) {
    run.checker.lane_acked(0, Lane::kLog, dual);
    return run.reported();
  };
  const auto judged = [&] { return run.checker.evaluations()[oracle("ora.D5")]; };
  give(Side::kA, 7);
  REQUIRE(ack(false) == "");
  REQUIRE(ack(true) == "");  // of nothing that was seen: no evidence
  REQUIRE(judged() == 0);
  give(Side::kA, 7);
  give(Side::kB, 7);
  REQUIRE(ack(true) == "");
  REQUIRE(judged() == 1);
  give(Side::kA, 7);
  REQUIRE(ack(true) == "ora.D5");  // skipped
  give(Side::kA, 7);
  give(Side::kB, 8);
  REQUIRE(ack(true) == "ora.D5");  // altered
  give(Side::kA, 7);
  give(Side::kA, 8);
  give(Side::kB, 8);
  give(Side::kB, 7);
  REQUIRE(ack(true) == "ora.D5");  // out of order
  give(Side::kA, 7);
  give(Side::kB, 7, false);
  REQUIRE(ack(true) == "ora.D2");
  give(Side::kA, 7);
  give(Side::kB, 7, false);
  // It failed, and the next one is another.
  run.checker.mutation_issued(0, 1, Mutation::append(entries(1, 1)));
  give(Side::kA, 9);
  give(Side::kB, 9);
  REQUIRE(ack(true) == "");
}

TEST_CASE("what a start shows and a power cut would take is L10") {
  Acked run;
  run.checker.shown(0, Side::kA, run.start, run.start);
  REQUIRE(run.reported() == "");
  run.checker.shown(0, Side::kA, run.start, state_of(1, entries(1, 4), {3, kVoteA}));
  REQUIRE(run.reported() == "ora.L10");
  run.checker.shown(0, Side::kB, run.start, state_of(1, entries(1, 5), {2, kVoteA}));
  REQUIRE(run.reported() == "ora.L10");
  run.checker.shown(0, Side::kA, run.start, absl::DataLossError("a torn file"));
  REQUIRE(run.reported() == "ora.L10");
}

}  // namespace
}  // namespace qk::sim
