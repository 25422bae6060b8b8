// The `leveldb` family: log, hard state and snapshot table in a LevelDB database, snapshot contents
// as files beside it.
//
// Every mutation is one synced write batch: after a crash it happened or it did not (partials:
// none), at every level up to P2. Every row has a checksum of its own beside LevelDB's, and a torn
// tail of LevelDB's logs is told from rot before LevelDB sees them (families/engine/recovery.h).
//
// It does not detect a lost write, nor damage to the last record of the newest WAL: that looks like
// a torn one. Layout and life cycle: families/engine/store.h; the engine: engine.h.
#pragma once

#include "families/contract/family.h"

namespace qk::families {

FamilyDescriptor leveldb_family();

}  // namespace qk::families
