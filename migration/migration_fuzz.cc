// Target: what a migrating node keeps beside its families: the manifest's slots and the intent
// journal's lanes (migration/manifest.h, migration/intent_journal.h).
//
// Input: a byte of mode, then a tree, which is NODE/migration. With the lowest bit of the mode set,
// the checksums are made right first. What loads is saved again and loads as the same.
#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"
#include "families/fs/file_util.h"
#include "migration/intent_journal.h"
#include "migration/manifest.h"
#include "tools/fuzz/memory_disk.h"
#include "tools/fuzz/target.h"

namespace qk::fuzz {
namespace {

using families::Lane;
using migration::Intent;
using migration::IntentJournal;
using migration::Manifest;
using migration::ManifestStore;

constexpr const char* kDirectory = "/migration";

// A CRC-32C over everything before it, behind a body whose length stands at `length_at`.
void repair(std::string* bytes, size_t length_at) {
  if (bytes->size() < length_at + 4) return;
  const size_t end = length_at + 4 + size_t{get_le32(bytes->data() + length_at)};
  if (end + 4 > bytes->size()) return;
  std::string checksum;
  put_le32(&checksum, crc32c(std::string_view(*bytes).substr(0, end)));
  bytes->replace(end, checksum.size(), checksum);
}

void check_manifest(MemoryDisk& disk) {
  ManifestStore store(&disk.fs(), kDirectory);
  const auto manifest = store.load();
  if (!manifest.ok() || !*manifest) return;
  QK_CHECK(store.save(**manifest).ok());
  ManifestStore reopened(&disk.fs(), kDirectory);
  const auto again = reopened.load();
  QK_CHECK(again.ok() && *again == *manifest);
}

void check_journal(MemoryDisk& disk) {
  const auto journal = IntentJournal::open(&disk.fs(), kDirectory);
  QK_CHECK(journal.ok());  // a torn record is none, and no error
  for (const Lane lane : {Lane::kLog, Lane::kMeta, Lane::kSnapshot}) {
    const auto intent = (*journal)->newest(lane);
    if (!intent || intent->seq == UINT64_MAX) continue;
    Intent next = *intent;
    ++next.seq;
    const Lane written = families::lane_of(next.operation);
    if (written != lane) continue;  // a record in another lane's file is compared by nobody
    QK_CHECK((*journal)->write(next).ok());
    const auto again = IntentJournal::open(&disk.fs(), kDirectory);
    QK_CHECK(again.ok() && (*again)->newest(lane) == next);
  }
}

}  // namespace

std::vector<std::string> seeds() {
  Manifest manifest;
  manifest.group_id = "group";
  manifest.peer_id = "127.0.0.1:8100:0:0";
  manifest.lineage = "lineage";
  manifest.generation = 2;
  manifest.phase = migration::Phase::kDualWrite;
  manifest.a = {
      "local", "/n/local", {{"segment_size", "1MiB"}}, "a", image::InstanceState::kCurrent};
  manifest.b = {"sqlite", "/n/sqlite-g2", {}, "b", image::InstanceState::kCatchingUp};
  manifest.export_cut = migration::CutRecord{7, 9, {}, "full", 11};

  Intent append;
  append.seq = 5;
  append.primary_instance = "a";
  append.mirror_instance = "b";
  append.entries = {{3, 4}, {3, 5}};
  append.pre_first = 1;
  append.pre_last = 8;
  Intent vote = append;
  vote.operation = families::Operation::kSaveMeta;
  vote.entries.clear();
  vote.hard_state = {4, "127.0.0.1:8101:0:0"};
  Intent publish = append;
  publish.operation = families::Operation::kPublish;
  publish.entries.clear();
  publish.snapshot = {8, 3, {"127.0.0.1:8100:0:0"}, {"127.0.0.1:8101:0:0"}};
  publish.pre_snapshot = publish.snapshot;

  std::vector<std::string> inputs;
  for (const bool both_slots : {false, true}) {
    MemoryDisk disk;
    ManifestStore store(&disk.fs(), kDirectory);
    QK_CHECK(store.save(manifest).ok());
    if (both_slots) QK_CHECK(store.save(manifest).ok());
    for (const bool journal_too : {false, true}) {
      if (journal_too) {
        const auto journal = IntentJournal::open(&disk.fs(), kDirectory);
        QK_CHECK(journal.ok());
        for (const Intent* intent : {&append, &vote, &publish}) {
          QK_CHECK((*journal)->write(*intent).ok());
        }
      }
      const std::string tree = encode_tree(read_tree(disk.fs(), kDirectory));
      inputs.push_back('\0' + tree);
      inputs.push_back('\1' + tree);
    }
  }
  return inputs;
}

void run(std::string_view input) {
  if (input.empty()) return;
  MemoryDisk disk;
  QK_CHECK(families::make_directories(disk.fs(), kDirectory).ok());
  for (auto& [path, bytes] : decode_tree(input.substr(1))) {
    // A directory in a file's place is not what is looked for here.
    if (path.find('/') != std::string::npos) continue;
    if ((input[0] & 1) != 0) repair(&bytes, path.rfind("manifest", 0) == 0 ? 16 : 8);
    disk.put(kDirectory, path, bytes);
  }
  check_manifest(disk);
  check_journal(disk);
}

}  // namespace qk::fuzz
