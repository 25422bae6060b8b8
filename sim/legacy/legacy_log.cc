#include "sim/legacy/legacy_log.h"

#include <cerrno>
#include <cstdio>

#include "families/base/bytes.h"
#include "families/base/hash.h"
#include "families/base/strings.h"
#include "families/contract/rules.h"
#include "families/fs/file_util.h"
#include "sim/legacy/legacy.pb.h"

namespace qk::sim::legacy {
namespace {

using families::EntryType;
using families::File;
using families::LogEntry;
using families::Outcome;

constexpr std::string_view kLogMeta = "log_meta";
// term (8), type (1), checksum type (1), reserved (2), data length (4), data checksum (4), header
// checksum (4), integers big-endian
constexpr size_t kHeaderBytes = 24;
constexpr size_t kHeaderSummed = 20;

struct Header {
  int64_t term = 0;
  int type = 0;
  int checksum_type = 0;
  uint32_t data_length = 0;
  uint32_t data_checksum = 0;
};

uint32_t sum_of(int checksum_type, std::string_view bytes) {
  return checksum_type == 0 ? murmur3_32(bytes) : crc32c(bytes);
}

std::string encode(const LogEntry& entry, int checksum_type) {
  std::string bytes;
  bytes.reserve(kHeaderBytes + entry.payload.size());
  put_be64(&bytes, static_cast<uint64_t>(entry.term));
  put_u8(&bytes, static_cast<uint8_t>(entry.type));
  put_u8(&bytes, static_cast<uint8_t>(checksum_type));
  put_u8(&bytes, 0);
  put_u8(&bytes, 0);
  put_be32(&bytes, static_cast<uint32_t>(entry.payload.size()));
  put_be32(&bytes, sum_of(checksum_type, entry.payload));
  put_be32(&bytes, sum_of(checksum_type, bytes));
  bytes += entry.payload;
  return bytes;
}

// nullopt: the checksum of the header is wrong, or its type is unknown.
std::optional<Header> decode(std::string_view bytes) {
  Header header;
  header.term = static_cast<int64_t>(get_be64(bytes.data()));
  header.type = static_cast<unsigned char>(bytes[8]);
  header.checksum_type = static_cast<unsigned char>(bytes[9]);
  header.data_length = get_be32(bytes.data() + 12);
  header.data_checksum = get_be32(bytes.data() + 16);
  if (header.checksum_type > 1) return std::nullopt;
  const uint32_t stored = get_be32(bytes.data() + kHeaderSummed);
  if (stored != sum_of(header.checksum_type, bytes.substr(0, kHeaderSummed))) return std::nullopt;
  return header;
}

absl::Status refused(std::string_view path, std::string_view what) {
  return absl::DataLossError(cat(path, ": ", what));
}

}  // namespace

std::string LegacyLog::Segment::name() const {
  char text[64];
  if (open) {
    std::snprintf(text, sizeof text, "log_inprogress_%020lld", static_cast<long long>(first));
  } else {
    std::snprintf(text, sizeof text, "log_%020lld_%020lld", static_cast<long long>(first),
                  static_cast<long long>(last));
  }
  return text;
}

std::string LegacyLog::path_of(const Segment& segment) const {
  return families::join_path(directory_, segment.name());
}

absl::Status LegacyLog::save_meta(int64_t first_index) {
  proto::LogPBMeta meta;
  meta.set_first_log_index(first_index);
  return save_record(fs_, families::join_path(directory_, kLogMeta), meta);
}

// ------------------------------------------------------------------------------------ recovery

absl::StatusOr<std::unique_ptr<LegacyLog>> LegacyLog::open(families::FileSystem& fs,
                                                           const std::string& directory,
                                                           const LegacyLogOptions& options,
                                                           Errno* error) {
  std::unique_ptr<LegacyLog> log(new LegacyLog(fs, directory, options));
  QK_RETURN_IF_ERROR(log->init(error));
  return log;
}

absl::Status LegacyLog::init(Errno* error) {
  QK_RETURN_IF_ERROR(make_directory(fs_, directory_, error));
  const std::string meta_path = families::join_path(directory_, kLogMeta);
  proto::LogPBMeta meta;
  bool empty = false;
  if (load_record(fs_, meta_path, error, &meta)) {
    first_ = meta.first_log_index();
  } else if (error->value() == ENOENT) {
    empty = true;  // 6.4: whatever the reason was
  } else {
    return refused(meta_path, "cannot be read");
  }
  QK_RETURN_IF_ERROR(list_segments(empty));
  QK_RETURN_IF_ERROR(check_closed_segments());
  QK_RETURN_IF_ERROR(load_segments());
  if (!empty) return absl::OkStatus();
  first_ = 1;
  last_ = 0;
  return save_meta(1);
}

absl::Status LegacyLog::list_segments(bool empty) {
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_.list(directory_));
  for (const std::string& name : names) {
    if ((empty && name.starts_with("log_")) || name.ends_with(".tmp")) {
      QK_RETURN_IF_ERROR(fs_.unlink(families::join_path(directory_, name)));
      continue;
    }
    // Prefixes match, and the file without the rest of the name is opened then.
    long long first = 0;
    long long last = 0;
    if (std::sscanf(name.c_str(), "log_%20lld_%20lld", &first, &last) == 2) {
      closed_[first] = Segment{.first = first, .last = last, .entries = {}};
    } else if (std::sscanf(name.c_str(), "log_inprogress_%20lld", &first) == 1) {
      if (open_) return refused(directory_, "two open segments");
      open_ = Segment{.first = first, .open = true, .entries = {}};
    }
  }
  return absl::OkStatus();
}

