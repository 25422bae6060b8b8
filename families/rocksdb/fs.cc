#include "families/rocksdb/fs.h"

#include <rocksdb/env.h>

#include <cstring>

#include "families/engine/recovery.h"
#include "families/fs/file_util.h"

namespace qk::families {
namespace {

using rocksdb::IOStatus;
using rocksdb::Slice;
using Options = RocksFileSystem::Options;
using Debug = RocksFileSystem::Debug;

std::string_view to_view(const Slice& slice) { return {slice.data(), slice.size()}; }

// RocksDB writes "db/" and "db//name" at times.
std::string normal(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c != '/' || !out.ends_with('/')) out += c;
  }
  if (out.size() > 1 && out.ends_with('/')) out.pop_back();
  return out;
}

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  SequentialFile(RocksFileSystem* fs, std::string path, std::unique_ptr<File> file)
      : fs_(*fs), path_(std::move(path)), file_(std::move(file)) {}

  IOStatus Read(size_t size, const Options&, Slice* result, char* scratch, Debug*) override {
    IOStatus status = fs_.read(*file_, path_, offset_, size, result, scratch);
    offset_ += result->size();
    return status;
  }

  IOStatus Skip(uint64_t size) override {
    offset_ += size;
    return IOStatus::OK();
  }

 private:
  RocksFileSystem& fs_;
  const std::string path_;
  const std::unique_ptr<File> file_;
  uint64_t offset_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  RandomAccessFile(RocksFileSystem* fs, std::string path, std::unique_ptr<File> file)
      : fs_(*fs), path_(std::move(path)), file_(std::move(file)) {}

  IOStatus Read(uint64_t offset, size_t size, const Options&, Slice* result, char* scratch,
                Debug*) const override {
    return fs_.read(*file_, path_, offset, size, result, scratch);
  }

 private:
  RocksFileSystem& fs_;
  const std::string path_;
  const std::unique_ptr<File> file_;
};

class WritableFile final : public rocksdb::FSWritableFile {
 public:
  WritableFile(RocksFileSystem* fs, std::unique_ptr<File> file, uint64_t size)
      : fs_(*fs), file_(std::move(file)), size_(size) {}

  using FSWritableFile::Append;
  IOStatus Append(const Slice& data, const Options&, Debug*) override {
    IOStatus status = fs_.to_io(file_->write_at(size_, to_view(data)));
    if (status.ok()) size_ += data.size();
    return status;
  }

  IOStatus Truncate(uint64_t size, const Options&, Debug*) override {
    // RocksDB trims what it may have preallocated; it never did.
    if (size == size_) return IOStatus::OK();
    IOStatus status = fs_.to_io(file_->truncate(size));
    if (status.ok()) size_ = size;
    return status;
  }

  IOStatus Close(const Options&, Debug*) override { return IOStatus::OK(); }
  IOStatus Flush(const Options&, Debug*) override { return IOStatus::OK(); }
  IOStatus Sync(const Options&, Debug*) override { return fs_.to_io(file_->sync(SyncKind::kData)); }
  IOStatus Fsync(const Options&, Debug*) override {
    return fs_.to_io(file_->sync(SyncKind::kFull));
  }
  uint64_t GetFileSize(const Options&, Debug*) override { return size_; }

 private:
  RocksFileSystem& fs_;
  const std::unique_ptr<File> file_;
  uint64_t size_;  // the end, where Append writes
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(RocksFileSystem* rocks, FileSystem* fs, std::string path)
      : rocks_(*rocks), fs_(*fs), path_(std::move(path)) {}

  IOStatus Fsync(const Options&, Debug*) override {
    return rocks_.to_io(fs_.sync_dir(path_, SyncKind::kFull));
  }
  IOStatus Close(const Options&, Debug*) override { return IOStatus::OK(); }

 private:
  RocksFileSystem& rocks_;
  FileSystem& fs_;
  const std::string path_;
};

class Lock final : public rocksdb::FileLock {
 public:
  explicit Lock(std::unique_ptr<families::FileLock> lock) : lock_(std::move(lock)) {}

 private:
  const std::unique_ptr<families::FileLock> lock_;
};

class NullLogger final : public rocksdb::Logger {
 public:
  NullLogger() : Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

}  // namespace

