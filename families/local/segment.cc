#include "families/local/segment.h"

#include <algorithm>
#include <charconv>

#include "families/base/check.h"
#include "families/fs/file_util.h"

namespace qk::families::local {
namespace {

constexpr std::string_view kClosedPrefix = "log_";
constexpr std::string_view kOpenPrefix = "log_inprogress_";
constexpr size_t kDigits = 20;  // of "%020d"

std::string padded(int64_t value) {
  const std::string digits = cat(value);
  return std::string(kDigits - digits.size(), '0') + digits;
}

std::optional<int64_t> parse_index(std::string_view digits) {
  if (digits.size() != kDigits) return std::nullopt;
  if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return std::nullopt;
  }
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string SegmentName::to_string() const {
  return open ? cat(kOpenPrefix, padded(first))
              : cat(kClosedPrefix, padded(first), "_", padded(last));
}

std::optional<SegmentName> parse_segment_name(std::string_view name) {
  if (name.substr(0, kOpenPrefix.size()) == kOpenPrefix) {
    const auto first = parse_index(name.substr(kOpenPrefix.size()));
    if (!first) return std::nullopt;
    return SegmentName::make_open(*first);
  }
  if (name.substr(0, kClosedPrefix.size()) != kClosedPrefix) return std::nullopt;
  const std::string_view numbers = name.substr(kClosedPrefix.size());
  if (numbers.size() != 2 * kDigits + 1 || numbers[kDigits] != '_') return std::nullopt;
  const auto first = parse_index(numbers.substr(0, kDigits));
  const auto last = parse_index(numbers.substr(kDigits + 1));
  if (!first || !last) return std::nullopt;
  return SegmentName::make_closed(*first, *last);
}

void Segment::add(int64_t term, uint64_t entry_size) {
  ++last_;
  if ((last_ - first()) % kStride == 0) offsets_.push_back(size_);
  if (terms_.empty() || terms_.back().term != term) terms_.push_back({last_, term});
  size_ += entry_size;
}

void Segment::cut(int64_t last_kept, uint64_t size) {
  QK_CHECK(last_kept >= first() - 1 && last_kept <= last_ && size <= size_);
  last_ = last_kept;
  size_ = size;
  offsets_.resize(static_cast<size_t>((last_ - first() + kStride) / kStride));
  while (!terms_.empty() && terms_.back().index > last_) terms_.pop_back();
}

int64_t Segment::term(int64_t index) const {
  QK_CHECK(index >= first() && index <= last_);
  const auto after = std::upper_bound(terms_.begin(), terms_.end(), index,
                                      [](int64_t i, const TermStart& t) { return i < t.index; });
  return std::prev(after)->term;
}

std::pair<int64_t, uint64_t> Segment::seek(int64_t index) const {
  QK_CHECK(index >= first() && index <= last_ + 1);
  if (index == last_ + 1) return {index, size_};
  const int64_t slot = (index - first()) / kStride;
  return {first() + slot * kStride, offsets_[static_cast<size_t>(slot)]};
}

absl::StatusOr<std::string_view> FileWindow::read(uint64_t offset, uint64_t length) {
  if (offset > file_size_ || length > file_size_ - offset) {
    return absl::DataLossError(cat(path_, ": ", length, " bytes at offset ", offset,
                                   " lie beyond the end, file has ", file_size_));
  }
  if (offset < begin_ || offset + length > begin_ + buffer_.size()) {
    const uint64_t wanted = std::min(std::max(length, window_size_), file_size_ - offset);
    begin_ = offset;
    buffer_.resize(wanted);
    absl::Status status = read_exact(*file_, path_, offset, {buffer_.data(), wanted});
    if (!status.ok()) {
      buffer_.clear();
      // The file was longer when this walk began. That it changed meanwhile is not damage.
      if (status_errno(status) == 0) status = errno_status(EIO, to_std(status.message()));
      return status;
    }
  }
  return std::string_view(buffer_).substr(offset - begin_, length);
}

namespace {

// The entry at `offset` if the window holds all of it and it is good: most of a walk goes this way.
// Otherwise nullopt, and read_raw_entry() moves the window or says what is wrong.
std::optional<RawEntry> held_entry(const FileWindow& window, uint64_t offset,
                                   ReadPayload read_payload) {
  const std::string_view held = window.held(offset);
  RawEntry entry;
  if (held.size() < kEntryHeaderSize || !try_decode_header(held.data(), &entry.header) ||
      entry.header.entry_size() > held.size()) {
    return std::nullopt;
  }
  if (read_payload == ReadPayload::kYes) {
    entry.payload = held.substr(kEntryHeaderSize, entry.header.data_length);
    if (!payload_intact(entry.header, entry.payload)) return std::nullopt;
  }
  return entry;
}

}  // namespace

absl::StatusOr<RawEntry> read_raw_entry(FileWindow& window, uint64_t offset, int64_t index,
                                        ReadPayload read_payload) {
  if (const auto entry = held_entry(window, offset, read_payload)) return *entry;
  const auto where = [&] { return cat(window.path(), ", offset ", offset, ", index ", index); };
  const uint64_t left = window.file_size() - offset;
  if (left < kEntryHeaderSize) {
    return absl::OutOfRangeError(
        cat(where(), ": found ", left, " bytes, expected a header of ", kEntryHeaderSize));
  }
  QK_ASSIGN_OR_RETURN(const std::string_view header_bytes, window.read(offset, kEntryHeaderSize));
  auto header = decode_header(header_bytes);
  if (!header.ok()) return annotate(header.status(), where());
  if (header->entry_size() > left) {
    return absl::OutOfRangeError(cat(where(), ": found ", left - kEntryHeaderSize,
                                     " bytes of payload, expected ", header->data_length));
  }
  RawEntry entry{*header, {}};
  if (read_payload == ReadPayload::kYes) {
    QK_ASSIGN_OR_RETURN(entry.payload, window.read(offset + kEntryHeaderSize, header->data_length));
    const absl::Status status = check_payload(*header, entry.payload);
    if (!status.ok()) return annotate(status, where());
  }
  return entry;
}

absl::Status as_data_loss(const absl::Status& status) {
  if (!absl::IsOutOfRange(status) && !absl::IsInvalidArgument(status)) return status;
  return absl::DataLossError(status.message());
}

absl::StatusOr<uint64_t> find_offset(const Segment& segment, FileWindow& window, int64_t index) {
  auto [at, offset] = segment.seek(index);
  for (; at < index; ++at) {
    const auto entry = read_raw_entry(window, offset, at, ReadPayload::kNo);
    if (!entry.ok()) return as_data_loss(entry.status());
    offset += entry->header.entry_size();
  }
  return offset;
}

absl::Status scan_segment(const Segment& segment, FileWindow& window, int64_t from, int64_t to,
                          const LogStorage::Visitor& visit) {
  QK_CHECK(from >= segment.first() && to <= segment.last());
  QK_ASSIGN_OR_RETURN(uint64_t offset, find_offset(segment, window, from));
  LogEntry entry;
  for (int64_t index = from; index <= to; ++index) {
    auto held = held_entry(window, offset, ReadPayload::kYes);
    if (!held) {
      auto read = read_raw_entry(window, offset, index, ReadPayload::kYes);
      if (!read.ok()) return as_data_loss(read.status());
      held = *read;
    }
    entry.index = index;
    entry.term = held->header.term;
    entry.type = held->header.type;
    entry.payload.assign(held->payload);
    offset += held->header.entry_size();
    QK_RETURN_IF_ERROR(visit(entry));
  }
  return absl::OkStatus();
}

}  // namespace qk::families::local
