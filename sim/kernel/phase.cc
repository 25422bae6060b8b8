#include "sim/kernel/phase.h"

#include "families/base/check.h"

namespace qk::sim {

std::string_view to_string(PhaseCode phase) {
  switch (phase) {
    case PhaseCode::kA:
      return "A";
    case PhaseCode::kExport:
      return "EXPORT";
    case PhaseCode::kBoot:
      return "BOOT";
    case PhaseCode::kV1:
      return "V1";
    case PhaseCode::kDual:
      return "DUAL";
    case PhaseCode::kV2:
      return "V2";
    case PhaseCode::kCut:
      return "CUT";
    case PhaseCode::kB:
      return "B";
    case PhaseCode::kRollback:
      return "ROLLBACK";
  }
  QK_CHECK(false);
}

std::string_view short_name(PhaseCode phase) {
  if (phase == PhaseCode::kExport) return "EXP";
  if (phase == PhaseCode::kRollback) return "RB";
  return to_string(phase);
}

}  // namespace qk::sim
