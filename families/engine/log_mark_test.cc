// The mark of a write-ahead log: what it says after a crash inside each of its writes, and after
// damage.
#include "families/engine/log_mark.h"

#include <catch2/catch.hpp>

#include "families/fs/overlay_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/testing/util.h"

namespace qk::families {
namespace {

struct Place {
  std::string read() { return *read_file(fs, path, 4096); }
  void write(std::string_view bytes) { REQUIRE_OK(write_file(fs, path, bytes)); }

  TempDirectory directory;
  PosixFileSystem disk;
  OverlayFileSystem fs{&disk};
  const std::string root{directory.path()};
  const std::string path = join_path(root, kLogMarkName);
};

TEST_CASE("a mark keeps what was named last") {
  Place place;
  for (const std::optional<uint64_t> log :
       {std::optional<uint64_t>(), std::optional<uint64_t>(7), std::optional<uint64_t>(0),
        std::optional<uint64_t>(UINT64_MAX), std::optional<uint64_t>()}) {
    const auto mark = LogMark::open(&place.fs, place.root);
    REQUIRE_OK(mark);
    REQUIRE_OK((*mark)->name(log));
    CHECK((*mark)->log() == log);
    const auto again = LogMark::open(&place.fs, place.root);
    REQUIRE_OK(again);
    CHECK((*again)->log() == log);
  }
}

TEST_CASE("a write that a crash cut short anywhere leaves the mark before it or after it") {
  Place place;
  for (const uint64_t log : {5, 6, 7}) {
    const std::string before = [&] {
      REQUIRE_OK(LogMark::open(&place.fs, place.root));
      return place.read();
    }();
    const auto mark = *LogMark::open(&place.fs, place.root);
    const std::optional<uint64_t> old = mark->log();
    REQUIRE_OK(mark->name(log));
    const std::string after = place.read();
    for (size_t cut = 0; cut <= after.size(); ++cut) {
      CAPTURE(log, cut);
      place.write(after.substr(0, cut) + before.substr(cut));
      const auto torn = LogMark::open(&place.fs, place.root);
      REQUIRE_OK(torn);
      CHECK(((*torn)->log() == old || (*torn)->log() == log));
      // It takes a new name, whatever is left in the torn slot.
      REQUIRE_OK((*torn)->name(99));
      CHECK((*LogMark::open(&place.fs, place.root))->log() == 99);
    }
    place.write(after);
  }
}

TEST_CASE("a file that is not a mark is damage") {
  Place place;
  REQUIRE_OK((*LogMark::open(&place.fs, place.root))->name(7));
  const std::string whole = place.read();
  std::string both = whole;
  both[3] = static_cast<char>(both[3] ^ 1);
  both[515] = static_cast<char>(both[515] ^ 1);
  for (const std::string& bytes : {std::string(), whole.substr(0, 600), whole + "x", both}) {
    place.write(bytes);
    const absl::Status status = LogMark::open(&place.fs, place.root).status();
    INFO(status);
    CHECK(absl::IsDataLoss(status));
    CHECK(status.message().find(std::string(kLogMarkName)) != absl::string_view::npos);
  }
}

}  // namespace
}  // namespace qk::families
