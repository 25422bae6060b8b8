#include "families/local/private_notes.h"

#include "families/base/bytes.h"
#include "families/base/hash.h"
#include "families/fs/file_util.h"
#include "families/local/local.pb.h"
#include "families/local/protobuf_file.h"

namespace qk::families::local {
namespace {

// Each tells the version too.
constexpr std::string_view kBatchMagic = "qkbatch1";
constexpr std::string_view kTruncationMagic = "qktrunc1";
// magic (8), segment (8), acknowledged (8), end (8), CRC-32C of all that (4); integers big-endian.
constexpr size_t kBatchChecksumOffset = 8 + 8 + 8 + 8;
// magic (8), CRC-32C of the message (4), message.
constexpr size_t kTruncationHeaderSize = 8 + 4;

// The bytes of a note; nullopt if there is none, or one that is too long to be one.
absl::StatusOr<std::optional<std::string>> read_note(FileSystem& fs, const std::string& path,
                                                     uint64_t max_size) {
  auto bytes = read_file(fs, path, max_size);
  if (absl::IsNotFound(bytes.status()) || absl::IsInvalidArgument(bytes.status())) {
    return std::optional<std::string>();
  }
  QK_RETURN_IF_ERROR(bytes.status());
  return std::optional<std::string>(*std::move(bytes));
}

std::optional<TruncationNote> decode_truncation_note(std::string_view bytes) {
  if (bytes.size() < kTruncationHeaderSize ||
      bytes.substr(0, kTruncationMagic.size()) != kTruncationMagic) {
    return std::nullopt;
  }
  const std::string_view body = bytes.substr(kTruncationHeaderSize);
  proto::TruncationNote message;
  if (get_be32(bytes.data() + kTruncationMagic.size()) != crc32c(body) ||
      !message.ParsePartialFromArray(body.data(), static_cast<int>(body.size())) ||
      !message.IsInitialized()) {
    return std::nullopt;
  }
  TruncationNote note{
      message.first_before(), message.first(), message.last_kept(), message.cut_size(), {}};
  if (note.first < 1 || note.last_kept < note.first - 1) return std::nullopt;
  for (const auto& segment : message.segments()) {
    const auto name = parse_segment_name(segment.name());
    if (!name || (!note.segments.empty() && name->first <= note.segments.back().name.first)) {
      return std::nullopt;
    }
    note.segments.push_back(
        {*name, segment.file_size(), segment.last_offset(), segment.last_checksum()});
  }
  return note;
}

}  // namespace

std::string encode_batch_note(const BatchNote& note) {
  std::string bytes(kSector, '\0');
  kBatchMagic.copy(bytes.data(), kBatchMagic.size());
  store_be64(bytes.data() + 8, static_cast<uint64_t>(note.segment));
  store_be64(bytes.data() + 16, note.acknowledged);
  store_be64(bytes.data() + 24, note.end);
  store_be32(bytes.data() + kBatchChecksumOffset,
             crc32c(std::string_view(bytes).substr(0, kBatchChecksumOffset)));
  return bytes;
}

absl::StatusOr<std::optional<BatchNote>> load_batch_note(FileSystem& fs,
                                                         const std::string& directory) {
  QK_ASSIGN_OR_RETURN(const std::optional<std::string> bytes,
                      read_note(fs, join_path(directory, kBatchNoteName), kSector));
  if (!bytes || bytes->size() != kSector ||
      bytes->compare(0, kBatchMagic.size(), kBatchMagic) != 0 ||
      get_be32(bytes->data() + kBatchChecksumOffset) !=
          crc32c(std::string_view(*bytes).substr(0, kBatchChecksumOffset))) {
    return std::optional<BatchNote>();
  }
  BatchNote note;
  note.segment = static_cast<int64_t>(get_be64(bytes->data() + 8));
  note.acknowledged = get_be64(bytes->data() + 16);
  note.end = get_be64(bytes->data() + 24);
  return std::optional<BatchNote>(note);
}

std::string encode_truncation_note(const TruncationNote& note) {
  proto::TruncationNote message;
  message.set_first_before(note.first_before);
  message.set_first(note.first);
  message.set_last_kept(note.last_kept);
  message.set_cut_size(note.cut_size);
  for (const NotedSegment& segment : note.segments) {
    auto* noted = message.add_segments();
    noted->set_name(segment.name.to_string());
    noted->set_file_size(segment.file_size);
    noted->set_last_offset(segment.last_offset);
    noted->set_last_checksum(segment.last_checksum);
  }
  const std::string body = message.SerializeAsString();
  std::string bytes(kTruncationMagic);
  put_be32(&bytes, crc32c(body));
  return bytes + body;
}

absl::StatusOr<std::optional<TruncationNote>> load_truncation_note(FileSystem& fs,
                                                                   const std::string& directory) {
  QK_ASSIGN_OR_RETURN(
      const std::optional<std::string> bytes,
      read_note(fs, join_path(directory, kTruncationNoteName), kMaxProtoBufFileSize));
  return bytes ? decode_truncation_note(*bytes) : std::nullopt;
}

absl::StatusOr<NotedSegment> note_segment(FileSystem& fs, const std::string& directory,
                                          const Segment& segment) {
  NotedSegment noted;
  noted.name = segment.name();
  const std::string path = join_path(directory, segment.name().to_string());
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs.open(path, {.read_only = true}));
  QK_ASSIGN_OR_RETURN(noted.file_size, file->size());
  if (segment.last() < segment.first()) return noted;
  FileWindow window(file.get(), path, segment.size(), FileWindow::kLookUp);
  QK_ASSIGN_OR_RETURN(noted.last_offset, find_offset(segment, window, segment.last()));
  QK_ASSIGN_OR_RETURN(const std::string_view header,
                      window.read(noted.last_offset, kEntryHeaderSize));
  noted.last_checksum = header_checksum(header);
  return noted;
}

absl::StatusOr<bool> is_unchanged(FileSystem& fs, const std::string& directory,
                                  const SegmentName& now, const NotedSegment& noted) {
  if (now.first != noted.name.first) return false;
  if (!now.open && (noted.name.open || now.last != noted.name.last)) return false;
  const std::string path = join_path(directory, now.to_string());
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs.open(path, {.read_only = true}));
  QK_ASSIGN_OR_RETURN(const uint64_t file_size, file->size());
  if (file_size != noted.file_size) return false;
  if (file_size < kEntryHeaderSize) return true;  // no entry
  if (noted.last_offset > file_size - kEntryHeaderSize) return false;
  FileWindow window(file.get(), path, file_size, FileWindow::kLookUp);
  QK_ASSIGN_OR_RETURN(const std::string_view header,
                      window.read(noted.last_offset, kEntryHeaderSize));
  return header_checksum(header) == noted.last_checksum;
}

}  // namespace qk::families::local
