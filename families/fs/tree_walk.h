// A look at a whole tree of files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "families/fs/file_system.h"

namespace qk::families {

// Relative paths, as the walk finds them: names of a directory in byte order, children before their
// directory; without the root.
struct TreeNames {
  std::vector<std::string> files;  // everything but directories
  std::vector<std::string> directories;
  std::vector<std::string> empty_directories;  // of the directories
  std::vector<std::string> dangling;           // symbolic links that lead nowhere
};

// Follows symbolic links; a directory that contains itself by one is an error, and not an endless
// walk.
absl::StatusOr<TreeNames> walk_tree(FileSystem& fs, std::string_view root);

}  // namespace qk::families
