// Feedback: plans near those whose runs came to something new, in place of half of those that seeds
// draw alone.
//
// A run is told from others by its tuples (Reach::tuples()). One with a tuple that no run before it
// had is kept; later seeds choose one of the last that were kept, and make a plan near it. The plan of
// a seed is a function of its line of ancestors alone: near() of near() of ... of the plan that the
// first of them draws. So it is repeated from a few numbers, without the runs before it.
//
// docs/feedback.md has what it was compared with, and the result.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "sim/cluster/plan.h"

namespace qk::sim {

// The plan with its random faults drawn and spelled out; it does the same.
Plan spelled_out(Plan plan);

// `parent` with another seed, which draws all that the plan does not say, and with a few of its faults
// at other times, of other nodes, with other losses, left out or repeated. `parent` is spelled out.
Plan near(Plan parent, uint64_t seed);

class Feedback {
 public:
  // A line of ancestors is not longer, so that plans do not drift too far from what a seed draws.
  static constexpr size_t kMaxAncestors = 6;

  // Seeds whose plans lead to the one that `seed` is to run, the oldest first; empty: it draws its own.
  std::vector<uint64_t> ancestors(uint64_t seed) const;
  // In the order in which runs count.
  void ran(uint64_t seed, std::vector<uint64_t> ancestors, std::span<const std::string> tuples);
  size_t tuples() const { return seen_.size(); }
  size_t kept() const { return kept_.size(); }

 private:
  std::set<std::string> seen_;
  std::vector<std::vector<uint64_t>> kept_;  // with the seed itself, the last one last
};

// The plan of `seed` after these ancestors; `drawn` makes the plan that a seed draws alone.
template <typename Drawn>
Plan plan_after(std::span<const uint64_t> ancestors, uint64_t seed, const Drawn& drawn) {
  if (ancestors.empty()) return drawn(seed);
  Plan plan = spelled_out(drawn(ancestors.front()));
  for (const uint64_t next : ancestors.subspan(1)) plan = near(std::move(plan), next);
  return near(std::move(plan), seed);
}

}  // namespace qk::sim