std::shared_ptr<rocksdb::Logger> null_rocksdb_logger() { return std::make_shared<NullLogger>(); }

IOStatus RocksFileSystem::to_io(const absl::Status& status) {
  if (status.ok()) return IOStatus::OK();
  const std::string message(to_std(status.message()));
  // RocksDB probes for files that need not be there.
  if (absl::IsNotFound(status)) return IOStatus::PathNotFound(message);
  last_error_ = status;
  ++errors_;
  return IOStatus::IOError(message);
}

IOStatus RocksFileSystem::read(File& file, const std::string& path, uint64_t offset, size_t size,
                               Slice* result, char* scratch) {
  last_read_ = path;
  if (kept_reads_) {
    const auto& kept = (*kept_reads_)[path];
    for (auto it = kept.upper_bound(offset); it != kept.begin();) {
      --it;
      const uint64_t skipped = offset - it->first;
      if (skipped + size > it->second.size()) continue;
      std::memcpy(scratch, it->second.data() + skipped, size);
      *result = Slice(scratch, size);
      return IOStatus::OK();
    }
  }
  const absl::StatusOr<size_t> got = file.read_at(offset, {scratch, size});
  *result = Slice(scratch, got.ok() ? *got : 0);
  if (kept_reads_ && got.ok()) (*kept_reads_)[path][offset] = std::string(scratch, *got);
  return to_io(got.status());
}

IOStatus RocksFileSystem::NewSequentialFile(const std::string& path, const rocksdb::FileOptions&,
                                            std::unique_ptr<rocksdb::FSSequentialFile>* out,
                                            Debug*) {
  absl::StatusOr<std::unique_ptr<File>> file = fs_->open(normal(path), {.read_only = true});
  if (!file.ok()) return to_io(file.status());
  *out = std::make_unique<SequentialFile>(this, path, std::move(*file));
  return IOStatus::OK();
}

IOStatus RocksFileSystem::NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions&,
                                              std::unique_ptr<rocksdb::FSRandomAccessFile>* out,
                                              Debug*) {
  absl::StatusOr<std::unique_ptr<File>> file = fs_->open(normal(path), {.read_only = true});
  if (!file.ok()) return to_io(file.status());
  *out = std::make_unique<RandomAccessFile>(this, path, std::move(*file));
  return IOStatus::OK();
}

IOStatus RocksFileSystem::open_writable(const std::string& path, bool truncate,
                                        std::unique_ptr<rocksdb::FSWritableFile>* out) {
  absl::StatusOr<std::unique_ptr<File>> file =
      fs_->open(normal(path), {.create = true, .truncate = truncate});
  if (!file.ok()) return to_io(file.status());
  uint64_t size = 0;
  if (!truncate) {
    const absl::StatusOr<uint64_t> found = (*file)->size();
    if (!found.ok()) return to_io(found.status());
    size = *found;
  }
  if (const std::optional<uint64_t> wal = wal_number(path); wal && truncate) newest_wal_ = wal;
  *out = std::make_unique<WritableFile>(this, std::move(*file), size);
  return IOStatus::OK();
}

IOStatus RocksFileSystem::NewWritableFile(const std::string& path, const rocksdb::FileOptions&,
                                          std::unique_ptr<rocksdb::FSWritableFile>* out, Debug*) {
  if (base_name(path).starts_with("OPTIONS-")) {
    return IOStatus::NotSupported("options come from the program");
  }
  return open_writable(path, true, out);
}

IOStatus RocksFileSystem::ReopenWritableFile(const std::string& path, const rocksdb::FileOptions&,
                                             std::unique_ptr<rocksdb::FSWritableFile>* out,
                                             Debug*) {
  return open_writable(path, false, out);
}

IOStatus RocksFileSystem::NewDirectory(const std::string& path, const Options&,
                                       std::unique_ptr<rocksdb::FSDirectory>* out, Debug*) {
  *out = std::make_unique<Directory>(this, fs_, normal(path));
  return IOStatus::OK();
}

IOStatus RocksFileSystem::FileExists(const std::string& path, const Options&, Debug*) {
  const absl::Status status = fs_->stat(normal(path)).status();
  return absl::IsNotFound(status) ? IOStatus::NotFound(path) : to_io(status);
}

