// Target: the rows that the engines keep a store in (families/engine).
//
// Input: a byte of mode, then a row. With the lowest bit of the mode set, the row's checksum is
// made right first. Each decoder is tried on it; what one accepts encodes to the same bytes.
#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"
#include "families/engine/record.h"
#include "families/engine/row.h"
#include "families/engine/snapshot_record.h"
#include "tools/fuzz/target.h"

namespace qk::fuzz {
namespace {

using families::LogEntry;
using families::StateRow;

constexpr int64_t kIndex = 7;

void check_log_row(std::string_view bytes) {
  LogEntry entry;
  if (!families::decode_log_entry(kIndex, bytes, &entry).ok()) return;
  QK_CHECK(entry.index == kIndex && entry.term >= 1);
  std::string head;
  families::set_log_head(&head, entry);
  QK_CHECK(head + entry.payload == bytes);
}

void check_value(StateRow row, std::string_view value) {
  switch (row) {
    case StateRow::kFirstIndex: {
      const auto first = families::decode_first_index(value);
      if (first.ok()) QK_CHECK(*first >= 1 && families::encode_first_index(*first) == value);
      return;
    }
    case StateRow::kHardState: {
      const auto state = families::decode_hard_state(value);
      if (state.ok()) QK_CHECK(families::encode_hard_state(*state) == value);
      return;
    }
    case StateRow::kSnapshot: {
      const auto record = families::decode_snapshot(value);
      if (record.ok() && *record) QK_CHECK(families::encode_snapshot(**record) == value);
      return;
    }
  }
}

void check_state_row(StateRow row, std::string_view bytes) {
  const auto value = families::decode_state_row(row, bytes);
  if (!value.ok()) return;
  QK_CHECK(families::encode_state_head(row, *value) + *value == bytes);
  check_value(row, *value);
}

StateRow row_of(uint8_t mode) { return families::kStateRows[(mode >> 2) % 3]; }

// Bit 1 of the mode: a log row; otherwise the state row that the higher bits choose.
std::string repaired(uint8_t mode, std::string_view bytes) {
  if ((mode & 2) == 0) {
    const std::string_view value = bytes.substr(std::min<size_t>(4, bytes.size()));
    return families::encode_state_head(row_of(mode), value) + std::string(value);
  }
  if (bytes.size() < families::kLogHeadBytes) return std::string(bytes);
  ByteReader reader(bytes);
  LogEntry entry;
  entry.index = kIndex;
  entry.term = static_cast<int64_t>(reader.le64());
  entry.type = static_cast<families::EntryType>(reader.u8());
  entry.payload = std::string(bytes.substr(families::kLogHeadBytes));
  std::string head;
  families::set_log_head(&head, entry);
  return head + entry.payload;
}

}  // namespace

std::vector<std::string> seeds() {
  const std::string peer = "127.0.0.1:8100:0:0";
  families::SnapshotRecord record;
  record.meta = {9, 3, {peer}, {peer}};
  record.files = {{"data", {"user", 0, "sum"}}, {"deep/data", {}}};
  record.contents = {{5, 6}, {7, 8}};
  std::vector<std::string> inputs;
  const auto add = [&](uint8_t mode, const std::string& row) {
    inputs.push_back(static_cast<char>(mode) + row);
    inputs.push_back(static_cast<char>(mode | 1) + row);
  };
  const std::string values[] = {families::encode_first_index(4),
                                families::encode_hard_state({5, peer}),
                                families::encode_snapshot(record)};
  for (uint8_t i = 0; i < 3; ++i) {
    const StateRow row = families::kStateRows[i];
    add(static_cast<uint8_t>(i << 2), families::encode_state_head(row, values[i]) + values[i]);
  }
  LogEntry entry{kIndex, 3, families::EntryType::kData, "payload"};
  std::string head;
  families::set_log_head(&head, entry);
  add(2, head + entry.payload);
  return inputs;
}

void run(std::string_view input) {
  if (input.empty()) return;
  const uint8_t mode = static_cast<uint8_t>(input[0]);
  std::string bytes(input.substr(1));
  if ((mode & 1) != 0) bytes = repaired(mode, bytes);
  check_log_row(bytes);
  for (const StateRow row : families::kStateRows) check_state_row(row, bytes);
  check_value(row_of(mode), bytes);
}

}  // namespace qk::fuzz
