// ConfinedFileSystem: another file system, in which no symbolic link leads out of some directory
// trees.
//
// For sources that somebody else wrote: a "snapshot file" that is a link to /etc/shadow must not be
// copied into an image. Below a root, whatever is opened, listed or looked at must lie in one of
// the roots once all links are resolved as the kernel does; otherwise the call fails with
// FailedPrecondition and names both places. Links from one root to a place in it or in another are
// fine. Paths outside of the roots pass unchecked.
//
// No defence against who changes links meanwhile.
#pragma once

#include <string>
#include <vector>

#include "families/fs/file_system_wrapper.h"

namespace qk::families {

class ConfinedFileSystem final : public FileSystemWrapper {
 public:
  // `roots` as real_path() gives them.
  ConfinedFileSystem(FileSystem* inner, std::vector<std::string> roots)
      : FileSystemWrapper(inner), roots_(std::move(roots)) {}

  absl::StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenFlags flags) override;
  absl::StatusOr<std::vector<std::string>> list(std::string_view path) override;
  absl::StatusOr<FileStat> stat(std::string_view path) override;

 private:
  bool is_inside(std::string_view path) const;
  absl::Status check(std::string_view path);

  const std::vector<std::string> roots_;
};

}  // namespace qk::families
