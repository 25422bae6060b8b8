// Damage in the open segment: whether it is the torn end of the log, which recovery may cut, or
// corruption, which it must not touch.
//
// An unacknowledged append may leave anything after the last acknowledged entry, of each sector
// its new or its old bytes. If no intact entry follows the first damaged one, it is a torn end. If
// one follows, it is a torn batch only inside the range that a batch note names (private_notes.h),
// and only if a whole sector of the damaged entry was not written. The bytes alone are not
// evidence: a payload may hold zeros, and an acknowledged entry may rot.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "families/fs/file_system.h"
#include "families/local/segment.h"

namespace qk::families::local {

// The first entry of a segment that is not intact; all before it are.
struct Damage {
  uint64_t offset = 0;
  int64_t index = 0;
  uint64_t entry_end = 0;  // as far as it is known
  absl::Status status;
};

// Whether `status` says that bytes were read and are not an entry. What else fails is not evidence.
bool is_damage(const absl::Status& status);

// The damage that `status`, of reading the entry at `offset`, reports; `status` itself if it is
// an error of another kind.
absl::StatusOr<Damage> damage_at(FileWindow& window, uint64_t offset, int64_t index,
                                 const absl::Status& status);

// Where a batch may have been torn: [begin, end).
struct TornRange {
  uint64_t begin = 0;
  uint64_t end = 0;
};

// OK if the damage is the torn end of the log. DataLoss names both places if an intact entry
// follows that no torn batch explains.
absl::Status judge_damage(File* file, FileWindow& window, const Damage& damage,
                          const std::optional<TornRange>& torn_range);

// Whether the header of an entry, with a right checksum, begins anywhere in `bytes`.
bool holds_header(std::string_view bytes);

}  // namespace qk::families::local
