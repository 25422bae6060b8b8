#include "sim/explore/feedback.h"

#include <algorithm>

#include "sim/kernel/random.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

// A seed draws its own plan as often as it makes one near another.
constexpr uint32_t kAlone = 500'000;
// Of the plans that are kept, so many of the last are chosen from.
constexpr size_t kChooseFrom = 16;

constexpr Nanos kShift = 500 * kMillisecond;
constexpr uint32_t kLeftOut = 100'000;
constexpr uint32_t kRepeated = 100'000;
constexpr uint32_t kShifted = 400'000;
constexpr uint32_t kOtherLoss = 250'000;
constexpr uint32_t kOtherNode = 150'000;

void shift(RandomStream* random, Nanos end, FaultPlan* fault) {
  Trigger& at = fault->at;
  at.time = std::clamp<Nanos>(at.time + random->between(-kShift, kShift), 1, end - 1);
  at.text = cat(seconds_text(at.time, 9), "s");
}

}  // namespace

Plan spelled_out(Plan plan) {
  expand_random(&plan, std::min(plan.run_for, plan.until.value_or(plan.run_for)));
  const Nanos quiet_after = plan.random.quiet_after;
  plan.random = {};
  plan.random.quiet_after = quiet_after;
  return plan;
}

Plan near(Plan parent, uint64_t seed) {
  RandomStream random(seed, "near");
  parent.seed = seed;
  Nanos end = std::min(parent.run_for, parent.until.value_or(parent.run_for));
  if (parent.random.quiet_after > 0) end = std::min(end, parent.random.quiet_after);
  std::vector<FaultPlan> faults;
  for (FaultPlan& fault : parent.faults) {
    auto* const crash = std::get_if<CrashFault>(&fault.what);
    if (crash != nullptr) {
      crash->decided.reset();
      if (random.chance_ppm(kOtherLoss)) crash->loss = static_cast<CrashLoss>(random.below(5));
    }
    // What a scenario itself schedules stays where it is: its expectations may rest on it.
    if (!fault.drawn || fault.at.kind != Trigger::Kind::kTime || fault.at.time >= end) {
      faults.push_back(std::move(fault));
      continue;
    }
    if (random.chance_ppm(kLeftOut)) continue;
    const bool again = random.chance_ppm(kRepeated);
    if (crash != nullptr && random.chance_ppm(kOtherNode)) {
      crash->node = parent.cluster.nodes[random.below(parent.cluster.nodes.size())].id;
    }
    if (random.chance_ppm(kShifted)) shift(&random, end, &fault);
    faults.push_back(fault);
    if (!again) continue;
    shift(&random, end, &fault);
    faults.push_back(std::move(fault));
  }
  parent.faults = std::move(faults);
  return parent;
}

std::vector<uint64_t> Feedback::ancestors(uint64_t seed) const {
  RandomStream random(seed, "feedback");
  if (random.chance_ppm(kAlone) || kept_.empty()) return {};
  const size_t among = std::min(kChooseFrom, kept_.size());
  return kept_[kept_.size() - 1 - random.below(among)];
}

void Feedback::ran(uint64_t seed, std::vector<uint64_t> ancestors,
                   std::span<const std::string> tuples) {
  const size_t before = seen_.size();
  seen_.insert(tuples.begin(), tuples.end());
  if (seen_.size() == before || ancestors.size() >= kMaxAncestors) return;
  ancestors.push_back(seed);
  kept_.push_back(std::move(ancestors));
}

}  // namespace qk::sim
