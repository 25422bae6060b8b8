// SimDisk: a disk in memory that forgets what a real one may forget.
//
// Method. The disk is a set of inodes; a path is only a walk over directory inodes. Every inode has
// a durable image, a volatile view (what reads see), and between them a list of pending
// micro-operations in issue order:
//
//   write_at        one Write for each 4 KiB page, and one Size if the file grows. A Write tears
//                   into sectors (512 bytes); a sector always holds one whole version of itself
//   truncate        Size; what lies after it is gone
//   open(create), link, mkdir, unlink, rmdir      Name: one directory entry gets a new value
//   rename          Name: two entries in one atomic group, in one directory or across two
//   File::sync      every Write and Size of the file issued before it becomes durable
//   sync_dir        every Name of the directory issued before it becomes durable; a rename becomes
//                   durable as a whole, whichever of its two directories is synced
//
// Time. A call runs to its end at the instant it is made, but each micro-operation is stamped with
// an interval of virtual time from one first-in-first-out queue per disk, and each sync too. A sync
// makes things durable when virtual time passes its *return* stamp, not when it is called, and
// never covers what was issued after it. Reads take no time.
//
// A crash at virtual time T. Operations whose interval begins after T never happened. Then:
//
//   P0, the process dies. Everything else stays, except that the operation executing at T is cut:
//       a Write at a byte prefix of length 0, 1, half, all but one, or all; others happened or not.
//       What was pending stays pending: a later power cut can still remove what recovery has read.
//   P2, the power is cut. Only returned syncs are certain. A Choice decides about each pending
//       micro-operation by itself, and nothing but syncs orders anything:
//         - each sector takes its durable value or any pending version;
//         - the size takes any value of its history since the durable one; bytes inside it that
//           were never written are zeros or garbage;
//         - each directory entry takes its durable value or any later one. An unlink or a rename
//           may be undone although a later operation survived; a file whose first rename was
//           undone, and whose second was not, then has two names (a directory keeps the one that a
//           walk from the root in byte order meets first, as after fsck). An unsynced mkdir loses
//           its subtree, synced files included.
//       Nothing stays pending.
//   P1, the power is cut under a file system with a journal. As P2, but pages are written whole,
//       nothing holds garbage, and DiskOptions::journal keeps more in order: see crash_order.h.
//   P2x, as P2, and of a rename either entry may be there alone: the file has both names, or none.
//
// From the crash on (and from each mount()), all handles and file systems of earlier incarnations
// are dead: every call returns errno_status(ENODEV), nothing changes, destroying them is harmless.
// Locks and unlinked open files die with the machine.
//
// Faults. See disk_faults.h: calls that fail, are late or are lied to, what a failed sync takes away,
// and damage to bytes at rest.
//
// Not modelled: write-back in between (a pending operation that became durable by itself is a
// crash's choice), mmap, attributes and times (so kData and kFull syncs differ at P1 alone). Garbage is cut
// at 256 KiB for one growth of a file.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "families/fs/file_system.h"
#include "sim/disk/choice.h"
#include "sim/disk/crash_level.h"
#include "sim/disk/disk_faults.h"
#include "sim/disk/disk_looks.h"
#include "sim/kernel/event.h"
#include "sim/kernel/random.h"
#include "sim/kernel/time.h"

namespace qk::sim {

// Bounds, both included; drawn for each micro-operation (write) and each sync.
struct DiskLatency {
  Nanos write_low = 0;
  Nanos write_high = 0;
  Nanos sync_low = 0;
  Nanos sync_high = 0;
  uint32_t slow_factor = 1;  // multiplies every draw
};

struct DiskOptions {
  DiskLatency latency;
  uint32_t sector_size = 512;  // a power of two in 512..4096
  uint64_t capacity = 0;       // bytes of pages; 0: no limit
  JournalOptions journal = {};
};

// Counts of micro-operations (a rename counts once).
struct CrashReport {
  CrashLevel level = CrashLevel::kP0;
  Nanos at = 0;
  uint64_t never_issued = 0;  // stamped after the crash
  uint64_t pending = 0;       // issued, and not covered by a sync that had returned
  uint64_t kept = 0;          // of those: entirely there afterwards
  uint64_t dropped = 0;
  uint64_t torn = 0;  // partly there, or garbage in their place
  Decision decision;  // replay it with Scripted
  std::string text;   // one line for the trace
};

// One mutating operation, as it was called. Views last as long as the call that tells of it.
struct DiskOperation {
  DiskOp op = DiskOp::kWrite;
  uint64_t inode = 0;        // 0: of an operation on names
  uint64_t offset = 0;       // of a write; of a truncate the new size
  std::string_view bytes;    // of a write
  std::string_view path;     // as it was opened or named
  std::string_view to = {};  // of a rename or link: the new name
};

// Told of every operation that was issued. Must not touch the disk.
class DiskObserver {
 public:
  virtual ~DiskObserver() = default;
  // `done`: when it returns.
  virtual void issued(const DiskOperation& operation, Nanos done) = 0;
  // A call has met a fault: it reports its error, takes longer, or is lied to.
  virtual void struck(const DiskCall& /*call*/, const DiskStrike& /*strike*/) {}
};

// A file that has bytes on the medium: so many.
struct DiskFile {
  std::string path;
  uint64_t size = 0;
};

class DiskCore;

class SimDisk {
 public:
  SimDisk(const DiskOptions& options, RandomStream latency_stream);
  SimDisk(SimDisk&&) noexcept;
  SimDisk& operator=(SimDisk&&) noexcept;
  ~SimDisk();

