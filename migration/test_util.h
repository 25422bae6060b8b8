// Shared by the tests of this folder.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "migration/controller.h"

namespace qk::migration {

// A new node in `node_dir` that begins on `family`, with a clock that does not move and one name for
// whatever it names. `fs` and `registry` must outlive the controller.
inline ControllerOptions test_options(families::FileSystem* fs, const families::Registry* registry,
                                      const std::string& node_dir,
                                      const std::string& family = "local") {
  ControllerOptions options;
  options.fs = fs;
  options.registry = registry;
  options.node_dir = node_dir;
  options.group_id = "g";
  options.peer_id = "127.0.0.1:8100:0:0";
  options.initial = {family, families::join_path(node_dir, family), {}};
  options.create = true;
  options.now = [] { return int64_t{5}; };
  options.random = [] { return uint64_t{6}; };
  return options;
}

// A directory of the real file system, as long as this is there.
class TempDir {
 public:
  families::FileSystem& fs() { return fs_; }
  const std::string& root() const { return directory_.path(); }
  std::string path(std::string_view name) const {
    return families::join_path(directory_.path(), name);
  }

  void flip_byte(std::string_view name, uint64_t offset) {
    auto file = fs_.open(path(name), {});
    REQUIRE(file.ok());
    char byte = 0;
    REQUIRE((*file)->read_at(offset, {&byte, 1}).value() == 1);
    byte ^= 1;
    REQUIRE((*file)->write_at(offset, {&byte, 1}).ok());
  }

 private:
  families::PosixFileSystem fs_;
  families::TempDirectory directory_;
};

}  // namespace qk::migration
