// Damaged directories and leftovers of crashes: never a crash of ours, never a log that became
// shorter without an error except by a torn end of the open segment. The table gives our verdict
// per case; where it differs from braft's, it says why.
#include <catch2/catch.hpp>

#include "families/local/local_family.h"
#include "families/local/testdata/golden_support.h"
#include "families/local/testdata/scratch_disk.h"

namespace qk::families {
namespace {

enum class Verdict {
  kAsBraft,   // opens, with exactly the state of expected.json
  kRefused,   // braft refuses a part of it, and we the whole
  kStricter,  // braft opens it; we refuse
  kOwn,       // we open it with a state of our own: `first`, `last`
};

struct Case {
  std::string_view name;
  Verdict verdict;
  std::string_view why;  // or a part of the error message
  int64_t first = 0;
  int64_t last = 0;
};

const Case kCases[] = {
    {"d01-torn-header", Verdict::kAsBraft, ""},
    {"d02-torn-payload", Verdict::kAsBraft, ""},
    {"d04-zero-tail-12", Verdict::kAsBraft, ""},
    // A tail of zeros is an append whose size was durable before its bytes; braft refuses to start.
    {"d05-zero-tail-24", Verdict::kOwn, "zeros cut", 1, 5},
    {"d06-zero-tail-4096", Verdict::kOwn, "zeros cut", 1, 5},
    {"d07-zeroed-last-entry", Verdict::kOwn, "zeros cut", 1, 4},
    {"d09-flip-closed-header", Verdict::kRefused, "offset 128, index 12: header checksum"},
    {"d11-flip-open-header", Verdict::kRefused, "offset 64, index 29: header checksum"},
    // The last entry fails its checksum: a torn end. braft keeps an entry that it cannot read.
    {"d13-flip-open-last-payload", Verdict::kOwn, "torn entry cut", 1, 29},
    {"d14-flip-length", Verdict::kRefused, "offset 0, index 10: header checksum"},
    {"d15-closed-short", Verdict::kRefused, "index 18: found 30 bytes of payload, expected 40"},
    {"d17-closed-extra-entry", Verdict::kRefused, "found 64 bytes behind index 26"},
    {"d18-closed-extra-bytes", Verdict::kAsBraft, ""},
    {"d19-closed-zero-bytes", Verdict::kRefused, "index 19: found 0 bytes"},
    // braft only logs a hole before the open segment.
    {"d21-missing-last-closed", Verdict::kStricter, "begins at index 28, expected 19"},
    {"d22-missing-first-closed", Verdict::kRefused, "begins at index 10, expected at most 1"},
    // Nothing in the format says that there was a segment behind the last one.
    {"d23-missing-open", Verdict::kAsBraft, ""},
    // braft unlinks every segment.
    {"d24-missing-log-meta", Verdict::kStricter, "log_meta: missing, but there are 3 closed"},
    {"d25-log-meta-zero-length", Verdict::kRefused, "log_meta: found 0 bytes"},
    {"d26-log-meta-short", Verdict::kRefused, "log_meta: found 1 bytes of message, expected 2"},
    {"d27-log-meta-garbage", Verdict::kRefused, "log_meta: 2 bytes are not a"},
    // No checksum protects log_meta: these read as truncate_prefix(12) and (1000).
    {"d28-log-meta-changed", Verdict::kAsBraft, ""},
    {"d29-log-meta-huge", Verdict::kAsBraft, ""},
    {"d31-raft-meta-zero-length", Verdict::kRefused, "raft_meta: found 0 bytes"},
    {"d32-raft-meta-short", Verdict::kRefused, "raft_meta: found 19 bytes of message, expected 22"},
    {"d33-raft-meta-garbage", Verdict::kRefused, "raft_meta: 4 bytes are not a"},
    {"d34-raft-meta-bad-vote", Verdict::kRefused, "votedfor: peer \"xyz\""},
    {"d35-raft-meta-flipped-term", Verdict::kAsBraft, ""},
    // braft writes no raft_meta before the first vote, so a log beside none is a usual directory.
    {"d36-raft-meta-missing", Verdict::kAsBraft, ""},
    {"d37-leftover-meta-tmps", Verdict::kAsBraft, ""},
    {"d38-leftover-segment-tmp", Verdict::kAsBraft, ""},
    {"d40-open-zero-length", Verdict::kAsBraft, ""},
    {"d41-only-open-zero-length", Verdict::kAsBraft, ""},
    {"d42-bad-closed-name", Verdict::kRefused, "last index 18 is below first index 19"},
    {"d43-overlap-closed", Verdict::kRefused, "begins at index 14, expected 19"},
    {"d47-crash-truncate-closed", Verdict::kAsBraft, ""},
    {"d48-crash-truncate-prefix", Verdict::kAsBraft, ""},
    {"d49-snapshot-gap", Verdict::kAsBraft, ""},
    {"d50-no-snapshot-first-gt-1", Verdict::kAsBraft, ""},
    {"d51-leftover-snap-temp", Verdict::kAsBraft, ""},
    // braft deletes the whole snapshot 10 before it looks into the broken 20, then starts without.
    {"d53-newer-snapshot-broken", Verdict::kRefused, "snapshot_00000000000000000020"},
    {"d54-snap-meta-short", Verdict::kRefused, "found 69 bytes of message, expected 76"},
    {"d55-snap-meta-zero-length", Verdict::kRefused, "__raft_snapshot_meta: found 0 bytes"},
    // braft reads defaults out of what does not parse: a snapshot at index 0.
    {"d56-snap-meta-garbage", Verdict::kStricter, "4 bytes are not a"},
    // Opens; reading the missing file fails (see below).
    {"d57-snap-file-missing", Verdict::kOwn, "listed file missing", 1, 20},
    {"d59-snap-unlisted-file", Verdict::kAsBraft, ""},
    // braft does not compare the directory's number with the record inside.
    {"d60-snap-index-mismatch", Verdict::kStricter, "its table says index 10"},
    {"d62-closed-suffix-name", Verdict::kRefused, ".bak: looks like a log segment"},
    {"d63-log-meta-zero", Verdict::kRefused, "first_log_index 0, expected at least 1"},
    {"d64-log-meta-negative", Verdict::kRefused, "first_log_index -1, expected at least 1"},
    // braft opens a log at index 0 and crashes when that entry is read.
    {"d66-log-meta-garbage-open-only", Verdict::kStricter, "log_meta: 2 bytes are not a"},
    // A right checksum over an impossible type is no tear; braft hands the entry on.
    {"d69-entry-type-0", Verdict::kStricter, "index 2: entry type 0, expected 1, 2 or 3"},
    // The payload is kept byte for byte; who reads the configuration decides about the peer.
    {"d71-conf-bad-peer", Verdict::kAsBraft, ""},
    {"d73-reserved-nonzero", Verdict::kAsBraft, ""},
    {"d76-huge-len-tail", Verdict::kAsBraft, ""},
};

bool braft_ok(const nlohmann::json& expected) {
  return expected["log"]["ok"].get<bool>() && expected["raft_meta"]["ok"].get<bool>() &&
         expected["snapshot"]["ok"].get<bool>();
}

class Opened {
 public:
  explicit Opened(std::string_view name) {
    REQUIRE(golden_archive().unpack(name, disk_.fs(), disk_.path()).ok());
  }
  absl::StatusOr<std::unique_ptr<Family>> open() {
    return local_family().open(
        {.fs = &disk_.fs(), .root = disk_.path(), .create = true, .options = {}});
  }
  GoldenArchive::Tree tree() { return read_tree(disk_.fs(), disk_.path()); }

