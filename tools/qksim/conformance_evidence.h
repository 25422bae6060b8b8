// The file in which `qksim conformance` leaves its evidence for `qksim contract`.
#pragma once

#include <optional>
#include <string_view>

#include "conformance/evidence.h"
#include "tools/qksim/environment.h"

namespace qk::cli {

inline constexpr std::string_view kEvidenceFile = ".qksim/conformance.json";

// nullopt: none was left.
absl::StatusOr<std::optional<sim::conformance::Evidence>> load_evidence(
    const Environment& environment);
// Replaces it, atomically.
absl::Status save_evidence(const sim::conformance::Evidence& evidence,
                           const Environment& environment);

}  // namespace qk::cli
