#include "families/engine/store.h"

#include <vector>

#include "families/base/bytes.h"
#include "families/engine/format.h"
#include "families/engine/row.h"
#include "families/engine/store_root.h"
#include "families/fs/file_util.h"

namespace qk::families {
namespace {

std::string log_key(int64_t index) {
  std::string key;
  set_log_key(&key, index);
  return key;
}

void put_state(KvBatch& batch, StateRow row, std::string_view value) {
  batch.put(state_key(row), encode_state_head(row, value), value);
}

absl::StatusOr<int64_t> row_index(std::string_view store, std::string_view key) {
  const std::optional<int64_t> index = log_key_index(key);
  if (index) return *index;
  return absl::DataLossError(
      cat(store, ": found key ", to_hex(key), ", expected the key of a log row"));
}

}  // namespace

// ---- Creation and opening

KvStore::KvStore(const OpenRequest& request, std::string_view family)
    : RowStore(request.fs, request.root, database_path(request.root)), family_(family) {}

absl::StatusOr<std::unique_ptr<KvStore>> KvStore::open(const OpenRequest& request,
                                                       std::string_view family,
                                                       const OpenKvEngine& open_engine) {
  std::unique_ptr<KvStore> store(new KvStore(request, family));
  QK_ASSIGN_OR_RETURN(const bool found, find_database(request, family, {}));
  QK_ASSIGN_OR_RETURN(store->lock_, request.fs->lock(join_path(request.root, "db.lock")));
  if (!found) QK_RETURN_IF_ERROR(store->create(open_engine));
  QK_RETURN_IF_ERROR(store->open_existing(open_engine));
  return store;
}

absl::Status KvStore::create(const OpenKvEngine& open_engine) {
  const std::string unfinished = unfinished_database_path(root());
  QK_RETURN_IF_ERROR(remove_tree(fs(), unfinished));
  QK_RETURN_IF_ERROR(make_directories(fs(), unfinished));
  QK_RETURN_IF_ERROR(write_format(fs(), unfinished, family_));
  {
    QK_ASSIGN_OR_RETURN(const std::unique_ptr<KvEngine> engine,
                        open_engine(&fs(), unfinished, true, nullptr));
    const std::unique_ptr<KvBatch> batch = engine->new_batch();
    for (const StateRow row : kStateRows) put_state(*batch, row, initial_state(row));
    QK_RETURN_IF_ERROR(engine->commit(*batch));
  }
  QK_RETURN_IF_ERROR(sync_tree(fs(), unfinished));
  return finish_creation(fs(), root());
}

absl::Status KvStore::open_existing(const OpenKvEngine& open_engine) {
  QK_ASSIGN_OR_RETURN(const FileStat stat, fs().stat(path()));
  if (stat.kind != FileKind::kDirectory) {
    return absl::DataLossError(cat(path(), ": found a file, expected a directory"));
  }
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs().list(path()));
  if (names.empty()) {
    return absl::DataLossError(cat(path(), ": found an empty directory, expected a store"));
  }
  QK_RETURN_IF_ERROR(check_format(fs(), path(), family_));
  QK_RETURN_IF_ERROR(sync_tree(fs(), path()));
  QK_RETURN_IF_ERROR(fs().sync_dir(root(), SyncKind::kFull));
  // After the database's own name is durable: a mark without a database is damage.
  QK_ASSIGN_OR_RETURN(mark_, LogMark::open(&fs(), root()));
  absl::StatusOr<std::unique_ptr<KvEngine>> engine = open_engine(&fs(), path(), false, mark_.get());
  // FORMAT is there, so a store was, too.
  if (absl::IsNotFound(engine.status())) {
    return absl::DataLossError(engine.status().message());
  }
  QK_RETURN_IF_ERROR(engine.status());
  engine_ = std::move(*engine);
  batch_ = engine_->new_batch();
  return absl::OkStatus();
}

// ---- Reading

absl::StatusOr<std::string> KvStore::read_state(StateRow row) {
  std::string bytes;
  QK_ASSIGN_OR_RETURN(const bool found, engine_->get(state_key(row), &bytes));
  if (!found) return missing_state(row);
  absl::StatusOr<std::string> value = decode_state_row(row, bytes);
  if (!value.ok()) return annotate(value.status(), path());
  return value;
}

