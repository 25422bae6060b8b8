#include "families/local/entry_codec.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"

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
  const size_t begin = out->size();
  put_be64(out, static_cast<uint64_t>(entry.term));
  put_u8(out, static_cast<uint8_t>(entry.type));
  put_u8(out, static_cast<uint8_t>(checksum_type));
  out->append(2, '\0');  // reserved
  put_be32(out, static_cast<uint32_t>(entry.payload.size()));
  put_be32(out, checksum(checksum_type, entry.payload));
  const std::string_view header = std::string_view(*out).substr(begin, kHeaderChecksumOffset);
  put_be32(out, checksum(checksum_type, header));
  *out += entry.payload;
}

absl::StatusOr<EntryHeader> decode_header(std::string_view bytes) {
  QK_CHECK(bytes.size() >= kEntryHeaderSize);
  const char* p = bytes.data();
  const uint8_t checksum_type = static_cast<uint8_t>(p[kChecksumTypeOffset]);
  if (checksum_type > static_cast<uint8_t>(ChecksumType::kCrc32c)) {
    return absl::DataLossError(
        cat("header has checksum type ", checksum_type, ", expected 0 or 1"));
  }
  EntryHeader header;
  header.checksum_type = static_cast<ChecksumType>(checksum_type);
  const uint32_t found = get_be32(p + kHeaderChecksumOffset);
  const uint32_t expected = checksum(header.checksum_type, bytes.substr(0, kHeaderChecksumOffset));
  if (found != expected) {
    return absl::DataLossError(cat("header checksum ", hex8(found), ", expected ", hex8(expected)));
  }
  header.term = get_be64_signed(p);
  header.data_length = get_be32(p + kDataLengthOffset);
  header.data_checksum = get_be32(p + kDataChecksumOffset);
  const uint8_t type = static_cast<uint8_t>(p[kTypeOffset]);
  if (type < static_cast<uint8_t>(EntryType::kNoOp) ||
      type > static_cast<uint8_t>(EntryType::kConfiguration)) {
    return absl::InvalidArgumentError(cat("entry type ", type, ", expected 1, 2 or 3"));
  }
  header.type = static_cast<EntryType>(type);
  if (header.term < 1) {
    return absl::InvalidArgumentError(cat("entry has term ", header.term, ", expected at least 1"));
  }
  return header;
}

absl::Status check_payload(const EntryHeader& header, std::string_view payload) {
  const uint32_t found = checksum(header.checksum_type, payload);
  if (found == header.data_checksum) return absl::OkStatus();
  return absl::DataLossError(cat("payload of ", payload.size(), " bytes has checksum ", hex8(found),
                                 ", expected ", hex8(header.data_checksum)));
}

}  // namespace qk::families::local
