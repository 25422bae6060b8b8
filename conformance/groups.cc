#include "conformance/groups.h"

namespace qk::sim::conformance {

std::vector<Check> all_checks() {
  std::vector<Check> all;
  for (const auto& group :
       {basic_checks,         uri_checks,           truncate_checks,     meta_checks,
        snapshot_checks,      configuration_checks, start_checks,        restart_checks,
        tail_checks,          crash_checks,         fault_checks,        concurrency_checks,
        idempotence_checks,   export_checks,        image_damage_checks, import_checks,
        import_mutant_checks, dual_checks,          equivalence_checks,  gate_checks,
        phase_checks,         life_checks,          rules_checks}) {
    std::vector<Check> checks = group();
    all.insert(all.end(), std::make_move_iterator(checks.begin()),
               std::make_move_iterator(checks.end()));
  }
  return all;
}

}  // namespace qk::sim::conformance
