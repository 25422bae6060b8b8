// Crash states: every state that a crash at one instant may leave, within bounds, for exploring
// instead of drawing. Each is a Choice, so what was explored can be replayed and written down.
//
// The last operation that had begun is the one that a state is listed for: it is there, whole or
// torn, with at most `omit` of the pending operations before it missing, or with none of them; if it
// is a name or a size, also with the last write before it torn.
// States without it are those of the instant before; so a walk over all instants of a disk meets
// each state once (and the same bytes by other ways: see SimDisk::image_hash()).
//
// Bounds are what makes it finite: of `n` pending operations there are 2^n subsets, and as many
// again of their sectors. Single omissions find what orders two writes, tears what one record needs.
#pragma once

#include <string>
#include <vector>

#include "sim/disk/choice.h"
#include "sim/disk/sim_disk.h"

namespace qk::sim {

struct CrashBounds {
  uint32_t omit = 1;  // so many operations may be missing before the last one that survives
};

struct CrashState {
  CrashLevel level = CrashLevel::kP2;
  // For each pending operation, in issue order; at P1 the disk drops what cannot be there without another
  // one. P0: how much of the executing one happened.
  std::vector<Fate> fates = {};
  uint32_t picked = 0;
};

// Makes the crash leave one state.
class Exactly final : public Choice {
 public:
  explicit Exactly(const CrashState* state) : state_(*state) {}
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override;
  uint32_t pick(uint32_t n) override;

 private:
  const CrashState& state_;
};

enum class LastOperation : uint8_t {
  kExecuting,  // the newest one: what is new at this instant
  kAny,        // each pending one in turn, and none: all that a crash at this instant may leave
};

// Of a crash at `at`, which is not before the disk's now(); for a walk over SimDisk::moments().
std::vector<CrashState> crash_states(const SimDisk& disk, Nanos at, CrashLevel level,
                                     LastOperation last, const CrashBounds& bounds);

}  // namespace qk::sim
