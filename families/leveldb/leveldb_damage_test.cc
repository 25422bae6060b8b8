// Damage to the files of a LevelDB store that nothing tears: a flip of a bit in each kind of file
// is an error that names the file, or has no effect; never another state, and never a fresh store.
#include <algorithm>

#include "families/engine/log_mark.h"
#include "families/leveldb/test_util.h"

namespace qk::families {
namespace {

struct Store {
  Store() {
    for (int i = 0; i < 12; ++i) {
      const int64_t first = instance.log().last_index() + 1;
      REQUIRE_OK(instance.log().append(data_entries(first, first + 3, 2, 2000)));
      instance.drain();
    }
    REQUIRE_OK(instance->meta().save({5, "127.0.0.1:8100:0:0"}));
    REQUIRE_OK(instance.log().append(data_entries(49, 52, 3, 100)));
    before_last = *describe(*instance);
    REQUIRE_OK(instance.log().append(data_entries(53, 53, 3, 100)));
    whole = *describe(*instance);
    instance.family.reset();
    files = instance.files();
  }
  void write(const std::string& path, const std::string& bytes) {
    REQUIRE_OK(write_file(instance.fs, cat(instance.root, "/", path), bytes));
  }
  // Puts all files back as they were.
  void restore() {
    instance.family.reset();
    for (const auto& [path, bytes] : instance.files()) {
      if (files.count(path) == 0) REQUIRE_OK(instance.fs.unlink(cat(instance.root, "/", path)));
    }
    for (const auto& [path, bytes] : files) write(path, bytes);
  }
  // The only file of the kind.
  std::vector<std::string> paths(std::string_view prefix, std::string_view suffix) const {
    std::vector<std::string> found;
    for (const auto& [path, bytes] : files) {
      if (path.starts_with(prefix) && path.ends_with(suffix)) found.push_back(path);
    }
    return found;
  }

  LeveldbInstance instance;
  std::string before_last, whole;
  std::map<std::string, std::string> files;
};

struct Tally {
  int refused = 0;
  int unchanged = 0;
  int torn = 0;  // taken for a torn last commit
};

// Flips one bit in every `stride`-th byte of [from, to) of a file.
Tally flip(Store& store, const std::string& path, size_t from, size_t to, size_t stride) {
  Tally tally;
  const std::string intact = store.files[path];
  for (size_t i = from; i < to; i += stride) {
    CAPTURE(path, i);
    std::string flipped = intact;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << i % 8));
    store.write(path, flipped);
    const absl::StatusOr<std::string> state = store.instance.reopened_state();
    INFO(state.status());
    if (!state.ok()) {
      CHECK(absl::IsDataLoss(state.status()));
      const std::string message(state.status().message());
      CHECK(message.find(store.instance.root) != std::string::npos);
      ++tally.refused;
    } else if (*state == store.whole) {
      ++tally.unchanged;
    } else {
      CHECK(*state == store.before_last);
      ++tally.torn;
    }
    store.restore();
  }
  return tally;
}

TEST_CASE("a flip in a WAL is refused, or taken for a torn last commit") {
  Store store;
  const std::vector<std::string> wals = store.paths("db/", ".log");
  REQUIRE(wals.size() == 1);
  // The last record has about 150 bytes, the one before it 600.
  const size_t size = store.files[wals[0]].size();
  REQUIRE(size > 700);
  const Tally old = flip(store, wals[0], 0, size - 200, size / 150);
  CHECK(old.refused > 100);
  CHECK(old.torn == 0);
  CHECK(old.unchanged == 0);
  const Tally last = flip(store, wals[0], size - 100, size, 3);
  CHECK(last.torn > 0);
  CHECK(last.unchanged == 0);
}

TEST_CASE("a flip in the MANIFEST is refused or has no effect") {
  Store store;
  const std::vector<std::string> manifests = store.paths("db/MANIFEST-", "");
  REQUIRE(manifests.size() == 1);
  const Tally tally = flip(store, manifests[0], 0, store.files[manifests[0]].size(), 1);
  CHECK(tally.torn == 0);
  CHECK(tally.refused > tally.unchanged);
}

TEST_CASE("a flip in a table file is refused or has no effect") {
  Store store;
  const std::vector<std::string> tables = store.paths("db/", ".ldb");
  REQUIRE_FALSE(tables.empty());
  for (const std::string& table : tables) {
    const Tally tally = flip(store, table, 0, store.files[table].size(), 331);
    CHECK(tally.torn == 0);
    CHECK(tally.refused > 0);
  }
}

TEST_CASE("a flip in CURRENT or FORMAT is refused") {
  Store store;
  for (const char* path : {"db/CURRENT", "db/FORMAT"}) {
    const Tally tally = flip(store, path, 0, store.files[path].size(), 1);
    CHECK(tally.refused == static_cast<int>(store.files[path].size()));
  }
}

TEST_CASE("a missing or empty file is refused, and named") {
  Store store;
  for (const auto& [path, bytes] : store.files) {
    const bool lock = path == "db/LOCK" || path == "db.lock";
    if (lock || bytes.empty()) continue;
    for (const bool remove : {true, false}) {
      CAPTURE(path, remove);
      if (remove) {
        REQUIRE_OK(store.instance.fs.unlink(cat(store.instance.root, "/", path)));
      } else {
        store.write(path, "");
      }
      const absl::StatusOr<std::string> state = store.instance.reopened_state();
      INFO(state.status());
      if (remove && path == kLogMarkName) {
        CHECK(*state == store.whole);  // it vouches for the WAL, which is there
      } else {
        CHECK(absl::IsDataLoss(state.status()));
      }
      store.restore();
    }
  }
  CHECK(*store.instance.reopened_state() == store.whole);
}

TEST_CASE("an edit lost from the MANIFEST is detected by the gap before the next WAL") {
  Store store;
  // Its end may be torn; but the flush that an edit recorded let its WAL go.
  const std::string manifest = store.paths("db/MANIFEST-", "")[0];
  const std::string intact = store.files[manifest];
  int refused = 0;
  for (size_t size = 0; size < intact.size(); ++size) {
    CAPTURE(size);
    store.write(manifest, intact.substr(0, size));
    const absl::StatusOr<std::string> state = store.instance.reopened_state();
    if (state.ok()) {
      CHECK(*state == store.whole);
    } else {
      CHECK(absl::IsDataLoss(state.status()));
      ++refused;
    }
    store.restore();
  }
  CHECK(refused > static_cast<int>(intact.size()) / 2);
}

}  // namespace
}  // namespace qk::families
