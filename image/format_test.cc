// What is not exactly an image is refused: every flipped bit, every truncation, and images that are
// well hashed but break a rule. The worked example of FORMAT.md is made and read here.
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "image/header.pb.h"
#include "image/test_state.h"

namespace qk::image {
namespace {

struct Frame {
  FrameType type;
  std::string payload;
};

std::vector<Frame> frames_of(std::string_view image) {
  ByteReader reader(image.substr(kMagic.size()));
  std::vector<Frame> frames;
  while (reader.remaining() > 0) {
    const FrameType type = static_cast<FrameType>(reader.u8());
    frames.push_back({type, std::string(reader.bytes())});
    reader.le32();
  }
  REQUIRE(reader.ok());
  return frames;
}

// An image of these frames whose checksums and hashes are right; the last frame is the trailer.
std::string forge(const std::vector<Frame>& frames) {
  std::string image(kMagic);
  std::string content;
  put_frame(&image, frames.front().type, frames.front().payload);
  for (size_t i = 1; i + 1 < frames.size(); ++i) {
    put_frame(&content, frames[i].type, frames[i].payload);
  }
  const std::string before = image;
  image += content;
  proto::ImageTrailer trailer;
  REQUIRE(trailer.ParseFromString(frames.back().payload));
  // As FORMAT.md defines them, of the state digest that the trailer claims.
  std::string hashed;
  for (size_t at = 0; at < content.size();) {
    const size_t end = at + kFrameOverhead + get_le32(content.data() + at + 1);
    hashed += content.substr(at, kFrameHeadBytes) + content.substr(end - 4, 4);
    at = end;
  }
  const Digest content_hash = sha256(hashed + trailer.state_digest());
  trailer.set_content_bytes(content.size());
  trailer.set_content_sha256(std::string(as_bytes(content_hash)));
  trailer.set_image_sha256(std::string(as_bytes(sha256(cat(before, as_bytes(content_hash))))));
  put_frame(&image, FrameType::kTrailer, trailer.SerializeAsString());
  return image;
}

absl::Status read_all(std::string_view image) {
  return verify_image(MemorySource("test.qki", image)).status();
}

bool says(const absl::Status& status, std::string_view what) {
  UNSCOPED_INFO(status);
  return !status.ok() && to_std(status.message()).find(what) != std::string_view::npos;
}

std::string small_image() {
  TestDisk disk;
  auto family = disk.create("a");
  fill_small(*family);
  return export_image(*family).bytes;
}

std::string large_image() {
  TestDisk disk;
  auto family = disk.create("a");
  fill(*family);
  return export_image(*family).bytes;
}

std::vector<size_t> positions(const std::vector<Frame>& frames, FrameType type) {
  std::vector<size_t> found;
  for (size_t i = 0; i < frames.size(); ++i) {
    if (frames[i].type == type) found.push_back(i);
  }
  return found;
}

// Replaces the header by one that `change` edited.
std::string with_header(const std::string& image,
                        const std::function<void(proto::ImageHeader*)>& change) {
  std::vector<Frame> frames = frames_of(image);
  proto::ImageHeader header;
  REQUIRE(header.ParseFromString(frames[0].payload));
  change(&header);
  frames[0].payload = header.SerializeAsString();
  return forge(frames);
}

TEST_CASE("image: any flipped bit is refused") {
  const std::string good = small_image();
  REQUIRE(read_all(good).ok());
  REQUIRE(good.size() < 1000);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    INFO("bit " << bit);
    REQUIRE_FALSE(read_all(bad).ok());
  }
}

TEST_CASE("image: any truncation and anything after the trailer is refused") {
  const std::string good = small_image();
  for (size_t length = 0; length < good.size(); ++length) {
    REQUIRE(absl::IsDataLoss(read_all(std::string_view(good).substr(0, length))));
  }
  REQUIRE(says(read_all(good + '\0'), "after the trailer"));
  REQUIRE(says(read_all(good + good), "after the trailer"));
}

TEST_CASE("image: a bad image leaves no trace at the destination") {
  TestDisk disk;
  const std::string good = small_image();
  for (size_t at = 0; at < good.size(); at += 7) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    REQUIRE_FALSE(import_image(disk.import_request("b"), bad).ok());
    REQUIRE(disk.fs.list(disk.temporary.path()).value().empty());
  }
}

