// A bulk load of the sqlite family: what it holds and how it is configured is what appending
// leaves; one that was not finished leaves nothing that opens.
#include "families/sqlite/loader.h"

#include <functional>

#include "families/fs/fault_file_system.h"
#include "families/fs/overlay_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/sqlite/test_util.h"

namespace qk::families {
namespace {

struct Disk {
  std::string path(std::string_view name) { return join_path(directory.path(), name); }

  TempDirectory directory;
  PosixFileSystem posix;
  OverlayFileSystem fs{&posix};
};

std::vector<LogEntry> mixed_entries(int64_t first, int64_t count, size_t padding) {
  std::vector<LogEntry> entries = data_entries(first, first + count - 1, 3, padding);
  if (count > 3) {
    entries[1].type = EntryType::kNoOp;
    entries[1].payload.clear();
    entries[2].type = EntryType::kConfiguration;
    entries[2].payload = encode_configuration({{"127.0.0.1:8100:0:0"}, {}});
    entries[3].payload = std::string("\0binary\0", 8);
  }
  return entries;
}

absl::Status load(LogStorage& log, std::span<const LogEntry> entries, int64_t first, size_t batch) {
  QK_ASSIGN_OR_RETURN(const auto loader, log.bulk_load(first));
  while (!entries.empty()) {
    const size_t count = std::min(batch, entries.size());
    QK_RETURN_IF_ERROR(loader->append(entries.first(count)));
    entries = entries.subspan(count);
  }
  return loader->finish();
}

TEST_CASE("sqlite bulk load: the store is as if the entries had been appended") {
  for (const std::string journal : {"WAL", "DELETE", "TRUNCATE"}) {
    for (const std::string page_size : {"1024", "4096"}) {
      for (const int64_t first : {1, 100}) {
        for (const int64_t count : {0, 1, 400}) {
          INFO(journal << ", pages of " << page_size << ", " << count << " entries from " << first);
          const FamilyOptions options = {{"journal", journal}, {"page_size", page_size}};
          const std::vector<LogEntry> entries = mixed_entries(first, count, 900);
          Disk disk;
          auto appended = open_sqlite(disk.fs, disk.path("appended"), true, options).value();
          REQUIRE_OK(appended->log().reset(first));
          REQUIRE_OK(appended->log().append(entries));
          auto loaded = open_sqlite(disk.fs, disk.path("loaded"), true, options).value();
          REQUIRE_OK(load(loaded->log(), entries, first, 33));
          for (const bool reopen : {false, true}) {
            INFO((reopen ? "reopened" : "still open"));
            if (reopen) {
              appended.reset();
              loaded.reset();
              appended = open_sqlite(disk.fs, disk.path("appended"), false, options).value();
              loaded = open_sqlite(disk.fs, disk.path("loaded"), false, options).value();
            }
            REQUIRE(describe(*loaded).value() == describe(*appended).value());
            const int64_t next = loaded->log().last_index() + 1;
            for (Family* family : {appended.get(), loaded.get()}) {
              REQUIRE_OK(family->log().append(mixed_entries(next, 5, 10)));
              REQUIRE_OK(family->meta().save({family->meta().hard_state().term + 1, ""}));
            }
            REQUIRE(describe(*loaded).value() == describe(*appended).value());
          }
        }
      }
    }
  }
}

// What a mutation asks of the disk says which journal and which syncs are in force.
TEST_CASE("sqlite bulk load: afterwards a mutation is synced as it was before") {
  for (const std::string journal : {"WAL", "DELETE", "TRUNCATE"}) {
    INFO(journal);
    const auto calls_of_append = [&](bool loaded) {
      Disk disk;
      FaultFileSystem watched(&disk.fs);
      auto family = open_sqlite(watched, disk.path("store"), true, {{"journal", journal}}).value();
      const std::vector<LogEntry> entries = data_entries(1, 3, 1);
      if (loaded) {
        REQUIRE_OK(load(family->log(), entries, 1, 2));
      } else {
        REQUIRE_OK(family->log().append(entries));
      }
      // The first one may create files.
      REQUIRE_OK(family->log().append(data_entries(4, 4, 1)));
      watched.take_calls();
      REQUIRE_OK(family->log().append(data_entries(5, 5, 1)));
      std::vector<std::string> calls = watched.take_calls();
      for (std::string& call : calls)
        call = call.substr(0, call.find(' ')) + call.substr(call.rfind('/'));
      return calls;
    };
    const std::vector<std::string> calls = calls_of_append(true);
    REQUIRE(calls == calls_of_append(false));
    REQUIRE(std::any_of(calls.begin(), calls.end(),
                        [](const std::string& call) { return call.substr(0, 4) == "sync"; }));
  }
}

TEST_CASE("sqlite bulk load: what was not finished does not open, and takes no more") {
  for (const std::string journal : {"WAL", "DELETE", "TRUNCATE"}) {
    for (const int64_t count : {0, 2000}) {  // the second fills the cache, so pages are written
      INFO(journal << ", " << count << " entries");
      Disk disk;
      const FamilyOptions options = {{"journal", journal}};
      auto family = open_sqlite(disk.fs, disk.path("store"), true, options).value();
      {
        auto loader = family->log().bulk_load(1).value();
        REQUIRE_OK(loader->append(data_entries(1, count, 1, 500)));
      }
      REQUIRE_FALSE(family->log().append(data_entries(1, 1, 1)).ok());
      REQUIRE_FALSE(family->meta().save({9, ""}).ok());
      family.reset();
      const absl::Status opened = open_sqlite(disk.fs, disk.path("store"), true, options).status();
      INFO(opened);
      REQUIRE(absl::IsFailedPrecondition(opened));
    }
  }
}

TEST_CASE("sqlite: a batch may be larger than the page cache") {
  for (const std::string journal : {"WAL", "DELETE", "TRUNCATE"}) {
    INFO(journal);
    Disk disk;
    const FamilyOptions options = {{"journal", journal}};
    auto family = open_sqlite(disk.fs, disk.path("store"), true, options).value();
    std::string expected;
    for (const int64_t first : {1, 257, 513}) {
      REQUIRE_OK(family->log().append(data_entries(first, first + 255, 1, 4096)));
      expected = describe(*family).value();
    }
    family.reset();
    family = open_sqlite(disk.fs, disk.path("store"), false, options).value();
    REQUIRE(describe(*family).value() == expected);
    REQUIRE(family->log().last_index() == 768);
  }
}

TEST_CASE("sqlite bulk load: each failing file operation ends it") {
  for (const std::string journal : {"WAL", "DELETE", "TRUNCATE"}) {
    INFO(journal);
    int failed = 0;
    for (uint64_t n = 1;; ++n) {
      Disk disk;
      FaultFileSystem faulty(&disk.fs);
      auto family = open_sqlite(faulty, disk.path("store"), true, {{"journal", journal}}).value();
      faulty.fail_at(n);
      const absl::Status status = load(family->log(), data_entries(9, 200, 1, 2000), 9, 50);
      if (!faulty.failed()) {
        REQUIRE_OK(status);
        break;
      }
      ++failed;
      INFO("operation " << n << ": " << status);
      REQUIRE_FALSE(status.ok());
      REQUIRE_FALSE(family->log().append(data_entries(201, 201, 1)).ok());
    }
    REQUIRE(failed > 10);
  }
}

}  // namespace
}  // namespace qk::families
