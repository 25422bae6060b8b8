#include "sim/explore/residual_risk.h"

#include <catch2/catch.hpp>

#include "families/base/strings.h"
#include "sim/kernel/random.h"

namespace qk::sim {
namespace {

TEST_CASE("classes that were seen once and twice") {
  // a in all, b in two, c and d in one each.
  const ResidualRisk risk = residual_risk({{"a", "b"}, {"a", "c"}, {"a", "b"}, {"a", "d"}});
  CHECK(risk.seeds == 4);
  CHECK(risk.classes == 4);
  CHECK(risk.once == 2);
  CHECK(risk.twice == 1);
  CHECK(risk.next_ppm == 500'000);  // 2 / 4
  CHECK(risk.unseen == 2);          // 2^2 / (2 * 1)
  CHECK(risk.half == 2);
  // The first half: a twice, b and c once. 2 - 1.
  CHECK(risk.predicted == 1);
  CHECK(risk.found == 1);  // d
}

TEST_CASE("no run, and no class seen twice") {
  CHECK(residual_risk({}).classes == 0);
  const ResidualRisk risk = residual_risk({{"a"}, {"b"}, {"c"}});
  CHECK(risk.unseen == 3);  // 3 * 2 / 2
  CHECK(risk.half == 1);
  CHECK(residual_risk({{"a"}, {"a"}}).unseen == 0);
}

TEST_CASE("the first half predicts the second, if seeds are independent draws") {
  // Two hundred classes; class i is shown with a probability of 1 / (2 + i).
  int64_t error = 0;
  uint64_t found = 0;
  constexpr int kSweeps = 300;
  for (uint64_t sweep = 0; sweep < kSweeps; ++sweep) {
    RandomStream random(sweep, "classes");
    std::vector<std::vector<std::string>> shown(200);
    for (auto& one : shown) {
      for (uint32_t i = 0; i < 200; ++i) {
        if (random.below(2 + uint64_t{i} * i) == 0) one.push_back(cat("class ", i));
      }
    }
    const ResidualRisk risk = residual_risk(shown);
    error += risk.predicted - static_cast<int64_t>(risk.found);
    found += risk.found;
  }
  // Unbiased: over many sweeps the errors cancel.
  CHECK(found > 1000);
  CHECK(std::abs(error) * 10 < static_cast<int64_t>(found));
}

// As in a sweep: most classes are common, and say nothing of what is new.
TEST_CASE("common classes do not make the prediction noise") {
  constexpr int kSweeps = 60;
  int close = 0;
  for (uint64_t sweep = 0; sweep < kSweeps; ++sweep) {
    RandomStream random(sweep, "common");
    std::vector<std::vector<std::string>> shown(300);
    for (auto& one : shown) {
      for (uint32_t i = 0; i < 80; ++i) {
        // Sixty of them in a tenth to all of the runs, twenty in one of 50 to one of 1000.
        const uint64_t one_in = i < 60 ? 1 + i / 6 : 50 * (i - 59);
        if (random.below(one_in) == 0) one.push_back(cat("class ", i));
      }
    }
    const ResidualRisk risk = residual_risk(shown);
    close += std::abs(risk.predicted - static_cast<int64_t>(risk.found)) <= 5 ? 1 : 0;
  }
  CHECK(close * 10 >= kSweeps * 9);
}

TEST_CASE("what no run showed is rare") {
  CHECK(unseen_share_ppm(0) == 1'000'000);
  CHECK(unseen_share_ppm(1) == 1'000'000);
  CHECK(unseen_share_ppm(1000) == 3'000);
  CHECK(unseen_share_ppm(20'000) == 150);
}

}  // namespace
}  // namespace qk::sim
