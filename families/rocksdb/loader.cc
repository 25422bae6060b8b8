#include "families/rocksdb/loader.h"

#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>

#include <vector>

#include "families/fs/file_util.h"
#include "families/rocksdb/slice.h"

namespace qk::families {
namespace {

constexpr uint64_t kTableFileBytes = 64 << 20;

class RocksLoader final : public KvLoader {
 public:
  RocksLoader(rocksdb::DB* db, const rocksdb::Options& options, RocksEnv* env, std::string path,
              std::function<absl::Status()> loaded)
      : db_(*db),
        options_(options),
        env_(*env),
        path_(std::move(path)),
        loaded_(std::move(loaded)) {}

  absl::Status put(std::string_view key, std::string_view head, std::string_view tail) override {
    if (writer_ == nullptr) QK_RETURN_IF_ERROR(begin_file());
    value_.assign(head).append(tail);
    QK_RETURN_IF_ERROR(convert(writer_->Put(to_slice(key), value_), "load"));
    return writer_->FileSize() >= kTableFileBytes ? end_file() : absl::OkStatus();
  }

  absl::Status finish() override {
    if (writer_ != nullptr) QK_RETURN_IF_ERROR(end_file());
    if (files_.empty()) return absl::OkStatus();
    rocksdb::IngestExternalFileOptions options;
    options.move_files = true;
    options.failed_move_fall_back_to_copy = false;
    options.allow_blocking_flush = false;  // nothing overlaps, and no thread could run the flush
    env_.files().begin_keeping_reads();
    const absl::Status ingested = ingest(options);
    env_.files().end_keeping_reads();
    QK_RETURN_IF_ERROR(ingested);
    return loaded_();
  }

 private:
  // The first and the last key of each file are read beforehand: IngestExternalFile() asks for them
  // without a look at whether they could be read, and an error would end the process.
  absl::Status ingest(const rocksdb::IngestExternalFileOptions& options) {
    for (const std::string& file : files_) {
      rocksdb::SstFileReader reader(options_);
      QK_RETURN_IF_ERROR(convert(reader.Open(file), "finish a load"));
      const std::unique_ptr<rocksdb::Iterator> keys(reader.NewIterator(rocksdb::ReadOptions()));
      keys->SeekToFirst();
      QK_RETURN_IF_ERROR(convert(keys->status(), "finish a load"));
      keys->SeekToLast();
      QK_RETURN_IF_ERROR(convert(keys->status(), "finish a load"));
    }
    return convert(db_.IngestExternalFile(files_, options), "finish a load");
  }

  absl::Status begin_file() {
    // Not a name of RocksDB's own, or it would remove the file as obsolete.
    files_.push_back(join_path(path_, cat("load-", files_.size() + 1, ".sst")));
    writer_ = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), options_);
    return convert(writer_->Open(files_.back()), "load");
  }

  absl::Status end_file() {
    const rocksdb::Status status = writer_->Finish();
    writer_.reset();
    return convert(status, "load");
  }

  absl::Status convert(const rocksdb::Status& status, std::string_view what) const {
    if (status.ok()) return absl::OkStatus();  // of each row: without making the message
    return from_rocksdb(status, env_.files(), cat(path_, ": ", what));
  }

  rocksdb::DB& db_;
  const rocksdb::Options& options_;
  RocksEnv& env_;
  const std::string path_;
  const std::function<absl::Status()> loaded_;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;  // of files_.back()
  std::vector<std::string> files_;
  std::string value_;
};

}  // namespace

std::unique_ptr<KvLoader> make_rocks_loader(rocksdb::DB* db, const rocksdb::Options& options,
                                            RocksEnv* env, const std::string& path,
                                            std::function<absl::Status()> loaded) {
  return std::make_unique<RocksLoader>(db, options, env, path, std::move(loaded));
}

}  // namespace qk::families
