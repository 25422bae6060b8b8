// Damage to a closed database: a flipped bit in every few bytes of every file, files cut short and
// files removed. The database then holds the right rows, or an error names the file; the last
// record of the newest WAL alone may be missing, because rot there looks like a torn tail.
#include <catch2/catch.hpp>
#include <vector>

#include "families/engine/log_scan.h"
#include "families/rocksdb/test_util.h"

namespace qk::families {
namespace {

constexpr RocksOptions kThreeFiles = {.flush_bytes = 4096, .compaction_files = 3};

std::vector<std::string> files_of(MemoryDisk& disk, std::string_view begin, std::string_view end) {
  std::vector<std::string> files;
  const auto names = disk.fs.list(disk.path);
  REQUIRE_OK(names);
  for (const std::string& name : *names) {
    if (name.starts_with(begin) && name.ends_with(end)) files.push_back(join_path(disk.path, name));
  }
  return files;
}

std::string bytes_of(MemoryDisk& disk, const std::string& file) {
  const auto bytes = read_file(disk.fs, file, 1 << 20);
  REQUIRE_OK(bytes);
  return *bytes;
}

// Commits rows [from, to), one by one.
Rows fill(KvEngine& engine, int from, int to, bool drained) {
  Rows rows;
  for (int i = from; i < to; ++i) {
    const Rows row = {{row_key(i), row_value(i, 100)}};
    REQUIRE_OK(put_rows(engine, row));
    rows.insert(*row.begin());
    if (drained) REQUIRE_OK(drain(engine));
  }
  return rows;
}

// Table files of both levels, and what was committed since the last flush in the newest WAL.
Rows make_database(MemoryDisk& disk, int count) {
  const auto engine = open_rocks_engine(&disk.fs, disk.path, true, kThreeFiles);
  REQUIRE_OK(engine);
  return fill(**engine, 0, count, true);
}

// What an open of the damaged database shows.
absl::StatusOr<Rows> reopen(MemoryDisk& disk) {
  QK_ASSIGN_OR_RETURN(const auto engine,
                      open_rocks_engine(&disk.fs, disk.path, false, kThreeFiles));
  return read_rows(*engine);
}

// On an overlay of the disk, so that each attempt starts from the same files.
absl::StatusOr<Rows> reopen_with(MemoryDisk& disk, const std::string& file,
                                 const std::string& bytes) {
  OverlayFileSystem damaged(&disk.fs);
  QK_RETURN_IF_ERROR(write_file(damaged, file, bytes));
  QK_ASSIGN_OR_RETURN(const auto engine,
                      open_rocks_engine(&damaged, disk.path, false, kThreeFiles));
  return read_rows(*engine);
}

struct Counts {
  int equal = 0;
  int refused = 0;
  int short_by_one = 0;
};

Counts flip_each(MemoryDisk& disk, const std::string& file, const Rows& rows, size_t stride) {
  Rows but_last = rows;
  but_last.erase(std::prev(but_last.end()));
  const std::string bytes = bytes_of(disk, file);
  Counts counts;
  for (size_t at = 0; at < bytes.size(); at += stride) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
    const absl::StatusOr<Rows> found = reopen_with(disk, file, damaged);
    INFO(file << " byte " << at << ": " << found.status());
    if (!found.ok()) {
      REQUIRE(absl::IsDataLoss(found.status()));
      REQUIRE(found.status().message().find(to_absl(base_name(file))) != absl::string_view::npos);
      ++counts.refused;
    } else if (*found == rows) {
      ++counts.equal;
    } else {
      REQUIRE(*found == but_last);
      ++counts.short_by_one;
    }
  }
  return counts;
}

TEST_CASE("rocksdb: a flipped bit in a WAL is an error unless it is in the last record") {
  MemoryDisk disk;
  const Rows rows = make_database(disk, 60);
  const std::vector<std::string> wals = files_of(disk, "", ".log");
  REQUIRE(wals.size() == 1);
  const size_t size = bytes_of(disk, wals[0]).size();
  REQUIRE(size > 1000);
  const Counts counts = flip_each(disk, wals[0], rows, 3);
  CHECK(counts.equal == 0);
  // A record takes 130 bytes.
  CHECK(counts.short_by_one * 3 <= 135);
  CHECK(counts.refused > 100);
}

TEST_CASE("rocksdb: a WAL that is not the newest has no torn tail") {
  MemoryDisk disk;
  Rows rows;
  {
    const auto engine = open_rocks_engine(&disk.fs, disk.path, true, {});
    REQUIRE_OK(engine);
    rows = fill(**engine, 0, 5, false);
  }
  const std::string older = files_of(disk, "", ".log").at(0);
  {
    const auto engine = open_rocks_engine(&disk.fs, disk.path, false, {});
    REQUIRE_OK(engine);
    rows.merge(fill(**engine, 5, 10, false));
  }
  REQUIRE(files_of(disk, "", ".log").size() == 2);
  const Counts counts = flip_each(disk, older, rows, 5);
  CHECK(counts.refused * 5 >= static_cast<int>(bytes_of(disk, older).size()));
}

TEST_CASE("rocksdb: a WAL cut short at any byte shows the commits before, again and again") {
  MemoryDisk disk;
  Rows rows;
  {
    const auto engine = open_rocks_engine(&disk.fs, disk.path, true, {});
    REQUIRE_OK(engine);
    rows = fill(**engine, 0, 5, false);
  }
  const std::string wal = files_of(disk, "", ".log").at(0);
  const std::string bytes = bytes_of(disk, wal);
  for (size_t size = 0; size < bytes.size(); size += size % 5 + 1) {
    // What grew the file may be zeros or rubbish.
    for (const std::string& tail : {std::string(), std::string(90, '\0'), std::string(90, '#')}) {
      CAPTURE(size, tail);
      OverlayFileSystem torn(&disk.fs);
      REQUIRE_OK(write_file(torn, wal, bytes.substr(0, size) + tail));
      for (int round = 0; round < 2; ++round) {
        const auto engine = open_rocks_engine(&torn, disk.path, false, {});
        REQUIRE_OK(engine);
        const size_t whole = size / (bytes.size() / 5);
        CHECK(read_rows(**engine)->size() == whole);
      }
    }
  }
}

TEST_CASE("rocksdb: a flipped bit in a MANIFEST never loses a row") {
  MemoryDisk disk;
  // 34 rows fill a memtable: with 36 the last edit is a flush, with 105 a compaction.
  const int count = GENERATE(20, 36, 60, 105);
  const Rows rows = make_database(disk, count);
  const std::string manifest = files_of(disk, "MANIFEST-", "").at(0);
  const std::string bytes = bytes_of(disk, manifest);
  int refused = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
    const absl::StatusOr<Rows> found = reopen_with(disk, manifest, damaged);
    INFO(count << " rows, byte " << at << " of " << bytes.size() << ": " << found.status());
    if (found.ok()) {
      REQUIRE(*found == rows);
    } else {
      REQUIRE(absl::IsDataLoss(found.status()));
      ++refused;
    }
  }
  CHECK(refused > 20);
}

