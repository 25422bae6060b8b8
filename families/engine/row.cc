#include "families/engine/row.h"

#include "families/base/bytes.h"
#include "families/base/hash.h"

namespace qk::families {
namespace {

constexpr char kStatePrefix = '\x01';
constexpr char kLogPrefix = '\x02';
constexpr size_t kLogKeyBytes = 1 + 8;
constexpr size_t kStateHeadBytes = 4;

}  // namespace

std::string state_key(StateRow row) { return {kStatePrefix, static_cast<char>(row)}; }

void set_log_key(std::string* key, int64_t index) {
  key->assign(1, kLogPrefix);
  put_be64(key, static_cast<uint64_t>(index));
}

std::optional<int64_t> log_key_index(std::string_view key) {
  if (key.size() != kLogKeyBytes || key[0] != kLogPrefix) return std::nullopt;
  const auto high = uint64_t{get_be32(key.data() + 1)};
  const auto index = static_cast<int64_t>(high << 32 | get_be32(key.data() + 5));
  if (index < 1) return std::nullopt;
  return index;
}

std::string encode_state_head(StateRow row, std::string_view value) {
  std::string bytes;
  put_le32(&bytes, state_crc(row, value));
  return bytes;
}

absl::StatusOr<std::string> decode_state_row(StateRow row, std::string_view bytes) {
  if (bytes.size() < kStateHeadBytes) {
    return absl::DataLossError(cat("state row \"", to_string(row), "\": found ", bytes.size(),
                                   " bytes, expected at least ", kStateHeadBytes));
  }
  const uint32_t stored = get_le32(bytes.data());
  bytes.remove_prefix(kStateHeadBytes);
  const uint32_t computed = state_crc(row, bytes);
  if (stored == computed) return std::string(bytes);
  return absl::DataLossError(cat("state row \"", to_string(row), "\": checksum ", hex8(computed),
                                 ", expected ", hex8(stored)));
}

void set_log_head(std::string* head, const LogEntry& entry) {
  const uint32_t payload_crc = crc32c(entry.payload);
  const auto type = static_cast<uint8_t>(entry.type);
  head->clear();
  put_le64(head, static_cast<uint64_t>(entry.term));
  put_u8(head, type);
  put_le32(head, payload_crc);
  put_le32(head, log_crc(entry.index, entry.term, type, entry.payload.size(), payload_crc));
}

absl::StatusOr<LogRow> decode_log_row(int64_t index, std::string_view bytes) {
  if (bytes.size() < kLogHeadBytes) {
    return absl::DataLossError(cat("log row ", index, ": found ", bytes.size(),
                                   " bytes, expected at least ", kLogHeadBytes));
  }
  ByteReader in(bytes.substr(0, kLogHeadBytes));
  LogRow row;
  row.term = static_cast<int64_t>(in.le64());
  const int64_t type = in.u8();
  row.payload_crc = in.le32();
  const uint32_t stored = in.le32();
  row.payload = bytes.substr(kLogHeadBytes);
  const uint32_t computed = log_crc(index, row.term, type, row.payload.size(), row.payload_crc);
  if (stored != computed || row.term < 1 || !is_entry_type(type)) {
    return absl::DataLossError(cat("log row ", index, ": checksum ", hex8(computed), ", expected ",
                                   hex8(stored), ", of term ", row.term, ", type ", type, ", ",
                                   row.payload.size(), " bytes"));
  }
  row.type = static_cast<EntryType>(type);
  return row;
}

absl::Status decode_log_entry(int64_t index, std::string_view bytes, LogEntry* entry) {
  QK_ASSIGN_OR_RETURN(const LogRow row, decode_log_row(index, bytes));
  const uint32_t computed = crc32c(row.payload);
  if (computed != row.payload_crc) {
    return absl::DataLossError(cat("log row ", index, ": payload checksum ", hex8(computed),
                                   ", expected ", hex8(row.payload_crc)));
  }
  entry->index = index;
  entry->term = row.term;
  entry->type = row.type;
  entry->payload.assign(row.payload);
  return absl::OkStatus();
}

}  // namespace qk::families
