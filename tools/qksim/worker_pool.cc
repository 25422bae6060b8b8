#include "tools/qksim/worker_pool.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>

#include "families/base/check.h"
#include "families/base/strings.h"

namespace qk::cli {
namespace {

// A process that uses no CPU time and does not end either waits for something that never comes; so
// many times the limit leaves room for a busy machine.
constexpr int64_t kWallPerCpu = 20;
constexpr uint64_t kMaxMessage = uint64_t{64} << 20;

// All of it; false if the other side is gone.
bool read_all(int socket, char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t got = ::read(socket, bytes, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

bool send_all(int socket, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(socket, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

// After so much CPU time of this process SIGPROF ends it; 0: never.
void limit_cpu(int64_t ms) {
  itimerval timer = {};
  timer.it_value.tv_sec = ms / 1000;
  timer.it_value.tv_usec = (ms % 1000) * 1000;
  ::setitimer(ITIMER_PROF, &timer, nullptr);
}

std::string ending(int status) {
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    return cat("signal ", signal, " (", ::strsignal(signal), ")");
  }
  return cat("exit code ", WEXITSTATUS(status));
}

}  // namespace

WorkerPool::WorkerPool(Options options, Work work)
    : options_(std::move(options)), work_(std::move(work)), workers_(options_.workers) {
  QK_CHECK(!workers_.empty());
}

WorkerPool::~WorkerPool() {
  for (Worker& worker : workers_) retire(worker);
}

size_t WorkerPool::idle() const {
  return static_cast<size_t>(std::count_if(workers_.begin(), workers_.end(),
                                           [](const Worker& worker) { return !worker.busy; }));
}

absl::Status WorkerPool::start(const Job& job) {
  const auto found = std::find_if(workers_.begin(), workers_.end(),
                                  [](const Worker& worker) { return !worker.busy; });
  QK_CHECK(found != workers_.end());
  Worker& worker = *found;
  if (job.alone && !worker.fresh) retire(worker);
  if (worker.pid == 0) QK_RETURN_IF_ERROR(spawn(worker));
  worker.busy = true;
  worker.fresh = false;
  worker.job = job;
  worker.started_ms = options_.wall_ms();
  // Should the worker be dead already, wait() finds that out.
  send_all(worker.socket, reinterpret_cast<const char*>(&job), sizeof job);
  return absl::OkStatus();
}

absl::Status WorkerPool::spawn(Worker& worker) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return errno_status(errno, "make a pair of sockets for a worker");
  }
  // What is buffered would otherwise be written by both.
  std::cout.flush();
  std::cerr.flush();
  const int parent = ::getpid();
  const int pid = ::fork();
  if (pid < 0) {
    const int error = errno;
    ::close(pair[0]);
    ::close(pair[1]);
    return errno_status(error, "start a worker process");
  }
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(0);
    serve(pair[1]);
  }
  ::close(pair[1]);
  worker = Worker{};
  worker.pid = pid;
  worker.socket = pair[0];
  return absl::OkStatus();
}

void WorkerPool::serve(int socket) {
  // Sockets of other workers, and locks, which last as long as any process has them open.
  if (socket > STDERR_FILENO + 1) {
    ::close_range(STDERR_FILENO + 1, static_cast<unsigned>(socket) - 1, 0);
  }
  ::close_range(static_cast<unsigned>(socket) + 1, ~0U, 0);
  // A terminal sends these to every process in its foreground; the pool decides.
  for (const int signal : {SIGINT, SIGHUP}) ::signal(signal, SIG_IGN);
  for (const int signal : {SIGTERM, SIGPROF}) ::signal(signal, SIG_DFL);
  Job job;
  while (read_all(socket, reinterpret_cast<char*>(&job), sizeof job)) {
    limit_cpu(options_.cpu_limit_ms);
    const Send send = [&](std::string_view message) {
      limit_cpu(0);
      const uint64_t size = message.size();
      const bool sent = send_all(socket, reinterpret_cast<const char*>(&size), sizeof size) &&
                        send_all(socket, message.data(), message.size());
      if (!sent) ::_exit(0);
    };
    // What nobody caught ends this process here: unwound further, it would go on as another parent.
    try {
      work_(job, send);
    } catch (const std::exception& exception) {
      std::cerr << "error: internal: " << exception.what() << std::endl;
      ::_exit(70);
    } catch (...) {
      ::_exit(70);
    }
  }
  std::cout.flush();
  std::cerr.flush();
  ::_exit(0);
}

// Ends an idle worker, or one whose job is of no interest any more.
void WorkerPool::retire(Worker& worker) {
  if (worker.pid == 0) return;
  ::kill(worker.pid, SIGKILL);
  while (::waitpid(worker.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  ::close(worker.socket);
  worker = Worker{};
}

std::vector<WorkerPool::Outcome> WorkerPool::wait(int timeout_ms) {
  std::vector<pollfd> polled;
  std::vector<Worker*> of;
  for (Worker& worker : workers_) {
    if (worker.pid == 0) continue;
    polled.push_back({worker.socket, POLLIN, 0});
    of.push_back(&worker);
  }
  std::vector<Outcome> outcomes;
  const int ready = ::poll(polled.data(), polled.size(), timeout_ms);
  for (size_t i = 0; ready > 0 && i < polled.size(); ++i) {
    if (polled[i].revents == 0) continue;
    Outcome outcome;
    const bool busy = of[i]->busy;
    outcome.job = of[i]->job;
    if (receive(*of[i], &outcome) && busy) outcomes.push_back(std::move(outcome));
  }
  const int64_t now = options_.wall_ms();
  for (Worker& worker : workers_) {
    if (!worker.busy || options_.cpu_limit_ms == 0 || worker.killed) continue;
    if (now - worker.started_ms < kWallPerCpu * options_.cpu_limit_ms) continue;
    worker.killed = true;
    ::kill(worker.pid, SIGKILL);  // the next poll finds its socket closed
  }
  return outcomes;
}

// True if the job is done, by an answer or by the end of its process.
bool WorkerPool::receive(Worker& worker, Outcome* outcome) {
  char buffer[64 << 10];
  const ssize_t got = ::read(worker.socket, buffer, sizeof buffer);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return false;
  if (got <= 0) {
    end(worker, outcome);
    return true;
  }
  worker.received.append(buffer, static_cast<size_t>(got));
  uint64_t size = 0;
  if (worker.received.size() < sizeof size) return false;
  std::memcpy(&size, worker.received.data(), sizeof size);
  if (!worker.busy || size > kMaxMessage) {
    // Nothing that a worker of ours sends.
    ::kill(worker.pid, SIGKILL);
    end(worker, outcome);
    return true;
  }
  if (worker.received.size() < sizeof size + size) return false;
  outcome->answered = true;
  outcome->message = worker.received.substr(sizeof size, size);
  worker.received.clear();
  worker.busy = false;
  if (worker.job.alone) retire(worker);
  return true;
}

void WorkerPool::end(Worker& worker, Outcome* outcome) {
  int status = 0;
  while (::waitpid(worker.pid, &status, 0) < 0 && errno == EINTR) {
  }
  outcome->stuck = worker.killed || (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF);
  outcome->killed = !worker.killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  outcome->ended = ending(status);
  ::close(worker.socket);
  worker = Worker{};
}

}  // namespace qk::cli
