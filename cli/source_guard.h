// SourceGuard: is a directory that we only read left alone by everybody else meanwhile? Best
// effort: it sees open files of all processes that we may look into, and any change of names, sizes
// and inodes between its making and check(). It does not see a write that changes neither.
#pragma once

#include <string>
#include <vector>

#include "families/fs/file_system.h"

namespace qk::cli {

class SourceGuard {
 public:
  // Unavailable if a process has a file below `root` open.
  static absl::StatusOr<SourceGuard> watch(families::FileSystem& fs, std::string root);
  // Unavailable, naming what differs, if the directory changed.
  absl::Status check() const;

 private:
  using Fingerprint = std::vector<std::string>;  // one line per file
  SourceGuard(families::FileSystem* fs, std::string root, Fingerprint fingerprint)
      : fs_(fs), root_(std::move(root)), fingerprint_(std::move(fingerprint)) {}
  static absl::StatusOr<Fingerprint> take(families::FileSystem& fs, const std::string& root);

  families::FileSystem* fs_;
  std::string root_;
  Fingerprint fingerprint_;
};

}  // namespace qk::cli
