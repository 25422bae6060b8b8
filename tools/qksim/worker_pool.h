// WorkerPool: forked processes that do jobs and answer with one message each.
//
// A worker does many jobs one after the other; a job that asks for a process of its own gets one
// that has done nothing else. What a job's process does to itself ends with it: a crash, an exit or
// too much CPU time is the outcome of that job, and the next one gets another process.
//
// Workers end when the pool does, and when its process is killed. They hold nothing of it but the
// standard streams, and leave the signals of a terminal to it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "families/base/status.h"

namespace qk::cli {

class WorkerPool {
 public:
  static constexpr size_t kMaxNumbers = 8;
  struct Job {
    uint64_t number = 0;
    uint8_t kind = 0;    // what the caller makes of it
    bool alone = false;  // in a process of its own
    // Numbers for the caller's own use; a job travels to its worker as bytes.
    std::array<uint64_t, kMaxNumbers> numbers{};
    uint8_t count = 0;  // of them
  };
  struct Outcome {
    Job job;
    bool answered = false;
    std::string message;
    // Of a process that ended without an answer.
    bool stuck = false;   // over its CPU time, or it never ended
    bool killed = false;  // by SIGKILL, and not by the pool: from outside, or memory was short
    std::string ended;    // "signal 11 (Segmentation fault)", "exit code 3"
  };
  // In the worker. `send` may be called once, from anywhere; the process may end then.
  using Send = std::function<void(std::string_view)>;
  using Work = std::function<void(const Job&, const Send&)>;

  struct Options {
    size_t workers = 1;
    int64_t cpu_limit_ms = 0;  // of one job
    std::function<int64_t()> wall_ms;
  };

  WorkerPool(Options options, Work work);
  ~WorkerPool();  // kills what still works
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  size_t idle() const;  // jobs that may be started now
  size_t busy() const { return workers_.size() - idle(); }
  absl::Status start(const Job& job);
  // What came in until at least one job is done, `timeout_ms` have passed, or a signal came.
  std::vector<Outcome> wait(int timeout_ms);

 private:
  struct Worker {
    int pid = 0;  // 0: no process
    int socket = -1;
    bool fresh = true;  // has done nothing
    bool busy = false;
    bool killed = false;  // by us, for the time it took
    Job job;
    int64_t started_ms = 0;
    std::string received;
  };

  absl::Status spawn(Worker& worker);
  [[noreturn]] void serve(int socket);
  void retire(Worker& worker);
  bool receive(Worker& worker, Outcome* outcome);
  void end(Worker& worker, Outcome* outcome);

  Options options_;
  Work work_;
  std::vector<Worker> workers_;
};

}  // namespace qk::cli
