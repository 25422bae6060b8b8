#include "cli/source_guard.h"

#include <algorithm>
#include <filesystem>

#include "families/fs/file_util.h"

namespace qk::cli {
namespace {

namespace stdfs = std::filesystem;

// "process 4711 has /srv/g1/log/x open", or empty. Processes that we may not look into, or that end
// meanwhile, are passed over.
std::string open_below(const std::string& root) {
  std::error_code ignored;
  for (const auto& process : stdfs::directory_iterator("/proc", ignored)) {
    const std::string pid = process.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    for (const auto& handle : stdfs::directory_iterator(process.path() / "fd", ignored)) {
      const std::string target = stdfs::read_symlink(handle.path(), ignored).string();
      if (target.starts_with(root + "/")) return cat("process ", pid, " has ", target, " open");
    }
  }
  return "";
}

}  // namespace

absl::StatusOr<SourceGuard::Fingerprint> SourceGuard::take(families::FileSystem& fs,
                                                           const std::string& root) {
  QK_ASSIGN_OR_RETURN(Fingerprint names, families::list_tree(fs, root));
  for (std::string& name : names) {
    QK_ASSIGN_OR_RETURN(const families::FileStat stat, fs.stat(families::join_path(root, name)));
    name = cat("\"", name, "\" of ", stat.size, " bytes, inode ", stat.inode);
  }
  return names;
}

absl::StatusOr<SourceGuard> SourceGuard::watch(families::FileSystem& fs, std::string root) {
  if (const std::string user = open_below(root); !user.empty()) {
    return absl::UnavailableError(cat("in use: ", user));
  }
  QK_ASSIGN_OR_RETURN(Fingerprint fingerprint, take(fs, root));
  return SourceGuard(&fs, std::move(root), std::move(fingerprint));
}

absl::Status SourceGuard::check() const {
  QK_ASSIGN_OR_RETURN(const Fingerprint now, take(*fs_, root_));
  const auto [before, after] =
      std::mismatch(fingerprint_.begin(), fingerprint_.end(), now.begin(), now.end());
  if (before == fingerprint_.end() && after == now.end()) return absl::OkStatus();
  return absl::UnavailableError(cat("changed meanwhile: found ",
                                    after == now.end() ? "nothing more" : *after, ", expected ",
                                    before == fingerprint_.end() ? "nothing more" : *before));
}

}  // namespace qk::cli
