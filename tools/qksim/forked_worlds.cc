#include "tools/qksim/forked_worlds.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>
#include <vector>

#include "families/base/check.h"

namespace qk::cli {
namespace {

constexpr int kAskEveryMs = 100;

void write_all(int pipe, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(pipe, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) ::_exit(1);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace

ForkedWorlds::~ForkedWorlds() { kill_all(); }

void ForkedWorlds::kill_all() {
  for (const World& world : worlds_) {
    ::kill(world.pid, SIGKILL);
    ::close(world.pipe);
    ::waitpid(world.pid, nullptr, 0);
  }
  worlds_.clear();
}

void ForkedWorlds::copy(std::function<std::string()> explore,
                        std::function<void(std::optional<std::string>)> answered) {
  while (worlds_.size() >= at_a_time_) receive();
  if (stopped_) return;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return answered(std::nullopt);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    ::close(ends[0]);
    ::close(ends[1]);
    return answered(std::nullopt);
  }
  if (pid == 0) {
    // Ctrl-C is for the first process; this one ends with it.
    ::signal(SIGINT, SIG_IGN);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    for (const World& other : worlds_) ::close(other.pipe);
    worlds_.clear();
    at_a_time_ = 1;
    stop_ = {};
    ::close(ends[0]);
    write_all(ends[1], explore());
    ::_exit(0);
  }
  ::close(ends[1]);
  worlds_.push_back({pid, ends[0], {}, std::move(answered)});
}

void ForkedWorlds::wait() {
  while (!worlds_.empty()) receive();
}

void ForkedWorlds::receive() {
  if (stop_ && stop_()) {
    stopped_ = true;
    return kill_all();
  }
  std::vector<pollfd> polled;
  for (const World& world : worlds_) polled.push_back({world.pipe, POLLIN, 0});
  const int ready = ::poll(polled.data(), polled.size(), stop_ ? kAskEveryMs : -1);
  QK_CHECK(ready >= 0 || errno == EINTR);
  if (ready <= 0) return;
  size_t i = 0;
  for (auto world = worlds_.begin(); world != worlds_.end(); ++i) {
    const auto current = world++;
    if (polled[i].revents == 0) continue;
    char buffer[16384];
    const ssize_t got = ::read(current->pipe, buffer, sizeof buffer);
    if (got > 0) current->received.append(buffer, static_cast<size_t>(got));
    if (got > 0 || (got < 0 && errno == EINTR)) continue;
    int status = 0;
    ::close(current->pipe);
    while (::waitpid(current->pid, &status, 0) < 0) QK_CHECK(errno == EINTR);
    World ended = std::move(*current);
    worlds_.erase(current);
    const bool whole = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    ended.answered(whole ? std::optional(std::move(ended.received)) : std::nullopt);
  }
}

}  // namespace qk::cli
