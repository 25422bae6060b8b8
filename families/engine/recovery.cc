#include "families/engine/recovery.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "families/base/bytes.h"
#include "families/engine/log_scan.h"
#include "families/fs/file_util.h"

namespace qk::families {
namespace {

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return number;
}

// ---- MANIFEST

// What the edits of a MANIFEST have come to.
struct ManifestState {
  bool complete = false;   // the records that every MANIFEST begins with were seen
  uint64_t first_wal = 0;  // older ones are not needed
  uint64_t last_sequence = 0;
};

// Tags of RocksDB's VersionEdit whose values are numbers, in version_edit.h; they come first.
enum EditTag : uint64_t {
  kComparator = 1,
  kLogNumber = 2,
  kNextFileNumber = 3,
  kLastSequence = 4,
  kPrevLogNumber = 9,
  kMinLogNumberToKeep = 10,
  kMaxColumnFamily = 203,
  kDatabaseId = (1 << 13) + 1,
};

uint64_t read_varint(ByteReader* reader) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const uint8_t byte = reader->u8();
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return value;
}

// False if more than numbers follows: lists of files, which are at the end.
bool apply_edit(std::string_view head, ManifestState* state) {
  ByteReader reader(head);
  while (reader.ok() && reader.remaining() > 0) {
    const uint64_t tag = read_varint(&reader);
    if (tag == kComparator || tag == kDatabaseId) {
      reader.take(read_varint(&reader));
      continue;
    }
    const bool number = tag == kLogNumber || tag == kNextFileNumber || tag == kLastSequence ||
                        tag == kPrevLogNumber || tag == kMinLogNumberToKeep ||
                        tag == kMaxColumnFamily;
    if (!number) return false;
    const uint64_t value = read_varint(&reader);
    if (!reader.ok()) return false;
    if (tag == kLogNumber || tag == kMinLogNumberToKeep) {
      state->first_wal = std::max(state->first_wal, value);
    } else if (tag == kLastSequence) {
      state->last_sequence = std::max(state->last_sequence, value);
    } else if (tag == kNextFileNumber) {
      state->complete = true;
    }
  }
  return true;
}

absl::StatusOr<std::string> find_manifest(FileSystem& fs, const std::string& path) {
  const std::string current = join_path(path, "CURRENT");
  absl::StatusOr<std::string> content = read_file(fs, current, 64);
  if (absl::IsNotFound(content.status()) || absl::IsInvalidArgument(content.status())) {
    return absl::DataLossError(cat(current, ": ", to_std(content.status().message()),
                                   ", expected a file that names the MANIFEST"));
  }
  QK_RETURN_IF_ERROR(content.status());
  const std::string_view text = *content;
  constexpr std::string_view kPrefix = "MANIFEST-";
  if (!text.starts_with(kPrefix) || !text.ends_with('\n') ||
      !parse_number(text.substr(kPrefix.size(), text.size() - kPrefix.size() - 1))) {
    return absl::DataLossError(
        cat(current, ": found ", text.size(), " bytes, expected \"MANIFEST-\" and a number"));
  }
  const std::string manifest = join_path(path, text.substr(0, text.size() - 1));
  QK_ASSIGN_OR_RETURN(const bool found, exists(fs, manifest));
  if (!found) return absl::DataLossError(cat(manifest, ": is missing, and CURRENT names it"));
  return manifest;
}

// ---- Both kinds of logs

absl::Status rot(const std::string& path, const LogScan& scan, std::string_view why) {
  return absl::DataLossError(
      cat(path, ": offset ", *scan.damage_offset, ": ", scan.damage, "; ", why));
}

struct ScannedLog {
  std::string path;
  LogScan scan;
  bool has_changes = false;  // a WAL: a whole record holds some
};

// Cuts a torn tail off. The engine relies on the rest, and appends to other files: a record whose sync
// failed would leave a gap behind after the next power cut.
absl::Status make_whole(FileSystem& fs, const ScannedLog& log) {
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs.open(log.path, {}));
  if (log.scan.damage_offset) QK_RETURN_IF_ERROR(file->truncate(log.scan.intact_end));
  return write_again(*file);
}

absl::Status check_no_record_behind(const std::string& path, const LogScan& scan) {
  if (!scan.record_behind) return absl::OkStatus();
  return rot(path, scan,
             cat("a whole record follows at offset ", *scan.record_behind,
                 ", so this is corruption, not a torn tail"));
}

absl::StatusOr<LogScan> scan_manifest(FileSystem& fs, const std::string& path,
                                      ManifestState* state) {
  const auto visit = [&](uint64_t, std::string_view head) {
    apply_edit(head, state);
    return absl::OkStatus();
  };
  // The edit of a flush is followed, before the sync, by one that drops its WAL: such an edit may
  // outlive the torn one before it, and is not a sign of rot.
  const auto lists_files = [](std::string_view head) {
    ManifestState ignored;
    return !apply_edit(head, &ignored);
  };
  QK_ASSIGN_OR_RETURN(LogScan scan, scan_log(fs, path, visit, lists_files));
  QK_RETURN_IF_ERROR(check_no_record_behind(path, scan));
  if (!state->complete) {
    return absl::DataLossError(cat(path, ": found ", scan.intact_end, " whole bytes of ", scan.size,
                                   ", expected at least the state that it begins with"));
  }
  return scan;
}

