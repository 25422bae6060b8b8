#include "tools/qksim/output_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "families/fs/file_util.h"

namespace qk::cli {
namespace {

// Creates PATH.<16 digits>.tmp, which no other process has; sets *name.
absl::StatusOr<std::unique_ptr<families::File>> make_temporary(const Environment& environment,
                                                               const std::string& path,
                                                               std::string* name) {
  constexpr int kAttempts = 100;
  absl::Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    *name = cat(path, ".", hex16(environment.random_seed()), ".tmp");
    auto file = environment.fs->open(*name, {.create = true, .exclusive = true});
    if (!absl::IsAlreadyExists(file.status())) return file;
    status = file.status();
  }
  return status;
}

}  // namespace

absl::Status check_writable(const std::string& path,
                            std::initializer_list<std::string_view> beginnings) {
  const std::string parent(families::parent_path(path));
  if (::access(parent.c_str(), W_OK | X_OK) != 0) {
    return absl::FailedPreconditionError(
        cat(path, ": cannot be written: ", parent, ": ", std::strerror(errno)));
  }
  return check_replaceable(path, beginnings);
}

absl::Status check_replaceable(const std::string& path,
                               std::initializer_list<std::string_view> beginnings) {
  struct stat found;
  if (::lstat(path.c_str(), &found) != 0) {
    return errno == ENOENT ? absl::OkStatus() : errno_status(errno, cat("stat ", path));
  }
  const auto foreign = [&](std::string_view what) {
    return absl::FailedPreconditionError(
        cat(path, " is ", what, ", and is not replaced; move it away, or give another name"));
  };
  if (!S_ISREG(found.st_mode)) return foreign("not a regular file");
  size_t longest = 0;
  for (const std::string_view beginning : beginnings) {
    longest = std::max(longest, beginning.size());
  }
  std::string head(longest, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), static_cast<std::streamsize>(longest));
  if (file.bad() || !file.is_open()) return foreign("not readable");
  head.resize(static_cast<size_t>(file.gcount()));
  for (const std::string_view beginning : beginnings) {
    if (head.starts_with(beginning)) return absl::OkStatus();
  }
  return foreign("not a file that qksim wrote here");
}

absl::Status replace_output(const Environment& environment, const std::string& path,
                            std::string_view bytes) {
  families::FileSystem& fs = *environment.fs;
  environment.catch_signals();
  std::string temporary;
  QK_ASSIGN_OR_RETURN(auto file, make_temporary(environment, path, &temporary));
  const auto write = [&]() -> absl::Status {
    QK_RETURN_IF_ERROR(file->write_at(0, bytes));
    QK_RETURN_IF_ERROR(file->sync(families::SyncKind::kFull));
    file.reset();
    return fs.rename(temporary, path);
  };
  if (const absl::Status status = write(); !status.ok()) {
    fs.unlink(temporary).IgnoreError();
    return status;
  }
  return fs.sync_dir(families::parent_path(path), families::SyncKind::kFull);
}

}  // namespace qk::cli