IOStatus RocksFileSystem::GetChildren(const std::string& path, const Options&,
                                      std::vector<std::string>* out, Debug*) {
  absl::StatusOr<std::vector<std::string>> names = fs_->list(normal(path));
  if (names.ok()) *out = *std::move(names);
  return to_io(names.status());
}

IOStatus RocksFileSystem::DeleteFile(const std::string& path, const Options&, Debug*) {
  return to_io(fs_->unlink(normal(path)));
}

IOStatus RocksFileSystem::CreateDir(const std::string& path, const Options&, Debug*) {
  return to_io(fs_->mkdir(normal(path)));
}

IOStatus RocksFileSystem::CreateDirIfMissing(const std::string& path, const Options&, Debug*) {
  const absl::StatusOr<FileStat> stat = fs_->stat(normal(path));
  if (stat.ok() && stat->kind == FileKind::kDirectory) return IOStatus::OK();
  if (!stat.ok() && !absl::IsNotFound(stat.status())) return to_io(stat.status());
  return to_io(fs_->mkdir(normal(path)));
}

IOStatus RocksFileSystem::DeleteDir(const std::string& path, const Options&, Debug*) {
  return to_io(fs_->rmdir(normal(path)));
}

IOStatus RocksFileSystem::GetFileSize(const std::string& path, const Options&, uint64_t* out,
                                      Debug*) {
  const absl::StatusOr<FileStat> stat = fs_->stat(normal(path));
  if (stat.ok()) *out = stat->size;
  return to_io(stat.status());
}

// No file has a time, so nothing can depend on it.
IOStatus RocksFileSystem::GetFileModificationTime(const std::string& path, const Options&,
                                                  uint64_t* out, Debug*) {
  *out = 0;
  return to_io(fs_->stat(normal(path)).status());
}

IOStatus RocksFileSystem::RenameFile(const std::string& from, const std::string& to, const Options&,
                                     Debug*) {
  if (base_name(to) == "CURRENT") {
    // RocksDB syncs the directory after this rename only. A crash could keep it and drop the name
    // of the new MANIFEST.
    const absl::Status named = fs_->sync_dir(parent_path(normal(to)), SyncKind::kFull);
    if (!named.ok()) return to_io(named);
  }
  return to_io(fs_->rename(normal(from), normal(to)));
}

IOStatus RocksFileSystem::LinkFile(const std::string& existing, const std::string& name,
                                   const Options&, Debug*) {
  return to_io(fs_->link(normal(existing), normal(name)));
}

IOStatus RocksFileSystem::LockFile(const std::string& path, const Options&, rocksdb::FileLock** out,
                                   Debug*) {
  absl::StatusOr<std::unique_ptr<families::FileLock>> lock = fs_->lock(normal(path));
  *out = lock.ok() ? new Lock(*std::move(lock)) : nullptr;
  return to_io(lock.status());
}

IOStatus RocksFileSystem::UnlockFile(rocksdb::FileLock* lock, const Options&, Debug*) {
  delete lock;
  return IOStatus::OK();
}

IOStatus RocksFileSystem::GetTestDirectory(const Options&, std::string*, Debug*) {
  return IOStatus::NotSupported("no test directory");
}

IOStatus RocksFileSystem::NewLogger(const std::string&, const Options&,
                                    std::shared_ptr<rocksdb::Logger>* out, Debug*) {
  *out = null_rocksdb_logger();
  return IOStatus::OK();
}

IOStatus RocksFileSystem::GetAbsolutePath(const std::string& path, const Options&, std::string* out,
                                          Debug*) {
  *out = path;
  return IOStatus::OK();
}

IOStatus RocksFileSystem::GetFreeSpace(const std::string& path, const Options&, uint64_t* out,
                                       Debug*) {
  const absl::StatusOr<uint64_t> free = fs_->free_space(normal(path));
  if (free.ok()) *out = *free;
  return to_io(free.status());
}

IOStatus RocksFileSystem::IsDirectory(const std::string& path, const Options&, bool* out, Debug*) {
  const absl::StatusOr<FileStat> stat = fs_->stat(normal(path));
  if (stat.ok()) *out = stat->kind == FileKind::kDirectory;
  return to_io(stat.status());
}

}  // namespace qk::families