  // The file system of a new incarnation. Without a crash before it, it is a restart of the process
  // that loses nothing.
  std::unique_ptr<families::FileSystem> mount();

  // Virtual time moves on, never back; syncs whose return stamp has passed take effect.
  void set_now(Nanos now);
  Nanos now() const;
  // When the last operation issued so far returns; the next one starts at max(now, busy_until).
  Nanos busy_until() const;
  // For each micro-operation that is not durable yet, an instant in its middle; of these the ones
  // between the two times, ascending: where a crash finds something else than the instant before.
  std::vector<Nanos> moments(Nanos after, Nanos before) const;

  // Mutating operations (write, truncate, create, unlink, rename, link, mkdir, rmdir, sync,
  // sync_dir) issued since construction. Calls that fail their checks or change nothing do not
  // count.
  uint64_t operation_count() const;
  // Of these: truncations that made a file shorter.
  uint64_t shrink_count() const;
  // Drawn from the latency stream.
  uint64_t draws() const;

  // When operation number `n` (1 is the first) is issued, pinned_crash() becomes a time in its
  // middle: the operation is executing then, and no later one has begun.
  void pin_crash_at_operation(uint64_t n);
  std::optional<Nanos> pinned_crash() const;
  void clear_pin();

  // The machine stops at virtual time `at`, which is not before now().
  CrashReport crash(CrashLevel level, Nanos at, Choice& choice);

  // From now on; null: nobody. A fork has none.
  void set_observer(DiskObserver* observer);

  // Lets go of what no name and no handle leads to, now or after any crash; forks then copy less.
  void collect_garbage();

  // An independent disk of the same state. Pages and inodes are shared until one side changes them.
  // It has no open handle, and its draws do not disturb this one's.
  SimDisk fork() const;

  // Over names, sizes and bytes reachable from the root, of the durable and of the volatile state.
  uint64_t image_hash() const;
  // Equal for equal content, as image_hash(); for comparing many forks that differ in little.
  uint64_t content_key() const;

  // From now on `looks` gets what is looked at of the present content, by this disk and its forks,
  // until null. What was created since does not count.
  void note_looks(DiskLooks* looks);
  // What the disk would show, whether the power fails before or not.
  uint64_t shown(const DiskLook& look) const;
  // What a walk from the root finds, by inode: of two names of a file the first.
  std::map<uint64_t, std::string> paths() const;

  void set_slow_factor(uint32_t factor);
  // From now on, or from operation number `from` on; see DiskFaults. A fork has no faults.
  uint64_t add_fault(const DiskFault& fault, uint64_t from, DiskFaultHit hit);
  void remove_fault(uint64_t id);
  // Damages bytes at rest: the fault is of such a kind, and says where. False: the file has no such
  // byte on the medium.
  bool damage(const DiskFault& fault);
  // By path, as a walk from the root finds them.
  std::vector<DiskFile> files() const;
  // Ends every fault of calls, or each kDiskFull. Damage stays.
  void clear_faults();
  void make_space();
  bool has_faults() const;
  // Some of them make calls fail, or late.
  bool disturbed() const;
  // As DiskOptions::capacity; what is there stays.
  void set_capacity(uint64_t bytes);

 private:
  friend class FaultPause;
  explicit SimDisk(std::shared_ptr<DiskCore> core);

  std::shared_ptr<DiskCore> core_;
};

// While it lives, calls meet no fault: an observer reads what the disk holds.
class FaultPause {
 public:
  explicit FaultPause(const SimDisk& disk);
  ~FaultPause();
  FaultPause(const FaultPause&) = delete;
  FaultPause& operator=(const FaultPause&) = delete;

 private:
  const std::shared_ptr<DiskCore> core_;
};

}  // namespace qk::sim
