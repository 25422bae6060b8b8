#include "families/rocksdb/interpose.h"

#include <rocksdb/env.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <string>

#include "families/rocksdb/ids.h"

namespace qk::families {
namespace {

InterposedCalls& calls() {
  static InterposedCalls instance;
  return instance;
}

[[noreturn]] void endless_wait() {
  std::fputs("RocksDB waits for a background job, and nothing else can run\n", stderr);
  std::abort();
}

}  // namespace

InterposedCalls interposed_calls() { return calls(); }

absl::Status check_interposed(const InterposedCalls& before, const InterposedCalls& after,
                              int threads) {
  if (after.session_ids == before.session_ids) {
    return absl::FailedPreconditionError(
        "librocksdb drew a session id of its own: DBImpl::GenerateDbSessionId is not replaced "
        "(is librocksdb linked statically, or this program with hidden symbols?)");
  }
  if (after.timer_registrations == before.timer_registrations) {
    return absl::FailedPreconditionError(
        "librocksdb started its timer: PeriodicTaskScheduler::Register is not replaced");
  }
  if (threads > 1) {
    return absl::FailedPreconditionError(
        cat("found ", threads, " threads after opening a RocksDB database, expected 1"));
  }
  return absl::OkStatus();
}

int count_threads() {
  return static_cast<int>(std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                                        std::filesystem::directory_iterator()));
}

}  // namespace qk::families

// Only the names and signatures below matter; the library's own classes have more members.
#pragma GCC visibility push(default)
namespace rocksdb {

class DBImpl {
 public:
  static std::string GenerateDbSessionId(Env* env);
};

std::string DBImpl::GenerateDbSessionId(Env*) {
  ++qk::families::calls().session_ids;
  return qk::families::next_rocksdb_session_id();
}

enum class PeriodicTaskType : uint8_t;

class PeriodicTaskScheduler {
 public:
  Status Register(PeriodicTaskType type, const std::function<void()>& function);
  Status Register(PeriodicTaskType type, const std::function<void()>& function, uint64_t period);
  Status Unregister(PeriodicTaskType type);
};

Status PeriodicTaskScheduler::Register(PeriodicTaskType, const std::function<void()>&) {
  ++qk::families::calls().timer_registrations;
  return Status::OK();
}

Status PeriodicTaskScheduler::Register(PeriodicTaskType, const std::function<void()>&, uint64_t) {
  ++qk::families::calls().timer_registrations;
  return Status::OK();
}

Status PeriodicTaskScheduler::Unregister(PeriodicTaskType) { return Status::OK(); }

namespace port {

class CondVar {
 public:
  void Wait();
  bool TimedWait(uint64_t deadline_us);
};

void CondVar::Wait() { qk::families::endless_wait(); }

bool CondVar::TimedWait(uint64_t) { qk::families::endless_wait(); }

}  // namespace port
}  // namespace rocksdb
#pragma GCC visibility pop
