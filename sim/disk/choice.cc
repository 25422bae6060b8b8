#include "sim/disk/choice.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <string_view>

#include "families/base/strings.h"

namespace qk::sim {
namespace {

using Kind = PendingOperation::Kind;

// The lower half, by position, of the sectors in `mask`; rounded down.
uint32_t first_half(uint32_t mask) {
  uint32_t result = 0;
  for (int left = std::popcount(mask) / 2; left > 0; --left) {
    const uint32_t lowest = mask & (~mask + 1);
    result |= lowest;
    mask ^= lowest;
  }
  return result;
}

std::optional<size_t> last_kept_write(std::span<const PendingOperation> pending,
                                      const std::vector<Fate>& fates) {
  for (size_t i = pending.size(); i-- > 0;) {
    if (pending[i].kind == Kind::kWrite && fates[i] == Fate::keep()) return i;
  }
  return std::nullopt;
}

// Loses the write at `position` and gives the size that it set this fate.
void lose_write(std::span<const PendingOperation> pending, size_t position, Fate size_fate,
                std::vector<Fate>* fates) {
  (*fates)[position] = Fate::drop();
  for (size_t i = position; i-- > 0;) {
    if (pending[i].call != pending[position].call) break;
    if (pending[i].kind == Kind::kSize) (*fates)[i] = size_fate;
  }
}

// What may survive alone, of a write or of a rename that splits.
uint32_t parts_of(const PendingOperation& operation) {
  return operation.splits ? Fate::kOldEntry | Fate::kNewEntry : operation.sectors;
}

// The k-th subset of the bits of `mask`, where 0 is the empty set and the last is all.
uint32_t subset_of(uint32_t mask, uint32_t k) {
  uint32_t result = 0;
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1, k >>= 1) {
    if ((k & 1) != 0) result |= rest & (~rest + 1);
  }
  return result;
}

}  // namespace

Fate legal_fate(const PendingOperation& operation, Fate fate) {
  switch (fate.kind) {
    case Fate::Kind::kDrop:
      return Fate::drop();
    case Fate::Kind::kKeep:
      return Fate::keep();
    case Fate::Kind::kTorn: {
      if (operation.kind == Kind::kSize) {
        const bool part = fate.sectors >= 1 && fate.sectors <= operation.size_parts;
        return part ? fate : Fate::keep();
      }
      if (operation.kind != Kind::kWrite && !operation.splits) return Fate::keep();
      const uint32_t parts = parts_of(operation);
      const uint32_t kept = fate.sectors & parts;
      if (kept == 0) return Fate::drop();
      return kept == parts ? Fate::keep() : Fate::torn(kept);
    }
    case Fate::Kind::kGarbage:
      return operation.kind == Kind::kSize && operation.extends ? Fate::garbage() : Fate::keep();
  }
  return Fate::drop();
}

uint32_t fate_count(const PendingOperation& operation) {
  if (operation.kind == Kind::kWrite || operation.splits) {
    return 1u << std::popcount(parts_of(operation));
  }
  return 2 + (operation.kind == Kind::kSize && operation.extends ? 1 : 0) + operation.size_parts;
}

Fate fate_at(const PendingOperation& operation, uint32_t number) {
  QK_CHECK(number < fate_count(operation));
  if (number == 0) return Fate::drop();
  if (number == 1) return Fate::keep();
  if (operation.kind == Kind::kSize) {
    if (!operation.extends) return Fate::torn(number - 1);
    return number == 2 ? Fate::garbage() : Fate::torn(number - 2);
  }
  return Fate::torn(subset_of(parts_of(operation), number - 1));
}

std::vector<Fate> DropAll::decide(std::span<const PendingOperation> pending) {
  return std::vector<Fate>(pending.size(), Fate::drop());
}
uint32_t DropAll::pick(uint32_t) { return 0; }

std::vector<Fate> KeepAll::decide(std::span<const PendingOperation> pending) {
  return std::vector<Fate>(pending.size(), Fate::keep());
}
uint32_t KeepAll::pick(uint32_t n) { return n - 1; }

std::vector<Fate> Prefix::decide(std::span<const PendingOperation> pending) {
  std::vector<Fate> fates(pending.size(), Fate::drop());
  std::fill_n(fates.begin(), std::min(count_, fates.size()), Fate::keep());
  return fates;
}
uint32_t Prefix::pick(uint32_t) { return 0; }

std::vector<Fate> OmitSet::decide(std::span<const PendingOperation> pending) {
  std::vector<Fate> fates(pending.size(), Fate::keep());
  for (const size_t position : positions_) {
    if (position < fates.size()) fates[position] = Fate::drop();
  }
  return fates;
}
uint32_t OmitSet::pick(uint32_t n) { return n - 1; }

