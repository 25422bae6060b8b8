// LeveldbEngine: KvEngine on stock libleveldb, one thread, every byte through FileSystem.
//
// Durability. A commit is one write batch, synced to the WAL. After a crash
// families/engine/recovery.h cuts what the crash tore and refuses what rotted, and LevelDB replays
// the rest with its paranoid checks. Every block that is read is verified.
//
// Background work. LevelDB queues the writing of full memtables and compactions; run_one() runs
// one of them. A commit runs all that an owner left over, because LevelDB would wait for them.
// Nothing depends on the allocator, a clock or an address: equal calls make equal files.
//
// Fail-stop. After any error of a commit or of a job, commits are refused until the database is
// opened again; reads go on. Damage found by a read is DataLoss and does not stop commits.
//
// Memory. A range is removed key by key, in one batch of about 14 bytes for each.
#pragma once

#include "families/engine/engine.h"

namespace qk::families {

struct LeveldbOptions {
  uint64_t write_buffer_bytes = 1 << 20;  // of a memtable, before it is written to a table file
};

absl::StatusOr<std::unique_ptr<KvEngine>> open_leveldb_engine(FileSystem* fs,
                                                              const std::string& path, bool create,
                                                              const LeveldbOptions& options,
                                                              LogMark* mark);

}  // namespace qk::families
