// What the calibrator knows of real file systems: how one is made, mounted and pushed to write.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "families/base/status.h"
#include "sim/disk/sim_disk.h"
#include "tools/calibrate/block_store.h"

namespace qk::calibrate {

struct RealKind {
  std::string_view name;  // of the row of the report
  std::string_view type;  // as mount(2) knows it
  std::string_view mount_options;
  std::string_view mkfs;  // the file is added
  uint64_t size;
  sim::JournalOptions journal;  // what P1 says of it
  sim::CrashLevel posix;        // P2, or P2x where renames tear
};

std::span<const RealKind> real_kinds();

// An empty file system of this kind; Unavailable if its tools or the kernel's part are not there.
absl::StatusOr<BlockStore> make_file_system(const RealKind& kind);

// A loop device over `path` as long as it lives.
class LoopDevice {
 public:
  static absl::StatusOr<std::unique_ptr<LoopDevice>> attach(const std::string& path);
  ~LoopDevice();
  const std::string& path() const { return path_; }
  // Forgets what it has cached; nothing is mounted on it.
  void forget();

 private:
  LoopDevice(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  const std::string path_;
  const int fd_;
};

absl::Status mount_at(const RealKind& kind, const std::string& device,
                      const std::string& directory);
absl::Status unmount(const std::string& directory);

// Ways to make a mounted file system write before it would by itself.
absl::Status write_all(const std::string& root);                             // data, then metadata
absl::Status write_metadata(const RealKind& kind, const std::string& root);  // as a commit does
absl::Status write_data(const std::string& root);  // of each file, no metadata

}  // namespace qk::calibrate
