// LeveldbEnv: a leveldb::Env over a FileSystem, on one thread.
//
// Durability that LevelDB leaves to its Env: the first sync of a file it made also syncs the
// directory, and so does each rename. Writes are buffered until Flush or Sync; a handle that is
// dropped writes nothing.
//
// Background jobs are queued, and run by run_job() alone. LevelDB waits for its jobs in two places,
// which would wait forever here: a write that finds the last memtable still unwritten, and the end
// of the database. So the queue must be empty before either. stop() makes every change fail from
// then on: what is still queued at the end can then run without effect.
//
// Descriptors. LevelDB keeps up to 64 tables open. The first kHeldTables of them keep a descriptor,
// a read of any other opens its file for that read.
//
// The first change that fails stops the Env as well: LevelDB tidies up after an error, and would
// remove the MANIFEST that CURRENT names already, when only the sync after the rename had failed.
//
// There is no clock: NowMicros() never changes, and sleeping returns.
#pragma once

#include <leveldb/env.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "families/fs/file_system.h"

namespace qk::families {

class LeveldbEnv final : public leveldb::Env {
 public:
  // `fs` must outlive the Env, and the Env the database.
  explicit LeveldbEnv(FileSystem* fs) : fs_(*fs) {}

  size_t queued_jobs() const { return jobs_.size(); }
  void run_job();
  void stop();

  // The latest error of the file system in an operation that LevelDB depends on, because LevelDB's
  // statuses keep neither its code nor its errno; and how many there were. A read that failed once
  // says nothing about what fails later. That the Env was stopped is not counted.
  const absl::Status& error() const { return error_; }
  uint64_t errors() const { return errors_; }
  // The number of the write-ahead log that was made last.
  std::optional<uint64_t> newest_wal() const { return newest_wal_; }
  // The file that was read last: LevelDB does not say where a block was damaged.
  const std::string& last_read() const { return last_read_; }

  leveldb::Status NewSequentialFile(const std::string& path,
                                    leveldb::SequentialFile** result) override;
  leveldb::Status NewRandomAccessFile(const std::string& path,
                                      leveldb::RandomAccessFile** result) override;
  leveldb::Status NewWritableFile(const std::string& path, leveldb::WritableFile** result) override;
  bool FileExists(const std::string& path) override;
  leveldb::Status GetChildren(const std::string& path, std::vector<std::string>* result) override;
  leveldb::Status RemoveFile(const std::string& path) override;
  leveldb::Status CreateDir(const std::string& path) override;
  leveldb::Status RemoveDir(const std::string& path) override;
  leveldb::Status GetFileSize(const std::string& path, uint64_t* size) override;
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override;
  leveldb::Status LockFile(const std::string& path, leveldb::FileLock** lock) override;
  leveldb::Status UnlockFile(leveldb::FileLock* lock) override;
  void Schedule(void (*function)(void*), void* argument) override;
  void StartThread(void (*function)(void*), void* argument) override;
  leveldb::Status GetTestDirectory(std::string* path) override;
  leveldb::Status NewLogger(const std::string& path, leveldb::Logger** result) override;
  uint64_t NowMicros() override { return 0; }
  void SleepForMicroseconds(int) override {}

 private:
  class Reader;
  class RandomReader;
  class Writer;
  class Lock;
  struct Job {
    void (*function)(void*);
    void* argument;
  };

  // Remembers the error; NotFound does not count.
  leveldb::Status convert(const absl::Status& status);
  // The same for a change, whose error stops the Env.
  leveldb::Status convert_change(const absl::Status& status);
  absl::StatusOr<std::unique_ptr<File>> open_table(const std::string& path);
  // Fails once stopped.
  absl::Status changeable(const std::string& path) const;

  static constexpr int kHeldTables = 16;

  FileSystem& fs_;
  std::deque<Job> jobs_;
  int held_tables_ = 0;
  bool stopped_ = false;
  absl::Status error_;
  uint64_t errors_ = 0;
  std::optional<uint64_t> newest_wal_;
  std::string last_read_;
};

// Says nothing: a database's text log is not part of its state.
class NullLogger final : public leveldb::Logger {
 public:
  void Logv(const char*, std::va_list) override {}
};

}  // namespace qk::families
