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
#include <string>
#include <string_view>

#include "families/contract/types.h"

namespace qk::families {

enum class StateRow : int64_t {
  kFirstIndex = 1,  // i64: first index of the log, empty or not
  kHardState = 2,   // i64 term, bytes voted_for
  kSnapshot = 3,    // nothing, or a SnapshotRecord (families/tree/snapshot_record.h)
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

}  // namespace qk::families
