// The file `db/FORMAT` of a store: which family wrote it, and in which format. One line of text
// with its own checksum:
//
//   qksim rocksdb 1 5f3c1a20\n        family, format version, CRC-32C of what precedes it
#pragma once

#include <cstdint>
#include <string_view>

#include "families/fs/file_system.h"

namespace qk::families {

// Of the rows (row.h) and of the root's layout; the engine's own format is the engine's.
inline constexpr uint32_t kKvFormatVersion = 1;

// Not synced into the directory.
absl::Status write_format(FileSystem& fs, std::string_view directory, std::string_view family);

// OK: the directory is a store of `family` that this build reads. DataLoss: damaged or missing.
// FailedPrecondition: of another family, or of another format.
absl::Status check_format(FileSystem& fs, std::string_view directory, std::string_view family);

}  // namespace qk::families
