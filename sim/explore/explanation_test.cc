// What is said of a vote that a crash took because a sync was missing, word by word.
#include "sim/explore/explanation.h"

#include "families/base/strings.h"
#include "sim/explore/sentences.h"
#include "sim/explore/test_story.h"

namespace qk::sim {
namespace {

// n2 saves a vote for n1 (its journal is synced in time, its metadata are not), answers, loses
// power and comes back without the vote.
Violation tell_of_lost_vote(Story* story, bool synced) {
  constexpr auto kSaveMeta = static_cast<uint64_t>(StoreOp::kSaveMeta);
  Violation violation;
  story->at(10, [=] {
    story->record(1, EventKind::kNetSend, {2, 2, 5, 0, 40, 0});
    story->at(20, [=] {
      story->record(2, EventKind::kNetRecv, {1, 2, 5, 0, 40, 0});
      const uint64_t issue = story->record(2, EventKind::kStoreIssue, {kSaveMeta, 0, 5, 0, 9});
      story->disk(DiskOp::kWrite, 7, 100, 22, "/node/migration/journal");
      story->disk(DiskOp::kSync, 7, 0, 25, "/node/migration/journal");
      story->disk(DiskOp::kWrite, 8, 60, 28, "/node/local/raft_meta/raft_meta");
      story->disk(DiskOp::kSync, 8, 0, synced ? 30 : 31, "/node/local/raft_meta/raft_meta");
      story->at(30, [=] {
        story->record(2, EventKind::kStoreDone, {kSaveMeta, 0, 0, 3, 9, 0}, "", issue);
        story->record(2, EventKind::kNetSend, {1, 3, 5, 0, 30, 0});
      });
    });
  });
  story->at(40, [=] {
    story->record(2, EventKind::kFaultCrash, {1, 1, 1});
    story->record(2, EventKind::kDiskCrash, {1, 0, 1, 0xabc});
    story->at(50, [=] { story->record(2, EventKind::kFaultRestart, {1}); });
  });
  story->at(60, [=] {});
  story->run();
  violation.oracle = "ora.L5";
  violation.name = "hard-state-kept";
  violation.node = "n2";
  violation.expected = "term 5, vote n1";
  violation.actual = "term 4, no vote";
  violation.phase = "A";
  violation.seq = story->record(2, EventKind::kCheckViolation, {1, 0, 2, 3}, "ora.L5");
  return violation;
}

TEST_CASE("a lost vote is explained by the sync that was missing", "[explain]") {
  Story story;
  const Violation violation = tell_of_lost_vote(&story, false);
  CHECK(explain_violation(story.trace, violation, {.radius = 0}) ==
        R"(ora.L5 hard-state-kept is violated on n2, t=0.000000s #13
  expected  term 5, vote n1
  found     term 4, no vote
  phase     A

what was promised
  given     n2 is given a term and vote to save, term 5 (mutation 9), t=0.000000s #3
  done      n2 says that mutation 9 is done, t=0.000000s #8; from here on the oracle holds it to that

what the disk was told for it
            /node/migration/journal: 1 change, 100 bytes, 1 sync
            /node/local/raft_meta/raft_meta: 1 change, 60 bytes, 1 sync; not durable when it was done: #6

since then on the same node
            n2: crash (scheduled, keep-synced), 1 unsynced change lost, t=0.000000s #10
            n2 keeps 0 of 1 unsynced change, t=0.000000s #11
            n2: restart as incarnation 2, t=0.000000s #12

first faulty step
            n2 said done at #8 while a power cut could still take back what it had written to /node/local/raft_meta/raft_meta (#6)

what led to it, by causes
            the start of the run
)");
}

TEST_CASE("where every write was synced, that is said, and not another cause", "[explain]") {
  Story story;
  const std::string text =
      explain_violation(story.trace, tell_of_lost_vote(&story, true), {.radius = 0});
  CHECK(text.find("not durable") == std::string::npos);
  CHECK(text.find("not found before the end of the process at #10: all that the mutation wrote was "
                  "synced") != std::string::npos);
}

// n2 appends: what it writes, one time after another, and says done; then the oracle complains.
std::string told_of_appends(int times, const std::function<void(Story*, uint64_t after)>& writes) {
  Story story;
  Violation violation;
  Nanos now = 100;
  for (int i = 0; i < times; ++i, now += 100) {
    story.at(now, [&, now] {
      const uint64_t issue = story.record(2, EventKind::kStoreIssue, {0, 0, 1, 1, 4});
      writes(&story, static_cast<uint64_t>(now));
      story.at(now + 50, [&, issue] {
        story.record(2, EventKind::kStoreDone, {0, 0, 1, 1, 4, 0}, "", issue);
      });
    });
  }
  story.run();
  violation.oracle = "ora.L1";
  violation.node = "n2";
  violation.seq = story.record(2, EventKind::kCheckViolation, {}, "ora.L1");
  return explain_violation(story.trace, violation, {.radius = 0});
}

TEST_CASE("what was changed after its sync, or is left so each time, is not the first suspect",
          "[explain]") {
  // The log is synced and padded, the mark is never synced.
  const auto usual = [](Story* story, uint64_t now) {
    story->disk(DiskOp::kWrite, 3, 512, now + 1, "/node/log/mark.tmp");
    story->disk(DiskOp::kWrite, 4, 99, now + 2, "/node/log/log_17");
    story->disk(DiskOp::kSync, 4, 0, now + 3, "/node/log/log_17");
    story->disk(DiskOp::kWrite, 4, 9, now + 4, "/node/log/log_17");
  };
  const std::string text = told_of_appends(5, usual);
  CHECK(contains(text,
                 "/node/log/mark.tmp: 1 change, 512 bytes, 0 syncs; not durable when it was "
                 "done: #26, as with 4 of 4 mutations before\n"));
  CHECK(contains(text,
                 "log_17: 2 changes, 108 bytes, 1 sync; not durable when it was done: #29, "
                 "which came after a sync\n"));
  CHECK(contains(text,
                 "could still take back what it had written to /node/log/mark.tmp (#26); so it "
                 "was before, without a finding"));
  CHECK(contains(text, "only what came after a sync was not: /node/log/log_17 (#29)\n"));
  // The one time that the log is not synced stands out.
  int round = 0;
  const std::string once = told_of_appends(5, [&](Story* story, uint64_t now) {
    if (++round < 5) return usual(story, now);
    story->disk(DiskOp::kWrite, 3, 512, now + 1, "/node/log/mark.tmp");
    story->disk(DiskOp::kWrite, 5, 99, now + 2, "/node/log/log_18");
  });
  CHECK(contains(
      once,
      "could still take back what it had written to /node/log/log_18 (#27); every other of 5 "
      "appends that changed /node/log/log_# was followed by a sync, #27 was not; no sync of it "
      "came "
      "before the finding\n"));
}

TEST_CASE("what an oracle judges at the end of a mutation is that mutation", "[explain]") {
  Story story;
  Violation violation;
  constexpr auto kSuffix = static_cast<uint64_t>(StoreOp::kTruncateSuffix);
  const uint64_t append = story.record(2, EventKind::kStoreIssue, {0, 0, 3, 3, 4});
  story.record(2, EventKind::kStoreDone, {0, 0, 1, 3, 4, 0}, "", append);
  story.at(10, [&] {
    const uint64_t cut = story.record(2, EventKind::kStoreIssue, {kSuffix, 0, 2, 0, 7});
    story.record(2, EventKind::kStoreDone, {kSuffix, 0, 1, 2, 7, 0}, "", cut);
    violation.seq = story.record(2, EventKind::kCheckViolation, {}, "ora.L2");
  });
  story.run();
  violation.oracle = "ora.L2";
  violation.node = "n2";
  violation.index = 3;
  CHECK(contains(explain_violation(story.trace, violation, {.radius = 0}),
                 "  given     n2 is given a truncation to the entries up to 2 (mutation 7)"));
  // A lost entry was promised by its own append, whatever mutation was followed by the look.
  violation.oracle = "ora.L1";
  CHECK(contains(explain_violation(story.trace, violation, {.radius = 0}),
                 "  given     n2 is given an append of 3..3 (mutation 4)"));
}

TEST_CASE("a node that cut off what it had promised is named, and what made it", "[explain]") {
  Story story;
  constexpr auto kSuffix = static_cast<uint64_t>(StoreOp::kTruncateSuffix);
  const uint64_t append = story.record(2, EventKind::kStoreIssue, {0, 0, 13, 14, 4});
  story.record(2, EventKind::kStoreDone, {0, 0, 1, 14, 4, 0}, "", append);
  story.at(10, [&] {
    story.record(2, EventKind::kNetRecv, {1, 2, 5, 0, 40, 0});
    story.record(2, EventKind::kStoreIssue, {kSuffix, 0, 13, 0, 5});
  });
  story.at(20, [] {});
  story.run();
  Violation violation;
  violation.oracle = "ora.R12";
  violation.node = "n2";
  violation.index = 14;
  violation.seq = story.record(2, EventKind::kCheckViolation, {}, "ora.R12");
  const std::string text = explain_violation(story.trace, violation, {.radius = 0});
  CHECK(contains(text,
                 "since then on the same node\n            n2 is given a truncation to the "
                 "entries up to 13 (mutation 5)"));
  CHECK(contains(text,
                 "first faulty step\n            n2 cut the entry off itself: n2 is given a "
                 "truncation to the entries up to 13 (mutation 5), t=0.000000s #4, because n2 "
                 "receives RequestVote of term 5 from n1, t=0.000000s #3\n"));
}

TEST_CASE("a timer that sets itself again is told once", "[explain]") {
  Story story;
  for (int i = 0; i < 5; ++i) story.record(1, EventKind::kTimer, {1});
  story.record(1, EventKind::kTimer, {0});
  const std::string text = explain_event(story.trace, 6, {.radius = 0});
  size_t told = 0;
  for (size_t at = 0; (at = text.find("heartbeat timer runs out", at)) != std::string::npos; ++at) {
    ++told;
  }
  INFO(text);
  CHECK(told == 1);
}

TEST_CASE("of what the cluster lost, each node is told", "[explain]") {
  Story story;
  story.record(1, EventKind::kStoreIssue, {0, 0, 7, 8, 4});
  const uint64_t append = story.record(2, EventKind::kStoreIssue, {0, 0, 8, 8, 4});
  story.record(2, EventKind::kStoreDone, {0, 0, 1, 8, 4, 0}, "", append);
  Violation violation;
  violation.oracle = "ora.R7";
  violation.index = 8;
  violation.seq = story.record(0, EventKind::kCheckViolation, {}, "ora.R7");
  const auto told = [&] { return explain_violation(story.trace, violation, {.radius = 0}); };
  CHECK(contains(told(),
                 "what each node has of index 8\n"
                 "            n1 is given it, t=0.000000s #1, and has not said that it is done\n"
                 "            n2 says that it is done, t=0.000000s #3\n"));
  violation.index = 9;
  CHECK(contains(told(), "            n1 was never given it\n            n2 was never given it\n"));
}

TEST_CASE("a name is durable once its directory is synced", "[explain]") {
  const auto save = [](bool synced) {
    return told_of_appends(1, [synced](Story* story, uint64_t now) {
      story->disk(DiskOp::kCreate, 0, 0, now + 1, "/node/meta.tmp");
      story->disk(DiskOp::kWrite, 9, 26, now + 2, "/node/meta.tmp");
      story->disk(DiskOp::kSync, 9, 0, now + 3, "/node/meta.tmp");
      story->disk(DiskOp::kRename, 0, 0, now + 4, "/node/meta.tmp -> /node/meta");
      story->disk(DiskOp::kSyncDir, 1, 0, synced ? now + 5 : now + 51, "/node");
    });
  };
  CHECK(contains(save(false),
                 "/node/meta: 1 change, 26 bytes, 1 sync; its name not durable when it "
                 "was done: #5\n"));
  CHECK(contains(save(false),
                 "take back what it had written to the name of /node/meta (#5); a rename into "
                 "/node with no sync-dir after it\n"));
  CHECK(save(true).find("not durable") == std::string::npos);
}

TEST_CASE("what follows another event is not of the mutation", "[explain]") {
  const std::string text = told_of_appends(1, [](Story* story, uint64_t now) {
    story->disk(DiskOp::kWrite, 4, 99, now + 2, "/node/log/log_17");
    story->disk(DiskOp::kSync, 4, 0, now + 3, "/node/log/log_17");
    story->record(2, EventKind::kRaftApply, {1, 2, 3});
    story->disk(DiskOp::kWrite, 8, 7, now + 60, "/node/snapshot/temp/data");
  });
  CHECK(text.find("snapshot") == std::string::npos);
}

TEST_CASE("an entry is followed from its client to its answer", "[explain]") {
  Story story;
  const uint64_t invoke = story.record(0, EventKind::kClientInvoke, {3, 77, 2, 0x1, 0xbeef, 1});
  const uint64_t issue = story.record(2, EventKind::kStoreIssue, {0, 0, 10, 12, 4});
  story.record(2, EventKind::kStoreDone, {0, 0, 3, 12, 4, 0}, "", issue);
  story.record(1, EventKind::kRaftCommit, {12, 2});
  story.record(1, EventKind::kRaftApply, {11, 0x5, 0xbeef});
  story.record(0, EventKind::kClientOk, {3, 77, 0x9}, "", invoke);
  Violation violation;
  violation.oracle = "ora.L1";
  violation.node = "n2";
  violation.index = 11;
  violation.seq = story.record(2, EventKind::kCheckViolation, {}, "ora.L1");
  const std::string text = explain_violation(story.trace, violation, {.radius = 0});
  CHECK(text.find("n2 is given an append of 10..12 (mutation 4)") != std::string::npos);
  CHECK(text.find("  committed n1, t=0.000000s #4\n") != std::string::npos);
  CHECK(text.find("  applied   first by n1, t=0.000000s #5\n") != std::string::npos);
  CHECK(text.find("  asked by  client 3 asks n1 for operation 77 (write), t=0.000000s #1\n") !=
        std::string::npos);
  CHECK(text.find("  answered  client 3, t=0.000000s #6\n") != std::string::npos);
}

TEST_CASE("an event: its causes, the lines of its node, and those of its causal past",
          "[explain]") {
  Story story;
  story.at(10, [&] {
    story.record(1, EventKind::kTimer, {0});
    story.record(1, EventKind::kNetSend, {2, 2, 5, 0, 40, 0});
    story.at(20, [&] { story.record(2, EventKind::kNetRecv, {1, 2, 5, 0, 40, 0}); });
  });
  story.at(15, [&] { story.record(1, EventKind::kRaftCommit, {99, 4}); });
  story.run();
  const auto lines = [&](bool cone, uint64_t radius) {
    const std::string text = explain_event(story.trace, 4, {radius, cone});
    return text.substr(text.find("\nthe last events of ") + 1);
  };
  const std::string text = explain_event(story.trace, 4, {.radius = 0});
  CHECK(text ==
        "n2 receives RequestVote of term 5 from n1, t=0.000000s #4\n"
        "\nwhat led to it, by causes\n"
        "            n1's election timer runs out, t=0.000000s #1\n"
        "            n1 sends RequestVote of term 5 to n2, t=0.000000s #2\n");
  const auto has = [](const std::string& in, uint64_t seq) {
    return in.find(cat("\n       ", seq, " ")) != std::string::npos;
  };
  const std::string node = lines(false, 9);
  CHECK(node.starts_with("the last events of n2\n"));
  CHECK((has(node, 4) && !has(node, 2) && !has(node, 1)));
  const std::string cone = lines(true, 9);
  CHECK(cone.starts_with("the last events of its causal past\n"));
  CHECK((has(cone, 4) && has(cone, 2) && has(cone, 1) && !has(cone, 3)));
  CHECK_FALSE(has(lines(true, 1), 1));
}

TEST_CASE("each kind of event has a sentence", "[explain]") {
  Story story;
  for (size_t kind = 0; kind < kKindCount; ++kind) {
    const uint64_t seq = story.record(1, static_cast<EventKind>(kind));
    INFO(kKinds[kind].name);
    CHECK_FALSE(sentence(story.trace, story.trace.event(seq)).empty());
  }
}

}  // namespace
}  // namespace qk::sim
