// The leveldb family: what is its engine's own. What it shares with every family is held by
// families/engine and by sim/conformance; crashes by conformance/crash_checks.cc.
#include <algorithm>
#include <filesystem>

#include "families/fs/counting_file_system.h"
#include "families/leveldb/test_util.h"
#include "families/testing/faults.h"

namespace qk::families {
namespace {

// About 600 KB in commits of 10 entries: many memtables, and compactions.
void append_much(LogStorage& log, int64_t rounds = 50) {
  for (int64_t i = 0; i < rounds; ++i) {
    const int64_t first = log.last_index() + 1;
    REQUIRE_OK(log.append(data_entries(first, first + 9, 1 + first / 100, 1200)));
  }
}

TEST_CASE("background work is queued, and runs one job at a time") {
  LeveldbInstance instance;
  CHECK(instance->pending_work() == 0);
  size_t seen = 0;
  for (int i = 0; i < 50; ++i) {
    append_much(instance.log(), 1);
    seen += instance->pending_work();
    instance.drain();
  }
  CHECK(seen > 5);
  const std::string state = *describe(*instance);
  CHECK(*instance.reopened_state() == state);
}

TEST_CASE("a store of many tables needs few descriptors") {
  LeveldbInstance instance;
  for (int i = 0; i < 90; ++i) {
    const int64_t first = instance.log().last_index() + 1;
    REQUIRE_OK(instance.log().append(data_entries(first, first + 9, 1, 60000)));
    instance.drain();
  }
  instance.family.reset();
  const auto paths = list_tree(instance.fs, instance.root);
  REQUIRE_OK(paths);
  const auto tables = std::count_if(paths->begin(), paths->end(),
                                    [](const std::string& path) { return path.ends_with(".ldb"); });
  CHECK(tables > 22);
  CountingFileSystem counting(&instance.fs);
  const auto family = open_leveldb(counting, instance.root, false);
  REQUIRE_OK(family);
  int64_t seen = 0;
  const auto count = [&seen](const LogEntry&) {
    ++seen;
    return absl::OkStatus();
  };
  REQUIRE_OK((*family)->log().scan(1, 900, count));
  CHECK(seen == 900);
  // 16 tables, and what is not a table.
  CHECK(counting.most_handles <= 16 + 6);
}

TEST_CASE("an owner that runs no job is never kept waiting") {
  LeveldbInstance instance;
  append_much(instance.log());
  REQUIRE_OK(instance.log().truncate_prefix(450));
  append_much(instance.log(), 20);
  REQUIRE_OK(instance.log().truncate_suffix(600));
  // And no thread ran them.
  const std::filesystem::directory_iterator threads("/proc/self/task");
  CHECK(std::distance(begin(threads), end(threads)) == 1);
  const std::string state = *describe(*instance);
  CHECK(*instance.reopened_state() == state);
}

TEST_CASE("closing with queued jobs changes no file") {
  LeveldbInstance instance;
  while (instance->pending_work() == 0) append_much(instance.log(), 1);
  const std::string state = *describe(*instance);
  const std::map<std::string, std::string> while_open = instance.files();
  instance.family.reset();
  CHECK(instance.files() == while_open);
  CHECK(*instance.reopened_state() == state);
}

TEST_CASE("equal calls make equal files") {
  LeveldbInstance first;
  LeveldbInstance second;
  for (LeveldbInstance* instance : {&first, &second}) {
    append_much(instance->log());
    REQUIRE_OK(instance->log().truncate_prefix(100));
    REQUIRE_OK((*instance)->meta().save({9, "127.0.0.1:8100:0:0"}));
    REQUIRE_OK(instance->open());
    append_much(instance->log(), 10);
    instance->drain();
    instance->family.reset();
  }
  CHECK(first.files() == second.files());
}

TEST_CASE("a bulk load holds what appending would, and is durable in one go") {
  LeveldbInstance appended;
  LeveldbInstance loaded;
  REQUIRE_OK(appended.log().reset(1000));
  absl::StatusOr<std::unique_ptr<LogLoader>> loader = loaded.log().bulk_load(1000);
  REQUIRE_OK(loader);
  for (int64_t i = 1000; i < 3000; i += 100) {
    REQUIRE_OK(appended.log().append(data_entries(i, i + 99, 7, 1000)));
    REQUIRE_OK((*loader)->append(data_entries(i, i + 99, 7, 1000)));
  }
  REQUIRE_OK((*loader)->finish());
  loader->reset();
  const std::string state = *describe(*loaded);
  CHECK(state == *describe(*appended));
  CHECK(*loaded.reopened_state() == state);
}

TEST_CASE("it runs on a real disk, and refuses a second instance") {
  TempDirectory directory;
  PosixFileSystem fs;
  const std::string root = cat(directory.path(), "/root");
  absl::StatusOr<std::unique_ptr<Family>> family = open_leveldb(fs, root, true);
  REQUIRE_OK(family);
  append_much((*family)->log(), 20);
  CHECK(absl::IsUnavailable(open_leveldb(fs, root, true).status()));
  const std::string state = *describe(**family);
  family->reset();
  family = open_leveldb(fs, root, false);
  REQUIRE_OK(family);
  CHECK(*describe(**family) == state);
}

TEST_CASE("options are checked") {
  TempDirectory directory;
  PosixFileSystem disk;
  OverlayFileSystem fs(&disk);
  const std::string root = cat(directory.path(), "/root");
  const auto open = [&](const FamilyOptions& options) {
    return leveldb_family().open({.fs = &fs, .root = root, .create = true, .options = options});
  };
  for (const char* bad : {"65535", "268435457", "1 MiB", "", "-1"}) {
    CHECK(absl::IsInvalidArgument(open({{"write_buffer_size", bad}}).status()));
  }
  CHECK(absl::IsInvalidArgument(open({{"block_size", "4096"}}).status()));
  CHECK_FALSE(*exists(fs, root));
  for (const OptionDescriptor& option : leveldb_family().options) {
    REQUIRE_OK(open({{option.name, option.default_value}}));
  }
}

TEST_CASE("a failed call is before, after, or indeterminate, and never forgotten") {
  const OpenForFaults opener = [](FileSystem& fs, const std::string& root) {
    return open_leveldb(fs, root, true);
  };
  CHECK(check_faults_in_history(opener) > 40);
  CHECK(check_faults_in_creation(opener) > 20);
}

// Several memtables, tables and logs.
TEST_CASE("each failed call of an open is an error, or the whole state") {
  CHECK(check_faults_in_open([](FileSystem& fs, const std::string& root) {
          return open_leveldb(fs, root, true);
        }) > 200);
}

TEST_CASE("a lost or emptied file is an error, or the whole state") {
  const std::set<std::string> noticed = check_lost_files(
      [](FileSystem& fs, const std::string& root) { return open_leveldb(fs, root, true); });
  const auto is_log = [](const std::string& name) { return name.ends_with(".log"); };
  CHECK(std::any_of(noticed.begin(), noticed.end(), is_log));
  CHECK(noticed.contains("db/CURRENT"));
}

TEST_CASE("a read that failed once hides no failure of a later job") {
  LeveldbInstance base;
  append_much(base.log());
  base.drain();
  base.family.reset();
  FaultFileSystem faults(&base.fs);
  const std::unique_ptr<Family> family = *open_leveldb(faults, base.root, false);
  faults.fail_look_at(1);
  CHECK_FALSE(family->log().entry(1).ok());
  faults.fail_look_at(0);
  REQUIRE_OK(family->log().entry(1));
  while (family->pending_work() == 0) append_much(family->log(), 1);
  faults.fail_at(1);
  const absl::Status job = family->run_one();
  CHECK(faults.failed_call().find("open") != std::string::npos);
  CHECK_FALSE(job.ok());
  CHECK(family->log()
            .append(data_entries(family->log().last_index() + 1, family->log().last_index() + 1, 1))
            .kind() == Outcome::Kind::kFailedClean);
}

TEST_CASE("a failed background job ends the mutations, and a reopened instance lost nothing") {
  // The calls of the jobs and of the appends between them.
  bool reached = true;
  uint64_t n = 0;
  while (reached) {
    n += 3;
    CAPTURE(n);
    LeveldbInstance base;
    FaultFileSystem faults(&base.fs);
    base.family.reset();
    std::unique_ptr<Family> family = *open_leveldb(faults, base.root, false);
    faults.fail_at(n);
    int64_t acknowledged = 0;
    absl::Status error;
    for (int i = 0; i < 30 && error.ok(); ++i) {
      const Outcome outcome =
          family->log().append(data_entries(acknowledged + 1, acknowledged + 3, 1, 5000));
      if (outcome.ok()) acknowledged += 3;
      error = outcome.status();
      while (error.ok() && family->pending_work() > 0) error = family->run_one();
    }
    reached = faults.failed();
    if (!error.ok()) {
      CHECK(family->log().append(data_entries(acknowledged + 1, acknowledged + 1, 1)).kind() ==
            Outcome::Kind::kFailedClean);
    }
    family.reset();
    REQUIRE_OK(base.open());
    const int64_t last = base.log().last_index();
    CHECK((last == acknowledged || (!error.ok() && last == acknowledged + 3)));
    REQUIRE_OK(base.log().scan(1, last, [](const LogEntry&) { return absl::OkStatus(); }));
  }
  CHECK(n > 60);
}

}  // namespace
}  // namespace qk::families
