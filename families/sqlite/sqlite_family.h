// The `sqlite` family: log, hard state and snapshot table in one SQLite database, snapshot contents
// as files beside it.
//
// Every mutation is one transaction, synced before it is acknowledged: after a crash it happened or
// it did not (partials: none), at every level up to P2. Every page of the database, every row and
// every snapshot file carries a checksum that is verified when it is read, and a damaged WAL is
// told apart from a torn one (vfs.h, record.h, wal.h).
//
// It does not detect a lost write, nor damage to the last transaction of a WAL or to a rollback
// journal that a crash left behind. Life cycle: database.h; rows: store.h. Runs that must be
// repeatable call sqlite_reset_for_run() first (engine.h).
#pragma once

#include "families/contract/family.h"

namespace qk::families {

FamilyDescriptor sqlite_family();

}  // namespace qk::families
