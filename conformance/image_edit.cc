#include "conformance/image_edit.h"

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"

namespace qk::sim::conformance {
namespace {

using families::LogEntry;

constexpr std::string_view kMagic = "QKIMAGE\n";
constexpr size_t kFrameHead = 1 + 4;  // type, length
constexpr size_t kFrameCrc = 4;

void put_frame(std::string* out, const ImageFrame& frame) {
  std::string bytes(1, frame.type);
  put_bytes(&bytes, frame.payload);
  put_le32(&bytes, crc32c(bytes));
  *out += bytes;
}

int64_t signed_le64(ByteReader& reader) { return static_cast<int64_t>(reader.le64()); }

LogEntry read_entry(ByteReader& reader) {
  LogEntry entry;
  entry.index = signed_le64(reader);
  entry.term = signed_le64(reader);
  entry.type = static_cast<families::EntryType>(reader.u8());
  entry.payload = reader.bytes();
  return entry;
}

void write_entry(std::string* out, const LogEntry& entry) {
  put_le64(out, static_cast<uint64_t>(entry.index));
  put_le64(out, static_cast<uint64_t>(entry.term));
  put_u8(out, static_cast<uint8_t>(entry.type));
  put_bytes(out, entry.payload);
}

std::vector<std::string> read_peers(ByteReader& reader) {
  std::vector<std::string> peers;
  for (uint32_t left = reader.le32(); left > 0 && reader.ok(); --left) {
    peers.emplace_back(reader.bytes());
  }
  return peers;
}

// Name and size; what else the head says goes into `file`.
std::pair<std::string, uint64_t> read_file_head(ByteReader& reader, TreeFile* file) {
  families::FileMeta* const meta = &file->meta;
  std::string path(reader.bytes());
  const uint64_t size = reader.le64();
  const uint8_t present = reader.u8();
  if ((present & 1) != 0) meta->user_meta = std::string(reader.bytes());
  if ((present & 2) != 0) meta->source = static_cast<int32_t>(reader.le32());
  if ((present & 4) != 0) meta->checksum = std::string(reader.bytes());
  file->unlisted = present == 8;
  return {std::move(path), size};
}

size_t header_frame_end(std::string_view image) {
  return kMagic.size() + kFrameHead + get_le32(image.data() + kMagic.size() + 1) + kFrameCrc;
}

}  // namespace

std::vector<ImageFrame> split_image(std::string_view image) {
  QK_CHECK(image.substr(0, kMagic.size()) == kMagic);
  std::vector<ImageFrame> frames;
  for (size_t at = kMagic.size(); at < image.size();) {
    ByteReader reader(image.substr(at));
    ImageFrame frame;
    frame.type = static_cast<char>(reader.u8());
    frame.payload = reader.bytes();
    reader.le32();
    QK_CHECK(reader.ok());
    at = image.size() - reader.remaining();
    frames.push_back(std::move(frame));
  }
  return frames;
}

std::string join_image(const std::vector<ImageFrame>& frames) {
  std::string image(kMagic);
  for (const ImageFrame& frame : frames) put_frame(&image, frame);
  return image;
}

absl::StatusOr<State> decode_image_state(std::string_view image) {
  State state;
  TreeFile* file = nullptr;
  uint64_t file_size = 0;
  std::string order;
  int64_t last = 0;
  for (const ImageFrame& frame : split_image(image)) {
    ByteReader reader(frame.payload);
    order += frame.type;
    switch (frame.type) {
      case 'R':
        state.first = signed_le64(reader);
        last = signed_le64(reader);
        break;
      case 'E':
        while (reader.remaining() > 0 && reader.ok()) state.entries.push_back(read_entry(reader));
        break;
      case 'M':
        state.hard_state.term = signed_le64(reader);
        state.hard_state.voted_for = reader.bytes();
        break;
      case 'S':
        if (reader.u8() == 0) break;
        state.snapshot.emplace();
        state.snapshot->meta.last_included_index = signed_le64(reader);
        state.snapshot->meta.last_included_term = signed_le64(reader);
        state.snapshot->meta.peers = read_peers(reader);
        state.snapshot->meta.old_peers = read_peers(reader);
        reader.le64();
        break;
      case 'F': {
        if (!state.snapshot) return absl::DataLossError("a file without a snapshot");
        if (file != nullptr && file->bytes.size() != file_size) {
          return absl::DataLossError("a file ends early");
        }
        TreeFile read;
        const auto head = read_file_head(reader, &read);
        file = &state.snapshot->files[head.first];
        *file = read;
        file_size = head.second;
        break;
      }
      case 'C':
        if (file == nullptr) return absl::DataLossError("a chunk without a file");
        file->bytes += frame.payload;
        reader.take(reader.remaining());
        break;
      default:
        reader.take(reader.remaining());
    }
    if (!reader.done())
      return absl::DataLossError(cat("frame ", std::string(1, frame.type), " is malformed"));
  }
  if (order.substr(0, 2) != "HR" || order.back() != 'T' || state.last() != last) {
    return absl::DataLossError(
        cat("frames ", order, " with entries up to ", state.last(), " of a range up to ", last));
  }
  return state;
}

image::proto::ImageHeader image_header(std::string_view image) {
  image::proto::ImageHeader header;
  QK_CHECK(header.ParseFromString(split_image(image).front().payload));
  return header;
}

std::string_view content_section(std::string_view image) {
  const size_t begin = header_frame_end(image);
  const size_t trailer = kFrameHead + split_image(image).back().payload.size() + kFrameCrc;
  return image.substr(begin, image.size() - trailer - begin);
}

std::string with_frames(std::string_view image, const std::function<void(ImageFrame*)>& alter) {
  std::vector<ImageFrame> frames = split_image(image);
  for (ImageFrame& frame : frames) alter(&frame);
  return join_image(frames);
}

std::string with_header(std::string_view image,
                        const std::function<void(image::proto::ImageHeader*)>& alter) {
  std::vector<ImageFrame> frames = split_image(image);
  image::proto::ImageHeader header = image_header(image);
  alter(&header);
  frames.front().payload = header.SerializePartialAsString();
  std::string head(kMagic);
  put_frame(&head, frames.front());
  image::proto::ImageTrailer trailer;
  QK_CHECK(trailer.ParseFromString(frames.back().payload));
  trailer.set_image_sha256(std::string(as_bytes(sha256(cat(head, trailer.content_sha256())))));
  frames.back().payload = trailer.SerializeAsString();
  return join_image(frames);
}

std::string with_entries(std::string_view image,
                         const std::function<void(std::vector<LogEntry>*)>& alter) {
  std::vector<LogEntry> entries;
  std::vector<ImageFrame> frames;
  for (ImageFrame& frame : split_image(image)) {
    if (frame.type != 'E') {
      frames.push_back(std::move(frame));
      continue;
    }
    ByteReader reader(frame.payload);
    while (reader.remaining() > 0) {
      entries.push_back(read_entry(reader));
      QK_CHECK(reader.ok());
    }
  }
  alter(&entries);
  ImageFrame frame{'E', ""};
  for (const LogEntry& entry : entries) write_entry(&frame.payload, entry);
  QK_CHECK(frames.size() > 2 && frames[1].type == 'R');
  frames.insert(frames.begin() + 2, std::move(frame));
  return join_image(frames);
}

}  // namespace qk::sim::conformance
