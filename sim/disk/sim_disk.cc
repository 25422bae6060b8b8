#include "sim/disk/sim_disk.h"

#include <cerrno>

#include "families/base/check.h"
#include "families/fs/file_util.h"
#include "sim/disk/disk_core.h"

namespace qk::sim {
namespace {

using families::File;
using families::FileKind;
using families::FileLock;
using families::FileStat;
using families::OpenFlags;
using families::SyncKind;

// What all handles of one incarnation share: the way to the disk while it is alive.
class Mount {
 public:
  Mount(std::shared_ptr<DiskCore> core, uint64_t incarnation)
      : core_(std::move(core)), incarnation_(incarnation) {}

  bool dead() const { return core_->incarnation() != incarnation_; }
  DiskCore& core() const { return *core_; }
  // Calls and tells of it; 0, or an errno.
  template <typename Call>
  int issue(const DiskOperation& operation, const Call& call) const {
    const uint64_t before = core_->operation_count();
    const int error = call();
    core_->tell(operation, before);
    return error;
  }

 private:
  std::shared_ptr<DiskCore> core_;
  uint64_t incarnation_;
};

absl::Status result(int error, std::string_view what, std::string_view path) {
  return error == 0 ? absl::OkStatus() : errno_status(error, cat(what, " ", path));
}

absl::Status dead(std::string_view what, std::string_view path) {
  return errno_status(ENODEV, cat(what, " ", path));
}

// What a new name takes of the space that a full disk has left, in bytes.
constexpr uint64_t kNameSpace = 1;

absl::Status done(int error, const DiskCall& call) {
  return error == 0 ? absl::OkStatus() : errno_status(error, to_string(call));
}

// The error of a call that a fault hit.
absl::Status struck(const DiskStrike& strike, const DiskCall& call) {
  return errno_status(strike.error, to_string(call));
}

// A change that happens as a whole or not at all. `needs`: see DiskCall.
template <typename Change>
absl::Status change_name(const Mount& mount, const DiskCall& call, const Change& change) {
  const auto strike = mount.core().strike(call);
  if (!strike) return change();
  if (strike->fault.applied == DiskApplied::kAll) change().IgnoreError();
  return struck(*strike, call);
}

int truncate_file(const Mount& mount, InodeNumber number, std::string_view path, uint64_t size) {
  return mount.issue({DiskOp::kTruncate, number, size, {}, path},
                     [&] { return mount.core().truncate(number, size); });
}

absl::Status sync_inode(const Mount& mount, DiskOp op, InodeNumber number, std::string_view path,
                        SyncKind kind) {
  const DiskCall call{DiskAccess::kSync, "sync", path};
  const auto strike = mount.core().strike(call);
  mount.issue({op, number, 0, {}, path}, [&] {
    if (strike && strike->error == 0) {
      mount.core().lie_sync();
    } else if (strike) {
      mount.core().fail_sync(number, strike->fault);
    } else {
      mount.core().sync(number, kind);
    }
    return 0;
  });
  return strike && strike->error != 0 ? struck(*strike, call) : absl::OkStatus();
}

class SimFile final : public File {
 public:
  SimFile(Mount mount, InodeNumber number, std::string_view path, bool writable)
      : mount_(std::move(mount)), number_(number), path_(path), writable_(writable) {
    mount_.core().open_handle(number_);
  }
  ~SimFile() override {
    if (!mount_.dead()) mount_.core().close_handle(number_);
  }

  absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
    if (mount_.dead()) return dead("read", path_);
    const DiskCall call{DiskAccess::kRead, "read", path_};
    if (const auto strike = mount_.core().strike(call)) return struck(*strike, call);
    const int bad = mount_.core().read_bad(number_, offset, buffer.size(), path_);
    if (bad != 0) return done(bad, call);
    mount_.core().look_at_bytes(number_, offset, buffer.size());
    return mount_.core().inode(number_).file.read(offset, buffer);
  }
  absl::Status write_at(uint64_t offset, std::string_view bytes) override {
    if (mount_.dead()) return dead("write", path_);
    if (!writable_) return result(EBADF, "write", path_);
    DiskCall call{DiskAccess::kWrite, "write", path_};
    if (!mount_.core().faults().empty()) {
      call.needs = mount_.core().missing_space(number_, offset, bytes.size());
      call.inode = number_;
      call.offset = offset;
      call.size = bytes.size();
    }
    const auto strike = mount_.core().strike(call);
    if (!strike || strike->error == 0)
      return write(offset, bytes, strike ? &strike->fault : nullptr);
    const DiskApplied applied = strike->fault.applied;
    const size_t part = applied == DiskApplied::kNothing ? 0
                        : applied == DiskApplied::kHalf  ? bytes.size() / 2
                                                         : bytes.size();
    write(offset, bytes.substr(0, part)).IgnoreError();
    return struck(*strike, call);
  }
  absl::Status truncate(uint64_t size) override {
    if (mount_.dead()) return dead("truncate", path_);
    if (!writable_) return result(EBADF, "truncate", path_);
    return change_name(mount_, {DiskAccess::kWrite, "truncate", path_}, [&] {
      return result(truncate_file(mount_, number_, path_, size), "truncate", path_);
    });
  }
  absl::StatusOr<uint64_t> size() override {
    if (mount_.dead()) return dead("stat", path_);
    mount_.core().look_at_size(number_);
    return mount_.core().inode(number_).file.size();
  }
  absl::Status sync(SyncKind kind) override {
    if (mount_.dead()) return dead("sync", path_);
    return sync_inode(mount_, DiskOp::kSync, number_, path_, kind);
  }

 private:
  // `lie`: of the disk, or null.
  absl::Status write(uint64_t offset, std::string_view bytes, const DiskFault* lie = nullptr) {
    const int bad = mount_.core().write_bad(number_, offset, bytes.size(), path_);
    if (bad != 0) return result(bad, "write", path_);
    const int error = mount_.issue({DiskOp::kWrite, number_, offset, bytes, path_}, [&] {
      return lie == nullptr ? mount_.core().write(number_, offset, bytes)
                            : mount_.core().write_lied(number_, offset, bytes, *lie);
    });
    return result(error, "write", path_);
  }

  Mount mount_;
  InodeNumber number_;
  std::string path_;
  bool writable_;
};

class SimLock final : public FileLock {
 public:
  SimLock(Mount mount, InodeNumber number) : mount_(std::move(mount)), number_(number) {
    mount_.core().open_handle(number_);
  }
  ~SimLock() override {
    if (mount_.dead()) return;
    mount_.core().unlock(number_);
    mount_.core().close_handle(number_);
  }

 private:
  Mount mount_;
  InodeNumber number_;
};

class SimFileSystem final : public families::FileSystem {
 public:
  explicit SimFileSystem(Mount mount) : mount_(std::move(mount)) {}

  absl::StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenFlags flags) override {
    if (mount_.dead()) return dead("open", path);
    if (flags.truncate && flags.read_only) return result(EINVAL, "open", path);
    InodeNumber number;
    const bool makes = core().find(path, &number) == ENOENT;
    if (makes && !flags.create) return result(ENOENT, "open", path);
    DiskCall call{DiskAccess::kOpen, "open", path};
    if (makes) call.needs = kNameSpace;
    QK_RETURN_IF_ERROR(change_name(mount_, call, [&]() -> absl::Status {
      QK_RETURN_IF_ERROR(find_or_create(path, flags, "open", &number));
      if (!flags.truncate) return absl::OkStatus();
      return result(truncate_file(mount_, number, path, 0), "open", path);
    }));
    return std::make_unique<SimFile>(mount_, number, path, !flags.read_only);
  }

