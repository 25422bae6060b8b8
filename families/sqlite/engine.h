// The process-wide part of SQLite: its pseudo-random generator, threading mode and default VFS.
//
// SQLite draws WAL salts and journal nonces from one generator per process, which it seeds once
// from the process's default VFS, whatever VFS a database uses. A deterministic run therefore
// replaces the default VFS and discards the generator's state when it starts. A real tool never
// calls this: its default VFS stays "unix" and its salts truly random.
//
// After the call, an open that names no VFS is refused: databases of the run pass through
// SqliteVfs, and real files of other code (run.db) name "unix" explicitly. Such code draws from the
// same generator; within a run it must draw the same numbers each time, or not at all.
#pragma once

#include <cstdint>

namespace qk::families {

// Call at the start of each run, before the run opens its first database.
void sqlite_reset_for_run(uint64_t seed);

// Keeps the state of SQLite's generator, and goes back to it. There is room for one state.
void sqlite_save_generator();
void sqlite_restore_generator();

}  // namespace qk::families