TEST_CASE("image: lengths are bounded before anything is allocated") {
  std::string image = small_image();
  for (const size_t at : {kMagic.size() + 1, kMagic.size() + kFrameOverhead +
                                                 frames_of(image)[0].payload.size() + 1}) {
    std::string bad = image;
    for (size_t i = 0; i < 4; ++i) bad[at + i] = '\xff';
    REQUIRE(says(read_all(bad), "payload of 4294967295 bytes, expected at most"));
  }
}

TEST_CASE("image: a forged image with right hashes is accepted only if nothing was changed") {
  const std::string good = large_image();
  REQUIRE(forge(frames_of(good)) == good);
}

TEST_CASE("image: frames that moved, doubled or vanished are refused") {
  const std::string good = large_image();
  const std::vector<Frame> frames = frames_of(good);
  for (size_t i = 1; i + 1 < frames.size(); ++i) {
    std::vector<Frame> without = frames;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    INFO("frame " << i << " " << to_string(frames[i].type));
    REQUIRE_FALSE(read_all(forge(without)).ok());
    std::vector<Frame> twice = frames;
    twice.insert(twice.begin() + static_cast<std::ptrdiff_t>(i), frames[i]);
    REQUIRE_FALSE(read_all(forge(twice)).ok());
    for (size_t j = i + 1; j + 1 < frames.size(); ++j) {
      if (frames[i].type == frames[j].type && frames[i].payload == frames[j].payload) continue;
      std::vector<Frame> swapped = frames;
      std::swap(swapped[i], swapped[j]);
      REQUIRE_FALSE(read_all(forge(swapped)).ok());
    }
  }
}

TEST_CASE("image: entries that break a rule are refused") {
  const std::string good = small_image();
  const std::vector<Frame> frames = frames_of(good);
  const size_t at = positions(frames, FrameType::kEntries).front();
  std::vector<LogEntry> entries{test_entry(7), test_entry(8), test_entry(9)};
  const auto with_entries = [&] {
    std::vector<Frame> changed = frames;
    changed[at].payload.clear();
    for (const LogEntry& entry : entries) encode_entry(&changed[at].payload, entry);
    return forge(changed);
  };
  REQUIRE(with_entries() == good);
  SECTION("gap") {
    entries[1].index = 9;
    REQUIRE(says(read_all(with_entries()), "expected index 8"));
  }
  SECTION("below first") {
    entries[0].index = 6;
    REQUIRE(says(read_all(with_entries()), "expected index 7"));
  }
  SECTION("beyond last") {
    entries.push_back(test_entry(10));
    REQUIRE(says(read_all(with_entries()), "beyond the range 7..9"));
  }
  SECTION("decreasing term") {
    entries[0].term = 2;
    REQUIRE(says(read_all(with_entries()), "expected at least 2"));
  }
  SECTION("term 0") {
    entries[0].term = 0;
    REQUIRE(says(read_all(with_entries()), "expected at least 1"));
  }
  SECTION("unknown type") {
    entries[1].type = static_cast<families::EntryType>(4);
    REQUIRE(says(read_all(with_entries()), "known types"));
  }
  SECTION("no-op with a payload") {
    entries[0].payload = "x";
    REQUIRE(says(read_all(with_entries()), "no-op"));
  }
  SECTION("configuration that does not decode") {
    entries[2].payload = "\xff";
    REQUIRE(says(read_all(with_entries()), "configuration"));
  }
  SECTION("another payload with right hashes does not match the state digest") {
    entries[1].payload += "x";
    REQUIRE(says(read_all(with_entries()), "state digest"));
  }
}

TEST_CASE("image: one state has one framing") {
  const std::string good = large_image();
  std::vector<Frame> frames = frames_of(good);
  const std::vector<size_t> entries = positions(frames, FrameType::kEntries);
  REQUIRE(entries.size() == 3);
  SECTION("an entries frame that ends early") {
    std::string first;
    encode_entry(&first, test_entry(8600));
    std::string& payload = frames[entries[0]].payload;
    const Frame head{FrameType::kEntries, payload.substr(0, first.size())};
    payload.erase(0, first.size());
    frames.insert(frames.begin() + static_cast<std::ptrdiff_t>(entries[0]), head);
    REQUIRE(says(read_all(forge(frames)), "ends early"));
  }
  SECTION("an entries frame across blocks") {
    frames[entries[0]].payload += frames[entries[1]].payload;
    frames.erase(frames.begin() + static_cast<std::ptrdiff_t>(entries[1]));
    REQUIRE(says(read_all(forge(frames)), "goes on with entry 9216"));
  }
  SECTION("a chunk that ends early") {
    const size_t at = positions(frames, FrameType::kChunk)[1];
    const Frame head{FrameType::kChunk, frames[at].payload.substr(0, 10)};
    frames[at].payload.erase(0, 10);
    frames.insert(frames.begin() + static_cast<std::ptrdiff_t>(at), head);
    REQUIRE(says(read_all(forge(frames)), "chunk frame"));
  }
}

