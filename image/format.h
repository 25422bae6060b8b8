// Layout of a bootstrap image; image/FORMAT.md describes it in full.
//
//   magic (8) | header frame | content section: frames | trailer frame | end of file
//
//   frame: type (1) | payload length (4) | payload | CRC-32C of type, length and payload (4)
//
// Content: one range frame, entry frames, one meta frame, one snapshot frame, and per snapshot file
// a file frame with its chunk frames. Nothing in it depends on the family, and no state has
// two encodings, so equal states have equal content bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "families/base/hash.h"
#include "families/contract/rules.h"
#include "image/digest.h"
#include "image/identity.h"

namespace qk::image {

inline constexpr std::string_view kMagic("QKIMAGE\n", 8);
inline constexpr uint32_t kFormatMajor = 1;
inline constexpr uint32_t kFormatMinor = 4;
// A required feature since 1.1: the trailer's hashes are made as TrailerHasher says. Images of 1.0
// lack it, and must stay readable.
inline constexpr std::string_view kFramedHashes = "framed-hashes";
// Required features since 1.2 and later, named only by an image that needs them; one that needs
// none is written as 1.1 was, byte for byte.
inline constexpr std::string_view kListedNames = "listed-names";
inline constexpr std::string_view kUnlistedFiles = "unlisted-files";  // since 1.4
inline constexpr std::string_view kLostVote = "lost-vote";            // since 1.3

struct Features {
  bool framed_hashes = true;
  bool listed_names = false;    // a snapshot lists a file by a name that is not in normal form
  bool unlisted_files = false;  // a snapshot's tree holds a file that its table does not list
  bool lost_vote = false;  // the term is below the last entry's or the snapshot's, and was accepted
  friend bool operator==(const Features&, const Features&) = default;
};
// The minor version that introduced the newest of them.
uint32_t minor_version(const Features& features);

enum class FrameType : uint8_t {
  kHeader = 'H',
  kRange = 'R',
  kEntries = 'E',
  kMeta = 'M',
  kSnapshot = 'S',
  kFile = 'F',
  kChunk = 'C',
  kTrailer = 'T',
};
std::string_view to_string(FrameType type);

inline constexpr size_t kFrameHeadBytes = 1 + 4;  // type, payload length
inline constexpr size_t kFrameCrcBytes = 4;
inline constexpr size_t kFrameOverhead = kFrameHeadBytes + kFrameCrcBytes;

// An entry frame ends at its block's last entry, at the log's last entry, or before the entry that
// would make its payload longer than this; a single larger entry has a frame to itself.
inline constexpr size_t kEntriesPayloadTarget = 1 << 20;
// Every chunk of a file but its last has this length.
inline constexpr size_t kChunkBytes = 64 << 10;
// No frame is longer; so no entry payload and no list of peers is.
inline constexpr size_t kMaxFramePayload = 256 << 20;
static_assert(families::kMaxEntryPayload + kEntryOverhead <= kMaxFramePayload);

// The frame's bytes, appended to `out`.
void put_frame(std::string* out, FrameType type, std::string_view payload);
// The same without a copy of the payload: begin, append the payload to `out`, end. `start` is the
// size of `out` before begin.
void begin_frame(std::string* out, FrameType type);
void end_frame(std::string* out, size_t start);
// A frame without its CRC: what one pass compares with another.
constexpr std::string_view without_crc(std::string_view frame) {
  return frame.substr(0, frame.size() - kFrameCrcBytes);
}

// What the header says.
struct ImageHeader {
  uint32_t format_major = kFormatMajor;
  uint32_t format_minor = minor_version(Features{});
  std::string source_family;
  std::string source_format_version;
  Identity identity;
  uint64_t cut_seq = 0;
  int64_t first_index = 1;
  int64_t last_index = 0;
  Features features;  // those that are required
};
std::string encode_header(const ImageHeader& header);
// InvalidArgument: another major version, a required feature that is not known, or a mandatory
// field missing. A newer minor version is accepted and what is unknown in it ignored (CI-9, CI-10).
absl::StatusOr<ImageHeader> decode_header(std::string_view payload);

// What the trailer says, and what reading or writing the content yields.
struct ImageTotals {
  uint64_t entries = 0;
  uint64_t files = 0;
  uint64_t file_bytes = 0;
  uint64_t content_bytes = 0;
  Digest content_sha256{};
  Digest image_sha256{};
  StateDigest state;
  friend bool operator==(const ImageTotals&, const ImageTotals&) = default;
};
std::string encode_trailer(const ImageTotals& totals);

absl::StatusOr<ImageTotals> decode_trailer(std::string_view payload);

// content_sha256 and image_sha256. With kFramedHashes no byte is hashed twice: the state digest
// covers each byte of each payload, so of the frames only types, lengths and CRCs are hashed once
// more. Without it, as in 1.0, both are plain hashes of the bytes (FORMAT.md, "Trailer").
class TrailerHasher {
 public:
  TrailerHasher() = default;
  // `header_frame`: its bytes.
  TrailerHasher(bool framed, std::string_view header_frame);
  // A whole frame of the content, and one in pieces.
  void add_frame(std::string_view frame);
  void add_frame(std::string_view head, std::string_view payload, std::string_view crc);
  // From `totals->state`, sets both hashes.
  void finish(ImageTotals* totals);

 private:
  bool framed_ = true;
  std::string pending_;  // frame heads and CRCs not hashed yet
  Sha256 content_;
  Sha256 image_;
};

}  // namespace qk::image