  absl::Status unlink(std::string_view path) override {
    if (mount_.dead()) return dead("unlink", path);
    return names({DiskOp::kUnlink, 0, 0, {}, path}, [&] { return core().unlink(path); },
                 {DiskAccess::kName, "unlink", path});
  }
  absl::Status rename(std::string_view from, std::string_view to) override {
    if (mount_.dead()) return dead("rename", from);
    return names({DiskOp::kRename, 0, 0, {}, from, to}, [&] { return core().rename(from, to); },
                 {DiskAccess::kRename, "rename", from, to, kNameSpace});
  }
  absl::Status link(std::string_view existing, std::string_view name) override {
    if (mount_.dead()) return dead("link", existing);
    return names({DiskOp::kLink, 0, 0, {}, existing, name},
                 [&] { return core().link(existing, name); },
                 {DiskAccess::kName, "link", existing, name, kNameSpace});
  }
  absl::Status mkdir(std::string_view path) override {
    if (mount_.dead()) return dead("mkdir", path);
    return names({DiskOp::kMkdir, 0, 0, {}, path},
                 [&] { return core().create(path, FileKind::kDirectory, nullptr); },
                 {DiskAccess::kName, "mkdir", path, {}, kNameSpace});
  }
  absl::Status rmdir(std::string_view path) override {
    if (mount_.dead()) return dead("rmdir", path);
    return names({DiskOp::kRmdir, 0, 0, {}, path}, [&] { return core().rmdir(path); },
                 {DiskAccess::kName, "rmdir", path});
  }

  absl::StatusOr<std::vector<std::string>> list(std::string_view path) override {
    if (mount_.dead()) return dead("list", path);
    InodeNumber number;
    QK_RETURN_IF_ERROR(find_directory(path, "list", &number));
    const DiskCall call{DiskAccess::kRead, "list", path};
    if (const auto strike = core().strike(call)) return struck(*strike, call);
    core().look_at_names(number);
    std::vector<std::string> names;
    for (const auto& [name, target] : core().inode(number).entries) names.push_back(name);
    return names;
  }

  absl::StatusOr<FileStat> stat(std::string_view path) override {
    if (mount_.dead()) return dead("stat", path);
    InodeNumber number;
    QK_RETURN_IF_ERROR(result(core().find(path, &number), "stat", path));
    core().look_at_size(number);
    const Inode& inode = core().inode(number);
    return FileStat{.kind = inode.kind, .size = inode.file.size(), .inode = number};
  }

  absl::Status sync_dir(std::string_view path, SyncKind kind) override {
    if (mount_.dead()) return dead("sync", path);
    InodeNumber number;
    QK_RETURN_IF_ERROR(find_directory(path, "sync", &number));
    return sync_inode(mount_, DiskOp::kSyncDir, number, path, kind);
  }

  absl::StatusOr<std::unique_ptr<FileLock>> lock(std::string_view path) override {
    if (mount_.dead()) return dead("lock", path);
    InodeNumber number;
    QK_RETURN_IF_ERROR(find_or_create(path, {.create = true}, "lock", &number));
    if (!core().try_lock(number)) return result(EWOULDBLOCK, "lock", path);
    return std::make_unique<SimLock>(mount_, number);
  }

  absl::StatusOr<uint64_t> free_space(std::string_view path) override {
    if (mount_.dead()) return dead("statvfs", path);
    InodeNumber number;
    QK_RETURN_IF_ERROR(result(core().find(path, &number), "statvfs", path));
    return core().free_space();
  }

 private:
  DiskCore& core() const { return mount_.core(); }

  template <typename Call>
  absl::Status names(const DiskOperation& operation, const Call& change,
                     const DiskCall& call) const {
    return change_name(mount_, call, [&] { return done(mount_.issue(operation, change), call); });
  }

  absl::Status find_or_create(std::string_view path, OpenFlags flags, std::string_view what,
                              InodeNumber* number) {
    const int found = core().find(path, number);
    if (found == ENOENT && flags.create) {
      const auto create = [&] { return core().create(path, FileKind::kFile, number); };
      return result(mount_.issue({DiskOp::kCreate, 0, 0, {}, path}, create), what, path);
    }
    if (found != 0) return result(found, what, path);
    if (flags.create && flags.exclusive) return result(EEXIST, what, path);
    return result(core().inode(*number).is_directory() ? EISDIR : 0, what, path);
  }

