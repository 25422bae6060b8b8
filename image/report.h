// EquivalenceReport: are two instances logically equal, and if not, where do they first differ
// (contract EV-1..EV-30). It reads both sides in full through the family interfaces; memory is one
// block of entry hashes.
//
// Fail closed (EV-X1, mig.I10): whatever cannot be read makes the report unequal, and the counts of
// what was compared are part of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "families/contract/family.h"

namespace qk::image {

enum class Domain : uint8_t { kLog, kMeta, kSnapshot };
std::string_view to_string(Domain domain);

enum class DifferenceKind : uint8_t {
  kStructural,  // a range, an index or a file exists on one side only
  kContent,     // both have it, with other contents
  kFreshness,   // b is what a was earlier: a log that ends sooner, an older snapshot
  kUnreadable,  // one side could not be read, so nothing is known
};
std::string_view to_string(DifferenceKind kind);

struct Difference {
  Domain domain = Domain::kLog;
  DifferenceKind kind = DifferenceKind::kContent;
  int64_t index = 0;  // kLog: the earliest differing index; kSnapshot: a's index, or b's
  std::string path;   // kSnapshot: the first differing file, if it is a file
  std::string a;      // what each side has there
  std::string b;
  int64_t last_equal = 0;  // kLog: the last index that is equal on both sides, 0 if none
};

struct EquivalenceReport {
  uint64_t seq = 0;  // the cut that was compared
  bool equal = false;
  std::vector<Difference> differences;  // the first one per domain: log, meta, snapshot
  uint64_t entries_compared = 0;
  uint64_t files_compared = 0;
  uint64_t file_bytes_compared = 0;
};

// `a` is the reference (the primary), `b` is judged against it. Neither may be mutated meanwhile.
EquivalenceReport compare(families::Family& a, families::Family& b, uint64_t seq);

// "equal at cut 17: entries 8636..12068 (3433), 1 file, ..." or one line per difference.
std::string to_text(const EquivalenceReport& report);

}  // namespace qk::image
