#include "image/reader.h"

#include <algorithm>
#include <utility>

#include "families/base/bytes.h"

namespace qk::image {

absl::Status ImageReader::damaged(uint64_t offset, std::string_view what) const {
  return absl::DataLossError(
      cat(source_->name(), ": image damaged at offset ", offset, ": ", what));
}

absl::Status ImageReader::refused(uint64_t offset, const absl::Status& why) const {
  return annotate(why, cat(source_->name(), ": image refused at offset ", offset));
}

absl::Status ImageReader::read_frame(FrameType* type) {
  frame_offset_ = offset_;
  const uint64_t remaining = source_->size() - offset_;
  if (remaining < kFrameOverhead) {
    return damaged(offset_, cat("ends with ", remaining, " bytes where a frame must come"));
  }
  if (std::exchange(frame_is_entry_, false)) frame_.swap(entries_.front().payload);
  char head[kFrameHeadBytes];
  QK_RETURN_IF_ERROR(source_->read(offset_, head));
  const uint64_t length = get_le32(head + 1);
  if (length > kMaxFramePayload || length > remaining - kFrameOverhead) {
    return damaged(offset_, cat("frame with a payload of ", length, " bytes, expected at most ",
                                std::min<uint64_t>(kMaxFramePayload, remaining - kFrameOverhead)));
  }
  frame_.resize(kFrameOverhead + length);
  std::copy_n(head, kFrameHeadBytes, frame_.begin());
  QK_RETURN_IF_ERROR(
      source_->read(offset_ + kFrameHeadBytes, std::span<char>(frame_).subspan(kFrameHeadBytes)));
  const std::string_view covered = std::string_view(frame_).substr(0, kFrameHeadBytes + length);
  const uint32_t stored = get_le32(frame_.data() + covered.size());
  *type = static_cast<FrameType>(frame_[0]);
  if (hashing_ != Hashing::kXxh3) {
    if (const uint32_t crc = crc32c(covered); crc != stored) {
      return damaged(offset_, cat(to_string(*type), " frame: checksum ", hex8(crc), ", frame says ",
                                  hex8(stored)));
    }
  }
  payload_ = covered.substr(kFrameHeadBytes);
  offset_ += frame_.size();
  return absl::OkStatus();
}

absl::Status ImageReader::open() {
  opened_ = true;
  std::string magic(kMagic.size(), '\0');
  if (source_->size() < magic.size()) {
    return damaged(0, cat("not a bootstrap image: ends after ", source_->size(), " bytes"));
  }
  QK_RETURN_IF_ERROR(source_->read(0, magic));
  if (magic != kMagic) return damaged(0, "not a bootstrap image: no QKIMAGE magic");
  offset_ = magic.size();
  FrameType type;
  QK_RETURN_IF_ERROR(read_frame(&type));
  if (type != FrameType::kHeader) {
    return damaged(frame_offset_, cat(to_string(type), " frame, expected the header"));
  }
  auto header = decode_header(payload_);
  if (!header.ok()) return refused(frame_offset_, header.status());
  header_ = *std::move(header);
  checker_.set_features(header_.features);
  trailer_hash_ = TrailerHasher(header_.features.framed_hashes, frame_);
  return absl::OkStatus();
}

// An entry that has a frame to itself. The frame's memory becomes its payload's, so that the entry
// is there once.
absl::Status ImageReader::decode_large_entry() {
  if (entries_.empty()) entries_.emplace_back();
  families::LogEntry& entry = entries_.front();
  ByteReader reader(payload_);
  std::string_view payload;
  if (!decode_entry_head(&reader, &entry, &payload)) {
    return damaged(frame_offset_, "entries frame does not hold whole entries of known types");
  }
  if (reader.remaining() > 0) {
    return damaged(frame_offset_, cat("entries frame goes on after entry ", entry.index));
  }
  last_entries_payload_ = payload_.size();
  const std::string head(payload_.substr(0, payload_.size() - payload.size()));
  const size_t begin = static_cast<size_t>(payload.data() - frame_.data());
  frame_.resize(begin + payload.size());
  frame_.erase(0, begin);
  entry.payload.swap(frame_);
  frame_ = std::string();
  frame_is_entry_ = true;
  payload_ = {};
  if (absl::Status status = checker_.entry(entry); !status.ok()) {
    return refused(frame_offset_, status);
  }
  checker_.entries_passed(head, entry.payload);
  entry_count_ = 1;
  return absl::OkStatus();
}

absl::Status ImageReader::decode_entries() {
  entry_count_ = 0;
  if (payload_.size() > kEntriesPayloadTarget) return decode_large_entry();
  ByteReader reader(payload_);
  const size_t before = last_entries_payload_;
  do {
    if (entry_count_ == entries_.size()) entries_.emplace_back();
    families::LogEntry& entry = entries_[entry_count_];
    const size_t size_before = reader.remaining();
    if (!decode_entry(&reader, &entry)) {
      return damaged(frame_offset_, "entries frame does not hold whole entries of known types");
    }
    if (absl::Status status = checker_.entry(entry); !status.ok()) {
      return refused(frame_offset_, status);
    }
    const bool first = entry_count_ == 0;
    // One state has one framing: a frame must not end before its time ...
    if (first && entry.index != checker_.first_index() &&
        entry.index != block_first(block_of(entry.index)) &&
        before + (size_before - reader.remaining()) <= kEntriesPayloadTarget) {
      return damaged(frame_offset_, cat("entries frame before ", entry.index, " ends early"));
    }
    // ... nor go on beyond it.
    if (!first && block_of(entry.index) != block_of(entries_.front().index)) {
      return damaged(frame_offset_, cat("entries frame goes on with entry ", entry.index));
    }
    ++entry_count_;
  } while (reader.remaining() > 0);
  checker_.entries_passed(payload_);
  last_entries_payload_ = payload_.size();
  return absl::OkStatus();
}

absl::StatusOr<ImageReader::Item> ImageReader::next() {
  if (!opened_) QK_RETURN_IF_ERROR(open());
  FrameType type;
  QK_RETURN_IF_ERROR(read_frame(&type));
  if (type == FrameType::kTrailer) {
    QK_RETURN_IF_ERROR(finish());
    return Item::kEnd;
  }
  if (hashing_ != Hashing::kXxh3) trailer_hash_.add_frame(frame_);
  if (hashing_ != Hashing::kSha256) content_xxh3_.update(without_crc(frame_));
  content_bytes_ += frame_.size();

  ByteReader reader(payload_);
  bool decoded = true;
  absl::Status ruled;
  Item item = Item::kRange;
  switch (type) {
    case FrameType::kRange: {
      const int64_t first = static_cast<int64_t>(reader.le64());
      const int64_t last = static_cast<int64_t>(reader.le64());
      decoded = reader.done();
      ruled = checker_.range(first, last);
      if (ruled.ok() && (first != header_.first_index || last != header_.last_index)) {
        ruled = absl::InvalidArgumentError(cat("range ", first, "..", last, ", header says ",
                                               header_.first_index, "..", header_.last_index));
      }
      break;
    }
    case FrameType::kEntries:
      item = Item::kEntries;
      QK_RETURN_IF_ERROR(decode_entries());
      break;
    case FrameType::kMeta:
      item = Item::kMeta;
      decoded = decode_hard_state(&reader, &hard_state_) && reader.done();
      ruled = checker_.hard_state(hard_state_);
      break;
    case FrameType::kSnapshot:
      item = Item::kSnapshot;
      if (payload_.size() > kMaxSnapshotHeadBytes) {
        return damaged(frame_offset_, cat("snapshot frame with a payload of ", payload_.size(),
                                          " bytes, expected at most ", kMaxSnapshotHeadBytes));
      }
      decoded = decode_snapshot_head(&reader, &snapshot_) && reader.done();
      ruled = checker_.snapshot(snapshot_);
      break;
    case FrameType::kFile:
      item = Item::kFile;
      decoded = decode_file_head(&reader, &file_) && reader.done();
      ruled = checker_.file(file_);
      break;
    case FrameType::kChunk:
      item = Item::kChunk;
      decoded = payload_.size() == std::min<uint64_t>(kChunkBytes, checker_.file_remaining());
      ruled = checker_.chunk(payload_);
      break;
    default:
      return damaged(frame_offset_, cat("frame of type ", static_cast<int>(frame_[0]),
                                        " has no place in the content"));
  }
  if (!decoded) {
    return damaged(frame_offset_, cat(to_string(type), " frame has a malformed payload"));
  }
  if (!ruled.ok()) return refused(frame_offset_, ruled);
  return item;
}

absl::Status ImageReader::finish() {
  if (absl::Status status = checker_.finish(); !status.ok()) {
    return refused(frame_offset_, status);
  }
  auto trailer = decode_trailer(payload_);
  if (!trailer.ok()) return refused(frame_offset_, trailer.status());
  totals_ = checker_.totals();
  totals_.content_bytes = content_bytes_;
  if (hashing_ == Hashing::kXxh3) {
    totals_.content_sha256 = trailer->content_sha256;
    totals_.image_sha256 = trailer->image_sha256;
    totals_.state = trailer->state;
  } else {
    trailer_hash_.finish(&totals_);
  }
  if (trailer->state != totals_.state) {
    return damaged(frame_offset_, cat("state digest ", to_hex(totals_.state), ", trailer says ",
                                      to_hex(trailer->state)));
  }
  if (trailer->content_sha256 != totals_.content_sha256) {
    return damaged(frame_offset_, cat("content sha256 ", to_hex(totals_.content_sha256),
                                      ", trailer says ", to_hex(trailer->content_sha256)));
  }
  if (trailer->image_sha256 != totals_.image_sha256) {
    return damaged(frame_offset_, cat("sha256 of header and content ", to_hex(totals_.image_sha256),
                                      ", trailer says ", to_hex(trailer->image_sha256)));
  }
  if (!(*trailer == totals_)) {
    return damaged(frame_offset_, "trailer's counts differ from the content's");
  }
  if (offset_ != source_->size()) {
    return damaged(offset_, cat(source_->size() - offset_, " bytes after the trailer"));
  }
  return absl::OkStatus();
}

absl::StatusOr<VerifiedImage> verify_image(const Source& source) {
  ImageReader reader(&source);
  VerifiedImage image;
  while (true) {
    QK_ASSIGN_OR_RETURN(const ImageReader::Item item, reader.next());
    if (item == ImageReader::Item::kEntries) image.last_term = reader.entries().back().term;
    if (item == ImageReader::Item::kEnd) break;
  }
  image.header = reader.header();
  image.totals = reader.totals();
  image.hard_state = reader.hard_state();
  image.snapshot = reader.snapshot();
  return image;
}

}  // namespace qk::image
