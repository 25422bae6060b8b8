// SeedRecord: what a sweep keeps of one seed.
//
// As text it is one line of JSON, which travels from a worker to the sweep and lies in
// records.jsonl. The file is untrusted input: the parser is bounded and names
// what is wrong. All but the CPU time follows from the plan: it is the same wherever, and however
// often, it runs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "families/base/status.h"
#include "sim/cluster/run.h"

namespace qk::sim {

enum class SeedVerdict : uint8_t {
  kPass,
  kExpected,
  kNoFault,  // inconclusive for the one reason that no random fault was drawn
  kInconclusive,
  kViolation,
  kStuck,  // used up its CPU time
  kInternalError,
  kDied,  // the process ended in the run
};
// "PASS", "EXPECTED", "no fault", "?", "FAIL", "STUCK", "ERROR", "DIED"
std::string_view to_string(SeedVerdict verdict);
// Something is wrong, and not only unknown.
inline bool is_failure(SeedVerdict verdict) { return verdict >= SeedVerdict::kViolation; }
// It is told as a finding, by its signature.
inline bool is_finding(SeedVerdict verdict) { return verdict >= SeedVerdict::kInconclusive; }

// The second run of a seed, in a process of its own.
// kNone: there was none, or it is not comparable.
enum class SecondRun : uint8_t { kNone, kSame, kDiffers };

struct SeedRecord {
  uint32_t variant = 0;  // position in SweepDefinition::variants
  uint64_t seed = 0;
  std::vector<uint64_t> near = {};  // seeds whose plans led to this one; empty: drawn alone
  SeedVerdict verdict = SeedVerdict::kPass;
  // What was found, without what differs from seed to seed: see signature_of(). Empty: nothing.
  std::string signature;
  std::vector<std::string> lines;  // the finding in words: "expected  ...", "actual    ..."
  Nanos simulated = 0;
  uint64_t events = 0;
  uint64_t chain = 0;
  std::string digest;
  std::map<std::string, uint64_t> evaluated;  // oracle -> times
  std::map<std::string, uint64_t> reach;      // probe -> times; 0: it might have been
  SecondRun second = SecondRun::kNone;
  std::string difference;  // kDiffers: between the two runs
  int64_t cpu_ns = 0;      // of the first run; not compared with anything
};

// Oracle, phase of the node, kind of the last fault: "ora.L1 CUT fault.crash". Of a run without a
// violation: its first reason, with node names and numbers left out. Empty: nothing was found.
std::string signature_of(const Plan& plan, const RunResult& result);

SeedRecord record_of(const Plan& plan, const RunResult& result, uint32_t variant, uint64_t seed);
// The process ended: `how` is "signal 11", "exit code 3".
SeedRecord record_of_death(uint32_t variant, uint64_t seed, std::string_view how);
SeedRecord record_of_stuck(uint32_t variant, uint64_t seed, Nanos limit);

// Not if one process ended in the run and the other did not, or in another way: what ended it came
// from outside, and says nothing of whether the seed gives one run.
bool comparable(const SeedRecord& first, const SeedRecord& second);
// How two runs of one seed differ; empty: not at all.
std::string difference_of(const SeedRecord& first, const SeedRecord& second);
// What is kept of a seed that ran twice: the first record, with how the second one compares. Of two
// that are not comparable the one whose process ended, and what the other one said.
SeedRecord with_second_run(SeedRecord first, SeedRecord second);

// One line, newline included.
std::string to_line(const SeedRecord& record);
// Of a line without its newline.
absl::StatusOr<SeedRecord> parse_record(std::string_view line);

inline constexpr size_t kMaxRecordLine = size_t{1} << 20;

}  // namespace qk::sim
