// DirectorySnapshotStorage: braft's snapshot directory (braft-local-format.md 4).
//
//   snapshot_%020d/                 the current snapshot; the number is its last included index
//       __raft_snapshot_meta        its meta and the table of its files
//       ...                         the files, at their relative paths
//   temp/                           the tree being written
//
// After a crash: the old snapshot or the new one, whole. The tree is synced (files, directories,
// table) before one rename publishes it; the old one is removed only after that rename is durable.
// At open the snapshot with the highest index is the current one. If its table cannot be read, or
// names another index, that is DataLoss: an older one beside it would be a step back before state
// that was acknowledged, so it is neither used nor removed.
//
// It does not check that the listed files exist (braft does not either; reading one fails), and
// keeps no checksum of their bytes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "families/contract/fail_stop.h"
#include "families/contract/snapshot_tree_writer.h"

namespace qk::families::local {

class PublishedSnapshot;

class DirectorySnapshotStorage final : public SnapshotStorage {
 public:
  // The directory must exist. `fs` must outlive the object and its readers; `fail_stop` the object.
  static absl::StatusOr<std::unique_ptr<DirectorySnapshotStorage>> open(
      FileSystem& fs, const std::string& directory, FailStop* fail_stop);

  // Older snapshots and what a killed writer left. After open(), which only reads, once the whole
  // instance was understood.
  absl::Status remove_leftovers();

  absl::StatusOr<std::shared_ptr<SnapshotReader>> open() override;
  std::optional<SnapshotMeta> current() const override;
  absl::StatusOr<std::unique_ptr<SnapshotWriter>> create() override;
  Outcome publish(std::unique_ptr<SnapshotWriter> writer) override;

 private:
  DirectorySnapshotStorage(FileSystem& fs, std::string directory, FailStop* fail_stop)
      : fs_(fs), directory_(std::move(directory)), fail_stop_(*fail_stop) {}

  absl::Status recover();

  FileSystem& fs_;
  const std::string directory_;
  FailStop& fail_stop_;
  std::shared_ptr<PublishedSnapshot> current_;
  std::vector<int64_t> older_;  // found by open()
  const SnapshotTreeWriter::Slot writer_ = SnapshotTreeWriter::make_slot();
};

// Whether the directory holds a published snapshot.
absl::StatusOr<bool> has_snapshot(FileSystem& fs, const std::string& directory);

}  // namespace qk::families::local
