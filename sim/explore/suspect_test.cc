// Which mutation a finding is about, and what is said of it.
#include "sim/explore/suspect.h"

#include "families/base/strings.h"
#include "sim/explore/explanation.h"
#include "sim/explore/test_story.h"

namespace qk::sim {
namespace {

constexpr auto kSnapshot = static_cast<uint64_t>(StoreOp::kSaveSnapshot);
constexpr auto kMeta = static_cast<uint64_t>(StoreOp::kSaveMeta);
constexpr auto kPrefix = static_cast<uint64_t>(StoreOp::kTruncatePrefix);

// A mutation of n2 from `now` to now + 50, and what it does with its disk; returns its store.issue.
using DiskWork = std::function<void(Story*, Nanos now)>;
void mutate(Story* story, Nanos now, std::array<uint64_t, kMaxArgs> args, const DiskWork& work,
            bool done = true) {
  story->at(now, [=] {
    const uint64_t issue = story->record(2, EventKind::kStoreIssue, args);
    if (work) work(story, now);
    if (!done) return;
    story->at(now + 50, [=] {
      story->record(2, EventKind::kStoreDone, {args[0], 0, 1, args[3], args[4], 0}, "", issue);
    });
  });
}
DiskWork written(uint64_t inode, std::string path, bool synced) {
  return [=](Story* story, Nanos now) {
    story->disk(DiskOp::kWrite, inode, 99, now + 1, path);
    if (synced) story->disk(DiskOp::kSync, inode, 0, now + 2, path);
  };
}

Violation found(Story* story, std::string oracle, std::string expected, std::string actual,
                int64_t index = 0, std::string phase = "A") {
  Violation violation;
  violation.oracle = std::move(oracle);
  violation.node = "n2";
  violation.index = index;
  violation.expected = std::move(expected);
  violation.actual = std::move(actual);
  violation.phase = std::move(phase);
  story->at(10'000, [&] {
    violation.seq = story->record(2, EventKind::kCheckViolation, {}, violation.oracle);
  });
  story->run();
  return violation;
}
std::string told(const Story& story, const Violation& violation) {
  return explain_violation(story.trace, violation, {.radius = 0});
}

TEST_CASE("a finding about a snapshot is explained by the snapshot, not by the append of its index",
          "[explain]") {
  Story story;
  mutate(&story, 100, {0, 0, 2, 2, 3}, written(4, "/node/local/log/log_1", true));
  mutate(&story, 200, {kSnapshot, 0, 2, 0, 4}, [](Story* s, Nanos now) {
    s->disk(DiskOp::kWrite, 5, 9, now + 1, "/node/local/snapshot/temp/data");
    s->disk(DiskOp::kSync, 5, 0, now + 2, "/node/local/snapshot/temp/data");
    s->disk(DiskOp::kRename, 0, 0, now + 3,
            "/node/local/snapshot/temp -> /node/local/snapshot/snapshot_2");
  });
  mutate(&story, 300, {0, 0, 3, 3, 5}, written(4, "/node/local/log/log_1", true));
  const Violation violation =
      found(&story, "ora.L1", "acked snapshot (index 2, term 2, 3+0 peers)", "no snapshot", 2);
  const std::string text = told(story, violation);
  CHECK(contains(text, "given     n2 is given a snapshot to publish, index 2 (mutation 4)"));
  CHECK(contains(text,
                 "the name of /node/local/snapshot/snapshot_2 (#8); a rename into "
                 "/node/local/snapshot with no sync-dir after it\n"));
}

TEST_CASE("a file and an index in the message name the mutation, and what follows it elsewhere",
          "[explain]") {
  Story story;
  const std::string file = "/node/local/log/log_inprogress_7";
  for (uint64_t i = 7; i <= 10; ++i) {
    mutate(&story, static_cast<Nanos>(100 * i), {0, 0, i, i, i}, written(3 + i, file, i != 8));
  }
  const Violation violation =
      found(&story, "ora.L9", "what a power loss would leave opens and reads",
            "/node/local/log/log_7_8, offset 65103, index 8: found 0 bytes, expected a header");
  const std::string text = told(story, violation);
  CHECK(contains(text, "given     n2 is given an append of 8..8 (mutation 8)"));
  CHECK(contains(text,
                 "what it had written to /node/local/log/log_inprogress_7 (#6); every other of 4 "
                 "appends that changed /node/local/log/log_inprogress_# was followed by a sync, #6 "
                 "was not; no sync of it came before the finding\n"));
}

TEST_CASE("the term in a finding names the vote that was saved", "[explain]") {
  Story story;
  mutate(&story, 100, {kMeta, 0, 5, 0, 1}, written(4, "/node/local/raft_meta/raft_meta", true));
  mutate(&story, 200, {kMeta, 0, 6, 0, 2}, written(4, "/node/local/raft_meta/raft_meta", true));
  const Violation violation =
      found(&story, "ora.L5", "acked (term 5, vote n1)", "(term 4, vote n1)");
  const Suspect suspect = suspect_of(story.trace, violation);
  REQUIRE(suspect.issue != nullptr);
  CHECK(suspect.issue->seq == 1);
  REQUIRE(suspect.done != nullptr);
  CHECK(suspect.end == suspect.done);
}

TEST_CASE("of a start that fails, what was in flight at the crash is told first", "[explain]") {
  Story story;
  mutate(&story, 100, {0, 0, 1, 9, 1}, written(4, "/node/sqlite-g1/db-wal", true));
  mutate(
      &story, 200, {kPrefix, 0, 5, 0, 2},
      [](Story* s, Nanos now) {
        s->disk(DiskOp::kWrite, 4, 99, now + 1, "/node/sqlite-g1/db-wal");
        s->disk(DiskOp::kSync, 4, 0, now + 2, "/node/sqlite-g1/db-wal");
        s->disk(DiskOp::kWrite, 4, 99, now + 900, "/node/sqlite-g1/db-wal");
      },
      false);
  mutate(&story, 210, {kMeta, 0, 6, 0, 3}, nullptr, false);
  story.at(300, [&] {
    story.record(2, EventKind::kFaultCrash, {1, 1, 1});
    story.record(2, EventKind::kDiskCrash, {1, 0, 1, 0xabc});
    story.record(2, EventKind::kFaultRestart, {1});
  });
  const Violation violation =
      found(&story, "ora.L9", "the node starts from what the crash left",
            "/node/sqlite-g1/db: log row 2 is missing: the first one found is 5", 0, "B");
  const std::string text = told(story, violation);
  CHECK(contains(text,
                 "what was under way\n"
                 "  given     n2 is given a truncation to the entries from 5 on (mutation 2)"));
  CHECK(contains(text,
                 "writes 99 bytes at 0 of /node/sqlite-g1/db-wal, #8, which had not returned\n"));
  CHECK(contains(text,
                 "also in flight when the process ended at #10\n"
                 "            n2 is given a term and vote to save, term 6 (mutation 3)"));
  CHECK(contains(text,
                 "first faulty step\n            the process ended at #10 within a truncation to "
                 "the entries from 5 on (mutation 2, #5): 2 of its 3 operations"));
}

TEST_CASE("a mirror that never syncs is told beside the family that does", "[explain]") {
  Story story;
  const std::string wal = "/node/sqlite-g1/db-wal";
  story.at(50, [&] {
    for (int i = 0; i < 3; ++i) story.disk(DiskOp::kWrite, 9, 99, 51, wal);
  });
  mutate(&story, 100, {0, 0, 7, 7, 1}, written(4, "/node/local/log/log_1", true));
  const Violation violation = found(&story, "ora.D1", "(index 7, term 2, data, payload 1) acked",
                                    "mirror: log [1, 1]", 7, "DUAL");
  const std::string text = told(story, violation);
  CHECK(contains(
      text,
      "what a power cut could take of both families at #8\n"
      "            authority /node/local: nothing; last sync at #6\n"
      "            mirror /node/sqlite-g1/db-wal: 3 changes, never synced, none durable\n"));
  CHECK(contains(text,
                 "first faulty step\n            n2 said done at #7 while a power cut could still "
                 "take back the mirror's /node/sqlite-g1/db-wal: 3 changes, never synced"));
}

TEST_CASE("the end of a mutation is explained by what the disk was told for it", "[explain]") {
  Story story;
  mutate(&story, 100, {0, 0, 7, 7, 1}, written(4, "/node/local/log/log_1", false));
  story.run();
  CHECK(contains(explain_event(story.trace, 3, {.radius = 0}),
                 "what the disk was told for it\n            /node/local/log/log_1: 1 change, 99 "
                 "bytes, 0 syncs; not durable when it was done: #2\n"));
}

TEST_CASE("the causes of a finding of storage end at its mutation", "[explain]") {
  Story story;
  story.record(2, EventKind::kTimer, {0});
  const uint64_t issue = story.record(2, EventKind::kStoreIssue, {0, 0, 1, 1, 1});
  story.record(2, EventKind::kStoreDone, {0, 0, 1, 1, 1, 0}, "", issue);
  Violation violation;
  violation.node = "n2";
  violation.seq = story.record(2, EventKind::kCheckViolation, {});
  const auto causes = [&](const char* oracle) {
    violation.oracle = oracle;
    const std::string text = told(story, violation);
    return text.substr(text.find("what led to it"));
  };
  CHECK(
      contains(causes("ora.L2"), "by causes\n            ...\n            n2 is given an append"));
  CHECK(contains(causes("ora.R3"), "by causes\n            n2's election timer runs out"));
}

TEST_CASE("a commit of what another leader gave is the step", "[explain]") {
  Story story;
  story.record(2, EventKind::kRaftTerm, {2, 0});
  const uint64_t append = story.record(2, EventKind::kStoreIssue, {0, 0, 16, 16, 4});
  story.record(2, EventKind::kStoreDone, {0, 0, 1, 16, 4, 0}, "", append);
  story.record(2, EventKind::kNetRecv, {1, 2, 3, 0, 40, 0});
  story.record(2, EventKind::kRaftCommit, {17, 3});
  const Violation violation =
      found(&story, "ora.R6", "(index 16, term 3, data, payload 1), committed by n1",
            "(index 16, term 2, data, payload 2) declared committed", 16);
  CHECK(contains(told(story, violation),
                 "first faulty step\n            n2 commits up to 17, t=0.000000s #5, because n2 "
                 "receives RequestVote of term 3 from n1, t=0.000000s #4; what it has at 16 it was "
                 "given as mutation 4, #2, in term 2\n"));
}

TEST_CASE("what an image holds beyond its cut is named", "[explain]") {
  Story story;
  story.record(2, EventKind::kMigStep, {static_cast<uint64_t>(MigStep::kCut), 1, 0, 0});
  mutate(&story, 100, {kMeta, 0, 5, 0, 5}, written(4, "/node/local/raft_meta/raft_meta", true));
  const Violation violation = found(&story, "ora.I1", "at the cut: (term 3, vote nobody)",
                                    "in the image: (term 5, vote n1)", 0, "BOOT");
  CHECK(contains(told(story, violation),
                 "the image holds what came after its cut: mutation 5 was done at #5, the cut was "
                 "taken at #1\n"));
}

TEST_CASE("a finding about a cut names the cut, and no mutation", "[explain]") {
  Story story;
  story.record(2, EventKind::kMigCut, {2, 14, 1, 0});
  story.record(2, EventKind::kMigPhase, {});
  mutate(&story, 100, {0, 0, 7, 7, 1}, nullptr);
  const Violation violation = found(&story, "ora.M3", "a cut at most 1500000000 ns old",
                                    "cut-over 2380000000 ns after the cut", 0, "CUT");
  const std::string text = told(story, violation);
  CHECK(text.find("what was promised") == std::string::npos);
  CHECK(contains(
      text, "what the node did at #5 in phase CUT, 0.000s after what was compared: n2: V2@14"));
}

}  // namespace
}  // namespace qk::sim
