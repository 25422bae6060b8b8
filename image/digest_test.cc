// The state digest: every field counts, layout does not; the cache never changes the result; what
// cannot be read has no digest.
#include "image/digest.h"

#include <catch2/catch.hpp>

#include "image/test_state.h"

namespace qk::image {
namespace {

std::string digest_of(Family& family) { return to_hex(compute_digest(family).value()); }

TEST_CASE("digest: equal states made differently have one digest") {
  TestDisk disk;
  auto a = disk.create("a");
  fill(*a);
  auto b = disk.create("b");
  REQUIRE(b->log().reset(8600).ok());
  for (int64_t index = 8600; index <= 10300; index += 300) {
    append(*b, index, std::min<int64_t>(index + 299, 10300));
  }
  append(*b, 10301, 10310);
  REQUIRE(b->log().truncate_suffix(10300).ok());
  REQUIRE(publish(*b, {8000, 2, {}, {}}, {{"old", "x", {}}}).ok());
  REQUIRE(publish(*b, kTestSnapshot, test_files()).ok());
  REQUIRE(b->meta().save({19, ""}).ok());
  REQUIRE(b->meta().save({20, "127.0.0.1:8101:0:0"}).ok());
  REQUIRE(compute_digest(*a).value() == compute_digest(*b).value());
}

TEST_CASE("digest: each field of the state changes it, in its own domain") {
  TestDisk disk;
  int made = 0;
  // Builds the small state with one thing changed and compares with the original.
  const auto differs = [&](const std::function<void(std::vector<LogEntry>*, families::HardState*,
                                                    families::SnapshotMeta*, std::vector<TestFile>*,
                                                    int64_t*)>& change) {
    std::vector<LogEntry> entries{test_entry(7), test_entry(8), test_entry(9)};
    families::HardState hard_state{5, "127.0.0.1:8100:0:0"};
    families::SnapshotMeta meta{6, 1, {"127.0.0.1:8100:0:0"}, {}};
    std::vector<TestFile> files{{"data", "v", {"m", 0, "c"}}};
    int64_t first = 7;
    change(&entries, &hard_state, &meta, &files, &first);
    auto family = disk.create(cat("f", made++));
    REQUIRE(family->meta().save(hard_state).ok());
    REQUIRE(publish(*family, meta, files).ok());
    REQUIRE(family->log().reset(first).ok());
    REQUIRE(family->log().append(entries).ok());
    return compute_digest(*family).value();
  };
  const StateDigest original = differs([](auto*, auto*, auto*, auto*, auto*) {});
  const auto log = [&](const StateDigest& d) {
    return d.log != original.log && d.meta == original.meta && d.snapshot == original.snapshot &&
           d.overall != original.overall;
  };
  const auto meta = [&](const StateDigest& d) {
    return d.log == original.log && d.meta != original.meta && d.snapshot == original.snapshot &&
           d.overall != original.overall;
  };
  const auto snapshot = [&](const StateDigest& d) {
    return d.log == original.log && d.meta == original.meta && d.snapshot != original.snapshot &&
           d.overall != original.overall;
  };
  REQUIRE(differs([](auto*, auto*, auto*, auto*, auto*) {}) == original);
  REQUIRE(log(differs([](auto* e, auto*, auto*, auto*, auto*) { (*e)[1].term = 2; })));
  REQUIRE(log(differs([](auto* e, auto*, auto*, auto*, auto*) { (*e)[1].payload += "x"; })));
  REQUIRE(log(differs(
      [](auto* e, auto*, auto*, auto*, auto*) { (*e)[0].type = families::EntryType::kData; })));
  REQUIRE(log(differs([](auto* e, auto*, auto*, auto*, auto*) { e->pop_back(); })));
  REQUIRE(log(differs([](auto* e, auto*, auto*, auto*, int64_t* first) {
    *first = 8;
    e->erase(e->begin());
  })));
  REQUIRE(meta(differs([](auto*, auto* h, auto*, auto*, auto*) { h->term = 6; })));
  REQUIRE(meta(differs([](auto*, auto* h, auto*, auto*, auto*) { h->voted_for.clear(); })));
  REQUIRE(snapshot(differs([](auto*, auto*, auto* m, auto*, auto*) { m->last_included_index++; })));
  REQUIRE(snapshot(differs([](auto*, auto*, auto* m, auto*, auto*) { m->last_included_term++; })));
  REQUIRE(snapshot(differs([](auto*, auto*, auto* m, auto*, auto*) { m->peers.clear(); })));
  REQUIRE(snapshot(
      differs([](auto*, auto*, auto* m, auto*, auto*) { std::swap(m->peers, m->old_peers); })));
  REQUIRE(snapshot(differs([](auto*, auto*, auto*, auto* f, auto*) { (*f)[0].path = "date"; })));
  REQUIRE(snapshot(differs([](auto*, auto*, auto*, auto* f, auto*) { (*f)[0].bytes = "w"; })));
  REQUIRE(snapshot(
      differs([](auto*, auto*, auto*, auto* f, auto*) { (*f)[0].meta.user_meta.reset(); })));
  REQUIRE(snapshot(differs([](auto*, auto*, auto*, auto* f, auto*) { (*f)[0].meta.source = 1; })));
  REQUIRE(
      snapshot(differs([](auto*, auto*, auto*, auto* f, auto*) { (*f)[0].meta.checksum = "d"; })));
  REQUIRE(snapshot(differs([](auto*, auto*, auto*, auto* f, auto*) {
    f->push_back({"empty", "", {}});
  })));
}

TEST_CASE("digest: the range of an empty log and the absence of a snapshot count") {
  TestDisk disk;
  auto fresh = disk.create("fresh");
  auto reset = disk.create("reset");
  REQUIRE(reset->log().reset(5).ok());
  REQUIRE(digest_of(*fresh) != digest_of(*reset));
  auto snapshot = disk.create("snapshot");
  REQUIRE(publish(*snapshot, {1, 1, {}, {}}, {}).ok());
  REQUIRE(digest_of(*fresh) != digest_of(*snapshot));
}

TEST_CASE("digest: a cache gives the same result and reads only what changed") {
  TestDisk disk;
  ToyFaults faults;
  disk.registry.add(faulty_toy_family(&faults));
  auto family = disk.create("a", "faulty-toy");
  fill(*family);
  DigestCache cache;
  REQUIRE(compute_digest(*family, &cache).value() == compute_digest(*family).value());
  // 8600..9215 is trimmed by the range, 9216..10239 is a whole block, 10240..10300 is the tail.
  REQUIRE(cache.blocks() == 1);

  faults.unreadable = {9216, 9217, 10239};
  REQUIRE(absl::IsDataLoss(compute_digest(*family).status()));
  REQUIRE(compute_digest(*family, &cache).ok());
  faults.unreadable = {};
  append(*family, 10301, 12300);
  REQUIRE(compute_digest(*family, &cache).value() == compute_digest(*family).value());
  REQUIRE(cache.blocks() == 3);

  // Replace a suffix; without the invalidation the cached blocks would hide it.
  REQUIRE(family->log().truncate_suffix(11000).ok());
  cache.invalidate_from(11001);
  REQUIRE(cache.blocks() == 1);
  std::vector<LogEntry> other;
  for (int64_t index = 11001; index <= 12300; ++index) {
    other.push_back({index, 40, families::EntryType::kData, "other"});
  }
  REQUIRE(family->log().append(other).ok());
  REQUIRE(compute_digest(*family, &cache).value() == compute_digest(*family).value());

  REQUIRE(family->log().truncate_prefix(10000).ok());
  cache.drop_below(10000);
  REQUIRE(cache.blocks() == 2);
  REQUIRE(compute_digest(*family, &cache).value() == compute_digest(*family).value());

  REQUIRE(publish(*family, {10100, 15, {}, {}}, {{"n", "new", {}}}).ok());
  REQUIRE(compute_digest(*family, &cache).value() == compute_digest(*family).value());
}

TEST_CASE("digest: what cannot be read has none") {
  TestDisk disk;
  ToyFaults faults;
  disk.registry.add(faulty_toy_family(&faults));
  auto family = disk.create("a", "faulty-toy");
  fill(*family);
  SECTION("an unreadable entry") {
    faults.unreadable = {9000};
    REQUIRE(absl::IsDataLoss(compute_digest(*family).status()));
  }
  SECTION("a scan that ends early and says nothing") {
    faults.lost_in_scan = 9000;
    REQUIRE(absl::IsDataLoss(compute_digest(*family).status()));
  }
  SECTION("a listed file that is missing") {
    const std::string tree = family->snapshot().open().value()->get_path();
    REQUIRE(disk.fs.unlink(families::join_path(tree, "a-b")).ok());
    REQUIRE(absl::IsDataLoss(compute_digest(*family).status()));
  }
}

}  // namespace
}  // namespace qk::image
