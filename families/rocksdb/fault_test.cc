// One failing call of the file system at a time, at every position of a workload that commits,
// flushes and compacts: the engine stops, and the reopened database holds what was acknowledged.
#include <catch2/catch.hpp>

#include "families/fs/fault_file_system.h"
#include "families/rocksdb/interpose.h"
#include "families/rocksdb/test_util.h"

namespace qk::families {
namespace {

constexpr RocksOptions kSmallestOptions = {.flush_bytes = 2000, .compaction_files = 2};

struct Run {
  absl::Status status;
  Rows acknowledged;
  Rows attempted;  // and the commit that failed
};

// Commits and drains until something fails.
Run work(KvEngine& engine) {
  Run run;
  for (int i = 0; i < 60; ++i) {
    const Rows row = {{row_key(i % 25), row_value(i, 150)}};
    run.attempted = run.acknowledged;
    run.attempted[row.begin()->first] = row.begin()->second;
    run.status = put_rows(engine, row);
    if (!run.status.ok()) return run;
    run.acknowledged = run.attempted;
    run.status = drain(engine);
    if (!run.status.ok()) return run;
  }
  return run;
}

TEST_CASE("rocksdb: after any failing call nothing is acknowledged, and nothing was lost") {
  uint64_t n = 1;
  int stopped = 0;
  for (;; ++n) {
    MemoryDisk disk;
    FaultFileSystem faulty(&disk.fs);
    Run run;
    {
      auto engine = open_rocks_engine(&faulty, disk.path, true, kSmallestOptions);
      REQUIRE_OK(engine);
      faulty.fail_at(n);
      run = work(**engine);
      if (!faulty.failed()) break;
      CAPTURE(n, run.status);
      if (run.status.ok()) {
        // Only what RocksDB may ignore: the removal of a file that is not needed any more.
        CHECK(*read_rows(**engine) == run.acknowledged);
      } else {
        ++stopped;
        CHECK(run.status.message().find("injected") != absl::string_view::npos);
        // The file system works again, and yet: stopped is stopped.
        CHECK_FALSE(put_rows(**engine, {{"z", "z"}}).ok());
        CHECK((*engine)->pending_work() == 0);
        CHECK(*read_rows(**engine) == run.acknowledged);
      }
      CHECK(count_threads() == 1);
    }
    const auto reopened = open_rocks_engine(&disk.fs, disk.path, false, kSmallestOptions);
    CAPTURE(n, run.status);
    REQUIRE_OK(reopened);
    const auto rows = read_rows(**reopened);
    REQUIRE_OK(rows);
    CHECK((*rows == run.acknowledged || *rows == run.attempted));
  }
  CHECK(n > 150);
  CHECK(stopped > 130);
}

TEST_CASE("rocksdb: a read that failed once does not fail a later load") {
  MemoryDisk disk;
  FaultFileSystem faulty(&disk.fs);
  Run run;
  {
    const auto engine = open_rocks_engine(&disk.fs, disk.path, true, kSmallestOptions);
    REQUIRE_OK(engine);
    run = work(**engine);
    REQUIRE_OK(run.status);
  }
  const auto engine = open_rocks_engine(&faulty, disk.path, false, kSmallestOptions);
  REQUIRE_OK(engine);
  faulty.fail_look_at(1);
  CHECK_FALSE(read_rows(**engine).ok());
  REQUIRE(faulty.failed());
  faulty.fail_look_at(0);
  {
    auto loader = (*engine)->load();
    REQUIRE_OK(loader);
    REQUIRE_OK((*loader)->put("zz", "z", "z"));
    REQUIRE_OK((*loader)->finish());
  }
  run.acknowledged["zz"] = "zz";
  CHECK(*read_rows(**engine) == run.acknowledged);
}

TEST_CASE("rocksdb: an open that fails can be repeated") {
  MemoryDisk disk;
  Run run;
  {
    const auto engine = open_rocks_engine(&disk.fs, disk.path, true, kSmallestOptions);
    REQUIRE_OK(engine);
    run = work(**engine);
    REQUIRE_OK(run.status);
  }
  uint64_t n = 1;
  for (;; ++n) {
    OverlayFileSystem copy(&disk.fs);
    FaultFileSystem faulty(&copy);
    faulty.fail_at(n);
    const auto engine = open_rocks_engine(&faulty, disk.path, false, kSmallestOptions);
    if (!faulty.failed()) break;
    CAPTURE(n, engine.status());
    if (engine.ok()) continue;  // an unneeded file was not removed
    const auto again = open_rocks_engine(&faulty, disk.path, false, kSmallestOptions);
    REQUIRE_OK(again);
    CHECK(*read_rows(**again) == run.acknowledged);
  }
  CHECK(n > 12);
}

}  // namespace
}  // namespace qk::families