absl::Status LegacyLog::check_closed_segments() {
  std::optional<int64_t> before;
  for (auto it = closed_.begin(); it != closed_.end();) {
    const Segment& segment = it->second;
    if (segment.first > segment.last) return refused(path_of(segment), "ends before it begins");
    if (before && segment.first != *before + 1) {
      return refused(path_of(segment), cat("does not follow index ", *before));
    }
    if (!before && first_ < segment.first) {
      return refused(path_of(segment), cat("the log begins at ", first_, ": a hole"));
    }
    if (!before && first_ > segment.last) {
      QK_RETURN_IF_ERROR(remove(segment));
      it = closed_.erase(it);
      continue;
    }
    before = segment.last;
    ++it;
  }
  return absl::OkStatus();  // a hole before the open segment is only logged (6.9)
}

absl::Status LegacyLog::load_segments() {
  for (auto& [first, segment] : closed_) {
    QK_RETURN_IF_ERROR(load(&segment));
    last_ = segment.last;
  }
  if (open_) {
    QK_RETURN_IF_ERROR(load(&*open_));
    if (first_ > open_->last_entry()) {
      QK_RETURN_IF_ERROR(remove(*open_));
      open_.reset();
      file_.reset();
    } else {
      last_ = open_->last_entry();
    }
  }
  if (last_ == 0) last_ = first_ - 1;
  return absl::OkStatus();
}

absl::Status LegacyLog::load(Segment* segment) {
  const std::string path = path_of(*segment);
  QK_ASSIGN_OR_RETURN(std::unique_ptr<File> file, fs_.open(path, {}));
  QK_ASSIGN_OR_RETURN(const uint64_t size, file->size());
  uint64_t offset = 0;
  while (offset < size) {
    QK_ASSIGN_OR_RETURN(const std::string head, read_bytes(*file, offset, kHeaderBytes));
    if (head.size() < kHeaderBytes) break;
    const std::optional<Header> header = decode(head);
    if (!header) return refused(path, cat("the header at offset ", offset, " is corrupted"));
    const uint64_t length = kHeaderBytes + header->data_length;
    if (offset + length > size) break;
    if (header->type == static_cast<int>(EntryType::kConfiguration)) {
      QK_ASSIGN_OR_RETURN(const std::string payload,
                          read_bytes(*file, offset + kHeaderBytes, header->data_length));
      // 6.7: it and all that follows are cut, without an error.
      if (sum_of(header->checksum_type, payload) != header->data_checksum) break;
      proto::ConfigurationPBMeta configuration;
      if (!configuration.ParseFromString(payload)) {
        return refused(path, cat("the configuration at offset ", offset, " does not parse"));
      }
    }
    segment->entries.push_back({offset, header->term});
    offset += length;
  }
  if (!segment->open && segment->last_entry() != segment->last) {
    return refused(path, cat("holds ", segment->entries.size(), " entries"));
  }
  if (offset != size) QK_RETURN_IF_ERROR(file->truncate(offset));
  segment->bytes = offset;
  if (segment->open) file_ = std::move(file);
  return absl::OkStatus();
}

