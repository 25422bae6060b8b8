// Export and import: deterministic content, equal state on the other side, refused destinations,
// the cut under changes, and what a failed import leaves.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <utility>

#include "families/contract/family_wrapper.h"
#include "families/fs/file_system_wrapper.h"
#include "image/report.h"
#include "image/test_state.h"

namespace qk::image {
namespace {

using families::exists;
using families::join_path;

TEST_CASE("export: the same cut gives the same image, however it is stepped") {
  TestDisk disk;
  auto family = disk.create("a");
  fill(*family);
  const Exported whole = export_image(*family);
  REQUIRE(export_image(*family, "toy", 1).bytes == whole.bytes);
  REQUIRE(export_image(*family, "toy", 7).bytes == whole.bytes);
  REQUIRE(whole.totals.entries == 1701);
  REQUIRE(whole.totals.files == 4);
  REQUIRE(whole.totals.state == compute_digest(*family).value());
}

TEST_CASE("export: the source family's name is in the header, not in the content") {
  TestDisk disk;
  auto family = disk.create("a");
  fill(*family);
  const Exported toy = export_image(*family, "toy");
  const Exported other = export_image(*family, "other");
  REQUIRE(content_of(toy) == content_of(other));
  REQUIRE(toy.totals.content_sha256 == other.totals.content_sha256);
  REQUIRE(toy.totals.image_sha256 != other.totals.image_sha256);
}

TEST_CASE("import: the instance equals the source and carries its identity") {
  TestDisk disk;
  auto source = disk.create("a");
  fill(*source);
  const Exported image = export_image(*source);
  for (const int64_t step : {int64_t{1}, int64_t{100}, int64_t{1} << 20}) {
    const std::string name = cat("b", step);
    ImportRequest request = disk.import_request(name);
    request.final_state = InstanceState::kCatchingUp;
    REQUIRE(import_image(request, image.bytes, step).ok());
    REQUIRE(read_sidecar(disk.fs, disk.path(name)).value() ==
            Sidecar{kTestIdentity, "toy", "instance", InstanceState::kCatchingUp});
    REQUIRE_FALSE(exists(disk.fs, cat(disk.path(name), "/", kStagingName)).value());
    auto copy = disk.open("toy", name, false);
    REQUIRE(compute_digest(*copy).value() == image.totals.state);
    REQUIRE(content_of(export_image(*copy)) == content_of(image));
    REQUIRE(compare(*source, *copy, 17).equal);
  }
}

TEST_CASE("import: edges of the state survive") {
  TestDisk disk;
  auto source = disk.create("a");
  SECTION("fresh") {}
  SECTION("term without a vote") { REQUIRE(source->meta().save({9, ""}).ok()); }
  SECTION("empty log after a snapshot without files") {
    REQUIRE(source->meta().save({2, ""}).ok());
    REQUIRE(publish(*source, {8, 2, {}, {}}, {}).ok());
    REQUIRE(source->log().reset(9).ok());
  }
  SECTION("snapshot beyond the log") {
    append(*source, 1, 5);
    REQUIRE(source->meta().save({3, ""}).ok());
    REQUIRE(publish(*source, {50, 3, {"p"}, {}}, {{"x/y/z", "deep", {}}}).ok());
  }
  SECTION("payloads around the frame's target") {
    std::vector<LogEntry> entries;
    for (const size_t size : {size_t{0}, kEntriesPayloadTarget / 2, kEntriesPayloadTarget / 2,
                              kEntriesPayloadTarget - kEntryOverhead, kEntriesPayloadTarget,
                              kEntriesPayloadTarget * 3, size_t{1}}) {
      entries.push_back({static_cast<int64_t>(entries.size()) + 1, 1, families::EntryType::kData,
                         std::string(size, 'p')});
    }
    REQUIRE(source->log().append(entries).ok());
  }
  SECTION("whole blocks, from the first index") {
    REQUIRE(source->meta().save({3, ""}).ok());
    append(*source, 1, 2047);
  }
  const Exported image = export_image(*source);
  REQUIRE(import_image(disk.import_request("b"), image.bytes).ok());
  auto copy = disk.open("toy", "b", false);
  REQUIRE(compute_digest(*copy).value() == compute_digest(*source).value());
  REQUIRE(content_of(export_image(*copy)) == content_of(image));
  REQUIRE(copy->log().first_index() == source->log().first_index());
  REQUIRE(copy->meta().hard_state() == source->meta().hard_state());
}

// Each has a frame to itself, which is written, and read, without a copy of the payload.
TEST_CASE("import: large entries between small ones survive") {
  TestDisk disk;
  auto source = disk.create("a");
  std::vector<LogEntry> entries;
  for (const size_t bytes :
       {size_t{10}, kEntriesPayloadTarget, kEntriesPayloadTarget + 1, 3 * kEntriesPayloadTarget,
        2 * kEntriesPayloadTarget, size_t{0}, kEntriesPayloadTarget - kEntryOverhead, size_t{7}}) {
    const int64_t index = static_cast<int64_t>(entries.size()) + 1;
    entries.push_back(
        {index, 1, families::EntryType::kData, std::string(bytes, static_cast<char>('a' + index))});
  }
  REQUIRE(source->log().append(entries).ok());
  const Exported image = export_image(*source);
  REQUIRE(compute_digest(*source).value() == image.totals.state);
  const MemorySource bytes("test.qki", image.bytes);
  ImageReader reader(&bytes, Hashing::kBoth);
  std::vector<LogEntry> read;
  size_t frames = 0;
  while (true) {
    const auto item = reader.next();
    REQUIRE(item.ok());
    if (*item == ImageReader::Item::kEnd) break;
    if (*item != ImageReader::Item::kEntries) continue;
    ++frames;
    read.insert(read.end(), reader.entries().begin(), reader.entries().end());
  }
  REQUIRE((read == entries));
  REQUIRE(frames == 8);
  REQUIRE(reader.totals().content_sha256 == image.totals.content_sha256);
  REQUIRE(import_image(disk.import_request("b"), image.bytes).ok());
  REQUIRE(content_of(export_image(*disk.open("toy", "b", false))) == content_of(image));
}

TEST_CASE("export: a log that no snapshot reaches is refused") {
  TestDisk disk;
  auto family = disk.create("a");
  REQUIRE(family->log().reset(10).ok());
  append(*family, 10, 12);
  REQUIRE(absl::IsInvalidArgument(try_export(*family).status()));
  REQUIRE(publish(*family, {8, 1, {}, {}}, {}).ok());
  REQUIRE(absl::IsInvalidArgument(try_export(*family).status()));
  REQUIRE(publish(*family, {9, 1, {}, {}}, {}).ok());
  REQUIRE(try_export(*family).ok());
}

TEST_CASE("export while serving: the image is the state at the cut") {
  TestDisk disk;
  auto family = disk.create("a");
  fill(*family);
  const Exported expected = export_image(*family);
  std::string bytes;
  MemorySink sink(&bytes);
  Exporter exporter(family.get(), ExportCut::capture(*family, 17).value(), kTestIdentity, "toy",
                    "1", &sink);
  int64_t index = 10300;
  int64_t progress = 0;
  while (!exporter.step(100).value()) {
    ++index;
    append(*family, index, index);
    REQUIRE(family->meta().save({20 + index, ""}).ok());
    if (index == 10305) REQUIRE(publish(*family, {10000, 15, {}, {}}, {{"new", "n", {}}}).ok());
    // Compaction of what was copied already does no harm.
    if (index == 10310) REQUIRE(family->log().truncate_prefix(9000).ok());
    REQUIRE(exporter.progress_ppm() >= progress);
    progress = exporter.progress_ppm();
    REQUIRE(progress < 1000000);
  }
  REQUIRE(exporter.progress_ppm() == 1000000);
  REQUIRE(index > 10315);
  REQUIRE(bytes == expected.bytes);
}

TEST_CASE("export while serving: losing entries of the cut aborts") {
  TestDisk disk;
  auto family = disk.create("a");
  fill(*family);
  std::string bytes;
  MemorySink sink(&bytes);
  Exporter exporter(family.get(), ExportCut::capture(*family, 17).value(), kTestIdentity, "toy",
                    "1", &sink);
  REQUIRE_FALSE(exporter.step(100).value());
  SECTION("suffix truncated below the cut") { REQUIRE(family->log().truncate_suffix(10299).ok()); }
  SECTION("suffix truncated and overwritten beyond the cut") {
    REQUIRE(family->log().truncate_suffix(10000).ok());
    std::vector<LogEntry> other;
    for (int64_t index = 10001; index <= 10400; ++index) {
      other.push_back({index, 30, families::EntryType::kData, "other"});
    }
    REQUIRE(family->log().append(other).ok());
  }
  SECTION("prefix truncated beyond what was copied") {
    REQUIRE(family->log().truncate_prefix(8701).ok());
  }
  SECTION("reset") { REQUIRE(family->log().reset(20000).ok()); }
  const absl::Status status = exporter.step(100).status();
  REQUIRE(absl::IsAborted(status));
  REQUIRE(exporter.step(100).status() == status);
}

TEST_CASE("import: a destination that is not empty is refused and unchanged") {
  TestDisk disk;
  auto source = disk.create("a");
  fill_small(*source);
  const std::string image = export_image(*source).bytes;
  const std::string root = disk.path("b");
  REQUIRE(disk.fs.mkdir(root).ok());
  SECTION("state") {
    auto other = disk.create("b");
    append(*other, 1, 3);
  }
  SECTION("a stray file") {
    REQUIRE(families::write_file(disk.fs, join_path(root, "stray"), "x").ok());
  }
  SECTION("a retired instance") {
    REQUIRE(
        write_sidecar(disk.fs, root, {kTestIdentity, "toy", "i", InstanceState::kRetired}).ok());
  }
  SECTION("an empty instance of another generation") {
    Identity old = kTestIdentity;
    old.generation = 1;
    REQUIRE(write_sidecar(disk.fs, root, {old, "toy", "i", InstanceState::kEmpty}).ok());
  }
  const auto before = families::list_tree(disk.fs, disk.temporary.path()).value();
  std::vector<std::string> bytes;
  for (const std::string& name : before) {
    bytes.push_back(families::read_file(disk.fs, disk.path(name), 1 << 20).value());
  }
  REQUIRE_FALSE(import_image(disk.import_request("b"), image).ok());
  REQUIRE(families::list_tree(disk.fs, disk.temporary.path()).value() == before);
  for (size_t i = 0; i < before.size(); ++i) {
    REQUIRE(families::read_file(disk.fs, disk.path(before[i]), 1 << 20).value() == bytes[i]);
  }
}

TEST_CASE("import: an empty directory and an empty instance of this generation are accepted") {
  TestDisk disk;
  auto source = disk.create("a");
  fill_small(*source);
  const std::string image = export_image(*source).bytes;
  REQUIRE(disk.fs.mkdir(disk.path("b")).ok());
  SECTION("directory") {}
  SECTION("instance") {
    REQUIRE(
        write_sidecar(disk.fs, disk.path("b"), {kTestIdentity, "toy", "i", InstanceState::kEmpty})
            .ok());
  }
  REQUIRE(import_image(disk.import_request("b"), image).ok());
  REQUIRE(read_sidecar(disk.fs, disk.path("b")).value()->state == InstanceState::kCurrent);
}

TEST_CASE("import: a foreign identity is refused before anything is created") {
  TestDisk disk;
  auto source = disk.create("a");
  fill_small(*source);
  const std::string image = export_image(*source).bytes;
  for (int part = 0; part < 4; ++part) {
    ImportRequest request = disk.import_request("b");
    if (part == 0) request.identity.group_id = "other";
    if (part == 1) request.identity.peer_id = "127.0.0.1:8101:0:0";
    if (part == 2) request.identity.lineage = "lineage-0";
    if (part == 3) request.identity.generation = 1;
    REQUIRE(absl::IsFailedPrecondition(import_image(request, image)));
    REQUIRE(disk.fs.list(disk.temporary.path()).value() == std::vector<std::string>{"a"});
  }
}

TEST_CASE("import: an unknown family is refused with the known ones") {
  TestDisk disk;
  auto source = disk.create("a");
  fill_small(*source);
  const absl::Status status =
      import_image(disk.import_request("b", "toi"), export_image(*source).bytes);
  REQUIRE(absl::IsNotFound(status));
  REQUIRE(to_std(status.message()).find("\"toy\"") != std::string_view::npos);
}

TEST_CASE("import: stopped after any step, neither root nor staging opens, and a retry succeeds") {
  TestDisk disk;
  auto source = disk.create("a");
  fill_small(*source);
  const Exported image = export_image(*source);
  const MemorySource bytes("test.qki", image.bytes);
  int steps = 0;
  for (int stop = 0;; ++stop) {
    bool finished = false;
    {
      Importer importer(disk.import_request("b"), &bytes);
      for (steps = 0; steps < stop && !finished; ++steps) finished = importer.step(1).value();
    }
    if (finished) break;
    for (const std::string& name : {disk.path("b"), cat(disk.path("b"), "/", kStagingName)}) {
      families::OpenRequest request;
      request.fs = &disk.fs;
      request.root = name;
      REQUIRE_FALSE(open_instance(disk.registry, request, "toy", kTestIdentity).ok());
    }
  }
  REQUIRE(steps > 12);
  families::OpenRequest request;
  request.fs = &disk.fs;
  request.root = disk.path("b");
  auto copy = open_instance(disk.registry, request, "toy", kTestIdentity);
  REQUIRE(copy.ok());
  REQUIRE(compute_digest(**copy).value() == image.totals.state);
}

TEST_CASE("import: discard leaves nothing") {
  TestDisk disk;
  auto source = disk.create("a");
  fill_small(*source);
  const std::string image = export_image(*source).bytes;
  const MemorySource bytes("test.qki", image);
  for (int stop = 0; stop < 12; ++stop) {
    Importer importer(disk.import_request("b"), &bytes);
    for (int step = 0; step < stop; ++step) REQUIRE_FALSE(importer.step(1).value());
    REQUIRE(importer.discard().ok());
    REQUIRE(disk.fs.list(disk.temporary.path()).value() == std::vector<std::string>{"a"});
  }
}

TEST_CASE("import: a staging place that no import made is not removed") {
  TestDisk disk;
  auto source = disk.create("a");
  fill_small(*source);
  const std::string image = export_image(*source).bytes;
  const std::string staging = cat(disk.path("b"), "/", kStagingName);
  REQUIRE(families::make_directories(disk.fs, staging).ok());
  REQUIRE(families::write_file(disk.fs, staging + "/precious", "x").ok());
  REQUIRE(absl::IsAlreadyExists(import_image(disk.import_request("b"), image)));
  REQUIRE(exists(disk.fs, staging + "/precious").value());
}

TEST_CASE("import: one at a time into a root, and the loser changes nothing") {
  TestDisk disk;
  auto source = disk.create("a");
  fill_small(*source);
  const Exported image = export_image(*source);
  const MemorySource bytes("test.qki", image.bytes);
  Importer first(disk.import_request("b"), &bytes);
  const std::string staging = cat(disk.path("b"), "/", kStagingName);
  while (!exists(disk.fs, staging).value()) REQUIRE_FALSE(first.step(1).value());
  {
    Importer second(disk.import_request("b"), &bytes);
    REQUIRE(absl::IsUnavailable(second.run()));
    REQUIRE(second.discard().ok());
  }
  REQUIRE(exists(disk.fs, staging).value());
  REQUIRE(first.run().ok());
  REQUIRE(read_sidecar(disk.fs, disk.path("b")).value()->state == InstanceState::kCurrent);
  REQUIRE(absl::IsAlreadyExists(import_image(disk.import_request("b"), image.bytes)));
}

// Runs something when a directory is about to be made.
class BeforeMkdir final : public families::FileSystemWrapper {
 public:
  BeforeMkdir(families::FileSystem* base, std::string path, std::function<void()> what)
      : FileSystemWrapper(base), path_(std::move(path)), what_(std::move(what)) {}
  absl::Status mkdir(std::string_view path) override {
    if (path == path_ && what_ != nullptr) std::exchange(what_, nullptr)();
    return inner().mkdir(path);
  }

