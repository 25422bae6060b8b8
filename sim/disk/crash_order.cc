#include "sim/disk/crash_order.h"

namespace qk::sim {
namespace {

using Kind = PendingOperation::Kind;
using Journal = JournalOptions::Kind;

// Of a size: it grew by a write, so that it is logged with the data.
bool is_delayed(const JournalOptions& journal, const MicroOperation& op) {
  if (op.kind != Kind::kSize || !op.by_write) return false;
  return op.allocates || journal.kind != Journal::kExt4;
}

// In the journal at once.
bool is_metadata(const JournalOptions& journal, const MicroOperation& op) {
  return op.kind == Kind::kName || (op.kind == Kind::kSize && !is_delayed(journal, op));
}

// A size by a write is not logged before these bytes are there.
bool waits_for_bytes(const JournalOptions& journal, const OrderedOperation& size,
                     const OrderedOperation& bytes) {
  const MicroOperation& op = *size.operation;
  const MicroOperation& other = *bytes.operation;
  if (op.kind != Kind::kSize || !op.by_write || other.kind != Kind::kWrite) return false;
  const bool ext4 = journal.kind == Journal::kExt4;
  if (ext4 && !(journal.ordered_growth && op.allocates && other.allocates)) return false;
  return size.inode == bytes.inode && uint64_t{other.page} * kPageSize < size.end &&
         (other.call == op.call || (other.sequence < op.sequence && other.allocates));
}

// Of a truncation the zeros alone are not it.
bool is_there(const OrderedOperation& operation, Fate fate) {
  if (fate.kind == Fate::Kind::kTorn) return !operation.operation->cuts;
  return fate.kind != Fate::Kind::kDrop;
}

}  // namespace

bool covers(const JournalOptions& journal, uint64_t committed, const OrderedOperation& operation) {
  const MicroOperation& op = *operation.operation;
  if (journal.kind == Journal::kBtrfs) {
    return op.kind == Kind::kName && op.sequence < operation.synced_before;
  }
  return is_metadata(journal, op) && op.sequence < committed;
}

bool depends(const JournalOptions& journal, const OrderedOperation& operation,
             const OrderedOperation& on) {
  const MicroOperation& op = *operation.operation;
  const MicroOperation& other = *on.operation;
  const bool earlier = other.sequence < op.sequence;
  const bool same = operation.inode == on.inode;
  if (op.kind == Kind::kWrite) {
    // New blocks come after a truncation has given the old ones away.
    return earlier && same && op.allocates && other.kind == Kind::kSize && other.cuts;
  }
  if (waits_for_bytes(journal, operation, on)) return true;
  if ((operation.covered || operation.in_flight) && journal.kind == Journal::kBtrfs) {
    // Logged by itself, and with the new directories that it lies in.
    if (other.kind == Kind::kName) return earlier && other.target == operation.inode;
    return earlier && same && other.kind == Kind::kSize;
  }
  if (is_metadata(journal, other)) return earlier;
  if (op.kind == Kind::kSize && same && op.by_write && other.kind == Kind::kSize) return earlier;
  if (op.kind == Kind::kName && op.replaces && op.target == on.inode &&
      journal.kind == Journal::kExt4 && journal.auto_da_alloc) {
    return earlier && other.allocates && (other.kind == Kind::kSize || journal.ordered_growth);
  }
  return false;
}

void close_fates(const JournalOptions& journal, uint64_t committed,
                 std::span<OrderedOperation> pending, std::vector<Fate>* fates) {
  for (size_t i = 0; i < pending.size(); ++i) {
    pending[i].covered = covers(journal, committed, pending[i]);
    if (pending[i].covered) (*fates)[i] = Fate::keep();
  }
  std::vector<bool> fixed(pending.size());
  for (size_t i = 0; i < pending.size(); ++i) fixed[i] = pending[i].covered;
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < pending.size(); ++i) {
      for (size_t j = 0; fixed[i] && j < pending.size(); ++j) {
        if (i == j || fixed[j] || !depends(journal, pending[i], pending[j])) continue;
        fixed[j] = changed = true;
        (*fates)[j] = Fate::keep();
      }
    }
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < pending.size(); ++i) {
      if (fixed[i] || (*fates)[i].kind == Fate::Kind::kDrop) continue;
      for (size_t j = 0; j < pending.size(); ++j) {
        if (i == j || is_there(pending[j], (*fates)[j])) continue;
        if (!depends(journal, pending[i], pending[j])) continue;
        (*fates)[i] = Fate::drop();
        changed = true;
        break;
      }
    }
  }
}

}  // namespace qk::sim
