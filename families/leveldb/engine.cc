#include "families/leveldb/engine.h"

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include "families/engine/recovery.h"
#include "families/leveldb/env.h"
#include "families/leveldb/slice.h"

namespace qk::families {
namespace {

// Uncompressed blocks kept in memory, of each database.
constexpr size_t kCacheBytes = 256 << 10;
// Of a write batch: its sequence number (8) and the count of its changes (4).
constexpr size_t kEmptyBatchBytes = 8 + 4;
// A loader writes a batch of this size, unsynced.
constexpr size_t kLoadBatchBytes = 256 << 10;

leveldb::ReadOptions read_options(bool fill_cache) {
  leveldb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = fill_cache;
  return options;
}

class LeveldbEngine final : public KvEngine {
 public:
  LeveldbEngine(FileSystem* fs, std::string path, LogMark* mark)
      : fs_(*fs),
        mark_(mark),
        path_(std::move(path)),
        env_(fs),
        cache_(leveldb::NewLRUCache(kCacheBytes)) {}
  ~LeveldbEngine() override;

  absl::Status open(bool create, const LeveldbOptions& options);

  std::unique_ptr<KvBatch> new_batch() override;
  absl::Status commit(KvBatch& batch) override;
  absl::StatusOr<bool> get(std::string_view key, std::string* value) override;
  std::unique_ptr<KvCursor> cursor() override;
  absl::StatusOr<std::unique_ptr<KvLoader>> load() override;
  size_t pending_work() const override { return failure_.ok() ? env_.queued_jobs() : 0; }
  absl::Status run_one() override;

  std::unique_ptr<leveldb::Iterator> iterator() {
    return std::unique_ptr<leveldb::Iterator>(db_->NewIterator(read_options(false)));
  }
  absl::Status write(leveldb::WriteBatch* batch, bool sync);
  // Damage and missing files are DataLoss; an error of the file system keeps its code and errno.
  absl::Status convert(const leveldb::Status& status, std::string_view what) const;

 private:
  // Fail-stop.
  absl::Status fail(absl::Status status) {
    if (failure_.ok()) failure_ = status;
    return status;
  }

  FileSystem& fs_;
  LogMark* const mark_;  // may be null
  const std::string path_;
  LeveldbEnv env_;
  NullLogger logger_;
  // In this order: the database ends before what it uses.
  const std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<leveldb::DB> db_;
  std::optional<uint64_t> changed_wal_;  // the newest that holds changes of ours
  absl::Status failure_;
};

class LeveldbBatch final : public KvBatch {
 public:
  explicit LeveldbBatch(LeveldbEngine* engine) : engine_(*engine) {}

  void clear() override { batch_.Clear(); }
  void put(std::string_view key, std::string_view head, std::string_view tail) override {
    value_.assign(head).append(tail);
    batch_.Put(to_slice(key), value_);
  }
  void remove(std::string_view key) override { batch_.Delete(to_slice(key)); }
  absl::Status remove_range(std::string_view begin, std::string_view end) override {
    const std::unique_ptr<KvCursor> cursor = engine_.cursor();
    for (cursor->seek(begin); cursor->valid() && cursor->key() < end; cursor->next()) {
      remove(cursor->key());
    }
    return cursor->status();
  }

  leveldb::WriteBatch* raw() { return &batch_; }

 private:
  LeveldbEngine& engine_;
  leveldb::WriteBatch batch_;
  std::string value_;  // of put(); reused
};

class LeveldbCursor final : public KvCursor {
 public:
  explicit LeveldbCursor(LeveldbEngine* engine) : engine_(*engine), iterator_(engine->iterator()) {}

  void seek(std::string_view key) override { iterator_->Seek(to_slice(key)); }
  void seek_back(std::string_view key) override {
    iterator_->Seek(to_slice(key));
    if (!iterator_->status().ok()) return;
    if (!iterator_->Valid()) {
      iterator_->SeekToLast();
    } else if (to_view(iterator_->key()) != key) {
      iterator_->Prev();
    }
  }
  void next() override { iterator_->Next(); }
  bool valid() const override { return iterator_->Valid(); }
  std::string_view key() const override { return to_view(iterator_->key()); }
  std::string_view value() const override { return to_view(iterator_->value()); }
  absl::Status status() const override { return engine_.convert(iterator_->status(), "scan"); }

 private:
  LeveldbEngine& engine_;
  const std::unique_ptr<leveldb::Iterator> iterator_;
};

// Writes batches without syncing them; the last one syncs the newest WAL. The older WALs need no
// sync: each was replaced by a table file, synced, before the next batch was written.
class LeveldbLoader final : public KvLoader {
 public:
  explicit LeveldbLoader(LeveldbEngine* engine) : engine_(*engine), batch_(engine) {}

