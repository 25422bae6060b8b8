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

// While it lives, engines may be opened and closed without a trace in the run: what they draw per
// process is as before when it ends. For who looks at a copy of a disk in the middle of a run. One
// at a time.
class EnginesAside {
 public:
  EnginesAside();
  EnginesAside(const EnginesAside&) = delete;
  EnginesAside& operator=(const EnginesAside&) = delete;
  ~EnginesAside();

 private:
  uint64_t rocksdb_draws_;
};

}  // namespace qk::families
