// Evidence: what conformance runs of one build have shown, case by case, as a text file; and the
// requirement catalogue joined with it.
//
// Results of later runs of the same build replace those of the same cases and keep the others, so
// families and groups can be run one by one. Results of another build are never mixed in.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/requirements.h"
#include "conformance/runner.h"

namespace qk::sim::conformance {

struct CaseEvidence {
  Verdict verdict = Verdict::kPassed;
  uint64_t seeds = 0;   // that were run
  uint64_t seed = 0;    // that failed
  std::string message;  // why it failed, or does not apply
  std::vector<std::string> families;
  friend bool operator==(const CaseEvidence&, const CaseEvidence&) = default;
};

struct CheckEvidence {
  std::vector<std::string> requirements;
  std::map<std::string, CaseEvidence> cases;  // by case id
  friend bool operator==(const CheckEvidence&, const CheckEvidence&) = default;
};

struct Evidence {
  std::string build;
  std::map<std::string, CheckEvidence> checks;  // by "GROUP/name"
  friend bool operator==(const Evidence&, const Evidence&) = default;
};

Evidence evidence_of(const Report& report, uint64_t seeds, std::string build);
// `newer` over `older`; `older` counts only if it is of the same build.
Evidence merge(Evidence older, const Evidence& newer);

// JSON, schema "qksim.conformance/1".
std::string to_json(const Evidence& evidence);
// DataLoss: not such a document.
absl::StatusOr<Evidence> parse_evidence(std::string_view json);

// Ids of the cases that a run of every check on simulated disks gives (on a real one for a check
// that has no other), by requirement and family.
using ExpectedCases =
    std::map<std::string, std::map<std::string, std::set<std::string>>, std::less<>>;
ExpectedCases expected_cases(const std::vector<Check>& checks, const families::Registry& registry);

// What supports one requirement in one family: cases of the checks that cite it. A pair's case
// counts for both of its families.
struct Support {
  uint64_t passed = 0;
  uint64_t failed = 0;
  uint64_t not_applicable = 0;
  uint64_t expected = 0;  // of the expected cases
  uint64_t ran = 0;       // of these, whatever came of them

  bool none() const { return passed + failed + not_applicable == 0; }
  bool holds() const { return passed > 0 && failed == 0 && ran == expected; }
};
Support support_of(const Evidence& evidence, std::string_view requirement, std::string_view family,
                   const ExpectedCases& expected);

enum class Standing : uint8_t {
  kHolds,    // each family ran all its cases, passed or with a reason why they do not apply; some
             // passed
  kFailed,   // a case of one of them failed
  kPartly,   // some cases passed and none failed, but not all were run
  kMissing,  // otherwise
};
Standing standing_of(const Evidence& evidence, std::string_view requirement,
                     const std::vector<std::string>& families, const ExpectedCases& expected);

// The command line that runs one case again, up to the seed that failed.
std::string repro_command(std::string_view case_id, const std::vector<std::string>& families,
                          uint64_t seed);

}  // namespace qk::sim::conformance
