#include "sim/legacy/legacy_snapshot.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "families/base/strings.h"
#include "families/contract/rules.h"
#include "families/fs/file_util.h"
#include "sim/legacy/legacy.pb.h"

namespace qk::sim::legacy {
namespace {

using families::File;
using families::FileSystem;
using families::Outcome;
using families::SnapshotFile;
using families::SnapshotMeta;

constexpr std::string_view kTemp = "temp";

std::string snapshot_name(int64_t index) {
  char text[48];
  std::snprintf(text, sizeof text, "snapshot_%020lld", static_cast<long long>(index));
  return text;
}

struct Table {
  SnapshotMeta meta;
  std::vector<SnapshotFile> files;  // in byte order of name
};

// nullopt: it cannot be read.
std::optional<Table> load_table(FileSystem& fs, const std::string& tree, Errno* error) {
  proto::LocalSnapshotPbMeta message;
  const std::string path = families::join_path(tree, families::kSnapshotTableName);
  if (!load_record(fs, path, error, &message)) return std::nullopt;
  Table table;
  table.meta.last_included_index = message.meta().last_included_index();
  table.meta.last_included_term = message.meta().last_included_term();
  table.meta.peers.assign(message.meta().peers().begin(), message.meta().peers().end());
  table.meta.old_peers.assign(message.meta().old_peers().begin(), message.meta().old_peers().end());
  std::map<std::string, families::FileMeta> files;
  for (const auto& file : message.files()) {
    families::FileMeta meta;
    if (file.meta().has_user_meta()) meta.user_meta = file.meta().user_meta();
    if (file.meta().has_source()) meta.source = file.meta().source();
    if (file.meta().has_checksum()) meta.checksum = file.meta().checksum();
    files.try_emplace(file.name(), std::move(meta));
  }
  for (auto& [name, meta] : files) table.files.push_back({name, std::move(meta)});
  return table;
}

absl::Status save_table(FileSystem& fs, const std::string& tree, const Table& table) {
  proto::LocalSnapshotPbMeta message;
  message.mutable_meta()->set_last_included_index(table.meta.last_included_index);
  message.mutable_meta()->set_last_included_term(table.meta.last_included_term);
  for (const std::string& peer : table.meta.peers) message.mutable_meta()->add_peers(peer);
  for (const std::string& peer : table.meta.old_peers) message.mutable_meta()->add_old_peers(peer);
  for (const SnapshotFile& file : table.files) {
    auto* const entry = message.add_files();
    entry->set_name(file.path);
    auto* const meta = entry->mutable_meta();
    if (file.meta.user_meta) meta->set_user_meta(*file.meta.user_meta);
    if (file.meta.source) meta->set_source(static_cast<proto::FileSource>(*file.meta.source));
    if (file.meta.checksum) meta->set_checksum(*file.meta.checksum);
  }
  return save_record(fs, families::join_path(tree, families::kSnapshotTableName), message);
}

}  // namespace

// A published tree; dropping the last reference to one that was replaced removes it.
class LegacySnapshot {
 public:
  LegacySnapshot(FileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  ~LegacySnapshot() {
    if (replaced_) families::remove_tree(fs_, path_).IgnoreError();
  }
  LegacySnapshot(const LegacySnapshot&) = delete;
  LegacySnapshot& operator=(const LegacySnapshot&) = delete;

  FileSystem& fs() const { return fs_; }
  const std::string& path() const { return path_; }
  void set_replaced() { replaced_ = true; }
  std::optional<Table> table() const {
    Errno error(0);
    return load_table(fs_, path_, &error);
  }

 private:
  FileSystem& fs_;
  const std::string path_;
  bool replaced_ = false;
};

namespace {

class LegacySnapshotReader final : public families::SnapshotReader {
 public:
  LegacySnapshotReader(std::shared_ptr<LegacySnapshot> snapshot, Table table)
      : snapshot_(std::move(snapshot)), table_(std::move(table)) {}

  const SnapshotMeta& meta() const override { return table_.meta; }
  const std::vector<SnapshotFile>& files() const override { return table_.files; }
  std::string get_path() const override { return snapshot_->path(); }
  absl::StatusOr<std::unique_ptr<File>> open_file(std::string_view path) const override {
    const bool listed = std::any_of(table_.files.begin(), table_.files.end(),
                                    [&](const SnapshotFile& f) { return f.path == path; });
    return families::open_listed_file(snapshot_->fs(), snapshot_->path(), listed, path);
  }
  absl::StatusOr<std::vector<std::string>> unlisted() const override {
    return families::unlisted_snapshot_files(snapshot_->fs(), snapshot_->path(), table_.files);
  }
  absl::StatusOr<std::unique_ptr<File>> open_unlisted(std::string_view place) const override {
    return snapshot_->fs().open(families::join_path(snapshot_->path(), place), {.read_only = true});
  }

