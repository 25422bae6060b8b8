// The sqlite family, for what is its own: journal modes, options, statements, foreign databases,
// the bytes of equal runs. The contract's general rules are conformance's. Crashes:
// sqlite_crash_test.cc; damage: sqlite_damage_test.cc.
#include <sqlite3.h>

#include <algorithm>

#include "families/fs/fault_file_system.h"
#include "families/fs/overlay_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/sqlite/connection.h"
#include "families/sqlite/engine.h"
#include "families/sqlite/test_util.h"

namespace qk::families {
namespace {

using Kind = Outcome::Kind;

// One instance on a real disk, that can be reopened.
class Instance {
 public:
  explicit Instance(FamilyOptions options = {}) : options_(std::move(options)) { reopen(true); }

  Family& operator*() { return *family_; }
  Family* operator->() { return family_.get(); }
  void close() { family_.reset(); }
  void reopen(bool create = false) {
    family_.reset();
    absl::StatusOr<std::unique_ptr<Family>> opened = open_sqlite(fs, root, create, options_);
    REQUIRE_OK(opened);
    family_ = std::move(*opened);
  }
  // What the state is, which must be the same after closing and reopening.
  std::string state() {
    const absl::StatusOr<std::string> before = describe(*family_);
    REQUIRE_OK(before);
    reopen();
    const absl::StatusOr<std::string> after = describe(*family_);
    REQUIRE_OK(after);
    CHECK(*before == *after);
    return *after;
  }

  TempDirectory directory;
  PosixFileSystem disk;
  OverlayFileSystem fs{&disk};  // in memory, for speed
  const std::string root = cat(directory.path(), "/a/root");

