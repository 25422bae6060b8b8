// DiskUse: what a mutation told its node's disk, out of the full trace, and what of it a power cut
// could still take.
//
// A write is durable if a sync of its file came after it and had returned; a name that was created,
// linked or renamed to, if a sync of its directory had. That a name is gone is no promise to anybody.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/kernel/trace.h"

namespace qk::sim {

// How much what is not durable deserves suspicion. Families leave some on purpose: marks that only
// say that there is nothing to repair, padding that follows a synced commit.
enum class Doubt : uint8_t {
  kNone,   // all is durable
  kAfter,  // all was synced, and then changed again
  kUsual,  // it was left so by mutations before this one, of which no oracle complained
  kNew,    // it was not
};

// A file that a mutation used.
struct FileUse {
  std::string path;
  uint64_t writes = 0;
  uint64_t bytes = 0;
  uint64_t syncs = 0;
  uint64_t unsynced_since = 0;  // seq of the first write that no returned sync covers; 0: none
  uint64_t unnamed_since = 0;   // of what gave it its name, which no returned sync of its directory
                                // covers; 0: nothing
  bool renamed = false;         // by a rename
  bool synced = false;          // a sync of it had returned, whatever was written after that
  // Of the mutations before this one, on any node, that changed the file of this name, numbers
  // apart: all, and those that left it as undurable.
  uint64_t before = 0;
  uint64_t before_alike = 0;
  // Of all mutations of the same kind that changed it, those before and those after: how many, and
  // how many
  // left it durable, but for what may have come after a sync.
  uint64_t others = 0;
  uint64_t others_durable = 0;

  uint64_t since() const { return unsynced_since != 0 ? unsynced_since : unnamed_since; }
};

Doubt doubt_of(const FileUse& file);

// "/node/local/log/log_17" -> "/node/local/log/log_#"
std::string without_numbers(std::string_view path);

// A file of a node that holds what no sync covers, whichever mutations it came from.
struct PendingFile {
  std::string path;
  uint64_t changes = 0;    // since the last sync, or the last crash
  uint64_t first = 0;      // seq of the first of them
  uint64_t last_sync = 0;  // seq; 0: never
  uint64_t total = 0;      // changes since it was first seen
};

class DiskUse {
 public:
  // Outlives it; at kFull.
  explicit DiskUse(const Trace& trace) : trace_(trace) {}

  // The mutation that was issued at `issue`, as its files were when `end` happened.
  std::vector<FileUse> of(const Event& issue, const Event& end) const;
  // With what other mutations did.
  std::vector<FileUse> judged(const Event& issue, const Event& end) const;
  // Its operations on the disk, in their order.
  std::vector<const Event*> operations(const Event& issue, const Event& end) const;
  // Every file of the node that changed up to `end`, with or without pending changes, in the order
  // in which they were first seen; those that were removed are not in.
  std::vector<PendingFile> files_at(NodeId node, const Event& end) const;

 private:
  uint64_t mutation_of(uint64_t seq) const;

  const Trace& trace_;
};

}  // namespace qk::sim
