#include "image/format.h"

#include <algorithm>

#include "families/base/bytes.h"
#include "image/header.pb.h"

namespace qk::image {
namespace {

std::string as_string(const Digest& digest) { return std::string(as_bytes(digest)); }

// Every feature that this program knows, in the order in which they are written.
struct KnownFeature {
  std::string_view name;
  bool Features::*member;
  uint32_t since_minor;
};
constexpr KnownFeature kFeatures[] = {
    {kFramedHashes, &Features::framed_hashes, 1},
    {kListedNames, &Features::listed_names, 2},
    {kLostVote, &Features::lost_vote, 3},
    {kUnlistedFiles, &Features::unlisted_files, 4},
};

bool read_digest(const std::string& bytes, Digest* digest) {
  if (bytes.size() != digest->size()) return false;
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(digest->data()));
  return true;
}

}  // namespace

uint32_t minor_version(const Features& features) {
  uint32_t minor = 0;
  for (const KnownFeature& known : kFeatures) {
    if (features.*known.member) minor = std::max(minor, known.since_minor);
  }
  return minor;
}

std::string_view to_string(FrameType type) {
  switch (type) {
    case FrameType::kHeader:
      return "header";
    case FrameType::kRange:
      return "range";
    case FrameType::kEntries:
      return "entries";
    case FrameType::kMeta:
      return "meta";
    case FrameType::kSnapshot:
      return "snapshot";
    case FrameType::kFile:
      return "file";
    case FrameType::kChunk:
      return "chunk";
    case FrameType::kTrailer:
      return "trailer";
  }
  return "unknown";
}

void put_frame(std::string* out, FrameType type, std::string_view payload) {
  const size_t start = out->size();
  begin_frame(out, type);
  out->append(payload);
  end_frame(out, start);
}

void begin_frame(std::string* out, FrameType type) {
  put_u8(out, static_cast<uint8_t>(type));
  put_le32(out, 0);
}

void end_frame(std::string* out, size_t start) {
  const size_t length = out->size() - start - kFrameHeadBytes;
  store_le32(out->data() + start + 1, static_cast<uint32_t>(length));
  put_le32(out, crc32c(std::string_view(*out).substr(start)));
}

TrailerHasher::TrailerHasher(bool framed, std::string_view header_frame) : framed_(framed) {
  image_.update(kMagic);
  image_.update(header_frame);
}

void TrailerHasher::add_frame(std::string_view frame) {
  const std::string_view checked = without_crc(frame);
  add_frame(frame.substr(0, kFrameHeadBytes), checked.substr(kFrameHeadBytes),
            frame.substr(checked.size()));
}

void TrailerHasher::add_frame(std::string_view head, std::string_view payload,
                              std::string_view crc) {
  constexpr size_t kPiece = 4 << 10;
  if (!framed_) {
    for (const std::string_view piece : {head, payload, crc}) {
      content_.update(piece);
      image_.update(piece);
    }
    return;
  }
  pending_ += head;
  pending_ += crc;
  if (pending_.size() < kPiece) return;
  content_.update(pending_);
  pending_.clear();
}

void TrailerHasher::finish(ImageTotals* totals) {
  if (framed_) {
    pending_ += as_bytes(totals->state.overall);
    content_.update(pending_);
  }
  totals->content_sha256 = content_.digest();
  if (framed_) image_.update(as_bytes(totals->content_sha256));
  totals->image_sha256 = image_.digest();
}

std::string encode_header(const ImageHeader& header) {
  proto::ImageHeader message;
  message.set_format_major(header.format_major);
  message.set_format_minor(header.format_minor);
  message.set_source_family(header.source_family);
  message.set_source_format_version(header.source_format_version);
  message.set_group_id(header.identity.group_id);
  message.set_peer_id(header.identity.peer_id);
  message.set_lineage(header.identity.lineage);
  message.set_generation(header.identity.generation);
  message.set_cut_seq(header.cut_seq);
  message.set_first_index(header.first_index);
  message.set_last_index(header.last_index);
  for (const KnownFeature& known : kFeatures) {
    if (header.features.*known.member) message.add_required_features(std::string(known.name));
  }
  return message.SerializeAsString();
}

