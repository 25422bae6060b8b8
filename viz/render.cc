#include "viz/render.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "families/base/strings.h"

extern char** environ;  // NOLINT: POSIX has no header for it

namespace qk::viz {
namespace {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { close(); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

// The child's side first.
absl::StatusOr<std::pair<Fd, Fd>> make_channel() {
  // A socket pair rather than a pipe: a child that dies early then gives EPIPE, not SIGPIPE.
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
    return errno_status(errno, "socketpair for dot");
  }
  return std::pair<Fd, Fd>(Fd(fds[0]), Fd(fds[1]));
}

struct Child {
  pid_t pid = 0;
  Fd in;
  Fd out;
  Fd err;
};

absl::StatusOr<Child> start(std::string_view format) {
  QK_ASSIGN_OR_RETURN(auto in, make_channel());
  QK_ASSIGN_OR_RETURN(auto out, make_channel());
  QK_ASSIGN_OR_RETURN(auto err, make_channel());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.first.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.first.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.first.get(), STDERR_FILENO);
  std::string words[] = {"dot", "-Kneato", "-n2", cat("-T", format)};
  char* argv[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  Child child;
  const int error = ::posix_spawnp(&child.pid, "dot", &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT) {
    return absl::NotFoundError(
        "the program \"dot\" is not on the path; expected Graphviz (Debian package graphviz)");
  }
  if (error != 0) return errno_status(error, "start dot");
  child.in = std::move(in.second);
  child.out = std::move(out.second);
  child.err = std::move(err.second);
  return child;
}

// Appends what is there to `out`; closes `fd` at its end.
void drain(Fd* fd, std::string* out) {
  char buffer[1 << 16];
  const ssize_t n = ::read(fd->get(), buffer, sizeof buffer);
  if (n > 0) {
    out->append(buffer, static_cast<size_t>(n));
  } else if (n == 0 || errno != EINTR) {
    fd->close();
  }
}

void feed(Fd* fd, std::string_view* input) {
  const ssize_t n = ::send(fd->get(), input->data(), input->size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n >= 0) {
    input->remove_prefix(static_cast<size_t>(n));
  } else if (errno != EINTR && errno != EAGAIN) {
    *input = {};  // it has stopped reading; its exit status says why
  }
  if (input->empty()) fd->close();
}

}  // namespace

absl::StatusOr<std::string> render(std::string_view dot, std::string_view format) {
  QK_ASSIGN_OR_RETURN(Child child, start(format));
  std::string picture;
  std::string complaint;
  // All three at once: waiting for one of them alone could block both sides forever.
  while (child.out.get() >= 0 || child.err.get() >= 0) {
    pollfd fds[] = {
        {child.in.get(), POLLOUT, 0}, {child.out.get(), POLLIN, 0}, {child.err.get(), POLLIN, 0}};
    if (::poll(fds, 3, -1) < 0) {
      if (errno == EINTR) continue;
      return errno_status(errno, "poll dot");
    }
    if (fds[0].revents != 0) feed(&child.in, &dot);
    if (fds[1].revents != 0) drain(&child.out, &picture);
    if (fds[2].revents != 0) drain(&child.err, &complaint);
  }
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0) {
    if (errno != EINTR) return errno_status(errno, "wait for dot");
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return absl::InternalError(cat("dot -T", format, " failed with ",
                                   WIFEXITED(status) ? cat("exit code ", WEXITSTATUS(status))
                                                     : cat("signal ", WTERMSIG(status)),
                                   ": ", complaint));
  }
  return picture;
}

}  // namespace qk::viz
