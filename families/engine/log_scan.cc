#include "families/engine/log_scan.h"

#include <algorithm>
#include <array>

#include "families/base/bytes.h"
#include "families/base/hash.h"

namespace qk::families {
namespace {

constexpr uint64_t kBlockBytes = 32768;
constexpr uint64_t kHeaderBytes = 4 + 2 + 1;  // checksum, length, type

enum FragmentType : uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

struct Fragment {
  uint8_t type = 0;
  std::string_view payload;
  std::string damage;  // empty: intact
};

// The format rotates and offsets its checksums, so that a checksum of checksums is not a fixed
// point.
uint32_t mask(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }

// The fragment at `at` of a block that holds `block` bytes of the file.
Fragment read_fragment(std::string_view block, uint64_t at) {
  Fragment fragment;
  const std::string_view rest = block.substr(at);
  if (rest.size() < kHeaderBytes) {
    fragment.damage = cat("found ", rest.size(), " bytes, expected a header of ", kHeaderBytes);
    return fragment;
  }
  const uint32_t expected = get_le32(rest.data());
  const uint64_t length =
      static_cast<uint8_t>(rest[4]) | static_cast<uint64_t>(static_cast<uint8_t>(rest[5])) << 8;
  fragment.type = static_cast<uint8_t>(rest[6]);
  if (fragment.type < kFull || fragment.type > kLast) {
    fragment.damage =
        cat("found a record of type ", static_cast<int>(fragment.type), ", expected 1..4");
  } else if (length > rest.size() - kHeaderBytes) {
    fragment.damage = cat("found a record of ", length, " bytes, expected at most the remaining ",
                          rest.size() - kHeaderBytes);
  } else if (const uint32_t found = mask(crc32c(rest.substr(6, length + 1))); found != expected) {
    fragment.damage = cat("checksum ", hex8(found), ", expected ", hex8(expected));
  } else {
    fragment.payload = rest.substr(kHeaderBytes, length);
  }
  return fragment;
}

class Scanner {
 public:
  Scanner(const VisitLogRecord& visit, const IsOurRecord& is_ours)
      : visit_(visit), is_ours_(is_ours) {}

  // The next block of the file, which begins at `offset`.
  absl::Status add_block(uint64_t offset, std::string_view block) {
    uint64_t at = 0;
    while (!scan_.damage_offset && block.size() > at && kBlockBytes - at >= kHeaderBytes) {
      const Fragment fragment = read_fragment(block, at);
      QK_RETURN_IF_ERROR(add_fragment(offset + at, fragment));
      at += kHeaderBytes + fragment.payload.size();
    }
    if (scan_.damage_offset && !scan_.record_behind) look_behind(offset, block);
    return absl::OkStatus();
  }

  LogScan finish(uint64_t size) {
    scan_.size = size;
    if (inside_ && !scan_.damage_offset) damaged(begin_, "the record has no end");
    return scan_;
  }

 private:
  absl::Status add_fragment(uint64_t offset, const Fragment& fragment) {
    const bool begins = fragment.type == kFull || fragment.type == kFirst;
    const bool ends = fragment.type == kFull || fragment.type == kLast;
    if (!fragment.damage.empty()) {
      damaged(offset, fragment.damage);
    } else if (begins == inside_) {
      damaged(offset, inside_ ? "a record begins inside another" : "a record without a beginning");
    } else {
      if (begins) {
        begin_ = offset;
        head_.clear();
      }
      head_ += fragment.payload.substr(0, kRecordHeadBytes - head_.size());
      inside_ = !ends;
      if (ends) {
        scan_.intact_end = offset + kHeaderBytes + fragment.payload.size();
        return visit_(begin_, head_);
      }
    }
    return absl::OkStatus();
  }

  void damaged(uint64_t offset, std::string what) {
    scan_.damage_offset = offset;
    scan_.damage = std::move(what);
  }

  // Byte by byte, because a damaged length hides where the next fragment begins. Only beginnings
  // count: a torn record may have kept its later fragments.
  void look_behind(uint64_t offset, std::string_view block) {
    const uint64_t from = *scan_.damage_offset < offset ? 0 : *scan_.damage_offset - offset + 1;
    for (uint64_t at = from; at + kHeaderBytes <= block.size(); ++at) {
      const char type = block[at + 6];
      if (type != kFull && type != kFirst) continue;
      const Fragment fragment = read_fragment(block, at);
      if (!fragment.damage.empty() || !is_ours_(fragment.payload)) continue;
      scan_.record_behind = offset + at;
      return;
    }
  }

  const VisitLogRecord& visit_;
  const IsOurRecord& is_ours_;
  LogScan scan_;
  bool inside_ = false;  // of a record that spans fragments
  uint64_t begin_ = 0;   // of that record
  std::string head_;
};

}  // namespace

absl::StatusOr<LogScan> scan_log(FileSystem& fs, const std::string& path,
                                 const VisitLogRecord& visit, const IsOurRecord& is_ours) {
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs.open(path, {.read_only = true}));
  Scanner scanner(visit, is_ours);
  std::string block(kBlockBytes, '\0');
  for (uint64_t offset = 0;; offset += kBlockBytes) {
    QK_ASSIGN_OR_RETURN(const size_t got, file->read_at(offset, block));
    QK_RETURN_IF_ERROR(scanner.add_block(offset, std::string_view(block).substr(0, got)));
    if (got < kBlockBytes) return scanner.finish(offset + got);
  }
}

}  // namespace qk::families