// ------------------------------------------------------------------------------------- reading

const LegacyLog::Segment* LegacyLog::segment_of(int64_t index) const {
  if (open_ && index >= open_->first) return index <= open_->last_entry() ? &*open_ : nullptr;
  auto it = closed_.upper_bound(index);
  if (it == closed_.begin()) return nullptr;
  --it;
  return index <= it->second.last ? &it->second : nullptr;
}

absl::StatusOr<int64_t> LegacyLog::term(int64_t index) {
  QK_RETURN_IF_ERROR(families::check_index(directory_, {first_, last_}, index));
  const Segment* const segment = segment_of(index);
  if (segment == nullptr) return refused(directory_, cat("no segment holds index ", index));
  return segment->entries[static_cast<size_t>(index - segment->first)].term;
}

absl::StatusOr<LogEntry> LegacyLog::entry(int64_t index) {
  QK_RETURN_IF_ERROR(families::check_index(directory_, {first_, last_}, index));
  const Segment* const segment = segment_of(index);
  if (segment == nullptr) return refused(directory_, cat("no segment holds index ", index));
  return read(*segment, index);
}

absl::StatusOr<LogEntry> LegacyLog::read(const Segment& segment, int64_t index) {
  const std::string path = path_of(segment);
  std::unique_ptr<File> opened;
  if (!segment.open) {
    QK_ASSIGN_OR_RETURN(opened, fs_.open(path, {.read_only = true}));
  }
  File& file = segment.open ? *file_ : *opened;
  const size_t position = static_cast<size_t>(index - segment.first);
  const uint64_t offset = segment.entries[position].offset;
  const bool final = position + 1 == segment.entries.size();
  const uint64_t end = final ? segment.bytes : segment.entries[position + 1].offset;
  QK_ASSIGN_OR_RETURN(const std::string bytes, read_bytes(file, offset, end - offset));
  const std::string_view payload =
      std::string_view(bytes).substr(std::min(kHeaderBytes, bytes.size()));
  const auto header = bytes.size() < kHeaderBytes ? std::nullopt : decode(bytes);
  if (!header || header->data_length != payload.size() ||
      sum_of(header->checksum_type, payload) != header->data_checksum) {
    return refused(path, cat("the entry at offset ", offset, ", index ", index, ", is damaged"));
  }
  return LogEntry{index, header->term, static_cast<EntryType>(header->type), std::string(payload)};
}

absl::Status LegacyLog::scan(int64_t from, int64_t to, const Visitor& visit) {
  QK_RETURN_IF_ERROR(families::check_scan(directory_, {first_, last_}, from, to));
  for (int64_t index = from; index <= to; ++index) {
    QK_ASSIGN_OR_RETURN(const LogEntry found, entry(index));
    QK_RETURN_IF_ERROR(visit(found));
  }
  return absl::OkStatus();
}

// ----------------------------------------------------------------------------------- mutations

absl::Status LegacyLog::prepare_open_segment() {
  if (open_ && open_->bytes > options_.segment_size) {
    Segment closed = *open_;
    closed.open = false;
    closed.last = closed.last_entry();
    QK_RETURN_IF_ERROR(fs_.rename(path_of(*open_), path_of(closed)));
    closed_[closed.first] = std::move(closed);
    open_.reset();
  }
  if (open_) return absl::OkStatus();
  Segment fresh{.first = last_ + 1, .open = true, .entries = {}};
  QK_ASSIGN_OR_RETURN(file_, fs_.open(path_of(fresh), {.create = true, .truncate = true}));
  open_ = std::move(fresh);
  return absl::OkStatus();
}

absl::Status LegacyLog::append_entry(const LogEntry& entry) {
  QK_RETURN_IF_ERROR(prepare_open_segment());
  const std::string bytes = encode(entry, options_.murmur ? 0 : 1);
  QK_RETURN_IF_ERROR(file_->write_at(open_->bytes, bytes));
  open_->entries.push_back({open_->bytes, entry.term});
  open_->bytes += bytes.size();
  last_ = entry.index;
  return absl::OkStatus();
}

