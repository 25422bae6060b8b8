// RandomStream: the only source of chance in a run. Each subsystem of each node draws from its own
// stream, derived from (seed, name), so that one more draw in one place changes nothing elsewhere.
//
// Draw n is XXH3(n, key): the state is a counter, so a stream is copied and compared for free.
// Probabilities are parts per million; there is no floating point.
//
// The streams of a run share a turn, which is 0: another one gives all of them other draws from
// then on, and so the run another future (RunOptions::turn).
#pragma once

#include <cstdint>
#include <string_view>

#include "families/base/check.h"
#include "families/base/hash.h"

namespace qk::sim {

__extension__ using Uint128 = unsigned __int128;

class RandomStream {
 public:
  // `turn` outlives the stream; null: it never turns.
  RandomStream(uint64_t seed, std::string_view name, const uint64_t* turn = nullptr)
      : key_(xxh3_64(name, seed)), turn_(turn) {}

  uint64_t next() {
    const uint64_t n = draws_++;
    const uint64_t key = turn_ == nullptr ? key_ : key_ + *turn_;
    return xxh3_64({reinterpret_cast<const char*>(&n), sizeof n}, key);
  }
  // Uniform in [0, bound); bound >= 1. Multiply-shift: the bias is below bound / 2^64.
  uint64_t below(uint64_t bound) {
    QK_CHECK(bound >= 1);
    return static_cast<uint64_t>((static_cast<Uint128>(next()) * bound) >> 64);
  }
  // Uniform in [low, high].
  int64_t between(int64_t low, int64_t high) {
    QK_CHECK(low <= high);
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low) + 1));
  }
  bool chance_ppm(uint32_t ppm) { return below(1'000'000) < ppm; }

  void share(const uint64_t* turn) { turn_ = turn; }
  uint64_t draws() const { return draws_; }

 private:
  uint64_t key_;
  const uint64_t* turn_;
  uint64_t draws_ = 0;
};

}  // namespace qk::sim