 private:
  const std::shared_ptr<LegacySnapshot> snapshot_;
  const Table table_;
};

class LegacySnapshotWriter final : public families::SnapshotTreeWriter {
 public:
  using SnapshotTreeWriter::SnapshotTreeWriter;

 protected:
  absl::Status seal_tree() override {
    for (const SnapshotFile& file : files()) {
      QK_ASSIGN_OR_RETURN(const std::string place, families::snapshot_file_place(file.path));
      const auto written = fs().open(families::join_path(get_path(), place), {});
      if (absl::IsNotFound(written.status())) continue;  // add_file() records a name, no more
      QK_RETURN_IF_ERROR(written.status());
      QK_RETURN_IF_ERROR((*written)->sync(families::SyncKind::kFull));
    }
    return save_table(fs(), get_path(), {meta(), files()});
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<LegacySnapshotStorage>> LegacySnapshotStorage::open(
    FileSystem& fs, const std::string& directory, Errno* error) {
  QK_RETURN_IF_ERROR(make_directory(fs, directory, error));
  QK_RETURN_IF_ERROR(families::remove_tree(fs, families::join_path(directory, kTemp)));
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(directory));
  std::vector<int64_t> indices;
  for (const std::string& name : names) {
    long long index = 0;
    if (std::sscanf(name.c_str(), "snapshot_%20lld", &index) == 1) indices.push_back(index);
  }
  std::sort(indices.begin(), indices.end());
  std::unique_ptr<LegacySnapshotStorage> storage(new LegacySnapshotStorage(fs, directory));
  if (indices.empty()) return storage;
  // All but the newest go before any is looked into.
  const int64_t newest = indices.back();
  for (const int64_t index : indices) {
    if (index == newest) continue;
    QK_RETURN_IF_ERROR(
        families::remove_tree(fs, families::join_path(directory, snapshot_name(index))));
  }
  if (newest == 0) return storage;  // which is how it says "none"
  storage->current_ =
      std::make_shared<LegacySnapshot>(fs, families::join_path(directory, snapshot_name(newest)));
  return storage;
}

absl::StatusOr<std::shared_ptr<families::SnapshotReader>> LegacySnapshotStorage::open() {
  if (current_ == nullptr) return absl::NotFoundError(cat(directory_, ": no snapshot"));
  std::optional<Table> table = current_->table();
  // 6.12: open() answers nullptr, and that is taken for "none".
  if (!table) return absl::NotFoundError(cat(current_->path(), ": its meta cannot be read"));
  return std::make_shared<LegacySnapshotReader>(current_, *std::move(table));
}

std::optional<SnapshotMeta> LegacySnapshotStorage::current() const {
  if (current_ == nullptr) return std::nullopt;
  const std::optional<Table> table = current_->table();
  if (!table) return std::nullopt;
  return table->meta;
}

absl::StatusOr<std::unique_ptr<families::SnapshotWriter>> LegacySnapshotStorage::create() {
  QK_RETURN_IF_ERROR(families::check_no_writer(directory_, writer_));
  const std::string path = families::join_path(directory_, kTemp);
  QK_RETURN_IF_ERROR(families::remove_tree(fs_, path));
  QK_RETURN_IF_ERROR(fs_.mkdir(path));
  return std::make_unique<LegacySnapshotWriter>(&fs_, path, writer_);
}

Outcome LegacySnapshotStorage::publish(std::unique_ptr<families::SnapshotWriter> writer) {
  families::SnapshotTreeWriter* const own = *writer_;
  if (writer == nullptr || writer.get() != own) {
    return Outcome::failed_clean(absl::InvalidArgumentError(
        cat(directory_, ": publish: the writer is not one of this storage")));
  }
  const auto verdict = families::judge_publish(current(), own->meta());
  if (!verdict.ok()) return Outcome::failed_clean(verdict.status());
  if (*verdict == families::PublishVerdict::kAlreadyPublished) return Outcome::success(0);
  // 6.11: a meta file that cannot be saved discards the snapshot, and close() answers 0.
  if (!own->seal().ok()) return Outcome::success(1);
  const std::string path =
      families::join_path(directory_, snapshot_name(own->meta().last_included_index));
  absl::Status status = families::remove_tree(fs_, path);
  if (status.ok()) status = fs_.rename(own->get_path(), path);
  if (!status.ok()) return Outcome::indeterminate(status);
  own->release();
  const auto previous = std::exchange(current_, std::make_shared<LegacySnapshot>(fs_, path));
  if (previous != nullptr) previous->set_replaced();
  return Outcome::success(1);
}

}  // namespace qk::sim::legacy
