#include "families/sqlite/wal.h"

#include <array>
#include <cstring>
#include <optional>
#include <string>

#include "families/base/bytes.h"
#include "families/base/strings.h"
#include "families/fs/file_util.h"
#include "families/sqlite/vfs.h"

namespace qk::families {
namespace {

// The running checksum of a WAL: each frame continues that of the frame before it.
struct WalChecksum {
  uint32_t a = 0;
  uint32_t b = 0;
  friend bool operator==(const WalChecksum&, const WalChecksum&) = default;

  // `bytes` is a multiple of 8 long. The header says in which byte order words are summed.
  WalChecksum extended(std::string_view bytes, bool big_endian) const {
    return big_endian ? summed<true>(bytes) : summed<false>(bytes);
  }

 private:
  // Each open sums every byte of the WAL, so the words are loaded here and not by a call each.
  template <bool kBigEndian>
  WalChecksum summed(std::string_view bytes) const {
    WalChecksum sum = *this;
    for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      std::array<uint32_t, 2> words;
      std::memcpy(words.data(), bytes.data() + i, sizeof words);
      if (kBigEndian) words = {__builtin_bswap32(words[0]), __builtin_bswap32(words[1])};
      sum.a += words[0] + sum.b;
      sum.b += words[1] + sum.a;
    }
    return sum;
  }
};

// magic (4), version (4), page size (4), checkpoint number (4), salts (8), checksum (8)
using WalHeader = std::array<char, kWalHeaderBytes>;
// page number (4), database size after a commit or 0 (4), salts (8), checksum (8)
using FrameHeader = std::array<char, kWalFrameHeaderBytes>;

constexpr uint32_t kWalMagic = 0x377f0682;  // the lowest bit set: words are summed big-endian

template <size_t N>
std::string_view view(const std::array<char, N>& bytes, size_t from, size_t length) {
  return std::string_view(bytes.data(), N).substr(from, length);
}

// Two random numbers, of which each new generation gets others.
uint64_t salts_of(const WalHeader& header) { return get_be64(header.data() + 16); }

template <size_t N>
WalChecksum stored_checksum(const std::array<char, N>& bytes) {
  return {get_be32(bytes.data() + N - 8), get_be32(bytes.data() + N - 4)};
}

bool is_big_endian(const WalHeader& header) { return (get_be32(header.data()) & 1) != 0; }

bool header_is_intact(const WalHeader& header, uint32_t page_size) {
  return (get_be32(header.data()) & ~1u) == kWalMagic && get_be32(header.data() + 8) == page_size &&
         stored_checksum(header) ==
             WalChecksum{}.extended(view(header, 0, 24), is_big_endian(header));
}

uint64_t frame_offset(uint64_t frame, uint32_t page_size) {
  return kWalHeaderBytes + frame * (kWalFrameHeaderBytes + page_size);
}

// How many copies of its last frame SQLite writes after a commit, to fill the sector.
uint64_t padding_after(uint64_t commit_frame, uint32_t page_size) {
  const uint64_t frame_bytes = kWalFrameHeaderBytes + page_size;
  const uint64_t end = frame_offset(commit_frame + 1, page_size);
  const uint64_t sector_end = (end + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
  return (sector_end - end + frame_bytes - 1) / frame_bytes;
}

// A 512-byte sector is written whole or not at all, so a header inside one that carries the file's
// salts was written as it stands.
bool header_in_one_sector(uint64_t offset) {
  return offset / 512 == (offset + kWalFrameHeaderBytes - 1) / 512;
}

// Walks the frames and judges what follows the first broken one.
class WalCheck {
 public:
  WalCheck(std::string_view path, const WalHeader& header, uint32_t page_size)
      : path_(path),
        salts_(view(header, 16, 8)),
        big_endian_(is_big_endian(header)),
        page_size_(page_size),
        previous_(stored_checksum(header)) {}

  absl::Status visit(uint64_t frame, const FrameHeader& header, std::string_view page) {
    const bool salted = view(header, 8, 8) == salts_;
    const bool intact =
        salted &&
        stored_checksum(header) ==
            previous_.extended(view(header, 0, 8), big_endian_).extended(page, big_endian_);
    previous_ = stored_checksum(header);
    const bool commits = get_be32(header.data() + 4) != 0;
    if (!broken_at_ && intact) {
      whole_commit_ |= commits;
      if (commits && frame >= padding_end_) {
        padding_end_ = frame + 1 + padding_after(frame, page_size_);
      }
      return absl::OkStatus();
    }
    if (!broken_at_) {
      broken_at_ = frame;
      // All padding but the last frame is synced before the next transaction begins, so here the
      // transaction that a crash may have torn is the one that this pads.
      if (frame + 1 < padding_end_) tail_end_ = padding_end_;
    }
    // Padding of a commit that is itself intact holds nothing of its own.
    if (frame < padding_end_) return absl::OkStatus();

    const bool written =
        intact || (salted && commits && header_in_one_sector(frame_offset(frame, page_size_)));
    if (!written) return absl::OkStatus();
    if (tail_end_ && frame >= *tail_end_) {
      return absl::DataLossError(
          cat(path_, ": frame ", *broken_at_, " is damaged: its checksum fails, and frame ", frame,
              " belongs to a later commit; expected damage in the last commit only"));
    }
    if (commits && !tail_end_) tail_end_ = frame + 1 + padding_after(frame, page_size_);
    return absl::OkStatus();
  }

  // Whether the WAL begins with one.
  bool whole_commit() const { return whole_commit_; }

 private:
  const std::string_view path_;
  const std::string salts_;
  const bool big_endian_;
  const uint32_t page_size_;
  WalChecksum previous_;
  bool whole_commit_ = false;
  std::optional<uint64_t> broken_at_;
  uint64_t padding_end_ = 0;          // end of the last whole commit with its padding
  std::optional<uint64_t> tail_end_;  // end of the one transaction that a crash may have torn
};

// Of a WAL that was acknowledged to hold commits.
absl::Status lost_wal(std::string_view path, std::string_view found, uint64_t named) {
  return absl::DataLossError(cat(path, ": ", found, ", expected the write-ahead log with salts ",
                                 hex16(named),
                                 " and at least its first commit: acknowledged changes are lost"));
}

}  // namespace

absl::StatusOr<uint64_t> read_wal_salts(File& wal, std::string_view path) {
  WalHeader header;
  QK_RETURN_IF_ERROR(read_exact(wal, path, 0, header));
  return salts_of(header);
}

absl::Status missing_wal(std::string_view path, uint64_t named) {
  return lost_wal(path, "is missing", named);
}

absl::Status check_wal(File& wal, std::string_view path, uint32_t page_size,
                       std::optional<uint64_t> named) {
  QK_ASSIGN_OR_RETURN(const uint64_t size, wal.size());
  if (size <= kWalHeaderBytes) {
    // The header is synced before the first frame is written: nothing of it was acknowledged.
    if (!named) return absl::OkStatus();
    return lost_wal(path, cat("found ", size, " bytes"), *named);
  }
  WalHeader header;
  QK_RETURN_IF_ERROR(read_exact(wal, path, 0, header));
  if (!header_is_intact(header, page_size)) {
    return absl::DataLossError(cat(path, ": the header is damaged: found ",
                                   to_hex(view(header, 0, header.size())),
                                   ", expected a WAL header for pages of ", page_size, " bytes"));
  }
  if (named && salts_of(header) != *named) {
    return lost_wal(path, cat("found salts ", hex16(salts_of(header))), *named);
  }
  WalCheck check(path, header, page_size);
  std::string page(page_size, '\0');
  for (uint64_t frame = 0; frame_offset(frame + 1, page_size) <= size; ++frame) {
    FrameHeader frame_header;
    const uint64_t offset = frame_offset(frame, page_size);
    QK_RETURN_IF_ERROR(read_exact(wal, path, offset, frame_header));
    QK_RETURN_IF_ERROR(read_exact(wal, path, offset + kWalFrameHeaderBytes, page));
    QK_RETURN_IF_ERROR(check.visit(frame, frame_header, page));
  }
  if (named && !check.whole_commit()) {
    return lost_wal(path, cat("found ", size, " bytes without a whole commit"), *named);
  }
  return absl::OkStatus();
}

absl::Status verify_wal_page(File& wal, std::string_view path, uint32_t page_size, uint64_t frame,
                             std::string_view page) {
  WalHeader header;
  QK_RETURN_IF_ERROR(read_exact(wal, path, 0, header));
  WalChecksum previous = stored_checksum(header);
  if (frame > 0) {
    FrameHeader before;
    QK_RETURN_IF_ERROR(read_exact(wal, path, frame_offset(frame - 1, page_size), before));
    previous = stored_checksum(before);
  }
  FrameHeader own;
  QK_RETURN_IF_ERROR(read_exact(wal, path, frame_offset(frame, page_size), own));
  const bool big_endian = is_big_endian(header);
  const WalChecksum found =
      previous.extended(view(own, 0, 8), big_endian).extended(page, big_endian);
  if (found == stored_checksum(own)) return absl::OkStatus();
  return absl::DataLossError(cat(path, ": frame ", frame, ": checksum ", hex8(found.a),
                                 hex8(found.b), ", expected ", hex8(stored_checksum(own).a),
                                 hex8(stored_checksum(own).b)));
}

}  // namespace qk::families
