#include "families/engine/record.h"

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"

namespace qk::families {
namespace {

absl::Status malformed(StateRow row, std::string_view value) {
  return absl::DataLossError(
      cat("state row \"", to_string(row), "\" is malformed (", value.size(), " bytes)"));
}

}  // namespace

std::string_view to_string(StateRow row) {
  switch (row) {
    case StateRow::kFirstIndex:
      return "first_index";
    case StateRow::kHardState:
      return "hard_state";
    case StateRow::kSnapshot:
      return "snapshot";
  }
  QK_CHECK(false);
}

std::string initial_state(StateRow row) {
  switch (row) {
    case StateRow::kFirstIndex:
      return encode_first_index(1);
    case StateRow::kHardState:
      return encode_hard_state(HardState{});
    case StateRow::kSnapshot:
      return "";
  }
  QK_CHECK(false);
}

uint32_t state_crc(StateRow row, std::string_view value) {
  std::string id;
  put_le64(&id, static_cast<uint64_t>(row));
  return crc32c_extend(crc32c(id), value);
}

uint32_t log_crc(int64_t index, int64_t term, int64_t type, uint64_t payload_size,
                 uint32_t payload_crc) {
  char bytes[4 * 8 + 4];
  store_le64(bytes, static_cast<uint64_t>(index));
  store_le64(bytes + 8, static_cast<uint64_t>(term));
  store_le64(bytes + 16, static_cast<uint64_t>(type));
  store_le64(bytes + 24, payload_size);
  store_le32(bytes + 32, payload_crc);
  return crc32c({bytes, sizeof bytes});
}

std::string encode_first_index(int64_t first) {
  std::string out;
  put_le64(&out, static_cast<uint64_t>(first));
  return out;
}

absl::StatusOr<int64_t> decode_first_index(std::string_view value) {
  ByteReader in(value);
  const auto first = static_cast<int64_t>(in.le64());
  if (!in.done() || first < 1) return malformed(StateRow::kFirstIndex, value);
  return first;
}

std::string encode_hard_state(const HardState& state) {
  std::string out;
  put_le64(&out, static_cast<uint64_t>(state.term));
  put_bytes(&out, state.voted_for);
  return out;
}

absl::StatusOr<HardState> decode_hard_state(std::string_view value) {
  ByteReader in(value);
  HardState state;
  state.term = static_cast<int64_t>(in.le64());
  state.voted_for = std::string(in.bytes());
  if (!in.done()) return malformed(StateRow::kHardState, value);
  return state;
}

bool is_entry_type(int64_t type) {
  return type >= static_cast<int64_t>(EntryType::kNoOp) &&
         type <= static_cast<int64_t>(EntryType::kConfiguration);
}

}  // namespace qk::families