TEST_CASE("image: ranges, meta and snapshots that break a rule are refused") {
  std::vector<Frame> frames = frames_of(small_image());
  const size_t snapshot = positions(frames, FrameType::kSnapshot).front();
  SECTION("range unlike the header's") {
    frames[1].payload.clear();
    put_le64(&frames[1].payload, 7);
    put_le64(&frames[1].payload, 10);
    REQUIRE(says(read_all(forge(frames)), "header says 7..9"));
  }
  SECTION("impossible range") {
    frames[1].payload.clear();
    put_le64(&frames[1].payload, 7);
    put_le64(&frames[1].payload, 5);
    REQUIRE(says(read_all(forge(frames)), "expected 1 <= first <= last + 1"));
  }
  SECTION("meta with term 0") {
    Frame& meta = frames[positions(frames, FrameType::kMeta).front()];
    meta.payload.clear();
    encode_hard_state(&meta.payload, {0, ""});
    REQUIRE(says(read_all(forge(frames)), "term 0"));
  }
  SECTION("gap between snapshot and log") {
    frames[snapshot].payload.clear();
    encode_snapshot_head(&frames[snapshot].payload,
                         {families::SnapshotMeta{5, 1, {"127.0.0.1:8100:0:0"}, {}}, 1});
    REQUIRE(says(read_all(forge(frames)), "gap between snapshot and log"));
  }
  SECTION("lists of peers beyond the limit") {
    // Four bytes each in the image, and many times that in memory.
    const std::vector<std::string> nobody(families::kMaxConfigurationBytes / 4);
    families::SnapshotMeta meta{6, 1, nobody, {}};
    frames[snapshot].payload.clear();
    encode_snapshot_head(&frames[snapshot].payload, {meta, 1});
    REQUIRE_FALSE(says(read_all(forge(frames)), "expected at most"));
    meta.peers.resize(meta.peers.size() + 20);
    frames[snapshot].payload.clear();
    encode_snapshot_head(&frames[snapshot].payload, {meta, 1});
    REQUIRE(says(read_all(forge(frames)), "bytes, expected at most 1048640"));
  }
  SECTION("another number of files") {
    frames[snapshot].payload.clear();
    encode_snapshot_head(&frames[snapshot].payload,
                         {families::SnapshotMeta{6, 1, {"127.0.0.1:8100:0:0"}, {}}, 2});
    REQUIRE(says(read_all(forge(frames)), "expected 2"));
  }
}

TEST_CASE("a configuration beyond the limit is refused before it is decoded") {
  const std::string peer("\x0a\x00", 2);
  std::string payload;
  while (payload.size() < families::kMaxConfigurationBytes) payload += peer;
  REQUIRE(families::decode_configuration(payload)->peers.size() == payload.size() / 2);
  payload += peer;
  REQUIRE(says(families::decode_configuration(payload).status(), "expected at most 1048576"));
}

TEST_CASE("image: snapshot paths that escape, repeat or collide are refused") {
  std::vector<Frame> frames = frames_of(small_image());
  const size_t snapshot = positions(frames, FrameType::kSnapshot).front();
  const size_t file = positions(frames, FrameType::kFile).front();
  const auto with_paths = [&](const std::vector<std::string>& paths) {
    std::vector<Frame> changed = frames;
    changed[snapshot].payload.clear();
    encode_snapshot_head(&changed[snapshot].payload,
                         {families::SnapshotMeta{6, 1, {"127.0.0.1:8100:0:0"}, {}}, paths.size()});
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(file),
                  changed.end() - 1);  // the file and its chunk
    for (const std::string& path : paths) {
      Frame head{FrameType::kFile, ""};
      encode_file_head(&head.payload, {{path, {}}, 0});
      changed.insert(changed.end() - 1, head);
    }
    return read_all(forge(changed));
  };
  for (const std::string& path :
       {std::string("../x"), std::string("/../x"), std::string("a/../../x"), std::string(""),
        std::string("a/."), std::string("a\0b", 3), std::string("a/"), std::string(256, 'x'),
        std::string("__raft_snapshot_meta"), std::string("./__raft_snapshot_meta/x")}) {
    REQUIRE(says(with_paths({path}), "snapshot file"));
  }
  REQUIRE(says(with_paths({"a", "a"}), "each path once"));
  REQUIRE(says(with_paths({"b", "a"}), "each path once"));
  REQUIRE(says(with_paths({"a", "a-b", "a/c"}), "\"a\" is a file in one and a directory"));
  REQUIRE(says(with_paths({"a/b", "a/b/c/d"}), "\"a/b\" is a file in one and a directory"));
  for (const std::string path : {"/etc/passwd", "a//b", "./a", "a/../b"}) {
    REQUIRE(says(with_paths({path}), "does not name the feature listed-names"));
  }
  // All of these rules hold, so only the counts and hashes of the forged trailer are wrong.
  REQUIRE(says(with_paths({"a", "a-b", "a.c/d", "ab/c"}), "state digest"));
}

