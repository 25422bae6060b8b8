// The family `local-as-shipped`: braft's storages, as they are, over the FileSystem of a simulated disk.
// Only the simulator has it; never use it for data.
//
// Options: `segment_size` and `checksum` as those of `local`; `stale_errno`: what errno happens to be when
// a storage is opened (ENOENT in a process that looked for a file before; braft-local-format.md 6.4, 6.5).
#pragma once

#include "families/contract/family.h"
#include "families/contract/volatile_memory.h"

namespace qk::sim {

families::FamilyDescriptor legacy_family();

// The families of a simulated machine with this memory: the built-in ones, and braft as shipped.
families::Registry simulated_families(families::VolatileMemory* memory);

}  // namespace qk::sim