absl::StatusOr<ImageHeader> decode_header(std::string_view payload) {
  proto::ImageHeader message;
  if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::InvalidArgumentError("header is not an ImageHeader message");
  }
  if (!message.has_format_major() || !message.has_format_minor()) {
    return absl::InvalidArgumentError("header has no format version");
  }
  if (message.format_major() != kFormatMajor) {
    return absl::InvalidArgumentError(cat("format version ", message.format_major(), ".",
                                          message.format_minor(), ", this program reads ",
                                          kFormatMajor, ".x"));
  }
  Features features;
  features.framed_hashes = false;
  for (const std::string& feature : message.required_features()) {
    const auto known = std::find_if(std::begin(kFeatures), std::end(kFeatures),
                                    [&](const KnownFeature& k) { return k.name == feature; });
    if (known == std::end(kFeatures)) {
      return absl::InvalidArgumentError(
          cat("requires feature \"", feature, "\", which this program does not know"));
    }
    features.*known->member = true;
  }
  if (message.source_family().empty() || message.source_format_version().empty()) {
    return absl::InvalidArgumentError("header has no source family or no version of it");
  }
  QK_RETURN_IF_ERROR(
      families::check_identity_text(message.group_id(), message.peer_id(), message.lineage()));
  if (!message.has_lineage() || !message.has_generation() || !message.has_cut_seq() ||
      !message.has_first_index() || !message.has_last_index()) {
    return absl::InvalidArgumentError("header lacks lineage, generation, cut or range");
  }
  ImageHeader header;
  header.format_major = message.format_major();
  header.format_minor = message.format_minor();
  header.source_family = message.source_family();
  header.source_format_version = message.source_format_version();
  header.identity = {message.group_id(), message.peer_id(), message.lineage(),
                     message.generation()};
  header.cut_seq = message.cut_seq();
  header.first_index = message.first_index();
  header.last_index = message.last_index();
  header.features = features;
  return header;
}

std::string encode_trailer(const ImageTotals& totals) {
  proto::ImageTrailer message;
  message.set_entries(totals.entries);
  message.set_files(totals.files);
  message.set_file_bytes(totals.file_bytes);
  message.set_content_bytes(totals.content_bytes);
  message.set_content_sha256(as_string(totals.content_sha256));
  message.set_image_sha256(as_string(totals.image_sha256));
  message.set_log_digest(as_string(totals.state.log));
  message.set_meta_digest(as_string(totals.state.meta));
  message.set_snapshot_digest(as_string(totals.state.snapshot));
  message.set_state_digest(as_string(totals.state.overall));
  return message.SerializeAsString();
}

absl::StatusOr<ImageTotals> decode_trailer(std::string_view payload) {
  proto::ImageTrailer message;
  if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::InvalidArgumentError("trailer is not an ImageTrailer message");
  }
  ImageTotals totals;
  if (!message.has_entries() || !message.has_files() || !message.has_file_bytes() ||
      !message.has_content_bytes() ||
      !read_digest(message.content_sha256(), &totals.content_sha256) ||
      !read_digest(message.image_sha256(), &totals.image_sha256) ||
      !read_digest(message.log_digest(), &totals.state.log) ||
      !read_digest(message.meta_digest(), &totals.state.meta) ||
      !read_digest(message.snapshot_digest(), &totals.state.snapshot) ||
      !read_digest(message.state_digest(), &totals.state.overall)) {
    return absl::InvalidArgumentError("trailer lacks a count or a 32-byte hash");
  }
  totals.entries = message.entries();
  totals.files = message.files();
  totals.file_bytes = message.file_bytes();
  totals.content_bytes = message.content_bytes();
  return totals;
}

}  // namespace qk::image
