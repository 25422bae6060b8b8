#include "families/leveldb/env.h"

#include "families/base/check.h"
#include "families/engine/recovery.h"
#include "families/fs/file_util.h"
#include "families/leveldb/slice.h"

namespace qk::families {
namespace {

// A table file is written in blocks of this order; larger buffers save nothing.
constexpr size_t kBufferBytes = 64 << 10;

// Of a table file LevelDB would take NotFound for the answer to the key that it looks up.
leveldb::Status missing(const std::string& path) {
  return leveldb::Status::Corruption(path, "is missing");
}

}  // namespace

class LeveldbEnv::Reader final : public leveldb::SequentialFile {
 public:
  Reader(LeveldbEnv* env, std::string path, std::unique_ptr<File> file)
      : env_(*env), path_(std::move(path)), file_(std::move(file)) {}

  leveldb::Status Read(size_t n, leveldb::Slice* result, char* scratch) override {
    env_.last_read_ = path_;
    const absl::StatusOr<size_t> got = file_->read_at(offset_, {scratch, n});
    if (!got.ok()) return env_.convert(got.status());
    offset_ += *got;
    *result = leveldb::Slice(scratch, *got);
    return leveldb::Status::OK();
  }
  leveldb::Status Skip(uint64_t n) override {
    offset_ += n;
    return leveldb::Status::OK();
  }

 private:
  LeveldbEnv& env_;
  const std::string path_;
  const std::unique_ptr<File> file_;
  uint64_t offset_ = 0;
};

class LeveldbEnv::RandomReader final : public leveldb::RandomAccessFile {
 public:
  RandomReader(LeveldbEnv* env, std::string path, std::unique_ptr<File> file)
      : env_(*env), path_(std::move(path)) {
    if (env_.held_tables_ == kHeldTables) return;
    ++env_.held_tables_;
    file_ = std::move(file);
  }
  ~RandomReader() override {
    if (file_ != nullptr) --env_.held_tables_;
  }

  leveldb::Status Read(uint64_t offset, size_t n, leveldb::Slice* result,
                       char* scratch) const override {
    env_.last_read_ = path_;
    std::unique_ptr<File> opened;
    if (file_ == nullptr) {
      absl::StatusOr<std::unique_ptr<File>> file = env_.open_table(path_);
      if (absl::IsNotFound(file.status())) return missing(path_);
      if (!file.ok()) return env_.convert(file.status());
      opened = std::move(*file);
    }
    const absl::StatusOr<size_t> got =
        (file_ != nullptr ? *file_ : *opened).read_at(offset, {scratch, n});
    if (!got.ok()) return env_.convert(got.status());
    *result = leveldb::Slice(scratch, *got);
    return leveldb::Status::OK();
  }

 private:
  LeveldbEnv& env_;
  const std::string path_;
  std::unique_ptr<File> file_;  // null: opened for each read
};

class LeveldbEnv::Writer final : public leveldb::WritableFile {
 public:
  Writer(LeveldbEnv* env, std::string path, std::unique_ptr<File> file)
      : env_(*env), path_(std::move(path)), file_(std::move(file)) {}

  leveldb::Status Append(const leveldb::Slice& data) override {
    buffer_ += to_view(data);
    return buffer_.size() < kBufferBytes ? leveldb::Status::OK() : Flush();
  }
  leveldb::Status Close() override {
    leveldb::Status status = Flush();
    file_.reset();
    return status;
  }
  leveldb::Status Flush() override { return env_.convert_change(flush()); }
  leveldb::Status Sync() override { return env_.convert_change(sync()); }

 private:
  absl::Status flush() {
    if (buffer_.empty()) return absl::OkStatus();
    QK_RETURN_IF_ERROR(env_.changeable(path_));
    QK_RETURN_IF_ERROR(file_->write_at(offset_, buffer_));
    offset_ += buffer_.size();
    buffer_.clear();
    return absl::OkStatus();
  }
  absl::Status sync() {
    QK_RETURN_IF_ERROR(flush());
    QK_RETURN_IF_ERROR(env_.changeable(path_));
    QK_RETURN_IF_ERROR(file_->sync(SyncKind::kData));
    if (name_is_durable_) return absl::OkStatus();
    QK_RETURN_IF_ERROR(env_.fs_.sync_dir(parent_path(path_), SyncKind::kFull));
    name_is_durable_ = true;
    return absl::OkStatus();
  }

  LeveldbEnv& env_;
  const std::string path_;
  std::unique_ptr<File> file_;
  uint64_t offset_ = 0;  // of the file's end
  std::string buffer_;
  bool name_is_durable_ = false;
};

class LeveldbEnv::Lock final : public leveldb::FileLock {
 public:
  explicit Lock(std::unique_ptr<families::FileLock> lock) : lock_(std::move(lock)) {}

