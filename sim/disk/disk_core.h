// DiskCore: the state and the rules of SimDisk; sim_disk.h states the model.
//
// Not one class with SimDisk: that is a value which its owner moves, forks and destroys, while
// handles and file systems of any incarnation still share this state, to find out that they are
// dead. The split also keeps inodes out of the header that every user of a disk includes.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/disk/disk_faults.h"
#include "sim/disk/inode.h"
#include "sim/disk/sim_disk.h"

namespace qk::sim {

struct OrderedOperation;

class DiskCore {
 public:
  DiskCore(const DiskOptions& options, RandomStream latency);
  // The state of a fork: same content, no handles.
  DiskCore(const DiskCore& other);
  DiskCore& operator=(const DiskCore&) = delete;

  // --- machine (disk_core.cc)
  uint64_t begin_incarnation();
  uint64_t incarnation() const { return incarnation_; }
  void set_now(Nanos now);
  Nanos now() const { return now_; }
  Nanos busy_until() const { return busy_until_; }
  std::vector<Nanos> moments(Nanos after, Nanos before) const;
  uint64_t operation_count() const { return operation_count_; }
  uint64_t shrink_count() const { return shrink_count_; }
  uint64_t draws() const { return latency_.draws(); }
  void set_observer(DiskObserver* observer) { observer_ = observer; }
  // Tells of an operation, if it was issued: there are more of them than `before`.
  void tell(const DiskOperation& operation, uint64_t before) const {
    if (observer_ == nullptr || operation_count_ == before) return;
    observer_->issued(operation, busy_until_);
  }
  void pin(uint64_t operation);
  std::optional<Nanos> pinned_crash() const { return pinned_; }
  void clear_pin();
  void collect_garbage();
  void set_slow_factor(uint32_t factor);
  void set_capacity(uint64_t bytes) { options_.capacity = bytes; }
  uint64_t image_hash() const;
  uint64_t content_key() const;

  // --- looks (looks.cc)
  void note_looks(DiskLooks* looks);
  uint64_t shown(const DiskLook& look) const;
  std::map<uint64_t, std::string> paths() const;
  void look_at_name(InodeNumber directory, std::string_view name) const {
    if (looks_ != nullptr) looks_->add({DiskLook::Kind::kName, directory, 0, std::string(name)});
  }
  void look_at_names(InodeNumber directory) const {
    if (looks_ != nullptr) looks_->add({DiskLook::Kind::kNames, directory});
  }
  void look_at_size(InodeNumber number) const {
    if (looks_ != nullptr) looks_->add({DiskLook::Kind::kSize, number});
  }
  void look_at_bytes(InodeNumber number, uint64_t offset, uint64_t size) const {
    if (looks_ != nullptr) note_bytes(number, offset, size);
  }

  // --- faults; a fork has none
  DiskFaults& faults() { return faults_; }
  void pause_faults(bool paused) { faults_paused_ = paused; }
  // What a fault makes of the call: an error, or a lie; of a stall only the delay of the next
  // operation.
  std::optional<DiskStrike> strike(const DiskCall& call) {
    if (faults_.empty() || faults_paused_) return std::nullopt;
    return strike_now(call);
  }

  // Damage (damage.cc). Files that have bytes on the medium, by path.
  std::vector<DiskFile> files() const;
  // See SimDisk.
  bool damage(const DiskFault& fault);
  // 0, or EIO if a bad sector is in the way, which the observer is told of.
  int read_bad(InodeNumber number, uint64_t offset, uint64_t size, std::string_view path) {
    return bad_.empty() || faults_paused_ ? 0 : meet_bad(number, offset, size, path, false);
  }
  int write_bad(InodeNumber number, uint64_t offset, uint64_t size, std::string_view path) {
    return bad_.empty() || faults_paused_ ? 0 : meet_bad(number, offset, size, path, true);
  }

  // --- crash (crash.cc)
  CrashReport crash(CrashLevel level, Nanos at, Choice& choice);

  // --- handles
  void open_handle(InodeNumber number) { ++open_[number]; }
  void close_handle(InodeNumber number);
  bool try_lock(InodeNumber number) { return locked_.insert(number).second; }
  void unlock(InodeNumber number) { locked_.erase(number); }

  // --- files (disk_core.cc)
  const Inode& inode(InodeNumber number) const { return *inodes_.at(number); }
  // 0, or an errno.
  enum class Arrival : uint8_t { kMedium, kCache, kNowhere };  // of the bytes of a write
  int write(InodeNumber number, uint64_t offset, std::string_view bytes,
            Arrival arrival = Arrival::kMedium);
  // A write that a lie of the disk hits (kLostWrite, kMisdirected).
  int write_lied(InodeNumber number, uint64_t offset, std::string_view bytes,
                 const DiskFault& fault);
  int truncate(InodeNumber number, uint64_t size);
  void sync(InodeNumber number, families::SyncKind kind);
  // It returns, and nothing is durable.
  void lie_sync();
  // A sync that fails: as much as `applied` says reaches the disk when it returns, the rest is lost.
  void fail_sync(InodeNumber number, const DiskFault& fault);
  // Of a write: the bytes of the pages that it would allocate.
  uint64_t missing_space(InodeNumber number, uint64_t offset, uint64_t size) const;
  uint64_t free_space();

