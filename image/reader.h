// ImageReader: reads an image frame by frame and refuses the first byte that is wrong: structure,
// checksums, hashes, canonical framing, the rules of image/content.h, anything after the trailer
// (CI-4..CI-21, ora.I3). Lengths are bounded before anything is allocated; memory is one frame.
//
// An item handed out has passed its own checks, but the image as a whole is good only once next()
// has returned kEnd.
//
// Errors: DataLoss for damage, InvalidArgument for a well-formed image that this version or this
// rule set refuses; both name the image, the offset and what was expected.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "image/content.h"
#include "image/io.h"

namespace qk::image {

class ImageReader {
 public:
  enum class Item : uint8_t { kRange, kEntries, kMeta, kSnapshot, kFile, kChunk, kEnd };

  // `source` must outlive the reader. With kXxh3 neither CRCs nor the hashes of the trailer are
  // checked: for an image that was found good before, whose content_xxh3() is then compared.
  explicit ImageReader(const Source* source, Hashing hashing = Hashing::kSha256)
      : source_(source), hashing_(hashing), checker_(hashing != Hashing::kXxh3) {}

  // Reads magic and header; next() does it if this was not called.
  absl::Status open();
  absl::StatusOr<Item> next();

  const ImageHeader& header() const { return header_; }
  // Of the item that next() returned; overwritten by the next call.
  std::span<const families::LogEntry> entries() const { return {entries_.data(), entry_count_}; }
  const families::HardState& hard_state() const { return hard_state_; }
  const SnapshotHead& snapshot() const { return snapshot_; }
  const FileHead& file() const { return file_; }
  std::string_view chunk() const { return payload_; }
  // The trailer, once next() returned kEnd; equal to what the content yielded.
  const ImageTotals& totals() const { return totals_; }

  // Over the content section without its CRCs, once next() returned kEnd; not with kSha256.
  Xxh3Stream::Value content_xxh3() const { return content_xxh3_.value(); }

  uint64_t offset() const { return offset_; }

 private:
  absl::Status read_frame(FrameType* type);
  absl::Status damaged(uint64_t offset, std::string_view what) const;
  absl::Status refused(uint64_t offset, const absl::Status& why) const;
  absl::Status decode_entries();
  absl::Status decode_large_entry();
  absl::Status finish();

  const Source* source_;
  const Hashing hashing_;
  bool opened_ = false;
  uint64_t offset_ = 0;        // of the next frame
  uint64_t frame_offset_ = 0;  // of the last one
  ImageHeader header_;
  ContentChecker checker_;
  TrailerHasher trailer_hash_;
  Xxh3Stream content_xxh3_;
  uint64_t content_bytes_ = 0;
  ImageTotals totals_;

  std::string frame_;         // bytes of the last frame
  std::string_view payload_;  // of the last frame
  // Those of the last frame, and after them spare ones whose memory is used again.
  std::vector<families::LogEntry> entries_;
  size_t entry_count_ = 0;
  size_t last_entries_payload_ = 0;
  bool frame_is_entry_ = false;  // entries_.front() has the memory of the frame
  families::HardState hard_state_;
  SnapshotHead snapshot_;
  FileHead file_;
};

// Reads the whole image and returns its header and totals, or the first thing wrong with it.
struct VerifiedImage {
  ImageHeader header;
  ImageTotals totals;
  families::HardState hard_state;
  SnapshotHead snapshot;
  int64_t last_term = 0;  // of the log's last entry, 0 if there is none
};
absl::StatusOr<VerifiedImage> verify_image(const Source& source);

}  // namespace qk::image
