// RecordingDisk: a block device that writes down what it is told to do.
//
// A file of a small FUSE file system of this process, under a loop device: each write, discard and flush
// that a file system sends to the device comes here in order. (This kernel family has neither a device
// mapper nor a network block device everywhere; FUSE and loop it always has.) A FUA write comes as a write
// and a flush, because a loop device has no FUA of its own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "families/base/status.h"
#include "tools/calibrate/block_store.h"

struct fuse;

namespace qk::calibrate {

// Blocks that were looked at before anything was written to them, and the hash of each: a reader that finds
// these blocks again does the same again.
using BlocksRead = std::map<uint64_t, uint64_t>;

struct DeviceCall {
  enum class Kind : uint8_t { kWrite, kFlush, kMark };
  Kind kind = Kind::kWrite;
  uint64_t offset = 0;
  std::string bytes;  // of a discard: zeros
  size_t mark = 0;    // kMark: so many calls of the program have returned
};

class RecordingDisk {
 public:
  // Mounts it in `directory`, which is empty.
  static absl::StatusOr<std::unique_ptr<RecordingDisk>> start(const std::string& directory,
                                                              uint64_t size);
  ~RecordingDisk();

  // The file for the loop device.
  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }

  // What is read and written from now on; not while a loop device has it open.
  void use(BlockStore* store);
  void record(std::vector<DeviceCall>* log);  // null: no more
  void mark(size_t calls);
  void watch(BlocksRead* read);  // since then; null: no more

  // For the file system below.
  void read(uint64_t offset, char* buffer, size_t size);
  void write(uint64_t offset, std::string_view bytes);
  void flush();

 private:
  RecordingDisk(std::string directory, uint64_t size);
  void note_read(uint64_t block);

  const std::string directory_;
  const std::string path_;
  const uint64_t size_;
  std::mutex mutex_;
  BlockStore* store_ = nullptr;
  std::vector<DeviceCall>* log_ = nullptr;
  BlocksRead* read_ = nullptr;
  std::set<uint64_t> written_;  // blocks, while read_ is watched
  fuse* fuse_ = nullptr;
  std::thread thread_;
};

}  // namespace qk::calibrate
