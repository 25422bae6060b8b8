// The table of a snapshot tree, `__raft_snapshot_meta`: meta record and file list.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "families/contract/rules.h"
#include "families/contract/types.h"
#include "families/fs/file_system.h"

namespace qk::families::local {

struct SnapshotTable {
  SnapshotMeta meta;
  std::vector<SnapshotFile> files;  // in byte order of path, each path once

  bool contains(std::string_view path) const;
};

// Names are kept as they are listed. DataLoss for anything but a whole table with distinct names;
// InvalidArgument for names that check_snapshot_files() refuses, one that leaves the tree for
// instance, because the table is not damaged; NotFound if there is no file.
absl::StatusOr<SnapshotTable> load_snapshot_table(FileSystem& fs, std::string_view tree);
// Writes and syncs the file; its name is not yet durable.
absl::Status write_snapshot_table(FileSystem& fs, std::string_view tree,
                                  const SnapshotTable& table);

}  // namespace qk::families::local
