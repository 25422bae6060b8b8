#include "sim/explore/swarm.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "families/base/strings.h"
#include "sim/kernel/random.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

constexpr uint32_t kHalf = 500'000;
constexpr uint32_t kAlways = 1'000'000;

// One kind of fault: off, or at twice^strength of its rate, strength -1, 0 or 1.
struct Kind {
  bool present = false;
  std::function<void()> off;
  std::function<void(int strength)> scale;
};

// How often: a longer mean is a weaker fault.
Kind mean_kind(Nanos* mean) {
  return {*mean > 0, [mean] { *mean = 0; },
          [mean](int strength) {
            if (strength < 0) *mean *= 2;
            if (strength > 0) *mean = std::max<Nanos>(1, *mean / 2);
          }};
}

Kind share_kind(uint32_t* ppm) {
  return {*ppm > 0, [ppm] { *ppm = 0; },
          [ppm](int strength) {
            if (strength < 0) *ppm = std::max<uint32_t>(1, *ppm / 2);
            if (strength > 0) *ppm = std::min(kAlways, *ppm * 2);
          }};
}

// Half, once or twice, at least 1; 0 stays.
uint32_t scaled(uint32_t value, int strength) {
  if (value == 0 || strength == 0) return value;
  return strength < 0 ? std::max<uint32_t>(1, value / 2) : value * 2;
}

// The load stays about the same, from few clients or many.
void draw_shape(RandomStream* random, Plan* plan) {
  const auto strength = [random] { return static_cast<int>(random->below(3)) - 1; };
  uint32_t& every = plan->cluster.snapshot_every_entries;
  every = scaled(every, strength());
  const int clients = strength();
  plan->workload.clients = scaled(plan->workload.clients, clients);
  plan->workload.rate = scaled(plan->workload.rate, -clients);
  // Followers then hold parts of what a new leader brings.
  constexpr uint32_t kFew = 2;
  constexpr uint64_t kOneIn = 4;
  if (random->below(kOneIn) == 0) {
    plan->cluster.entries_per_append = 1 + static_cast<uint32_t>(random->below(kFew));
  }
}

}  // namespace

Plan swarm(Plan plan) {
  RandomStream random(plan.seed, "swarm");
  LinkPlan& link = plan.cluster.link;
  std::vector<Kind> kinds;
  for (Kind kind :
       {mean_kind(&plan.random.mean_time_to_crash), mean_kind(&plan.random.mean_time_to_partition),
        mean_kind(&plan.random.mean_time_to_transfer),
        mean_kind(&plan.random.mean_time_to_rollback), share_kind(&link.loss_ppm),
        share_kind(&link.duplicate_ppm), share_kind(&link.reorder_ppm), share_kind(&link.late_ppm),
        mean_kind(&plan.random.mean_time_to_disk_error)}) {
    if (kind.present) kinds.push_back(std::move(kind));
  }
  for (Nanos& mean : plan.random.mean_time_to_damage) {
    if (mean > 0) kinds.push_back(mean_kind(&mean));
  }
  if (kinds.empty()) return plan;
  const uint64_t stays = random.below(kinds.size());
  for (size_t i = 0; i < kinds.size(); ++i) {
    // Both are drawn for each kind, so that one that is off moves no other.
    const bool on = random.chance_ppm(kHalf);
    const auto strength = static_cast<int>(random.below(3)) - 1;
    if (on || i == stays) {
      kinds[i].scale(strength);
    } else {
      kinds[i].off();
    }
  }
  draw_shape(&random, &plan);
  return plan;
}

std::vector<std::string> swarm_overrides(const Plan& plan, const Plan& drawn) {
  std::vector<std::string> out;
  const auto add = [&](std::string_view field, uint32_t was, uint32_t is) {
    if (was == is) return;
    const std::string digits = cat(is % kAlways);
    out.push_back(cat("cluster.link.", field, "=", is / kAlways, ".",
                      std::string(6 - digits.size(), '0'), digits));
  };
  const LinkPlan& before = plan.cluster.link;
  const LinkPlan& after = drawn.cluster.link;
  add("loss", before.loss_ppm, after.loss_ppm);
  add("duplicate", before.duplicate_ppm, after.duplicate_ppm);
  add("reorder", before.reorder_ppm, after.reorder_ppm);
  add("late", before.late_ppm, after.late_ppm);
  const auto add_number = [&](std::string_view path, uint32_t was, uint32_t is) {
    if (was != is) out.push_back(cat(path, "=", is));
  };
  add_number("cluster.snapshot_every_entries", plan.cluster.snapshot_every_entries,
             drawn.cluster.snapshot_every_entries);
  add_number("cluster.entries_per_append", plan.cluster.entries_per_append,
             drawn.cluster.entries_per_append);
  add_number("workload.clients", plan.workload.clients, drawn.workload.clients);
  add_number("workload.rate", plan.workload.rate, drawn.workload.rate);
  return out;
}

std::string swarm_text(const Plan& plan) {
  std::string out;
  const auto add = [&](std::string_view kind, std::string_view rate) {
    out += cat(out.empty() ? "" : ", ", kind, " ", rate);
  };
  const auto mean = [&](std::string_view kind, Nanos nanos) {
    if (nanos > 0) add(kind, cat("every ", nanos / kMillisecond, "ms"));
  };
  const auto share = [&](std::string_view kind, uint32_t ppm) {
    if (ppm > 0) add(kind, cat(ppm, " ppm"));
  };
  mean("crash", plan.random.mean_time_to_crash);
  mean("partition", plan.random.mean_time_to_partition);
  mean("transfer", plan.random.mean_time_to_transfer);
  mean("rollback", plan.random.mean_time_to_rollback);
  mean("disk error", plan.random.mean_time_to_disk_error);
  for (size_t i = 0; i < kDiskFaultKinds; ++i) {
    mean(to_string(static_cast<DiskFaultKind>(i)), plan.random.mean_time_to_damage[i]);
  }
  share("loss", plan.cluster.link.loss_ppm);
  share("duplicate", plan.cluster.link.duplicate_ppm);
  share("reorder", plan.cluster.link.reorder_ppm);
  share("late", plan.cluster.link.late_ppm);
  return out.empty() ? "no fault" : out;
}

}  // namespace qk::sim
