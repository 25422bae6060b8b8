// PosixFileSystem: FileSystem on a real disk, by plain system calls.
//
// After a crash of the process everything that was written is there; after a power cut only what
// sync and sync_dir covered is certain (see file_system.h). EINTR is retried; a failed fsync is
// reported once and never retried, because the kernel has marked the pages clean by then.
//
// It does not follow a policy of its own: no temporary names, no caching, no retries on ENOSPC.
// Opening anything but a regular file is refused (EISDIR, EINVAL), so a stray FIFO in a data
// directory cannot block. Locks are flock(2): advisory, and released by the kernel when the process
// dies.
#pragma once

#include "families/fs/file_system.h"

namespace qk::families {

class PosixFileSystem final : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenFlags flags) override;
  absl::Status unlink(std::string_view path) override;
  absl::Status rename(std::string_view from, std::string_view to) override;
  absl::Status link(std::string_view existing, std::string_view name) override;
  absl::Status mkdir(std::string_view path) override;
  absl::Status rmdir(std::string_view path) override;
  absl::StatusOr<std::vector<std::string>> list(std::string_view path) override;
  absl::StatusOr<FileStat> stat(std::string_view path) override;
  absl::Status sync_dir(std::string_view path, SyncKind kind) override;
  absl::StatusOr<std::unique_ptr<FileLock>> lock(std::string_view path) override;
  absl::StatusOr<uint64_t> free_space(std::string_view path) override;
  absl::Status rename_new(std::string_view from, std::string_view to) override;
  absl::StatusOr<std::unique_ptr<FileLock>> lock_directory(std::string_view path) override;
  absl::StatusOr<bool> is_symlink(std::string_view path) override;
  absl::StatusOr<std::string> real_path(std::string_view path) override;
  absl::Status check_writable(std::string_view path) override;
};

}  // namespace qk::families
