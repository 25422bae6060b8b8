// Crash order: what a file system with a journal keeps in order (level P1), as two small functions. At P2
// nothing is ordered, and both say no.
//
//   covers   a sync of something else has made this operation durable: it committed the journal
//   depends  one operation cannot be there after a power cut without another one
//
// What Linux does (measured by tools/calibrate, docs/disk-model.md 7):
//
//   names, truncations         in the journal, in the order of the calls; a power cut leaves a prefix
//   a file's growth by writes  when its pages are written, so names after it do not wait for it. XFS and
//                              btrfs log it when the bytes are there. ext4 does not wait (unless mounted with
//                              dioread_lock): zeros may show. In a block that ext4 has already, the growth
//                              is in the journal at once
//   a truncation               ext4 and XFS write zeros after the new end before the journal has it
//   overwrites                 page by page, at any time
//   a sync                     commits the journal as far as the last change of what is synced, and no
//                              further: a rename after that write may be lost although the sync returned.
//                              fdatasync looks at changes of size and allocation alone
//   btrfs                      a sync of a file logs that file and its names instead, whatever came before;
//                              a rename across directories may then have left both names
#pragma once

#include <span>
#include <vector>

#include "sim/disk/crash_level.h"
#include "sim/disk/inode.h"

namespace qk::sim {

// One pending operation and what its order depends on.
struct OrderedOperation {
  const MicroOperation* operation = nullptr;  // of a rename: the new entry
  InodeNumber inode = kNoInode;               // the file, or the directory with the (new) entry
  // kName: the last sync that has returned of what the entry leads to covers sequences below.
  uint64_t synced_before = 0;
  bool in_flight = false;  // a sync of it has begun and not returned
  uint64_t end = 0;        // kSize: of the file, as much of the growth as survives
  bool covered = false;    // see covers()
};

// `committed`: the journal holds what was issued before this sequence.
bool covers(const JournalOptions& journal, uint64_t committed, const OrderedOperation& operation);

bool depends(const JournalOptions& journal, const OrderedOperation& operation,
             const OrderedOperation& on);

// Makes fates legal at P1: what is covered is there, with all that it depends on, and nothing else is
// there without what it depends on.
void close_fates(const JournalOptions& journal, uint64_t committed,
                 std::span<OrderedOperation> pending, std::vector<Fate>* fates);

}  // namespace qk::sim
