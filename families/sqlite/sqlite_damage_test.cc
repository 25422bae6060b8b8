// Damage to a store at rest: flipped bytes, tampered rows, lost files. What comes back is an error
// or the right value; never another value, never an empty store. Verified for pages of the
// database, rows, frames of a WAL and files of a snapshot. Not for lost writes, rollback journals
// and the last transaction of a WAL, which the family does not promise.
#include "families/fs/overlay_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/sqlite/connection.h"
#include "families/sqlite/test_util.h"
#include "families/sqlite/vfs.h"
#include "families/sqlite/wal.h"

namespace qk::families {
namespace {

constexpr uint64_t kMaxFile = 1 << 24;

std::string with_flip(std::string bytes, size_t offset) {
  bytes[offset] = static_cast<char>(bytes[offset] ^ (1 << (offset % 8)));
  return bytes;
}

// Files of a store by name, as a crash of the process leaves them.
using Files = std::map<std::string, std::string>;

class Store {
 public:
  Files read() {
    Files files;
    const std::vector<std::string> names = *list_tree(fs, root);
    for (const std::string& name : names) {
      files[name] = *read_file(fs, cat(root, "/", name), kMaxFile);
    }
    return files;
  }
  void write(const Files& files) {
    REQUIRE_OK(remove_tree(fs, root));
    REQUIRE_OK(make_directories(fs, root));
    for (const auto& [name, bytes] : files) {
      const std::string path = cat(root, "/", name);
      REQUIRE_OK(make_directories(fs, parent_path(path)));
      REQUIRE_OK(write_file(fs, path, bytes));
    }
  }
  // Of what an open finds, or the error of opening or reading.
  absl::StatusOr<std::string> state() {
    QK_ASSIGN_OR_RETURN(const std::unique_ptr<Family> family, open_sqlite(fs, root, true));
    return describe(*family);
  }

