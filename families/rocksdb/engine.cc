#include "families/rocksdb/engine.h"

#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "families/base/check.h"
#include "families/engine/recovery.h"
#include "families/fs/file_util.h"
#include "families/rocksdb/ids.h"
#include "families/rocksdb/interpose.h"
#include "families/rocksdb/loader.h"
#include "families/rocksdb/options.h"
#include "families/rocksdb/slice.h"

namespace qk::families {
namespace {

// At this multiple of flush_bytes a commit drains the queue first.
constexpr uint64_t kUndrainedLimit = 4;

// Every open begins a WAL. With more of them than this, a flush is due, which retires all.
constexpr size_t kMaxWals = 4;

// Keeps the first error of a background job, which RocksDB would report with a later write only.
class Listener final : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* error) override {
    if (error_.ok()) error_ = *error;
  }
  // Else a thread would wait for space and resume the database.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }
  const rocksdb::Status& error() const { return error_; }

 private:
  rocksdb::Status error_;
};

class RocksCursor final : public KvCursor {
 public:
  RocksCursor(const RocksEnv* env, const std::string* path,
              std::unique_ptr<rocksdb::Iterator> iterator)
      : env_(*env), path_(*path), iterator_(std::move(iterator)) {}

  void seek(std::string_view key) override { iterator_->Seek(to_slice(key)); }
  void seek_back(std::string_view key) override { iterator_->SeekForPrev(to_slice(key)); }
  void next() override { iterator_->Next(); }
  bool valid() const override { return iterator_->Valid(); }
  std::string_view key() const override { return to_view(iterator_->key()); }
  std::string_view value() const override { return to_view(iterator_->value()); }
  absl::Status status() const override {
    return from_rocksdb(iterator_->status(), env_.files(), cat(path_, ": scan"));
  }

 private:
  const RocksEnv& env_;
  const std::string& path_;
  const std::unique_ptr<rocksdb::Iterator> iterator_;
};

class RocksBatch;

class RocksEngine final : public KvEngine {
 public:
  RocksEngine(FileSystem* fs, std::string path, const RocksOptions& options, LogMark* mark)
      : path_(std::move(path)),
        options_(options),
        fs_(*fs),
        mark_(mark),
        env_(fs),
        listener_(std::make_shared<Listener>()) {}

  absl::Status open(bool create);

  std::unique_ptr<KvBatch> new_batch() override;
  absl::Status commit(KvBatch& batch) override;
  absl::StatusOr<bool> get(std::string_view key, std::string* value) override;
  std::unique_ptr<KvCursor> cursor() override;
  absl::StatusOr<std::unique_ptr<KvLoader>> load() override;
  size_t pending_work() const override;
  absl::Status run_one() override;

 private:
  absl::Status start(bool create);
  absl::Status remove_many(const std::vector<std::string>& wals);
  absl::Status open_database();
  absl::Status reopen();
  // Runs the queue empty.
  absl::Status drain();
  absl::Status start_flush();
  absl::Status write(rocksdb::WriteBatch* batch);
  bool flush_is_due() const { return unflushed_bytes_ >= options_.flush_bytes; }
  // Fail-stop.
  absl::Status fail(absl::Status status) {
    if (failure_.ok()) failure_ = status;
    return status;
  }
  absl::Status convert(const rocksdb::Status& status, std::string_view what) const {
    return from_rocksdb(status, env_.files(), cat(path_, ": ", what));
  }

  const std::string path_;
  const RocksOptions options_;
  FileSystem& fs_;
  LogMark* const mark_;  // may be null
  RocksEnv env_;         // outlives the database
  const std::shared_ptr<Listener> listener_;
  rocksdb::Options rocksdb_options_;
  std::unique_ptr<rocksdb::DB> db_;
  uint64_t unflushed_bytes_ = 0;
  absl::Status failure_;
};

class RocksBatch final : public KvBatch {
 public:
  explicit RocksBatch(RocksEngine* engine) : engine_(*engine) {}

