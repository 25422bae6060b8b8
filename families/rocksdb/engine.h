// RocksEngine: KvEngine on stock librocksdb, one thread, every byte through FileSystem.
//
// Durability. A commit is one write batch, synced to the WAL. After a crash
// families/engine/recovery.h cuts what the crash tore and refuses what rotted, and RocksDB replays
// the rest in its strictest mode.
//
// Background work. When flush_bytes have been committed since the last flush, the next run_one()
// calls switch the WAL, write the memtable to a table file and compact, one step each. An owner
// that does not drain is slowed, not failed: at four times flush_bytes a commit drains first. When
// RocksDB itself would flush depends on the allocator and on thread ids, so it never decides.
//
// Fail-stop. After any error of a commit or of a job, commits are refused until the database is
// opened again; reads go on. Damage found by a read is DataLoss and does not stop commits.
#pragma once

#include "families/engine/engine.h"

namespace qk::families {

struct RocksOptions {
  uint64_t flush_bytes = 1 << 20;  // committed since the last flush
  int compaction_files = 4;        // flushed files that are merged into the next level
};

absl::StatusOr<std::unique_ptr<KvEngine>> open_rocks_engine(FileSystem* fs, const std::string& path,
                                                            bool create,
                                                            const RocksOptions& options,
                                                            LogMark* mark = nullptr);

}  // namespace qk::families