 private:
  ScratchDisk disk_;
};

TEST_CASE("every damaged case has its verdict") {
  std::vector<std::string> judged;
  for (const Case& one : kCases) judged.emplace_back(one.name);
  REQUIRE(judged == golden_cases({"d"}));
  for (const Case& one : kCases) {
    INFO(one.name);
    const nlohmann::json expected = golden_expectation(one.name);
    Opened opened(one.name);
    if (one.verdict == Verdict::kRefused || one.verdict == Verdict::kStricter) {
      CHECK(braft_ok(expected) == (one.verdict == Verdict::kStricter));
      const auto family = opened.open();
      REQUIRE(absl::IsDataLoss(family.status()));
      CHECK_THAT(std::string(family.status().message()), Catch::Contains(std::string(one.why)));
      // A refusal changes nothing.
      CHECK(tree_differences(opened.tree(), *golden_archive().tree(one.name)) ==
            std::vector<std::string>{});
      continue;
    }
    for (int round = 0; round < 2; ++round) {
      const auto family = opened.open();
      INFO(family.status());
      REQUIRE(family.ok());
      if (one.verdict == Verdict::kAsBraft) {
        CHECK(differences(**family, expected) == std::vector<std::string>{});
        continue;
      }
      LogStorage& log = (*family)->log();
      CHECK(log.first_index() == one.first);
      CHECK(log.last_index() == one.last);
      CHECK(log.scan(one.first, one.last, [](const LogEntry&) { return absl::OkStatus(); }).ok());
      CHECK(meta_differences((*family)->meta(), expected["raft_meta"]) ==
            std::vector<std::string>{});
    }
  }
}

TEST_CASE("a listed snapshot file that is missing can be listed, but not read") {
  Opened opened("d57-snap-file-missing");
  const auto family = opened.open();
  REQUIRE(family.ok());
  const auto reader = (*family)->snapshot().open();
  REQUIRE(reader.ok());
  REQUIRE((*reader)->files().size() == 2);
  CHECK((*reader)->open_file("data").ok());
  CHECK(absl::IsDataLoss((*reader)->open_file("other").status()));
  CHECK(absl::IsNotFound((*reader)->open_file("unlisted").status()));
}

}  // namespace
}  // namespace qk::families
