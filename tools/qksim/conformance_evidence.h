// The file in which `qksim conformance` leaves its evidence for `qksim contract`.
#pragma once

#include <optional>
#include <string_view>

#include "conformance/evidence.h"
#include "tools/qksim/environment.h"

namespace qk::cli {

inline constexpr std::string_view kEvidenceFile = ".qksim/conformance.json";

// nullopt: there is no such file.
absl::StatusOr<std::optional<sim::conformance::Evidence>> load_evidence(
    const Environment& environment);
// OK if there is no such file, or one that load_evidence() takes. FailedPrecondition otherwise:
// another program's file, a damaged one, or one of a newer schema, which is not ours to replace.
absl::Status check_evidence_replaceable(const Environment& environment);
// Replaces it, atomically. The caller has asked check_evidence_replaceable().
absl::Status save_evidence(const sim::conformance::Evidence& evidence,
                           const Environment& environment);

}  // namespace qk::cli
