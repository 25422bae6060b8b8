#include "families/local/log_damage.h"

#include <algorithm>
#include <cstring>

#include "families/local/private_notes.h"

namespace qk::families::local {
namespace {

// Offsets in a header.
constexpr size_t kType = 8;
constexpr size_t kChecksumType = 9;
constexpr size_t kReserved = 10;

// Payload bytes that a search checks, per byte that it searches. In a log each byte belongs to one
// entry; only entries inside payloads, and files made for it, go beyond 1.
constexpr uint64_t kSearchBudget = 16;

bool all_zero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

// Position of the first header with a right checksum.
std::optional<size_t> find_header(std::string_view bytes, EntryHeader* header) {
  for (size_t i = 0; i + kEntryHeaderSize <= bytes.size(); ++i) {
    const char* const p = bytes.data() + i;
    // The cheap refusals first. In zeros the type is 0, whatever the position.
    if (p[kType] == 0) {
      uint64_t word = 0;
      std::memcpy(&word, p + kType, sizeof word);
      if (word == 0) i += sizeof word - 1;
      continue;
    }
    if (p[kType] > 3 || p[kType] < 1 || p[kChecksumType] < 0 || p[kChecksumType] > 1 ||
        p[kReserved] != 0 || p[kReserved + 1] != 0) {
      continue;
    }
    if (try_decode_header(p, header)) return i;
  }
  return std::nullopt;
}

struct FoundEntry {
  uint64_t offset = 0;
  int64_t term = 0;
};

// The first intact entry at or after `from`, wherever it begins. DataLoss: so many headers were
// found without their payload that this cannot be decided.
absl::StatusOr<std::optional<FoundEntry>> find_intact_entry(File* file, const std::string& path,
                                                            uint64_t file_size, uint64_t from) {
  // Two windows, so that a look at a payload does not move the search.
  FileWindow search(file, path, file_size);
  FileWindow payloads(file, path, file_size);
  uint64_t budget = kSearchBudget * (file_size - std::min(from, file_size));
  for (uint64_t offset = from; offset + kEntryHeaderSize <= file_size;) {
    // A header may begin in a hole and end after it.
    QK_ASSIGN_OR_RETURN(const uint64_t data, file->skip_hole(offset));
    if (data >= offset + kEntryHeaderSize) {
      offset = data - kEntryHeaderSize + 1;
      continue;
    }
    QK_RETURN_IF_ERROR(search.read(offset, kEntryHeaderSize).status());
    const std::string_view held = search.held(offset);
    EntryHeader header;
    const std::optional<size_t> found = find_header(held, &header);
    if (!found) {
      offset += held.size() - kEntryHeaderSize + 1;
      continue;
    }
    offset += *found;
    if (header.entry_size() <= file_size - offset) {
      if (header.data_length > budget) {
        return absl::DataLossError(cat(path, ", offset ", offset,
                                       ": too many headers without their payload, expected at most "
                                       "one for each entry"));
      }
      budget -= header.data_length;
      QK_ASSIGN_OR_RETURN(const std::string_view payload,
                          payloads.read(offset + kEntryHeaderSize, header.data_length));
      if (payload_intact(header, payload)) {
        return std::optional<FoundEntry>({offset, header.term});
      }
    }
    ++offset;
  }
  return std::optional<FoundEntry>();
}

// Whether some sector of the damaged entry was never written: it holds zeros, as the file did when
// it grew.
absl::StatusOr<bool> has_lost_sector(FileWindow& window, const Damage& damage) {
  for (uint64_t sector = damage.offset / kSector * kSector; sector < damage.entry_end;
       sector += kSector) {
    const uint64_t begin = std::max(sector, damage.offset);
    const uint64_t end = std::min(sector + kSector, window.file_size());
    QK_ASSIGN_OR_RETURN(const std::string_view bytes, window.read(begin, end - begin));
    if (all_zero(bytes)) return true;
  }
  return false;
}

}  // namespace

bool is_damage(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsOutOfRange(status) || absl::IsInvalidArgument(status);
}

absl::StatusOr<Damage> damage_at(FileWindow& window, uint64_t offset, int64_t index,
                                 const absl::Status& status) {
  if (!is_damage(status)) return status;
  Damage damage{offset, index, offset + kEntryHeaderSize, status};
  // A good header says how far its torn entry reaches.
  if (damage.entry_end <= window.file_size()) {
    QK_ASSIGN_OR_RETURN(const std::string_view bytes, window.read(offset, kEntryHeaderSize));
    const auto header = decode_header(bytes);
    if (header.ok()) damage.entry_end = offset + header->entry_size();
  }
  damage.entry_end = std::min(damage.entry_end, window.file_size());
  return damage;
}

absl::Status judge_damage(File* file, FileWindow& window, const Damage& damage,
                          const std::optional<TornRange>& torn_range) {
  // A right checksum over an impossible field.
  if (absl::IsInvalidArgument(damage.status)) return as_data_loss(damage.status);
  if (torn_range && torn_range->begin <= damage.offset && damage.offset < torn_range->end) {
    QK_ASSIGN_OR_RETURN(const bool lost_sector, has_lost_sector(window, damage));
    if (lost_sector) return absl::OkStatus();
  }
  const uint64_t after = std::max(damage.entry_end, damage.offset + 1);
  QK_ASSIGN_OR_RETURN(const std::optional<FoundEntry> intact,
                      find_intact_entry(file, window.path(), window.file_size(), after));
  if (!intact) return absl::OkStatus();
  return absl::DataLossError(cat(to_std(damage.status.message()),
                                 "; an intact entry follows at offset ", intact->offset, " (term ",
                                 intact->term, "), so this is corruption, not a torn end"));
}

bool holds_header(std::string_view bytes) {
  EntryHeader header;
  return find_header(bytes, &header).has_value();
}

}  // namespace qk::families::local
