// A bulk load of the local family leaves the very files that appending leaves; one that was not
// finished leaves nothing that opens.
#include "families/local/log_loader.h"

#include <catch2/catch.hpp>
#include <map>

#include "families/fs/fault_file_system.h"
#include "families/fs/file_util.h"
#include "families/testing/scratch_disk.h"

namespace qk::families::local {
namespace {

std::vector<LogEntry> make_entries(int64_t first, int64_t count, size_t size) {
  std::vector<LogEntry> entries;
  for (int64_t i = first; i < first + count; ++i) {
    const size_t own = size == 0 ? 0 : size + static_cast<size_t>(i % 7);
    entries.push_back(
        {i, 1 + i / 10, EntryType::kData, std::string(own, static_cast<char>('a' + i % 26))});
  }
  return entries;
}

struct Log {
  Log(FileSystem& fs, std::string directory, LogOptions options)
      : fs(fs), directory(std::move(directory)), options(options) {
    REQUIRE(make_directories(fs, this->directory).ok());
    REQUIRE(SegmentLogStorage::create(fs, this->directory).ok());
    REQUIRE(open().ok());
  }

  absl::Status open() {
    storage.reset();
    fail_stop = FailStop();
    auto opened = SegmentLogStorage::open(fs, directory, options, &fail_stop);
    if (opened.ok()) storage = *std::move(opened);
    return opened.status();
  }

  // Those of braft's format: how the entries came is told by the private notes alone.
  std::map<std::string, std::string> files() {
    std::map<std::string, std::string> found;
    const std::vector<std::string> names = fs.list(directory).value();
    for (const std::string& name : names) {
      if (name == kBatchNoteName) continue;
      found[name] = *read_file(fs, join_path(directory, name), uint64_t{1} << 30);
    }
    return found;
  }

  FileSystem& fs;
  const std::string directory;
  const LogOptions options;
  FailStop fail_stop;
  std::unique_ptr<SegmentLogStorage> storage;
};

void append_in_batches(std::span<const LogEntry> entries, size_t batch,
                       const std::function<absl::Status(std::span<const LogEntry>)>& append) {
  while (!entries.empty()) {
    const size_t count = std::min(batch, entries.size());
    REQUIRE(append(entries.first(count)).ok());
    entries = entries.subspan(count);
  }
}

TEST_CASE("local bulk load: the files are those that appending leaves") {
  for (const uint64_t segment_size : {uint64_t{1}, uint64_t{300}, uint64_t{8} << 20}) {
    for (const size_t payload : {size_t{0}, size_t{50}, size_t{400 << 10}}) {
      for (const int64_t first : {1, 100}) {
        for (const int64_t count : {0, 1, 40}) {
          if (payload > 1000 && count * static_cast<int64_t>(payload) > (32 << 20)) continue;
          INFO("segment_size " << segment_size << ", payload " << payload << ", first " << first
                               << ", count " << count);
          ScratchDisk disk;
          const LogOptions options{.segment_size = segment_size};
          const std::vector<LogEntry> entries = make_entries(first, count, payload);
          Log appended(disk.fs(), join_path(disk.path(), "appended"), options);
          REQUIRE(appended.storage->reset(first).ok());
          append_in_batches(entries, 7, [&](std::span<const LogEntry> batch) {
            return appended.storage->append(batch).status();
          });
          Log loaded(disk.fs(), join_path(disk.path(), "loaded"), options);
          auto loader = loaded.storage->bulk_load(first).value();
          append_in_batches(entries, 11,
                            [&](std::span<const LogEntry> batch) { return loader->append(batch); });
          REQUIRE(loader->finish().ok());
          loader.reset();
          REQUIRE(loaded.files() == appended.files());

          // It goes on as the other one does, before and after it was opened again.
          for (Log* log : {&appended, &loaded}) {
            REQUIRE(log->storage->append(make_entries(first + count, 3, 50)).ok());
            REQUIRE(log->open().ok());
            REQUIRE(log->storage->first_index() == first);
            REQUIRE(log->storage->append(make_entries(first + count + 3, 3, 50)).ok());
          }
          REQUIRE(loaded.files() == appended.files());
        }
      }
    }
  }
}

TEST_CASE("local bulk load: what was not finished does not open, and takes no more") {
  for (const int64_t first : {1, 100}) {
    INFO("first " << first);
    ScratchDisk disk;
    Log log(disk.fs(), join_path(disk.path(), "log"), {.segment_size = 300});
    auto loader = log.storage->bulk_load(first).value();
    REQUIRE(loader->append(make_entries(first, 40, 50)).ok());
    loader.reset();
    REQUIRE_FALSE(log.storage->append(make_entries(first + 40, 1, 50)).ok());
    REQUIRE_FALSE(log.storage->reset(7).ok());
    REQUIRE(absl::IsDataLoss(log.open()));
  }
}

TEST_CASE("local bulk load: each failing file operation ends it") {
  int failed = 0;
  for (uint64_t n = 1;; ++n) {
    ScratchDisk disk;
    FaultFileSystem faulty(&disk.fs());
    Log log(faulty, join_path(disk.path(), "log"), {.segment_size = 300});
    faulty.fail_at(n);
    absl::Status status;
    {
      auto loader = log.storage->bulk_load(9);
      status = loader.status();
      if (status.ok()) status = (*loader)->append(make_entries(9, 20, 50));
      if (status.ok()) status = (*loader)->finish();
    }
    if (status.ok()) break;
    ++failed;
    INFO("operation " << n << ": " << status);
    REQUIRE_FALSE(log.storage->append(make_entries(29, 1, 50)).ok());
    REQUIRE(log.storage->last_index() == 0);
    REQUIRE_FALSE(log.storage->entry(1).ok());
  }
  REQUIRE(failed > 10);
}

}  // namespace
}  // namespace qk::families::local
