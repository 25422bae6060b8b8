// Reads a file of LevelDB's log format, which RocksDB shares (a WAL or a MANIFEST), to tell a torn
// tail from rot.
//
// Format. Blocks of 32768 bytes hold fragments: masked CRC-32C of type and payload (4), length (2),
// type (1), payload. A record is one FULL fragment, or FIRST, any number of MIDDLE, and LAST; a
// fragment never crosses a block, and fewer than 7 bytes at a block's end are padding.
//
// A crash may tear what was appended after the last sync. Each append of an engine is followed by a
// sync before the next one, so that is one record: damage with another record after it is rot, and
// damage with none is taken for a torn tail. Not distinguishable: rot in the very last record.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "families/fs/file_system.h"

namespace qk::families {

struct LogScan {
  uint64_t size = 0;        // of the file
  uint64_t intact_end = 0;  // where the last whole record before any damage ends
  // The first damage, if any: where, and what was found.
  std::optional<uint64_t> damage_offset;
  std::string damage;
  // A record that begins after the damage.
  std::optional<uint64_t> record_behind;
};

// How much of a record its visitor is shown. A record's first fragment may be as short as nothing,
// so this may take several.
inline constexpr size_t kRecordHeadBytes = 512;

// The record at `offset` is whole; `head` is its payload, or the first kRecordHeadBytes of it.
using VisitLogRecord = std::function<absl::Status(uint64_t offset, std::string_view head)>;
// Whether the first fragment of a record found after damage makes it one of this file. Blocks that
// a file system gives to a file may hold records of a file that was removed.
using IsOurRecord = std::function<bool(std::string_view fragment)>;

absl::StatusOr<LogScan> scan_log(FileSystem& fs, const std::string& path,
                                 const VisitLogRecord& visit, const IsOurRecord& is_ours);

}  // namespace qk::families
