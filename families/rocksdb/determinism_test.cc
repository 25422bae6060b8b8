// The same run writes the same bytes in the same order, whatever the process did before; and the
// check of the replaced functions notices when they are not in effect.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <set>
#include <vector>

#include "families/rocksdb/ids.h"
#include "families/rocksdb/interpose.h"
#include "families/rocksdb/test_util.h"
#include "families/rocksdb/trace_file_system.h"

namespace qk::families {
namespace {

constexpr RocksOptions kTwoFiles = {.flush_bytes = 8000, .compaction_files = 2};

// Every changing call of a run with commits, flushes, compactions, a load and two opens. Paths are
// cut to names: the temporary directory is another one each time.
std::vector<std::string> trace_of_run(uint64_t seed) {
  rocksdb_reset_for_run(seed);
  MemoryDisk disk;
  TraceFileSystem fs(&disk.fs);
  for (const bool create : {true, false}) {
    const auto engine = open_rocks_engine(&fs, disk.path, create, kTwoFiles);
    REQUIRE_OK(engine);
    for (int i = 0; i < 200; ++i) {
      REQUIRE_OK(put_rows(**engine, {{row_key(i * 13 % 97), row_value(i)}}));
      REQUIRE_OK(drain(**engine));
    }
    if (create) {
      const auto loader = (*engine)->load();
      REQUIRE_OK(loader);
      for (int i = 1000; i < 1100; ++i) REQUIRE_OK((*loader)->put(row_key(i), "", row_value(i)));
      REQUIRE_OK((*loader)->finish());
    }
  }
  std::vector<std::string> trace;
  for (std::string line : fs.operations()) {
    const std::string& directory = disk.directory.path();
    for (size_t at; (at = line.find(directory)) != line.npos;) line.erase(at, directory.size());
    trace.push_back(std::move(line));
  }
  return trace;
}

TEST_CASE("rocksdb: a run is the same, byte for byte, whenever it is repeated") {
  const std::vector<std::string> first = trace_of_run(7);
  CHECK(first.size() > 900);
  // Other allocations, and other engines in the process, in between.
  std::vector<std::unique_ptr<char[]>> noise;
  for (size_t size = 1; size < 300'000; size += size / 3 + 1) {
    noise.push_back(std::make_unique<char[]>(size));
    if (noise.size() % 2 == 0) noise[noise.size() / 2].reset();
  }
  CHECK(trace_of_run(7) == first);
  CHECK(trace_of_run(8) != first);
  CHECK(trace_of_run(7) == first);
}

TEST_CASE("rocksdb: ids of a simulated run follow from its seed") {
  const auto draw = [] { return next_rocksdb_session_id() + next_rocksdb_uuid(); };
  rocksdb_reset_for_run(1);
  const std::string first = draw();
  const std::string second = draw();
  CHECK(first.size() == 20 + 36);
  CHECK(first != second);
  rocksdb_reset_for_run(1);
  CHECK(draw() == first);
  rocksdb_reset_for_run(2);
  CHECK(draw() != first);
}

TEST_CASE("rocksdb: detects when librocksdb bypasses the interposed functions") {
  const InterposedCalls none = {5, 5};
  CHECK(check_interposed(none, {6, 6}, 1).ok());
  CHECK(check_interposed(none, {6, 6}, 0).ok());
  CHECK_FALSE(check_interposed(none, none, 1).ok());
  CHECK_FALSE(check_interposed(none, {5, 6}, 1).ok());
  CHECK_FALSE(check_interposed(none, {6, 5}, 1).ok());
  CHECK_FALSE(check_interposed(none, {6, 6}, 2).ok());
}

TEST_CASE("rocksdb: each open reaches the replaced functions") {
  MemoryDisk disk;
  const InterposedCalls before = interposed_calls();
  REQUIRE_OK(open_rocks_engine(&disk.fs, disk.path, true, {}));
  const InterposedCalls after = interposed_calls();
  CHECK(after.session_ids == before.session_ids + 1);
  CHECK(after.timer_registrations > before.timer_registrations);
}

}  // namespace
}  // namespace qk::families
