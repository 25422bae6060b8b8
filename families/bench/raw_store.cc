#include "families/bench/raw_store.h"

#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "families/base/check.h"

namespace qk::families::bench {
namespace {

using Operation = RawRequest::Operation;

// Entries that a load takes at a time.
constexpr int64_t kLoadBatch = 1024;

// The program lies beside this one.
std::string program() {
  return std::filesystem::read_symlink("/proc/self/exe").replace_filename("qk_bench_raw");
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "qk_bench: %s: %s\n", program().c_str(), what);
  std::exit(1);
}

}  // namespace

RawStore::RawStore(const std::string& family, const std::string& path) {
  int ends[2];
  QK_CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  socket_ = ends[0];
  posix_spawn_file_actions_t actions;
  QK_CHECK(::posix_spawn_file_actions_init(&actions) == 0);
  QK_CHECK(::posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO) == 0);
  std::string arguments[] = {program(), family, path};
  char* const argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
  if (::posix_spawn(&process_, argv[0], &actions, nullptr, argv, environ) != 0) {
    fail("does not start");
  }
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  opened_ = receive();
}

RawStore::~RawStore() {
  ::close(socket_);
  int status = 0;
  QK_CHECK(::waitpid(process_, &status, 0) == process_);
  if (status != 0) fail("failed to close the store");
}

Cost RawStore::receive() {
  Cost cost;
  if (::recv(socket_, &cost, sizeof cost, 0) != sizeof cost) fail("ended without an answer");
  return cost;
}

Cost RawStore::ask(const RawRequest& request) {
  if (::send(socket_, &request, sizeof request, MSG_NOSIGNAL) != sizeof request) {
    fail("takes no request");
  }
  return receive();
}

Cost RawStore::append(int64_t count, size_t payload, int64_t batch) {
  return ask({Operation::kAppend, count, batch, payload});
}
Cost RawStore::load(int64_t count, size_t payload) {
  return ask({Operation::kLoad, count, kLoadBatch, payload});
}
Cost RawStore::scan(int64_t count, size_t payload) {
  return ask({Operation::kScan, count, 0, payload});
}
Cost RawStore::read_sample(int64_t count, size_t payload) {
  return ask({Operation::kRead, count, 0, payload});
}
Cost RawStore::drop_below(int64_t first_kept) {
  return ask({Operation::kDropBelow, first_kept, 0, 0});
}
Cost RawStore::drop_above(int64_t last_kept) {
  return ask({Operation::kDropAbove, last_kept, 0, 0});
}

std::unique_ptr<RawStore> open_raw(const std::string& family, const std::string& path) {
  if (!raw_engine_below(family)) return nullptr;
  return std::make_unique<RawStore>(family, path);
}

}  // namespace qk::families::bench