absl::StatusOr<std::optional<LogRange>> KvStore::find_rows() {
  const std::unique_ptr<KvCursor> cursor = engine_->cursor();
  cursor->seek(kLogKeysBegin);
  QK_RETURN_IF_ERROR(cursor->status());
  if (!cursor->valid() || cursor->key() >= kLogKeysEnd) return std::nullopt;
  LogRange rows;
  QK_ASSIGN_OR_RETURN(rows.first, row_index(path(), cursor->key()));
  cursor->seek_back(kLogKeysEnd);
  QK_RETURN_IF_ERROR(cursor->status());
  if (!cursor->valid()) {
    return absl::DataLossError(
        cat(path(), ": log row ", rows.first, " was found going forward, but no row going back"));
  }
  QK_ASSIGN_OR_RETURN(rows.last, row_index(path(), cursor->key()));
  return rows;
}

absl::StatusOr<std::string> KvStore::get_row(int64_t index) {
  std::string bytes;
  QK_ASSIGN_OR_RETURN(const bool found, engine_->get(log_key(index), &bytes));
  if (!found) return missing_row(index);
  return bytes;
}

absl::Status KvStore::read_row(int64_t index, LogEntry* entry) {
  QK_ASSIGN_OR_RETURN(const std::string bytes, get_row(index));
  const absl::Status status = decode_log_entry(index, bytes, entry);
  return status.ok() ? status : annotate(status, path());
}

absl::StatusOr<int64_t> KvStore::read_term(int64_t index) {
  QK_ASSIGN_OR_RETURN(const std::string bytes, get_row(index));
  const absl::StatusOr<LogRow> row = decode_log_row(index, bytes);
  if (!row.ok()) return annotate(row.status(), path());
  return row->term;
}

absl::Status KvStore::scan_rows(const LogRange& range, const LogStorage::Visitor& visit) {
  const std::unique_ptr<KvCursor> cursor = engine_->cursor();
  std::string key = log_key(range.first);
  LogEntry entry;
  cursor->seek(key);
  for (int64_t index = range.first; index <= range.last; ++index, cursor->next()) {
    set_log_key(&key, index);
    if (!cursor->valid() || cursor->key() != key) {
      // An engine may have stepped over what it could not read.
      QK_RETURN_IF_ERROR(cursor->status());
      return missing_row(index);
    }
    if (const absl::Status status = decode_log_entry(index, cursor->value(), &entry);
        !status.ok()) {
      return annotate(status, path());
    }
    QK_RETURN_IF_ERROR(visit(entry));
  }
  return absl::OkStatus();
}

// ---- Changing

absl::Status KvStore::write(const RowChange& change) {
  batch_->clear();
  if (!change.removed.empty()) {
    QK_RETURN_IF_ERROR(
        batch_->remove_range(log_key(change.removed.first), log_key(change.removed.last + 1)));
  }
  for (const LogEntry& entry : change.added) {
    set_log_key(&key_, entry.index);
    set_log_head(&head_, entry);
    batch_->put(key_, head_, entry.payload);
  }
  if (change.state) put_state(*batch_, change.state->row, change.state->value);
  return engine_->commit(*batch_);
}

class KvStore::Loader final : public RowLoader {
 public:
  explicit Loader(std::unique_ptr<KvLoader> loader) : loader_(std::move(loader)) {}

  absl::Status add(std::span<const LogEntry> entries) override {
    for (const LogEntry& entry : entries) {
      set_log_key(&key_, entry.index);
      set_log_head(&head_, entry);
      QK_RETURN_IF_ERROR(loader_->put(key_, head_, entry.payload));
    }
    return absl::OkStatus();
  }
  absl::Status finish() override { return loader_->finish(); }

 private:
  const std::unique_ptr<KvLoader> loader_;
  std::string key_, head_;
};

absl::StatusOr<std::unique_ptr<RowLoader>> KvStore::start_load(int64_t first_index) {
  if (first_index != 1) {
    const std::string first = encode_first_index(first_index);
    QK_RETURN_IF_ERROR(write({.state = {{StateRow::kFirstIndex, first}}}));
  }
  QK_ASSIGN_OR_RETURN(std::unique_ptr<KvLoader> loader, engine_->load());
  return std::make_unique<Loader>(std::move(loader));
}

}  // namespace qk::families
