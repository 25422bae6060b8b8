// The family: options, and the contract's state across reopening, flushes, compactions and loads.
#include "families/rocksdb/rocksdb_family.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "families/fs/counting_file_system.h"
#include "families/rocksdb/interpose.h"
#include "families/rocksdb/test_util.h"
#include "families/testing/faults.h"

namespace qk::families {
namespace {

absl::StatusOr<std::unique_ptr<Family>> open(MemoryDisk& disk, bool create,
                                             FamilyOptions options = {}) {
  return rocksdb_family().open(
      {.fs = &disk.fs, .root = disk.path, .create = create, .options = std::move(options)});
}

TEST_CASE("rocksdb: an option is checked, and says what is allowed") {
  MemoryDisk disk;
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"flush_bytes", "255"},     {"flush_bytes", "many"},   {"flush_bytes", "1073741825"},
      {"flush_bytes", ""},        {"flush_bytes", "8192 "},  {"compaction_files", "1"},
      {"compaction_files", "65"}, {"compaction_files", "-2"}};
  for (const auto& [name, value] : bad) {
    CAPTURE(name, value);
    const absl::Status status = open(disk, true, {{name, value}}).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK(status.message().find("..") != absl::string_view::npos);
  }
  CHECK_FALSE(*exists(disk.fs, disk.path));
  for (const OptionDescriptor& option : rocksdb_family().options) {
    CHECK_FALSE(option.default_value.empty());
  }
}

TEST_CASE("rocksdb: a store of many tables needs few descriptors") {
  MemoryDisk disk;
  const FamilyOptions options = {{"flush_bytes", "4096"}, {"compaction_files", "64"}};
  {
    const auto family = open(disk, true, options);
    REQUIRE_OK(family);
    for (int64_t i = 1; i <= 63; ++i) {
      REQUIRE_OK((*family)->log().append(data_entries(i, i, 1, 5000)));
      while ((*family)->pending_work() > 0) REQUIRE_OK((*family)->run_one());
    }
  }
  const auto paths = list_tree(disk.fs, disk.path);
  REQUIRE_OK(paths);
  const auto tables = std::count_if(paths->begin(), paths->end(),
                                    [](const std::string& path) { return path.ends_with(".sst"); });
  CHECK(tables > 40);
  CountingFileSystem counting(&disk.fs);
  const auto family = rocksdb_family().open(
      {.fs = &counting, .root = disk.path, .create = false, .options = options});
  REQUIRE_OK(family);
  for (int64_t i = 1; i <= 63; ++i) REQUIRE_OK((*family)->log().entry(i));
  // 22 tables, and what is not a table.
  CHECK(counting.most_handles <= 22 + 10);
}

TEST_CASE("rocksdb: each option has its effect") {
  const auto jobs = [](const FamilyOptions& options) {
    MemoryDisk disk;
    const auto family = open(disk, true, options);
    REQUIRE_OK(family);
    int count = 0;
    for (int64_t i = 1; i <= 200; ++i) {
      REQUIRE_OK((*family)->log().append(data_entries(i, i, 1, 200)));
      for (; (*family)->pending_work() > 0; ++count) REQUIRE_OK((*family)->run_one());
    }
    return count;
  };
  CHECK(jobs({}) == 0);
  const int flushes = jobs({{"flush_bytes", "4096"}, {"compaction_files", "64"}});
  CHECK(flushes >= 2 * 10);
  CHECK(jobs({{"flush_bytes", "4096"}, {"compaction_files", "2"}}) > flushes + 3);
}

TEST_CASE("rocksdb: the contract's state survives flushes, compactions and reopening") {
  MemoryDisk disk;
  const FamilyOptions options = {{"flush_bytes", "4096"}, {"compaction_files", "2"}};
  std::string state;
  {
    const auto family = open(disk, true, options);
    REQUIRE_OK(family);
    for (int64_t i = 1; i <= 400; ++i) {
      REQUIRE_OK((*family)->log().append(data_entries(i, i, 1 + i / 100, 80)));
      if (i % 50 == 0) REQUIRE_OK((*family)->log().truncate_prefix(i - 30));
      if (i % 70 == 0) {
        REQUIRE_OK((*family)->log().truncate_suffix(i - 5));
        REQUIRE_OK((*family)->log().append(data_entries(i - 4, i, 1 + i / 100, 10)));
      }
      while ((*family)->pending_work() > 0) REQUIRE_OK((*family)->run_one());
    }
    REQUIRE_OK((*family)->meta().save({9, "127.0.0.1:8100:0:0"}));
    REQUIRE_OK(publish_snapshot(**family, 380, 4, {{"data", "x"}, {"deep/er", "yy"}}));
    const auto described = describe(**family);
    REQUIRE_OK(described);
    state = *described;
  }
  for (int round = 0; round < 2; ++round) {
    const auto family = open(disk, false, options);
    REQUIRE_OK(family);
    CHECK(*describe(**family) == state);
  }
  CHECK(count_threads() == 1);
}

// With flushes, so that there are tables and a log after them, and without: one log, or several.
OpenForFaults opener(const std::string& flush_bytes) {
  return [flush_bytes](FileSystem& fs, const std::string& root) {
    return rocksdb_family().open(
        {.fs = &fs, .root = root, .create = true, .options = {{"flush_bytes", flush_bytes}}});
  };
}

TEST_CASE("rocksdb: each failed call of an open is an error, or the whole state") {
  CHECK(check_faults_in_open(opener(GENERATE("65536", "1048576"))) > 200);
}

TEST_CASE("rocksdb: a lost or emptied file is an error, or the whole state") {
  const std::set<std::string> noticed = check_lost_files(opener(GENERATE("65536", "1048576")));
  const auto is_log = [](const std::string& name) { return name.ends_with(".log"); };
  CHECK(std::any_of(noticed.begin(), noticed.end(), is_log));
  CHECK(noticed.contains("db/CURRENT"));
}

TEST_CASE("rocksdb: a loaded log equals an appended one") {
  MemoryDisk appended;
  MemoryDisk loaded;
  const auto one = open(appended, true);
  const auto other = open(loaded, true);
  REQUIRE_OK(one);
  REQUIRE_OK(other);
  REQUIRE_OK((*one)->log().reset(50));
  REQUIRE_OK((*one)->log().append(data_entries(50, 900, 3, 20)));
  {
    const auto loader = (*other)->log().bulk_load(50);
    REQUIRE_OK(loader);
    REQUIRE_OK((*loader)->append(data_entries(50, 400, 3, 20)));
    REQUIRE_OK((*loader)->append(data_entries(401, 900, 3, 20)));
    REQUIRE_OK((*loader)->finish());
  }
  CHECK(*describe(**one) == *describe(**other));
  REQUIRE_OK((*other)->log().append(data_entries(901, 901, 4)));
  CHECK((*other)->log().last_index() == 901);
}

}  // namespace
}  // namespace qk::families
