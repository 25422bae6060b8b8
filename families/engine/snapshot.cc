#include "families/engine/snapshot.h"

#include <algorithm>

#include "families/contract/rules.h"
#include "families/engine/snapshot_writer.h"
#include "families/engine/store_root.h"
#include "families/fs/file_util.h"

namespace qk::families {
namespace {

constexpr std::string_view kTempName = "temp";
constexpr size_t kIndexDigits = 20;

// A name that this storage gives to a tree; anything else below `snapshot/` is left alone.
bool is_tree_name(std::string_view name) {
  if (name == kTempName) return true;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return name.size() > kIndexDigits + 1 && name[kIndexDigits] == '-' &&
         std::all_of(name.begin(), name.begin() + kIndexDigits, is_digit) &&
         std::all_of(name.begin() + kIndexDigits + 1, name.end(), is_digit);
}

class TreeSnapshotReader final : public SnapshotReader {
 public:
  TreeSnapshotReader(SnapshotRecord record, std::shared_ptr<SnapshotTree> tree)
      : record_(std::move(record)), tree_(std::move(tree)) {}

  const SnapshotMeta& meta() const override { return record_.meta; }
  const std::vector<SnapshotFile>& files() const override { return record_.files; }
  std::string get_path() const override { return tree_->path(); }

  absl::StatusOr<std::unique_ptr<File>> open_file(std::string_view path) const override {
    const auto at = find_file(record_.files, path);
    const bool listed = at != record_.files.end() && at->path == path;
    return open_listed_file(tree_->fs(), tree_->path(), listed, path);
  }
  absl::StatusOr<std::vector<std::string>> unlisted() const override {
    std::vector<std::string> places;
    for (const auto& [place, contents] : record_.unlisted) places.push_back(place);
    return places;
  }
  absl::StatusOr<std::unique_ptr<File>> open_unlisted(std::string_view place) const override {
    return tree_->fs().open(join_path(tree_->path(), place), {.read_only = true});
  }

