// SnapshotTreeWriter: what is the same in every writer of a snapshot that is a tree of files: the
// names and the meta of its table, files at their places, and that a sealed tree does not change. A
// family says how a tree and its table become durable.
//
// A writer that was not published removes its tree when it is dropped; what cannot be removed then
// is for the next open.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "families/contract/snapshot_files.h"
#include "families/contract/snapshot_storage.h"

namespace qk::families {

class SnapshotTreeWriter : public SnapshotWriter {
 public:
  // The one writer of a storage, or null. Shared, because a writer may outlive its storage.
  using Slot = std::shared_ptr<SnapshotTreeWriter*>;
  static Slot make_slot() { return std::make_shared<SnapshotTreeWriter*>(nullptr); }

  // The tree at `path` exists and is empty, the slot is free. `fs` must outlive the writer.
  SnapshotTreeWriter(FileSystem* fs, std::string path, Slot slot);
  ~SnapshotTreeWriter() override;

  std::string get_path() const override { return path_; }
  absl::StatusOr<std::unique_ptr<File>> create_file(std::string_view path) override;
  absl::Status add_file(std::string_view path, const FileMeta& meta) override;
  absl::Status remove_file(std::string_view path) override;
  absl::Status save_meta(const SnapshotMeta& meta) override;
  const SnapshotMeta& meta() const override { return meta_; }
  const std::vector<SnapshotFile>& files() const override { return files_.list(); }
  absl::StatusOr<std::unique_ptr<File>> open_file(std::string_view path) const override;
  absl::StatusOr<std::vector<std::string>> unlisted() const override;
  absl::StatusOr<std::unique_ptr<File>> open_unlisted(std::string_view place) const override;
  absl::Status seal() final;

  // The tree was renamed away; nothing is left to remove.
  void release() { released_ = true; }

 protected:
  FileSystem& fs() const { return fs_; }
  // Makes the tree durable with its table, which is legal.
  virtual absl::Status seal_tree() = 0;

 private:
  absl::Status check_unsealed(std::string_view what) const;

  FileSystem& fs_;
  const std::string path_;
  const Slot slot_;
  SnapshotFiles files_;
  SnapshotMeta meta_;
  bool sealed_ = false;
  bool released_ = false;
};

// What publish() asks before it changes anything: that `writer` is the storage's own, A-10, and if
// the snapshot is to become the current one, that it can be sealed. Messages begin with `where`.
absl::StatusOr<PublishVerdict> prepare_publish(std::string_view where,
                                               const SnapshotTreeWriter::Slot& slot,
                                               const SnapshotWriter* writer,
                                               const std::optional<SnapshotMeta>& current);

// That `create()` may make a writer: one at a time.
absl::Status check_no_writer(std::string_view where, const SnapshotTreeWriter::Slot& slot);

// Opens a file of a tree by its name in the table, where it is if `listed`; NotFound otherwise.
absl::StatusOr<std::unique_ptr<File>> open_listed_file(FileSystem& fs, const std::string& tree,
                                                       bool listed, std::string_view name);

}  // namespace qk::families
