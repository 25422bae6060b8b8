// Images of every released format version, kept as bytes: they must stay readable.
//
// image/testdata/format-X.Y.qki is an image that the writer of version X.Y wrote, and
// format-X.Y.expected is what it holds. Each must verify, say what it said, and import into every
// family of this build; and what that exports must have the same content section, byte for byte:
// the canonical form of a state does not change within a major version.
//
// A version without its image fails the first test. `cmake --build build/release --target
// image_fixture` writes the files of this build's version, once: an image that was released is
// never written again. If a version adds something to the content, add it to fill() first.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "families/base/bytes.h"
#include "families/builtin.h"
#include "families/fs/file_util.h"
#include "image/reader.h"
#include "image/test_state.h"

namespace qk::image {
namespace {

const std::string kFolder = QK_SOURCE_DIR "/image/testdata";
const std::string kThisVersion = cat("format-", kFormatMajor, ".", kFormatMinor);

// Everything that the format has a place for.
void fill_fixture(Family& family) {
  const std::string a = "127.0.0.1:8100:0:0";
  const std::string b = "127.0.0.1:8101:0:0";
  const std::string witness = "127.0.0.1:8102:0:1";
  std::string pattern;
  for (int i = 0; pattern.size() < kChunkBytes + 999; ++i) pattern += cat("line ", i, "\n");
  const std::vector<TestFile> files = {
      {"./data", "state at 1010", {"another meta", 0, ""}},  // since 1.2: names as they are listed
      {"/max_id.json", "{}", {}},
      {"data", "state at 1010", {"user meta", 0, "c0ffee"}},
      {"empty", "", {}},
      {"nested/notes", "not listed", {}, true},  // since 1.4
      {"nested/deep/\xc3\xa4.bin", pattern, {"", std::nullopt, std::nullopt}},
      {"nested/one chunk", pattern.substr(0, kChunkBytes), {std::nullopt, 1, std::nullopt}}};
  REQUIRE(family.meta().save({5, witness}).ok());  // since 1.3: below the log's term, a lost vote
  REQUIRE(publish(family, {1010, 4, {a, b}, {a, witness}}, files).ok());
  REQUIRE(family.log().reset(1000).ok());
  std::vector<LogEntry> entries;
  for (int64_t i = 1000; i <= 1030; ++i) {  // over the end of a block
    LogEntry entry{i, i < 1015 ? 4 : 7, families::EntryType::kData,
                   std::string(static_cast<size_t>(i % 16), static_cast<char>(i))};
    if (i % 7 == 0) entry = {i, entry.term, families::EntryType::kNoOp, ""};
    if (i % 11 == 0) {
      entry.type = families::EntryType::kConfiguration;
      entry.payload = families::encode_configuration(
          {{a, b, witness},
           i % 2 == 0 ? std::vector<std::string>{a, b} : std::vector<std::string>{}});
    }
    entries.push_back(std::move(entry));
  }
  REQUIRE(family.log().append(entries).ok());
}

std::string describe(const VerifiedImage& image) {
  const SnapshotHead& snapshot = image.snapshot;
  return cat("format ", image.header.format_major, ".", image.header.format_minor, "\n",
             to_string(image.header.identity), ", cut ", image.header.cut_seq, "\n", "source ",
             image.header.source_family, " ", image.header.source_format_version, "\n", "log ",
             image.header.first_index, "..", image.header.last_index, ", last term ",
             image.last_term, "\n", "term ", image.hard_state.term, ", vote ",
             image.hard_state.voted_for, "\n", "snapshot ",
             snapshot.meta ? snapshot.meta->last_included_index : 0, ", files ", snapshot.files,
             ", bytes ", image.totals.file_bytes, "\n", "content ", image.totals.content_bytes,
             " bytes, sha256 ", to_hex(image.totals.content_sha256), "\n", "state ",
             to_hex(image.totals.state.overall), "\n");
}

std::string read(const std::string& path) {
  families::PosixFileSystem fs;
  const auto bytes = families::read_file(fs, path, 64 << 20);
  INFO(bytes.status());
  REQUIRE(bytes.ok());
  return *bytes;
}

// "format-1.0", in byte order.
std::vector<std::string> versions() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".qki") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string_view content_of(std::string_view image, const ImageTotals& totals) {
  return image.substr(kMagic.size() + kFrameOverhead + get_le32(image.data() + 9),
                      totals.content_bytes);
}

TEST_CASE("every version of the format has its image") {
  const std::vector<std::string> found = versions();
  INFO("there must be " << kThisVersion << ".qki in image/testdata");
  CHECK(std::count(found.begin(), found.end(), kThisVersion) == 1);
  for (const std::string& version : found) {
    INFO(version);
    const std::string bytes = read(cat(kFolder, "/", version, ".qki"));
    const auto image = verify_image(MemorySource(version, bytes));
    INFO(image.status());
    REQUIRE(image.ok());
    CHECK(describe(*image) == read(cat(kFolder, "/", version, ".expected")));
    CHECK(version == cat("format-", image->header.format_major, ".", image->header.format_minor));
  }
}

TEST_CASE("a released image imports into every family, and comes out the same") {
  families::VolatileMemory memory(1);
  families::Registry registry = families::builtin_families(&memory);
  registry.add(toy_family());
  for (const std::string& version : versions()) {
    const std::string bytes = read(cat(kFolder, "/", version, ".qki"));
    const MemorySource source(version, bytes);
    const auto image = verify_image(source);
    REQUIRE(image.ok());
    for (const families::FamilyDescriptor& family : registry.all()) {
      INFO(version << " into " << family.name);
      TestDisk disk;
      ImportRequest request = disk.import_request("root", family.name);
      request.registry = &registry;
      request.identity = image->header.identity;
      Importer importer(request, &source);
      const absl::Status imported = importer.run();
      INFO(imported);
      REQUIRE(imported.ok());
      auto opened = families::open_family(
          registry, family.name,
          {.fs = &disk.fs, .root = disk.path("root"), .create = false, .options = {}});
      REQUIRE(opened.ok());
      const bool lost_vote = image->header.features.lost_vote;
      const Exported exported = try_export(**opened, family.name, 1 << 20, lost_vote).value();
      CHECK(exported.totals.state == image->totals.state);
      CHECK(content_of(exported.bytes, exported.totals) == content_of(bytes, image->totals));
    }
  }
}

TEST_CASE("writing the image of this version", "[.fixture]") {
  const std::string path = cat(kFolder, "/", kThisVersion);
  REQUIRE_FALSE(std::filesystem::exists(path + ".qki"));
  TestDisk disk;
  const auto family = disk.create("root");
  fill_fixture(*family);
  const Exported image = try_export(*family, "toy", 1 << 20, true).value();
  const auto verified = verify_image(MemorySource(path, image.bytes));
  REQUIRE(verified.ok());
  REQUIRE(families::make_directories(disk.fs, kFolder).ok());
  REQUIRE(families::write_file(disk.fs, path + ".qki", image.bytes).ok());
  REQUIRE(families::write_file(disk.fs, path + ".expected", describe(*verified)).ok());
}

}  // namespace
}  // namespace qk::image
