#include "families/fs/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <utility>

namespace qk::families {
namespace {

constexpr mode_t kFileMode = 0644;
constexpr mode_t kDirectoryMode = 0755;
constexpr uint64_t kMaxOffset = std::numeric_limits<off_t>::max();

// Repeats a system call that a signal interrupted.
template <typename Call>
auto retry(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ != -1) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

absl::Status check_path(std::string_view path, std::string_view what) {
  const bool fine = path.starts_with('/') && path.find('\0') == std::string_view::npos;
  return fine ? absl::OkStatus() : errno_status(EINVAL, cat(what, " ", path));
}

std::string_view kind_text(mode_t mode) {
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISBLK(mode) || S_ISCHR(mode)) return "a device";
  return "no regular file";
}

// Opens `path`, which must be a regular file. O_NONBLOCK has no effect on one, and keeps the open
// of a FIFO from waiting for a peer.
absl::StatusOr<Descriptor> open_regular(std::string_view path, int flags, std::string_view what) {
  QK_RETURN_IF_ERROR(check_path(path, what));
  const std::string name(path);
  Descriptor fd(
      retry([&] { return ::open(name.c_str(), flags | O_CLOEXEC | O_NONBLOCK, kFileMode); }));
  if (fd.get() == -1) return errno_status(errno, cat(what, " ", path));
  struct stat st;
  if (::fstat(fd.get(), &st) == -1) return errno_status(errno, cat(what, " ", path));
  if (S_ISDIR(st.st_mode)) return errno_status(EISDIR, cat(what, " ", path));
  if (!S_ISREG(st.st_mode)) {
    return errno_status(EINVAL,
                        cat(what, " ", path, ": is ", kind_text(st.st_mode), ", expected a file"));
  }
  return fd;
}

FileStat to_file_stat(const struct stat& st) {
  FileStat found;
  found.kind = S_ISREG(st.st_mode)   ? FileKind::kFile
               : S_ISDIR(st.st_mode) ? FileKind::kDirectory
                                     : FileKind::kOther;
  found.size = S_ISREG(st.st_mode) ? static_cast<uint64_t>(st.st_size) : 0;
  found.inode = st.st_ino;
  found.device = st.st_dev;
  found.changed_ns = int64_t{st.st_ctim.tv_sec} * 1'000'000'000 + st.st_ctim.tv_nsec;
  found.mode = st.st_mode & 07777;
  found.owner = st.st_uid;
  found.group = st.st_gid;
  return found;
}

absl::Status sync_descriptor(int fd, SyncKind kind, std::string_view path) {
  const bool data = kind == SyncKind::kData;
  const int result = retry([&] { return data ? ::fdatasync(fd) : ::fsync(fd); });
  if (result == 0) return absl::OkStatus();
  return errno_status(errno, cat(data ? "fdatasync " : "fsync ", path));
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor fd, std::string_view path, bool writable)
      : fd_(std::move(fd)), path_(path), writable_(writable) {}

  absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
    if (offset > kMaxOffset - buffer.size()) return errno_status(EINVAL, cat("read ", path_));
    size_t done = 0;
    bool again = true;
    while (done < buffer.size()) {
      const ssize_t got = retry([&] {
        return ::pread(fd_.get(), buffer.data() + done, buffer.size() - done,
                       static_cast<off_t>(offset + done));
      });
      if (got == -1) return errno_status(errno, cat("read ", path_));
      if (got > 0) {
        done += static_cast<size_t>(got);
        again = true;
        continue;
      }
      struct stat st;
      if (::fstat(fd_.get(), &st) == -1) return errno_status(errno, cat("read ", path_));
      const uint64_t size = static_cast<uint64_t>(st.st_size);
      if (offset + done >= size) break;
      // Not the end, unless the file has just grown: no reader may take it for one.
      if (!again) {
        return errno_status(EIO, cat("read ", path_, ": nothing at ", offset + done, " of ", size));
      }
      again = false;
    }
    return done;
  }

  absl::Status write_at(uint64_t offset, std::string_view bytes) override {
    if (!writable_) return errno_status(EBADF, cat("write ", path_));
    if (offset > kMaxOffset - bytes.size()) return errno_status(EFBIG, cat("write ", path_));
    while (!bytes.empty()) {
      const ssize_t put = retry([&] {
        return ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      });
      if (put == -1) return errno_status(errno, cat("write ", path_));
      // Nothing written and no error: a retry might never end.
      if (put == 0) return errno_status(EIO, cat("write ", path_, ": 0 bytes written"));
      bytes.remove_prefix(static_cast<size_t>(put));
      offset += static_cast<uint64_t>(put);
    }
    return absl::OkStatus();
  }

  absl::Status truncate(uint64_t size) override {
    if (!writable_) return errno_status(EBADF, cat("truncate ", path_));
    if (size > kMaxOffset) return errno_status(EFBIG, cat("truncate ", path_));
    if (retry([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) == 0) {
      return absl::OkStatus();
    }
    return errno_status(errno, cat("truncate ", path_));
  }

  absl::StatusOr<uint64_t> size() override {
    struct stat st;
    if (::fstat(fd_.get(), &st) == -1) return errno_status(errno, cat("stat ", path_));
    return static_cast<uint64_t>(st.st_size);
  }

  absl::Status sync(SyncKind kind) override { return sync_descriptor(fd_.get(), kind, path_); }

  absl::StatusOr<uint64_t> skip_hole(uint64_t offset) override {
    if (offset > kMaxOffset) return errno_status(EINVAL, cat("seek ", path_));
    const off_t next = ::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
    if (next != -1) return static_cast<uint64_t>(next);
    if (errno == EINVAL) return offset;  // a file system that does not tell
    if (errno != ENXIO) return errno_status(errno, cat("seek ", path_));
    QK_ASSIGN_OR_RETURN(const uint64_t end, size());
    return std::max(offset, end);
  }

 private:
  Descriptor fd_;
  std::string path_;
  bool writable_;
};

