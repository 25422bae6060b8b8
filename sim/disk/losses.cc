#include "sim/disk/losses.h"

#include <algorithm>
#include <iterator>

namespace qk::sim {
namespace {

constexpr uint64_t kDraws = 6;
// Places at which P0 cuts a write.
constexpr uint32_t kCuts = 5;
// Sectors of 512 bytes in a page of 4096.
constexpr uint32_t kPageSectors = 8;

// P0 with a fixed pick.
class Pick final : public Choice {
 public:
  explicit Pick(uint32_t number) : number_(number) {}
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override {
    return std::vector<Fate>(pending.size(), Fate::keep());
  }
  uint32_t pick(uint32_t n) override { return std::min(number_, n - 1); }

 private:
  const uint32_t number_;
};

// Every growth survives full of garbage, and of every write only its sectors in `mask`.
class Garbage final : public Choice {
 public:
  explicit Garbage(uint32_t mask) : mask_(mask) {}
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override {
    std::vector<Fate> fates;
    for (const PendingOperation& operation : pending) {
      fates.push_back(operation.kind == PendingOperation::Kind::kSize    ? Fate::garbage()
                      : operation.kind == PendingOperation::Kind::kWrite ? Fate::torn(mask_)
                                                                         : Fate::keep());
    }
    return fates;
  }
  uint32_t pick(uint32_t n) override { return n - 1; }

 private:
  const uint32_t mask_;
};

// Everything survives but this sector of the write at this position.
class Hole final : public Choice {
 public:
  Hole(size_t position, uint32_t sector) : position_(position), sector_(sector) {}
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override {
    std::vector<Fate> fates(pending.size(), Fate::keep());
    if (position_ < pending.size() && pending[position_].kind == PendingOperation::Kind::kWrite) {
      fates[position_] = Fate::torn(pending[position_].sectors & ~(1u << sector_));
    }
    return fates;
  }
  uint32_t pick(uint32_t n) override { return n - 1; }

 private:
  const size_t position_;
  const uint32_t sector_;
};

Loss draw(uint64_t seed, uint64_t number) {
  return power_cut<Sampled>(cat("draw ", number, " of seed ", seed),
                            RandomStream(seed, cat("crash ", number)));
}

Loss torn_tail() { return power_cut<TornTail>("torn tail"); }

void add_all(std::vector<Loss>* to, std::vector<Loss> more) {
  std::move(more.begin(), more.end(), std::back_inserter(*to));
}

}  // namespace

Loss process_death(uint32_t cut) {
  Loss loss;
  loss.name = cat("P0, cut ", cut);
  loss.level = CrashLevel::kP0;
  loss.choice = [cut] { return std::make_unique<Pick>(cut); };
  return loss;
}

Loss drawn_process_death(RandomStream random) {
  Loss loss = drawn_power_cut(random);
  loss.name = "P0, drawn";
  loss.level = CrashLevel::kP0;
  return loss;
}

const Loss& nothing_survives() {
  static const Loss kNothing = all_or_nothing(0, 0).front();
  return kNothing;
}

Loss drawn_power_cut(RandomStream random) { return power_cut<Sampled>("drawn", random); }

std::vector<Loss> process_deaths(size_t, uint64_t) {
  std::vector<Loss> losses;
  for (uint32_t cut = 0; cut < kCuts; ++cut) losses.push_back(process_death(cut));
  return losses;
}

std::vector<Loss> all_or_nothing(size_t, uint64_t) {
  return {power_cut<DropAll>("nothing survives"), power_cut<KeepAll>("everything survives")};
}

std::vector<Loss> reorderings(size_t pending, uint64_t seed) {
  std::vector<Loss> losses;
  for (size_t i = 0; i < pending; ++i) {
    losses.push_back(power_cut<KeepOnly>(cat("only ", i), i));
    losses.push_back(power_cut<OmitSet>(cat("all but ", i), std::set<size_t>{i}));
    // A file grows before its bytes come, so a prefix may end in between.
    losses.push_back(power_cut<Prefix>(cat("the first ", i), i));
  }
  for (uint64_t i = 0; i < kDraws; ++i) losses.push_back(draw(seed, i));
  return losses;
}

std::vector<Loss> tears(size_t, uint64_t) {
  std::vector<Loss> losses = {torn_tail()};
  for (const uint32_t mask : {0x00u, 0x55u, 0xaau}) {
    losses.push_back(power_cut<Garbage>(cat("garbage, sectors ", mask), mask));
    losses.back().garbage = true;
  }
  return losses;
}

std::vector<Loss> holes(size_t pending, uint64_t) {
  std::vector<Loss> losses;
  for (size_t i = 0; i < pending; ++i) {
    for (uint32_t sector = 0; sector < kPageSectors; ++sector) {
      losses.push_back(power_cut<Hole>(cat("all but sector ", sector, " of ", i), i, sector));
    }
  }
  return losses;
}

std::vector<Loss> all_losses(size_t pending, uint64_t seed) {
  std::vector<Loss> losses = process_deaths(pending, seed);
  add_all(&losses, all_or_nothing(pending, seed));
  add_all(&losses, reorderings(pending, seed));
  add_all(&losses, tears(pending, seed));
  return losses;
}

std::vector<Loss> few_losses(size_t pending, uint64_t seed) {
  std::vector<Loss> losses = {process_death(0), process_death(kCuts - 1), torn_tail(),
                              draw(seed, 0)};
  add_all(&losses, all_or_nothing(pending, seed));
  return losses;
}

}  // namespace qk::sim
