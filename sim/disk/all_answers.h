// AllAnswers: a Choice that gives every answer, one after the other.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/disk/choice.h"

namespace qk::sim {

// A number in a mixed radix, a digit for each operation.
class AllAnswers final : public Choice {
 public:
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override {
    digits_.resize(pending.size(), 0);
    counts_.clear();
    std::vector<Fate> fates;
    for (size_t i = 0; i < pending.size(); ++i) {
      counts_.push_back(fate_count(pending[i]));
      fates.push_back(fate_at(pending[i], digits_[i]));
    }
    return fates;
  }
  uint32_t pick(uint32_t n) override {
    picks_ = n;
    return pick_;
  }
  // The next answer; false after the last.
  bool advance() {
    for (size_t i = 0; i < counts_.size(); ++i) {
      if (++digits_[i] < counts_[i]) return true;
      digits_[i] = 0;
    }
    return ++pick_ < picks_;
  }

 private:
  std::vector<uint32_t> digits_, counts_;
  uint32_t pick_ = 0, picks_ = 0;
};

}  // namespace qk::sim
