#include "families/builtin.h"

#include "families/leveldb/leveldb_family.h"
#include "families/local/local_family.h"
#include "families/memory/memory_family.h"
#include "families/rocksdb/ids.h"
#include "families/rocksdb/rocksdb_family.h"
#include "families/sqlite/engine.h"
#include "families/sqlite/sqlite_family.h"

namespace qk::families {

Registry builtin_families(VolatileMemory* memory) {
  Registry registry;
  registry.add(local_family());
  registry.add(sqlite_family());
  registry.add(memory_family(memory));
  registry.add(leveldb_family());
  registry.add(rocksdb_family());
  return registry;
}

void reset_engines_for_run(uint64_t seed) {
  sqlite_reset_for_run(seed);
  rocksdb_reset_for_run(seed);
}

EnginesAside::EnginesAside() : rocksdb_draws_(rocksdb_draws()) { sqlite_save_generator(); }

EnginesAside::~EnginesAside() {
  sqlite_restore_generator();
  rocksdb_set_draws(rocksdb_draws_);
}

}  // namespace qk::families