TEST_CASE("rocksdb: CURRENT and what it names must be there and whole") {
  MemoryDisk disk;
  const Rows rows = make_database(disk, 60);
  const std::string current = join_path(disk.path, "CURRENT");
  CHECK(flip_each(disk, current, rows, 1).equal == 0);
  CHECK(absl::IsDataLoss(reopen_with(disk, current, "").status()));
  const std::string manifest = files_of(disk, "MANIFEST-", "").at(0);
  CHECK(absl::IsDataLoss(reopen_with(disk, manifest, "").status()));
  SECTION("CURRENT is missing") { REQUIRE_OK(disk.fs.unlink(current)); }
  SECTION("MANIFEST is missing") { REQUIRE_OK(disk.fs.unlink(manifest)); }
  const absl::StatusOr<Rows> found = reopen(disk);
  INFO(found.status());
  CHECK(absl::IsDataLoss(found.status()));
}

TEST_CASE("rocksdb: a flipped bit in a table file never shows a wrong row") {
  MemoryDisk disk;
  const Rows rows = make_database(disk, 60);
  const std::string table = files_of(disk, "", ".sst").at(0);
  const Counts counts = flip_each(disk, table, rows, 11);
  CHECK(counts.short_by_one == 0);
  CHECK(counts.refused > 100);
}

