// Shared by the tests of families/engine: one instance, on the test engine, that can be reopened,
// and whose rows can be changed without its knowledge.
#pragma once

#include "families/engine/kv_family.h"
#include "families/engine/test_kv_engine.h"
#include "families/fs/overlay_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/testing/util.h"

namespace qk::families {

class KvInstance {
 public:
  KvInstance() { REQUIRE_OK(open(true)); }

  Family& operator*() { return *family_; }
  Family* operator->() { return family_.get(); }
  LogStorage& log() { return family_->log(); }

  absl::Status open(bool create = false, std::string_view family = "test") {
    family_.reset();
    absl::StatusOr<std::unique_ptr<Family>> opened =
        open_kv_family({.fs = &fs, .root = root, .create = create, .options = {}}, family,
                       TestKvEngine::opener(&control));
    if (opened.ok()) family_ = std::move(*opened);
    return opened.status();
  }
  void close() { family_.reset(); }

  // What the state is, which must be the same after closing and reopening.
  std::string state() {
    const absl::StatusOr<std::string> before = describe(*family_);
    REQUIRE_OK(before);
    REQUIRE_OK(open());
    const absl::StatusOr<std::string> after = describe(*family_);
    REQUIRE_OK(after);
    CHECK(*before == *after);
    return *after;
  }
  // The state after opening again, or the error of opening or reading.
  absl::StatusOr<std::string> reopened_state() {
    QK_RETURN_IF_ERROR(open());
    return describe(*family_);
  }

  // Of the closed instance: its row; changes to its rows.
  std::string row(std::string_view key) {
    const std::unique_ptr<KvEngine> engine = open_engine();
    std::string value;
    const absl::StatusOr<bool> found = engine->get(key, &value);
    REQUIRE((found.ok() && *found));
    return value;
  }
  void put_row(std::string_view key, std::string_view value) {
    change([&](KvBatch& batch) { batch.put(key, value, ""); });
  }
  void remove_row(std::string_view key) {
    change([&](KvBatch& batch) { batch.remove(key); });
  }

  TempDirectory directory;
  PosixFileSystem disk;
  OverlayFileSystem fs{&disk};  // in memory, for speed
  const std::string root = cat(directory.path(), "/a/root");
  const std::string db = cat(root, "/db");
  TestKvControl control;

 private:
  std::unique_ptr<KvEngine> open_engine() {
    family_.reset();
    absl::StatusOr<std::unique_ptr<KvEngine>> engine = TestKvEngine::open(&fs, db, false, &control);
    REQUIRE_OK(engine);
    return std::move(*engine);
  }
  void change(const std::function<void(KvBatch&)>& fill) {
    const std::unique_ptr<KvEngine> engine = open_engine();
    const std::unique_ptr<KvBatch> batch = engine->new_batch();
    fill(*batch);
    REQUIRE_OK(engine->commit(*batch));
  }

  std::unique_ptr<Family> family_;
};

}  // namespace qk::families
