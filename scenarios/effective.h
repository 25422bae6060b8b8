// The effective scenario: what a run is really given, as text and as a hash.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "scenarios/scenario.pb.h"
#include "sim/cluster/plan.h"

namespace qk::scenarios {

// Fills every absent field that has a default, and every absent message made of such fields.
void fill_defaults(qksim::Scenario* scenario);

// What editors look for at the head of a scenario.
inline constexpr std::string_view kScenarioHead =
    "# proto-file: scenarios/scenario.proto\n# proto-message: qksim.Scenario\n";

// Text format with that head. Relative initial directories become absolute,
// so that the text loads from anywhere.
std::string effective_text(const qksim::Scenario& scenario, const std::string& directory);

// Over everything that changes a run but its seed: all fields but name, summary and tags, and the
// bytes of the initial directories instead of their names. `scenario` has its defaults filled in.
uint64_t scenario_hash(const qksim::Scenario& scenario, const sim::Plan& plan);

// The same without faults, when to stop, and what is expected: Plan::chain_hash.
uint64_t chain_hash(const qksim::Scenario& scenario, const sim::Plan& plan);

}  // namespace qk::scenarios