TEST_CASE("rocksdb: a missing table file or WAL is an error") {
  MemoryDisk disk;
  {
    const auto engine = open_rocks_engine(&disk.fs, disk.path, true, kThreeFiles);
    REQUIRE_OK(engine);
    fill(**engine, 0, 60, true);
  }
  SECTION("table file") { REQUIRE_OK(disk.fs.unlink(files_of(disk, "", ".sst").at(0))); }
  SECTION("a WAL before another") {
    {
      const auto engine = open_rocks_engine(&disk.fs, disk.path, false, kThreeFiles);
      REQUIRE_OK(engine);
      fill(**engine, 60, 62, false);
    }
    REQUIRE_OK(disk.fs.unlink(files_of(disk, "", ".log").at(0)));
  }
  SECTION("a WAL between two others") {
    for (const int first : {60, 61}) {
      const auto engine = open_rocks_engine(&disk.fs, disk.path, false, kThreeFiles);
      REQUIRE_OK(engine);
      fill(**engine, first, first + 1, false);
    }
    const std::vector<std::string> wals = files_of(disk, "", ".log");
    REQUIRE(wals.size() == 3);
    REQUIRE_OK(disk.fs.unlink(wals[1]));
  }
  const absl::StatusOr<Rows> found = reopen(disk);
  INFO(found.status());
  CHECK(absl::IsDataLoss(found.status()));
}

TEST_CASE("rocksdb: a log is scanned across blocks") {
  MemoryDisk disk;
  {
    const auto engine = open_rocks_engine(&disk.fs, disk.path, true, {});
    REQUIRE_OK(engine);
    REQUIRE_OK(put_rows(**engine, {{"a", row_value(1, 50)}}));
    REQUIRE_OK(put_rows(**engine, {{"b", row_value(2, 100'000)}}));
    REQUIRE_OK(put_rows(**engine, {{"c", row_value(3, 50)}}));
  }
  const std::string wal = files_of(disk, "", ".log").at(0);
  std::vector<uint64_t> offsets;
  const auto visit = [&](uint64_t offset, std::string_view) {
    offsets.push_back(offset);
    return absl::OkStatus();
  };
  const auto is_ours = [](std::string_view) { return true; };
  auto scan = scan_log(disk.fs, wal, visit, is_ours);
  REQUIRE_OK(scan);
  CHECK(offsets.size() == 3);
  CHECK(scan->intact_end == scan->size);
  CHECK_FALSE(scan->damage_offset.has_value());
  const std::string bytes = bytes_of(disk, wal);

  // The record of 100000 bytes is torn, with or without its end: no record begins after it.
  std::string torn = bytes.substr(0, offsets[2]);
  torn[40'000] ^= 1;
  REQUIRE_OK(write_file(disk.fs, wal, torn));
  scan = scan_log(disk.fs, wal, visit, is_ours);
  REQUIRE_OK(scan);
  CHECK(scan->intact_end == offsets[1]);
  CHECK(*scan->damage_offset == 32'768);
  CHECK_FALSE(scan->record_behind.has_value());
  CHECK(reopen(disk)->size() == 1);

  torn = bytes;
  torn[40'000] ^= 1;
  REQUIRE_OK(write_file(disk.fs, wal, torn));
  scan = scan_log(disk.fs, wal, visit, is_ours);
  REQUIRE_OK(scan);
  CHECK(*scan->record_behind == offsets[2]);
}

}  // namespace
}  // namespace qk::families
