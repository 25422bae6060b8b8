// The image between the families of this build, and on directories that real braft wrote: equal
// content bytes from every family, and the same state on the other side, for each ordered pair.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <set>

#include "families/builtin.h"
#include "families/testing/golden_support.h"
#include "image/report.h"
#include "image/test_state.h"

namespace qk::image {
namespace {

struct Families : TestDisk {
  families::VolatileMemory memory{1};
  std::vector<std::string> names;

  Families() {
    registry = families::builtin_families(&memory);
    registry.add(toy_family());
    for (const families::FamilyDescriptor& family : registry.all()) names.push_back(family.name);
    REQUIRE(names.size() >= 3);
  }
  std::unique_ptr<Family> open_golden(const std::string& name) {
    REQUIRE(families::golden_archive().unpack(name, fs, path(name)).ok());
    return open("local", name, false);
  }
};

TEST_CASE("content bytes are equal from every family") {
  Families disk;
  std::vector<Exported> images;
  for (const std::string& name : disk.names) {
    auto family = disk.create(name, name);
    fill(*family);
    images.push_back(export_image(*family, name));
    INFO(name);
    REQUIRE(content_of(images.back()) == content_of(images.front()));
    REQUIRE(images.back().totals.state == images.front().totals.state);
  }
}

TEST_CASE("each ordered pair: import of an export gives the state and the content back") {
  Families disk;
  for (const std::string& from : disk.names) {
    auto source = disk.create(cat("from-", from), from);
    fill(*source);
    const Exported image = export_image(*source, from);
    for (const std::string& to : disk.names) {
      INFO(from << " to " << to);
      const std::string name = cat(from, "-", to);
      const absl::Status imported = import_image(disk.import_request(name, to), image.bytes, 333);
      INFO(imported);
      REQUIRE(imported.ok());
      auto copy = disk.open(to, name, false);
      REQUIRE(compare(*source, *copy, 17).equal);
      REQUIRE(content_of(export_image(*copy, to)) == content_of(image));
      // It goes on as an instance of its own.
      append(*copy, 10301, 10302);
      REQUIRE(copy->meta().save({30, ""}).ok());
      REQUIRE(publish(*copy, {10301, 15, {}, {}}, {{"n", "new", {}}}).ok());
    }
  }
}

TEST_CASE("empty logs after a snapshot, and fresh instances, pass between all families") {
  Families disk;
  for (const std::string& from : disk.names) {
    for (const bool fresh : {true, false}) {
      auto source = disk.create(cat("from-", from, fresh), from);
      if (!fresh) {
        REQUIRE(publish(*source, {8, 2, {"127.0.0.1:1:0:0"}, {}}, {}).ok());
        REQUIRE(source->log().reset(9).ok());
        REQUIRE(source->meta().save({2, ""}).ok());
      }
      const Exported image = export_image(*source, from);
      for (const std::string& to : disk.names) {
        INFO(from << " to " << to << (fresh ? ", fresh" : ""));
        const std::string name = cat(from, "-", to, fresh);
        const absl::Status imported = import_image(disk.import_request(name, to), image.bytes);
        INFO(imported);
        REQUIRE(imported.ok());
        auto copy = disk.open(to, name, false);
        REQUIRE(copy->log().first_index() == (fresh ? 1 : 9));
        REQUIRE(compute_digest(*copy).value() == image.totals.state);
      }
    }
  }
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define QK_MEMORY_IS_NOT_FREED  // a sanitizer keeps it for a while
#endif
#endif

#ifndef QK_MEMORY_IS_NOT_FREED
// Resident memory in KiB that `work` needs beyond what this process has, in a child of its own.
int64_t memory_of(const std::function<absl::Status()>& work) {
  int result[2];
  REQUIRE(::pipe(result) == 0);
  const auto peak_kib = [] {
    rusage usage;
    return ::getrusage(RUSAGE_SELF, &usage) == 0 ? int64_t{usage.ru_maxrss} : int64_t{-1};
  };
  const pid_t child = ::fork();
  if (child == 0) {
    const int64_t before = peak_kib();
    const int64_t grown = work().ok() ? peak_kib() - before : -1;
    ::_exit(::write(result[1], &grown, sizeof grown) == sizeof grown ? 0 : 1);
  }
  REQUIRE(child > 0);
  int64_t grown = -1;
  const bool told = ::read(result[0], &grown, sizeof grown) == sizeof grown;
  ::close(result[0]);
  ::close(result[1]);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  return told ? grown : -1;
}

TEST_CASE("the largest entry is held about twice by an export and an import") {
  constexpr size_t kEntry = 48 << 20;
  constexpr int64_t kLimitKib = int64_t{kEntry} * 3 / 1024;
  Families disk;
  const auto request = [&](const std::string& name, bool create) {
    families::OpenRequest open;
    open.fs = &disk.fs;
    open.root = disk.path(name);
    open.create = create;
    return open;
  };
  const std::string file = disk.path("image.qki");
  // In children, too, so that this process never has what it frees.
  REQUIRE(memory_of([&]() -> absl::Status {
            QK_ASSIGN_OR_RETURN(const auto family, families::open_family(disk.registry, "local",
                                                                         request("local", true)));
            for (int64_t index = 1; index <= 3; ++index) {
              const std::vector<LogEntry> one = {{index, 1, families::EntryType::kData,
                                                  std::string(kEntry, static_cast<char>(index))}};
              QK_RETURN_IF_ERROR(family->log().append(one).status());
            }
            return absl::OkStatus();
          }) > 0);
  const auto export_to = [&](const std::string& family_name, Sink* sink) -> absl::Status {
    QK_ASSIGN_OR_RETURN(const auto family, families::open_family(disk.registry, family_name,
                                                                 request(family_name, false)));
    QK_ASSIGN_OR_RETURN(ExportCut cut, ExportCut::capture(*family, 1));
    Exporter exporter(family.get(), std::move(cut), kTestIdentity, family_name, "1", sink);
    return exporter.run();
  };
  const int64_t exported = memory_of([&] {
    FileSink sink(&disk.fs, file);
    return export_to("local", &sink);
  });
  CHECK(exported > 0);
  CHECK(exported < kLimitKib);
  for (const std::string to : {"local", "sqlite"}) {
    INFO(to);
    const int64_t imported = memory_of([&]() -> absl::Status {
      QK_ASSIGN_OR_RETURN(const auto source, FileSource::open(disk.fs, file));
      Importer importer(disk.import_request(cat("to-", to), to), source.get());
      return importer.run();
    });
    CHECK(imported > 0);
    CHECK(imported < kLimitKib);
  }
}
#endif

// Golden cases with a term below the last entry's or the snapshot's.
const std::set<std::string> kLostVotes = {"h11", "h18", "h19", "h21", "h28",
                                          "h29", "h35", "h39", "h43"};

// A log whose first entries are nowhere cannot start a node; braft says so, and so does the export.
TEST_CASE("real braft directories go through an image into every family") {
  size_t carried = 0;
  for (const std::string& name : families::golden_cases({"h", "cluster-"})) {
    INFO(name);
    Families disk;
    auto source = disk.open_golden(name);
    const nlohmann::json expected = families::golden_expectation(name);
    auto image = try_export(*source, "local");
    // Written by storage calls alone, without a save of the entries' term: a lost vote, which is
    // exported only if that is accepted, and the image says so.
    const bool lost_vote = absl::IsFailedPrecondition(image.status());
    CHECK(lost_vote == (kLostVotes.count(name.substr(0, 3)) > 0));
    if (lost_vote) {
      CHECK(to_std(image.status().message()).find("lost vote") != std::string_view::npos);
      image = try_export(*source, "local", 1 << 20, true);
    }
    if (image.ok()) {
      const MemorySource bytes("image", image->bytes);
      CHECK(verify_image(bytes).value().header.features.lost_vote == lost_vote);
    }
    if (!image.ok()) {
      INFO(image.status());
      REQUIRE(to_std(image.status().message()).find("gap") != std::string_view::npos);
      REQUIRE_FALSE(expected["node"]["ok"].get<bool>());
      continue;
    }
    ++carried;
    for (const std::string& to : disk.names) {
      INFO(to);
      const absl::Status imported = import_image(disk.import_request(to, to), image->bytes);
      INFO(imported);
      REQUIRE(imported.ok());
      auto copy = disk.open(to, to, false);
      const auto again = try_export(*copy, to, 1 << 20, lost_vote);
      INFO(again.status());
      REQUIRE(again.ok());
      REQUIRE(content_of(*again) == content_of(*image));
      REQUIRE(families::differences(*copy, expected) == std::vector<std::string>{});
    }
  }
  REQUIRE(carried > 20);
}

// A healthy directory of a deployed service: its table lists "/max_id.json" and "dir/x".
TEST_CASE("names of snapshot files that are not in normal form go through every family and back") {
  const auto archive = families::GoldenArchive::load(
      QK_SOURCE_DIR "/families/local/testdata/braft-directories.tar.gz");
  REQUIRE(archive.ok());
  Families disk;
  REQUIRE(archive->unpack("leading-slash", disk.fs, disk.path("source")).ok());
  // What a service left beside its files is part of the tree.
  const std::string tree = "/snapshot/snapshot_00000000000000000010/";
  REQUIRE(families::write_file(disk.fs, disk.path("source") + tree + "dir/notes", "mine").ok());
  auto source = disk.open("local", "source", false);
  const Exported image = export_image(*source, "local");
  const Features features =
      verify_image(MemorySource("image", image.bytes)).value().header.features;
  CHECK((features.listed_names && features.unlisted_files));
  for (const std::string& to : disk.names) {
    INFO(to);
    const absl::Status imported = import_image(disk.import_request(to, to), image.bytes);
    INFO(imported);
    REQUIRE(imported.ok());
    auto copy = disk.open(to, to, false);
    const auto reader = copy->snapshot().open().value();
    REQUIRE(reader->files() ==
            std::vector<families::SnapshotFile>{{"/max_id.json", {}}, {"dir/x", {}}});
    REQUIRE(reader->unlisted().value() == std::vector<std::string>{"dir/notes"});
    const Exported again = export_image(*copy, to);
    CHECK(content_of(again) == content_of(image));
    // Back into braft's own layout: the file lies where braft looks for it.
    const std::string back = cat("back-from-", to);
    REQUIRE(import_image(disk.import_request(back, "local"), again.bytes).ok());
    for (const std::string name : {"max_id.json", "dir/x", "dir/notes", "__raft_snapshot_meta"}) {
      const std::string file = tree + name;
      CHECK(families::read_file(disk.fs, disk.path(back) + file, 100).value() ==
            families::read_file(disk.fs, disk.path("source") + file, 100).value());
    }
  }
}

}  // namespace
}  // namespace qk::image
