// The table of a snapshot tree, `__raft_snapshot_meta`: meta record and file list.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "families/contract/types.h"
#include "families/fs/file_system.h"

namespace qk::families::local {

inline constexpr std::string_view kSnapshotTableName = "__raft_snapshot_meta";

struct SnapshotTable {
  SnapshotMeta meta;
  std::vector<SnapshotFile> files;  // in byte order of path, each path once

  const SnapshotFile* find(std::string_view path) const;
  // False if the path is there already (not there).
  bool insert(SnapshotFile file);
  bool erase(std::string_view path);
};

// DataLoss for anything but a whole table with safe, distinct paths; NotFound if there is no file.
absl::StatusOr<SnapshotTable> load_snapshot_table(FileSystem& fs, std::string_view tree);
// Writes and syncs the file; its name is not yet durable.
absl::Status write_snapshot_table(FileSystem& fs, std::string_view tree,
                                  const SnapshotTable& table);

}  // namespace qk::families::local
