// Manifest and intent journal, each against damage of its own files; the phases that may follow
// each other.
#include "migration/manifest.h"

#include <catch2/catch.hpp>

#include "families/fs/file_util.h"
#include "migration/controller.h"
#include "migration/intent_journal.h"
#include "migration/test_util.h"

namespace qk::migration {
namespace {

Manifest sample(uint64_t generation) {
  Manifest manifest;
  manifest.group_id = "g";
  manifest.peer_id = "127.0.0.1:8100:0:0";
  manifest.lineage = "abc";
  manifest.generation = generation;
  manifest.phase = Phase::kDualWrite;
  manifest.authoritative = Side::kB;
  manifest.a = {
      "local", "/n/local", {{"segment_size", "1MiB"}}, "i1", image::InstanceState::kCurrent};
  manifest.b = {"sqlite", "/n/sqlite-g1", {}, "i2", image::InstanceState::kCatchingUp};
  CutRecord cut;
  cut.seq = 17;
  cut.last_index = 12;
  cut.digest[5] = 9;
  cut.proof_kind = "full";
  cut.time_ns = 5;
  manifest.export_cut = cut;
  manifest.cutover_cut = cut;
  manifest.reason = "why";
  return manifest;
}

void flip_both_copies(TempDir& dir, const std::string& slot, uint64_t offset) {
  const uint64_t size = dir.fs().stat(dir.path(slot))->size;
  dir.flip_byte(slot, offset);
  dir.flip_byte(slot, size / 2 + offset);
}

TEST_CASE("a manifest comes back as it was saved, and the newest wins") {
  TempDir dir;
  {
    ManifestStore store(&dir.fs(), dir.path("migration"));
    CHECK_FALSE(store.load().value().has_value());
    for (uint64_t g = 1; g <= 5; ++g) REQUIRE(store.save(sample(g)).ok());
  }
  ManifestStore store(&dir.fs(), dir.path("migration"));
  const auto loaded = store.load();
  REQUIRE(loaded.ok());
  REQUIRE(loaded->has_value());
  CHECK(**loaded == sample(5));
  REQUIRE(store.save(sample(6)).ok());
  CHECK(**store.load() == sample(6));
}

// Rot of one sector: the mark that the node relied on must not be taken for a torn one.
TEST_CASE("damage to one copy in the newest slot is survived and repaired") {
  for (const uint64_t copy : {0u, 1u}) {
    TempDir dir;
    ManifestStore store(&dir.fs(), dir.path("migration"));
    REQUIRE(store.save(sample(1)).ok());
    REQUIRE(store.save(sample(2)).ok());
    const std::string path = dir.path("migration/manifest-1");
    const std::string before = families::read_file(dir.fs(), path, 1 << 20).value();
    dir.flip_byte("migration/manifest-1", copy * before.size() / 2 + 30);
    CHECK(**store.load() == sample(2));
    REQUIRE(store.make_durable().ok());
    CHECK(families::read_file(dir.fs(), path, 1 << 20).value() == before);
    CHECK(**store.load() == sample(2));
  }
}

TEST_CASE("a slot of one copy, as they were, is read") {
  TempDir dir;
  ManifestStore store(&dir.fs(), dir.path("migration"));
  REQUIRE(store.save(sample(1)).ok());
  const std::string path = dir.path("migration/manifest-0");
  std::string bytes = families::read_file(dir.fs(), path, 1 << 20).value();
  bytes.resize(bytes.size() / 2);
  bytes.resize(bytes.find_last_not_of('\0') + 1);
  REQUIRE(families::write_file(dir.fs(), path, bytes).ok());
  CHECK(**store.load() == sample(1));
}

TEST_CASE("a damaged slot leaves the manifest before it; two damaged slots are never idle") {
  TempDir dir;
  ManifestStore store(&dir.fs(), dir.path("migration"));
  REQUIRE(store.save(sample(1)).ok());  // slot 0
  REQUIRE(store.save(sample(2)).ok());  // slot 1
  flip_both_copies(dir, "migration/manifest-1", 30);
  CHECK(**store.load() == sample(1));
  // The next save must not overwrite the only valid slot.
  REQUIRE(store.save(sample(3)).ok());
  CHECK(**store.load() == sample(3));
  flip_both_copies(dir, "migration/manifest-0", 30);
  CHECK(**store.load() == sample(3));
  flip_both_copies(dir, "migration/manifest-1", 30);
  CHECK(store.load().status().code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("every flipped byte of a manifest slot is noticed") {
  TempDir dir;
  ManifestStore store(&dir.fs(), dir.path("migration"));
  REQUIRE(store.save(sample(1)).ok());
  const std::string bytes =
      families::read_file(dir.fs(), dir.path("migration/manifest-0"), 1 << 20).value();
  const uint64_t size = bytes.size() / 2;
  for (uint64_t offset = 0; offset < size; ++offset) {
    INFO("offset " << offset);
    if (bytes[offset] == 0 && bytes.find_first_not_of('\0', offset) >= size) break;  // filling
    flip_both_copies(dir, "migration/manifest-0", offset);
    CHECK(store.load().status().code() == absl::StatusCode::kDataLoss);
    flip_both_copies(dir, "migration/manifest-0", offset);
  }
  CHECK(**store.load() == sample(1));
}

TEST_CASE("the phase automaton allows the edges of the transition table and no other") {
  const auto legal = [](Phase from, Phase to) { return is_legal_transition(from, to); };
  CHECK(legal(Phase::kIdle, Phase::kExporting));
  CHECK(legal(Phase::kValidated, Phase::kExporting));
  CHECK(legal(Phase::kCutoverValidated, Phase::kDualWrite));
  CHECK(legal(Phase::kCutOver, Phase::kAccepted));
  CHECK(legal(Phase::kDualWrite, Phase::kRolledBack));
  CHECK_FALSE(legal(Phase::kIdle, Phase::kDualWrite));
  CHECK_FALSE(legal(Phase::kDualWrite, Phase::kCutOver));
  CHECK_FALSE(legal(Phase::kDualWrite, Phase::kExporting));
  CHECK_FALSE(legal(Phase::kAccepted, Phase::kRolledBack));
  CHECK_FALSE(legal(Phase::kCutOver, Phase::kRolledBack));  // RB2 is not in this build
  CHECK_FALSE(legal(Phase::kIdle, Phase::kRolledBack));
}

Intent sample_intent(uint64_t seq) {
  Intent intent;
  intent.seq = seq;
  intent.operation = families::Operation::kAppend;
  intent.primary_instance = "p";
  intent.mirror_instance = "m";
  intent.entries = {{3, 77}, {4, 78}};
  intent.pre_first = 2;
  intent.pre_last = 9;
  intent.pre_hard_state = {4, "127.0.0.1:8100:0:0"};
  intent.pre_snapshot = families::SnapshotMeta{5, 2, {"a"}, {"b"}};
  return intent;
}

TEST_CASE("the journal keeps the newest record of each lane; a torn one never began") {
  TempDir dir;
  {
    auto journal = IntentJournal::open(&dir.fs(), dir.path("migration"));
    REQUIRE(journal.ok());
    for (uint64_t seq = 1; seq <= 4; ++seq) REQUIRE((*journal)->write(sample_intent(seq)).ok());
  }
  {
    auto journal = IntentJournal::open(&dir.fs(), dir.path("migration"));
    REQUIRE(journal.ok());
    CHECK((*journal)->newest(families::Lane::kLog) == sample_intent(4));
    CHECK_FALSE((*journal)->newest(families::Lane::kMeta).has_value());
  }
  dir.flip_byte("migration/journal-log", 64 * 1024 + 20);  // record 4 is in the second slot
  {
    auto journal = IntentJournal::open(&dir.fs(), dir.path("migration"));
    REQUIRE(journal.ok());
    CHECK((*journal)->newest(families::Lane::kLog) == sample_intent(3));
    // The next record goes to the damaged slot, not over the valid one.
    REQUIRE((*journal)->write(sample_intent(5)).ok());
    dir.flip_byte("migration/journal-log", 64 * 1024 + 20);
  }
  auto journal = IntentJournal::open(&dir.fs(), dir.path("migration"));
  REQUIRE(journal.ok());
  CHECK((*journal)->newest(families::Lane::kLog) == sample_intent(3));
  REQUIRE(IntentJournal::remove(&dir.fs(), dir.path("migration")).ok());
  CHECK(dir.fs().list(dir.path("migration"))->empty());
}

}  // namespace
}  // namespace qk::migration
