// Phase codes of a node's migration as pictures, triggers and the trace name them. A is the source
// family, B the target.
#pragma once

#include <cstdint>
#include <string_view>

namespace qk::sim {

enum class PhaseCode : uint8_t { kA, kExport, kBoot, kV1, kDual, kV2, kCut, kB, kRollback };

inline constexpr int kPhaseCount = 9;

// "A", "EXPORT", "BOOT", "V1", "DUAL", "V2", "CUT", "B", "ROLLBACK".
std::string_view to_string(PhaseCode phase);
// At most four letters, for columns and narrow bars: "EXP", "RB", the others as above.
std::string_view short_name(PhaseCode phase);

}  // namespace qk::sim
