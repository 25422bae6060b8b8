// SQLite's write-ahead log as bytes: verifying frames, and telling a torn tail from damage.
//
// SQLite ends recovery at the first frame that fails its checksum and silently drops the rest. That
// is right for a tail that a crash tore, and loses acknowledged commits when a frame was damaged
// later. check_wal() tells the two apart before SQLite sees the file. It relies on two facts of
// this family: the file holds the frames of one generation only (it is emptied, durably, at each
// checkpoint and at each open), and each commit is synced before the next one begins. SQLite fills
// the sector after a commit with copies of its last frame and syncs up to the end of that sector;
// so a crash can tear one transaction and the end of the padding before it, and nothing else.
//
// Not told apart: damage to the last transaction, or to the last padding frame before it, which
// looks exactly like a tear.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "families/fs/file_system.h"

namespace qk::families {

inline constexpr uint64_t kWalHeaderBytes = 32;
inline constexpr uint64_t kWalFrameHeaderBytes = 24;

// The salts of the WAL in `wal`, which has a header: one number for each generation.
absl::StatusOr<uint64_t> read_wal_salts(File& wal, std::string_view path);

// DataLoss, naming `path` and the frame, if commits that were acknowledged are damaged. `named` is
// the generation that must be here, with a whole commit at least (families/engine/log_mark.h).
absl::Status check_wal(File& wal, std::string_view path, uint32_t page_size,
                       std::optional<uint64_t> named);
// DataLoss for the WAL `named` that should be at `path`.
absl::Status missing_wal(std::string_view path, uint64_t named);

// Verifies the page that was read from frame `frame` (0 is the first): DataLoss if it is not what
// was written.
absl::Status verify_wal_page(File& wal, std::string_view path, uint32_t page_size, uint64_t frame,
                             std::string_view page);

}  // namespace qk::families
