// What a crash leaves; the rules are stated in sim_disk.h.
#include <algorithm>
#include <set>
#include <utility>

#include "families/base/check.h"
#include "sim/disk/crash_order.h"
#include "sim/disk/disk_core.h"

namespace qk::sim {
namespace {

using Kind = PendingOperation::Kind;

uint64_t begin_of(const MicroOperation& write) {
  return uint64_t{write.page} * kPageSize + write.from;
}
// Of a name; of a rename, this entry of it.
bool has_happened(const MicroOperation& op, Fate fate) {
  if (fate.kind != Fate::Kind::kTorn) return fate.kind != Fate::Kind::kDrop;
  return (fate.sectors & (op.target == kNoInode ? Fate::kOldEntry : Fate::kNewEntry)) != 0;
}

uint64_t end_of(const MicroOperation& write) { return uint64_t{write.page} * kPageSize + write.to; }

// Of one call: a growth, and then its writes. With the last writes missing, the file grew only as
// far as those that are there.
void limit_growth(Inode* inode, uint64_t call, uint64_t written_end) {
  const auto grow = std::find_if(inode->pending.begin(), inode->pending.end(), [&](const auto& op) {
    return op.call == call && op.kind == Kind::kSize;
  });
  if (grow == inode->pending.end()) return;
  grow->size = std::min(grow->size, std::max(grow->old_size, written_end));
  if (grow->size == grow->old_size) inode->pending.erase(grow);
}

}  // namespace

CrashReport DiskCore::crash(CrashLevel level, Nanos at, Choice& choice) {
  QK_CHECK(at >= now_);
  now_ = at;
  fold_syncs(at);
  evict_until(at);
  const std::vector<PendingSync> in_flight = std::exchange(syncs_, {});
  begin_incarnation();
  collect_garbage();  // no choice about what no name leads to

  CrashReport report;
  report.level = level;
  report.at = at;
  report.never_issued = drop_never_issued(at);
  if (level == CrashLevel::kP0) {
    cut_executing(at, choice, &report);
  } else {
    lose_power(level, in_flight, choice, &report);
  }
  busy_until_ = at;
  clear_pin();
  collect_garbage();

  const std::string details = std::move(report.text);
  report.text = cat(to_string(level), " at ", at, ": ", report.pending, " pending, ", report.kept,
                    " kept, ", report.dropped, " dropped, ", report.torn, " torn", details);
  return report;
}

std::vector<DiskCore::Location> DiskCore::pending_by_sequence() const {
  std::vector<Location> locations;
  for (const auto& [number, inode] : inodes_) {
    for (size_t i = 0; i < inode->pending.size(); ++i) locations.push_back({number, i});
  }
  std::stable_sort(locations.begin(), locations.end(), [this](const auto& a, const auto& b) {
    return inode(a.number).pending[a.position].sequence <
           inode(b.number).pending[b.position].sequence;
  });
  return locations;
}

uint64_t DiskCore::drop_never_issued(Nanos at) {
  std::set<uint64_t> dropped;
  for (const auto& [number, shared] : inodes_) {
    if (shared->pending.empty() || shared->pending.back().stamp.begin <= at) continue;
    Inode& node = change(number);
    while (!node.pending.empty() && node.pending.back().stamp.begin > at) {
      dropped.insert(node.pending.back().sequence);
      node.pending.pop_back();
    }
    if (!node.pending.empty() && node.pending.back().kind == Kind::kWrite) {
      limit_growth(&node, node.pending.back().call, end_of(node.pending.back()));
    }
    node.rebuild(options_.sector_size);
  }
  return dropped.size();
}

void DiskCore::cut_executing(Nanos at, Choice& choice, CrashReport* report) {
  const std::vector<Location> locations = pending_by_sequence();
  std::set<uint64_t> sequences;
  for (const Location& location : locations) {
    sequences.insert(inode(location.number).pending[location.position].sequence);
  }
  report->pending = sequences.size();
  report->kept = report->pending;
  if (locations.empty()) return;
  // One queue per disk: only the last operation can be executing.
  const Location last = locations.back();
  const MicroOperation executing = inode(last.number).pending[last.position];
  if (executing.stamp.end <= at) return;
  const PendingOperation shown = describe(last, CrashLevel::kP0);
  report->text = cat("; executing ", shown.text);
  report->decision.executing = OperationKey{shown.file, shown.kind, shown.ordinal};

  if (executing.kind != Kind::kWrite) {
    report->decision.picked = choice.pick(2);
    if (report->decision.picked != 0) return;
    for (const Location& location : locations) {
      if (inode(location.number).pending[location.position].sequence != executing.sequence)
        continue;
      Inode& node = change(location.number);
      std::erase_if(node.pending,
                    [&](const auto& op) { return op.sequence == executing.sequence; });
      node.rebuild(options_.sector_size);
    }
    --report->kept;
    ++report->dropped;
    return;
  }

  const uint32_t length = executing.to - executing.from;
  const uint32_t prefixes[] = {0, 1, length / 2, length - 1, length};
  report->decision.picked = choice.pick(5);
  QK_CHECK(report->decision.picked < 5);
  const uint32_t kept = prefixes[report->decision.picked];
  report->text += cat(", ", kept, " of ", length, " bytes");
  if (kept == length) return;
  --report->kept;
  ++(kept == 0 ? report->dropped : report->torn);

  Inode& node = change(last.number);
  node.pending.pop_back();
  const bool first = std::none_of(node.pending.begin(), node.pending.end(), [&](const auto& op) {
    return op.call == executing.call && op.kind == Kind::kWrite;
  });
  limit_growth(&node, executing.call, kept == 0 && first ? 0 : begin_of(executing) + kept);
  node.rebuild(options_.sector_size);
  if (kept == 0) return;
  MicroOperation cut = executing;
  cut.to = cut.from + kept;
  const PageRef old = node.file.page(cut.page);
  auto image = old ? std::make_shared<Page>(*old) : std::make_shared<Page>();
  std::copy_n(executing.image->begin() + cut.from, kept, image->begin() + cut.from);
  cut.image = std::move(image);
  node.file.set_page(cut.page, cut.image);
  node.pending.push_back(std::move(cut));
}

PendingOperation DiskCore::describe(const Location& location, CrashLevel level) const {
  return describe(location.number, inode(location.number).pending[location.position], level);
}

PendingOperation DiskCore::describe(InodeNumber number, const MicroOperation& op,
                                    CrashLevel level) const {
  const Inode& node = inode(number);
  const std::string label = number == kRootInode ? "/" : node.label;
  PendingOperation result;
  result.kind = op.kind;
  result.sequence = op.sequence;
  result.call = op.call;
  result.inode = number;
  result.file = number == kRootInode ? "/" : node.born;
  result.ordinal = op.ordinal;
  switch (op.kind) {
    case Kind::kWrite:
      result.sectors = sectors_of(op, sector_size(level));
      result.text = cat(label, ": write ", begin_of(op), "+", op.to - op.from, ", sectors ",
                        absl::Hex(result.sectors, absl::kZeroPad2), " of page ", op.page);
      break;
    case Kind::kSize:
      result.extends = op.size > op.old_size && level != CrashLevel::kP1;  // P1: never garbage
      result.size_parts = level == CrashLevel::kP0 ? 0 : size_parts_of(op);
      result.text = cat(label, ": size ", op.old_size, " -> ", op.size);
      break;
    case Kind::kName:
      result.text = cat(label, ": ", op.target == kNoInode ? "-" : "+", op.name);
      break;
  }
  return result;
}

// What a failed sync has lost is no matter of choice any more. Returns how many there were.
uint64_t DiskCore::drop_lost() {
  uint64_t dropped = 0;
  for (const auto& [number, shared] : inodes_) {
    const auto is_lost = [](const MicroOperation& op) { return op.lost; };
    if (std::none_of(shared->pending.begin(), shared->pending.end(), is_lost)) continue;
    Inode& node = change(number);
    dropped += std::erase_if(node.pending, is_lost);
    node.rebuild(options_.sector_size);
  }
  return dropped;
}

// Pages are written whole at P1.
uint32_t DiskCore::sector_size(CrashLevel level) const {
  return level == CrashLevel::kP1 ? kPageSize : options_.sector_size;
}

// What may be lost: of each inode's list, a rename's two entries as one; and, where a sync of one directory
// does not settle a rename, the entry in the other one, which is durable as if it had.
std::vector<DiskCore::Item> DiskCore::items_to_lose(CrashLevel level) const {
  std::vector<Item> items;
  for (const Location& location : pending_by_sequence()) {
    PendingOperation shown = describe(location, level);
    if (!items.empty() && items.back().shown.sequence == shown.sequence) {
      items.back().shown.text += cat(", ", shown.text);
      items.back().shown.splits = level == CrashLevel::kP2x;
      items.back().entries.push_back(location);
    } else {
      items.push_back({std::move(shown), {location}, false});
    }
  }
  if (!renames_split(level)) return items;
  for (const auto& [number, node] : inodes_) {
    for (size_t i = 0; i < node->halves.size(); ++i) {
      const MicroOperation& op = node->halves[i].operation;
      // btrfs may have logged the new name alone, never the end of the old one alone.
      if (level == CrashLevel::kP1 && op.target != kNoInode) continue;
      PendingOperation shown = describe(number, op, level);
      shown.text += ", by the sync of another directory";
      items.push_back({std::move(shown), {{number, i}}, true});
    }
  }
  std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.shown.sequence < b.shown.sequence;
  });
  return items;
}

