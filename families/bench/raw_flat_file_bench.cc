// The raw engine below `local`: one flat file, a header with a CRC-32C before each payload,
// fdatasync. Entries are found by their fixed offset index; dropping is truncation.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"
#include "families/bench/raw_engine.h"

namespace qk::families::bench {
namespace {

constexpr size_t kHeader = 24;
constexpr size_t kRead = 256 << 10;

class FlatFile final : public RawEngine {
 public:
  explicit FlatFile(const std::string& path)
      : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    QK_CHECK(fd_ != -1);
  }
  ~FlatFile() override { ::close(fd_); }

  void append(std::span<const LogEntry> entries) override {
    load(entries);
    flush();
    QK_CHECK(::fdatasync(fd_) == 0);
  }

  void find_entries() override {
    const auto end = static_cast<uint64_t>(::lseek(fd_, 0, SEEK_END));
    Window window(fd_, end);
    while (offsets_.back() < end) {
      const uint64_t at = offsets_.back();
      const size_t size = kHeader + get_le32(window.read(at, kHeader).data());
      check(window.read(at, size));
      offsets_.push_back(at + size);
    }
  }

  uint64_t scan(int64_t to) override {
    uint64_t total = 0;
    Window window(fd_, offsets_.back());
    for (size_t i = 0; i < static_cast<size_t>(to); ++i) {
      const std::string_view entry = window.read(offsets_[i], offsets_[i + 1] - offsets_[i]);
      check(entry);
      total += entry.size() - kHeader;
    }
    return total;
  }

  uint64_t read(int64_t index) override {
    const uint64_t at = offsets_[static_cast<size_t>(index - 1)];
    std::string entry(offsets_[static_cast<size_t>(index)] - at, '\0');
    QK_CHECK(::pread(fd_, entry.data(), entry.size(), static_cast<off_t>(at)) ==
             static_cast<ssize_t>(entry.size()));
    check(entry);
    return entry.size() - kHeader;
  }

  void drop_below(int64_t) override { QK_CHECK(::fdatasync(fd_) == 0); }
  void drop_above(int64_t last_kept) override {
    offsets_.resize(static_cast<size_t>(last_kept) + 1);
    QK_CHECK(::ftruncate(fd_, static_cast<off_t>(offsets_.back())) == 0);
    QK_CHECK(::fdatasync(fd_) == 0);
  }

  void begin_load() override {}
  void load(std::span<const LogEntry> entries) override {
    for (const LogEntry& entry : entries) {
      const size_t at = buffer_.size();
      buffer_.resize(at + kHeader);
      store_le32(buffer_.data() + at, static_cast<uint32_t>(entry.payload.size()));
      store_le32(buffer_.data() + at + 4, crc32c(entry.payload));
      store_le64(buffer_.data() + at + 8, static_cast<uint64_t>(entry.term));
      store_le32(buffer_.data() + at + 16, static_cast<uint32_t>(entry.type));
      store_le32(buffer_.data() + at + 20, crc32c({buffer_.data() + at, 20}));
      buffer_ += entry.payload;
      offsets_.push_back(offsets_.back() + kHeader + entry.payload.size());
    }
    if (buffer_.size() >= kRead) flush();
  }
  void end_load() override {
    flush();
    QK_CHECK(::fdatasync(fd_) == 0);
  }

 private:
  // Reads the file forward, in large parts.
  class Window {
   public:
    Window(int fd, uint64_t end) : fd_(fd), end_(end) {}
    // Valid until the next read.
    std::string_view read(uint64_t at, size_t size) {
      if (at + size > begin_ + held_) {
        begin_ = at;
        held_ = std::min<uint64_t>(std::max(kRead, size), end_ - at);
        if (held_ > buffer_.size()) buffer_.resize(held_);
        QK_CHECK(::pread(fd_, buffer_.data(), held_, static_cast<off_t>(at)) ==
                 static_cast<ssize_t>(held_));
      }
      return {buffer_.data() + (at - begin_), size};
    }

   private:
    const int fd_;
    const uint64_t end_;
    std::string buffer_;
    uint64_t begin_ = 0;
    size_t held_ = 0;
  };

  static void check(std::string_view entry) {
    QK_CHECK(crc32c(entry.substr(kHeader)) == get_le32(entry.data() + 4));
  }

  void flush() {
    const auto at = static_cast<off_t>(offsets_.back() - buffer_.size());
    QK_CHECK(::pwrite(fd_, buffer_.data(), buffer_.size(), at) ==
             static_cast<ssize_t>(buffer_.size()));
    buffer_.clear();
  }

  const int fd_;
  std::string buffer_;
  std::vector<uint64_t> offsets_{0};  // of each entry, and the end
};

}  // namespace

std::unique_ptr<RawEngine> open_flat_file(const std::string& path) {
  return std::make_unique<FlatFile>(path);
}

}  // namespace qk::families::bench
