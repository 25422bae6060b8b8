// Opening a legacy log directory: what a crash may have left is finished or cut, what only damage
// explains is an error. Nothing is changed before the whole directory was understood.
//
// The rules, in order (braft-local-format 2.2, with the differences marked *):
//   1. log_meta must be whole *. Missing: NotFound if the directory holds no segment, otherwise
//      DataLoss * (braft deletes the log).
//   2. Leftovers of interrupted removals (`log_*.tmp`) go.
//   3. A truncation noted in log_meta is finished *: whole segments above the cut go by name.
//   4. Closed segments that end below first_log_index go; the rest must be contiguous, begin at or
//      below first_log_index, and hold exactly the entries that their names say. Every header is
//      checked, and the payload of every configuration entry.
//   5. Two open segments: the later one is empty, an interrupted roll *, and goes. The open one
//   must
//      follow the last closed one without a hole *. All its checksums are verified *.
//   6. The open segment may end in one torn entry: incomplete, or with a wrong checksum and no
//   intact
//      entry behind it. It is cut. So is a tail of zeros *, which is how an unsynced append looks
//      whose size reached the disk before its bytes (braft refuses it). Damage with an intact entry
//      behind it is a torn batch only if a whole 512-byte sector inside the damaged entry is zero
//      *; then the batch is cut there. Otherwise it is rot, and an error. The one thing that this
//      cannot tell from a torn batch is a sector of synced entries that was zeroed later: the
//      format has no commit mark.
//   7. An open segment that ends below first_log_index goes.
//   8. Everything that is now visible is synced, so a power cut right after open loses none of it
//      (Durability::kStrict).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "families/local/durability.h"
#include "families/local/segment.h"

namespace qk::families::local {

inline constexpr std::string_view kLogMetaName = "log_meta";

struct LogMeta {
  int64_t first_index = 1;
  // A truncation in progress: entries above are gone.
  std::optional<int64_t> truncate_after;
};
// Atomic, and durable as far as the mode goes.
absl::Status save_log_meta(FileSystem& fs, const std::string& directory, const LogMeta& meta,
                           Durability durability);

struct RecoveredLog {
  LogMeta meta;  // truncate_after is kept: the caller finishes cutting inside a segment
  std::deque<Segment> segments;
};
absl::StatusOr<RecoveredLog> recover_log(FileSystem& fs, const std::string& directory,
                                         Durability durability);

}  // namespace qk::families::local
