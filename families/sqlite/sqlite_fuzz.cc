// Target: the root of an instance of the sqlite family (families/sqlite/database.h): database,
// write-ahead log, rollback journal, snapshot trees.
//
// Input: a byte of mode, then a tree, which is the root. Mode bit 0: the checksums of the
// database's pages are made right first; bit 1: those of the WAL's frames. What opens shows the
// same when it is opened again.
#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"
#include "families/fs/file_util.h"
#include "families/sqlite/engine.h"
#include "families/sqlite/sqlite_family.h"
#include "families/sqlite/vfs.h"
#include "families/sqlite/wal.h"
#include "families/testing/reading.h"
#include "tools/fuzz/memory_disk.h"
#include "tools/fuzz/target.h"

namespace qk::fuzz {
namespace {

using families::Family;

constexpr const char* kRoot = "/root";
constexpr const char* kPeer = "127.0.0.1:8100:0:0";

size_t page_size_of(std::string_view db) {
  if (db.size() < 100) return 0;
  const size_t stored =
      static_cast<unsigned char>(db[16]) << 8 | static_cast<unsigned char>(db[17]);
  const size_t size = stored == 1 ? 65536 : stored;
  return size >= 512 && (size & (size - 1)) == 0 ? size : 0;
}

void repair_pages(std::string* db) {
  const size_t page_size = page_size_of(*db);
  if (page_size == 0) return;
  for (size_t at = 0; at + page_size <= db->size(); at += page_size) {
    std::string number;
    put_le64(&number, at / page_size + 1);
    const size_t end = at + page_size - families::kPageReservedBytes;
    const uint32_t crc = crc32c_extend(crc32c(std::string_view(*db).substr(at, end - at)), number);
    std::string checksum;
    put_le32(&checksum, crc);
    db->replace(end, checksum.size(), checksum);
  }
}

struct WalSum {
  uint32_t a = 0;
  uint32_t b = 0;

  void add(std::string_view bytes, bool big_endian) {
    for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      const char* p = bytes.data() + i;
      a += (big_endian ? get_be32(p) : get_le32(p)) + b;
      b += (big_endian ? get_be32(p + 4) : get_le32(p + 4)) + a;
    }
  }
  void store(std::string* bytes, size_t at) const {
    std::string stored;
    put_be32(&stored, a);
    put_be32(&stored, b);
    bytes->replace(at, stored.size(), stored);
  }
};

void repair_wal(std::string* wal, size_t page_size) {
  if (page_size == 0 || wal->size() < families::kWalHeaderBytes) return;
  const bool big_endian = ((*wal)[3] & 1) != 0;
  WalSum sum;
  sum.add(std::string_view(*wal).substr(0, 24), big_endian);
  sum.store(wal, 24);
  const std::string salts = wal->substr(16, 8);
  const size_t frame = families::kWalFrameHeaderBytes + page_size;
  for (size_t at = families::kWalHeaderBytes; at + frame <= wal->size(); at += frame) {
    wal->replace(at + 8, salts.size(), salts);
    sum.add(std::string_view(*wal).substr(at, 8), big_endian);
    sum.add(std::string_view(*wal).substr(at + families::kWalFrameHeaderBytes, page_size),
            big_endian);
    sum.store(wal, at + 16);
  }
}

absl::StatusOr<std::unique_ptr<Family>> open(MemoryDisk& disk, bool create,
                                             families::FamilyOptions options = {}) {
  return families::sqlite_family().open(
      {.fs = &disk.fs(), .root = kRoot, .create = create, .options = std::move(options)});
}

void fill(Family& family) {
  std::vector<families::LogEntry> entries;
  for (int64_t i = 1; i <= 6; ++i) {
    entries.push_back({i, 1, families::EntryType::kData, std::string(40 * i, 'x')});
  }
  QK_CHECK(family.log().append(entries).ok());
  QK_CHECK(family.meta().save({2, kPeer}).ok());
  auto writer = family.snapshot().create();
  QK_CHECK(writer.ok());
  auto file = (*writer)->create_file("data");
  QK_CHECK(file.ok() && (*file)->write_at(0, "state").ok());
  QK_CHECK((*writer)->add_file("data", {}).ok());
  QK_CHECK((*writer)->save_meta({3, 1, {kPeer}, {}}).ok());
  QK_CHECK(family.snapshot().publish(*std::move(writer)).ok());
}

}  // namespace

std::vector<std::string> seeds() {
  families::sqlite_reset_for_run(1);
  std::vector<std::string> inputs;
  for (const char* journal : {"WAL", "DELETE"}) {
    for (const bool closed : {true, false}) {
      MemoryDisk disk;
      auto family = open(disk, true, {{"journal", journal}, {"page_size", "1024"}});
      QK_CHECK(family.ok());
      fill(**family);
      if (closed) family->reset();  // folds the WAL; otherwise it lies beside the database
      const std::string tree = encode_tree(read_tree(disk.fs(), kRoot));
      for (const char mode : {0, 1, 2, 3}) inputs.push_back(mode + tree);
    }
  }
  return inputs;
}

void run(std::string_view input) {
  if (input.empty()) return;
  families::sqlite_reset_for_run(1);
  Tree tree = decode_tree(input.substr(1));
  if ((input[0] & 1) != 0) repair_pages(&tree["db"]);
  if ((input[0] & 2) != 0) repair_wal(&tree["db-wal"], page_size_of(tree["db"]));
  MemoryDisk disk;
  for (const auto& [path, bytes] : tree) disk.put(kRoot, path, bytes);
  std::string found;
  {
    const auto family = open(disk, false);
    if (!family.ok()) return;
    found = families::to_text(read_everything(**family));
  }
  const auto again = open(disk, false);
  QK_CHECK(again.ok());
  QK_CHECK(families::to_text(read_everything(**again)) == found);
}

}  // namespace qk::fuzz
