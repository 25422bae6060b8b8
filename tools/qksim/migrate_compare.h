// Is one reading of an instance equal to another one? Domain by domain, with what was counted, so
// that a comparison of nothing shows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "image/transfer.h"

namespace qk::cli {

struct StateFacts {
  int64_t first = 1;
  int64_t last = 0;
  families::HardState hard_state;
  std::optional<families::SnapshotMeta> snapshot;
  image::ImageTotals totals;
};
// Without totals.
StateFacts facts_of(const image::ExportCut& cut);
// Of one that is finished.
StateFacts facts_of(const image::Reading& reading);

struct ComparedDomain {
  std::string name;  // "log", "term", "vote", "snapshot meta", "files"
  std::string found;
  std::string expected;
  bool equal() const { return found == expected; }
};
// `digests`: with those of the contents, which both must then have.
std::vector<ComparedDomain> compare_domains(const StateFacts& found, const StateFacts& expected,
                                            bool digests);
// FailedPrecondition, naming each domain that differs with both its values.
absl::Status check_equal(const std::vector<ComparedDomain>& domains);

}  // namespace qk::cli
