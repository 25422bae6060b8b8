#include "families/local/entry_codec.h"

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"

namespace qk::families::local {
namespace {

constexpr size_t kTypeOffset = 8;
constexpr size_t kChecksumTypeOffset = 9;
constexpr size_t kDataLengthOffset = 12;
constexpr size_t kDataChecksumOffset = 16;
constexpr size_t kHeaderChecksumOffset = 20;

uint32_t checksum(ChecksumType type, std::string_view bytes) {
  return type == ChecksumType::kCrc32c ? crc32c(bytes) : murmur3_32(bytes);
}

int64_t get_be64_signed(const char* p) { return static_cast<int64_t>(get_be64(p)); }

}  // namespace

void encode_entry(const LogEntry& entry, ChecksumType checksum_type, std::string* out) {
  QK_CHECK(entry.payload.size() <= kMaxPayloadSize);
  char header[kEntryHeaderSize] = {};  // the reserved bytes stay 0
  store_be64(header, static_cast<uint64_t>(entry.term));
  header[kTypeOffset] = static_cast<char>(entry.type);
  header[kChecksumTypeOffset] = static_cast<char>(checksum_type);
  store_be32(header + kDataLengthOffset, static_cast<uint32_t>(entry.payload.size()));
  store_be32(header + kDataChecksumOffset, checksum(checksum_type, entry.payload));
  store_be32(header + kHeaderChecksumOffset,
             checksum(checksum_type, {header, kHeaderChecksumOffset}));
  out->append(header, sizeof header);
  out->append(entry.payload);
}

bool try_decode_header(const char* bytes, EntryHeader* header) {
  const auto checksum_type = static_cast<uint8_t>(bytes[kChecksumTypeOffset]);
  if (checksum_type > static_cast<uint8_t>(ChecksumType::kCrc32c)) return false;
  header->checksum_type = static_cast<ChecksumType>(checksum_type);
  if (get_be32(bytes + kHeaderChecksumOffset) !=
      checksum(header->checksum_type, {bytes, kHeaderChecksumOffset})) {
    return false;
  }
  const auto type = static_cast<uint8_t>(bytes[kTypeOffset]);
  header->term = get_be64_signed(bytes);
  header->type = static_cast<EntryType>(type);
  header->data_length = get_be32(bytes + kDataLengthOffset);
  header->data_checksum = get_be32(bytes + kDataChecksumOffset);
  return type >= static_cast<uint8_t>(EntryType::kNoOp) &&
         type <= static_cast<uint8_t>(EntryType::kConfiguration) && header->term >= 1;
}

uint32_t header_checksum(std::string_view bytes) {
  QK_CHECK(bytes.size() >= kEntryHeaderSize);
  return get_be32(bytes.data() + kHeaderChecksumOffset);
}

bool payload_intact(const EntryHeader& header, std::string_view payload) {
  return checksum(header.checksum_type, payload) == header.data_checksum;
}

absl::StatusOr<EntryHeader> decode_header(std::string_view bytes) {
  QK_CHECK(bytes.size() >= kEntryHeaderSize);
  const char* p = bytes.data();
  EntryHeader header;
  if (try_decode_header(p, &header)) return header;
  const uint8_t checksum_type = static_cast<uint8_t>(p[kChecksumTypeOffset]);
  if (checksum_type > static_cast<uint8_t>(ChecksumType::kCrc32c)) {
    return absl::DataLossError(
        cat("header has checksum type ", checksum_type, ", expected 0 or 1"));
  }
  const uint32_t found = get_be32(p + kHeaderChecksumOffset);
  const uint32_t expected =
      checksum(static_cast<ChecksumType>(checksum_type), bytes.substr(0, kHeaderChecksumOffset));
  if (found != expected) {
    return absl::DataLossError(cat("header checksum ", hex8(found), ", expected ", hex8(expected)));
  }
  const uint8_t type = static_cast<uint8_t>(p[kTypeOffset]);
  if (type < static_cast<uint8_t>(EntryType::kNoOp) ||
      type > static_cast<uint8_t>(EntryType::kConfiguration)) {
    return absl::InvalidArgumentError(cat("entry type ", type, ", expected 1, 2 or 3"));
  }
  return absl::InvalidArgumentError(
      cat("entry has term ", get_be64_signed(p), ", expected at least 1"));
}

absl::Status check_payload(const EntryHeader& header, std::string_view payload) {
  const uint32_t found = checksum(header.checksum_type, payload);
  if (found == header.data_checksum) return absl::OkStatus();
  return absl::DataLossError(cat("payload of ", payload.size(), " bytes has checksum ", hex8(found),
                                 ", expected ", hex8(header.data_checksum)));
}

}  // namespace qk::families::local
