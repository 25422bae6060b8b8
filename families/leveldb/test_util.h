// Shared by the tests of the leveldb family: one instance that can be reopened, with small
// memtables, so that little is enough for flushes and compactions.
#pragma once

#include "families/fs/overlay_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/leveldb/leveldb_family.h"
#include "families/testing/util.h"

namespace qk::families {

inline absl::StatusOr<std::unique_ptr<Family>> open_leveldb(FileSystem& fs, const std::string& root,
                                                            bool create) {
  return leveldb_family().open(
      {.fs = &fs, .root = root, .create = create, .options = {{"write_buffer_size", "65536"}}});
}

class LeveldbInstance {
 public:
  LeveldbInstance() { REQUIRE_OK(open(true)); }

  Family& operator*() { return *family; }
  Family* operator->() { return family.get(); }
  LogStorage& log() { return family->log(); }

  absl::Status open(bool create = false) {
    family.reset();
    absl::StatusOr<std::unique_ptr<Family>> opened = open_leveldb(fs, root, create);
    if (opened.ok()) family = std::move(*opened);
    return opened.status();
  }
  absl::StatusOr<std::string> reopened_state() {
    QK_RETURN_IF_ERROR(open());
    return describe(*family);
  }
  void drain() {
    while (family->pending_work() > 0) REQUIRE_OK(family->run_one());
  }
  // Every file below the root with its bytes.
  std::map<std::string, std::string> files() {
    const absl::StatusOr<std::vector<std::string>> paths = list_tree(fs, root);
    REQUIRE_OK(paths);
    std::map<std::string, std::string> all;
    for (const std::string& path : *paths) {
      const absl::StatusOr<std::string> bytes = read_file(fs, cat(root, "/", path), 64 << 20);
      REQUIRE_OK(bytes);
      all[path] = *bytes;
    }
    return all;
  }

  TempDirectory directory;
  PosixFileSystem disk;
  OverlayFileSystem fs{&disk};  // in memory, for speed
  const std::string root = cat(directory.path(), "/a/root");
  std::unique_ptr<Family> family;
};

}  // namespace qk::families
