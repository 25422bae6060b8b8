#include "families/local/snapshot_storage.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "families/contract/rules.h"
#include "families/fs/file_util.h"
#include "families/local/snapshot_table.h"

namespace qk::families::local {
namespace {

constexpr std::string_view kPrefix = "snapshot_";
constexpr std::string_view kTemporary = "temp";
constexpr size_t kIndexDigits = 20;  // of "%020d"
constexpr int32_t kSourceReference = 1;

std::string snapshot_name(int64_t index) {
  const std::string digits = cat(index);
  return cat(kPrefix, std::string(kIndexDigits - digits.size(), '0'), digits);
}

// What braft would take for a snapshot (it matches prefixes); it passes over everything else.
bool looks_like_snapshot(const std::string& name) {
  return name.size() > kPrefix.size() && name.compare(0, kPrefix.size(), kPrefix) == 0 &&
         name[kPrefix.size()] >= '0' && name[kPrefix.size()] <= '9';
}

// Published snapshots by index, ascending.
absl::StatusOr<std::vector<int64_t>> list_snapshots(FileSystem& fs, const std::string& directory) {
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(directory));
  std::vector<int64_t> indices;
  for (const std::string& name : names) {
    if (!looks_like_snapshot(name)) continue;
    int64_t index = 0;
    const char* const begin = name.data() + kPrefix.size();
    const char* const end = name.data() + name.size();
    const auto [parsed, error] = std::from_chars(begin, end, index);
    if (error != std::errc() || parsed != end || index < 1 || snapshot_name(index) != name) {
      return absl::DataLossError(cat(join_path(directory, name),
                                     ": looks like a snapshot, expected a name like ",
                                     snapshot_name(1)));
    }
    indices.push_back(index);
  }
  return indices;
}

}  // namespace

// A published tree; dropping the last reference to one that was replaced removes it.
class PublishedSnapshot {
 public:
  PublishedSnapshot(FileSystem& fs, std::string path, SnapshotTable table)
      : fs_(fs), path_(std::move(path)), table_(std::move(table)) {}
  ~PublishedSnapshot() {
    // What cannot be removed now is removed at the next open, because a newer snapshot is there.
    if (replaced_) remove_tree(fs_, path_).IgnoreError();
  }
  PublishedSnapshot(const PublishedSnapshot&) = delete;
  PublishedSnapshot& operator=(const PublishedSnapshot&) = delete;

  FileSystem& fs() const { return fs_; }
  const std::string& path() const { return path_; }
  const SnapshotTable& table() const { return table_; }
  void set_replaced() { replaced_ = true; }

 private:
  FileSystem& fs_;
  const std::string path_;
  const SnapshotTable table_;
  bool replaced_ = false;
};

namespace {

class DirectorySnapshotReader final : public SnapshotReader {
 public:
  explicit DirectorySnapshotReader(std::shared_ptr<PublishedSnapshot> snapshot)
      : snapshot_(std::move(snapshot)) {}

  const SnapshotMeta& meta() const override { return snapshot_->table().meta; }
  const std::vector<SnapshotFile>& files() const override { return snapshot_->table().files; }
  std::string get_path() const override { return snapshot_->path(); }
  absl::StatusOr<std::unique_ptr<File>> open_file(std::string_view path) const override {
    const bool listed = snapshot_->table().contains(path);
    auto file = open_listed_file(snapshot_->fs(), snapshot_->path(), listed, path);
    if (!listed || !absl::IsNotFound(file.status())) return file;
    return absl::DataLossError(
        cat(snapshot_->path(), ": file \"", path, "\" is in the table, but missing"));
  }
  absl::StatusOr<std::vector<std::string>> unlisted() const override {
    return unlisted_snapshot_files(snapshot_->fs(), snapshot_->path(), snapshot_->table().files);
  }
  absl::StatusOr<std::unique_ptr<File>> open_unlisted(std::string_view place) const override {
    return snapshot_->fs().open(join_path(snapshot_->path(), place), {.read_only = true});
  }

 private:
  const std::shared_ptr<PublishedSnapshot> snapshot_;
};

class DirectorySnapshotWriter final : public SnapshotTreeWriter {
 public:
  using SnapshotTreeWriter::SnapshotTreeWriter;

  // Complete after seal().
  const SnapshotTable& table() const { return table_; }