bool DiskCore::renames_split(CrashLevel level) const {
  return level == CrashLevel::kP2x ||
         (level == CrashLevel::kP1 && options_.journal.kind == JournalOptions::Kind::kBtrfs);
}

// P1: what the order of the items depends on. Where a sync of one directory has begun, a rename may tear.
std::vector<OrderedOperation> DiskCore::order_of(const std::vector<PendingSync>& in_flight,
                                                 std::vector<Item>* items) const {
  const auto has_begun = [&](InodeNumber number, uint64_t sequence) {
    return std::any_of(in_flight.begin(), in_flight.end(), [&](const PendingSync& sync) {
      return sync.number == number && sequence < sync.before;
    });
  };
  std::vector<OrderedOperation> ordered;
  for (Item& item : *items) {
    OrderedOperation& order = ordered.emplace_back();
    for (const Location& location : item.entries) {
      const Inode& node = inode(location.number);
      const MicroOperation& op =
          item.half ? node.halves[location.position].operation : node.pending[location.position];
      order.in_flight = order.in_flight || has_begun(location.number, op.sequence) ||
                        has_begun(op.target, op.sequence);
      // Of a rename the entry that leads to something.
      if (order.operation != nullptr && op.target == kNoInode) continue;
      order.operation = &op;
      order.inode = location.number;
      order.end = op.size;
      const auto target = inodes_.find(op.target);
      if (!item.half && target != inodes_.end()) {
        order.synced_before = target->second->synced_before;
      }
    }
    const bool across = order.operation->partner != kNoInode && !item.half;
    item.shown.splits = across && order.in_flight && renames_split(CrashLevel::kP1);
  }
  return ordered;
}

