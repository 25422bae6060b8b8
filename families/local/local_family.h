// The `local` family: braft's legacy directories.
//
//   ROOT/log/        segments            (log_storage.h)
//   ROOT/raft_meta/  term and vote       (meta_storage.h)
//   ROOT/snapshot/   file trees          (snapshot_storage.h)
//
// It reads what braft wrote and writes what braft would have written, byte for byte, and is
// crash-safe where braft is not: directories are synced, a segment is synced before it is closed,
// errors of a sync are errors, a truncation over several files is atomic, a missing or short record
// is never read as "empty". Where it refuses a directory that braft opens, or the reverse, is
// listed case by case in DAMAGED.md.
//
// braft as it is, with all that is wrong with it: sim/legacy.
//
// After the first failed write or sync the instance refuses every mutation until it is reopened.
#pragma once

#include "families/contract/family.h"

namespace qk::families {

FamilyDescriptor local_family();

}  // namespace qk::families