std::vector<Fate> KeepOnly::decide(std::span<const PendingOperation> pending) {
  std::vector<Fate> fates(pending.size(), Fate::drop());
  if (position_ < fates.size()) fates[position_] = Fate::keep();
  return fates;
}
uint32_t KeepOnly::pick(uint32_t) { return 0; }

std::vector<Fate> TornTail::decide(std::span<const PendingOperation> pending) {
  std::vector<Fate> fates(pending.size(), Fate::keep());
  if (const auto last = last_kept_write(pending, fates)) {
    const uint32_t half = first_half(pending[*last].sectors);
    if (half != 0) {
      fates[*last] = Fate::torn(half);
    } else {
      lose_write(pending, *last, Fate::keep(), &fates);
    }
  }
  return fates;
}
uint32_t TornTail::pick(uint32_t n) { return n / 2; }

std::vector<Fate> Sampled::decide(std::span<const PendingOperation> pending) {
  std::vector<Fate> fates(pending.size(), Fate::drop());
  if (pending.empty()) return fates;
  const uint64_t mix = random_.below(100);
  if (mix < 25) {
    // Only what was synced: there is nothing to tear either.
    return fates;
  }
  if (mix < 40) {
    fates = KeepAll().decide(pending);
  } else if (mix < 60) {
    fates = Prefix(random_.below(pending.size() + 1)).decide(pending);
  } else if (mix < 90) {
    constexpr uint32_t kOdds[] = {100'000, 500'000, 900'000};
    const uint32_t odds = kOdds[random_.below(3)];
    for (Fate& fate : fates) fate = random_.chance_ppm(odds) ? Fate::keep() : Fate::drop();
  } else {
    fates = OmitSet({random_.below(pending.size())}).decide(pending);
  }
  if (!random_.chance_ppm(500'000)) return fates;
  const auto last = last_kept_write(pending, fates);
  if (!last) return fates;
  const uint32_t sectors = pending[*last].sectors;
  switch (random_.below(5)) {
    case 0:
      fates[*last] = Fate::torn(first_half(sectors));
      break;
    case 1:
      fates[*last] = Fate::torn(sectors & ~first_half(sectors));
      break;
    case 2:
      fates[*last] = Fate::torn(sectors & static_cast<uint32_t>(random_.next()));
      break;
    case 3:
      lose_write(pending, *last, Fate::keep(), &fates);
      break;
    default:
      lose_write(pending, *last, Fate::garbage(), &fates);
      break;
  }
  return fates;
}
uint32_t Sampled::pick(uint32_t n) { return static_cast<uint32_t>(random_.below(n)); }

std::string to_string(const OperationKey& key) {
  constexpr std::string_view kKinds[] = {"write", "size", "name"};
  return cat(key.file, " ", kKinds[static_cast<size_t>(key.kind)], " ", key.ordinal);
}

std::string difference(const Decision& asked, const Decision& found) {
  if (asked.executing != found.executing) {
    return cat("executing is ",
               found.executing ? to_string(*found.executing) : std::string("no operation"),
               ", the decision is about ",
               asked.executing ? to_string(*asked.executing) : std::string("none"));
  }
  if (asked.picked != found.picked) {
    return cat("part ", asked.picked, " of the executing operation is not possible");
  }
  for (const auto& [key, fate] : asked.kept) {
    const auto there = found.kept.find(key);
    if (there == found.kept.end()) return cat(to_string(key), " is not pending");
    if (there->second != fate) return cat("what is asked of ", to_string(key), " is not possible");
  }
  return "";
}

std::vector<Fate> Scripted::decide(std::span<const PendingOperation> pending) {
  std::vector<Fate> fates;
  for (const PendingOperation& operation : pending) {
    const auto kept = decision_.kept.find({operation.file, operation.kind, operation.ordinal});
    fates.push_back(kept == decision_.kept.end() ? Fate::drop() : kept->second);
  }
  return fates;
}
uint32_t Scripted::pick(uint32_t n) { return std::min(decision_.picked, n - 1); }

std::string short_form(std::span<const Fate> fates) {
  std::string text;
  for (size_t i = 0; i < fates.size();) {
    const Fate fate = fates[i];
    size_t end = i + 1;
    while (end < fates.size() && fates[end] == fate) ++end;
    if (fate.kind == Fate::Kind::kTorn) {
      // One by one: a repetition count could not be told from more hexadecimal digits.
      text += cat("T", absl::Hex(fate.sectors, absl::kZeroPad2));
      end = i + 1;
    } else {
      text += fate.kind == Fate::Kind::kDrop ? 'D' : fate.kind == Fate::Kind::kKeep ? 'K' : 'G';
      if (end - i > 1) text += cat(end - i);
    }
    i = end;
  }
  return text;
}

}  // namespace qk::sim
