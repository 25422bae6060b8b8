// The groups of the suite, one function and one file each, and all of them in the order in which
// they run.
#pragma once

#include <vector>

#include "conformance/check.h"

namespace qk::sim::conformance {

std::vector<Check> basic_checks();
std::vector<Check> uri_checks();
std::vector<Check> truncate_checks();
std::vector<Check> meta_checks();
std::vector<Check> snapshot_checks();
std::vector<Check> configuration_checks();
std::vector<Check> start_checks();
std::vector<Check> restart_checks();
std::vector<Check> tail_checks();
std::vector<Check> crash_checks();
std::vector<Check> fault_checks();
std::vector<Check> concurrency_checks();
std::vector<Check> idempotence_checks();
std::vector<Check> export_checks();
std::vector<Check> image_damage_checks();
std::vector<Check> import_checks();
std::vector<Check> import_mutant_checks();
std::vector<Check> dual_checks();
std::vector<Check> equivalence_checks();
std::vector<Check> gate_checks();
std::vector<Check> phase_checks();
std::vector<Check> life_checks();
std::vector<Check> rules_checks();

std::vector<Check> all_checks();

}  // namespace qk::sim::conformance
