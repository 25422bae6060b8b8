// Futures: where in a run its failure became inevitable. A run that fails is run again up to a
// moment, and from there on with other chance (RunOptions::turn), many times; the share of these
// futures that end with the same violation is a point of the curve. Where the curve rises most it is
// tried again in between, until two moments are one step of the scheduler apart: what happened in
// that step is where chance had decided.
//
// It says what chance decided, not what is wrong: a bug that acts in each future shows as a curve
// that is at its top from the start.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/cluster/run.h"
#include "sim/kernel/trace.h"

namespace qk::sim {

enum class Future : uint8_t {
  kSame,   // the same oracle, in the same phase of its node
  kOther,  // another violation, or a failed check of our own
  kNone,   // no violation
};

// How a future of a run that ended with `violation` came out.
Future future_of(const Violation& violation, const RunResult& result);

struct Moment {
  uint64_t steps = 0;   // Turn::after_steps
  uint64_t events = 0;  // of the run until then
  Nanos t = 0;
  uint64_t same = 0;
  uint64_t other = 0;
  uint64_t none = 0;
  uint64_t futures() const { return same + other + none; }
};

struct Curve {
  std::vector<Moment> moments;  // by steps; the last one is the violation itself
  // Positions in `moments`, one step apart: the greatest rise. Nothing: the curve does not rise, or
  // the time was over before it was found.
  std::optional<size_t> jump;  // of the later one
  bool complete = true;
};

// The failing run: how many steps it had, its events and its end.
struct FailingRun {
  uint64_t steps = 0;
  uint64_t events = 0;
  Nanos t = 0;
};

// `ask` runs the futures of a moment; nothing if the time is over. `points` moments are tried at
// first, 2 or more, as far apart as they can be.
Curve find_jump(const FailingRun& run, uint64_t points, uint64_t futures,
                const std::function<std::optional<Moment>(uint64_t steps)>& ask);

// `trace` is that of the failing run, at kFull.
std::string curve_text(const Curve& curve, const Trace& trace);
std::string curve_json(const Curve& curve, const Trace& trace, const Violation& violation);

}  // namespace qk::sim
