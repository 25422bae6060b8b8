// What rows hold, whatever engine keeps them: the state rows and their codecs, and the checksums of
// all rows. Each engine lays its rows out in its own way.
//
// A log row's payload has its CRC-32C, and the checksum of the row's head covers that, so that a
// term is verified without its payload.
//
// Each state row exists from the creation on; a missing one is damage, never a default.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "families/contract/rules.h"
#include "families/contract/types.h"

namespace qk::families {

enum class StateRow : int64_t {
  kFirstIndex = 1,  // i64: first index of the log, empty or not
  kHardState = 2,   // i64 term, bytes voted_for
  kSnapshot = 3,    // nothing, or a SnapshotRecord (families/engine/snapshot_record.h)
};
inline constexpr StateRow kStateRows[] = {StateRow::kFirstIndex, StateRow::kHardState,
                                          StateRow::kSnapshot};
std::string_view to_string(StateRow row);
// Of a fresh store: an empty log from index 1 on, HardState{}, no snapshot.
std::string initial_state(StateRow row);

// CRC-32C of the row's id and its value.
uint32_t state_crc(StateRow row, std::string_view value);
// CRC-32C of all that a log row holds but its payload.
uint32_t log_crc(int64_t index, int64_t term, int64_t type, uint64_t payload_size,
                 uint32_t payload_crc);

std::string encode_first_index(int64_t first);
absl::StatusOr<int64_t> decode_first_index(std::string_view value);

std::string encode_hard_state(const HardState& state);
absl::StatusOr<HardState> decode_hard_state(std::string_view value);

bool is_entry_type(int64_t type);

// Above this, a stored payload is damage; check_append() refuses smaller ones.
inline constexpr size_t kMaxPayloadBytes = 512u << 20;
static_assert(kMaxEntryPayload <= kMaxPayloadBytes);

}  // namespace qk::families
