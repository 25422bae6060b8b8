// RocksEnv: RocksDB's environment on one thread.
//
// Background jobs wait in a queue until the owner runs them; nothing is ever run inline, because
// RocksDB schedules with its mutex held. Closing a database takes its jobs out of the queue.
//
// There is no time: the clock is fixed at 2000-01-01, in real tools too, so that nothing an
// engine does or writes depends on when (it lies before any real time, because RocksDB hands
// deadlines of this clock to the kernel). Sleeping returns at once. What would start a thread, or
// open a file past the file system, aborts the process.
#pragma once

#include <rocksdb/env.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "families/rocksdb/fs.h"

namespace qk::families {

class RocksEnv final : public rocksdb::Env {
 public:
  // `fs` must outlive this.
  explicit RocksEnv(families::FileSystem* fs);

  const RocksFileSystem& files() const { return *files_; }
  RocksFileSystem& files() { return *files_; }

  size_t queued_jobs() const { return jobs_.size(); }
  // There must be one.
  void run_job();

  const char* Name() const override { return "qksim"; }

  void Schedule(void (*function)(void*), void* argument, Priority priority, void* tag,
                void (*unschedule)(void*)) override;
  int UnSchedule(void* tag, Priority priority) override;
  unsigned int GetThreadPoolQueueLen(Priority priority) const override;
  void SetBackgroundThreads(int, Priority) override {}
  int GetBackgroundThreads(Priority) override { return 1; }
  void IncBackgroundThreadsIfNeeded(int, Priority) override {}
  void StartThread(void (*function)(void*), void* argument) override;

  std::string GenerateUniqueId() override;
  rocksdb::Status GetHostName(char* name, uint64_t size) override;
  uint64_t NowMicros() override;
  void SleepForMicroseconds(int) override {}
  rocksdb::Status GetCurrentTime(int64_t* unix_time) override;
  std::string TimeToString(uint64_t time) override;

  // RocksDB calls these of the old interface still.
  rocksdb::Status FileExists(const std::string& path) override;
  rocksdb::Status GetChildren(const std::string& path, std::vector<std::string>* out) override;
  rocksdb::Status DeleteFile(const std::string& path) override;
  rocksdb::Status CreateDir(const std::string& path) override;
  rocksdb::Status CreateDirIfMissing(const std::string& path) override;
  rocksdb::Status DeleteDir(const std::string& path) override;
  rocksdb::Status GetFileSize(const std::string& path, uint64_t* out) override;
  rocksdb::Status GetFileModificationTime(const std::string& path, uint64_t* out) override;
  rocksdb::Status RenameFile(const std::string& from, const std::string& to) override;
  rocksdb::Status LockFile(const std::string& path, rocksdb::FileLock** out) override;
  rocksdb::Status UnlockFile(rocksdb::FileLock* lock) override;
  rocksdb::Status GetAbsolutePath(const std::string& path, std::string* out) override;
  rocksdb::Status GetTestDirectory(std::string* out) override;
  rocksdb::Status NewLogger(const std::string& path,
                            std::shared_ptr<rocksdb::Logger>* out) override;

  // And never these.
  rocksdb::Status NewSequentialFile(const std::string&, std::unique_ptr<rocksdb::SequentialFile>*,
                                    const rocksdb::EnvOptions&) override;
  rocksdb::Status NewRandomAccessFile(const std::string&,
                                      std::unique_ptr<rocksdb::RandomAccessFile>*,
                                      const rocksdb::EnvOptions&) override;
  rocksdb::Status NewWritableFile(const std::string&, std::unique_ptr<rocksdb::WritableFile>*,
                                  const rocksdb::EnvOptions&) override;
  rocksdb::Status NewDirectory(const std::string&, std::unique_ptr<rocksdb::Directory>*) override;

 private:
  struct Job {
    void (*function)(void*);
    void* argument;
    Priority priority;
    void* tag;
    void (*unschedule)(void*);
  };

  explicit RocksEnv(std::shared_ptr<RocksFileSystem> files);

  const std::shared_ptr<RocksFileSystem> files_;
  std::deque<Job> jobs_;
};

}  // namespace qk::families