 private:
  FamilyOptions options_;
  std::unique_ptr<Family> family_;
};

TEST_CASE("every journal mode appends, truncates, resets and reopens") {
  const std::string journal = GENERATE("WAL", "DELETE", "TRUNCATE");
  const std::string page_size = GENERATE("1024", "4096", "65536");
  CAPTURE(journal, page_size);
  Instance instance({{"journal", journal}, {"page_size", page_size}, {"checkpoint_frames", "7"}});
  LogStorage* log = &instance->log();
  Outcome outcome = log->append(data_entries(1, 40, 3, 300));
  REQUIRE_OK(outcome);
  CHECK(outcome.count() == 40);
  for (int64_t i = 41; i <= 60; ++i) REQUIRE_OK(log->append(data_entries(i, i, 4)));
  CHECK(log->entry(17)->payload == data_entries(17, 17, 3, 300)[0].payload);
  CHECK(*log->term(40) == 3);
  CHECK(*log->term(41) == 4);
  CHECK(absl::IsOutOfRange(log->entry(61).status()));
  CHECK(absl::IsOutOfRange(log->term(0).status()));
  std::string state = instance.state();
  log = &instance->log();

  REQUIRE_OK(log->truncate_prefix(10));
  REQUIRE_OK(log->truncate_suffix(50));
  CHECK(log->first_index() == 10);
  CHECK(log->last_index() == 50);
  CHECK(instance.state() != state);
  log = &instance->log();
  CHECK(log->first_index() == 10);
  CHECK(log->last_index() == 50);

  // To the empty log, whose range is state.
  REQUIRE_OK(log->truncate_suffix(9));
  CHECK(instance.state() == "log 10..9\nterm 1 vote \nno snapshot\n");
  REQUIRE_OK(instance->log().append(data_entries(10, 12, 5)));
  REQUIRE_OK(instance->log().truncate_prefix(100));
  CHECK(instance.state() == "log 100..99\nterm 1 vote \nno snapshot\n");
  REQUIRE_OK(instance->log().append(data_entries(100, 101, 5)));
  REQUIRE_OK(instance->log().reset(7));
  CHECK(instance.state() == "log 7..6\nterm 1 vote \nno snapshot\n");
}

TEST_CASE("a scan ends with its visitor, and a visitor may read") {
  Instance instance;
  REQUIRE_OK(instance->log().append(data_entries(1, 5, 2)));
  LogStorage& log = instance->log();
  int visits = 0;
  const absl::Status stopped = log.scan(2, 5, [&](const LogEntry& e) -> absl::Status {
    ++visits;
    CHECK(*log.entry(e.index) == e);
    int inner = 0;
    CHECK(log.scan(1, 5,
                   [&](const LogEntry&) {
                     ++inner;
                     return absl::OkStatus();
                   })
              .ok());
    CHECK(inner == 5);
    return e.index == 3 ? absl::CancelledError("enough") : absl::OkStatus();
  });
  CHECK(absl::IsCancelled(stopped));
  CHECK(visits == 2);
  CHECK(absl::IsOutOfRange(log.scan(0, 5, [](const LogEntry&) { return absl::OkStatus(); })));
  CHECK(absl::IsOutOfRange(log.scan(1, 6, [](const LogEntry&) { return absl::OkStatus(); })));
  // The statement of an ended scan holds nothing up.
  REQUIRE_OK(log.append(data_entries(6, 6, 2)));
}

TEST_CASE("opening removes orphaned trees and leaves foreign names alone") {
  Instance instance;
  REQUIRE_OK(publish_snapshot(*instance, 5, 2, {{"data", "five"}}));
  instance.close();
  const std::string root = cat(instance.root, "/snapshot");
  for (const char* name : {"temp", "00000000000000000009-3", "notes"}) {
    REQUIRE_OK(make_directories(instance.fs, cat(root, "/", name)));
    REQUIRE_OK(write_file(instance.fs, cat(root, "/", name, "/f"), "x"));
  }
  instance.reopen();
  CHECK(*instance.fs.list(root) == std::vector<std::string>{"00000000000000000005-2", "notes"});
  CHECK(instance.state().find("five") != std::string::npos);
}

TEST_CASE("a dropped writer leaves nothing, and may outlive the family") {
  Instance instance;
  std::unique_ptr<SnapshotWriter> writer = *instance->snapshot().create();
  REQUIRE_OK(fill_file(*writer, "a/b", "x"));
  instance.close();
  writer.reset();
  CHECK(instance.fs.list(cat(instance.root, "/snapshot"))->empty());
  instance.reopen();
  REQUIRE_OK(instance->snapshot().create());
  REQUIRE_OK(instance->snapshot().create());
}

TEST_CASE("options are checked") {
  TempDirectory directory;
  PosixFileSystem fs;
  const std::string root = cat(directory.path(), "/root");
  for (const FamilyOptions& options : std::vector<FamilyOptions>{{{"journal", "OFF"}},
                                                                 {{"journal", "wal"}},
                                                                 {{"synchronous", "NORMAL"}},
                                                                 {{"synchronous", "OFF"}},
                                                                 {{"page_size", "512"}},
                                                                 {{"page_size", "5000"}},
                                                                 {{"page_size", "131072"}},
                                                                 {{"page_size", "4096k"}},
                                                                 {{"checkpoint_frames", "0"}},
                                                                 {{"checkpoint_frames", "-1"}}}) {
    CAPTURE(options.begin()->first, options.begin()->second);
    CHECK(absl::IsInvalidArgument(open_sqlite(fs, root, true, options).status()));
  }
  CHECK_FALSE(*exists(fs, root));
  for (const OptionDescriptor& option : sqlite_family().options) {
    REQUIRE_OK(open_sqlite(fs, root, true, {{option.name, option.default_value}}));
  }
}

TEST_CASE("every option has its effect") {
  TempDirectory directory;
  PosixFileSystem disk;
  OverlayFileSystem memory(&disk);
  FaultFileSystem fs(&memory);
  int roots = 0;
  // What one instance with these options asks of the disk for 20 appends and its closing, beside
  // its root.
  const auto calls = [&](const FamilyOptions& options) {
    const std::string root = cat(directory.path(), "/", ++roots);
    absl::StatusOr<std::unique_ptr<Family>> family = open_sqlite(fs, root, true, options);
    REQUIRE_OK(family);
    fs.take_calls();
    for (int64_t i = 1; i <= 20; ++i) {
      REQUIRE_OK((*family)->log().append(data_entries(i, i, 1)));
    }
    family->reset();
    return std::pair(fs.take_calls(), root);
  };
  const auto count = [&](const FamilyOptions& options, const std::string& call) {
    const auto [found, root] = calls(options);
    return std::count(found.begin(), found.end(),
                      cat(call, root, call == "sync_dir " ? "" : "/db"));
  };
  const auto journal_writes = [&](const char* journal) {
    const auto [found, root] = calls({{"journal", journal}});
    const auto wrote = [&, &found = found, &root = root](std::string_view suffix) {
      return std::count(found.begin(), found.end(), cat("write ", root, "/db", suffix));
    };
    return std::pair(wrote("-wal") > 0, wrote("-journal") > 0);
  };
  CHECK(journal_writes("WAL") == std::pair(true, false));
  CHECK(journal_writes("DELETE") == std::pair(false, true));
  CHECK(journal_writes("TRUNCATE") == std::pair(false, true));
  // EXTRA syncs the directory when the journal is removed. In exclusive locking mode that is not
  // each commit, which empties the journal, but the closing.
  const FamilyOptions full = {{"journal", "DELETE"}};
  CHECK(count({{"journal", "DELETE"}, {"synchronous", "EXTRA"}}, "sync_dir ") ==
        count(full, "sync_dir ") + 1);
  // A checkpoint, and nothing else, syncs the database; closing makes the last one.
  CHECK(count({{"checkpoint_frames", "1000000"}}, "sync ") == 1);
  CHECK(count({{"checkpoint_frames", "4"}}, "sync ") >
        count({{"checkpoint_frames", "9"}}, "sync "));
  for (const uint32_t size : {1024, 8192}) {
    const auto [unused, root] = calls({{"page_size", cat(size)}});
    const std::string header = *read_file(fs, cat(root, "/db"), 1 << 20);
    CHECK((static_cast<uint32_t>(header[16]) << 8 | static_cast<uint32_t>(header[17])) == size);
  }
}

TEST_CASE("a store changes its journal mode when it is reopened with another") {
  TempDirectory directory;
  PosixFileSystem fs;
  const std::string root = cat(directory.path(), "/root");
  std::string expected;
  int64_t next = 1;
  for (const char* journal : {"WAL", "DELETE", "WAL", "TRUNCATE", "WAL"}) {
    CAPTURE(journal);
    absl::StatusOr<std::unique_ptr<Family>> family =
        open_sqlite(fs, root, true, {{"journal", journal}});
    REQUIRE_OK(family);
    if (!expected.empty()) CHECK(*describe(**family) == expected);
    REQUIRE_OK((*family)->log().append(data_entries(next, next + 2, 1)));
    next += 3;
    expected = *describe(**family);
  }
}

TEST_CASE("a store on a real disk holds what it acknowledged") {
  const std::string journal = GENERATE("WAL", "DELETE", "TRUNCATE");
  CAPTURE(journal);
  TempDirectory directory;
  PosixFileSystem fs;
  std::string expected;
  {
    const std::unique_ptr<Family> family =
        *open_sqlite(fs, cat(directory.path(), "/root"), true, {{"journal", journal}});
    REQUIRE_OK(family->log().append(data_entries(1, 300, 2, 100)));
    REQUIRE_OK(publish_snapshot(*family, 7, 2, {{"a/b", "contents"}, {"c", ""}}));
    REQUIRE_OK(family->log().truncate_prefix(8));
    REQUIRE_OK(family->meta().save({3, ""}));
    expected = *describe(*family);
  }
  const std::unique_ptr<Family> family = *open_sqlite(fs, cat(directory.path(), "/root"), false);
  CHECK(*describe(*family) == expected);
}

TEST_CASE("one instance at a time") {
  Instance instance;
  CHECK(absl::IsUnavailable(open_sqlite(instance.fs, instance.root, true).status()));
  CHECK(absl::IsUnavailable(open_sqlite(instance.fs, instance.root, false).status()));
  instance.close();
  instance.reopen();
}

// Runs `sql` on the database with SQLite's own tools.
void run_sql(const std::string& db, const char* sql) {
  sqlite3* connection = nullptr;
  REQUIRE(sqlite3_open_v2(db.c_str(), &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                          "unix") == SQLITE_OK);
  char* error = nullptr;
  const int code = sqlite3_exec(connection, sql, nullptr, nullptr, &error);
  INFO((error == nullptr ? "" : error));
  sqlite3_free(error);
  sqlite3_close(connection);
  REQUIRE(code == SQLITE_OK);
}

TEST_CASE("a database that is not ours is refused untouched") {
  TempDirectory directory;
  PosixFileSystem fs;
  const std::string root = cat(directory.path(), "/root");
  REQUIRE_OK(make_directories(fs, root));
  const std::string db = cat(root, "/db");
  SECTION("another application's") { run_sql(db, "CREATE TABLE t(a); PRAGMA user_version=1;"); }
  SECTION("not SQLite at all") { REQUIRE_OK(write_file(fs, db, std::string(8192, 'x'))); }
  SECTION("a newer format") {
    REQUIRE_OK(open_sqlite(fs, root, true));
    // The page checksum is not what stops it.
    std::string bytes = *read_file(fs, db, 1 << 20);
    bytes[63] = 2;
    REQUIRE_OK(write_file(fs, db, bytes));
    const absl::Status status = open_sqlite(fs, root, true).status();
    CHECK(std::string(status.message()).find("format 2 is newer") != std::string::npos);
  }
  const std::string before = *read_file(fs, db, 1 << 20);
  const std::vector<std::string> names = *fs.list(root);
  for (const bool create : {false, true}) {
    const absl::Status status = open_sqlite(fs, root, create).status();
    INFO(status.ToString());
    CHECK((status.code() == absl::StatusCode::kFailedPrecondition || absl::IsDataLoss(status)));
  }
  CHECK(*read_file(fs, db, 1 << 20) == before);
  CHECK(*fs.list(root) == names);
}

TEST_CASE("a newer format that lies in the WAL alone is refused as well") {
  Instance instance;
  REQUIRE_OK(instance->log().append(data_entries(1, 3, 1)));
  instance.close();
  {
    // A newer build, killed before it folded its WAL.
    const std::unique_ptr<SqliteConnection> newer =
        *SqliteConnection::open(&instance.fs, cat(instance.root, "/db"), 4096, {});
    REQUIRE_OK(newer->execute("PRAGMA user_version=2"));
    newer->stop_writing();
  }
  REQUIRE(*exists(instance.fs, cat(instance.root, "/db-wal")));
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = open_sqlite(instance.fs, instance.root, false).status();
    CHECK(absl::IsFailedPrecondition(status));
    CHECK(std::string(status.message()).find("format 2 is newer") != std::string::npos);
    CHECK(*exists(instance.fs, cat(instance.root, "/db-wal")));
  }
}

TEST_CASE("a root that tells of a lost store never opens as fresh (ora.L13)") {
  TempDirectory directory;
  PosixFileSystem fs;
  const std::string root = cat(directory.path(), "/root");
  std::string gone = GENERATE("db", "empty db", "db, but a WAL", "db, but a snapshot");
  CAPTURE(gone);
  {
    const std::unique_ptr<Family> family = *open_sqlite(fs, root, true);
    REQUIRE_OK(family->log().append(data_entries(1, 3, 1)));
    if (gone == "db, but a snapshot") REQUIRE_OK(publish_snapshot(*family, 2, 1, {}));
  }
  const std::string db = cat(root, "/db");
  if (gone == "empty db") {
    REQUIRE_OK(write_file(fs, db, ""));
  } else {
    REQUIRE_OK(fs.unlink(db));
  }
  if (gone == "db, but a WAL") REQUIRE_OK(write_file(fs, cat(db, "-wal"), "x"));
  const absl::Status status = open_sqlite(fs, root, true).status();
  INFO(status);
  CHECK(absl::IsDataLoss(status));
}

TEST_CASE("a schema that this build did not write is refused") {
  TempDirectory directory;
  PosixFileSystem fs;
  REQUIRE_OK(open_sqlite(fs, directory.path(), true));
  {
    // Through our VFS, so that the checksums of the pages hold.
    const std::unique_ptr<SqliteConnection> db =
        *SqliteConnection::open(&fs, cat(directory.path(), "/db"), 4096, SqliteOptions{});
    REQUIRE_OK(db->execute("CREATE TRIGGER t AFTER INSERT ON log BEGIN SELECT 1; END"));
  }
  const absl::Status status = open_sqlite(fs, directory.path(), false).status();
  CHECK(absl::IsDataLoss(status));
  CHECK(std::string(status.message()).find("schema object 2") != std::string::npos);
}

TEST_CASE("the generator of a run repeats, and differs between seeds") {
  const auto draw = [](uint64_t seed) {
    sqlite_reset_for_run(seed);
    std::string bytes(64, '\0');
    sqlite3_randomness(static_cast<int>(bytes.size()), bytes.data());
    return bytes;
  };
  const std::string first = draw(1);
  CHECK(draw(2) != first);
  CHECK(draw(1) == first);
  // Give the other tests the real default back.
  sqlite3_vfs_register(sqlite3_vfs_find("unix"), 1);
}

// Every file below the root, after each step of a fixed sequence of operations.
std::string history_bytes(uint64_t seed, const std::string& journal) {
  TempDirectory directory;
  PosixFileSystem disk;
  OverlayFileSystem fs(&disk);
  const std::string root = cat(directory.path(), "/root");
  sqlite_reset_for_run(seed);
  std::string out;
  const auto dump = [&] {
    const std::vector<std::string> paths = *list_tree(fs, root);
    for (const std::string& path : paths) {
      out += cat(path, "\n", *read_file(fs, cat(root, "/", path), 1 << 24));
    }
  };
  for (int round = 0; round < 2; ++round) {
    const FamilyOptions options = {{"journal", journal}, {"checkpoint_frames", "10"}};
    const std::unique_ptr<Family> family = *open_sqlite(fs, root, true, options);
    const int64_t next = family->log().last_index() + 1;
    for (int64_t i = next; i < next + 20; ++i) {
      REQUIRE_OK(family->log().append(data_entries(i, i, 1, 200)));
      dump();
    }
    REQUIRE_OK(family->meta().save({round + 2, ""}));
    REQUIRE_OK(publish_snapshot(*family, next, 1, {{"a", "b"}}));
    REQUIRE_OK(family->log().truncate_prefix(next + 5));
    dump();
  }
  dump();
  sqlite3_vfs_register(sqlite3_vfs_find("unix"), 1);
  return out;
}

TEST_CASE("equal operations and an equal seed give equal bytes, round after round") {
  const std::string journal = GENERATE("WAL", "DELETE", "TRUNCATE");
  CAPTURE(journal);
  const std::string first = history_bytes(7, journal);
  CHECK(first.size() > 100'000);
  CHECK((history_bytes(7, journal) == first));
  // The salts come from the seed; TRUNCATE leaves no journal between operations to show its nonce.
  CHECK((history_bytes(8, journal) != first) == (journal != "TRUNCATE"));
  CHECK((history_bytes(7, journal) == first));
}

}  // namespace
}  // namespace qk::families
