#include "families/bench/plain_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "families/base/check.h"

namespace qk::families::bench {
namespace {

constexpr uint64_t kPartBytes = 256 << 10;

}  // namespace

void write_plain_file(const std::string& path, uint64_t bytes) {
  const std::string part(kPartBytes, 'x');
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  QK_CHECK(fd != -1);
  for (uint64_t done = 0; done < bytes; done += part.size()) {
    const size_t size = std::min<uint64_t>(part.size(), bytes - done);
    QK_CHECK(::write(fd, part.data(), size) == static_cast<ssize_t>(size));
  }
  QK_CHECK(::fsync(fd) == 0);
  ::close(fd);
}

void read_plain_file(const std::string& path) {
  std::string part(kPartBytes, '\0');
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  QK_CHECK(fd != -1);
  while (::read(fd, part.data(), part.size()) > 0) {
  }
  ::close(fd);
}

}  // namespace qk::families::bench