  absl::Status find_directory(std::string_view path, std::string_view what, InodeNumber* number) {
    QK_RETURN_IF_ERROR(result(core().find(path, number), what, path));
    return result(core().inode(*number).is_directory() ? 0 : ENOTDIR, what, path);
  }

  Mount mount_;
};

}  // namespace

std::string_view to_string(CrashLevel level) {
  constexpr std::string_view kNames[] = {"P0", "P1", "P2", "P2x"};
  return kNames[static_cast<size_t>(level)];
}

SimDisk::SimDisk(const DiskOptions& options, RandomStream latency_stream)
    : core_(std::make_shared<DiskCore>(options, latency_stream)) {}
SimDisk::SimDisk(std::shared_ptr<DiskCore> core) : core_(std::move(core)) {}
SimDisk::SimDisk(SimDisk&&) noexcept = default;
SimDisk& SimDisk::operator=(SimDisk&&) noexcept = default;
SimDisk::~SimDisk() = default;

std::unique_ptr<families::FileSystem> SimDisk::mount() {
  return std::make_unique<SimFileSystem>(Mount(core_, core_->begin_incarnation()));
}

void SimDisk::set_now(Nanos now) { core_->set_now(now); }
Nanos SimDisk::now() const { return core_->now(); }
Nanos SimDisk::busy_until() const { return core_->busy_until(); }

std::vector<Nanos> SimDisk::moments(Nanos after, Nanos before) const {
  return core_->moments(after, before);
}
uint64_t SimDisk::operation_count() const { return core_->operation_count(); }

uint64_t SimDisk::shrink_count() const { return core_->shrink_count(); }
uint64_t SimDisk::draws() const { return core_->draws(); }
void SimDisk::set_observer(DiskObserver* observer) { core_->set_observer(observer); }
void SimDisk::pin_crash_at_operation(uint64_t n) { core_->pin(n); }
std::optional<Nanos> SimDisk::pinned_crash() const { return core_->pinned_crash(); }
void SimDisk::clear_pin() { core_->clear_pin(); }
CrashReport SimDisk::crash(CrashLevel level, Nanos at, Choice& choice) {
  return core_->crash(level, at, choice);
}
void SimDisk::collect_garbage() { core_->collect_garbage(); }
SimDisk SimDisk::fork() const { return SimDisk(std::make_shared<DiskCore>(*core_)); }
uint64_t SimDisk::image_hash() const { return core_->image_hash(); }
uint64_t SimDisk::content_key() const { return core_->content_key(); }
void SimDisk::note_looks(DiskLooks* looks) { core_->note_looks(looks); }
uint64_t SimDisk::shown(const DiskLook& look) const { return core_->shown(look); }
std::map<uint64_t, std::string> SimDisk::paths() const { return core_->paths(); }
void SimDisk::set_slow_factor(uint32_t factor) { core_->set_slow_factor(factor); }
void SimDisk::set_capacity(uint64_t bytes) { core_->set_capacity(bytes); }
bool SimDisk::damage(const DiskFault& fault) { return core_->damage(fault); }
std::vector<DiskFile> SimDisk::files() const { return core_->files(); }
bool SimDisk::disturbed() const { return core_->faults().disturb(); }
uint64_t SimDisk::add_fault(const DiskFault& fault, uint64_t from, DiskFaultHit hit) {
  return core_->faults().add(fault, from, std::move(hit));
}
void SimDisk::remove_fault(uint64_t id) { core_->faults().remove(id); }
void SimDisk::clear_faults() { core_->faults().clear(); }
void SimDisk::make_space() { core_->faults().make_space(); }
bool SimDisk::has_faults() const { return !core_->faults().empty(); }

FaultPause::FaultPause(const SimDisk& disk) : core_(disk.core_) { core_->pause_faults(true); }
FaultPause::~FaultPause() { core_->pause_faults(false); }

}  // namespace qk::sim
