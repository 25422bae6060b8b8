#include "families/local/log_recovery.h"

#include <algorithm>
#include <array>
#include <vector>

#include "families/fs/file_util.h"
#include "families/local/local.pb.h"
#include "families/local/protobuf_file.h"

namespace qk::families::local {
namespace {

constexpr uint64_t kSector = 512;
constexpr std::string_view kLogPrefix = "log_";
constexpr std::string_view kTemporarySuffix = ".tmp";

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}
bool ends_with(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

struct Listing {
  std::vector<SegmentName> closed;  // by first index
  std::vector<SegmentName> open;
  std::vector<std::string> leftovers;
};

// A file that braft would take for a segment (it matches prefixes) but whose name is not one: to
// pass over it could hide entries.
bool looks_like_segment(std::string_view name) {
  if (starts_with(name, "log_inprogress_")) return true;
  return name.size() > kLogPrefix.size() && starts_with(name, kLogPrefix) &&
         name[kLogPrefix.size()] >= '0' && name[kLogPrefix.size()] <= '9';
}

absl::StatusOr<Listing> list_log(FileSystem& fs, const std::string& directory) {
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(directory));
  Listing listing;
  for (const std::string& name : names) {
    if (starts_with(name, kLogPrefix) && ends_with(name, kTemporarySuffix)) {
      listing.leftovers.push_back(name);
      continue;
    }
    const auto segment = parse_segment_name(name);
    if (!segment) {
      if (!looks_like_segment(name)) continue;
      return absl::DataLossError(
          cat(join_path(directory, name), ": looks like a log segment, but its name is not one"));
    }
    if (!segment->open && segment->last < segment->first) {
      return absl::DataLossError(cat(join_path(directory, name), ": last index ", segment->last,
                                     " is below first index ", segment->first));
    }
    (segment->open ? listing.open : listing.closed).push_back(*segment);
  }
  // Names sort by first index because the digits are padded.
  return listing;
}

absl::StatusOr<LogMeta> load_log_meta(FileSystem& fs, const std::string& directory,
                                      const Listing& listing) {
  const std::string path = join_path(directory, kLogMetaName);
  proto::LogPBMeta message;
  const absl::Status loaded = load_protobuf_file(fs, path, &message);
  if (absl::IsNotFound(loaded) && listing.closed.size() + listing.open.size() > 0) {
    return absl::DataLossError(cat(path, ": missing, but there are ", listing.closed.size(),
                                   " closed and ", listing.open.size(), " open segments"));
  }
  QK_RETURN_IF_ERROR(loaded);
  LogMeta meta;
  meta.first_index = message.first_log_index();
  if (meta.first_index < 1) {
    return absl::DataLossError(
        cat(path, ": first_log_index ", meta.first_index, ", expected at least 1"));
  }
  if (message.has_truncate_after()) {
    meta.truncate_after = message.truncate_after();
    if (*meta.truncate_after < meta.first_index - 1) {
      return absl::DataLossError(cat(path, ": truncate_after ", *meta.truncate_after,
                                     ", expected at least ", meta.first_index - 1));
    }
  }
  return meta;
}

bool all_zero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

// One open segment whose entries are intact up to `offset`.
struct Damage {
  uint64_t offset = 0;
  int64_t index = 0;
  uint64_t entry_end = 0;  // as far as it is known
  absl::Status status;
};

// Offset of the first intact entry at or behind `from`, by trying every byte.
absl::StatusOr<std::optional<uint64_t>> find_intact_entry(FileWindow& window, uint64_t from) {
  for (uint64_t offset = from; offset + kEntryHeaderSize <= window.file_size(); ++offset) {
    QK_ASSIGN_OR_RETURN(const std::string_view bytes, window.read(offset, kEntryHeaderSize));
    // Cheap refusals first: entry type, checksum type, reserved.
    if (bytes[8] < 1 || bytes[8] > 3 || bytes[9] < 0 || bytes[9] > 1 || bytes[10] != 0 ||
        bytes[11] != 0) {
      continue;
    }
    const auto entry = read_raw_entry(window, offset, 0, ReadPayload::kYes);
    if (entry.ok()) return std::optional<uint64_t>(offset);
    if (!absl::IsDataLoss(entry.status()) && !absl::IsOutOfRange(entry.status()) &&
        !absl::IsInvalidArgument(entry.status())) {
      return entry.status();
    }
  }
  return std::optional<uint64_t>();
}

// Whether some sector inside the damaged entry was never written. A sector that holds just the
// leading bytes of the term proves nothing: they are zero in a good entry too.
absl::StatusOr<bool> has_lost_sector(FileWindow& window, const Damage& damage) {
  constexpr uint64_t kSurelyNonZero = 8;  // offset of the entry type
  for (uint64_t sector = damage.offset / kSector * kSector; sector < damage.entry_end;
       sector += kSector) {
    const uint64_t begin = std::max(sector, damage.offset);
    const uint64_t end = std::min(sector + kSector, window.file_size());
    if (end <= damage.offset + kSurelyNonZero) continue;
    QK_ASSIGN_OR_RETURN(const std::string_view bytes, window.read(begin, end - begin));
    if (all_zero(bytes)) return true;
  }
  return false;
}

absl::Status judge_damage(FileWindow& window, const Damage& damage) {
  if (absl::IsInvalidArgument(damage.status)) return as_data_loss(damage.status);
  if (!absl::IsOutOfRange(damage.status) && !absl::IsDataLoss(damage.status)) return damage.status;
  const uint64_t behind = std::max(damage.entry_end, damage.offset + 1);
  QK_ASSIGN_OR_RETURN(const std::optional<uint64_t> intact, find_intact_entry(window, behind));
  if (!intact) return absl::OkStatus();
  QK_ASSIGN_OR_RETURN(const bool lost_sector, has_lost_sector(window, damage));
  if (lost_sector) return absl::OkStatus();
  return absl::DataLossError(cat(to_std(damage.status.message()),
                                 "; an intact entry follows at offset ", *intact,
                                 ", so this is no torn end of the log"));
}

class Recovery {
 public:
  Recovery(FileSystem& fs, const std::string& directory, Durability durability)
      : fs_(fs), directory_(directory), durability_(durability) {}

