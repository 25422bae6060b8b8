// What a sweep says of the seeds that it did not run.
//
// A class is something that a seed may show: a probe that it reaches, a finding. From how many
// classes were shown by one seed alone (once) and by two (twice) follows what to expect of more
// seeds, *if seeds are independent draws from one distribution*, which the seeds of one scenario
// are by construction, and other scenarios, families or code are not:
//   - Good and Turing: the next seed shows a new class with a chance of about once / seeds (it is
//     the expected number of new classes, so at least the chance of any);
//   - Chao: at least once^2 / (2 twice) classes exist that no seed showed;
//   - Good and Toulmin: as many seeds again show  once - twice + thrice - ...  new classes, the
//     members of the series weighed as Efron and Thisted do.
// The last one is tried on the sweep itself: its first half predicts what is new in its second, and
// the reader sees by how much that was wrong.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace qk::sim {

struct ResidualRisk {
  uint64_t seeds = 0;
  uint64_t classes = 0;
  uint64_t once = 0;
  uint64_t twice = 0;
  uint64_t next_ppm = 0;  // expected new classes of the next seed, in millionths
  uint64_t unseen = 0;    // at least so many classes exist that no seed showed, rounded up
  uint64_t half = 0;      // seeds of the first half; the second has as many
  int64_t predicted = 0;  // new classes in the second half, from the first alone
  uint64_t found = 0;     // new classes in the second half
};

// `shown`: of each run, in the order of jobs, the classes that it showed, each once.
ResidualRisk residual_risk(const std::vector<std::vector<std::string>>& shown);

// With 95 % confidence fewer than this share of the runs, in millionths, would show what none of so
// many independent runs has shown: 1 - 0.05^(1/runs), bounded by 3 / runs.
uint64_t unseen_share_ppm(uint64_t runs);

}  // namespace qk::sim
