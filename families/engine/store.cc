#include "families/engine/store.h"

#include <vector>

#include "families/engine/format.h"
#include "families/engine/row.h"
#include "families/fs/file_util.h"

namespace qk::families {

KvStore::KvStore(FileSystem* fs, std::string root, std::string_view family)
    : fs_(*fs), root_(std::move(root)), db_path_(join_path(root_, "db")), family_(family) {}

std::string KvStore::snapshot_root() const { return join_path(root_, "snapshot"); }

absl::StatusOr<std::unique_ptr<KvStore>> KvStore::open(const OpenRequest& request,
                                                       std::string_view family,
                                                       const OpenKvEngine& open_engine) {
  std::unique_ptr<KvStore> store(new KvStore(request.fs, request.root, family));
  QK_ASSIGN_OR_RETURN(const bool found, exists(*request.fs, store->db_path_));
  if (!found) {
    const absl::Status missing = store->judge_missing();
    if (!absl::IsNotFound(missing) || !request.create) return missing;
    QK_RETURN_IF_ERROR(make_directories(*request.fs, request.root));
  }
  QK_ASSIGN_OR_RETURN(store->lock_, request.fs->lock(join_path(request.root, "db.lock")));
  if (!found) QK_RETURN_IF_ERROR(store->create(open_engine));
  QK_RETURN_IF_ERROR(store->open_existing(open_engine));
  return store;
}

// NotFound if nothing in the root tells of a store that was ever used; DataLoss if something does.
absl::Status KvStore::judge_missing() const {
  const absl::StatusOr<std::vector<std::string>> trees = fs_.list(snapshot_root());
  if (!trees.ok() && !absl::IsNotFound(trees.status())) return trees.status();
  const std::string mark = join_path(root_, kLogMarkName);
  QK_ASSIGN_OR_RETURN(const bool marked, exists(fs_, mark));
  std::string trace;
  if (marked) trace = mark;
  if (trees.ok() && !trees->empty()) trace = join_path(snapshot_root(), trees->front());
  if (trace.empty()) {
    return absl::NotFoundError(cat(root_, ": no ", family_, " store: ", db_path_, " is missing"));
  }
  return absl::DataLossError(cat(root_, ": ", db_path_, " is missing, but found ", trace,
                                 ", which only a store leaves; expected the database as well"));
}

absl::Status KvStore::create(const OpenKvEngine& open_engine) {
  const std::string unfinished = join_path(root_, "db.new");
  QK_RETURN_IF_ERROR(remove_tree(fs_, unfinished));
  QK_RETURN_IF_ERROR(make_directories(fs_, unfinished));
  QK_RETURN_IF_ERROR(write_format(fs_, unfinished, family_));
  {
    QK_ASSIGN_OR_RETURN(const std::unique_ptr<KvEngine> engine,
                        open_engine(&fs_, unfinished, true, nullptr));
    const std::unique_ptr<KvBatch> batch = engine->new_batch();
    put_state(*batch, StateRow::kFirstIndex, encode_first_index(1));
    put_state(*batch, StateRow::kHardState, encode_hard_state(HardState{}));
    put_state(*batch, StateRow::kSnapshot, "");
    QK_RETURN_IF_ERROR(engine->commit(*batch));
  }
  QK_RETURN_IF_ERROR(sync_tree(fs_, unfinished));
  QK_RETURN_IF_ERROR(make_directories(fs_, snapshot_root()));
  // open_existing() syncs the new name before anything is read.
  return fs_.rename(unfinished, db_path_);
}

absl::Status KvStore::open_existing(const OpenKvEngine& open_engine) {
  QK_ASSIGN_OR_RETURN(const FileStat stat, fs_.stat(db_path_));
  if (stat.kind != FileKind::kDirectory) {
    return absl::DataLossError(cat(db_path_, ": found a file, expected a directory"));
  }
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_.list(db_path_));
  if (names.empty()) {
    return absl::DataLossError(cat(db_path_, ": found an empty directory, expected a store"));
  }
  QK_RETURN_IF_ERROR(check_format(fs_, db_path_, family_));
  QK_RETURN_IF_ERROR(sync_tree(fs_, db_path_));
  QK_RETURN_IF_ERROR(fs_.sync_dir(root_, SyncKind::kFull));
  // After the database's own name is durable: a mark without a database is damage.
  QK_ASSIGN_OR_RETURN(mark_, LogMark::open(&fs_, root_));
  absl::StatusOr<std::unique_ptr<KvEngine>> engine =
      open_engine(&fs_, db_path_, false, mark_.get());
  // FORMAT stands there, so a store did once.
  if (absl::IsNotFound(engine.status())) {
    return absl::DataLossError(engine.status().message());
  }
  QK_RETURN_IF_ERROR(engine.status());
  engine_ = std::move(*engine);
  batch_ = engine_->new_batch();
  return absl::OkStatus();
}

absl::StatusOr<std::string> KvStore::read_state(StateRow row) {
  std::string bytes;
  QK_ASSIGN_OR_RETURN(const bool found, engine_->get(state_key(row), &bytes));
  if (!found) {
    return absl::DataLossError(cat(db_path_, ": state row \"", to_string(row), "\" is missing"));
  }
  absl::StatusOr<std::string> value = decode_state_row(row, bytes);
  if (!value.ok()) return annotate(value.status(), db_path_);
  return value;
}

void KvStore::put_state(KvBatch& batch, StateRow row, std::string_view value) {
  batch.put(state_key(row), encode_state_head(row, value), value);
}

absl::Status KvStore::writable() const {
  if (poison_.ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(cat(
      db_path_, ": refuses mutations until it is reopened, after: ", to_std(poison_.message())));
}

Outcome KvStore::commit(std::string_view what) {
  if (const absl::Status status = engine_->commit(*batch_); !status.ok()) {
    return fail_stop(status, what);
  }
  return Outcome::success();
}

Outcome KvStore::fail_stop(absl::Status cause, std::string_view what) {
  const absl::Status status = annotate(cause, what);
  if (poison_.ok()) poison_ = status;
  return Outcome::indeterminate(status);
}

absl::StatusOr<std::string> KvStore::load_snapshot_record() {
  return read_state(StateRow::kSnapshot);
}

Outcome KvStore::commit_snapshot_record(std::string_view record) {
  return mutate("publish", [&](KvBatch& batch) {
    put_state(batch, StateRow::kSnapshot, record);
    return absl::OkStatus();
  });
}

}  // namespace qk::families
