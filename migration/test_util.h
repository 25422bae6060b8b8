// Shared by the tests that drive a controller.
#pragma once

#include <string>

#include "families/fs/file_util.h"
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

}  // namespace qk::migration
