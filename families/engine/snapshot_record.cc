#include "families/engine/snapshot_record.h"

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/contract/rules.h"

namespace qk::families {
namespace {

void put_strings(std::string* out, const std::vector<std::string>& strings) {
  put_le32(out, static_cast<uint32_t>(strings.size()));
  for (const std::string& s : strings) put_bytes(out, s);
}

std::vector<std::string> read_strings(ByteReader& in) {
  std::vector<std::string> strings;
  const uint32_t count = in.le32();
  for (uint32_t i = 0; i < count && in.ok(); ++i) strings.emplace_back(in.bytes());
  return strings;
}

// Which fields of a FileMeta are present.
constexpr uint8_t kHasUserMeta = 1;
constexpr uint8_t kHasSource = 2;
constexpr uint8_t kHasChecksum = 4;
constexpr uint8_t kHasAll = kHasUserMeta | kHasSource | kHasChecksum;

void put_file_meta(std::string* out, const FileMeta& meta) {
  put_u8(out,
         static_cast<uint8_t>((meta.user_meta ? kHasUserMeta : 0) | (meta.source ? kHasSource : 0) |
                              (meta.checksum ? kHasChecksum : 0)));
  if (meta.user_meta) put_bytes(out, *meta.user_meta);
  if (meta.source) put_le32(out, static_cast<uint32_t>(*meta.source));
  if (meta.checksum) put_bytes(out, *meta.checksum);
}

// False: unknown presence bits.
bool read_file_meta(ByteReader& in, FileMeta* meta) {
  const uint8_t present = in.u8();
  if (present & kHasUserMeta) meta->user_meta = std::string(in.bytes());
  if (present & kHasSource) meta->source = static_cast<int32_t>(in.le32());
  if (present & kHasChecksum) meta->checksum = std::string(in.bytes());
  return (present & ~kHasAll) == 0;
}

}  // namespace

std::string encode_snapshot(const SnapshotRecord& record) {
  QK_CHECK(record.files.size() == record.contents.size());
  std::string out;
  put_le64(&out, static_cast<uint64_t>(record.meta.last_included_index));
  put_le64(&out, static_cast<uint64_t>(record.meta.last_included_term));
  put_strings(&out, record.meta.peers);
  put_strings(&out, record.meta.old_peers);
  put_le32(&out, static_cast<uint32_t>(record.files.size()));
  for (size_t i = 0; i < record.files.size(); ++i) {
    put_bytes(&out, record.files[i].path);
    put_file_meta(&out, record.files[i].meta);
    put_le64(&out, record.contents[i].size);
    put_le32(&out, record.contents[i].crc);
  }
  // Only if there are any, so that a record without them has the bytes that it always had.
  if (record.unlisted.empty()) return out;
  put_le32(&out, static_cast<uint32_t>(record.unlisted.size()));
  for (const auto& [place, contents] : record.unlisted) {
    put_bytes(&out, place);
    put_le64(&out, contents.size);
    put_le32(&out, contents.crc);
  }
  return out;
}

absl::StatusOr<std::optional<SnapshotRecord>> decode_snapshot(std::string_view value) {
  if (value.empty()) return std::nullopt;
  ByteReader in(value);
  SnapshotRecord record;
  record.meta.last_included_index = static_cast<int64_t>(in.le64());
  record.meta.last_included_term = static_cast<int64_t>(in.le64());
  record.meta.peers = read_strings(in);
  record.meta.old_peers = read_strings(in);
  const uint32_t count = in.le32();
  bool valid = record.meta.last_included_index >= 1 && record.meta.last_included_term >= 1;
  for (uint32_t i = 0; i < count && in.ok() && valid; ++i) {
    SnapshotFile file;
    file.path = std::string(in.bytes());
    valid = read_file_meta(in, &file.meta) && snapshot_file_place(file.path).ok() &&
            (record.files.empty() || record.files.back().path < file.path);
    record.files.push_back(std::move(file));
    SnapshotRecord::Contents contents;
    contents.size = in.le64();
    contents.crc = in.le32();
    record.contents.push_back(contents);
  }
  const bool has_unlisted = in.ok() && valid && in.remaining() > 0;
  const uint32_t unlisted = has_unlisted ? in.le32() : 0;
  valid = valid && has_unlisted == (unlisted > 0);
  for (uint32_t i = 0; i < unlisted && in.ok() && valid; ++i) {
    std::string place(in.bytes());
    const absl::StatusOr<std::string> normal = snapshot_file_place(place);
    valid = normal.ok() && *normal == place &&
            (record.unlisted.empty() || record.unlisted.back().first < place);
    SnapshotRecord::Contents contents;
    contents.size = in.le64();
    contents.crc = in.le32();
    record.unlisted.emplace_back(std::move(place), contents);
  }
  if (!in.done() || !valid)
    return absl::DataLossError(cat("the snapshot record is malformed (", value.size(), " bytes)"));
  return record;
}

}  // namespace qk::families
