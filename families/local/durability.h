// Durability: which of its changes the family asks the disk to keep, the option `durability`.
//
//   kStrict     Everything that the contract calls durable is synced, names included. An
//               acknowledged mutation survives every power cut.
//   kAsShipped  Just the syncs that braft issues with its default flags (raft_sync on,
//               raft_sync_segments off): an acknowledged mutation may be lost, and a directory may
//               be left that does not open any more. For showing what braft as shipped does, never
//               for data.
//
// Both modes write the same bytes to braft's names, and read what the other wrote. The private
// notes are described in private_notes.h. The calls that differ, with the place in the description
// of braft's format that gives its own sequence:
//
//   call                      kStrict                            kAsShipped
//   append (2.3, 6.1)         one write and one fdatasync per    one write per entry, after the
//                             segment that the batch touches;    batch one fsync of its last
//                             a batch note is synced first if    segment
//                             none covers a batch that may
//                             tear before one of its entries
//   new segment (6.3)         its directory is synced            not synced
//   full segment (2.3)        synced before it is renamed        renamed
//   truncate_prefix (2.3)     the directory is synced at the     not synced
//                             end
//   truncate_suffix (2.3)     a change of several files is       no note; no sync at all
//                             noted first; the directory and
//                             the cut are synced
//   reset (2.3, 6.10)         as truncate_suffix if it drops     log_meta is replaced, then the
//                             entries                            segments go, front to back
//   log_meta, raft_meta (1)   the new file and, after the        only the new file
//                             rename, the directory are synced
//   snapshot (4)              the whole tree is synced before    only __raft_snapshot_meta is
//                             the rename, the directory after it synced
//   made directories (6.3)    their parents are synced           not synced
//   open (2.2)                all that is found is synced        nothing is synced
//
// The rest of what section 6 lists is not reproduced: an error of a sync is an error, nothing is
// deleted because log_meta is missing, and a directory is judged by the same rules (log_recovery.h)
// in both modes.
#pragma once

#include <cstdint>
#include <string_view>

#include "families/fs/file_system.h"

namespace qk::families::local {

enum class Durability : uint8_t { kStrict, kAsShipped };

// Makes the names in a directory durable, if the mode does.
absl::Status sync_names(FileSystem& fs, std::string_view directory, Durability durability);

// mkdir with parents; existing ones are fine.
absl::Status make_tree(FileSystem& fs, std::string_view directory, Durability durability);

// Replaces a file atomically: write PATH.tmp, sync it, rename; then the name, if the mode does.
absl::Status replace(FileSystem& fs, std::string_view path, std::string_view bytes,
                     Durability durability);

}  // namespace qk::families::local
