// FileSystem: the one door to bytes. Every byte that a family, an image, a manifest or a journal
// makes durable passes through here; PosixFileSystem and SimDisk implement it.
//
// Durability. Nothing is durable before a sync that covers it has returned: write_at, truncate and
// size are durable after File::sync; a name (created, linked, renamed, removed, made directory) is
// durable only after sync_dir on the directory that holds it. Syncing a file never makes its name
// durable. Closing a handle (its destructor) promises nothing and reports nothing.
//
// Errors. Statuses come from errno_status() and keep their errno. After a simulated crash every
// call on a handle or file system of the old incarnation returns Aborted (ENODEV) and changes
// nothing. After a failed sync the state of the covered bytes is unknown: fail-stop, reopen,
// reread.
//
// Paths are absolute, '/'-separated and normalised: no "." or ".." component, no trailing '/'.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "families/base/status.h"

namespace qk::families {

enum class SyncKind : uint8_t {
  kData,  // fdatasync: bytes and size
  kFull,  // fsync: bytes, size and attributes
};

struct OpenFlags {
  bool create = false;     // create if missing
  bool exclusive = false;  // with create: fail with AlreadyExists if present
  bool truncate = false;   // cut an existing file to length 0
  bool read_only = false;  // no write_at, truncate
};

enum class FileKind : uint8_t {
  kFile,  // regular
  kDirectory,
  kOther,  // device, FIFO, socket: never opened
};

struct FileStat {
  FileKind kind = FileKind::kFile;
  uint64_t size = 0;   // of a regular file, otherwise 0
  uint64_t inode = 0;  // equal for two names of one file, within one incarnation
  // Of a real disk; 0 on the others.
  uint64_t device = 0;
  int64_t changed_ns = 0;  // ctime: moves with every change to bytes, size, names or attributes
  uint32_t mode = 0;       // permission bits
  uint32_t owner = 0;
  uint32_t group = 0;
};

class File {
 public:
  virtual ~File() = default;

  // Reads up to buffer.size() bytes at `offset`; short only at the end of the file.
  virtual absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) = 0;
  // Writes all bytes at `offset`, extending the file if needed (a gap reads as zeros). On error any
  // part may have been written.
  virtual absl::Status write_at(uint64_t offset, std::string_view bytes) = 0;
  virtual absl::Status truncate(uint64_t size) = 0;
  virtual absl::StatusOr<uint64_t> size() = 0;
  virtual absl::Status sync(SyncKind kind) = 0;
  // From `offset` up to here all bytes are zeros that take no place on the disk (a hole), so that
  // nobody need read them; `offset` itself if that is not known, the size if none other follow.
  virtual absl::StatusOr<uint64_t> skip_hole(uint64_t offset) { return offset; }
};

// Held until destroyed; dies with the machine.
class FileLock {
 public:
  virtual ~FileLock() = default;
  // FailedPrecondition if the locked name leads to something else by now.
  virtual absl::Status check() const { return absl::OkStatus(); }
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual absl::StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenFlags flags) = 0;
  virtual absl::Status unlink(std::string_view path) = 0;
  // Replaces an existing file (or empty directory) at `to`; works on directories too. Atomic in
  // one directory; across directories it may split on a hostile disk (level P2x).
  virtual absl::Status rename(std::string_view from, std::string_view to) = 0;
  virtual absl::Status link(std::string_view existing, std::string_view name) = 0;
  virtual absl::Status mkdir(std::string_view path) = 0;
  virtual absl::Status rmdir(std::string_view path) = 0;
  // Names without "." and "..", in byte order.
  virtual absl::StatusOr<std::vector<std::string>> list(std::string_view path) = 0;
  virtual absl::StatusOr<FileStat> stat(std::string_view path) = 0;
  virtual absl::Status sync_dir(std::string_view path, SyncKind kind) = 0;
  // Creates the lock file if missing; Unavailable if another handle holds it.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> lock(std::string_view path) = 0;
  virtual absl::StatusOr<uint64_t> free_space(std::string_view path) = 0;

  // What only a disk that others write to as well needs; the defaults are for the other ones.

  // Like rename(), but AlreadyExists, and nothing changed, if `to` is there.
  virtual absl::Status rename_new(std::string_view from, std::string_view to);
  // Locks a directory itself, without a lock file: Unavailable if another handle holds it. Not by
  // way of a symbolic link.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> lock_directory(std::string_view /*path*/) {
    return std::make_unique<FileLock>();
  }
  virtual absl::StatusOr<bool> is_symlink(std::string_view /*path*/) { return false; }
  // The same file's path without symbolic links and without "..", as the kernel resolves it; the
  // only call that takes a path that is not normalised.
  virtual absl::StatusOr<std::string> real_path(std::string_view path) { return std::string(path); }
  // PermissionDenied (or EROFS) if this process may not make names in the directory `path`.
  virtual absl::Status check_writable(std::string_view /*path*/) { return absl::OkStatus(); }
};

}  // namespace qk::families