Outcome LegacyLog::append(std::span<const LogEntry> entries) {
  if (const absl::Status legal = families::check_append(directory_, last_ + 1, entries);
      !legal.ok()) {
    return Outcome::failed_clean(legal);
  }
  if (entries.empty()) return Outcome::success();
  for (size_t i = 0; i < entries.size(); ++i) {
    // It answers how many were appended, which are not synced then.
    if (const absl::Status status = append_entry(entries[i]); !status.ok()) {
      return Outcome::indeterminate(status, static_cast<int64_t>(i));
    }
  }
  // 6.1: of the last segment alone. 6.2: whatever it answers.
  file_->sync(families::SyncKind::kFull).IgnoreError();
  return Outcome::success(static_cast<int64_t>(entries.size()));
}

absl::Status LegacyLog::remove(const Segment& segment) {
  const std::string path = path_of(segment);
  const std::string doomed = cat(path, ".tmp");
  QK_RETURN_IF_ERROR(fs_.rename(path, doomed));
  return fs_.unlink(doomed);
}

absl::Status LegacyLog::drop_front(int64_t first, int64_t below) {
  QK_RETURN_IF_ERROR(save_meta(first));
  first_ = first;
  while (!closed_.empty() && closed_.begin()->second.last < below) {
    QK_RETURN_IF_ERROR(remove(closed_.begin()->second));
    closed_.erase(closed_.begin());
  }
  if (open_ && closed_.empty() && open_->last_entry() < below) {
    QK_RETURN_IF_ERROR(remove(*open_));
    open_.reset();
    file_.reset();
  }
  return absl::OkStatus();
}

Outcome LegacyLog::truncate_prefix(int64_t first_kept) {
  if (first_kept <= first_) return Outcome::success();
  const absl::Status status = drop_front(first_kept, first_kept);
  if (!status.ok()) return Outcome::indeterminate(status);
  last_ = std::max(last_, first_kept - 1);
  return Outcome::success();
}

Outcome LegacyLog::reset(int64_t next_index) {
  if (const absl::Status legal = families::check_reset(directory_, next_index); !legal.ok()) {
    return Outcome::failed_clean(legal);
  }
  const absl::Status status = drop_front(next_index, INT64_MAX);
  if (!status.ok()) return Outcome::indeterminate(status);
  last_ = next_index - 1;
  return Outcome::success();
}

absl::Status LegacyLog::cut(Segment* segment, int64_t last_kept) {
  if (segment->last_entry() <= last_kept) return absl::OkStatus();
  const size_t kept = static_cast<size_t>(last_kept + 1 - segment->first);
  if (!segment->open) {
    const std::string closed = path_of(*segment);
    segment->open = true;
    QK_RETURN_IF_ERROR(fs_.rename(closed, path_of(*segment)));
  }
  QK_ASSIGN_OR_RETURN(file_, fs_.open(path_of(*segment), {}));
  segment->bytes = segment->entries[kept].offset;
  segment->entries.resize(kept);
  return file_->truncate(segment->bytes);
}

Outcome LegacyLog::truncate_suffix(int64_t last_kept) {
  const families::LogRange before{first_, last_};
  if (const absl::Status legal = families::check_truncate_suffix(directory_, before, last_kept);
      !legal.ok()) {
    return Outcome::failed_clean(legal);
  }
  if (last_kept >= last_) return Outcome::success();
  last_ = last_kept;
  const auto carry_out = [&]() -> absl::Status {
    // Back to front, and everything if nothing is kept: the first index is in log_meta.
    const auto goes = [&](const Segment& segment) {
      return segment.first > last_kept || last_kept < first_;
    };
    if (open_ && goes(*open_)) {
      QK_RETURN_IF_ERROR(remove(*open_));
      open_.reset();
      file_.reset();
    }
    while (!closed_.empty() && goes(closed_.rbegin()->second)) {
      QK_RETURN_IF_ERROR(remove(closed_.rbegin()->second));
      closed_.erase(std::prev(closed_.end()));
    }
    if (open_) return cut(&*open_, last_kept);
    if (closed_.empty()) return absl::OkStatus();
    Segment& final = closed_.rbegin()->second;
    QK_RETURN_IF_ERROR(cut(&final, last_kept));
    if (final.open) {
      open_ = std::move(final);
      closed_.erase(std::prev(closed_.end()));
    }
    return absl::OkStatus();
  };
  const absl::Status status = carry_out();
  return status.ok() ? Outcome::success() : Outcome::indeterminate(status);
}

}  // namespace qk::sim::legacy
