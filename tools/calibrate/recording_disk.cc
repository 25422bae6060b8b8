#define FUSE_USE_VERSION 31
#include "tools/calibrate/recording_disk.h"

#include <fcntl.h>
#include <fuse3/fuse.h>
#include <linux/falloc.h>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "families/base/strings.h"

namespace qk::calibrate {
namespace {

constexpr std::string_view kName = "/disk";

RecordingDisk& disk() { return *static_cast<RecordingDisk*>(fuse_get_context()->private_data); }

int get_attributes(const char* path, struct stat* stat, fuse_file_info*) {
  std::memset(stat, 0, sizeof *stat);
  stat->st_nlink = 1;
  if (std::string_view(path) == "/") {
    stat->st_mode = S_IFDIR | 0700;
    return 0;
  }
  if (path != kName) return -ENOENT;
  stat->st_mode = S_IFREG | 0600;
  stat->st_size = static_cast<off_t>(disk().size());
  return 0;
}

int open_disk(const char* path, fuse_file_info* info) {
  if (path != kName) return -ENOENT;
  info->direct_io = 1;  // no cache in between
  return 0;
}

int read_disk(const char*, char* buffer, size_t size, off_t offset, fuse_file_info*) {
  const auto from = static_cast<uint64_t>(offset);
  if (from >= disk().size()) return 0;
  size = std::min<uint64_t>(size, disk().size() - from);
  disk().read(from, buffer, size);
  return static_cast<int>(size);
}

int write_disk(const char*, const char* bytes, size_t size, off_t offset, fuse_file_info*) {
  disk().write(static_cast<uint64_t>(offset), {bytes, size});
  return static_cast<int>(size);
}

int sync_disk(const char*, int, fuse_file_info*) {
  disk().flush();
  return 0;
}

int zero_disk(const char*, int mode, off_t offset, off_t length, fuse_file_info*) {
  if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) == 0) return -EOPNOTSUPP;
  constexpr uint64_t kPart = 1 << 20;
  for (auto at = static_cast<uint64_t>(offset), end = at + static_cast<uint64_t>(length);
       at < end;) {
    const uint64_t part = std::min(kPart, end - at);
    disk().write(at, std::string(part, '\0'));
    at += part;
  }
  return 0;
}

}  // namespace

RecordingDisk::RecordingDisk(std::string directory, uint64_t size)
    : directory_(std::move(directory)), path_(cat(directory_, kName)), size_(size) {}

absl::StatusOr<std::unique_ptr<RecordingDisk>> RecordingDisk::start(const std::string& directory,
                                                                    uint64_t size) {
  static const fuse_operations operations = [] {
    fuse_operations calls = {};
    calls.getattr = get_attributes;
    calls.open = open_disk;
    calls.read = read_disk;
    calls.write = write_disk;
    calls.fsync = sync_disk;
    calls.fallocate = zero_disk;
    return calls;
  }();
  std::unique_ptr<RecordingDisk> made(new RecordingDisk(directory, size));
  std::string program = "calibrate";
  char* words[] = {program.data(), nullptr};
  fuse_args arguments = FUSE_ARGS_INIT(1, words);
  made->fuse_ = fuse_new(&arguments, &operations, sizeof operations, made.get());
  if (made->fuse_ == nullptr) return absl::UnavailableError("cannot start a FUSE file system");
  if (fuse_mount(made->fuse_, directory.c_str()) != 0) {
    fuse_destroy(made->fuse_);
    made->fuse_ = nullptr;
    return absl::UnavailableError(cat("cannot mount a FUSE file system at ", directory));
  }
  made->thread_ = std::thread([fuse = made->fuse_] { fuse_loop(fuse); });
  return made;
}

RecordingDisk::~RecordingDisk() {
  if (fuse_ == nullptr) return;
  fuse_exit(fuse_);
  umount2(directory_.c_str(), MNT_DETACH);
  if (thread_.joinable()) thread_.join();
  fuse_destroy(fuse_);
}

void RecordingDisk::use(BlockStore* store) {
  const std::scoped_lock lock(mutex_);
  store_ = store;
}

void RecordingDisk::record(std::vector<DeviceCall>* log) {
  const std::scoped_lock lock(mutex_);
  log_ = log;
}

void RecordingDisk::mark(size_t calls) {
  const std::scoped_lock lock(mutex_);
  if (log_ != nullptr) log_->push_back({DeviceCall::Kind::kMark, 0, "", calls});
}

void RecordingDisk::watch(BlocksRead* read) {
  const std::scoped_lock lock(mutex_);
  read_ = read;
  written_.clear();
}

void RecordingDisk::note_read(uint64_t block) {
  if (!written_.contains(block) && !read_->contains(block)) {
    read_->emplace(block, store_->hash_of(block));
  }
}

void RecordingDisk::read(uint64_t offset, char* buffer, size_t size) {
  const std::scoped_lock lock(mutex_);
  for (uint64_t at = offset / kBlock; read_ != nullptr && at * kBlock < offset + size; ++at) {
    note_read(at);
  }
  if (store_ != nullptr) store_->read(offset, buffer, size);
}

void RecordingDisk::write(uint64_t offset, std::string_view bytes) {
  const std::scoped_lock lock(mutex_);
  const uint64_t end = offset + bytes.size();
  for (uint64_t at = offset / kBlock; read_ != nullptr && at * kBlock < end; ++at) {
    // A part of a block is written over what was there.
    if (at * kBlock < offset || (at + 1) * kBlock > end) note_read(at);
    written_.insert(at);
  }
  if (store_ != nullptr) store_->write(offset, bytes);
  if (log_ != nullptr) log_->push_back({DeviceCall::Kind::kWrite, offset, std::string(bytes), 0});
}

void RecordingDisk::flush() {
  const std::scoped_lock lock(mutex_);
  if (log_ != nullptr) log_->push_back({DeviceCall::Kind::kFlush, 0, "", 0});
}

}  // namespace qk::calibrate