void DiskCore::lose_power(CrashLevel level, const std::vector<PendingSync>& in_flight,
                          Choice& choice, CrashReport* report) {
  const uint64_t lost = drop_lost();
  std::vector<Item> items = items_to_lose(level);
  std::vector<OrderedOperation> ordered;
  if (level == CrashLevel::kP1) ordered = order_of(in_flight, &items);
  std::vector<PendingOperation> pending;
  for (const Item& item : items) pending.push_back(item.shown);

  std::vector<Fate> fates = choice.decide(pending);
  QK_CHECK(fates.size() == pending.size());
  report->pending = pending.size();
  for (size_t i = 0; i < fates.size(); ++i) fates[i] = legal_fate(pending[i], fates[i]);
  for (size_t i = 0; i < ordered.size(); ++i) {
    if (items[i].shown.splits && fates[i] == Fate::torn(Fate::kOldEntry)) {
      fates[i] = Fate::keep();  // see above
    }
    const MicroOperation& op = *ordered[i].operation;
    const bool part = fates[i].kind == Fate::Kind::kTorn && op.kind == Kind::kSize && !op.cuts;
    if (part) ordered[i].end = end_of_part(op, fates[i].sectors);
  }
  if (level == CrashLevel::kP1) {
    close_fates(options_.journal, committed_before_, ordered, &fates);
  }
  if (!fates.empty()) report->text = cat(": ", short_form(fates));
  if (lost > 0) report->text += cat("; ", lost, " never reached the disk");
  for (size_t i = 0; i < fates.size(); ++i) {
    if (fates[i].kind != Fate::Kind::kDrop) {
      report->decision.kept[{pending[i].file, pending[i].kind, pending[i].ordinal}] = fates[i];
    }
    if (fates[i].kind == Fate::Kind::kKeep) {
      ++report->kept;
    } else if (fates[i].kind == Fate::Kind::kDrop) {
      ++report->dropped;
    } else {
      ++report->torn;
      report->text += cat("; ", pending[i].text);
      if (fates[i].kind == Fate::Kind::kTorn && pending[i].kind != Kind::kWrite) {
        report->text += cat(", part ", fates[i].sectors);
      } else if (fates[i].kind == Fate::Kind::kTorn) {
        report->text += cat(", left ", absl::Hex(fates[i].sectors, absl::kZeroPad2));
      } else {
        report->text += ", garbage";
      }
    }
  }

  std::set<InodeNumber> changed;
  for (size_t i = 0; i < items.size(); ++i) {
    for (const Location& location : items[i].entries) {
      Inode& node = change(location.number);
      changed.insert(location.number);
      if (items[i].half) {
        if (fates[i].kind == Fate::Kind::kDrop) undo(node.halves[location.position], &node);
        continue;
      }
      const MicroOperation& op = node.pending[location.position];
      if (op.kind != Kind::kName) {
        node.durable_file.apply(op, fates[i], sector_size(level));
      } else if (has_happened(op, fates[i])) {
        apply_entry(&node.durable_entries, op);
      }
    }
  }
  for (const InodeNumber number : changed) {
    Inode& node = change(number);
    // Bytes that survived after the end of the file must not come back when it grows again.
    node.durable_file.cut(node.durable_file.size());
    node.file = node.durable_file;
    node.entries = node.durable_entries;
    node.pending.clear();
  }
  for (const auto& [number, node] : inodes_) {
    if (!node->halves.empty()) change(number).halves.clear();
  }
  keep_one_name_per_directory();
}

// The entry is what it was before the rename, unless it has changed since.
void DiskCore::undo(const Inode::Half& half, Inode* node) const {
  const auto now = node->durable_entries.find(half.operation.name);
  const InodeNumber leads_to = now == node->durable_entries.end() ? kNoInode : now->second;
  if (leads_to != half.operation.target) return;
  MicroOperation back = half.operation;
  back.target = inodes_.contains(half.before) ? half.before : kNoInode;
  apply_entry(&node->durable_entries, back);
}

// Two names of a directory would be a graph that no file system call can make, and could be a
// cycle.
void DiskCore::keep_one_name_per_directory() {
  std::set<InodeNumber> seen;
  const auto visit = [&](const auto& self, InodeNumber number) -> void {
    seen.insert(number);
    const Entries entries = inode(number).entries;
    for (const auto& [name, target] : entries) {
      if (!inode(target).is_directory()) continue;
      if (!seen.contains(target)) {
        self(self, target);
      } else {
        Inode& node = change(number);
        node.entries.erase(name);
        node.durable_entries.erase(name);
      }
    }
  };
  visit(visit, kRootInode);
}

}  // namespace qk::sim
