// The records of a store, as they stand in its rows.
//
//   log(idx INTEGER PRIMARY KEY, term, type, payload_crc, crc, payload BLOB)
//     payload_crc  CRC-32C of the payload
//     crc          CRC-32C of idx, term, type, payload length and payload_crc, so that a term is
//                  verified without its payload
//   state(id INTEGER PRIMARY KEY, value BLOB, crc)
//     crc          CRC-32C of id and value
//
// Each state row exists from the creation on; a missing one is damage, never a default.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "families/contract/types.h"

namespace qk::families {

enum class StateRow : int64_t {
  kFirstIndex = 1,  // i64: first index of the log, empty or not
  kHardState = 2,   // i64 term, bytes voted_for
  kSnapshot = 3,    // nothing, or a SnapshotRecord
};
inline constexpr StateRow kStateRows[] = {StateRow::kFirstIndex, StateRow::kHardState,
                                          StateRow::kSnapshot};
std::string_view to_string(StateRow row);

uint32_t state_crc(StateRow row, std::string_view value);
uint32_t log_crc(int64_t index, int64_t term, int64_t type, uint64_t payload_size,
                 uint32_t payload_crc);

std::string encode_first_index(int64_t first);
absl::StatusOr<int64_t> decode_first_index(std::string_view value);

std::string encode_hard_state(const HardState& state);
absl::StatusOr<HardState> decode_hard_state(std::string_view value);

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
};

std::string encode_snapshot(const SnapshotRecord& record);
// nullopt: no snapshot.
absl::StatusOr<std::optional<SnapshotRecord>> decode_snapshot(std::string_view value);

}  // namespace qk::families
