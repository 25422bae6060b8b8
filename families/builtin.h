// The one registration file: a new family is its folder and one line in builtin.cc.
#pragma once

#include <cstdint>

#include "families/contract/family.h"
#include "families/contract/volatile_memory.h"

namespace qk::families {

// `memory` is that of the machine whose instances will be opened; it must outlive them and the
// registry.
Registry builtin_families(VolatileMemory* memory);

// Sets whatever engines keep per process (generators, default VFS) to a state that follows from
// `seed` alone. A simulated run calls it before it opens its first instance; a real tool never
// does.
void reset_engines_for_run(uint64_t seed);

}  // namespace qk::families
