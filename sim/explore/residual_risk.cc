#include "sim/explore/residual_risk.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>

namespace qk::sim {
namespace {

constexpr uint64_t kMillion = 1'000'000;

using Counts = std::map<std::string_view, uint64_t>;

Counts counts_of(const std::vector<std::vector<std::string>>& shown, size_t begin, size_t end) {
  Counts counts;
  for (size_t i = begin; i < end; ++i) {
    for (const std::string& name : shown[i]) ++counts[name];
  }
  return counts;
}

uint64_t seen_exactly(const Counts& counts, uint64_t times) {
  return static_cast<uint64_t>(std::count_if(counts.begin(), counts.end(),
                                             [&](const auto& one) { return one.second == times; }));
}

// In the plain series each class that was seen often counts 1 or -1, by whether its count is odd: mere
// noise, of the size of the root of the number of classes. Efron and Thisted weigh the n-th member
// by the chance of at least n heads in eight throws of a coin. Never below 0: that only says that the
// series has not converged.
int64_t good_toulmin(const Counts& counts) {
  constexpr int64_t kWeights[] = {256, 255, 247, 219, 163, 93, 37, 9, 1};  // of 256
  int64_t sum = 0;
  for (const auto& [name, times] : counts) {
    if (times >= std::size(kWeights)) continue;
    sum += times % 2 == 1 ? kWeights[times] : -kWeights[times];
  }
  return std::max<int64_t>(0, (sum + 128) / 256);
}

}  // namespace

ResidualRisk residual_risk(const std::vector<std::vector<std::string>>& shown) {
  ResidualRisk risk;
  risk.seeds = shown.size();
  if (shown.empty()) return risk;
  const Counts all = counts_of(shown, 0, shown.size());
  risk.classes = all.size();
  risk.once = seen_exactly(all, 1);
  risk.twice = seen_exactly(all, 2);
  risk.next_ppm = risk.once * kMillion / risk.seeds;
  // Chao's form without a division by 0 where no class was seen twice.
  const uint64_t pairs =
      risk.twice > 0 ? risk.once * risk.once : risk.once * (risk.once > 0 ? risk.once - 1 : 0);
  const uint64_t divisor = risk.twice > 0 ? 2 * risk.twice : 2;
  risk.unseen = (pairs + divisor - 1) / divisor;

  risk.half = shown.size() / 2;
  const Counts first = counts_of(shown, 0, risk.half);
  risk.predicted = good_toulmin(first);
  for (const auto& [name, times] : counts_of(shown, risk.half, 2 * risk.half)) {
    risk.found += first.count(name) == 0 ? 1 : 0;
  }
  return risk;
}

uint64_t unseen_share_ppm(uint64_t runs) {
  return runs == 0 ? kMillion : std::min(kMillion, (3 * kMillion + runs - 1) / runs);
}

}  // namespace qk::sim
