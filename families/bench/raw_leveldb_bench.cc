// The raw engine below `leveldb`: LevelDB's own interface, its environment and its thread, with the
// settings that the family uses by default.
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/env.h>
#include <leveldb/write_batch.h>

#include <condition_variable>
#include <mutex>

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/bench/raw_engine.h"

namespace qk::families::bench {
namespace {

constexpr size_t kHead = 8 + 1;  // term, type

void require(const leveldb::Status& status) { QK_CHECK(status.ok()); }

std::string key_of(int64_t index) {
  std::string key;
  put_be64(&key, static_cast<uint64_t>(index));
  return key;
}

int64_t index_of(const leveldb::Slice& key) {
  return static_cast<int64_t>(uint64_t{get_be32(key.data())} << 32 | get_be32(key.data() + 4));
}

// The stock environment. Counts the jobs that LevelDB has given to its thread, because nothing else
// says when that is idle; a job that makes another one does so before it ends.
class CountingEnv final : public leveldb::EnvWrapper {
 public:
  CountingEnv() : EnvWrapper(leveldb::Env::Default()) {}

  void Schedule(void (*function)(void*), void* argument) override {
    {
      const std::lock_guard lock(mutex_);
      ++jobs_;
    }
    target()->Schedule(&CountingEnv::run, new Job{this, function, argument});
  }

  void wait_until_idle() {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [&] { return jobs_ == 0; });
  }

 private:
  struct Job {
    CountingEnv* env;
    void (*function)(void*);
    void* argument;
  };
  static void run(void* argument) {
    const std::unique_ptr<Job> job(static_cast<Job*>(argument));
    job->function(job->argument);
    const std::lock_guard lock(job->env->mutex_);
    if (--job->env->jobs_ == 0) job->env->idle_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable idle_;
  int jobs_ = 0;
};

class Leveldb final : public RawEngine {
 public:
  explicit Leveldb(const std::string& path) : cache_(leveldb::NewLRUCache(256 << 10)) {
    leveldb::Options options;
    options.env = &env_;
    options.create_if_missing = true;
    options.paranoid_checks = true;
    options.compression = leveldb::kNoCompression;
    options.write_buffer_size = 1 << 20;
    options.block_cache = cache_.get();
    leveldb::DB* db = nullptr;
    require(leveldb::DB::Open(options, path, &db));
    db_.reset(db);
  }
  ~Leveldb() override {
    settle();
    db_.reset();
  }

  void find_entries() override {
    const auto iterator = begin_scan();
    iterator->SeekToFirst();
    if (iterator->Valid()) iterator->SeekToLast();
    require(iterator->status());
  }

  void append(std::span<const LogEntry> entries) override { write(entries, true); }

  uint64_t scan(int64_t to) override {
    uint64_t total = 0;
    const auto iterator = begin_scan();
    for (iterator->SeekToFirst(); iterator->Valid() && index_of(iterator->key()) <= to;
         iterator->Next()) {
      total += iterator->value().size() - kHead;
    }
    require(iterator->status());
    return total;
  }

  uint64_t read(int64_t index) override {
    leveldb::ReadOptions options;
    options.verify_checksums = true;
    require(db_->Get(options, key_of(index), &value_));
    return value_.size() - kHead;
  }

  void drop_below(int64_t first_kept) override {
    const auto iterator = begin_scan();
    leveldb::WriteBatch batch;
    for (iterator->SeekToFirst(); iterator->Valid() && index_of(iterator->key()) < first_kept;
         iterator->Next()) {
      batch.Delete(iterator->key());
    }
    require(iterator->status());
    commit(&batch, true);
  }
  void drop_above(int64_t last_kept) override {
    const auto iterator = begin_scan();
    leveldb::WriteBatch batch;
    for (iterator->Seek(key_of(last_kept + 1)); iterator->Valid(); iterator->Next()) {
      batch.Delete(iterator->key());
    }
    require(iterator->status());
    commit(&batch, true);
  }

  // LevelDB has no other way in than batches; the last sync covers all, since a log file is removed
  // only after the table made from it was synced.
  void begin_load() override {}
  void load(std::span<const LogEntry> entries) override { write(entries, false); }
  void end_load() override {
    leveldb::WriteBatch nothing;
    commit(&nothing, true);
  }

  void settle() override { env_.wait_until_idle(); }

 private:
  std::unique_ptr<leveldb::Iterator> begin_scan() {
    leveldb::ReadOptions options;
    options.verify_checksums = true;
    options.fill_cache = false;
    return std::unique_ptr<leveldb::Iterator>(db_->NewIterator(options));
  }

  void write(std::span<const LogEntry> entries, bool sync) {
    leveldb::WriteBatch batch;
    for (const LogEntry& entry : entries) {
      value_.clear();
      put_le64(&value_, static_cast<uint64_t>(entry.term));
      put_u8(&value_, static_cast<uint8_t>(entry.type));
      value_ += entry.payload;
      batch.Put(key_of(entry.index), value_);
    }
    commit(&batch, sync);
  }

  void commit(leveldb::WriteBatch* batch, bool sync) {
    leveldb::WriteOptions options;
    options.sync = sync;
    require(db_->Write(options, batch));
  }

  // In this order: the database ends before what it uses.
  CountingEnv env_;
  const std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<leveldb::DB> db_;
  std::string value_;
};

}  // namespace

std::unique_ptr<RawEngine> open_leveldb(const std::string& path) {
  return std::make_unique<Leveldb>(path);
}

}  // namespace qk::families::bench
