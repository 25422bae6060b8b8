// The writer of a TreeSnapshotStorage: fills `snapshot/temp`, and measures it into a record.
#pragma once

#include <string>
#include <vector>

#include "families/contract/snapshot_tree_writer.h"
#include "families/engine/snapshot_record.h"

namespace qk::families {

class TreeSnapshotWriter final : public SnapshotTreeWriter {
 public:
  using SnapshotTreeWriter::SnapshotTreeWriter;

  // Complete after seal().
  const SnapshotRecord& record() const { return record_; }

 protected:
  absl::Status seal_tree() override;

 private:
  SnapshotRecord record_;
};

// Size and CRC-32C of a file; NotFound if it is missing.
absl::StatusOr<SnapshotRecord::Contents> measure_file(FileSystem& fs, const std::string& path);

// The position of `path` in a table in byte order, or where it belongs.
std::vector<SnapshotFile>::const_iterator find_file(const std::vector<SnapshotFile>& files,
                                                    std::string_view path);

}  // namespace qk::families
