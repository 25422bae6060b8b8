#include "sim/explore/planted.h"

#include <algorithm>
#include <iterator>

#include "sim/explore/plants.h"

namespace qk::sim {
namespace {

const std::vector<Row>& all_rows() {
  static const std::vector<Row> all = [] {
    std::vector<Row> rows;
    for (auto* part :
         {storage_plants, migration_plants, message_plants, rule_plants, simulation_plants}) {
      std::ranges::move(part(), std::back_inserter(rows));
    }
    return rows;
  }();
  return all;
}

std::string_view name_of(std::string_view planted) {
  constexpr std::string_view kHard = ":hard";
  if (planted.ends_with(kHard)) planted.remove_suffix(kHard.size());
  return planted;
}

}  // namespace

std::span<const PlantedBug> planted_bugs() {
  static const std::vector<PlantedBug> bugs = [] {
    std::vector<PlantedBug> all;
    for (const Row& row : all_rows()) {
      all.push_back(row.bug);
      // A disk either keeps what it should, or not; and what the run itself plays has one form.
      all.back().has_hard_form = row.plant && row.bug.judge != Judge::kLitmus;
    }
    return all;
  }();
  return bugs;
}

const PlantedBug* find_planted(std::string_view planted) {
  const auto bugs = planted_bugs();
  const auto it = std::ranges::find(bugs, name_of(planted), &PlantedBug::name);
  return it == bugs.end() ? nullptr : &*it;
}

std::unique_ptr<Mutant> make_mutant(const Plan& plan) {
  for (const Row& row : all_rows()) {
    if (row.bug.name != name_of(plan.planted) || !row.plant) continue;
    auto mutant = std::make_unique<Plant>(plan);
    row.plant(*mutant);
    return mutant;
  }
  return nullptr;
}

}  // namespace qk::sim