  absl::StatusOr<RecoveredLog> run() {
    QK_ASSIGN_OR_RETURN(Listing listing, list_log(fs_, directory_));
    QK_ASSIGN_OR_RETURN(log_.meta, load_log_meta(fs_, directory_, listing));
    doomed_ = std::move(listing.leftovers);
    drop_obsolete(&listing.closed);
    drop_obsolete(&listing.open);
    for (const SegmentName& name : listing.closed) QK_RETURN_IF_ERROR(load_closed(name));
    QK_RETURN_IF_ERROR(drop_interrupted_roll(&listing.open));
    for (const SegmentName& name : listing.open) QK_RETURN_IF_ERROR(load_open(name));
    for (const std::string& name : doomed_) {
      QK_RETURN_IF_ERROR(fs_.unlink(join_path(directory_, name)));
    }
    QK_RETURN_IF_ERROR(sync_names(fs_, directory_, durability_));
    return std::move(log_);
  }

 private:
  std::string path_of(const SegmentName& name) const {
    return join_path(directory_, name.to_string());
  }

  absl::Status sync_found(File& file) const {
    return durability_ == Durability::kStrict ? file.sync(SyncKind::kData) : absl::OkStatus();
  }

  // Segments that a truncation already gave up, and that can be judged by their names alone.
  void drop_obsolete(std::vector<SegmentName>* names) {
    std::vector<SegmentName> kept;
    for (const SegmentName& name : *names) {
      const bool below = !name.open && name.last < log_.meta.first_index;
      const bool above = log_.meta.truncate_after && name.first > *log_.meta.truncate_after;
      if (below || above) {
        doomed_.push_back(name.to_string());
      } else {
        kept.push_back(name);
      }
    }
    *names = std::move(kept);
  }

  absl::Status drop_interrupted_roll(std::vector<SegmentName>* open) {
    if (open->size() < 2) return absl::OkStatus();
    const std::string path = path_of(open->back());
    QK_ASSIGN_OR_RETURN(const FileStat stat, fs_.stat(path));
    if (open->size() > 2 || stat.size > 0) {
      return absl::DataLossError(cat(directory_, ": found ", open->size(),
                                     " open segments, the last one of ", stat.size,
                                     " bytes; expected at most one"));
    }
    doomed_.push_back(open->back().to_string());
    open->pop_back();
    return absl::OkStatus();
  }

  absl::Status check_contiguous(const SegmentName& name) const {
    if (log_.segments.empty()) {
      if (name.first <= log_.meta.first_index) return absl::OkStatus();
      return absl::DataLossError(cat(path_of(name), ": first segment begins at index ", name.first,
                                     ", expected at most ", log_.meta.first_index));
    }
    const int64_t expected = log_.segments.back().last() + 1;
    if (name.first == expected) return absl::OkStatus();
    return absl::DataLossError(
        cat(path_of(name), ": begins at index ", name.first, ", expected ", expected));
  }

