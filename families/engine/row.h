// The rows of a store in a key-value engine.
//
//   key                         value
//   01 <StateRow, 1 byte>       crc (4), the value (families/engine/record.h)
//   02 <index, 8, big-endian>   term (8), type (1), payload_crc (4), crc (4), payload
//
// Integers of values are little-endian; the checksums are state_crc() and log_crc(). The order of
// the keys is that of the indices, and log rows sort after state rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "families/engine/record.h"

namespace qk::families {

// term (8), type (1), payload_crc (4), crc (4)
inline constexpr size_t kLogHeadBytes = 8 + 1 + 4 + 4;

std::string state_key(StateRow row);
// Replaces `key` by the row's; a reused string does not allocate.
void set_log_key(std::string* key, int64_t index);
// Index in a log row's key, or nullopt if key is not one.
std::optional<int64_t> log_key_index(std::string_view key);
// Below every log row's key, and above.
inline constexpr std::string_view kLogKeysBegin = "\x02";
inline constexpr std::string_view kLogKeysEnd = "\x03";

// What is before the value.
std::string encode_state_head(StateRow row, std::string_view value);
// DataLoss, not naming the store.
absl::StatusOr<std::string> decode_state_row(StateRow row, std::string_view bytes);

// Replaces `head` by what is before the payload of `entry`.
void set_log_head(std::string* head, const LogEntry& entry);

// A log row, seen in its bytes.
struct LogRow {
  int64_t term = 0;
  EntryType type = EntryType::kData;
  uint32_t payload_crc = 0;  // not verified
  std::string_view payload;
};
// Verifies everything but the payload; DataLoss, not naming the store.
absl::StatusOr<LogRow> decode_log_row(int64_t index, std::string_view bytes);
// Replaces `entry` by the row's, payload verified as well.
absl::Status decode_log_entry(int64_t index, std::string_view bytes, LogEntry* entry);

}  // namespace qk::families
