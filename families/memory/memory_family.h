// The memory family: the whole contract, in the memory of one machine.
//
// It is for tests, and declared volatile: a mutation is as durable as the machine is alive. Closing
// an instance and opening it again gives its state back; after a crash it opens as absent, whatever
// its directory holds and whether or not a fresh one is allowed, so that nobody mistakes a lost
// instance for a new one (ora.L13).
//
// Root:  instance           the id under which VolatileMemory has the state; durable
//        snapshot/          trees of files (families/engine): a real tree under get_path() (BC-4)
//
// An instance may be moved on its disk (the importer renames its root); it can be open once at a
// time.
#pragma once

#include "families/contract/family.h"
#include "families/contract/volatile_memory.h"

namespace qk::families {

// `memory` must outlive the registry that the descriptor goes into, and every instance.
FamilyDescriptor memory_family(VolatileMemory* memory);

}  // namespace qk::families
