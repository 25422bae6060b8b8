// Target: bootstrap images (image/reader.h, image/importer.h).
//
// Input: a byte of mode, then an image. With the lowest bit of the mode set, the checksums of all
// frames and the trailer are made right first. An image that verifies is the one that the exporter
// writes: it is imported into an instance, and what that exports has the same content section and
// the same totals.
#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"
#include "families/fs/file_util.h"
#include "image/exporter.h"
#include "image/importer.h"
#include "image/reader.h"
#include "image/toy_family.h"
#include "tools/fuzz/memory_disk.h"
#include "tools/fuzz/target.h"

namespace qk::fuzz {
namespace {

using families::EntryType;
using families::Family;
using families::LogEntry;
using image::FrameType;

constexpr const char* kPeer = "127.0.0.1:8100:0:0";
constexpr const char* kOther = "127.0.0.1:8101:0:0";
constexpr size_t kMaxImage = 1 << 20;  // larger ones only take longer

families::Registry toys() {
  families::Registry registry;
  registry.add(image::toy_family());
  return registry;
}

std::unique_ptr<Family> open(const families::Registry& registry, MemoryDisk& disk, bool create) {
  families::OpenRequest request;
  request.fs = &disk.fs();
  request.root = "/toy";
  request.create = create;
  auto family = families::open_family(registry, "toy", request);
  QK_CHECK(family.ok());
  return *std::move(family);
}

std::string export_image(Family& family, const image::ImageHeader& header,
                         image::ImageTotals* totals) {
  std::string bytes;
  image::MemorySink sink(&bytes);
  auto cut = image::ExportCut::capture(family, header.cut_seq);
  QK_CHECK(cut.ok());
  cut->accept_lost_vote = true;
  image::Exporter exporter(&family, *std::move(cut), header.identity, header.source_family,
                           header.source_format_version, &sink);
  QK_CHECK(exporter.run().ok());
  *totals = exporter.totals();
  return bytes;
}

size_t header_size(std::string_view image) {
  return image::kMagic.size() + image::kFrameOverhead + get_le32(image.data() + 9);
}

// Makes every checksum right that the frames' lengths let find; then the trailer's hashes.
std::string repaired(std::string bytes) {
  size_t offset = image::kMagic.size();
  size_t last = 0;
  while (offset + image::kFrameOverhead <= bytes.size()) {
    const size_t length = get_le32(bytes.data() + offset + 1);
    if (length > bytes.size() - offset - image::kFrameOverhead) break;
    const size_t end = offset + image::kFrameHeadBytes + length;
    std::string checksum;
    put_le32(&checksum, crc32c(std::string_view(bytes).substr(offset, end - offset)));
    bytes.replace(end, checksum.size(), checksum);
    last = offset;
    offset = end + checksum.size();
  }
  if (last == 0 || bytes[last] != static_cast<char>(FrameType::kTrailer)) return bytes;
  const image::MemorySource source("input", bytes);
  image::ImageReader reader(&source);
  for (;;) {
    const auto item = reader.next();
    if (!item.ok() || *item == image::ImageReader::Item::kEnd) break;
  }
  // The reader got as far as the trailer, and so knows what it should say.
  if (reader.totals().content_bytes != last - header_size(bytes)) return bytes;
  std::string trailer;
  put_frame(&trailer, FrameType::kTrailer, image::encode_trailer(reader.totals()));
  return bytes.substr(0, last) + trailer;
}

void fill(Family& family, int64_t first, int64_t count, bool snapshot) {
  if (snapshot) {
    auto writer = family.snapshot().create();
    QK_CHECK(writer.ok());
    for (const char* name : {"data", "deep/er/data"}) {
      auto file = (*writer)->create_file(name);
      QK_CHECK(file.ok() && (*file)->write_at(0, name).ok());
      QK_CHECK((*writer)->add_file(name, {"user", 0, std::nullopt}).ok());
    }
    QK_CHECK((*writer)->save_meta({first + 1, 1 + (first + 1) / 4, {kPeer, kOther}, {kPeer}}).ok());
    QK_CHECK(family.snapshot().publish(*std::move(writer)).ok());
    QK_CHECK(family.log().reset(first).ok());
  }
  QK_CHECK(family.meta().save({5, kOther}).ok());
  std::vector<LogEntry> entries;
  for (int64_t i = first; i < first + count; ++i) {
    LogEntry entry{i, 1 + i / 4, EntryType::kData, cat("payload ", i)};
    if (i % 3 == 0) entry = {i, entry.term, EntryType::kNoOp, ""};
    if (i % 5 == 0) {
      entry.type = EntryType::kConfiguration;
      entry.payload = families::encode_configuration({{kPeer, kOther}, {kPeer}});
    }
    entries.push_back(std::move(entry));
  }
  QK_CHECK(family.log().append(entries).ok());
}

}  // namespace

std::vector<std::string> seeds() {
  const families::Registry registry = toys();
  std::vector<std::string> inputs;
  const auto add = [&](int64_t first, int64_t count, bool snapshot) {
    MemoryDisk disk;
    const auto family = open(registry, disk, true);
    fill(*family, first, count, snapshot);
    image::ImageHeader header;
    header.source_family = "toy";
    header.source_format_version = "1";
    header.identity = {"group", kPeer, "lineage", 2};
    header.cut_seq = 7;
    image::ImageTotals totals;
    const std::string bytes = export_image(*family, header, &totals);
    inputs.push_back('\0' + bytes);
    inputs.push_back('\1' + bytes);
  };
  add(1, 0, false);
  add(1, 9, false);
  add(1020, 8, true);  // two blocks
  return inputs;
}

void run(std::string_view input) {
  if (input.empty() || input.size() > kMaxImage) return;
  std::string bytes(input.substr(1));
  if ((input[0] & 1) != 0) bytes = repaired(std::move(bytes));
  const image::MemorySource source("input", bytes);
  const auto verified = image::verify_image(source);
  if (!verified.ok()) return;

  const families::Registry registry = toys();
  MemoryDisk disk;
  image::ImportRequest request;
  request.registry = &registry;
  request.fs = &disk.fs();
  request.root = "/toy";
  request.family = "toy";
  request.identity = verified->header.identity;
  request.instance = "instance";
  image::Importer importer(std::move(request), &source);
  QK_CHECK(importer.run().ok());

  image::ImageTotals totals;
  const std::string exported =
      export_image(*open(registry, disk, false), verified->header, &totals);
  // An older trailer hashes the same content in another way.
  QK_CHECK(!verified->header.features.framed_hashes ||
           totals.content_sha256 == verified->totals.content_sha256);
  QK_CHECK(totals.state == verified->totals.state);
  const auto content = [](std::string_view image, uint64_t size) {
    return image.substr(header_size(image), size);
  };
  QK_CHECK(content(exported, totals.content_bytes) ==
           content(bytes, verified->totals.content_bytes));
}

}  // namespace qk::fuzz
