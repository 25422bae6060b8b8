#include "sim/disk/disk_core.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "families/base/check.h"
#include "families/base/hash.h"

namespace qk::sim {
namespace {

using families::FileKind;
using Kind = PendingOperation::Kind;

// Bounds the page table that one stray offset can ask for.
constexpr uint64_t kMaxFileSize = uint64_t{4} << 30;
constexpr uint64_t kUnlimitedSpace = uint64_t{1} << 40;

// The first `count` pending operations have just become durable, but for those that a failed sync
// has lost. Some of these are no longer seen either, because a later operation covers them: their
// sequences. A page that was written back takes a lost growth with it, as far as the page reaches.
std::set<uint64_t> settle_lost(Inode* node, std::ptrdiff_t count) {
  std::set<uint64_t> covered;
  for (auto op = node->pending.begin(); op != node->pending.begin() + count; ++op) {
    if (op->lost) continue;
    for (auto earlier = node->pending.begin(); earlier != op; ++earlier) {
      if (!earlier->lost) continue;
      if (op->kind == Kind::kSize) {
        if (earlier->kind == Kind::kSize || (op->cuts && earlier->page >= op->size / kPageSize)) {
          covered.insert(earlier->sequence);
        }
      } else if (earlier->kind == Kind::kWrite) {
        if (earlier->page == op->page) covered.insert(earlier->sequence);
      } else {
        const uint64_t reach = std::min(earlier->size, (uint64_t{op->page} + 1) * kPageSize);
        node->durable_file.set_size(std::max(node->durable_file.size(), reach));
      }
    }
  }
  return covered;
}

}  // namespace

DiskCore::DiskCore(const DiskOptions& options, RandomStream latency)
    : options_(options), latency_(latency) {
  QK_CHECK(options.sector_size >= 512 && options.sector_size <= kPageSize);
  QK_CHECK(std::has_single_bit(options.sector_size));
  QK_CHECK(options.latency.slow_factor >= 1);
  add_inode(FileKind::kDirectory);
}

DiskCore::DiskCore(const DiskCore& other)
    : options_(other.options_),
      latency_(other.latency_),
      inodes_(other.inodes_),
      next_inode_(other.next_inode_),
      collect_at_(other.collect_at_),
      syncs_(other.syncs_),
      evictions_(other.evictions_),
      next_sequence_(other.next_sequence_),
      committed_before_(other.committed_before_),
      operation_count_(other.operation_count_),
      shrink_count_(other.shrink_count_),
      now_(other.now_),
      busy_until_(other.busy_until_),
      looks_(other.looks_),
      pin_(other.pin_),
      pinned_(other.pinned_) {}

// --- machine

uint64_t DiskCore::begin_incarnation() {
  open_.clear();
  locked_.clear();
  return ++incarnation_;
}

std::vector<Nanos> DiskCore::moments(Nanos after, Nanos before) const {
  std::vector<Nanos> found;
  for (const auto& [number, inode] : inodes_) {
    for (const MicroOperation& operation : inode->pending) {
      const Stamp& stamp = operation.stamp;
      const Nanos middle = stamp.begin + (stamp.end - stamp.begin) / 2;
      if (middle > after && middle < before) found.push_back(middle);
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());  // a rename has two entries
  return found;
}

void DiskCore::set_now(Nanos now) {
  QK_CHECK(now >= now_);
  now_ = now;
  fold_syncs(now);
  if (!evictions_.empty()) evict_until(now);
}

void DiskCore::pin(uint64_t operation) {
  pin_ = operation;
  pinned_.reset();
}

void DiskCore::clear_pin() {
  pin_.reset();
  pinned_.reset();
}

void DiskCore::set_slow_factor(uint32_t factor) {
  QK_CHECK(factor >= 1);
  options_.latency.slow_factor = factor;
}

void DiskCore::close_handle(InodeNumber number) {
  const auto found = open_.find(number);
  QK_CHECK(found != open_.end());
  if (--found->second == 0) open_.erase(found);
}

Inode& DiskCore::change(InodeNumber number) {
  std::shared_ptr<Inode>& inode = inodes_.at(number);
  if (inode.use_count() != 1) inode = std::make_shared<Inode>(*inode);
  return *inode;
}

InodeNumber DiskCore::add_inode(FileKind kind) {
  if (inodes_.size() >= collect_at_) {
    collect_garbage();
    collect_at_ = std::max<size_t>(1024, 2 * inodes_.size());
  }
  const InodeNumber number = next_inode_++;
  auto inode = std::make_shared<Inode>();
  inode->kind = kind;
  inodes_.emplace(number, std::move(inode));
  return number;
}

// An inode lives while a name can lead to it, now or after some crash, or a handle holds it.
void DiskCore::collect_garbage() {
  std::vector<bool> live(next_inode_);
  std::vector<InodeNumber> todo = {kRootInode};
  for (const auto& [number, count] : open_) todo.push_back(number);
  while (!todo.empty()) {
    const InodeNumber number = todo.back();
    todo.pop_back();
    if (live[number]) continue;
    live[number] = true;
    const Inode& inode = *inodes_.at(number);
    for (const auto& [name, target] : inode.entries) todo.push_back(target);
    for (const auto& [name, target] : inode.durable_entries) todo.push_back(target);
    for (const MicroOperation& operation : inode.pending) {
      if (operation.target != kNoInode) todo.push_back(operation.target);
    }
  }
  std::erase_if(inodes_, [&](const auto& item) { return !live[item.first]; });
}

uint64_t DiskCore::used_pages() {
  uint64_t pages = 0;
  for (const auto& [number, inode] : inodes_) pages += inode->file.page_count();
  return pages;
}

uint64_t DiskCore::free_space() {
  if (options_.capacity == 0) return kUnlimitedSpace;
  collect_garbage();
  const uint64_t used = used_pages() * kPageSize;
  return options_.capacity - std::min(options_.capacity, used);
}

std::optional<DiskStrike> DiskCore::strike_now(const DiskCall& call) {
  std::optional<DiskStrike> strike = faults_.strike(call, operation_count_ + 1);
  if (!strike) return std::nullopt;
  if (strike->fault.kind == DiskFaultKind::kMisdirected) aim(call, &strike->fault);
  if (strike->hit) strike->hit(strike->fault);
  if (observer_ != nullptr) observer_->struck(call, *strike);
  if (strike->error != 0 || is_damage(strike->fault.kind)) return strike;
  stall_ = strike->fault.stall;
  return std::nullopt;
}

uint64_t DiskCore::image_hash() const { return tree_hash(&FileImage::hash); }
uint64_t DiskCore::content_key() const { return tree_hash(&FileImage::content_key); }

uint64_t DiskCore::tree_hash(uint64_t (FileImage::*file_hash)() const) const {
  uint64_t hash = 0;
  const auto add = [&hash](std::string_view bytes) { hash = xxh3_64(bytes, hash + 1); };
  const auto add_number = [&add](uint64_t n) {
    add({reinterpret_cast<const char*>(&n), sizeof n});
  };
  for (const bool durable : {true, false}) {
    // Names in order, each followed by what it names; a directory's end is a 0.
    const auto walk = [&](const auto& self, InodeNumber number) -> void {
      const Inode& inode = *inodes_.at(number);
      if (!inode.is_directory()) {
        add_number(((durable ? inode.durable_file : inode.file).*file_hash)());
        return;
      }
      for (const auto& [name, target] : durable ? inode.durable_entries : inode.entries) {
        add(name);
        add_number(inodes_.at(target)->is_directory() ? 2 : 1);
        self(self, target);
      }
      add_number(0);
    };
    walk(walk, kRootInode);
  }
  return hash;
}

// --- time

void DiskCore::begin_operation() {
  ++operation_count_;
  operation_begin_ = std::max(now_, busy_until_);
}

Stamp DiskCore::next_stamp(Nanos low, Nanos high) {
  // At least one nanosecond, so that no two operations begin at the same instant.
  const Nanos drawn = latency_.between(low, high) * options_.latency.slow_factor;
  Stamp stamp;
  stamp.begin = std::max(now_, busy_until_);
  stamp.end = stamp.begin + std::max<Nanos>(1, drawn) + std::exchange(stall_, 0);
  busy_until_ = stamp.end;
  return stamp;
}

void DiskCore::end_operation() {
  if (pin_ == operation_count_) {
    pinned_ = operation_begin_ + (busy_until_ - operation_begin_) / 2;
  }
}

void DiskCore::sync(InodeNumber number, families::SyncKind kind) {
  begin_operation();
  const Stamp stamp = next_stamp(options_.latency.sync_low, options_.latency.sync_high);
  const Inode& node = inode(number);
  const bool all = kind == families::SyncKind::kFull || options_.journal.fdatasync_commits;
  const uint64_t last = all ? node.last_change : node.last_data_change;
  syncs_.push_back({number, next_sequence_, stamp.end, last + 1});
  end_operation();
}

void DiskCore::lie_sync() {
  begin_operation();
  next_stamp(options_.latency.sync_low, options_.latency.sync_high);
  end_operation();
}

void DiskCore::fail_sync(InodeNumber number, const DiskFault& fault) {
  const DiskApplied applied = fault.applied;
  begin_operation();
  const Stamp stamp = next_stamp(options_.latency.sync_low, options_.latency.sync_high);
  end_operation();
  // What an earlier sync covers that has not returned yet is that one's.
  uint64_t from = 0;
  for (const PendingSync& sync : syncs_) {
    if (sync.number == number) from = std::max(from, sync.before);
  }
  std::vector<uint64_t> uncovered;
  for (const MicroOperation& op : inode(number).pending) {
    if (op.sequence >= from && !op.lost) uncovered.push_back(op.sequence);
  }
  const size_t reached = applied == DiskApplied::kNothing ? 0
                         : applied == DiskApplied::kHalf  ? uncovered.size() / 2
                                                          : uncovered.size();
  if (reached > 0) syncs_.push_back({number, uncovered[reached - 1] + 1, stamp.end});
  if (reached == uncovered.size()) return;
  for (MicroOperation& op : change(number).pending) {
    // Names and truncations are in the journal.
    if (op.sequence >= uncovered[reached] && op.kind != Kind::kName && !op.cuts) op.lost = true;
  }
  if (fault.reverts) {
    evict(number, true);
  } else if (fault.evict_after) {
    evictions_.push_back({number, now_ + *fault.evict_after});
    if (*fault.evict_after == 0) evict_until(now_);
  }
}

// Whatever a failed sync has lost is not seen any more.
void DiskCore::evict(InodeNumber number, bool sizes) {
  if (!inodes_.contains(number)) return;
  Inode& node = change(number);
  std::set<uint32_t> dirty;  // pages that were written again
  for (const MicroOperation& op : node.pending) {
    if (op.kind == Kind::kWrite && !op.lost) dirty.insert(op.page);
  }
  std::erase_if(node.pending, [&](const MicroOperation& op) {
    if (!op.lost) return false;
    return op.kind == Kind::kWrite ? !dirty.contains(op.page) : sizes;
  });
  node.rebuild(options_.sector_size);
}

void DiskCore::evict_until(Nanos until) {
  std::vector<Eviction> left;
  for (const Eviction& eviction : std::exchange(evictions_, {})) {
    if (eviction.at > until) {
      left.push_back(eviction);
    } else {
      evict(eviction.number, false);
    }
  }
  evictions_ = std::move(left);
}

void DiskCore::fold_syncs(Nanos until) {
  size_t done = 0;
  for (; done < syncs_.size() && syncs_[done].end <= until; ++done) {
    // A file that is gone for good has nothing to make durable.
    committed_before_ = std::max(committed_before_, syncs_[done].commits);
    if (inodes_.contains(syncs_[done].number))
      make_durable(syncs_[done].number, syncs_[done].before);
  }
  syncs_.erase(syncs_.begin(), syncs_.begin() + static_cast<std::ptrdiff_t>(done));
}

void DiskCore::make_durable(InodeNumber number, uint64_t before) {
  if (inode(number).synced_before < before) {
    Inode& synced = change(number);
    synced.synced_before = before;
    std::erase_if(synced.halves,
                  [&](const Inode::Half& half) { return half.operation.sequence < before; });
  }
  if (inode(number).pending.empty() || inode(number).pending.front().sequence >= before) return;
  Inode& node = change(number);
  const auto end = std::find_if(node.pending.begin(), node.pending.end(),
                                [&](const auto& op) { return op.sequence >= before; });
  std::vector<std::pair<InodeNumber, uint64_t>> partners;
  bool keeps = false;  // some that a failed sync has lost
  for (auto op = node.pending.begin(); op != end; ++op) {
    keeps = keeps || op->lost;
    if (op->lost) continue;
    if (op->kind == Kind::kName) {
      apply_entry(&node.durable_entries, *op);
      if (op->partner != kNoInode) partners.emplace_back(op->partner, op->sequence);
    } else if (op->kind == Kind::kWrite) {
      // All earlier writes of the page are covered too, so its image is what the disk holds.
      node.durable_file.set_page(op->page, op->image);
    } else {
      node.durable_file.apply(*op, Fate::keep(), options_.sector_size);
    }
  }
  if (keeps) {
    const auto lost = settle_lost(&node, end - node.pending.begin());
    node.pending.erase(
        std::remove_if(node.pending.begin(), end,
                       [&](const auto& op) { return !op.lost || lost.contains(op.sequence); }),
        end);
  } else {
    node.pending.erase(node.pending.begin(), end);
  }
  for (const auto& [partner, sequence] : partners) make_entry_durable(partner, sequence);
}

// The other half of a rename: alone it overtakes what is pending in its directory, so everything
// earlier about the same name can no longer be what survives.
void DiskCore::make_entry_durable(InodeNumber number, uint64_t sequence) {
  if (!inodes_.contains(number)) return;
  Inode& node = change(number);
  const auto op = std::find_if(node.pending.begin(), node.pending.end(),
                               [&](const auto& op) { return op.sequence == sequence; });
  if (op == node.pending.end()) return;
  const std::string name = op->name;
  const auto before = node.durable_entries.find(name);
  std::erase_if(node.halves, [&](const Inode::Half& half) { return half.operation.name == name; });
  node.halves.push_back({*op, before == node.durable_entries.end() ? kNoInode : before->second});
  apply_entry(&node.durable_entries, *op);
  std::erase_if(node.pending, [&](const auto& earlier) {
    return earlier.sequence <= sequence && earlier.name == name;
  });
}

// --- files

uint64_t DiskCore::missing_space(InodeNumber number, uint64_t offset, uint64_t size) const {
  uint64_t missing = 0;
  for (uint64_t page = offset / kPageSize; page * kPageSize < offset + size; ++page) {
    if (!inode(number).file.page(static_cast<uint32_t>(page))) ++missing;
  }
  return missing * kPageSize;
}

int DiskCore::write(InodeNumber number, uint64_t offset, std::string_view bytes, Arrival arrival) {
  if (bytes.empty()) return 0;
  if (offset > kMaxFileSize || bytes.size() > kMaxFileSize - offset) return EFBIG;
  const uint64_t end = offset + bytes.size();
  if (options_.capacity != 0 && missing_space(number, offset, bytes.size()) > free_space()) {
    return ENOSPC;
  }
  look_at_size(number);
  look_at_bytes(number, offset, 1);  // what the first and the last page keep
  look_at_bytes(number, end - 1, 1);
  begin_operation();
  Inode& node = change(number);
  const uint64_t call = operation_count_;
  Stamp stamp = write_stamp();
  if (end > node.file.size()) {
    MicroOperation grow;
    grow.kind = Kind::kSize;
    grow.sequence = next_sequence_++;
    grow.call = call;
    grow.stamp = stamp;  // the size travels with the first page
    grow.old_size = node.file.size();
    grow.size = end;
    grow.by_write = true;
    grow.allocates = node.file.page(static_cast<uint32_t>((end - 1) / kPageSize)) == nullptr;
    node.file.set_size(end);
    node.issue(std::move(grow));
  }
  for (uint64_t at = offset; at < end;) {
    if (at != offset) stamp = write_stamp();
    MicroOperation op;
    op.sequence = next_sequence_++;
    op.call = call;
    op.stamp = stamp;
    op.page = static_cast<uint32_t>(at / kPageSize);
    op.from = static_cast<uint32_t>(at % kPageSize);
    op.to = static_cast<uint32_t>(std::min<uint64_t>(kPageSize, op.from + (end - at)));
    const PageRef old = node.file.page(op.page);
    auto image = old ? std::make_shared<Page>(*old) : std::make_shared<Page>();
    std::memcpy(image->data() + op.from, bytes.data() + (at - offset), op.to - op.from);
    op.image = std::move(image);
    op.allocates = old == nullptr;
    op.lost = arrival == Arrival::kCache;
    at += op.to - op.from;
    if (arrival == Arrival::kNowhere) continue;
    node.file.set_page(op.page, op.image);
    node.issue(std::move(op));
  }
  end_operation();
  return 0;
}

int DiskCore::truncate(InodeNumber number, uint64_t size) {
  if (size > kMaxFileSize) return EFBIG;
  look_at_size(number);
  if (inode(number).file.size() == size) return 0;
  look_at_bytes(number, size, 1);
  begin_operation();
  Inode& node = change(number);
  MicroOperation op;
  op.kind = Kind::kSize;
  op.sequence = next_sequence_++;
  op.call = operation_count_;
  op.stamp = write_stamp();
  op.old_size = node.file.size();
  op.size = size;
  op.cuts = size < op.old_size;
  shrink_count_ += op.cuts ? 1 : 0;
  if (const auto bad = bad_.find(number); op.cuts && bad != bad_.end()) {
    bad->second.erase(bad->second.lower_bound(size / options_.sector_size), bad->second.end());
  }
  node.file.apply(op, Fate::keep(), options_.sector_size);
  node.issue(std::move(op));
  end_operation();
  return 0;
}

}  // namespace qk::sim
