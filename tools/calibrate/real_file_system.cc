#include "tools/calibrate/real_file_system.h"

#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "families/base/strings.h"

namespace qk::calibrate {
namespace {

using sim::CrashLevel;
using Journal = sim::JournalOptions::Kind;

constexpr uint64_t kMiB = 1 << 20;

constexpr std::string_view kMkfsExt4 =
    "mkfs.ext4 -q -F -b 4096 -E lazy_itable_init=0,lazy_journal_init=0";

constexpr RealKind kKinds[] = {
    {"ext4", "ext4", "", kMkfsExt4, 64 * kMiB, {.kind = Journal::kExt4}, CrashLevel::kP2},
    {"ext4-noauto",
     "ext4",
     "noauto_da_alloc",
     kMkfsExt4,
     64 * kMiB,
     {.kind = Journal::kExt4, .auto_da_alloc = false},
     CrashLevel::kP2},
    {"ext4-ordered",
     "ext4",
     "dioread_lock",
     kMkfsExt4,
     64 * kMiB,
     {.kind = Journal::kExt4, .ordered_growth = true},
     CrashLevel::kP2},
    {"xfs", "xfs", "", "mkfs.xfs -q -f -K", 320 * kMiB, {.kind = Journal::kXfs}, CrashLevel::kP2},
    {"btrfs",
     "btrfs",
     "",
     "mkfs.btrfs -q -f -K",
     256 * kMiB,
     {.kind = Journal::kBtrfs},
     CrashLevel::kP2x},
};

// Closed when it goes.
class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : fd_(::open(path.c_str(), flags, 0600)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

absl::Status failed(std::string_view what, const std::string& path) {
  return errno_status(errno, cat(what, " ", path));
}

std::string temporary_directory() {
  const char* named = std::getenv("TMPDIR");
  return named != nullptr ? named : "/tmp";
}

}  // namespace

std::span<const RealKind> real_kinds() { return kKinds; }

absl::StatusOr<BlockStore> make_file_system(const RealKind& kind) {
  std::string path = cat(temporary_directory(), "/calibrate-XXXXXX");
  const int made = mkstemp(path.data());
  if (made < 0) return failed("create", path);
  ::close(made);
  const Descriptor file(path, O_RDWR);
  if (file.get() < 0 || ::ftruncate(file.get(), static_cast<off_t>(kind.size)) != 0) {
    return failed("make", path);
  }
  const std::string command = cat(kind.mkfs, " ", path, " >/dev/null 2>&1");
  const int result = std::system(command.c_str());
  ::unlink(path.c_str());
  if (result != 0) {
    return absl::UnavailableError(
        cat(kind.name, ": \"", kind.mkfs, "\" failed; expected its package to be installed"));
  }
  BlockStore store;
  std::string buffer(kMiB, '\0');
  for (off_t at = 0; (at = ::lseek(file.get(), at, SEEK_DATA)) >= 0;) {
    const off_t end = ::lseek(file.get(), at, SEEK_HOLE);
    while (at < end) {
      const ssize_t size = ::pread(file.get(), buffer.data(), std::min<off_t>(kMiB, end - at), at);
      if (size <= 0) return failed("read", path);
      store.write(static_cast<uint64_t>(at), {buffer.data(), static_cast<size_t>(size)});
      at += size;
    }
  }
  return store;
}

absl::StatusOr<std::unique_ptr<LoopDevice>> LoopDevice::attach(const std::string& path) {
  const Descriptor control("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control.get() < 0) return failed("open", "/dev/loop-control");
  const Descriptor file(path, O_RDWR | O_CLOEXEC);
  if (file.get() < 0) return failed("open", path);
  loop_config config = {};
  config.fd = static_cast<uint32_t>(file.get());
  config.block_size = 512;
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR;  // gone with this process, whatever happens
  constexpr int kTries = 100;                 // somebody else may take the same one
  for (int left = kTries;; --left) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return failed("find a free", "loop device");
    const std::string device = cat("/dev/loop", number);
    Descriptor loop(device, O_RDWR | O_CLOEXEC);
    if (loop.get() < 0) return failed("open", device);
    if (::ioctl(loop.get(), LOOP_CONFIGURE, &config) == 0) {
      return std::unique_ptr<LoopDevice>(new LoopDevice(device, loop.release()));
    }
    if (errno != EBUSY || left == 0) return failed("configure", device);
  }
}

LoopDevice::~LoopDevice() { ::close(fd_); }

void LoopDevice::forget() {
  ::ioctl(fd_, BLKFLSBUF, 0);
  const Descriptor control("/dev/btrfs-control", O_RDWR | O_CLOEXEC);
  if (control.get() < 0) return;
  btrfs_ioctl_vol_args arguments = {};
  path_.copy(arguments.name, sizeof arguments.name - 1);
  ::ioctl(control.get(), BTRFS_IOC_FORGET_DEV, &arguments);
}

absl::Status mount_at(const RealKind& kind, const std::string& device,
                      const std::string& directory) {
  if (::mount(device.c_str(), directory.c_str(), std::string(kind.type).c_str(), 0,
              std::string(kind.mount_options).c_str()) != 0) {
    return failed(cat("mount ", kind.type, " at"), directory);
  }
  return absl::OkStatus();
}

absl::Status unmount(const std::string& directory) {
  return ::umount2(directory.c_str(), 0) == 0 ? absl::OkStatus() : failed("unmount", directory);
}

absl::Status write_all(const std::string& root) {
  const Descriptor directory(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return directory.get() >= 0 && ::syncfs(directory.get()) == 0 ? absl::OkStatus()
                                                                : failed("syncfs", root);
}

absl::Status write_metadata(const RealKind& kind, const std::string& root) {
  if (kind.journal.kind == Journal::kBtrfs) {
    // Another file's fsync would log that file alone.
    const Descriptor directory(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t transaction = 0;
    if (::ioctl(directory.get(), BTRFS_IOC_START_SYNC, &transaction) != 0 ||
        ::ioctl(directory.get(), BTRFS_IOC_WAIT_SYNC, &transaction) != 0) {
      return failed("commit", root);
    }
    return absl::OkStatus();
  }
  const std::string path = cat(root, "/.other");
  const Descriptor file(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC);
  if (file.get() < 0 || ::write(file.get(), "x", 1) != 1 || ::fsync(file.get()) != 0) {
    return failed("sync", path);
  }
  return absl::OkStatus();
}

absl::Status write_data(const std::string& root) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file() || entry.path().filename().string().starts_with('.')) continue;
    const Descriptor file(entry.path().string(), O_RDONLY | O_CLOEXEC);
    constexpr unsigned kAll =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    if (file.get() < 0 || ::sync_file_range(file.get(), 0, 0, kAll) != 0) {
      return failed("sync_file_range", entry.path().string());
    }
  }
  return absl::OkStatus();
}

}  // namespace qk::calibrate
