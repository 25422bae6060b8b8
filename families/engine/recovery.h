// What happens to the directory of a LevelDB or RocksDB database before the engine may open it
// after a crash.
//
// The engines cannot tell a torn tail from rot: their strict recovery modes refuse both, the others
// drop both. So the torn tails are cut here, and the engine then opens in its strictest mode.
//
//   CURRENT    must name a MANIFEST that exists.
//   MANIFEST   a torn tail is cut; rot is DataLoss.
//   WALs       those that the MANIFEST still needs: a torn tail of the newest is cut, any other
//              damage is DataLoss. Their records must follow, without a gap, the sequence number
//              that the MANIFEST reached. That is what finds the loss of an edit: the edit that
//              recorded a flush was relied upon when the flushed WAL was removed, and the next WAL
//              begins after the gap (the engine writes a first record into each for this). The
//              WAL that the store's mark names must be there with a whole record of changes, unless
//              the MANIFEST does not need it any more: nothing else tells that the newest was lost.
//
// Nothing is changed unless all is in order. What is left is durable: the logs are written again,
// because a sync alone does nothing for pages that an earlier sync failed to write back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "families/fs/file_system.h"

namespace qk::families {

struct RecoveredLogs {
  // That the engine will replay.
  size_t wals = 0;
  uint64_t wal_bytes = 0;
  // Paths of those that nothing needs any more.
  std::vector<std::string> obsolete_wals;
};

// `path` is the database's directory, `named` the number of the WAL in its mark (log_mark.h).
// DataLoss names the file and what was found.
absl::StatusOr<RecoveredLogs> recover_logs(FileSystem& fs, const std::string& path,
                                           std::optional<uint64_t> named);

// The number of a WAL by its path, or nullopt if this is another file.
std::optional<uint64_t> wal_number(std::string_view path);

}  // namespace qk::families
