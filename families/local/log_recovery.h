// Opening a legacy log directory: what a crash may have left is finished or cut, what only damage
// explains is an error. Nothing is changed before the whole directory was understood.
//
// The rules, in order (braft-local-format.md 2.2, with the differences marked *):
//   1. log_meta must be whole *. Missing: NotFound if the directory holds no segment, otherwise
//      DataLoss * (braft deletes the log).
//   2. Leftovers of interrupted removals (`log_*.tmp`) go.
//   3. A truncation noted in a private note is finished * if all that it has yet to remove or cut
//      is as it found it. Otherwise others have written since, and the note is void.
//   4. Closed segments that end below first_log_index go; the rest must be contiguous, begin at or
//      below first_log_index, and hold exactly the entries that their names say. Every header is
//      checked, and the payload of every configuration entry.
//   5. Two open segments: the later one is empty, an interrupted roll *, and goes. The open one
//      must follow the last closed one without a hole *. All its checksums are verified *.
//   6. The open segment may end in torn entries: incomplete, or with a wrong checksum, or zeros *
//      (which is how an unsynced append looks whose size reached the disk before its bytes; braft
//      refuses it), and no intact entry after them. They are cut. Damage with an intact entry after
//      it is a torn batch only where a batch note allows one, and a whole 512-byte sector inside
//      the damaged entry is zero *; then the batch is cut there. Otherwise it is corruption, and an
//      error that names both places (log_damage.h). What cannot be told from a torn end is damage
//      to the last acknowledged entries: the format has no commit mark.
//   7. An open segment that ends below first_log_index goes.
//   8. Before anything is removed because of log_meta or a note, both are synced: the process that
//      wrote them may have died before it did that, and a power cut could take them back alone.
//   9. Everything that is now visible is synced, so a power cut right after open loses none of it.
//      Then the private notes go (private_notes.h).
//
// An error of a call of the file system is never evidence: it ends the open, and nothing is
// changed.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "families/local/segment.h"

namespace qk::families::local {

inline constexpr std::string_view kLogMetaName = "log_meta";

// Atomic and durable.
absl::Status save_log_meta(FileSystem& fs, const std::string& directory, int64_t first_index);

// The file operations of a truncation or reset of several files.
struct TruncationPlan {
  std::optional<int64_t> first;      // what log_meta must say first
  std::vector<SegmentName> removed;  // by first index; removed from the back
  std::optional<SegmentName> cut;    // as it is named now; left open, with `cut_size` bytes
  uint64_t cut_size = 0;
  int64_t last_kept = 0;  // where the cut segment ends

  bool removes(const SegmentName& name) const;
};
// Each step that a crash must not see before the one above it is synced first.
absl::Status carry_out(FileSystem& fs, const std::string& directory, const TruncationPlan& plan);

struct RecoveredLog {
  int64_t first_index = 1;
  std::deque<Segment> segments;
};
absl::StatusOr<RecoveredLog> recover_log(FileSystem& fs, const std::string& directory);

}  // namespace qk::families::local
