// Planted bugs of the simulation: its disk, its determinism, and those that a run plays itself.
#include "sim/explore/plants.h"

namespace qk::sim {

std::vector<Row> simulation_plants() {
  std::vector<Row> rows;
  rows.push_back({{kCheckFails, "", "SIM", "det", "", "internal", "a check of our own fails"}, {}});
  rows.push_back(
      {{kException, "", "SIM", "det", "", "internal", "an exception that nobody catches"}, {}});
  rows.push_back({{kGarbledAnswers, "", "SIM", "det", "rolling-pair", "ora.C1",
                   "clients get answers that do not decode"},
                  {}});
  return rows;
}

}  // namespace qk::sim