  TempDirectory directory;
  PosixFileSystem disk;
  OverlayFileSystem fs{&disk};  // in memory, for speed
  const std::string root = cat(directory.path(), "/root");
};

TEST_CASE("a flipped byte anywhere in the database is an error or has no effect") {
  Store store;
  {
    const std::unique_ptr<Family> family =
        *open_sqlite(store.fs, store.root, true, {{"page_size", "1024"}});
    REQUIRE_OK(family->log().append(data_entries(1, 30, 2, 60)));
    REQUIRE_OK(family->log().append(data_entries(31, 31, 2, 3000)));
    REQUIRE_OK(family->log().truncate_prefix(4));
    REQUIRE_OK(family->meta().save({9, "127.0.0.1:8100:0:0"}));
    REQUIRE_OK(publish_snapshot(*family, 3, 2, {{"data", "contents"}}));
  }
  const Files files = store.read();
  const std::string expected = *store.state();
  const std::string& db = files.at("db");
  size_t refused = 0;
  size_t harmless = 0;
  // Every region of every page: the stride and the page size have no common factor.
  for (size_t offset = 0; offset < db.size(); offset += offset < 1024 ? 3 : 23) {
    CAPTURE(offset);
    Files damaged = files;
    damaged["db"] = with_flip(db, offset);
    store.write(damaged);
    const absl::StatusOr<std::string> found = store.state();
    if (found.ok()) {
      CHECK(*found == expected);
      ++harmless;
    } else {
      const bool explicit_error = absl::IsDataLoss(found.status()) ||
                                  found.status().code() == absl::StatusCode::kFailedPrecondition;
      INFO(found.status().ToString());
      CHECK(explicit_error);
      ++refused;
    }
  }
  // A page that is never read (free, or of no use to us) may be damaged unseen.
  CHECK(refused > 10 * harmless);
}

TEST_CASE("a database cut short is an error") {
  Store store;
  {
    const std::unique_ptr<Family> family =
        *open_sqlite(store.fs, store.root, true, {{"page_size", "1024"}});
    REQUIRE_OK(family->log().append(data_entries(1, 30, 2, 60)));
  }
  const Files files = store.read();
  for (size_t size = 0; size < files.at("db").size(); size += 511) {
    CAPTURE(size);
    Files damaged = files;
    damaged["db"].resize(size);
    store.write(damaged);
    CHECK(absl::IsDataLoss(store.state().status()));
  }
}

// A WAL as a crash leaves it, and the states it may be recovered to.
struct CrashedWal {
  Files files;
  std::string before_last;  // without the last commit
  std::string whole;
  size_t last_begin = 0;  // offset in the WAL where the last commit begins
};

CrashedWal crashed_wal(Store& store, const std::string& page_size) {
  CrashedWal crashed;
  const std::unique_ptr<Family> family = *open_sqlite(
      store.fs, store.root, true, {{"page_size", page_size}, {"checkpoint_frames", "1000000"}});
  REQUIRE_OK(family->log().append(data_entries(1, 2, 2, 60)));
  REQUIRE_OK(family->meta().save({9, "127.0.0.1:8100:0:0"}));
  REQUIRE_OK(family->log().append(data_entries(3, 6, 2, 900)));
  REQUIRE_OK(family->log().append(data_entries(7, 7, 2)));
  crashed.before_last = *describe(*family);
  crashed.last_begin = store.read().at("db-wal").size();
  REQUIRE_OK(family->log().append(data_entries(8, 8, 2)));
  crashed.whole = *describe(*family);
  crashed.files = store.read();
  return crashed;
}

TEST_CASE("a flipped byte in a WAL is an error, or harmless, or in the last commit") {
  const std::string page_size = GENERATE("1024", "4096");
  CAPTURE(page_size);
  Store store;
  const CrashedWal crashed = crashed_wal(store, page_size);
  store.write(crashed.files);
  REQUIRE(*store.state() == crashed.whole);
  const std::string& wal = crashed.files.at("db-wal");
  // The last padding frame before a commit may be torn by the crash that tears the commit.
  const size_t ambiguous = crashed.last_begin - kWalFrameHeaderBytes - std::stoul(page_size);
  size_t refused = 0;
  const size_t stride = page_size == "1024" ? 7 : 61;
  for (size_t offset = 0; offset < wal.size(); offset += stride) {
    CAPTURE(offset, ambiguous);
    Files damaged = crashed.files;
    damaged["db-wal"] = with_flip(wal, offset);
    store.write(damaged);
    const absl::StatusOr<std::string> found = store.state();
    if (found.ok()) {
      CHECK((*found == crashed.whole || (offset >= ambiguous && *found == crashed.before_last)));
    } else {
      INFO(found.status().ToString());
      CHECK(absl::IsDataLoss(found.status()));
      ++refused;
    }
  }
  CHECK(refused > ambiguous / stride * 9 / 10);
}

TEST_CASE("a torn last commit is cut, whatever part of it survived") {
  const std::string page_size = GENERATE("1024", "4096");
  CAPTURE(page_size);
  Store store;
  const CrashedWal crashed = crashed_wal(store, page_size);
  const std::string& wal = crashed.files.at("db-wal");
  const auto check = [&](std::string torn) {
    Files files = crashed.files;
    files["db-wal"] = std::move(torn);
    store.write(files);
    const absl::StatusOr<std::string> found = store.state();
    REQUIRE_OK(found);
    CHECK((*found == crashed.whole || *found == crashed.before_last));
  };
  for (size_t size = crashed.last_begin; size < wal.size(); size += 97) check(wal.substr(0, size));
  for (size_t sector = crashed.last_begin / 512; sector * 512 < wal.size(); ++sector) {
    const size_t begin = std::max(sector * 512, crashed.last_begin);
    const size_t end = std::min((sector + 1) * 512, wal.size());
    for (const char fill : {'\0', '\x5a'}) {
      check(std::string(wal).replace(begin, end - begin, end - begin, fill));
      // Nothing from here on.
      check(std::string(wal).replace(begin, wal.size() - begin, wal.size() - begin, fill));
      // Nothing up to here.
      check(std::string(wal).replace(crashed.last_begin, end - crashed.last_begin,
                                     end - crashed.last_begin, fill));
    }
  }
}

TEST_CASE("a frame damaged while the store is open never reaches the database") {
  Store store;
  const std::unique_ptr<Family> family =
      *open_sqlite(store.fs, store.root, true, {{"checkpoint_frames", "6"}});
  REQUIRE_OK(family->log().append(data_entries(1, 1, 2)));
  REQUIRE_OK(family->log().append(data_entries(2, 2, 2)));
  const std::string wal = cat(store.root, "/db-wal");
  const std::string bytes = *read_file(store.fs, wal, kMaxFile);
  // In the last frame, which is the one a checkpoint copies.
  const std::unique_ptr<File> file = *store.fs.open(wal, OpenFlags{});
  const size_t offset = bytes.size() - 100;
  REQUIRE_OK(file->write_at(offset, with_flip(bytes, offset).substr(offset, 1)));
  const std::string db = *read_file(store.fs, cat(store.root, "/db"), kMaxFile);
  // Another page, so that the damaged frame stays the newest of its own.
  REQUIRE_OK(family->meta().save({3, ""}));
  const Outcome refused = family->meta().save({4, ""});
  CHECK(refused.kind() == Outcome::Kind::kFailedClean);
  INFO(refused.status().ToString());
  CHECK(std::string(refused.status().message()).find("frame 3") != std::string::npos);
  CHECK(*read_file(store.fs, cat(store.root, "/db"), kMaxFile) == db);
}

TEST_CASE("a row changed behind our back is named") {
  Store store;
  {
    const std::unique_ptr<Family> family = *open_sqlite(store.fs, store.root, true);
    REQUIRE_OK(family->log().append(data_entries(1, 9, 2)));
    REQUIRE_OK(publish_snapshot(*family, 3, 2, {{"data", "contents"}}));
  }
  struct Tamper {
    const char* sql;
    const char* named;
  };
  const Tamper tamper = GENERATE(values<Tamper>({
      {"UPDATE log SET payload = x'00' WHERE idx = 5", "log row 5"},
      {"UPDATE log SET term = 3 WHERE idx = 5", "log row 5"},
      {"UPDATE log SET type = 3 WHERE idx = 5", "log row 5"},
      {"UPDATE log SET crc = crc + 1 WHERE idx = 5", "log row 5"},
      {"UPDATE log SET payload_crc = payload_crc + 1 WHERE idx = 5", "log row 5"},
      {"UPDATE log SET payload = 'text' WHERE idx = 5", "log row 5"},
      {"DELETE FROM log WHERE idx = 5", "log row 5"},
      {"DELETE FROM log WHERE idx = 1", "log row 1"},
      {"DELETE FROM log WHERE idx = 5; UPDATE log SET idx = 5 WHERE idx = 9", "log row 5"},
      {"UPDATE log SET idx = 20 WHERE idx = 9", "log row 9"},
      {"UPDATE log SET idx = 0 WHERE idx = 1", "log row 0"},
      {"UPDATE log SET idx = -idx", "log row -9"},
      {"DELETE FROM state WHERE id = 1", "first_index"},
      {"DELETE FROM state WHERE id = 2", "hard_state"},
      {"DELETE FROM state WHERE id = 3", "snapshot"},
      {"UPDATE state SET value = x'' WHERE id = 3", "snapshot"},
      {"UPDATE state SET value = x'' WHERE id = 2", "hard_state"},
      {"UPDATE state SET value = (SELECT value FROM state WHERE id = 2) WHERE id = 1",
       "first_index"},
      {"UPDATE state SET crc = 0 WHERE id = 1", "first_index"},
  }));
  CAPTURE(tamper.sql);
  {
    // Through our VFS, so that the checksums of the pages hold.
    const std::unique_ptr<SqliteConnection> db =
        *SqliteConnection::open(&store.fs, cat(store.root, "/db"), 4096, SqliteOptions{});
    for (std::string rest = tamper.sql; !rest.empty();) {
      const size_t end = std::min(rest.find(';'), rest.size());
      REQUIRE_OK(db->execute(rest.substr(0, end)));
      rest.erase(0, end + 1);
    }
  }
  const absl::StatusOr<std::string> found = store.state();
  INFO(found.status().ToString());
  REQUIRE(absl::IsDataLoss(found.status()));
  CHECK(std::string(found.status().message()).find(tamper.named) != std::string::npos);
}

TEST_CASE("a term is verified without its payload") {
  Store store;
  const std::string db_path = cat(store.root, "/db");
  {
    const std::unique_ptr<Family> family = *open_sqlite(store.fs, store.root, true);
    REQUIRE_OK(family->log().append(data_entries(1, 2, 2, 100'000)));
  }
  REQUIRE_OK((*SqliteConnection::open(&store.fs, db_path, 4096, SqliteOptions{}))
                 ->execute("UPDATE log SET term = 7 WHERE idx = 1"));
  const std::unique_ptr<Family> family = *open_sqlite(store.fs, store.root, false);
  CHECK(absl::IsDataLoss(family->log().term(1).status()));
  CHECK(*family->log().term(2) == 2);
}

TEST_CASE("a damaged snapshot is an error and never none") {
  Store store;
  {
    const std::unique_ptr<Family> family = *open_sqlite(store.fs, store.root, true);
    REQUIRE_OK(publish_snapshot(*family, 3, 2, {{"a", ""}, {"d/data", "contents"}}));
  }
  const std::string tree = cat(store.root, "/snapshot/00000000000000000003-2");
  SECTION("flipped") { REQUIRE_OK(write_file(store.fs, cat(tree, "/d/data"), "contentz")); }
  SECTION("shorter") { REQUIRE_OK(write_file(store.fs, cat(tree, "/d/data"), "content")); }
  SECTION("longer") { REQUIRE_OK(write_file(store.fs, cat(tree, "/a"), "x")); }
  SECTION("file lost") { REQUIRE_OK(store.fs.unlink(cat(tree, "/a"))); }
  SECTION("tree lost") { REQUIRE_OK(remove_tree(store.fs, tree)); }
  SECTION("directory lost") { REQUIRE_OK(remove_tree(store.fs, cat(store.root, "/snapshot"))); }
  const std::unique_ptr<Family> family = *open_sqlite(store.fs, store.root, true);
  CHECK(absl::IsDataLoss(family->snapshot().open().status()));
  CHECK(family->snapshot().current()->last_included_index == 3);
  // A newer one heals it.
  REQUIRE_OK(publish_snapshot(*family, 4, 2, {{"a", "new"}}));
  REQUIRE_OK(family->snapshot().open());
}

}  // namespace
}  // namespace qk::families
