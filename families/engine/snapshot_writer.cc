#include "families/engine/snapshot_writer.h"

#include <algorithm>

#include "families/base/hash.h"
#include "families/contract/rules.h"
#include "families/fs/file_util.h"

namespace qk::families {
namespace {

constexpr size_t kChunkBytes = 64 << 10;

}  // namespace

absl::StatusOr<SnapshotRecord::Contents> measure_file(FileSystem& fs, const std::string& path) {
  OpenFlags flags;
  flags.read_only = true;
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs.open(path, flags));
  SnapshotRecord::Contents contents;
  std::string chunk(kChunkBytes, '\0');
  while (true) {
    QK_ASSIGN_OR_RETURN(const size_t got, file->read_at(contents.size, chunk));
    contents.crc = crc32c_extend(contents.crc, std::string_view(chunk).substr(0, got));
    contents.size += got;
    if (got < chunk.size()) return contents;
  }
}

std::vector<SnapshotFile>::const_iterator find_file(const std::vector<SnapshotFile>& files,
                                                    std::string_view path) {
  return std::lower_bound(files.begin(), files.end(), path,
                          [](const SnapshotFile& f, std::string_view p) { return f.path < p; });
}

TreeSnapshotWriter::~TreeSnapshotWriter() {
  if (storage_ != nullptr) storage_->writer_ = nullptr;
  // What cannot be removed now is an orphan for the next open.
  if (!released_) remove_tree(*fs_, path_).IgnoreError();
}

absl::Status TreeSnapshotWriter::check_unsealed(std::string_view what) const {
  if (!sealed_) return absl::OkStatus();
  return absl::FailedPreconditionError(cat(path_, ": ", what, ": the snapshot is sealed"));
}

absl::StatusOr<std::unique_ptr<File>> TreeSnapshotWriter::create_file(std::string_view path) {
  QK_RETURN_IF_ERROR(check_unsealed("create_file"));
  return create_snapshot_file(*fs_, path_, path);
}

absl::Status TreeSnapshotWriter::add_file(std::string_view path, const FileMeta& meta) {
  QK_RETURN_IF_ERROR(check_unsealed("add_file"));
  QK_RETURN_IF_ERROR(check_snapshot_files({{std::string(path), meta}}).status());
  if (files_.insert(path, meta)) return absl::OkStatus();
  return absl::AlreadyExistsError(cat(path_, ": file \"", path, "\" is in the table already"));
}

absl::Status TreeSnapshotWriter::remove_file(std::string_view path) {
  QK_RETURN_IF_ERROR(check_unsealed("remove_file"));
  if (files_.erase(path)) return absl::OkStatus();
  return absl::NotFoundError(cat(path_, ": file \"", path, "\" is not in the table"));
}

absl::Status TreeSnapshotWriter::save_meta(const SnapshotMeta& meta) {
  QK_RETURN_IF_ERROR(check_unsealed("save_meta"));
  record_.meta = meta;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<File>> TreeSnapshotWriter::open_file(std::string_view path) const {
  if (!files_.contains(path)) {
    return absl::NotFoundError(cat(path_, ": file \"", path, "\" is not in the table"));
  }
  QK_ASSIGN_OR_RETURN(const std::string place, snapshot_file_place(path));
  return fs_->open(join_path(path_, place), {.read_only = true});
}

absl::StatusOr<std::vector<std::string>> TreeSnapshotWriter::unlisted() const {
  return unlisted_snapshot_files(*fs_, path_, files_.list());
}

absl::StatusOr<std::unique_ptr<File>> TreeSnapshotWriter::open_unlisted(
    std::string_view place) const {
  return fs_->open(join_path(path_, place), {.read_only = true});
}

absl::Status TreeSnapshotWriter::seal() {
  if (sealed_) return absl::OkStatus();
  record_.files = files_.list();
  QK_RETURN_IF_ERROR(check_snapshot_files(record_.files).status());
  // The name is `local`'s; here it would be a file that no other family has.
  const absl::Status removed = fs_->unlink(join_path(path_, kSnapshotTableName));
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> extra, unlisted());
  record_.unlisted.clear();
  for (const std::string& place : extra) {
    QK_ASSIGN_OR_RETURN(const SnapshotRecord::Contents contents,
                        measure_file(*fs_, join_path(path_, place)));
    record_.unlisted.emplace_back(place, contents);
  }
  record_.contents.clear();
  for (const SnapshotFile& file : record_.files) {
    QK_ASSIGN_OR_RETURN(const std::string place, snapshot_file_place(file.path));
    const absl::StatusOr<SnapshotRecord::Contents> contents =
        measure_file(*fs_, join_path(path_, place));
    if (!contents.ok()) {
      return annotate(contents.status(), cat("seal: snapshot file \"", file.path, "\""));
    }
    record_.contents.push_back(*contents);
  }
  QK_RETURN_IF_ERROR(sync_tree(*fs_, path_));
  sealed_ = true;
  return absl::OkStatus();
}

}  // namespace qk::families
