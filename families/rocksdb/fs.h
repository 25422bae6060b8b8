// RocksFileSystem: RocksDB's file system interface over ours.
//
// Durability is that of FileSystem: Sync is fdatasync, Fsync is fsync, and a directory's Fsync
// makes its names durable. Close promises nothing. The names of a directory are made durable before
// CURRENT is replaced in it, which RocksDB itself leaves to the order of a journal.
//
// Errors. A missing file is PathNotFound, everything else a plain IOError that is never retryable
// and never "no space": for those RocksDB would start a thread that resumes the database without
// our back. The status that caused the latest IOError is kept, so that its code and errno are not
// lost.
//
// Writing OPTIONS files is refused, which RocksDB allows by default: they take two thirds of the
// time of an open, and every option comes from our code. What RocksDB never calls with our options
// answers NotSupported.
#pragma once

#include <rocksdb/file_system.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "families/fs/file_system.h"

namespace qk::families {

class RocksFileSystem final : public rocksdb::FileSystem {
 public:
  // `fs` must outlive this.
  explicit RocksFileSystem(families::FileSystem* fs) : fs_(fs) {}

  // The cause of the latest IOError, or OK.
  const absl::Status& last_error() const { return last_error_; }
  // How many there were: one that is past says nothing about the next call.
  uint64_t errors() const { return errors_; }

  // The number of the write-ahead log that was made last.
  std::optional<uint64_t> newest_wal() const { return newest_wal_; }

  // The file that was read last. RocksDB names a file with most damage, but not always the right
  // one; on one thread it finds damage in what it has just read.
  const std::string& last_read() const { return last_read_; }

  // From begin to end, what is read from random access files is kept, and read again from memory:
  // for code of RocksDB that takes for granted what an earlier read of it has shown.
  void begin_keeping_reads() { kept_reads_.emplace(); }
  void end_keeping_reads() { kept_reads_.reset(); }

  rocksdb::IOStatus to_io(const absl::Status& status);
  // One read of `file`, whose path is `path`.
  rocksdb::IOStatus read(families::File& file, const std::string& path, uint64_t offset,
                         size_t size, rocksdb::Slice* result, char* scratch);

  const char* Name() const override { return "qksim"; }

  using Options = rocksdb::IOOptions;
  using Debug = rocksdb::IODebugContext;
  rocksdb::IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions&,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* out,
                                      Debug*) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions&,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* out,
                                        Debug*) override;
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions&,
                                    std::unique_ptr<rocksdb::FSWritableFile>* out, Debug*) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions&,
                                       std::unique_ptr<rocksdb::FSWritableFile>* out,
                                       Debug*) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const Options&,
                                 std::unique_ptr<rocksdb::FSDirectory>* out, Debug*) override;
  rocksdb::IOStatus FileExists(const std::string& path, const Options&, Debug*) override;
  rocksdb::IOStatus GetChildren(const std::string& path, const Options&,
                                std::vector<std::string>* out, Debug*) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const Options&, Debug*) override;
  rocksdb::IOStatus CreateDir(const std::string& path, const Options&, Debug*) override;
  rocksdb::IOStatus CreateDirIfMissing(const std::string& path, const Options&, Debug*) override;
  rocksdb::IOStatus DeleteDir(const std::string& path, const Options&, Debug*) override;
  rocksdb::IOStatus GetFileSize(const std::string& path, const Options&, uint64_t* out,
                                Debug*) override;
  rocksdb::IOStatus GetFileModificationTime(const std::string& path, const Options&, uint64_t* out,
                                            Debug*) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const Options&,
                               Debug*) override;
  rocksdb::IOStatus LinkFile(const std::string& existing, const std::string& name, const Options&,
                             Debug*) override;
  rocksdb::IOStatus LockFile(const std::string& path, const Options&, rocksdb::FileLock** out,
                             Debug*) override;
  rocksdb::IOStatus UnlockFile(rocksdb::FileLock* lock, const Options&, Debug*) override;
  rocksdb::IOStatus GetTestDirectory(const Options&, std::string*, Debug*) override;
  rocksdb::IOStatus NewLogger(const std::string& path, const Options&,
                              std::shared_ptr<rocksdb::Logger>* out, Debug*) override;
  rocksdb::IOStatus GetAbsolutePath(const std::string& path, const Options&, std::string* out,
                                    Debug*) override;
  rocksdb::IOStatus GetFreeSpace(const std::string& path, const Options&, uint64_t* out,
                                 Debug*) override;
  rocksdb::IOStatus IsDirectory(const std::string& path, const Options&, bool* out,
                                Debug*) override;

 private:
  rocksdb::IOStatus open_writable(const std::string& path, bool truncate,
                                  std::unique_ptr<rocksdb::FSWritableFile>* out);

  families::FileSystem* const fs_;
  absl::Status last_error_;
  uint64_t errors_ = 0;
  std::optional<uint64_t> newest_wal_;
  std::string last_read_;
  // By path and offset.
  std::optional<std::map<std::string, std::map<uint64_t, std::string>>> kept_reads_;
};

// Drops every message: what matters is returned as a status.
std::shared_ptr<rocksdb::Logger> null_rocksdb_logger();

}  // namespace qk::families
