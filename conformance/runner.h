// Runner: every check, for every family, partner, role and disk, in a fixed order.
//
// A case is one check on one family (or pair), role and disk; it has an id,
// "BASIC/append_one/local/ primary/sim" or "IMPORT/every_pair/local-sqlite/real", by which --filter
// finds it. A case runs once for each seed and fails with the first seed that fails. Each run
// starts on a machine of its own, with engines reset from the seed, so a case gives the same result
// alone as among others.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "conformance/check.h"

namespace qk::sim::conformance {

struct Case {
  const Check* check = nullptr;
  const families::FamilyDescriptor* family = nullptr;   // pair: A
  const families::FamilyDescriptor* partner = nullptr;  // pair: B; null if there is none
  Role role = Role::kPlain;                             // of the family; pairs have none
  DiskKind disk = DiskKind::kSimulated;

  bool is_pair() const { return check->pair != nullptr; }
  std::string id() const;
};

enum class Verdict : uint8_t { kPassed, kFailed, kNotApplicable };
std::string_view to_string(Verdict verdict);

struct CaseResult {
  Case what;
  Verdict verdict = Verdict::kPassed;
  std::string message;                     // why it failed or does not apply
  uint64_t seed = 0;                       // that failed
  uint64_t expectations = 0;               // over all seeds
  std::map<std::string, uint64_t> counts;  // Bench::count(), over all seeds
};

struct RunOptions {
  // Families under test; a pair runs if one of its two is among them. Empty: all.
  std::vector<std::string> families;
  // ECMAScript regular expression, searched in the case id; empty: all. Must be valid.
  std::string filter;
  // Where the instances lie; empty: everywhere.
  std::vector<DiskKind> disks;
  uint64_t first_seed = 1;
  uint64_t seeds = 1;
  // Before each run of a case: what is about to run, with which seed, as which of how many cases.
  std::function<void(const Case&, uint64_t seed, size_t number, size_t count)> starting =
      [](const Case&, uint64_t, size_t, size_t) {};
  // After each case.
  std::function<void(const CaseResult&)> progress = [](const CaseResult&) {};
};

// InvalidArgument: not a regular expression.
absl::Status check_filter(const std::string& filter);
// Whether the filter, which must be valid, is found in `text`; an empty one is found everywhere.
bool matches(const std::string& filter, const std::string& text);

// The cases that `options` select: by check, then family, then role or partner, then disk.
std::vector<Case> select_cases(const std::vector<Check>& checks, const families::Registry& registry,
                               const RunOptions& options);

// One run of one case. Never throws.
CaseResult run_case(const Case& what, const Host& host, uint64_t seed);

struct Report {
  std::vector<CaseResult> results;

  uint64_t count(Verdict verdict) const;
  // What the checks of each group counted, by family under test: "CRASH local: 24397 images; ...",
  // one line for each group and family that counted anything.
  std::vector<std::string> counts() const;
};

Report run_conformance(const std::vector<Check>& checks, const Host& host,
                       const RunOptions& options);

// The family that a dual pair or an image is made with: the next durable one after `family` in the
// registry, or itself if there is no other.
const families::FamilyDescriptor* partner_of(const families::Registry& registry,
                                             const families::FamilyDescriptor& family);

}  // namespace qk::sim::conformance