  void clear() override { batch_.Clear(); }

  void put(std::string_view key, std::string_view head, std::string_view tail) override {
    const rocksdb::Slice key_part = to_slice(key);
    const rocksdb::Slice value_parts[] = {to_slice(head), to_slice(tail)};
    // Without limits of its own a batch cannot refuse.
    QK_CHECK(batch_.Put({&key_part, 1}, {value_parts, 2}).ok());
  }

  void remove(std::string_view key) override { QK_CHECK(batch_.Delete(to_slice(key)).ok()); }

  // One tombstone for each key. A range tombstone would be shorter, but every read would pay for
  // it.
  absl::Status remove_range(std::string_view begin, std::string_view end) override {
    const std::unique_ptr<KvCursor> cursor = engine_.cursor();
    for (cursor->seek(begin); cursor->valid() && cursor->key() < end; cursor->next()) {
      remove(cursor->key());
    }
    return cursor->status();
  }

  rocksdb::WriteBatch* raw() { return &batch_; }

 private:
  RocksEngine& engine_;
  rocksdb::WriteBatch batch_;
};

absl::Status RocksEngine::open(bool create) {
  const InterposedCalls before = interposed_calls();
  QK_RETURN_IF_ERROR(start(create));
  // Once is enough for the threads: they do not end.
  static bool threads_counted = false;
  const bool count = rocksdb_in_simulated_run() && !threads_counted;
  const absl::Status effective =
      check_interposed(before, interposed_calls(), count ? count_threads() : 0);
  threads_counted |= count;
  if (!effective.ok()) {
    // A program that was built wrongly; nothing that it does is what it claims.
    std::fprintf(stderr, "%s\n", effective.ToString().c_str());
    std::abort();
  }
  return absl::OkStatus();
}

absl::Status RocksEngine::start(bool create) {
  rocksdb_options_ = make_rocksdb_options(options_, &env_);
  rocksdb_options_.listeners = {listener_};
  rocksdb_options_.create_if_missing = create;
  rocksdb_options_.error_if_exists = create;
  if (create) {
    QK_RETURN_IF_ERROR(make_directories(fs_, path_));
  } else {
    const std::optional<uint64_t> named = mark_ == nullptr ? std::nullopt : mark_->log();
    QK_ASSIGN_OR_RETURN(const RecoveredLogs recovered, recover_logs(fs_, path_, named));
    QK_RETURN_IF_ERROR(remove_many(recovered.obsolete_wals));
    unflushed_bytes_ = recovered.wal_bytes;
    if (recovered.wals > kMaxWals && recovered.wal_bytes > 0) {
      unflushed_bytes_ = std::max(unflushed_bytes_, options_.flush_bytes);
    }
  }
  return open_database();
}

// RocksDB removes WALs at the first open after a flush. Without a commit there is no flush, and
// each open would leave one more, to be looked into by the next.
absl::Status RocksEngine::remove_many(const std::vector<std::string>& wals) {
  if (wals.size() <= kMaxWals) return absl::OkStatus();
  for (const std::string& wal : wals) QK_RETURN_IF_ERROR(fs_.unlink(wal));
  return absl::OkStatus();
}

absl::Status RocksEngine::open_database() {
  rocksdb::DB* db = nullptr;
  const uint64_t before = env_.files().errors();
  const rocksdb::Status status = rocksdb::DB::Open(rocksdb_options_, path_, &db);
  if (status.ok()) db_.reset(db);
  // Of some errors of the file system RocksDB makes damage, or an illegal option; others it steps
  // over.
  if (env_.files().errors() != before) {
    return fail(annotate(env_.files().last_error(), cat(path_, ": open: ", status.ToString())));
  }
  return status.ok() ? absl::OkStatus() : fail(convert(status, "open"));
}

// Begins a new MANIFEST. In the old one the edit of a load is the last, where rot looks like a torn
// tail; nothing else would tell that the loaded rows are missing.
absl::Status RocksEngine::reopen() {
  rocksdb_options_.create_if_missing = false;
  rocksdb_options_.error_if_exists = false;
  db_.reset();
  return open_database();
}

