#include "families/rocksdb/env.h"

#include <rocksdb/system_clock.h>

#include <cstdio>
#include <cstdlib>

#include "families/base/check.h"
#include "families/rocksdb/ids.h"

namespace qk::families {
namespace {

using rocksdb::IOOptions;
using rocksdb::Status;

constexpr uint64_t kNowSeconds = 946'684'800;  // 2000-01-01
constexpr uint64_t kNowMicros = kNowSeconds * 1'000'000;

class StandingClock final : public rocksdb::SystemClock {
 public:
  const char* Name() const override { return "qksim"; }
  uint64_t NowMicros() override { return kNowMicros; }
  void SleepForMicroseconds(int) override {}
  Status GetCurrentTime(int64_t* unix_time) override {
    *unix_time = kNowSeconds;
    return Status::OK();
  }
  std::string TimeToString(uint64_t time) override { return cat(time); }
};

[[noreturn]] void never(const char* call) {
  std::fprintf(stderr, "RocksDB called Env::%s, which is never needed\n", call);
  std::abort();
}

}  // namespace

RocksEnv::RocksEnv(families::FileSystem* fs) : RocksEnv(std::make_shared<RocksFileSystem>(fs)) {}

RocksEnv::RocksEnv(std::shared_ptr<RocksFileSystem> files)
    : Env(files, std::make_shared<StandingClock>()), files_(std::move(files)) {}

void RocksEnv::run_job() {
  QK_CHECK(!jobs_.empty());
  const Job job = jobs_.front();
  jobs_.pop_front();
  job.function(job.argument);
}

void RocksEnv::Schedule(void (*function)(void*), void* argument, Priority priority, void* tag,
                        void (*unschedule)(void*)) {
  jobs_.push_back({function, argument, priority, tag, unschedule});
}

int RocksEnv::UnSchedule(void* tag, Priority priority) {
  return static_cast<int>(std::erase_if(jobs_, [&](const Job& job) {
    if (job.tag != tag || job.priority != priority) return false;
    if (job.unschedule != nullptr) job.unschedule(job.argument);
    return true;
  }));
}

unsigned int RocksEnv::GetThreadPoolQueueLen(Priority priority) const {
  unsigned int length = 0;
  for (const Job& job : jobs_) length += job.priority == priority ? 1 : 0;
  return length;
}

void RocksEnv::StartThread(void (*)(void*), void*) { never("StartThread"); }

std::string RocksEnv::GenerateUniqueId() { return next_rocksdb_uuid(); }

Status RocksEnv::GetHostName(char* name, uint64_t size) {
  std::snprintf(name, size, "qksim");
  return Status::OK();
}

uint64_t RocksEnv::NowMicros() { return kNowMicros; }

Status RocksEnv::GetCurrentTime(int64_t* unix_time) {
  *unix_time = kNowSeconds;
  return Status::OK();
}

std::string RocksEnv::TimeToString(uint64_t time) { return cat(time); }

Status RocksEnv::FileExists(const std::string& path) {
  return files_->FileExists(path, IOOptions(), nullptr);
}

Status RocksEnv::GetChildren(const std::string& path, std::vector<std::string>* out) {
  return files_->GetChildren(path, IOOptions(), out, nullptr);
}

Status RocksEnv::DeleteFile(const std::string& path) {
  return files_->DeleteFile(path, IOOptions(), nullptr);
}

Status RocksEnv::CreateDir(const std::string& path) {
  return files_->CreateDir(path, IOOptions(), nullptr);
}

Status RocksEnv::CreateDirIfMissing(const std::string& path) {
  return files_->CreateDirIfMissing(path, IOOptions(), nullptr);
}

Status RocksEnv::DeleteDir(const std::string& path) {
  return files_->DeleteDir(path, IOOptions(), nullptr);
}

Status RocksEnv::GetFileSize(const std::string& path, uint64_t* out) {
  return files_->GetFileSize(path, IOOptions(), out, nullptr);
}

Status RocksEnv::GetFileModificationTime(const std::string& path, uint64_t* out) {
  return files_->GetFileModificationTime(path, IOOptions(), out, nullptr);
}

Status RocksEnv::RenameFile(const std::string& from, const std::string& to) {
  return files_->RenameFile(from, to, IOOptions(), nullptr);
}

Status RocksEnv::LockFile(const std::string& path, rocksdb::FileLock** out) {
  return files_->LockFile(path, IOOptions(), out, nullptr);
}

Status RocksEnv::UnlockFile(rocksdb::FileLock* lock) {
  return files_->UnlockFile(lock, IOOptions(), nullptr);
}

Status RocksEnv::GetAbsolutePath(const std::string& path, std::string* out) {
  *out = path;
  return Status::OK();
}

Status RocksEnv::GetTestDirectory(std::string*) { never("GetTestDirectory"); }

Status RocksEnv::NewLogger(const std::string&, std::shared_ptr<rocksdb::Logger>* out) {
  *out = null_rocksdb_logger();
  return Status::OK();
}

Status RocksEnv::NewSequentialFile(const std::string&, std::unique_ptr<rocksdb::SequentialFile>*,
                                   const rocksdb::EnvOptions&) {
  never("NewSequentialFile");
}

Status RocksEnv::NewRandomAccessFile(const std::string&,
                                     std::unique_ptr<rocksdb::RandomAccessFile>*,
                                     const rocksdb::EnvOptions&) {
  never("NewRandomAccessFile");
}

Status RocksEnv::NewWritableFile(const std::string&, std::unique_ptr<rocksdb::WritableFile>*,
                                 const rocksdb::EnvOptions&) {
  never("NewWritableFile");
}

Status RocksEnv::NewDirectory(const std::string&, std::unique_ptr<rocksdb::Directory>*) {
  never("NewDirectory");
}

}  // namespace qk::families