class PosixLock final : public FileLock {
 public:
  PosixLock(Descriptor fd, std::string_view path) : fd_(std::move(fd)), path_(path) {}

  absl::Status check() const override {
    struct stat held, there;
    if (::fstat(fd_.get(), &held) == -1) return errno_status(errno, cat("stat ", path_));
    if (::lstat(path_.c_str(), &there) == 0 && there.st_dev == held.st_dev &&
        there.st_ino == held.st_ino) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(
        cat(path_, ": was moved, removed or replaced by somebody else while it was locked"));
  }

 private:
  Descriptor fd_;
  std::string path_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<File>> PosixFileSystem::open(std::string_view path,
                                                            OpenFlags flags) {
  if (flags.truncate && flags.read_only) return errno_status(EINVAL, cat("open ", path));
  int mode = flags.read_only ? O_RDONLY : O_RDWR;
  if (flags.create) mode |= O_CREAT;
  if (flags.create && flags.exclusive) mode |= O_EXCL;
  if (flags.truncate) mode |= O_TRUNC;
  QK_ASSIGN_OR_RETURN(Descriptor fd, open_regular(path, mode, "open"));
  return std::make_unique<PosixFile>(std::move(fd), path, !flags.read_only);
}

absl::Status PosixFileSystem::unlink(std::string_view path) {
  QK_RETURN_IF_ERROR(check_path(path, "unlink"));
  if (::unlink(std::string(path).c_str()) == 0) return absl::OkStatus();
  return errno_status(errno, cat("unlink ", path));
}

absl::Status PosixFileSystem::rename(std::string_view from, std::string_view to) {
  QK_RETURN_IF_ERROR(check_path(from, "rename"));
  QK_RETURN_IF_ERROR(check_path(to, "rename"));
  if (::rename(std::string(from).c_str(), std::string(to).c_str()) == 0) return absl::OkStatus();
  return errno_status(errno, cat("rename ", from, " to ", to));
}

absl::Status PosixFileSystem::link(std::string_view existing, std::string_view name) {
  QK_RETURN_IF_ERROR(check_path(existing, "link"));
  QK_RETURN_IF_ERROR(check_path(name, "link"));
  if (::link(std::string(existing).c_str(), std::string(name).c_str()) == 0) {
    return absl::OkStatus();
  }
  return errno_status(errno, cat("link ", existing, " as ", name));
}

absl::Status PosixFileSystem::mkdir(std::string_view path) {
  QK_RETURN_IF_ERROR(check_path(path, "mkdir"));
  if (::mkdir(std::string(path).c_str(), kDirectoryMode) == 0) return absl::OkStatus();
  return errno_status(errno, cat("mkdir ", path));
}

absl::Status PosixFileSystem::rmdir(std::string_view path) {
  QK_RETURN_IF_ERROR(check_path(path, "rmdir"));
  if (::rmdir(std::string(path).c_str()) == 0) return absl::OkStatus();
  return errno_status(errno, cat("rmdir ", path));
}

absl::StatusOr<std::vector<std::string>> PosixFileSystem::list(std::string_view path) {
  QK_RETURN_IF_ERROR(check_path(path, "list"));
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(std::string(path).c_str()),
                                                      ::closedir);
  if (!directory) return errno_status(errno, cat("list ", path));
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return errno_status(errno, cat("list ", path));
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<FileStat> PosixFileSystem::stat(std::string_view path) {
  QK_RETURN_IF_ERROR(check_path(path, "stat"));
  struct stat st;
  if (::stat(std::string(path).c_str(), &st) == -1) return errno_status(errno, cat("stat ", path));
  return to_file_stat(st);
}

absl::Status PosixFileSystem::sync_dir(std::string_view path, SyncKind kind) {
  QK_RETURN_IF_ERROR(check_path(path, "sync"));
  const std::string name(path);
  const Descriptor fd(
      retry([&] { return ::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (fd.get() == -1) return errno_status(errno, cat("open directory ", path));
  return sync_descriptor(fd.get(), kind, path);
}

absl::StatusOr<std::unique_ptr<FileLock>> PosixFileSystem::lock(std::string_view path) {
  QK_ASSIGN_OR_RETURN(Descriptor fd, open_regular(path, O_RDWR | O_CREAT, "lock"));
  if (retry([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) == -1) {
    return errno_status(errno, cat("lock ", path));
  }
  return std::make_unique<PosixLock>(std::move(fd), path);
}

absl::StatusOr<std::unique_ptr<FileLock>> PosixFileSystem::lock_directory(std::string_view path) {
  QK_RETURN_IF_ERROR(check_path(path, "lock"));
  const std::string name(path);
  Descriptor fd(
      retry([&] { return ::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); }));
  if (fd.get() == -1) return errno_status(errno, cat("lock ", path));
  if (retry([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) == -1) {
    return errno_status(errno, cat("lock ", path));
  }
  auto lock = std::make_unique<PosixLock>(std::move(fd), path);
  // Its last holder may have removed or replaced it before this lock was granted.
  QK_RETURN_IF_ERROR(lock->check());
  return lock;
}

absl::Status PosixFileSystem::rename_new(std::string_view from, std::string_view to) {
  QK_RETURN_IF_ERROR(check_path(from, "rename"));
  QK_RETURN_IF_ERROR(check_path(to, "rename"));
  const std::string old_name(from);
  const std::string new_name(to);
  if (::renameat2(AT_FDCWD, old_name.c_str(), AT_FDCWD, new_name.c_str(), RENAME_NOREPLACE) == 0) {
    return absl::OkStatus();
  }
  // A file system without the flag (NFS, for one): a link never replaces either, and the renaming
  // of a directory at most an empty one.
  if (errno == EINVAL || errno == ENOSYS) {
    struct stat st;
    if (::lstat(old_name.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) {
      if (::lstat(new_name.c_str(), &st) == 0) {
        return errno_status(EEXIST, cat("rename ", from, " to ", to));
      }
      return rename(from, to);
    }
    QK_RETURN_IF_ERROR(link(from, to));
    return unlink(from);
  }
  return errno_status(errno, cat("rename ", from, " to ", to));
}

absl::StatusOr<bool> PosixFileSystem::is_symlink(std::string_view path) {
  QK_RETURN_IF_ERROR(check_path(path, "stat"));
  struct stat st;
  if (::lstat(std::string(path).c_str(), &st) == 0) return S_ISLNK(st.st_mode);
  if (errno == ENOENT) return false;
  return errno_status(errno, cat("stat ", path));
}

absl::StatusOr<std::string> PosixFileSystem::real_path(std::string_view path) {
  QK_RETURN_IF_ERROR(check_path(path, "resolve"));
  // One look-up by the kernel. realpath() looks at every component, from the top each time, and a
  // source's path is resolved for every call on it.
  const std::string name(path);
  const Descriptor fd(retry([&] { return ::open(name.c_str(), O_PATH | O_CLOEXEC); }));
  if (fd.get() == -1) return errno_status(errno, cat("resolve ", path));
  char target[PATH_MAX];
  const std::string link = cat("/proc/self/fd/", fd.get());
  const ssize_t length = ::readlink(link.c_str(), target, sizeof target);
  struct stat opened, named;
  if (length > 0 && static_cast<size_t>(length) < sizeof target && target[0] == '/') {
    std::string resolved(target, static_cast<size_t>(length));
    // Not the path any more if the file was removed or moved meanwhile.
    if (::fstat(fd.get(), &opened) == 0 && ::lstat(resolved.c_str(), &named) == 0 &&
        opened.st_dev == named.st_dev && opened.st_ino == named.st_ino) {
      return resolved;
    }
  }
  // Without /proc.
  const std::unique_ptr<char, void (*)(void*)> resolved(::realpath(name.c_str(), nullptr),
                                                        std::free);
  if (resolved == nullptr) return errno_status(errno, cat("resolve ", path));
  return std::string(resolved.get());
}

absl::Status PosixFileSystem::check_writable(std::string_view path) {
  QK_RETURN_IF_ERROR(check_path(path, "write into"));
  if (::faccessat(AT_FDCWD, std::string(path).c_str(), W_OK | X_OK, AT_EACCESS) == 0) {
    return absl::OkStatus();
  }
  return errno_status(errno, cat("write into directory ", path));
}

absl::StatusOr<uint64_t> PosixFileSystem::free_space(std::string_view path) {
  QK_RETURN_IF_ERROR(check_path(path, "statvfs"));
  struct statvfs st;
  const std::string name(path);
  if (retry([&] { return ::statvfs(name.c_str(), &st); }) == -1) {
    return errno_status(errno, cat("statvfs ", path));
  }
  return static_cast<uint64_t>(st.f_bavail) * st.f_frsize;
}

}  // namespace qk::families
