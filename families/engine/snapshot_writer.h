// The writer of a TreeSnapshotStorage: fills `snapshot/temp`, and removes it when dropped before
// it was published.
//
// What was removed from the table is gone from the tree, too (BC-6). What was never added stays in
// it, unlisted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "families/contract/snapshot_files.h"
#include "families/engine/snapshot.h"

namespace qk::families {

class TreeSnapshotWriter final : public SnapshotWriter {
 public:
  TreeSnapshotWriter(TreeSnapshotStorage* storage, FileSystem* fs, std::string path)
      : storage_(storage), fs_(fs), path_(std::move(path)) {}
  ~TreeSnapshotWriter() override;

  std::string get_path() const override { return path_; }
  absl::StatusOr<std::unique_ptr<File>> create_file(std::string_view path) override;
  absl::Status add_file(std::string_view path, const FileMeta& meta) override;
  absl::Status remove_file(std::string_view path) override;
  absl::Status save_meta(const SnapshotMeta& meta) override;
  const SnapshotMeta& meta() const override { return record_.meta; }
  const std::vector<SnapshotFile>& files() const override { return files_.list(); }
  absl::StatusOr<std::unique_ptr<File>> open_file(std::string_view path) const override;
  absl::StatusOr<std::vector<std::string>> unlisted() const override;
  absl::StatusOr<std::unique_ptr<File>> open_unlisted(std::string_view place) const override;
  absl::Status seal() override;

  // Complete after seal().
  const SnapshotRecord& record() const { return record_; }
  // The tree was renamed away; nothing is left to remove.
  void release() { released_ = true; }
  // The storage is gone.
  void detach() { storage_ = nullptr; }

 private:
  absl::Status check_unsealed(std::string_view what) const;

  TreeSnapshotStorage* storage_;
  FileSystem* const fs_;
  const std::string path_;
  SnapshotFiles files_;
  SnapshotRecord record_;
  bool sealed_ = false;
  bool released_ = false;
};

// Size and CRC-32C of a file; NotFound if it is missing.
absl::StatusOr<SnapshotRecord::Contents> measure_file(FileSystem& fs, const std::string& path);

// The position of `path` in a table in byte order, or where it belongs.
std::vector<SnapshotFile>::const_iterator find_file(const std::vector<SnapshotFile>& files,
                                                    std::string_view path);

}  // namespace qk::families