 protected:
  absl::Status seal_tree() override {
    table_.meta = meta();
    table_.files = files();
    for (const SnapshotFile& file : table_.files) {
      if (file.meta.source == kSourceReference) continue;  // it may live elsewhere
      QK_ASSIGN_OR_RETURN(const std::string place, snapshot_file_place(file.path));
      QK_ASSIGN_OR_RETURN(const bool found, exists(fs(), join_path(get_path(), place)));
      if (!found) {
        return absl::InvalidArgumentError(
            cat(get_path(), ": file \"", file.path, "\" was added, but never written"));
      }
    }
    QK_RETURN_IF_ERROR(write_snapshot_table(fs(), get_path(), table_));
    return sync_tree(fs(), get_path());
  }

 private:
  SnapshotTable table_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<DirectorySnapshotStorage>> DirectorySnapshotStorage::open(
    FileSystem& fs, const std::string& directory, FailStop* fail_stop) {
  std::unique_ptr<DirectorySnapshotStorage> storage(
      new DirectorySnapshotStorage(fs, directory, fail_stop));
  QK_RETURN_IF_ERROR(storage->recover());
  return storage;
}

absl::Status DirectorySnapshotStorage::recover() {
  QK_ASSIGN_OR_RETURN(older_, list_snapshots(fs_, directory_));
  if (!older_.empty()) {
    const int64_t index = older_.back();
    older_.pop_back();
    const std::string path = join_path(directory_, snapshot_name(index));
    auto table = load_snapshot_table(fs_, path);
    if (absl::IsNotFound(table.status())) return absl::DataLossError(table.status().message());
    QK_RETURN_IF_ERROR(table.status());
    if (table->meta.last_included_index != index || table->meta.last_included_term < 1) {
      return absl::DataLossError(
          cat(path, ": its table says index ", table->meta.last_included_index, ", term ",
              table->meta.last_included_term, "; expected index ", index, ", term at least 1"));
    }
    // A tree that a killed process published may be visible without being durable.
    QK_RETURN_IF_ERROR(sync_tree(fs_, path));
    current_ = std::make_shared<PublishedSnapshot>(fs_, path, *std::move(table));
  }
  return fs_.sync_dir(directory_, SyncKind::kFull);
}

absl::Status DirectorySnapshotStorage::remove_leftovers() {
  for (const int64_t index : std::exchange(older_, {})) {
    QK_RETURN_IF_ERROR(remove_tree(fs_, join_path(directory_, snapshot_name(index))));
  }
  return remove_tree(fs_, join_path(directory_, kTemporary));
}

absl::StatusOr<std::shared_ptr<SnapshotReader>> DirectorySnapshotStorage::open() {
  if (current_ == nullptr) return absl::NotFoundError(cat(directory_, ": no snapshot"));
  return std::make_shared<DirectorySnapshotReader>(current_);
}

std::optional<SnapshotMeta> DirectorySnapshotStorage::current() const {
  if (current_ == nullptr) return std::nullopt;
  return current_->table().meta;
}

absl::StatusOr<std::unique_ptr<SnapshotWriter>> DirectorySnapshotStorage::create() {
  QK_RETURN_IF_ERROR(fail_stop_.check());
  QK_RETURN_IF_ERROR(check_no_writer(directory_, writer_));
  const std::string path = join_path(directory_, kTemporary);
  QK_RETURN_IF_ERROR(remove_tree(fs_, path));
  QK_RETURN_IF_ERROR(fs_.mkdir(path));
  return std::make_unique<DirectorySnapshotWriter>(&fs_, path, writer_);
}

Outcome DirectorySnapshotStorage::publish(std::unique_ptr<SnapshotWriter> writer) {
  QK_REFUSE_IF_ERROR(fail_stop_.check());
  const absl::StatusOr<PublishVerdict> verdict =
      prepare_publish(directory_, writer_, writer.get(), current());
  QK_REFUSE_IF_ERROR(verdict.status());
  if (*verdict == PublishVerdict::kAlreadyPublished) return Outcome::success(0);
  // The current snapshot is untouched, and whatever is left of the new tree is thrown away.
  auto& own = static_cast<DirectorySnapshotWriter&>(**writer_);
  const std::string path = join_path(directory_, snapshot_name(own.meta().last_included_index));
  absl::Status status = fs_.rename(own.get_path(), path);
  if (status.ok()) {
    own.release();
    status = fs_.sync_dir(directory_, SyncKind::kFull);
  }
  if (!status.ok()) return fail_stop_.fail(status);
  auto previous =
      std::exchange(current_, std::make_shared<PublishedSnapshot>(fs_, path, own.table()));
  if (previous != nullptr) previous->set_replaced();
  return Outcome::success(1);
}

absl::StatusOr<bool> has_snapshot(FileSystem& fs, const std::string& directory) {
  QK_ASSIGN_OR_RETURN(const std::vector<int64_t> indices, list_snapshots(fs, directory));
  return !indices.empty();
}

}  // namespace qk::families::local
