// The promises of KvEngine, kept by RocksEngine when nothing goes wrong; faults, damage and crashes
// have tests of their own.
#include <catch2/catch.hpp>

#include "families/rocksdb/interpose.h"
#include "families/rocksdb/test_util.h"

namespace qk::families {
namespace {

constexpr RocksOptions kSmallOptions = {.flush_bytes = 4096, .compaction_files = 2};

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
    const auto engine = open_rocks_engine(&disk.fs, disk.path, false, kSmallOptions);
    REQUIRE_OK(engine);
    CHECK(*read_rows(**engine) == rows);
  };
  {
    const auto engine = open_rocks_engine(&disk.fs, disk.path, true, kSmallOptions);
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

TEST_CASE("rocksdb: ranges are removed, and cursors seek both ways") {
  MemoryDisk disk;
  const auto engine = open_rocks_engine(&disk.fs, disk.path, true, {});
  REQUIRE_OK(engine);
  REQUIRE_OK(put_rows(**engine, {{"a", "1"}, {"c", "3"}, {"e", "5"}, {"\xff", "6"}}));
  const auto at = [&](std::string_view key, bool back) {
    const auto cursor = (*engine)->cursor();
    if (back) {
      cursor->seek_back(key);
    } else {
      cursor->seek(key);
    }
    return cursor->valid() ? std::string(cursor->key()) : "none";
  };
  CHECK(at("b", false) == "c");
  CHECK(at("c", false) == "c");
  CHECK(at("f", false) == "\xff");
  CHECK(at("b", true) == "a");
  CHECK(at("c", true) == "c");
  CHECK(at("A", true) == "none");
  CHECK(at("\xff\xff", false) == "none");

  // A cursor goes on as the rows were when it was made.
  const auto before = (*engine)->cursor();
  before->seek("b");
  const auto batch = (*engine)->new_batch();
  REQUIRE_OK(batch->remove_range("b", "e"));
  batch->put("d", "4", "");
  REQUIRE_OK((*engine)->commit(*batch));
  CHECK(*read_rows(**engine) == Rows{{"a", "1"}, {"d", "4"}, {"e", "5"}, {"\xff", "6"}});
  before->next();
  CHECK(before->key() == "e");
  CHECK(at("c", false) == "d");
}

TEST_CASE("rocksdb: a load is there after it finished, and before it is not") {
  MemoryDisk disk;
  Rows rows = {{"a", "state"}};
  {
    const auto engine = open_rocks_engine(&disk.fs, disk.path, true, kSmallOptions);
    REQUIRE_OK(engine);
    REQUIRE_OK(put_rows(**engine, rows));
    {
      const auto loader = (*engine)->load();
      REQUIRE_OK(loader);
      for (int i = 0; i < 3000; ++i) {
        REQUIRE_OK((*loader)->put(row_key(i), row_value(i).substr(0, 9), row_value(i).substr(9)));
        rows[row_key(i)] = row_value(i);
      }
      CHECK(read_rows(**engine)->size() == 1);
      REQUIRE_OK((*loader)->finish());
    }
    CHECK(*read_rows(**engine) == rows);
    REQUIRE_OK(put_rows(**engine, {{"b", "later"}}));
    rows["b"] = "later";
    CHECK(*read_rows(**engine) == rows);
  }
  const auto engine = open_rocks_engine(&disk.fs, disk.path, false, kSmallOptions);
  REQUIRE_OK(engine);
  CHECK(*read_rows(**engine) == rows);
  const auto names = disk.fs.list(disk.path);
  for (const std::string& name : *names) CHECK(name.find("load") == name.npos);
}

TEST_CASE("rocksdb: an empty load changes nothing") {
  MemoryDisk disk;
  const auto engine = open_rocks_engine(&disk.fs, disk.path, true, {});
  REQUIRE_OK(engine);
  const auto loader = (*engine)->load();
  REQUIRE_OK(loader);
  REQUIRE_OK((*loader)->finish());
  CHECK(read_rows(**engine)->empty());
}

TEST_CASE("rocksdb: an owner that does not drain is slowed, and nothing is lost") {
  MemoryDisk disk;
  const auto engine = open_rocks_engine(&disk.fs, disk.path, true, kSmallOptions);
  REQUIRE_OK(engine);
  Rows rows;
  bool drained_itself = false;
  for (int i = 0; i < 200; ++i) {
    const bool due = (*engine)->pending_work() > 0;
    REQUIRE_OK(put_rows(**engine, {{row_key(i), row_value(i)}}));
    drained_itself |= due && (*engine)->pending_work() == 0;
    rows[row_key(i)] = row_value(i);
  }
  CHECK(drained_itself);
  CHECK(*read_rows(**engine) == rows);
}

size_t count_wals(MemoryDisk& disk) {
  size_t wals = 0;
  const auto names = disk.fs.list(disk.path);
  REQUIRE_OK(names);
  for (const std::string& name : *names) wals += name.ends_with(".log") ? 1 : 0;
  return wals;
}

TEST_CASE("rocksdb: many reopenings without a commit leave few WALs") {
  MemoryDisk disk;
  {
    const auto engine = open_rocks_engine(&disk.fs, disk.path, true, {});
    REQUIRE_OK(engine);
    REQUIRE_OK(put_rows(**engine, {{row_key(1), row_value(1)}}));
  }
  for (int i = 0; i < 40; ++i) {
    const auto engine = open_rocks_engine(&disk.fs, disk.path, false, {});
    REQUIRE_OK(engine);
    CHECK(*read_rows(**engine) == Rows{{row_key(1), row_value(1)}});
    REQUIRE_OK(drain(**engine));
    CHECK(count_wals(disk) <= 7);
  }
}

TEST_CASE("rocksdb: many reopenings leave few WALs") {
  MemoryDisk disk;
  REQUIRE_OK(open_rocks_engine(&disk.fs, disk.path, true, {}));
  Rows rows;
  for (int i = 0; i < 20; ++i) {
    const auto engine = open_rocks_engine(&disk.fs, disk.path, false, {});
    REQUIRE_OK(engine);
    CHECK(*read_rows(**engine) == rows);
    REQUIRE_OK(put_rows(**engine, {{row_key(i), row_value(i)}}));
    rows[row_key(i)] = row_value(i);
    REQUIRE_OK(drain(**engine));
  }
  CHECK(count_wals(disk) <= 7);
}

TEST_CASE("rocksdb: nothing is made where a store should be, and no store is made again") {
  MemoryDisk disk;
  CHECK_FALSE(open_rocks_engine(&disk.fs, disk.path, false, {}).ok());
  REQUIRE_OK(open_rocks_engine(&disk.fs, disk.path, true, {}));
  CHECK_FALSE(open_rocks_engine(&disk.fs, disk.path, true, {}).ok());
  const auto engine = open_rocks_engine(&disk.fs, disk.path, false, {});
  REQUIRE_OK(engine);
  // One at a time.
  CHECK(absl::IsUnavailable(open_rocks_engine(&disk.fs, disk.path, false, {}).status()));
}

}  // namespace
}  // namespace qk::families
