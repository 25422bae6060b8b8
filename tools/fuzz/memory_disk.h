// MemoryDisk: an empty file system in memory, and directory trees as the bytes of one input.
//
//   tree := (u8 length of path | path | le32 length | bytes)*
//
// A length beyond the end means the rest, and a path that cannot be made is passed over, so that
// almost every mutation of a tree is a tree.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "families/fs/overlay_file_system.h"

namespace qk::fuzz {

// An empty root directory, and nothing can be added.
class EmptyFileSystem final : public families::FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<families::File>> open(std::string_view path,
                                                       families::OpenFlags) override;
  absl::Status unlink(std::string_view path) override;
  absl::Status rename(std::string_view from, std::string_view) override;
  absl::Status link(std::string_view existing, std::string_view) override;
  absl::Status mkdir(std::string_view path) override;
  absl::Status rmdir(std::string_view path) override;
  absl::StatusOr<std::vector<std::string>> list(std::string_view path) override;
  absl::StatusOr<families::FileStat> stat(std::string_view path) override;
  absl::Status sync_dir(std::string_view path, families::SyncKind) override;
  absl::StatusOr<std::unique_ptr<families::FileLock>> lock(std::string_view path) override;
  absl::StatusOr<uint64_t> free_space(std::string_view path) override;
};

class MemoryDisk {
 public:
  families::FileSystem& fs() { return overlay_; }

  // Below `root`; parents are made.
  void put(std::string_view root, std::string_view path, std::string_view bytes);

 private:
  EmptyFileSystem empty_;
  families::OverlayFileSystem overlay_{&empty_};
};

using Tree = std::map<std::string, std::string>;

std::string encode_tree(const Tree& tree);
Tree decode_tree(std::string_view input);
Tree read_tree(families::FileSystem& fs, std::string_view root);

}  // namespace qk::fuzz
