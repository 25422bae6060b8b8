// The raw engine below `rocksdb`: RocksDB's own interface, its environment and its threads, with
// the settings that the family uses by default, as far as they shape the data and the promises.
#include <rocksdb/db.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <chrono>
#include <thread>
#include <vector>

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/strings.h"
#include "families/bench/raw_engine.h"

namespace qk::families::bench {
namespace {

constexpr size_t kHead = 8 + 1;  // term, type
constexpr uint64_t kFlushBytes = 1 << 20;
constexpr uint64_t kTableFileBytes = 64 << 20;

void require(const rocksdb::Status& status) { QK_CHECK(status.ok()); }

// A key or a head, which needs no memory of its own on the heap.
std::string key_of(int64_t index) {
  std::string key;
  put_be64(&key, static_cast<uint64_t>(index));
  return key;
}
std::string head_of(const LogEntry& entry) {
  std::string head;
  put_le64(&head, static_cast<uint64_t>(entry.term));
  put_u8(&head, static_cast<uint8_t>(entry.type));
  return head;
}

int64_t index_of(const rocksdb::Slice& key) {
  return static_cast<int64_t>(uint64_t{get_be32(key.data())} << 32 | get_be32(key.data() + 4));
}

rocksdb::Options make_options() {
  rocksdb::Options o;
  o.create_if_missing = true;
  o.compression = rocksdb::kNoCompression;
  o.bottommost_compression = rocksdb::kNoCompression;
  o.avoid_flush_during_shutdown = true;
  o.avoid_flush_during_recovery = true;
  o.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;
  o.paranoid_checks = true;
  o.verify_sst_unique_id_in_manifest = true;
  o.skip_stats_update_on_db_open = true;
  o.allow_fallocate = false;

  o.write_buffer_size = kFlushBytes;
  o.max_write_buffer_number = 4;
  o.num_levels = 3;
  o.level0_file_num_compaction_trigger = 4;
  o.max_bytes_for_level_base = 8 * kFlushBytes;
  o.target_file_size_base = 4 * kFlushBytes;

  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;
  table.block_size = 16 << 10;
  o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return o;
}

class Rocksdb final : public RawEngine {
 public:
  explicit Rocksdb(const std::string& path) : path_(path), options_(make_options()) {
    rocksdb::DB* db = nullptr;
    require(rocksdb::DB::Open(options_, path_, &db));
    db_.reset(db);
  }
  ~Rocksdb() override {
    settle();
    require(db_->Close());
  }

  void find_entries() override {
    const auto iterator = begin_scan();
    iterator->SeekToFirst();
    if (iterator->Valid()) iterator->SeekToLast();
    require(iterator->status());
  }

  void append(std::span<const LogEntry> entries) override {
    rocksdb::WriteBatch batch;
    for (const LogEntry& entry : entries) {
      const std::string key = key_of(entry.index);
      const std::string head = head_of(entry);
      const rocksdb::Slice key_part(key);
      const rocksdb::Slice value_parts[] = {head, entry.payload};
      require(batch.Put({&key_part, 1}, {value_parts, 2}));
    }
    require(db_->Write(synced(), &batch));
  }

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
    require(db_->Get(rocksdb::ReadOptions(), key_of(index), &value_));
    return value_.size() - kHead;
  }

  void drop_below(int64_t first_kept) override {
    require(db_->DeleteRange(synced(), db_->DefaultColumnFamily(), "", key_of(first_kept)));
  }
  void drop_above(int64_t last_kept) override {
    // Above every key.
    const std::string end(9, '\xff');
    require(db_->DeleteRange(synced(), db_->DefaultColumnFamily(), key_of(last_kept + 1), end));
  }

  void begin_load() override { files_.clear(); }
  void load(std::span<const LogEntry> entries) override {
    for (const LogEntry& entry : entries) {
      if (writer_ == nullptr) {
        files_.push_back(cat(path_, "/load-", files_.size(), ".sst"));
        writer_ = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), options_);
        require(writer_->Open(files_.back()));
      }
      value_ = head_of(entry);
      value_ += entry.payload;
      require(writer_->Put(key_of(entry.index), value_));
      if (writer_->FileSize() >= kTableFileBytes) end_file();
    }
  }
  void end_load() override {
    if (writer_ != nullptr) end_file();
    rocksdb::IngestExternalFileOptions options;
    options.move_files = true;
    require(db_->IngestExternalFile(files_, options));
  }

  // Its threads say no more than what they are at.
  void settle() override {
    while (busy()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

 private:
  static rocksdb::WriteOptions synced() {
    rocksdb::WriteOptions options;
    options.sync = true;
    return options;
  }

  std::unique_ptr<rocksdb::Iterator> begin_scan() {
    return std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(rocksdb::ReadOptions()));
  }

  void end_file() {
    require(writer_->Finish());
    writer_.reset();
  }

  bool busy() {
    using Properties = rocksdb::DB::Properties;
    for (const std::string& name :
         {Properties::kMemTableFlushPending, Properties::kNumRunningFlushes,
          Properties::kCompactionPending, Properties::kNumRunningCompactions}) {
      uint64_t count = 0;
      QK_CHECK(db_->GetIntProperty(name, &count));
      if (count > 0) return true;
    }
    return false;
  }

  const std::string path_;
  const rocksdb::Options options_;
  std::unique_ptr<rocksdb::DB> db_;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;  // of files_.back()
  std::vector<std::string> files_;
  std::string value_;
};

}  // namespace

std::unique_ptr<RawEngine> open_rocksdb(const std::string& path) {
  return std::make_unique<Rocksdb>(path);
}

}  // namespace qk::families::bench
