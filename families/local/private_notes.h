// Private notes: what this family remembers in a log directory beside braft's own files.
//
// braft unlinks every name in the log directory that ends in ".tmp" when it starts, before it
// writes anything, so the notes end with its turn. They do not begin with "log_", so braft never
// takes them for a part of the log. Each has its own checksum; one that is torn, unknown or of
// another segment is void, and a void note is never an error.
//
//   qksim_batch.tmp        Which range of the open segment may hold a batch that was not
//                          acknowledged. Only inside it may an intact entry follow a torn one.
//   qksim_truncation.tmp   A truncation or reset of several files in progress.
//
// A batch note is one sector, replaced in place. It is synced before the first batch that needs it,
// for a range much longer than that batch; while the range lasts, each acknowledged batch moves
// `acknowledged` on without a sync. After a process crash it is therefore exact. After a power cut
// any older version may be there: that one names a longer range, with the torn batch inside.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "families/fs/file_system.h"
#include "families/local/segment.h"

namespace qk::families::local {

inline constexpr std::string_view kBatchNoteName = "qksim_batch.tmp";
inline constexpr std::string_view kTruncationNoteName = "qksim_truncation.tmp";

// What the disk writes as a whole or not at all.
inline constexpr uint64_t kSector = 512;

struct BatchNote {
  int64_t segment = 0;        // first index of the open segment
  uint64_t acknowledged = 0;  // offset where the next batch begins; all before it is synced
  uint64_t end = 0;           // no unacknowledged byte lies at or above this offset
};
// One sector.
std::string encode_batch_note(const BatchNote& note);
// nullopt: there is none, or it is void.
absl::StatusOr<std::optional<BatchNote>> load_batch_note(FileSystem& fs,
                                                         const std::string& directory);

// A segment as a truncation found it.
struct NotedSegment {
  SegmentName name;
  uint64_t file_size = 0;
  // Offset and header checksum of its last entry; 0 if it holds none.
  uint64_t last_offset = 0;
  uint32_t last_checksum = 0;
};

struct TruncationNote {
  int64_t first_before = 1;  // first_log_index that it found
  int64_t first = 1;         // and the one that it sets
  int64_t last_kept = 0;     // first - 1: nothing is kept
  uint64_t cut_size = 0;     // what is left of the segment that holds last_kept
  // Those that it removes or cuts, by first index.
  std::vector<NotedSegment> segments;

  bool removes(const SegmentName& name) const {
    return last_kept < first || name.first > last_kept;
  }
};
std::string encode_truncation_note(const TruncationNote& note);
absl::StatusOr<std::optional<TruncationNote>> load_truncation_note(FileSystem& fs,
                                                                   const std::string& directory);

// What file and last entry of a segment are now. `segment` tells where to look.
absl::StatusOr<NotedSegment> note_segment(FileSystem& fs, const std::string& directory,
                                          const Segment& segment);
// Whether the file `now` is the noted one, unchanged under its own or its open name.
absl::StatusOr<bool> is_unchanged(FileSystem& fs, const std::string& directory,
                                  const SegmentName& now, const NotedSegment& noted);

}  // namespace qk::families::local