std::unique_ptr<KvBatch> RocksEngine::new_batch() { return std::make_unique<RocksBatch>(this); }

absl::Status RocksEngine::write(rocksdb::WriteBatch* batch) {
  rocksdb::WriteOptions options;
  options.sync = true;
  options.no_slowdown = true;  // a stall would wait for the queue, which waits for us
  rocksdb::Status status = db_->Write(options, batch);
  while (status.IsIncomplete() && env_.queued_jobs() > 0) {
    QK_RETURN_IF_ERROR(drain());
    status = db_->Write(options, batch);
  }
  if (!status.ok()) return fail(convert(status, "commit"));
  if (mark_ == nullptr || batch->Count() == 0) return absl::OkStatus();
  // The batch lies in the newest log, and may be the first one there.
  if (const absl::Status named = mark_->name(env_.files().newest_wal()); !named.ok()) {
    return fail(named);
  }
  return absl::OkStatus();
}

absl::Status RocksEngine::commit(KvBatch& batch) {
  QK_RETURN_IF_ERROR(failure_);
  rocksdb::WriteBatch* raw = static_cast<RocksBatch&>(batch).raw();
  if (raw->Count() == 0) return absl::OkStatus();
  if (unflushed_bytes_ >= kUndrainedLimit * options_.flush_bytes) QK_RETURN_IF_ERROR(drain());
  QK_RETURN_IF_ERROR(write(raw));
  unflushed_bytes_ += raw->GetDataSize();
  return absl::OkStatus();
}

absl::StatusOr<bool> RocksEngine::get(std::string_view key, std::string* value) {
  if (db_ == nullptr) return failure_;
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), to_slice(key), value);
  if (status.IsNotFound()) return false;
  if (!status.ok()) return convert(status, "get");
  return true;
}

std::unique_ptr<KvCursor> RocksEngine::cursor() {
  return std::make_unique<RocksCursor>(
      &env_, &path_, std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(rocksdb::ReadOptions())));
}

absl::StatusOr<std::unique_ptr<KvLoader>> RocksEngine::load() {
  QK_RETURN_IF_ERROR(failure_);
  return make_rocks_loader(db_.get(), rocksdb_options_, &env_, path_, [this] { return reopen(); });
}

size_t RocksEngine::pending_work() const {
  if (!failure_.ok()) return 0;
  return env_.queued_jobs() + (flush_is_due() ? 1 : 0);
}

// Switches to a new WAL and memtable, and queues the job that writes the old memtable.
absl::Status RocksEngine::start_flush() {
  rocksdb::FlushOptions options;
  options.wait = false;
  options.allow_write_stall = true;
  const rocksdb::Status status = db_->Flush(options);
  if (!status.ok()) return fail(convert(status, "flush"));
  unflushed_bytes_ = 0;
  // A first record in the new WAL says how far the older ones went (recovery.h).
  rocksdb::WriteBatch nothing;
  return write(&nothing);
}

absl::Status RocksEngine::run_one() {
  QK_RETURN_IF_ERROR(failure_);
  if (env_.queued_jobs() > 0) {
    env_.run_job();
    if (!listener_->error().ok()) return fail(convert(listener_->error(), "background job"));
    return absl::OkStatus();
  }
  return flush_is_due() ? start_flush() : absl::OkStatus();
}

absl::Status RocksEngine::drain() {
  while (pending_work() > 0) QK_RETURN_IF_ERROR(run_one());
  return failure_;
}

}  // namespace

absl::StatusOr<std::unique_ptr<KvEngine>> open_rocks_engine(FileSystem* fs, const std::string& path,
                                                            bool create,
                                                            const RocksOptions& options,
                                                            LogMark* mark) {
  auto engine = std::make_unique<RocksEngine>(fs, path, options, mark);
  QK_RETURN_IF_ERROR(engine->open(create));
  return engine;
}

}  // namespace qk::families
