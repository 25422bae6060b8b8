// The terms of a log, and whether a snapshot is of the same history: terms never fall along a log;
// an entry at the snapshot's index has the snapshot's term; no entry before it has a higher one,
// and none after it a lower one.
//
// Storage does not hold this rule, as braft's does not: the snapshot of an install is published
// before the log is dropped, so a crash in between leaves a log of another history beside it. The
// start of a node then drops that log (sim/raft/log.h). The rule is held where a state is taken as
// a whole: by ContentChecker, so by every export, verification and import of an image, and by the
// start of a node for what it does not drop.
#pragma once

#include <vector>

#include "families/contract/types.h"

namespace qk::families {

// Of the entries of one log, in order. Memory grows with the changes of term, 16 bytes each.
class LogTerms {
 public:
  // The entry that follows. InvalidArgument if its term is below the one before.
  absl::Status add(int64_t index, int64_t term);
  // InvalidArgument, with both indices and terms, unless the snapshot is of this log's history. A
  // gap between the two is not looked at.
  absl::Status check_snapshot(const SnapshotMeta& meta) const;
  // Whether a node that starts with this snapshot drops the whole log: it ends before the snapshot,
  // or has another term at its index (braft's LogManager::set_snapshot).
  bool dropped_at_start(const SnapshotMeta& meta) const;

 private:
  int64_t term_at(int64_t index) const;  // of one of the entries

  struct Run {
    int64_t first = 0;
    int64_t term = 0;
  };
  std::vector<Run> runs_;
  int64_t last_ = 0;
};

}  // namespace qk::families