 private:
  const std::unique_ptr<families::FileLock> lock_;
};

void LeveldbEnv::run_job() {
  QK_CHECK(!jobs_.empty());
  const Job job = jobs_.front();
  jobs_.pop_front();
  job.function(job.argument);
}

void LeveldbEnv::stop() { stopped_ = true; }

leveldb::Status LeveldbEnv::convert(const absl::Status& status) {
  if (status.ok()) return leveldb::Status::OK();
  const std::string message(to_std(status.message()));
  if (absl::IsNotFound(status)) return leveldb::Status::NotFound(message);
  if (!absl::IsCancelled(status) || error_.ok()) {
    error_ = status;
    ++errors_;
  }
  return leveldb::Status::IOError(message);
}

leveldb::Status LeveldbEnv::convert_change(const absl::Status& status) {
  if (!status.ok()) stop();
  return convert(status);
}

absl::Status LeveldbEnv::changeable(const std::string& path) const {
  if (!stopped_) return absl::OkStatus();
  return absl::CancelledError(cat(path, ": the database is being closed"));
}

leveldb::Status LeveldbEnv::NewSequentialFile(const std::string& path,
                                              leveldb::SequentialFile** result) {
  *result = nullptr;
  OpenFlags flags;
  flags.read_only = true;
  absl::StatusOr<std::unique_ptr<File>> file = fs_.open(path, flags);
  if (!file.ok()) return convert(file.status());
  *result = new Reader(this, path, std::move(*file));
  return leveldb::Status::OK();
}

absl::StatusOr<std::unique_ptr<File>> LeveldbEnv::open_table(const std::string& path) {
  return fs_.open(path, {.read_only = true});
}

leveldb::Status LeveldbEnv::NewRandomAccessFile(const std::string& path,
                                                leveldb::RandomAccessFile** result) {
  *result = nullptr;
  absl::StatusOr<std::unique_ptr<File>> file = open_table(path);
  if (absl::IsNotFound(file.status())) return missing(path);
  if (!file.ok()) return convert(file.status());
  *result = new RandomReader(this, path, std::move(*file));
  return leveldb::Status::OK();
}

leveldb::Status LeveldbEnv::NewWritableFile(const std::string& path,
                                            leveldb::WritableFile** result) {
  *result = nullptr;
  if (const absl::Status status = changeable(path); !status.ok()) return convert(status);
  OpenFlags flags;
  flags.create = flags.truncate = true;
  absl::StatusOr<std::unique_ptr<File>> file = fs_.open(path, flags);
  if (!file.ok()) return convert_change(file.status());
  if (const std::optional<uint64_t> wal = wal_number(path)) newest_wal_ = wal;
  *result = new Writer(this, path, std::move(*file));
  return leveldb::Status::OK();
}

// An error reads as absent, and is kept.
bool LeveldbEnv::FileExists(const std::string& path) {
  return convert(fs_.stat(path).status()).ok();
}

leveldb::Status LeveldbEnv::GetChildren(const std::string& path, std::vector<std::string>* result) {
  result->clear();
  absl::StatusOr<std::vector<std::string>> names = fs_.list(path);
  if (!names.ok()) return convert(names.status());
  *result = std::move(*names);
  return leveldb::Status::OK();
}

// A file that stays is removed by a later open, so its error is nobody's.
leveldb::Status LeveldbEnv::RemoveFile(const std::string& path) {
  absl::Status status = changeable(path);
  if (status.ok()) status = fs_.unlink(path);
  if (status.ok()) return leveldb::Status::OK();
  return leveldb::Status::IOError(to_slice(to_std(status.message())));
}

// The directory exists already; LevelDB asks, and ignores the answer.
leveldb::Status LeveldbEnv::CreateDir(const std::string& path) {
  return leveldb::Status::NotSupported(path);
}
leveldb::Status LeveldbEnv::RemoveDir(const std::string& path) {
  return leveldb::Status::NotSupported(path);
}

leveldb::Status LeveldbEnv::GetFileSize(const std::string& path, uint64_t* size) {
  *size = 0;
  const absl::StatusOr<FileStat> stat = fs_.stat(path);
  if (!stat.ok()) return convert(stat.status());
  *size = stat->size;
  return leveldb::Status::OK();
}

leveldb::Status LeveldbEnv::RenameFile(const std::string& from, const std::string& to) {
  absl::Status status = changeable(from);
  if (status.ok()) status = fs_.rename(from, to);
  if (status.ok()) status = fs_.sync_dir(parent_path(to), SyncKind::kFull);
  return convert_change(status);
}

leveldb::Status LeveldbEnv::LockFile(const std::string& path, leveldb::FileLock** lock) {
  *lock = nullptr;
  absl::StatusOr<std::unique_ptr<families::FileLock>> held = fs_.lock(path);
  if (!held.ok()) return convert(held.status());
  *lock = new Lock(std::move(*held));
  return leveldb::Status::OK();
}

leveldb::Status LeveldbEnv::UnlockFile(leveldb::FileLock* lock) {
  delete lock;
  return leveldb::Status::OK();
}

void LeveldbEnv::Schedule(void (*function)(void*), void* argument) {
  jobs_.push_back({function, argument});
}
void LeveldbEnv::StartThread(void (*function)(void*), void* argument) {
  Schedule(function, argument);
}

leveldb::Status LeveldbEnv::GetTestDirectory(std::string*) {
  return leveldb::Status::NotSupported("no test directory");
}

leveldb::Status LeveldbEnv::NewLogger(const std::string&, leveldb::Logger** result) {
  *result = new NullLogger;
  return leveldb::Status::OK();
}

}  // namespace qk::families
