// The two families of a node that migrates, as they lie on its disk when a finding judges them: what of
// each a power cut could take, whichever mutations it came from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/cluster/run.h"
#include "sim/explore/disk_use.h"
#include "sim/kernel/trace.h"

namespace qk::sim {

struct FamilySide {
  std::string label;  // "mirror", "authority"; outside of dual write "A", "B"
  std::string root;   // "/node/sqlite-g1"
  bool mirror = false;
  uint64_t last_sync = 0;  // seq, of any of its files; 0: never
  std::vector<PendingFile> pending;
};

// A before B; empty unless the finding compares them, or is made in a phase of dual write.
std::vector<FamilySide> sides_of(const Trace& trace, const Violation& violation);

// "/node/sqlite-g1/db-wal: 3 changes since its last sync at #820, none durable"
std::string pending_text(const PendingFile& file);

// A file of the mirror, or of B, that holds more than what follows a sync of it; null: none does.
const PendingFile* never_durable(const std::vector<FamilySide>& sides);

}  // namespace qk::sim