 private:
  const SnapshotRecord record_;
  const std::shared_ptr<SnapshotTree> tree_;
};

absl::Status verify_file(const SnapshotTree& tree, std::string_view place,
                         const SnapshotRecord::Contents& expected) {
  const std::string path = join_path(tree.path(), place);
  const absl::StatusOr<SnapshotRecord::Contents> found = measure_file(tree.fs(), path);
  if (absl::IsNotFound(found.status())) {
    return absl::DataLossError(cat(path, ": missing, expected ", expected.size, " bytes"));
  }
  QK_RETURN_IF_ERROR(found.status());
  if (*found == expected) return absl::OkStatus();
  return absl::DataLossError(cat(path, ": found ", found->size, " bytes with checksum ",
                                 hex8(found->crc), ", expected ", expected.size, " with ",
                                 hex8(expected.crc)));
}

// Every file of the tree is what the record says.
absl::Status verify(const SnapshotRecord& record, const SnapshotTree& tree) {
  for (size_t i = 0; i < record.files.size(); ++i) {
    QK_ASSIGN_OR_RETURN(const std::string place, snapshot_file_place(record.files[i].path));
    QK_RETURN_IF_ERROR(verify_file(tree, place, record.contents[i]));
  }
  for (const auto& [place, contents] : record.unlisted) {
    QK_RETURN_IF_ERROR(verify_file(tree, place, contents));
  }
  return absl::OkStatus();
}

}  // namespace

SnapshotTree::~SnapshotTree() {
  // What cannot be removed now is an orphan for the next open.
  if (obsolete_) remove_tree(*fs_, path_).IgnoreError();
}

TreeSnapshotStorage::TreeSnapshotStorage(RowStore* store)
    : fs_(store->fs()), root_(snapshot_root(store->root())), store_(*store) {}

absl::StatusOr<std::unique_ptr<TreeSnapshotStorage>> TreeSnapshotStorage::open(RowStore* store) {
  std::unique_ptr<TreeSnapshotStorage> storage(new TreeSnapshotStorage(store));
  QK_ASSIGN_OR_RETURN(const std::string value, store->read_state(StateRow::kSnapshot));
  QK_ASSIGN_OR_RETURN(storage->record_, decode_snapshot(value));
  if (storage->record_) {
    storage->tree_ =
        std::make_shared<SnapshotTree>(&store->fs(), storage->tree_path(storage->record_->meta));
  }
  QK_RETURN_IF_ERROR(storage->remove_orphans());
  return storage;
}

std::string TreeSnapshotStorage::tree_path(const SnapshotMeta& meta) const {
  std::string index = cat(meta.last_included_index);
  index.insert(0, kIndexDigits - index.size(), '0');
  return join_path(root_, cat(index, "-", meta.last_included_term));
}

absl::Status TreeSnapshotStorage::remove_orphans() {
  const absl::StatusOr<std::vector<std::string>> names = fs_.list(root_);
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  QK_RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    const std::string path = join_path(root_, name);
    if (!is_tree_name(name) || (tree_ != nullptr && path == tree_->path())) continue;
    QK_RETURN_IF_ERROR(remove_tree(fs_, path));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<SnapshotReader>> TreeSnapshotStorage::open() {
  if (!record_) return absl::NotFoundError(cat(root_, ": no snapshot"));
  QK_RETURN_IF_ERROR(verify(*record_, *tree_));
  return std::make_shared<TreeSnapshotReader>(*record_, tree_);
}

std::optional<SnapshotMeta> TreeSnapshotStorage::current() const {
  if (!record_) return std::nullopt;
  return record_->meta;
}

absl::StatusOr<std::unique_ptr<SnapshotWriter>> TreeSnapshotStorage::create() {
  QK_RETURN_IF_ERROR(store_.writable());
  QK_RETURN_IF_ERROR(check_no_writer(root_, writer_));
  const std::string path = join_path(root_, kTempName);
  QK_RETURN_IF_ERROR(remove_tree(fs_, path));
  QK_RETURN_IF_ERROR(make_directories(fs_, root_));
  QK_RETURN_IF_ERROR(fs_.mkdir(path));
  return std::make_unique<TreeSnapshotWriter>(&fs_, path, writer_);
}

Outcome TreeSnapshotStorage::publish(std::unique_ptr<SnapshotWriter> writer) {
  QK_REFUSE_IF_ERROR(store_.writable());
  const absl::StatusOr<PublishVerdict> verdict =
      prepare_publish(root_, writer_, writer.get(), current());
  QK_REFUSE_IF_ERROR(verdict.status());
  if (*verdict == PublishVerdict::kAlreadyPublished) return Outcome::success(0);
  return make_current(static_cast<TreeSnapshotWriter&>(**writer_));
}

Outcome TreeSnapshotStorage::make_current(TreeSnapshotWriter& writer) {
  const SnapshotRecord& record = writer.record();
  const std::string encoded = encode_snapshot(record);
  if (encoded.size() > kMaxSnapshotRecordBytes) {
    return Outcome::failed_clean(
        absl::InvalidArgumentError(cat(root_, ": publish: the file table has ", encoded.size(),
                                       " bytes, expected at most ", kMaxSnapshotRecordBytes)));
  }
  auto tree = std::make_shared<SnapshotTree>(&fs_, tree_path(record.meta));
  const auto move_tree = [&]() -> absl::Status {
    QK_RETURN_IF_ERROR(fs_.rename(writer.get_path(), tree->path()));
    return fs_.sync_dir(root_, SyncKind::kFull);
  };
  if (const absl::Status status = move_tree(); !status.ok()) {
    return store_.fail_stop(status, "publish");
  }
  writer.release();
  Outcome outcome = store_.commit("publish", {.state = {{StateRow::kSnapshot, encoded}}}, 1);
  if (!outcome.ok()) return outcome;
  if (tree_ != nullptr) tree_->make_obsolete();
  tree_ = std::move(tree);
  record_ = record;
  return outcome;
}

}  // namespace qk::families
