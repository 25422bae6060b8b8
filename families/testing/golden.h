// GoldenArchive: directories written by real braft, each a case: its tree, what braft read from it
// (expected.json), and the mutations that made it (script.txt). The archive keeps empty
// directories, which a repository would drop.
//
// The whole archive is held in memory: names are checked (no absolute path, no ".."), and its size
// is bounded before anything is allocated.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "families/fs/file_system.h"

namespace qk::families {

class GoldenArchive {
 public:
  // A .tar.gz whose entries are DIR/CASE/...; DataLoss or InvalidArgument names the archive.
  static absl::StatusOr<GoldenArchive> load(const std::string& path);

  // In byte order.
  std::vector<std::string> cases() const;
  // NotFound if the case or the file is not there.
  absl::StatusOr<std::string> file(std::string_view name, std::string_view path) const;

  // Relative path -> bytes, and directories, of one case; without expected*.json and script.txt.
  struct Tree {
    std::vector<std::string> directories;  // parents before children
    std::map<std::string, std::string> files;
  };
  absl::StatusOr<Tree> tree(std::string_view name) const;

  // Writes the tree below `root`, which is made if missing, and syncs all of it.
  absl::Status unpack(std::string_view name, FileSystem& fs, const std::string& root) const;

 private:
  struct Case {
    std::vector<std::string> directories;
    std::map<std::string, std::string> files;
  };
  absl::StatusOr<const Case*> find(std::string_view name) const;

  std::map<std::string, Case, std::less<>> cases_;
};

}  // namespace qk::families
