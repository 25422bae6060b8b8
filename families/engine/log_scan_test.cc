// The log scan on files made by hand: every way in which a record may lie across blocks, and what
// is damage, a torn tail, or rot.
#include "families/engine/log_scan.h"

#include <algorithm>

#include "families/base/bytes.h"
#include "families/base/hash.h"
#include "families/fs/overlay_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/testing/util.h"

namespace qk::families {
namespace {

constexpr size_t kBlock = 32768;
constexpr size_t kHeader = 7;

// Appends a record as the engines' writers do.
void add_record(std::string* file, std::string_view payload) {
  bool first = true;
  while (true) {
    const size_t left = kBlock - file->size() % kBlock;
    if (left < kHeader) {
      file->append(left, '\0');
      continue;
    }
    const std::string_view part = payload.substr(0, left - kHeader);
    payload.remove_prefix(part.size());
    const bool last = payload.empty();
    const char type = static_cast<char>(first ? (last ? 1 : 2) : (last ? 4 : 3));
    const uint32_t crc = crc32c_extend(crc32c({&type, 1}), part);
    put_le32(file, ((crc >> 15) | (crc << 17)) + 0xa282ead8u);
    put_u8(file, static_cast<uint8_t>(part.size()));
    put_u8(file, static_cast<uint8_t>(part.size() >> 8));
    put_u8(file, static_cast<uint8_t>(type));
    *file += part;
    if (last) return;
    first = false;
  }
}

struct Scanned {
  LogScan scan;
  std::vector<std::string> heads;
};

Scanned scan(const std::string& bytes) {
  TempDirectory directory;
  PosixFileSystem disk;
  OverlayFileSystem fs(&disk);
  const std::string path = cat(directory.path(), "/log");
  REQUIRE_OK(write_file(fs, path, bytes));
  Scanned scanned;
  const auto visit = [&](uint64_t, std::string_view head) {
    scanned.heads.emplace_back(head);
    return absl::OkStatus();
  };
  absl::StatusOr<LogScan> result =
      scan_log(fs, path, visit, [](std::string_view fragment) { return !fragment.empty(); });
  REQUIRE_OK(result);
  scanned.scan = *result;
  return scanned;
}

std::string payload(size_t number, size_t size) {
  std::string text = cat("record ", number, " ");
  text.resize(size, static_cast<char>('a' + number % 26));
  return text;
}

TEST_CASE("the head of a record is shown whole wherever a block ends") {
  // The first record leaves 0..40 bytes of its block.
  for (size_t left = 0; left <= 40; ++left) {
    CAPTURE(left);
    std::string file;
    add_record(&file, payload(1, kBlock - kHeader - left));
    REQUIRE(file.size() == kBlock - left);
    add_record(&file, payload(2, 60));
    add_record(&file, payload(3, 100'000));
    const Scanned scanned = scan(file);
    CHECK_FALSE(scanned.scan.damage_offset.has_value());
    CHECK(scanned.scan.intact_end == file.size());
    REQUIRE(scanned.heads.size() == 3);
    CHECK(scanned.heads[0] == payload(1, kRecordHeadBytes));
    CHECK(scanned.heads[1] == payload(2, 60));
    CHECK(scanned.heads[2] == payload(3, kRecordHeadBytes));
  }
}

TEST_CASE("a file cut anywhere has lost its last records, and no more") {
  std::string file;
  std::vector<size_t> ends = {0};
  for (size_t i = 1; i <= 6; ++i) {
    add_record(&file, payload(i, 9000 * i));
    ends.push_back(file.size());
  }
  for (size_t size = 0; size <= file.size(); size += 997) {
    CAPTURE(size);
    const size_t whole =
        static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), size) - ends.begin() - 1);
    const Scanned scanned = scan(file.substr(0, size));
    CHECK(scanned.heads.size() == whole);
    CHECK(scanned.scan.intact_end == ends[whole]);
    CHECK_FALSE(scanned.scan.record_behind.has_value());
  }
}

TEST_CASE("damage with a whole record after it is told from damage at the end") {
  std::string file;
  std::vector<size_t> begins;
  for (size_t i = 1; i <= 5; ++i) {
    begins.push_back(file.size());
    add_record(&file, payload(i, 10'000));
  }
  for (size_t i = 0; i < 5; ++i) {
    for (const size_t offset : {0, 4, 6, 7, 5000}) {
      CAPTURE(i, offset);
      std::string flipped = file;
      flipped[begins[i] + offset] = static_cast<char>(flipped[begins[i] + offset] ^ 0x10);
      const Scanned scanned = scan(flipped);
      REQUIRE(scanned.scan.damage_offset.has_value());
      CHECK(scanned.heads.size() == i);
      CHECK(scanned.scan.intact_end == begins[i]);
      CHECK(scanned.scan.record_behind.has_value() == (i < 4));
      if (i < 4) CHECK(*scanned.scan.record_behind == begins[i + 1]);
    }
  }
}

TEST_CASE("a record with a hole in the middle is damaged from its beginning") {
  std::string file;
  add_record(&file, payload(1, 100));
  const size_t begin = file.size();
  add_record(&file, payload(2, 100'000));
  std::fill(file.begin() + 40'000, file.begin() + 41'000, '\0');
  const Scanned scanned = scan(file);
  CHECK(scanned.scan.intact_end == begin);
  CHECK(scanned.scan.damage_offset.has_value());
  // Its own later fragments are not evidence of another record.
  CHECK_FALSE(scanned.scan.record_behind.has_value());
}

}  // namespace
}  // namespace qk::families