  // --- names (namespace.cc); errno as above
  int find(std::string_view path, InodeNumber* number) const;
  int create(std::string_view path, families::FileKind kind, InodeNumber* number);
  int unlink(std::string_view path);
  int rmdir(std::string_view path);
  int link(std::string_view existing, std::string_view name);
  int rename(std::string_view from, std::string_view to);

 private:
  struct PendingSync {
    InodeNumber number;
    uint64_t before;  // covers sequences below
    Nanos end;
    uint64_t commits = 0;  // P1: so much of the journal
  };
  // The place of one pending micro-operation, for a crash.
  struct Location {
    InodeNumber number;
    size_t position;  // in the inode's pending list
  };
  // What a power cut decides about as one.
  struct Item {
    PendingOperation shown;
    std::vector<Location> entries;
    bool half = false;  // places in `halves` instead
  };
  struct Parent {
    InodeNumber directory = kNoInode;
    std::string_view name;
  };

  Inode& change(InodeNumber number);  // unshares it first
  InodeNumber add_inode(families::FileKind kind);
  int find_parent(std::string_view path, Parent* parent) const;
  InodeNumber find_entry(const Parent& parent) const;
  bool contains(InodeNumber ancestor, InodeNumber directory) const;

  // Every mutating call: begin, one stamp for each micro-operation, end.
  void begin_operation();
  Stamp next_stamp(Nanos low, Nanos high);
  Stamp write_stamp() {
    return next_stamp(options_.latency.write_low, options_.latency.write_high);
  }
  void end_operation();
  void issue_name(const Parent& parent, InodeNumber target, Stamp stamp, uint64_t sequence,
                  InodeNumber partner, bool replaces = false);

  uint64_t tree_hash(uint64_t (FileImage::*hash)() const) const;
  void note_bytes(InodeNumber number, uint64_t offset, uint64_t size) const;

  void fold_syncs(Nanos until);
  void evict(InodeNumber number, bool sizes);
  void evict_until(Nanos until);
  void make_durable(InodeNumber number, uint64_t before);
  void make_entry_durable(InodeNumber number, uint64_t sequence);
  std::optional<DiskStrike> strike_now(const DiskCall& call);

  // damage.cc
  int meet_bad(InodeNumber number, uint64_t offset, uint64_t size, std::string_view path,
               bool write);
  void aim(const DiskCall& call, DiskFault* fault) const;
  void overwrite_medium(InodeNumber number, uint64_t offset, std::string_view bytes);

  // crash.cc
  std::vector<Location> pending_by_sequence() const;
  uint64_t drop_never_issued(Nanos at);
  void cut_executing(Nanos at, Choice& choice, CrashReport* report);
  std::vector<Item> items_to_lose(CrashLevel level) const;
  bool renames_split(CrashLevel level) const;
  std::vector<OrderedOperation> order_of(const std::vector<PendingSync>& in_flight,
                                         std::vector<Item>* items) const;
  void lose_power(CrashLevel level, const std::vector<PendingSync>& in_flight, Choice& choice,
                  CrashReport* report);
  void undo(const Inode::Half& half, Inode* node) const;
  uint64_t drop_lost();
  uint32_t sector_size(CrashLevel level) const;
  PendingOperation describe(const Location& location, CrashLevel level) const;
  PendingOperation describe(InodeNumber number, const MicroOperation& op, CrashLevel level) const;
  void keep_one_name_per_directory();

  uint64_t used_pages();

  DiskOptions options_;
  RandomStream latency_;
  // By number; numbers are never used again.
  std::map<InodeNumber, std::shared_ptr<Inode>> inodes_;
  InodeNumber next_inode_ = kRootInode;
  size_t collect_at_ = 1024;        // inodes
  std::vector<PendingSync> syncs_;  // by end
  struct Eviction {
    InodeNumber number;
    Nanos at;
  };
  std::vector<Eviction> evictions_;  // to come, of pages that a failed sync has lost
  uint64_t next_sequence_ = 1;
  uint64_t committed_before_ = 0;  // P1: the journal holds what was issued before this sequence
  uint64_t operation_count_ = 0;
  uint64_t shrink_count_ = 0;
  Nanos now_ = 0;
  Nanos busy_until_ = 0;
  Nanos operation_begin_ = 0;
  DiskObserver* observer_ = nullptr;
  DiskLooks* looks_ = nullptr;  // of forks too
  std::optional<uint64_t> pin_;
  std::optional<Nanos> pinned_;
  DiskFaults faults_;
  bool faults_paused_ = false;
  std::map<InodeNumber, std::set<uint64_t>> bad_;  // sectors that cannot be read, by number
  Nanos stall_ = 0;                                // of the next stamp

  uint64_t incarnation_ = 0;
  std::map<InodeNumber, uint32_t> open_;  // handles of this incarnation
  std::set<InodeNumber> locked_;
};

}  // namespace qk::sim