TEST_CASE("image: versions and features") {
  const std::string good = small_image();
  REQUIRE(with_header(good, [](proto::ImageHeader*) {}) == good);
  const auto header_with = [&](const std::function<void(proto::ImageHeader*)>& change) {
    return read_all(with_header(good, change));
  };
  REQUIRE(says(header_with([](auto* h) { h->set_format_major(2); }), "version 2.1"));
  REQUIRE(says(header_with([](auto* h) { h->set_format_major(0); }), "version 0.1"));
  REQUIRE(header_with([](auto* h) { h->set_format_minor(kFormatMinor + 1); }).ok());
  REQUIRE(header_with([](auto* h) {
            h->set_format_minor(kFormatMinor + 1);
            h->GetReflection()->MutableUnknownFields(h)->AddLengthDelimited(1000, "ignorable");
          }).ok());
  REQUIRE(says(header_with([](auto* h) { h->add_required_features("zstd"); }), "\"zstd\""));
  // Without its feature the trailer's hashes are those of 1.0, which these are not.
  REQUIRE(says(header_with([](auto* h) { h->clear_required_features(); }), "content sha256"));
  REQUIRE(says(header_with([](auto* h) { h->clear_format_major(); }), "no format version"));
  REQUIRE(says(header_with([](auto* h) { h->clear_source_family(); }), "no source family"));
  REQUIRE(says(header_with([](auto* h) { h->clear_source_format_version(); }), "source family"));
  REQUIRE(says(header_with([](auto* h) { h->clear_group_id(); }), "no group"));
  REQUIRE(says(header_with([](auto* h) { h->clear_peer_id(); }), "identity: peer \"\""));
  REQUIRE(says(header_with([](auto* h) { h->clear_lineage(); }), "lacks lineage"));
  REQUIRE(says(header_with([](auto* h) { h->clear_cut_seq(); }), "cut"));
}

TEST_CASE("image: memory is bounded by a frame, not by the log") {
  // A source that remembers the largest read: what the reader holds at once.
  class MeasuringSource final : public Source {
   public:
    explicit MeasuringSource(std::string_view bytes) : bytes_("m", bytes) {}
    std::string name() const override { return "m"; }
    uint64_t size() const override { return bytes_.size(); }
    absl::Status read(uint64_t offset, std::span<char> buffer) const override {
      largest = std::max(largest, buffer.size());
      return bytes_.read(offset, buffer);
    }
    mutable size_t largest = 0;

   private:
    MemorySource bytes_;
  };
  // A sink that remembers the largest append: what the exporter held at once.
  class MeasuringSink final : public Sink {
   public:
    absl::Status append(std::string_view bytes) override {
      largest = std::max(largest, bytes.size());
      image += bytes;
      return absl::OkStatus();
    }
    absl::Status finish() override { return absl::OkStatus(); }
    size_t largest = 0;
    std::string image;
  };
  TestDisk disk;
  auto family = disk.create("a");
  std::vector<LogEntry> entries;
  for (int64_t index = 1; index <= 600; ++index) {
    entries.push_back({index, 1, families::EntryType::kData, std::string(10000, 'p')});
  }
  REQUIRE(family->log().append(entries).ok());
  MeasuringSink sink;
  Exporter exporter(family.get(), ExportCut::capture(*family, 1).value(), kTestIdentity, "toy", "1",
                    &sink);
  REQUIRE(exporter.run().ok());
  REQUIRE(sink.image.size() > 5 * kEntriesPayloadTarget);
  REQUIRE(sink.largest <= kEntriesPayloadTarget + kFrameOverhead);
  const MeasuringSource source(sink.image);
  REQUIRE(verify_image(source).ok());
  REQUIRE(source.largest <= kEntriesPayloadTarget + kFrameOverhead);
}

