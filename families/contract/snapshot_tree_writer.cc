#include "families/contract/snapshot_tree_writer.h"

#include "families/contract/rules.h"
#include "families/fs/file_util.h"

namespace qk::families {

SnapshotTreeWriter::SnapshotTreeWriter(FileSystem* fs, std::string path, Slot slot)
    : fs_(*fs), path_(std::move(path)), slot_(std::move(slot)) {
  *slot_ = this;
}

SnapshotTreeWriter::~SnapshotTreeWriter() {
  *slot_ = nullptr;
  if (!released_) remove_tree(fs_, path_).IgnoreError();
}

absl::Status SnapshotTreeWriter::check_unsealed(std::string_view what) const {
  if (!sealed_) return absl::OkStatus();
  return absl::FailedPreconditionError(cat(path_, ": ", what, ": the snapshot is sealed"));
}

absl::StatusOr<std::unique_ptr<File>> SnapshotTreeWriter::create_file(std::string_view path) {
  QK_RETURN_IF_ERROR(check_unsealed("create_file"));
  return create_snapshot_file(fs_, path_, path);
}

absl::Status SnapshotTreeWriter::add_file(std::string_view path, const FileMeta& meta) {
  QK_RETURN_IF_ERROR(check_unsealed("add_file"));
  QK_RETURN_IF_ERROR(check_snapshot_files({{std::string(path), meta}}).status());
  if (files_.insert(path, meta)) return absl::OkStatus();
  return absl::AlreadyExistsError(cat(path_, ": file \"", path, "\" is in the table already"));
}

absl::Status SnapshotTreeWriter::remove_file(std::string_view path) {
  QK_RETURN_IF_ERROR(check_unsealed("remove_file"));
  if (files_.erase(path)) return absl::OkStatus();
  return absl::NotFoundError(cat(path_, ": file \"", path, "\" is not in the table"));
}

absl::Status SnapshotTreeWriter::save_meta(const SnapshotMeta& meta) {
  QK_RETURN_IF_ERROR(check_unsealed("save_meta"));
  meta_ = meta;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<File>> SnapshotTreeWriter::open_file(std::string_view path) const {
  return open_listed_file(fs_, path_, files_.contains(path), path);
}

absl::StatusOr<std::vector<std::string>> SnapshotTreeWriter::unlisted() const {
  return unlisted_snapshot_files(fs_, path_, files_.list());
}

absl::StatusOr<std::unique_ptr<File>> SnapshotTreeWriter::open_unlisted(
    std::string_view place) const {
  return fs_.open(join_path(path_, place), {.read_only = true});
}

absl::Status SnapshotTreeWriter::seal() {
  if (sealed_) return absl::OkStatus();
  QK_RETURN_IF_ERROR(check_snapshot_files(files_.list()).status());
  QK_RETURN_IF_ERROR(seal_tree());
  sealed_ = true;
  return absl::OkStatus();
}

absl::StatusOr<PublishVerdict> prepare_publish(std::string_view where,
                                               const SnapshotTreeWriter::Slot& slot,
                                               const SnapshotWriter* writer,
                                               const std::optional<SnapshotMeta>& current) {
  SnapshotTreeWriter* const own = *slot;
  if (writer == nullptr || writer != own) {
    return absl::InvalidArgumentError(
        cat(where, ": publish: the writer is not one of this storage"));
  }
  QK_ASSIGN_OR_RETURN(const PublishVerdict verdict, judge_publish(current, own->meta()));
  if (verdict == PublishVerdict::kPublish) QK_RETURN_IF_ERROR(own->seal());
  return verdict;
}

absl::Status check_no_writer(std::string_view where, const SnapshotTreeWriter::Slot& slot) {
  if (*slot == nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(cat(where, ": a snapshot is being written already"));
}

absl::StatusOr<std::unique_ptr<File>> open_listed_file(FileSystem& fs, const std::string& tree,
                                                       bool listed, std::string_view name) {
  if (!listed) {
    return absl::NotFoundError(cat(tree, ": file \"", name, "\" is not in the table"));
  }
  QK_ASSIGN_OR_RETURN(const std::string place, snapshot_file_place(name));
  return fs.open(join_path(tree, place), {.read_only = true});
}

}  // namespace qk::families
