// The equivalence report: for each mutant the right domain, kind and earliest place (EV-26..EV-29);
// no pass without reading (EV-X1).
#include "image/report.h"

#include "image/test_state.h"

namespace qk::image {
namespace {

struct Pair {
  TestDisk disk;
  ToyFaults faults;
  std::unique_ptr<Family> a;
  std::unique_ptr<Family> b;

  Pair() {
    disk.registry.add(faulty_toy_family(&faults));
    a = disk.create("a");
    b = disk.create("b", "faulty-toy");
  }
  Difference only() {
    const EquivalenceReport report = compare(*a, *b, 17);
    INFO(to_text(report));
    REQUIRE_FALSE(report.equal);
    REQUIRE(report.differences.size() == 1);
    return report.differences.front();
  }
};

TEST_CASE("report: equal states, with what was compared") {
  Pair pair;
  fill(*pair.a);
  fill(*pair.b);
  const EquivalenceReport report = compare(*pair.a, *pair.b, 17);
  REQUIRE(report.equal);
  REQUIRE(report.entries_compared == 1701);
  REQUIRE(report.files_compared == 4);
  REQUIRE(report.file_bytes_compared == 5 + kChunkBytes * 3 + 5);
  REQUIRE(to_text(report) ==
          "equal at cut 17: 1701 entries, term and vote, 4 snapshot files of 196618 bytes");
}

TEST_CASE("report: two fresh instances are equal, and the counts say how little that is") {
  Pair pair;
  const EquivalenceReport report = compare(*pair.a, *pair.b, 1);
  REQUIRE(report.equal);
  REQUIRE(report.entries_compared == 0);
}

TEST_CASE("report: the earliest differing entry, exactly") {
  // First and last of the log, of a block, and in between.
  for (const int64_t index : {8600, 8601, 9215, 9216, 10239, 10240, 10300}) {
    Pair pair;
    fill(*pair.a);
    pair.faults.mangled = index;
    fill(*pair.b);
    const Difference found = pair.only();
    REQUIRE(found.domain == Domain::kLog);
    REQUIRE(found.kind == DifferenceKind::kContent);
    REQUIRE(found.index == index);
    REQUIRE(found.last_equal == (index == 8600 ? 0 : index - 1));
    REQUIRE(found.a != found.b);
  }
}

TEST_CASE("report: each field of an entry counts") {
  for (int field = 0; field < 3; ++field) {
    Pair pair;
    append(*pair.a, 1, 10);
    append(*pair.b, 1, 4);
    LogEntry changed = test_entry(5);
    if (field == 0) changed.term = 2;
    if (field == 1) changed = {5, changed.term, families::EntryType::kNoOp, ""};
    if (field == 2) changed.payload = "payload-6";
    REQUIRE(pair.b->log().append({&changed, 1}).ok());
    for (int64_t index = 6; index <= 10; ++index) {
      LogEntry entry = test_entry(index);
      entry.term = 2;  // several differ; the earliest is reported
      REQUIRE(pair.b->log().append({&entry, 1}).ok());
    }
    REQUIRE(pair.only().index == 5);
  }
}

TEST_CASE("report: ranges") {
  Pair pair;
  fill(*pair.a);
  fill(*pair.b);
  SECTION("a mirror that lags is not fresh") {
    REQUIRE(pair.b->log().truncate_suffix(10250).ok());
    const Difference found = pair.only();
    REQUIRE(found.kind == DifferenceKind::kFreshness);
    REQUIRE(found.index == 10251);
    REQUIRE(found.last_equal == 10250);
  }
  SECTION("a mirror that has more") {
    append(*pair.b, 10301, 10302);
    const Difference found = pair.only();
    REQUIRE(found.kind == DifferenceKind::kStructural);
    REQUIRE(found.index == 10301);
  }
  SECTION("another first index") {
    REQUIRE(pair.b->log().truncate_prefix(8601).ok());
    const Difference found = pair.only();
    REQUIRE(found.kind == DifferenceKind::kStructural);
    REQUIRE(found.index == 8600);
  }
  SECTION("a content difference before the end of the shorter log comes first") {
    REQUIRE(pair.b->log().truncate_suffix(10249).ok());
    pair.faults.mangled = 10250;
    append(*pair.b, 10250, 10260);
    const Difference found = pair.only();
    REQUIRE(found.kind == DifferenceKind::kContent);
    REQUIRE(found.index == 10250);
  }
  REQUIRE(pair.only().domain == Domain::kLog);
}

TEST_CASE("report: term and vote") {
  Pair pair;
  fill(*pair.a);
  fill(*pair.b);
  REQUIRE(pair.b->meta().save({21, ""}).ok());
  const Difference found = pair.only();
  REQUIRE(found.domain == Domain::kMeta);
  REQUIRE(found.kind == DifferenceKind::kContent);
  REQUIRE(found.a == "term 20, vote 127.0.0.1:8101:0:0");
  REQUIRE(found.b == "term 21, vote nobody");
}

TEST_CASE("report: snapshots") {
  Pair pair;
  std::vector<TestFile> files = test_files();
  families::SnapshotMeta meta = kTestSnapshot;
  DifferenceKind kind = DifferenceKind::kContent;
  std::string path;
  bool published = true;
  SECTION("other bytes") {
    files[2].bytes[kChunkBytes] = 'y';
    path = files[2].path;
  }
  SECTION("other length") {
    files[1].bytes = "x";
    path = "a-b";
  }
  SECTION("other file meta") {
    files[3].meta.source = 1;
    path = "dir/exact";
  }
  SECTION("missing file") {
    files.erase(files.begin() + 1);
    kind = DifferenceKind::kStructural;
    path = "a-b";
  }
  SECTION("moved file") {
    files[1].path = "b";
    kind = DifferenceKind::kStructural;
    path = "a-b";
  }
  SECTION("added file") {
    files.push_back({"z", "", {}});
    kind = DifferenceKind::kStructural;
    path = "z";
  }
  SECTION("term") { meta.last_included_term = 4; }
  SECTION("peers") { meta.old_peers.clear(); }
  SECTION("older") {
    meta.last_included_index = 8634;
    kind = DifferenceKind::kFreshness;
  }
  SECTION("newer") {
    meta.last_included_index = 8636;
    kind = DifferenceKind::kStructural;
  }
  SECTION("absent") {
    published = false;
    kind = DifferenceKind::kFreshness;
  }
  REQUIRE(publish(*pair.a, kTestSnapshot, test_files()).ok());
  if (published) REQUIRE(publish(*pair.b, meta, files).ok());
  const Difference found = pair.only();
  REQUIRE(found.domain == Domain::kSnapshot);
  REQUIRE(found.kind == kind);
  REQUIRE(found.path == path);
  REQUIRE(found.index == 8635);
}

TEST_CASE("report: one difference per domain, in their order") {
  Pair pair;
  fill(*pair.a);
  append(*pair.b, 1, 3);
  const EquivalenceReport report = compare(*pair.a, *pair.b, 17);
  REQUIRE(report.differences.size() == 3);
  REQUIRE(report.differences[0].domain == Domain::kLog);
  REQUIRE(report.differences[1].domain == Domain::kMeta);
  REQUIRE(report.differences[2].domain == Domain::kSnapshot);
}

TEST_CASE("report: what cannot be read is not a pass") {
  Pair pair;
  fill(*pair.a);
  fill(*pair.b);
  SECTION("entry") { pair.faults.unreadable = {9300}; }
  SECTION("scan that ends silently") { pair.faults.lost_in_scan = 10300; }
  SECTION("file") {
    const std::string tree = pair.b->snapshot().open().value()->get_path();
    REQUIRE(pair.disk.fs.unlink(families::join_path(tree, "dir/exact")).ok());
  }
  const Difference found = pair.only();
  REQUIRE(found.kind == DifferenceKind::kUnreadable);
  REQUIRE(found.a.empty());
  REQUIRE_FALSE(found.b.empty());
}

}  // namespace
}  // namespace qk::image