TEST_CASE("file sink: the image appears whole, under its name, at the end") {
  TestDisk disk;
  auto family = disk.create("a");
  fill_small(*family);
  FileSink sink(&disk.fs, disk.path("image.qki"));
  Exporter exporter(family.get(), ExportCut::capture(*family, 17).value(), kTestIdentity, "toy",
                    "1", &sink);
  bool finished = false;
  while (!finished) {
    REQUIRE_FALSE(families::exists(disk.fs, disk.path("image.qki")).value());
    finished = exporter.step(1).value();
  }
  REQUIRE(families::read_file(disk.fs, disk.path("image.qki"), 1 << 20).value() ==
          export_image(*family).bytes);
  REQUIRE_FALSE(families::exists(disk.fs, disk.path("image.qki.tmp")).value());
  auto source = FileSource::open(disk.fs, disk.path("image.qki")).value();
  REQUIRE(verify_image(*source).value().totals == exporter.totals());
}

TEST_CASE("file sink: of two that write one name at once, the first keeps it") {
  TestDisk disk;
  const std::string path = disk.path("image.qki");
  REQUIRE(families::write_file(disk.fs, path + ".tmp", "a user's").ok());
  FileSink first(&disk.fs, path, "1"), second(&disk.fs, path, "2"), same(&disk.fs, path, "1");
  REQUIRE(first.append("first").ok());
  REQUIRE(second.append("second").ok());
  REQUIRE(absl::IsAlreadyExists(same.append("third")));
  REQUIRE(same.discard().ok());
  REQUIRE(first.finish().ok());
  REQUIRE(absl::IsAlreadyExists(second.finish()));
  REQUIRE(second.discard().ok());
  REQUIRE(families::read_file(disk.fs, path, 100).value() == "first");
  REQUIRE(families::read_file(disk.fs, path + ".tmp", 100).value() == "a user's");
  REQUIRE(disk.fs.list(families::parent_path(path)).value().size() == 2);
}

TEST_CASE("file sink: what replaced its temporary file is not removed with it") {
  TestDisk disk;
  const std::string temporary = disk.path("image.qki.1.tmp");
  FileSink sink(&disk.fs, disk.path("image.qki"), "1");
  REQUIRE(sink.append("half").ok());
  REQUIRE(disk.fs.unlink(temporary).ok());
  REQUIRE(families::write_file(disk.fs, temporary, "a user's").ok());
  REQUIRE(absl::IsFailedPrecondition(sink.finish()));
  REQUIRE(sink.discard().ok());
  REQUIRE(families::read_file(disk.fs, temporary, 100).value() == "a user's");
}

// The bytes between the example's markers in FORMAT.md. Each line has an offset, up to 16 bytes,
// and what they are.
std::string documented_example() {
  std::ifstream file(QK_SOURCE_DIR "/image/FORMAT.md");
  REQUIRE(file.good());
  std::string line, bytes;
  bool inside = false;
  while (std::getline(file, line)) {
    if (line == "<!-- example begins -->") inside = true;
    if (line == "<!-- example ends -->") inside = false;
    if (!inside || line.size() < 8 || line.substr(4, 2) != "  ") continue;
    INFO(line);
    REQUIRE(std::stoul(line.substr(0, 4), nullptr, 16) == bytes.size());
    std::istringstream words(line.substr(6, 47));
    std::string word;
    while (words >> word) bytes += static_cast<char>(std::stoi(word, nullptr, 16));
  }
  return bytes;
}

TEST_CASE("FORMAT.md: the worked example is what the exporter writes, and it reads back") {
  const std::string made = small_image();
  const std::string documented = documented_example();
  std::string dump;
  for (size_t at = 0; at < made.size(); at += 16) {
    dump += cat(absl::Hex(at, absl::kZeroPad4), " ");
    for (size_t i = at; i < std::min(at + 16, made.size()); ++i) {
      dump += cat(" ", to_hex(std::string_view(made).substr(i, 1)));
    }
    dump += "\n";
  }
  INFO("the exporter writes\n" << dump);
  REQUIRE(to_hex(documented) == to_hex(made));
  REQUIRE(read_all(documented).ok());
}

}  // namespace
}  // namespace qk::image
