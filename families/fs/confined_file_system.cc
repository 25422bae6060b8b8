#include "families/fs/confined_file_system.h"

#include <algorithm>
#include <cerrno>

#include "families/base/suggest.h"
#include "families/fs/file_util.h"

namespace qk::families {

bool ConfinedFileSystem::is_inside(std::string_view path) const {
  return std::any_of(roots_.begin(), roots_.end(), [&](const std::string& root) {
    return path == root || root == "/" || (path.starts_with(root) && path[root.size()] == '/');
  });
}

absl::Status ConfinedFileSystem::check(std::string_view path) {
  if (!is_inside(path)) return absl::OkStatus();
  const auto real = inner().real_path(path);
  // The call that follows says it.
  if (const int error = status_errno(real.status()); error == ENOENT || error == ENOTDIR) {
    return absl::OkStatus();
  }
  QK_RETURN_IF_ERROR(real.status());
  if (is_inside(*real)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      cat(path, ": a link to ", *real, ", expected a place inside ", join(roots_)));
}

absl::StatusOr<std::unique_ptr<File>> ConfinedFileSystem::open(std::string_view path,
                                                               OpenFlags flags) {
  QK_RETURN_IF_ERROR(check(path));
  return FileSystemWrapper::open(path, flags);
}

absl::StatusOr<std::vector<std::string>> ConfinedFileSystem::list(std::string_view path) {
  QK_RETURN_IF_ERROR(check(path));
  return FileSystemWrapper::list(path);
}

absl::StatusOr<FileStat> ConfinedFileSystem::stat(std::string_view path) {
  QK_RETURN_IF_ERROR(check(path));
  return FileSystemWrapper::stat(path);
}

}  // namespace qk::families
