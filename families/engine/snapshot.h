// SnapshotStorage for any engine: the contents as a tree of files, everything about them in one
// state row that the engine commits.
//
//   snapshot/<index, 20 digits>-<term>/  the current tree, and older ones while a reader holds them
//   snapshot/temp/                       the tree being written
//
// publish() syncs the tree, renames it to its final name, syncs `snapshot/`, and then lets the
// engine commit the record that makes it current: that is the commit point. Before it a crash
// leaves an orphan tree, which the next open removes; after it the old tree is the orphan. What a
// crash inside the commit leaves is the engine's promise.
//
// open() verifies every file against the size and CRC-32C that publish() recorded: damage is
// DataLoss and never "none". A reader keeps its tree while newer ones are published; not beyond the
// next opening of the family.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "families/contract/snapshot_tree_writer.h"
#include "families/engine/row_store.h"
#include "families/engine/snapshot_record.h"

namespace qk::families {

// Above this, a record is refused.
inline constexpr size_t kMaxSnapshotRecordBytes = 512u << 20;

// A published tree, removed with its last holder once a newer one has replaced it.
class SnapshotTree {
 public:
  SnapshotTree(FileSystem* fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  ~SnapshotTree();
  SnapshotTree(const SnapshotTree&) = delete;
  SnapshotTree& operator=(const SnapshotTree&) = delete;

  FileSystem& fs() const { return *fs_; }
  const std::string& path() const { return path_; }
  void make_obsolete() { obsolete_ = true; }

 private:
  FileSystem* const fs_;
  const std::string path_;
  bool obsolete_ = false;
};

class TreeSnapshotWriter;

class TreeSnapshotStorage final : public SnapshotStorage {
 public:
  // Also removes the trees that a crash orphaned. `store` must outlive the storage. The directory
  // of the trees may be missing while there is no snapshot.
  static absl::StatusOr<std::unique_ptr<TreeSnapshotStorage>> open(RowStore* store);

  absl::StatusOr<std::shared_ptr<SnapshotReader>> open() override;
  std::optional<SnapshotMeta> current() const override;
  absl::StatusOr<std::unique_ptr<SnapshotWriter>> create() override;
  Outcome publish(std::unique_ptr<SnapshotWriter> writer) override;

 private:
  explicit TreeSnapshotStorage(RowStore* store);

  std::string tree_path(const SnapshotMeta& meta) const;
  absl::Status remove_orphans();
  Outcome make_current(TreeSnapshotWriter& writer);

  FileSystem& fs_;
  const std::string root_;
  RowStore& store_;
  std::optional<SnapshotRecord> record_;
  std::shared_ptr<SnapshotTree> tree_;  // of record_
  const SnapshotTreeWriter::Slot writer_ = SnapshotTreeWriter::make_slot();
};

}  // namespace qk::families
