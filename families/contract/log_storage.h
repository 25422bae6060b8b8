// LogStorage: the retained log of one node, a contiguous run of entries [first, last].
//
// An empty log has first == last + 1; a fresh one has first 1, last 0 (A-4: the range of an empty
// log is state, and every family persists it). Mutations are durable on an ok outcome. After a
// crash the log reflects every ok mutation and, of the one that was executing, a state in
// partials(op): for append any prefix of the batch, for the others before, after, or what the
// family declares. One mutation at a time; reads may run between mutations, on the same thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "families/contract/outcome.h"
#include "families/contract/types.h"

namespace qk::families {

// Fills a log with many entries at once, for imports. Nothing counts before finish() returned OK:
// whatever an unfinished load leaves is undefined, and the whole instance is to be thrown away (the
// importer's staging directory is). End the loader before the log; nothing else touches the
// instance in between.
class LogLoader {
 public:
  virtual ~LogLoader() = default;
  // Same rules as LogStorage::append().
  virtual absl::Status append(std::span<const LogEntry> entries) = 0;
  // Durable on OK.
  virtual absl::Status finish() = 0;
};

class LogStorage {
 public:
  virtual ~LogStorage() = default;

  virtual int64_t first_index() const = 0;
  virtual int64_t last_index() const = 0;

  // OutOfRange outside [first, last]; DataLoss if the stored entry fails its checksum.
  virtual absl::StatusOr<LogEntry> entry(int64_t index) = 0;
  // The entry's term without reading its payload where the family can.
  virtual absl::StatusOr<int64_t> term(int64_t index) = 0;
  // Calls `visit` for [from, to] in order, which must lie in [first, last]; an error of `visit`
  // ends the scan and is returned. The entry is valid during the call only.
  using Visitor = std::function<absl::Status(const LogEntry&)>;
  virtual absl::Status scan(int64_t from, int64_t to, const Visitor& visit) = 0;

  // Entries must be consecutive, start at last_index() + 1 and have a term >= 1; otherwise
  // failed-clean InvalidArgument. An empty batch is ok and does nothing.
  virtual Outcome append(std::span<const LogEntry> entries) = 0;
  // Drops entries below `first_kept`. At or below first_index(): ok, does nothing. Beyond
  // last_index() + 1: the log becomes empty with first == first_kept.
  virtual Outcome truncate_prefix(int64_t first_kept) = 0;
  // Drops entries above `last_kept`. At or above last_index(): ok, does nothing. Below
  // first_index() - 1: failed-clean InvalidArgument.
  virtual Outcome truncate_suffix(int64_t last_kept) = 0;
  // Drops everything; the next append starts at `next_index` (>= 1).
  virtual Outcome reset(int64_t next_index) = 0;

  // A loader whose first entry has index `first_index`. The log must be fresh, never written to:
  // FailedPrecondition otherwise. The default appends batch by batch; a family overrides it where
  // its engine has a faster way (held to the same digest by conformance).
  virtual absl::StatusOr<std::unique_ptr<LogLoader>> bulk_load(int64_t first_index);
};

}  // namespace qk::families
