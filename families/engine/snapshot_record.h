// The record of the current snapshot, as an engine keeps it: integers little-endian, strings with a
// 32-bit length before them. Checksums are the engine's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "families/contract/types.h"

namespace qk::families {

// The current snapshot: what to serve, and what each file must be on disk.
struct SnapshotRecord {
  struct Contents {
    uint64_t size = 0;
    uint32_t crc = 0;  // CRC-32C
    friend bool operator==(const Contents&, const Contents&) = default;
  };
  SnapshotMeta meta;
  std::vector<SnapshotFile> files;  // in byte order of path
  std::vector<Contents> contents;   // one for each file
  // Files of the tree that are not in the table, by place in byte order.
  std::vector<std::pair<std::string, Contents>> unlisted;
};

std::string encode_snapshot(const SnapshotRecord& record);
// nullopt: no snapshot.
absl::StatusOr<std::optional<SnapshotRecord>> decode_snapshot(std::string_view value);

}  // namespace qk::families
