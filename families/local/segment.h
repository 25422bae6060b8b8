// Segment: one file of a legacy log, entries back to back with nothing before, between or after.
//
//   log_%020d_%020d        closed: first and last index
//   log_inprogress_%020d   open: first index; the last segment, at most one
//
// In memory a segment is a sparse index: the offset of every 16th entry and the points where the
// term changes, so memory does not grow with payloads, and hardly with entries.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "families/contract/log_storage.h"
#include "families/fs/file_system.h"
#include "families/local/entry_codec.h"

namespace qk::families::local {

struct SegmentName {
  int64_t first = 0;
  int64_t last = 0;  // closed only
  bool open = false;

  static SegmentName make_open(int64_t first) { return {first, 0, true}; }
  static SegmentName make_closed(int64_t first, int64_t last) { return {first, last, false}; }
  std::string to_string() const;
};

// nullopt if `name` is not exactly a segment's name.
std::optional<SegmentName> parse_segment_name(std::string_view name);

class Segment {
 public:
  explicit Segment(SegmentName name) : name_(name), last_(name.first - 1) {}

  const SegmentName& name() const { return name_; }
  bool open() const { return name_.open; }
  int64_t first() const { return name_.first; }
  int64_t last() const { return last_; }  // first() - 1 if empty
  // Bytes of the entries; the file may be longer by a tolerated stray tail (closed, < 24 bytes).
  uint64_t size() const { return size_; }

  void add(int64_t term, uint64_t entry_size);
  // The caller renames the file.
  void close() { name_ = SegmentName::make_closed(first(), last()); }
  void reopen() { name_ = SegmentName::make_open(first()); }
  // Keeps entries up to `last_kept` (>= first() - 1), which end at `size`.
  void cut(int64_t last_kept, uint64_t size);

  int64_t term(int64_t index) const;
  // An indexed entry at or before `index`: (index, offset).
  std::pair<int64_t, uint64_t> seek(int64_t index) const;

 private:
  static constexpr int64_t kStride = 16;

  struct TermStart {
    int64_t index;
    int64_t term;
  };

  SegmentName name_;
  int64_t last_;
  uint64_t size_ = 0;
  std::vector<uint64_t> offsets_;  // of entries first, first + kStride, ...
  std::vector<TermStart> terms_;   // index ascending; each begins a run of one term
};

// Reads forward through one file by means of a window; what it returns lives until the next call.
class FileWindow {
 public:
  // For a walk through the file, and for one entry of it.
  static constexpr uint64_t kWalk = 64 << 10;
  static constexpr uint64_t kLookUp = 4 << 10;

  FileWindow(File* file, std::string path, uint64_t file_size, uint64_t window_size = kWalk)
      : file_(file), path_(std::move(path)), file_size_(file_size), window_size_(window_size) {}

  const std::string& path() const { return path_; }
  uint64_t file_size() const { return file_size_; }
  // The bytes that are held already from `offset` on; empty if none are.
  std::string_view held(uint64_t offset) const {
    if (offset < begin_ || offset >= begin_ + buffer_.size()) return {};
    return std::string_view(buffer_).substr(offset - begin_);
  }
  // Exactly `length` bytes, which must lie inside the file (checked: DataLoss).
  absl::StatusOr<std::string_view> read(uint64_t offset, uint64_t length);

 private:
  File* file_;
  std::string path_;
  uint64_t file_size_;
  uint64_t window_size_;
  uint64_t begin_ = 0;
  std::string buffer_;
};

// The entry at `offset`, checked. Errors name file, offset and index. OutOfRange: it does not end
// inside the file; DataLoss: a checksum is wrong; InvalidArgument: see decode_header().
struct RawEntry {
  EntryHeader header;
  std::string_view payload;  // empty unless asked for; lives until the window moves
};
enum class ReadPayload : uint8_t { kNo, kYes };
absl::StatusOr<RawEntry> read_raw_entry(FileWindow& window, uint64_t offset, int64_t index,
                                        ReadPayload read_payload);
// What read_raw_entry() calls OutOfRange or InvalidArgument is damage where an entry must be.
absl::Status as_data_loss(const absl::Status& status);

// Walks [from, to] of one segment, which must hold them.
absl::Status scan_segment(const Segment& segment, FileWindow& window, int64_t from, int64_t to,
                          const LogStorage::Visitor& visit);
// Offset of `index`, which may be last() + 1.
absl::StatusOr<uint64_t> find_offset(const Segment& segment, FileWindow& window, int64_t index);

}  // namespace qk::families::local