// ---- WALs

constexpr size_t kBatchHeaderBytes = 8 + 4;  // sequence number of the first change, their count

// The record's range of sequence numbers, [first, end).
struct Sequences {
  explicit Sequences(std::string_view head)
      : first(get_le64(head.data())), end(first + get_le32(head.data() + 8)) {}
  uint64_t first;
  uint64_t end;
};

std::string wal_path(const std::string& path, uint64_t number) {
  std::string digits = cat(number);
  if (digits.size() < 6) digits.insert(0, 6 - digits.size(), '0');
  return join_path(path, cat(digits, ".log"));
}

// Numbers, ascending.
absl::StatusOr<std::vector<uint64_t>> list_wals(FileSystem& fs, const std::string& path) {
  std::vector<uint64_t> numbers;
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(path));
  for (const std::string& name : names) {
    if (const std::optional<uint64_t> number = wal_number(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

// `next`, unless this is the first WAL, is the sequence number that must follow.
absl::StatusOr<ScannedLog> scan_wal(FileSystem& fs, const std::string& path, uint64_t last_sequence,
                                    std::optional<uint64_t>* next) {
  ScannedLog wal;
  wal.path = path;
  const auto visit = [&](uint64_t offset, std::string_view head) {
    if (head.size() < kBatchHeaderBytes) {
      return absl::DataLossError(cat(path, ": offset ", offset, ": a record of ", head.size(),
                                     " bytes, expected at least ", kBatchHeaderBytes));
    }
    const Sequences found(head);
    // The first WAL may begin before the end of what was flushed while it was written.
    if (*next ? found.first != **next : found.first > last_sequence + 1) {
      return absl::DataLossError(cat(path, ": offset ", offset, ": sequence number ", found.first,
                                     ", expected ", *next ? "" : "at most ",
                                     next->value_or(last_sequence + 1),
                                     "; changes between them are missing"));
    }
    *next = found.end;
    wal.has_changes |= found.end > found.first;
    return absl::OkStatus();
  };
  const auto is_ours = [&](std::string_view head) {
    return head.size() >= kBatchHeaderBytes &&
           Sequences(head).first >= next->value_or(last_sequence + 1);
  };
  QK_ASSIGN_OR_RETURN(wal.scan, scan_log(fs, path, visit, is_ours));
  QK_RETURN_IF_ERROR(check_no_record_behind(path, wal.scan));
  return wal;
}

// The WAL that the mark names holds acknowledged changes.
absl::Status check_named(const std::string& path, const std::vector<ScannedLog>& wals) {
  const auto found = std::find_if(wals.begin(), wals.end(),
                                  [&](const ScannedLog& wal) { return wal.path == path; });
  if (found != wals.end() && found->has_changes) return absl::OkStatus();
  return absl::DataLossError(
      cat(path, ": ",
          found == wals.end() ? std::string("is missing")
                              : cat("found ", found->scan.size, " bytes without a whole commit"),
          ", expected a write-ahead log with at least its first commit: acknowledged changes are "
          "lost"));
}

}  // namespace

std::optional<uint64_t> wal_number(std::string_view path) {
  constexpr std::string_view kSuffix = ".log";
  std::string_view name = base_name(path);
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  return parse_number(name);
}

absl::StatusOr<RecoveredLogs> recover_logs(FileSystem& fs, const std::string& path,
                                           std::optional<uint64_t> named) {
  // Nothing is changed before all was found to be in order.
  QK_ASSIGN_OR_RETURN(const std::string manifest, find_manifest(fs, path));
  ManifestState state;
  QK_ASSIGN_OR_RETURN(const LogScan manifest_scan, scan_manifest(fs, manifest, &state));
  QK_ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, list_wals(fs, path));
  std::vector<ScannedLog> wals;
  RecoveredLogs recovered;
  std::optional<uint64_t> next;  // sequence number
  for (const uint64_t number : numbers) {
    const std::string wal = wal_path(path, number);
    if (number < state.first_wal) {
      recovered.obsolete_wals.push_back(wal);
      continue;
    }
    QK_ASSIGN_OR_RETURN(ScannedLog scanned, scan_wal(fs, wal, state.last_sequence, &next));
    if (scanned.scan.damage_offset && number != numbers.back()) {
      return rot(wal, scanned.scan, "a newer WAL exists, so this is corruption, not a torn tail");
    }
    recovered.wal_bytes += scanned.scan.intact_end;
    wals.push_back(std::move(scanned));
  }
  recovered.wals = wals.size();
  if (named && *named >= state.first_wal) {
    QK_RETURN_IF_ERROR(check_named(wal_path(path, *named), wals));
  }

  QK_RETURN_IF_ERROR(make_whole(fs, {manifest, manifest_scan, false}));
  for (const ScannedLog& wal : wals) QK_RETURN_IF_ERROR(make_whole(fs, wal));
  return recovered;
}

}  // namespace qk::families
