#include "sim/disk/crash_states.h"

#include <algorithm>

#include "families/base/check.h"

namespace qk::sim {
namespace {

// Loses everything, and remembers what it was asked.
class Asking final : public Choice {
 public:
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override {
    asked.assign(pending.begin(), pending.end());
    return std::vector<Fate>(pending.size(), Fate::drop());
  }
  uint32_t pick(uint32_t n) override {
    parts = n;
    return 0;
  }

  std::vector<PendingOperation> asked;
  uint32_t parts = 0;
};

// The first and the second half of the sectors that a write touches; nothing, if it has but one.
std::vector<Fate> tears_of(const PendingOperation& operation) {
  if (operation.kind == PendingOperation::Kind::kSize) {
    if (operation.extends) return {Fate::garbage()};
    if (operation.size_parts > 0) return {Fate::torn(1)};
    return {};
  }
  if (operation.splits) return {Fate::torn(Fate::kOldEntry), Fate::torn(Fate::kNewEntry)};
  if (operation.kind != PendingOperation::Kind::kWrite) return {};
  const auto count = static_cast<uint32_t>(__builtin_popcount(operation.sectors));
  if (count < 2) return {};
  uint32_t first = 0;
  uint32_t taken = 0;
  for (uint32_t bit = 0; taken < count / 2; ++bit) {
    if ((operation.sectors >> bit & 1) == 0) continue;
    first |= 1u << bit;
    ++taken;
  }
  return {Fate::torn(first), Fate::torn(operation.sectors & ~first)};
}

class Lister {
 public:
  Lister(const std::vector<PendingOperation>& pending, CrashLevel level, const CrashBounds& bounds)
      : pending_(pending), level_(level), bounds_(bounds) {}

  // Operation `last` is there, and nothing after it.
  void up_to(size_t last) {
    std::vector<Fate> fates(pending_.size(), Fate::drop());
    std::fill_n(fates.begin(), last + 1, Fate::keep());
    add(fates);
    for (const Fate& tear : tears_of(pending_[last])) {
      fates[last] = tear;
      add(fates);
    }
    fates[last] = Fate::keep();
    grow_garbage(fates, last);
    tear_write_before(fates, last);
    grow_in_part(fates, last);
    omit(&fates, 0, last, bounds_.omit);
    if (last <= bounds_.omit) return;  // it was among the omissions
    std::fill_n(fates.begin(), last, Fate::drop());
    add(fates);
  }
  void none() { add(std::vector<Fate>(pending_.size(), Fate::drop())); }

  std::vector<CrashState> take() { return std::move(states_); }

 private:
  void add(const std::vector<Fate>& fates) { states_.push_back({.level = level_, .fates = fates}); }

  // Up to `left` of the operations in [from, to) are missing.
  void omit(std::vector<Fate>* fates, size_t from, size_t to, uint32_t left) {
    if (left == 0) return;
    for (size_t i = from; i < to; ++i) {
      (*fates)[i] = Fate::drop();
      add(*fates);
      omit(fates, i + 1, to, left - 1);
      (*fates)[i] = Fate::keep();
    }
  }

  // A name or a size overtook the last write: a rename survives, and of the file that it names a half.
  void tear_write_before(const std::vector<Fate>& all, size_t last) {
    if (pending_[last].kind == PendingOperation::Kind::kWrite) return;
    for (size_t i = last; i-- > 0;) {
      if (pending_[i].kind != PendingOperation::Kind::kWrite) continue;
      std::vector<Fate> fates = all;
      for (const Fate& tear : tears_of(pending_[i])) {
        fates[i] = tear;
        add(fates);
      }
      fates[i] = Fate::keep();
      grow_garbage(fates, i);
      return;
    }
  }

  // The file has grown, its bytes never came, and what lay there before shows.
  void grow_garbage(const std::vector<Fate>& all, size_t last) {
    if (pending_[last].kind != PendingOperation::Kind::kWrite) return;
    for (size_t i = 0; i < last; ++i) {
      if (pending_[i].call != pending_[last].call || !pending_[i].extends) continue;
      std::vector<Fate> fates = all;
      fates[i] = Fate::garbage();
      fates[last] = Fate::drop();
      add(fates);
    }
  }

  // The file has grown as far as this page of a larger write.
  void grow_in_part(const std::vector<Fate>& all, size_t last) {
    if (pending_[last].kind != PendingOperation::Kind::kWrite) return;
    size_t first = last;
    while (first > 0 && pending_[first - 1].call == pending_[last].call) --first;
    if (pending_[first].size_parts == 0) return;
    size_t end = last + 1;
    while (end < pending_.size() && pending_[end].call == pending_[last].call) ++end;
    // The pages of a growth are the last ones of its write; its last part would be all of it.
    const size_t parts = pending_[first].size_parts;
    if (last + parts + 2 <= end || last + parts + 2 - end > parts) return;
    std::vector<Fate> fates = all;
    fates[first] = Fate::torn(static_cast<uint32_t>(last + parts + 2 - end));
    add(fates);
  }

  const std::vector<PendingOperation>& pending_;
  const CrashLevel level_;
  const CrashBounds& bounds_;
  std::vector<CrashState> states_;
};

}  // namespace

std::vector<Fate> Exactly::decide(std::span<const PendingOperation> pending) {
  QK_CHECK(pending.size() == state_.fates.size());
  return state_.fates;
}

uint32_t Exactly::pick(uint32_t n) { return std::min(state_.picked, n - 1); }

std::vector<CrashState> crash_states(const SimDisk& disk, Nanos at, CrashLevel level,
                                     LastOperation last, const CrashBounds& bounds) {
  Asking asking;
  SimDisk copy = disk.fork();
  copy.crash(level, at, asking);
  if (level == CrashLevel::kP0) {
    std::vector<CrashState> states;
    for (uint32_t part = 0; part < std::max(asking.parts, 1u); ++part) {
      states.push_back({.level = level, .picked = part});
    }
    return states;
  }
  Lister lister(asking.asked, level, bounds);
  const size_t count = asking.asked.size();
  if (last == LastOperation::kAny) {
    for (size_t i = 0; i < count; ++i) lister.up_to(i);
    lister.none();
  } else if (count > 0) {
    // Those of one call may share an instant.
    size_t first = count - 1;
    while (first > 0 && asking.asked[first - 1].call == asking.asked[count - 1].call) --first;
    for (size_t i = first; i < count; ++i) lister.up_to(i);
  } else {
    lister.none();
  }
  return lister.take();
}

}  // namespace qk::sim