 private:
  const std::string path_;
  std::function<void()> what_;
};

TEST_CASE("import: the second of two leaves a finished instance alone") {
  TestDisk disk;
  auto source = disk.create("a");
  fill_small(*source);
  const Exported image = export_image(*source);
  const MemorySource bytes("test.qki", image.bytes);
  BeforeMkdir slow(&disk.fs, disk.path("b"),
                   [&] { REQUIRE(import_image(disk.import_request("b"), image.bytes).ok()); });
  ImportRequest request = disk.import_request("b");
  request.fs = &slow;
  Importer second(request, &bytes);
  REQUIRE(absl::IsAlreadyExists(second.run()));
  // It thought that it was the one to make the directory.
  REQUIRE(second.discard().ok());
  REQUIRE(read_sidecar(disk.fs, disk.path("b")).value()->state == InstanceState::kCurrent);
}

TEST_CASE("import: a root that is replaced meanwhile is not called imported") {
  TestDisk disk;
  auto source = disk.create("a");
  fill_small(*source);
  const Exported image = export_image(*source);
  const MemorySource bytes("test.qki", image.bytes);
  Importer importer(disk.import_request("b"), &bytes);
  const std::string staging = cat(disk.path("b"), "/", kStagingName);
  while (!exists(disk.fs, staging).value()) REQUIRE_FALSE(importer.step(1).value());
  REQUIRE(disk.fs.rename(disk.path("b"), disk.path("c")).ok());
  REQUIRE(disk.fs.mkdir(disk.path("b")).ok());
  REQUIRE_FALSE(importer.run().ok());
  importer.discard().IgnoreError();
  REQUIRE(disk.fs.list(disk.path("b")).value().empty());
}

TEST_CASE("import: what was prepared keeps its mode, its lost+found and the user's files") {
  TestDisk disk;
  auto source = disk.create("a");
  fill_small(*source);
  const Exported image = export_image(*source);
  const MemorySource bytes("test.qki", image.bytes);
  REQUIRE(families::make_directories(disk.fs, disk.path("b/lost+found")).ok());
  REQUIRE(::chmod(disk.path("b").c_str(), 0750) == 0);
  {
    // Put there while an import was under way: a user's, not the import's.
    Importer importer(disk.import_request("b"), &bytes);
    for (int step = 0; step < 10; ++step) REQUIRE_FALSE(importer.step(1).value());
    REQUIRE(families::write_file(disk.fs, disk.path("b/notes"), "x").ok());
    REQUIRE(importer.discard().ok());
    REQUIRE(disk.fs.list(disk.path("b")).value() ==
            std::vector<std::string>{"lost+found", "notes"});
  }
  REQUIRE(absl::IsAlreadyExists(import_image(disk.import_request("b"), image.bytes)));
  REQUIRE(disk.fs.unlink(disk.path("b/notes")).ok());
  REQUIRE(import_image(disk.import_request("b"), image.bytes).ok());
  REQUIRE(disk.fs.stat(disk.path("b")).value().mode == 0750);
  REQUIRE(exists(disk.fs, disk.path("b/lost+found")).value());
}

// Another program, braft for one, knows neither the sidecar nor the lock.
TEST_CASE("import: state that another program made in the root is not taken for the import's") {
  TestDisk disk;
  auto source = disk.create("a");
  fill_small(*source);
  const Exported image = export_image(*source);
  const MemorySource bytes("test.qki", image.bytes);
  const std::string root = disk.path("b");
  const std::string staging = cat(root, "/", kStagingName);
  const std::string publishing = cat(root, "/", kPublishingName);
  // What the family calls its first file or directory.
  std::string name;
  const auto begin = [&](Importer& importer) {
    while (true) {
      REQUIRE_FALSE(importer.step(1).value());
      if (!exists(disk.fs, staging).value()) continue;
      const std::vector<std::string> names = disk.fs.list(staging).value();
      for (const std::string& one : names) {
        if (one != kSidecarName) name = one;
      }
      if (!name.empty()) return;
    }
  };
  const auto make_foreign = [&] {
    REQUIRE(disk.fs.mkdir(cat(root, "/", name)).ok());
    REQUIRE(families::write_file(disk.fs, cat(root, "/", name, "/precious"), "x").ok());
  };
  const auto precious = [&] { return exists(disk.fs, cat(root, "/", name, "/precious")).value(); };

  {
    Importer importer(disk.import_request("b"), &bytes);
    begin(importer);
    make_foreign();
    REQUIRE(absl::IsAlreadyExists(importer.run()));
    REQUIRE(importer.discard().ok());
    REQUIRE(precious());
    REQUIRE_FALSE(exists(disk.fs, staging).value());
    REQUIRE_FALSE(exists(disk.fs, publishing).value());
    REQUIRE(families::remove_tree(disk.fs, root).ok());
  }
  // Killed before it published anything.
  name.clear();
  {
    Importer importer(disk.import_request("b"), &bytes);
    begin(importer);
  }
  make_foreign();
  const absl::Status refused = import_image(disk.import_request("b"), image.bytes);
  REQUIRE(absl::IsAlreadyExists(refused));
  REQUIRE(to_std(refused.message()).find("did not make") != std::string_view::npos);
  REQUIRE(precious());
  // Killed while it published: the name waits still, so that one in the root is not the import's.
  REQUIRE(disk.fs.rename(staging, publishing).ok());
  REQUIRE(
      families::write_file(disk.fs, cat(publishing, "/", kPublishedNames), cat(name, "\n")).ok());
  REQUIRE(absl::IsAlreadyExists(import_image(disk.import_request("b"), image.bytes)));
  REQUIRE(precious());
  REQUIRE(families::remove_tree(disk.fs, cat(root, "/", name)).ok());
  // It moved there. Another name of the family that it did not move is not the import's.
  REQUIRE(disk.fs.rename(cat(publishing, "/", name), cat(root, "/", name)).ok());
  const std::string other = cat(root, "/", name == "toy" ? "trees" : "toy");
  REQUIRE(families::make_directories(disk.fs, other).ok());
  REQUIRE(absl::IsAlreadyExists(import_image(disk.import_request("b"), image.bytes)));
  REQUIRE(disk.fs.rmdir(other).ok());
  REQUIRE(import_image(disk.import_request("b"), image.bytes).ok());
  REQUIRE(read_sidecar(disk.fs, root).value()->state == InstanceState::kCurrent);
  REQUIRE_FALSE(exists(disk.fs, publishing).value());
}

// Removes the import's directory once the first name has been moved out of it.
class PublishingRemoved final : public families::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  absl::Status rename_new(std::string_view from, std::string_view to) override {
    const absl::Status renamed = inner().rename_new(from, to);
    if (families::base_name(families::parent_path(from)) == kPublishingName) {
      ++moved;
      REQUIRE(families::remove_tree(inner(), families::parent_path(from)).ok());
    }
    return renamed;
  }
  int moved = 0;
};

// The names there are not marked any more; without the sidecar they would be a bare instance.
TEST_CASE("import: what was moved is taken back though the list of it is gone") {
  TestDisk disk;
  auto source = disk.create("a");
  fill_small(*source);
  const Exported image = export_image(*source);
  const MemorySource bytes("test.qki", image.bytes);
  for (const bool prepared : {false, true}) {
    INFO("prepared " << prepared);
    if (prepared) REQUIRE(disk.fs.mkdir(disk.path("b")).ok());
    PublishingRemoved removed(&disk.fs);
    ImportRequest request = disk.import_request("b");
    request.fs = &removed;
    Importer importer(request, &bytes);
    REQUIRE_FALSE(importer.run().ok());
    REQUIRE(removed.moved > 0);
    REQUIRE(importer.discard().ok());
    REQUIRE(exists(disk.fs, disk.path("b")).value() == prepared);
    if (prepared) REQUIRE(disk.fs.list(disk.path("b")).value().empty());
  }
}

TEST_CASE("import: a symbolic link as destination is refused before the image is read") {
  TestDisk disk;
  REQUIRE(disk.fs.mkdir(disk.path("target")).ok());
  REQUIRE(::symlink("target", disk.path("b").c_str()) == 0);
  const absl::Status status = import_image(disk.import_request("b"), "no image");
  REQUIRE(absl::IsAlreadyExists(status));
  REQUIRE(to_std(status.message()).find("symbolic link") != std::string_view::npos);
}

TEST_CASE("import: a family that stores something else is caught before it becomes current") {
  TestDisk disk;
  auto source = disk.create("a");
  fill_small(*source);
  ToyFaults faults;
  faults.mangled = 8;
  disk.registry.add(faulty_toy_family(&faults));
  const absl::Status status =
      import_image(disk.import_request("b", "faulty-toy"), export_image(*source).bytes);
  REQUIRE(absl::IsDataLoss(status));
  REQUIRE(read_sidecar(disk.fs, disk.path("b")).value()->state == InstanceState::kImporting);
  families::OpenRequest request;
  request.fs = &disk.fs;
  request.root = disk.path("b");
  REQUIRE_FALSE(open_instance(disk.registry, request, "faulty-toy", kTestIdentity).ok());
}

// What a file holds that could not be closed is unknown.
TEST_CASE("import: a family whose close fails is not called imported") {
  class FailingClose final : public families::FamilyWrapper {
   public:
    FailingClose(std::unique_ptr<Family> inner, int* left)
        : FamilyWrapper(std::move(inner)), left_(*left) {}
    absl::Status close() override {
      QK_RETURN_IF_ERROR(inner().close());
      return left_-- == 0 ? absl::UnavailableError("close failed") : absl::OkStatus();
    }

   private:
    int& left_;
  };
  TestDisk disk;
  auto source = disk.create("a");
  fill_small(*source);
  const Exported image = export_image(*source);
  int left = 0;
  families::FamilyDescriptor family = toy_family();
  family.name = "closing";
  family.open =
      [&left, open = family.open](
          const families::OpenRequest& request) -> absl::StatusOr<std::unique_ptr<Family>> {
    QK_ASSIGN_OR_RETURN(std::unique_ptr<Family> opened, open(request));
    return std::make_unique<FailingClose>(std::move(opened), &left);
  };
  disk.registry.add(family);
  // It is closed after it was written, and after it was read back.
  for (int close = 0; close < 2; ++close) {
    INFO("close " << close);
    left = close;
    const std::string name = cat("b", close);
    const absl::Status status = import_image(disk.import_request(name, "closing"), image.bytes);
    CHECK(absl::IsUnavailable(status));
    CHECK(read_sidecar(disk.fs, disk.path(name)).value()->state == InstanceState::kImporting);
  }
  left = 2;
  CHECK(import_image(disk.import_request("b", "closing"), image.bytes).ok());
  CHECK(left == 0);
}

}  // namespace
}  // namespace qk::image
