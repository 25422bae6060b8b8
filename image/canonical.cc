#include "image/canonical.h"

namespace qk::image {
namespace {

using families::EntryType;

// Presence bits of FileMeta's fields.
constexpr uint8_t kHasUserMeta = 1;
constexpr uint8_t kHasSource = 2;
constexpr uint8_t kHasChecksum = 4;
// Not a field: the file is not in the table, and so has none of them.
constexpr uint8_t kUnlisted = 8;

void encode_strings(std::string* out, const std::vector<std::string>& strings) {
  put_le32(out, static_cast<uint32_t>(strings.size()));
  for (const std::string& s : strings) put_bytes(out, s);
}

bool decode_strings(ByteReader* reader, std::vector<std::string>* strings) {
  strings->clear();
  for (uint32_t left = reader->le32(); left > 0 && reader->ok(); --left) {
    strings->emplace_back(reader->bytes());
  }
  return reader->ok();
}

}  // namespace

void encode_entry_head(std::string* out, const families::LogEntry& entry) {
  // One append for the head: this runs for each entry of each export.
  char head[kEntryOverhead];
  store_le64(head, static_cast<uint64_t>(entry.index));
  store_le64(head + 8, static_cast<uint64_t>(entry.term));
  head[16] = static_cast<char>(entry.type);
  store_le32(head + 17, static_cast<uint32_t>(entry.payload.size()));
  out->append(head, sizeof head);
}

void encode_entry(std::string* out, const families::LogEntry& entry) {
  encode_entry_head(out, entry);
  out->append(entry.payload);
}

bool decode_entry(ByteReader* reader, families::LogEntry* entry) {
  std::string_view payload;
  if (!decode_entry_head(reader, entry, &payload)) return false;
  entry->payload = payload;
  return true;
}

bool decode_entry_head(ByteReader* reader, families::LogEntry* entry, std::string_view* payload) {
  entry->index = static_cast<int64_t>(reader->le64());
  entry->term = static_cast<int64_t>(reader->le64());
  const uint8_t type = reader->u8();
  *payload = reader->bytes();
  if (type < static_cast<uint8_t>(EntryType::kNoOp) ||
      type > static_cast<uint8_t>(EntryType::kConfiguration)) {
    return false;
  }
  entry->type = static_cast<EntryType>(type);
  return reader->ok();
}

void encode_hard_state(std::string* out, const families::HardState& state) {
  put_le64(out, static_cast<uint64_t>(state.term));
  put_bytes(out, state.voted_for);
}

bool decode_hard_state(ByteReader* reader, families::HardState* state) {
  state->term = static_cast<int64_t>(reader->le64());
  state->voted_for = reader->bytes();
  return reader->ok();
}

void encode_snapshot_head(std::string* out, const SnapshotHead& head) {
  put_u8(out, head.meta ? 1 : 0);
  if (!head.meta) return;
  put_le64(out, static_cast<uint64_t>(head.meta->last_included_index));
  put_le64(out, static_cast<uint64_t>(head.meta->last_included_term));
  encode_strings(out, head.meta->peers);
  encode_strings(out, head.meta->old_peers);
  put_le64(out, head.files);
}

bool decode_snapshot_head(ByteReader* reader, SnapshotHead* head) {
  *head = SnapshotHead{};
  const uint8_t present = reader->u8();
  if (present == 0) return reader->ok();
  if (present != 1) return false;
  families::SnapshotMeta& meta = head->meta.emplace();
  meta.last_included_index = static_cast<int64_t>(reader->le64());
  meta.last_included_term = static_cast<int64_t>(reader->le64());
  if (!decode_strings(reader, &meta.peers)) return false;
  if (!decode_strings(reader, &meta.old_peers)) return false;
  head->files = reader->le64();
  return reader->ok();
}

void encode_file_head(std::string* out, const FileHead& head) {
  const families::FileMeta& meta = head.file.meta;
  put_bytes(out, head.file.path);
  put_le64(out, head.size);
  put_u8(out, static_cast<uint8_t>(
                  (meta.user_meta ? kHasUserMeta : 0) | (meta.source ? kHasSource : 0) |
                  (meta.checksum ? kHasChecksum : 0) | (head.unlisted ? kUnlisted : 0)));
  if (meta.user_meta) put_bytes(out, *meta.user_meta);
  if (meta.source) put_le32(out, static_cast<uint32_t>(*meta.source));
  if (meta.checksum) put_bytes(out, *meta.checksum);
}

bool decode_file_head(ByteReader* reader, FileHead* head) {
  *head = FileHead{};
  head->file.path = reader->bytes();
  head->size = reader->le64();
  const uint8_t present = reader->u8();
  head->unlisted = present == kUnlisted;
  if (head->unlisted) return reader->ok();
  if ((present & ~(kHasUserMeta | kHasSource | kHasChecksum)) != 0) return false;
  families::FileMeta& meta = head->file.meta;
  if ((present & kHasUserMeta) != 0) meta.user_meta = std::string(reader->bytes());
  if ((present & kHasSource) != 0) meta.source = static_cast<int32_t>(reader->le32());
  if ((present & kHasChecksum) != 0) meta.checksum = std::string(reader->bytes());
  return reader->ok();
}

}  // namespace qk::image
