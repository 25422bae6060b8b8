// For the tests of the oracles: states and findings in few words.
#pragma once

#include <string>
#include <vector>

#include "sim/check/checker.h"

namespace qk::sim {

inline families::LogEntry entry(int64_t index, int64_t term, std::string payload = "") {
  if (payload.empty()) payload = cat("payload ", index, "/", term);
  return {index, term, families::EntryType::kData, std::move(payload)};
}

// Entries [from, to] of one term.
inline std::vector<families::LogEntry> entries(int64_t from, int64_t to, int64_t term = 1) {
  std::vector<families::LogEntry> all;
  for (int64_t i = from; i <= to; ++i) all.push_back(entry(i, term));
  return all;
}

inline StateImage state_of(int64_t first, const std::vector<families::LogEntry>& log,
                           families::HardState hard_state = {}) {
  StateImage state;
  state.first = first;
  state.last = first + static_cast<int64_t>(log.size()) - 1;
  for (const families::LogEntry& of : log) state.entries.push_back(digest_of(of));
  state.hard_state = std::move(hard_state);
  return state;
}

inline SnapshotDigest snapshot_at(int64_t index, int64_t term, std::optional<uint64_t> tree = 7) {
  return {{index, term, {"1.1.1.1:1:0:0"}, {}}, tree};
}

inline StateImage with_snapshot(StateImage state, SnapshotDigest snapshot) {
  state.snapshot = std::move(snapshot);
  return state;
}

// A checker of three nodes, and what it reported.
struct Watched {
  std::vector<Finding> findings;
  Checker checker{{"n1", "n2", "n3"},
                  [this](const Finding& finding) { findings.push_back(finding); }};

  // Oracle ids reported since the last call: "ora.L1 ora.L2".
  std::string reported() {
    std::string ids;
    for (const Finding& finding : findings) ids += (ids.empty() ? "" : " ") + finding.oracle;
    findings.clear();
    return ids;
  }
};

}  // namespace qk::sim
