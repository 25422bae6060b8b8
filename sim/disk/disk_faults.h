// DiskFaults: which calls to a simulated disk fail, are late, or are lied to. A fault names calls by
// kind and path, and hits the n-th of them from when it was added and as many after it as it says.
// Nothing is drawn: the same calls meet the same faults.
//
//   kIoError   the call reports EIO. Of a change nothing, a half or all has happened all the same: of
//              a write its first bytes, of a sync its first pending operations; a name has no half
//   kDiskFull  a call that needs space reports ENOSPC: a write that allocates pages, and a new name.
//              `free` bytes can still be allocated. A sync needs space only if the fault asks for
//              syncs (delayed allocation)
//   kStall     a change takes so much longer, and what is queued after it waits
//
// Calls that are lied to return OK, and nobody tells the caller:
//
//   kLostWrite    the bytes never reach the medium. The page cache has them: they are read, by a later
//                 process too, until the power is cut or a new write makes the page dirty again,
//                 whole. `evicted`: the cache has dropped the page, so reads find the old bytes at
//                 once. The file's size grows as it should: a new page reads as zeros then
//   kMisdirected  the same, and the medium gets the sectors in another place: `to` at `offset`, or, if
//                 that is empty, a page of the same file, or another file where it has none. That
//                 place never grows. Of a page that is dirty there only the medium changes, which a
//                 write-back makes good
//   kFsyncLie     nothing becomes durable. All of it stays pending: an honest sync makes it durable
//
// Bytes at rest (SimDisk::damage), of the file `path` around `offset`:
//
//   kBitFlip    the bits `mask` of one byte are flipped, or the whole sector holds zeros or garbage
//   kBadSector  reads of the sector report EIO, and so do writes of a part of it, until it is
//               written whole or cut off. What was on it is not lost to an observer, nor to a fork
//
// A page that is dirty is in the cache: damage shows only if the power is cut before it is written
// back. Every other page is read from the medium: the cache holds none that is clean.
//
// A sync of a file that failed takes away what it did not write back, as on Linux (ext4, XFS): the
// pages count as clean. They are read as before, later syncs return OK without them, and a power cut
// loses them. A page that is written again is dirty again, whole; it takes the file's size with it. A
// truncation, and what a failed sync of a directory should have made durable, stays pending: the
// journal has it.
//
// The cache may drop such pages (`evict_after`): reads find what the disk holds then, old bytes, or zeros in
// what the file grew by. Or the file system takes the bytes back at once, the size with them, as btrfs
// does (`reverts`).
//
// Not here: journals that abort, short reads, damage to
// names, sizes and directories, which a file system protects by checksums of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/kernel/event.h"
#include "sim/kernel/time.h"

namespace qk::sim {

enum class DiskDamage : uint8_t { kBits, kZeros, kGarbage };

struct DiskFault {
  DiskFaultKind kind = DiskFaultKind::kIoError;
  DiskAccess access = DiskAccess::kAny;
  std::string path;    // a part of the path of what is accessed; "": of anything
  uint64_t nth = 1;    // the first call that it hits, among those that match
  uint64_t times = 1;  // so many calls, from that one on; 0: each
  DiskApplied applied = DiskApplied::kNothing;
  Nanos stall = 0;                        // kStall
  uint64_t free = 0;                      // kDiskFull: bytes
  bool evicted = false;                   // kLostWrite, kMisdirected
  std::string to = {};                    // kMisdirected: a path
  std::optional<uint64_t> offset = {};    // kMisdirected: in `to`; at rest: in `path`
  DiskDamage damage = DiskDamage::kBits;  // kBitFlip
  uint8_t mask = 0;                       // kBitFlip, kBits; not 0
  // kIoError, of a sync of a file: so much later the cache drops the pages that were not written back.
  std::optional<Nanos> evict_after = {};
  bool reverts = false;  // the same: they are dropped at once, and what the file grew by with them

  bool operator==(const DiskFault&) const = default;
};

// A call as a fault sees it. Views last as long as the call.
struct DiskCall {
  DiskAccess access = DiskAccess::kRead;
  std::string_view what;  // "write"
  std::string_view path;
  std::string_view to = {};            // of a rename or link
  std::optional<uint64_t> needs = {};  // bytes to be allocated; absent: it needs no space
  uint64_t inode = 0;                  // of a write
  uint64_t offset = 0;
  uint64_t size = 0;  // of a write; 0: of a truncation
};

// "write /a", "rename /a to /b", for errors.
std::string to_string(const DiskCall& call);

using DiskFaultHit = std::function<void(const DiskFault& fault)>;

// What a fault makes of a call: an errno; or 0, and a stall or a lie.
struct DiskStrike {
  DiskFault fault;
  int error = 0;
  DiskFaultHit hit = {};
};

class DiskFaults {
 public:
  // `hit` is what strike() returns with each call that it hits. `from`: it begins with this
  // operation of the disk. Returns what remove() takes.
  uint64_t add(DiskFault fault, uint64_t from, DiskFaultHit hit);
  // It has gone already if it has hit as many calls as it should.
  void remove(uint64_t id);
  // Ends every kDiskFull.
  void make_space();
  void clear() { armed_.clear(); }
  bool empty() const { return armed_.empty(); }
  // Some calls fail or are late.
  bool disturb() const;

  // `operation`: the number that the call has if it is an operation.
  std::optional<DiskStrike> strike(const DiskCall& call, uint64_t operation);

 private:
  struct Armed {
    uint64_t id = 0;
    uint64_t from = 0;
    DiskFault fault;
    DiskFaultHit hit;
    uint64_t seen = 0;  // matching calls
  };
  static bool matches(Armed* armed, const DiskCall& call);

  std::vector<Armed> armed_;
  uint64_t next_id_ = 1;
};

}  // namespace qk::sim
