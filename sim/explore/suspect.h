// Suspect: which mutation a finding is about, and what was in flight when the node's process ended.
//
// Chosen by kind first (log, term and vote, snapshot), then by the file and the index or term that
// the finding names: where a power cut loses entry 7, that is the append of entry 7, however many
// mutations were done since, and where it loses the snapshot at 7 that is the snapshot's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/cluster/run.h"
#include "sim/kernel/trace.h"

namespace qk::sim {

// What a finding names.
struct Topic {
  enum class Kind : uint8_t { kUnknown, kLog, kMeta, kSnapshot };
  Kind kind = Kind::kUnknown;
  std::optional<int64_t> index;
  std::optional<int64_t> term;  // of kMeta
  std::string file;             // "/node/local/log/log_1_9"; empty: none
};
Topic topic_of(const Violation& violation);

// A mutation, and when what the disk had of it counts.
struct Suspect {
  const Event* issue = nullptr;  // null: the finding is about none
  const Event* done = nullptr;   // null: it was in flight when the process ended
  const Event* end = nullptr;    // done, or the end of the process
};

// The crash or stop that the finding follows, if what it judges is what that left: a start that
// fails, or what a start found. Null: it is not about that.
const Event* end_judged(const Trace& trace, const Violation& violation);
// The mutations of the node that its process was given and had not said done when it ended at `end`;
// those that failed are among them.
std::vector<const Event*> in_flight_at(const Trace& trace, const Event& end);
Suspect suspect_of(const Trace& trace, const Violation& violation);

}  // namespace qk::sim