  absl::Status put(std::string_view key, std::string_view head, std::string_view tail) override {
    batch_.put(key, head, tail);
    if (batch_.raw()->ApproximateSize() < kLoadBatchBytes) return absl::OkStatus();
    const absl::Status status = engine_.write(batch_.raw(), false);
    batch_.clear();
    return status;
  }
  // The last write may have switched WALs, too: what the one before it holds is not synced, and
  // becomes durable as a table.
  absl::Status finish() override {
    QK_RETURN_IF_ERROR(engine_.write(batch_.raw(), true));
    while (engine_.pending_work() > 0) QK_RETURN_IF_ERROR(engine_.run_one());
    return absl::OkStatus();
  }

 private:
  LeveldbEngine& engine_;
  LeveldbBatch batch_;
};

LeveldbEngine::~LeveldbEngine() {
  if (db_ == nullptr) return;
  // Closing makes nothing durable: the jobs that LevelDB would wait for fail at their first change.
  env_.stop();
  while (env_.queued_jobs() > 0) env_.run_job();
  db_.reset();
}

absl::Status LeveldbEngine::open(bool create, const LeveldbOptions& given) {
  if (!create) {
    const std::optional<uint64_t> named = mark_ == nullptr ? std::nullopt : mark_->log();
    QK_RETURN_IF_ERROR(recover_logs(fs_, path_, named).status());
  }
  leveldb::Options options;
  options.env = &env_;
  options.info_log = &logger_;
  options.block_cache = cache_.get();
  options.create_if_missing = create;
  options.error_if_exists = create;
  options.paranoid_checks = true;
  options.compression = leveldb::kNoCompression;
  options.write_buffer_size = given.write_buffer_bytes;
  leveldb::DB* db = nullptr;
  const leveldb::Status status = leveldb::DB::Open(options, path_, &db);
  if (status.ok()) db_.reset(db);
  // LevelDB takes some errors of the file system for the absence of a file, and steps over others.
  if (!env_.error().ok()) {
    return annotate(env_.error(), cat(path_, ": open: ", status.ToString()));
  }
  return convert(status, "open");
}

absl::Status LeveldbEngine::convert(const leveldb::Status& status, std::string_view what) const {
  if (status.ok()) return absl::OkStatus();
  if (!status.IsCorruption() && !env_.error().ok()) {
    return annotate(env_.error(), cat(path_, ": ", what));
  }
  return absl::DataLossError(
      cat(path_, ": ", what, ": ", status.ToString(), ", read last: ", env_.last_read()));
}

std::unique_ptr<KvBatch> LeveldbEngine::new_batch() { return std::make_unique<LeveldbBatch>(this); }

absl::Status LeveldbEngine::write(leveldb::WriteBatch* batch, bool sync) {
  while (pending_work() > 0) QK_RETURN_IF_ERROR(run_one());
  QK_RETURN_IF_ERROR(failure_);
  leveldb::WriteOptions options;
  options.sync = sync;
  const leveldb::Status status = db_->Write(options, batch);
  if (!status.ok()) return fail(convert(status, "commit"));
  if (batch->ApproximateSize() > kEmptyBatchBytes) changed_wal_ = env_.newest_wal();
  if (!sync || mark_ == nullptr || !changed_wal_) return absl::OkStatus();
  if (const absl::Status named = mark_->name(changed_wal_); !named.ok()) return fail(named);
  return absl::OkStatus();
}

absl::Status LeveldbEngine::commit(KvBatch& batch) {
  return write(static_cast<LeveldbBatch&>(batch).raw(), true);
}

absl::StatusOr<bool> LeveldbEngine::get(std::string_view key, std::string* value) {
  const leveldb::Status status = db_->Get(read_options(true), to_slice(key), value);
  if (status.ok()) return true;
  if (status.IsNotFound()) return false;
  return convert(status, "get");
}

std::unique_ptr<KvCursor> LeveldbEngine::cursor() { return std::make_unique<LeveldbCursor>(this); }

absl::StatusOr<std::unique_ptr<KvLoader>> LeveldbEngine::load() {
  QK_RETURN_IF_ERROR(failure_);
  return std::make_unique<LeveldbLoader>(this);
}

// LevelDB reports a job's error with the next write only.
absl::Status LeveldbEngine::run_one() {
  QK_RETURN_IF_ERROR(failure_);
  if (env_.queued_jobs() == 0) return absl::OkStatus();
  const uint64_t before = env_.errors();
  env_.run_job();
  if (env_.errors() != before) {
    return fail(annotate(env_.error(), cat(path_, ": background job")));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<KvEngine>> open_leveldb_engine(FileSystem* fs,
                                                              const std::string& path, bool create,
                                                              const LeveldbOptions& options,
                                                              LogMark* mark) {
  auto engine = std::make_unique<LeveldbEngine>(fs, path, mark);
  QK_RETURN_IF_ERROR(engine->open(create, options));
  return engine;
}

}  // namespace qk::families
