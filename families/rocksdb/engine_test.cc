// The promises of KvEngine, kept by RocksEngine when nothing goes wrong; faults, damage and crashes
// have tests of their own.
#include <catch2/catch.hpp>

#include "families/rocksdb/interpose.h"
#include "families/rocksdb/test_util.h"

namespace qk::families {
namespace {

constexpr RocksOptions kTiny = {.flush_bytes = 4096, .compaction_files = 2};

TEST_CASE("rocksdb: a commit is there at once and after reopening") {
  MemoryDisk disk;
  {
    const auto engine = open_rocks_engine(&disk.fs, disk.path, true, {});
    REQUIRE_OK(engine);
    REQUIRE_OK(put_rows(**engine, {{"a", "1"}, {"b", "22"}, {"c", ""}}));
    const auto batch = (*engine)->new_batch();
    batch->remove("b");
    batch->put("d", "head", "tail");
    REQUIRE_OK((*engine)->commit(*batch));
    CHECK(*read_rows(**engine) == Rows{{"a", "1"}, {"c", ""}, {"d", "headtail"}});
  }
  const auto engine = open_rocks_engine(&disk.fs, disk.path, false, {});
  REQUIRE_OK(engine);
  CHECK(*read_rows(**engine) == Rows{{"a", "1"}, {"c", ""}, {"d", "headtail"}});
  std::string value;
  CHECK(*(*engine)->get("d", &value));
  CHECK(value == "headtail");
  CHECK_FALSE(*(*engine)->get("b", &value));
}

TEST_CASE("rocksdb: flushes and compactions run on this thread and keep every row") {
  MemoryDisk disk;
  Rows rows;
  const auto check_reopened = [&] {
    const auto engine = open_rocks_engine(&disk.fs, disk.path, false, kTiny);
    REQUIRE_OK(engine);
    CHECK(*read_rows(**engine) == rows);
  };
  {
    const auto engine = open_rocks_engine(&disk.fs, disk.path, true, kTiny);
    REQUIRE_OK(engine);
    int jobs = 0;
    for (int i = 0; i < 500; ++i) {
      const Rows row = {{row_key(i * 7 % 300), row_value(i)}};
      REQUIRE_OK(put_rows(**engine, row));
      rows[row.begin()->first] = row.begin()->second;
      while ((*engine)->pending_work() > 0) {
        REQUIRE_OK((*engine)->run_one());
        ++jobs;
        CHECK(count_threads() == 1);
      }
    }
    CHECK(jobs > 50);
    CHECK(*read_rows(**engine) == rows);
  }
  check_reopened();
  check_reopened();
}

}  // namespace
}  // namespace qk::families