  // Adds entries from offset 0 until the name's last index (closed) or the end of the file (open).
  // nullopt: all of them were intact.
  absl::StatusOr<std::optional<Damage>> load_entries(Segment* segment, FileWindow& window) {
    const bool open = segment->open();
    while (open ? segment->size() < window.file_size() : segment->last() < segment->name().last) {
      const uint64_t offset = segment->size();
      const int64_t index = segment->last() + 1;
      auto entry = read_raw_entry(window, offset, index, ReadPayload::kNo);
      if (!entry.ok()) return damage_at(window, offset, index, entry.status());
      const EntryHeader header = entry->header;
      const bool configuration = header.type == EntryType::kConfiguration;
      if (open || configuration) {
        entry = read_raw_entry(window, offset, index, ReadPayload::kYes);
        if (!entry.ok()) return damage_at(window, offset, index, entry.status());
      }
      if (configuration) {
        const auto decoded = decode_configuration(entry->payload);
        if (!decoded.ok()) {
          return annotate(decoded.status(),
                          cat(window.path(), ", offset ", offset, ", index ", index));
        }
      }
      segment->add(header.term, header.entry_size());
    }
    return std::optional<Damage>();
  }

  static std::optional<Damage> damage_at(FileWindow& window, uint64_t offset, int64_t index,
                                         const absl::Status& status) {
    Damage damage{offset, index, offset + kEntryHeaderSize, status};
    // A good header says how far its torn entry reaches.
    if (damage.entry_end <= window.file_size()) {
      const auto bytes = window.read(offset, kEntryHeaderSize);
      const auto header = bytes.ok() ? decode_header(*bytes) : bytes.status();
      if (header.ok()) damage.entry_end = offset + header->entry_size();
    }
    damage.entry_end = std::min(damage.entry_end, window.file_size());
    return damage;
  }

  absl::Status load_closed(const SegmentName& name) {
    QK_RETURN_IF_ERROR(check_contiguous(name));
    const std::string path = path_of(name);
    QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs_.open(path, {.read_only = true}));
    QK_ASSIGN_OR_RETURN(const uint64_t file_size, file->size());
    FileWindow window(file.get(), path, file_size);
    Segment segment(name);
    QK_ASSIGN_OR_RETURN(const std::optional<Damage> damage, load_entries(&segment, window));
    if (damage) return as_data_loss(damage->status);
    const uint64_t stray = file_size - segment.size();
    if (stray >= kEntryHeaderSize) {
      return absl::DataLossError(cat(path, ", offset ", segment.size(), ": found ", stray,
                                     " bytes behind index ", name.last, ", expected none"));
    }
    QK_RETURN_IF_ERROR(sync_found(*file));
    log_.segments.push_back(std::move(segment));
    return absl::OkStatus();
  }

  absl::Status load_open(const SegmentName& name) {
    QK_RETURN_IF_ERROR(check_contiguous(name));
    const std::string path = path_of(name);
    QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs_.open(path, {}));
    QK_ASSIGN_OR_RETURN(const uint64_t file_size, file->size());
    FileWindow window(file.get(), path, file_size);
    Segment segment(name);
    QK_ASSIGN_OR_RETURN(const std::optional<Damage> damage, load_entries(&segment, window));
    if (damage) {
      QK_RETURN_IF_ERROR(judge_damage(window, *damage));
      QK_RETURN_IF_ERROR(file->truncate(segment.size()));
    }
    QK_RETURN_IF_ERROR(sync_found(*file));
    if (segment.last() < log_.meta.first_index) {
      doomed_.push_back(name.to_string());
    } else {
      log_.segments.push_back(std::move(segment));
    }
    return absl::OkStatus();
  }

  FileSystem& fs_;
  const std::string& directory_;
  const Durability durability_;
  RecoveredLog log_;
  std::vector<std::string> doomed_;  // removed last, when nothing can be refused any more
};

}  // namespace

absl::Status save_log_meta(FileSystem& fs, const std::string& directory, const LogMeta& meta,
                           Durability durability) {
  proto::LogPBMeta message;
  message.set_first_log_index(meta.first_index);
  if (meta.truncate_after) message.set_truncate_after(*meta.truncate_after);
  return save_protobuf_file(fs, join_path(directory, kLogMetaName), message, durability);
}

absl::StatusOr<RecoveredLog> recover_log(FileSystem& fs, const std::string& directory,
                                         Durability durability) {
  return Recovery(fs, directory, durability).run();
}

}  // namespace qk::families::local
