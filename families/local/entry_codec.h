// One entry of a legacy segment: a header of 24 bytes and the payload (braft-local-format.md 2.1).
//
//   term (8), type (1), checksum type (1), reserved (2), data length (4),
//   data checksum (4), header checksum over the 20 bytes before it (4); integers big-endian.
//
// The index is not stored: it follows from the segment's name and the entry's position.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "families/contract/types.h"

namespace qk::families::local {

inline constexpr size_t kEntryHeaderSize = 8 + 1 + 1 + 2 + 4 + 4 + 4;
// braft keeps payload lengths in an int.
inline constexpr size_t kMaxPayloadSize = size_t{1} << 30;

// The type is stored per entry; one segment may mix both.
enum class ChecksumType : uint8_t { kMurmur32 = 0, kCrc32c = 1 };

struct EntryHeader {
  int64_t term = 0;
  EntryType type = EntryType::kData;
  ChecksumType checksum_type = ChecksumType::kCrc32c;
  uint32_t data_length = 0;
  uint32_t data_checksum = 0;

  uint64_t entry_size() const { return kEntryHeaderSize + uint64_t{data_length}; }
};

void encode_entry(const LogEntry& entry, ChecksumType checksum_type, std::string* out);

// True if the kEntryHeaderSize bytes at `bytes` are a good header; decode_header() says what is
// wrong with one that is not.
bool try_decode_header(const char* bytes, EntryHeader* header);
// The header checksum that the kEntryHeaderSize bytes hold. It covers the payload's checksum too,
// so it tells one entry from another.
uint32_t header_checksum(std::string_view bytes);
// Whether the payload has the header's checksum.
bool payload_intact(const EntryHeader& header, std::string_view payload);

// With what was found and expected: DataLoss if the 24 bytes are not a header with a right checksum
// (a torn or rotten one), InvalidArgument if the checksum is right but a field is impossible (never
// the trace of a crash).
absl::StatusOr<EntryHeader> decode_header(std::string_view bytes);
// DataLoss if the payload does not have the header's checksum.
absl::Status check_payload(const EntryHeader& header, std::string_view payload);

}  // namespace qk::families::local
