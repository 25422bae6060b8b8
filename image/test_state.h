// States to export, import and compare, and the shortest way to make them, for the tests of image.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/fs/unsynced_file_system.h"
#include "image/exporter.h"
#include "image/importer.h"
#include "image/toy_family.h"

namespace qk::image {

using families::Family;
using families::LogEntry;

inline const Identity kTestIdentity{"group", "127.0.0.1:8100:0:0", "lineage-1", 2};

struct TestFile {
  std::string path;
  std::string bytes;
  families::FileMeta meta;
  bool unlisted = false;  // in the tree, but not in the table
};

// Terms and payloads that differ from entry to entry; some configurations and no-ops among them.
inline LogEntry test_entry(int64_t index) {
  LogEntry entry{index, 1 + index / 700, families::EntryType::kData, cat("payload-", index)};
  if (index % 50 == 7) {
    entry.type = families::EntryType::kNoOp;
    entry.payload.clear();
  }
  if (index % 50 == 9) {
    entry.type = families::EntryType::kConfiguration;
    entry.payload = families::encode_configuration(
        {{"127.0.0.1:8100:0:0", "127.0.0.1:8101:0:0"}, {"127.0.0.1:8102:0:0"}});
  }
  return entry;
}

inline void append(Family& family, int64_t from, int64_t to) {
  std::vector<LogEntry> batch;
  for (int64_t index = from; index <= to; ++index) batch.push_back(test_entry(index));
  REQUIRE(family.log().append(batch).ok());
}

inline families::Outcome publish(Family& family, const families::SnapshotMeta& meta,
                                 const std::vector<TestFile>& files) {
  auto writer = family.snapshot().create().value();
  for (const TestFile& file : files) {
    auto opened = writer->create_file(file.path).value();
    if (!file.bytes.empty()) REQUIRE(opened->write_at(0, file.bytes).ok());
    if (!file.unlisted) REQUIRE(writer->add_file(file.path, file.meta).ok());
  }
  REQUIRE(writer->save_meta(meta).ok());
  return family.snapshot().publish(std::move(writer));
}

// Nested, empty, larger than a chunk, non-ASCII, every presence of file meta.
inline std::vector<TestFile> test_files() {
  return {{"a", "alpha", {}},
          {"a-b", "", {"", std::nullopt, std::nullopt}},
          {"dir/deep/\xc3\xa4.bin", std::string(kChunkBytes * 2 + 5, 'z'), {"user", 1, "c0ffee"}},
          {"dir/exact", std::string(kChunkBytes, 'e'), {std::nullopt, 0, std::nullopt}}};
}

inline const families::SnapshotMeta kTestSnapshot{
    8635, 13, {"127.0.0.1:8100:0:0", "127.0.0.1:8101:0:0"}, {"127.0.0.1:8102:0:0"}};

// A full state: snapshot 8635, log 8600..10300 in three blocks, term and vote.
inline void fill(Family& family) {
  REQUIRE(family.meta().save({20, "127.0.0.1:8101:0:0"}).ok());
  REQUIRE(publish(family, kTestSnapshot, test_files()).ok());
  REQUIRE(family.log().reset(8600).ok());
  append(family, 8600, 10300);
}

// A state of a few hundred bytes with every kind of object.
inline void fill_small(Family& family) {
  REQUIRE(family.meta().save({5, "127.0.0.1:8100:0:0"}).ok());
  REQUIRE(publish(family, {6, 1, {"127.0.0.1:8100:0:0"}, {}}, {{"data", "v", {"m", 0, "c"}}}).ok());
  REQUIRE(family.log().reset(7).ok());
  append(family, 7, 9);
}

struct TestDisk {
  families::PosixFileSystem posix;
  families::UnsyncedFileSystem fs{&posix};
  families::TempDirectory temporary;
  families::Registry registry;

  TestDisk() { registry.add(toy_family()); }
  std::string path(std::string_view name) const {
    return families::join_path(temporary.path(), name);
  }
  std::unique_ptr<Family> open(std::string_view family, std::string_view name, bool create) {
    families::OpenRequest request;
    request.fs = &fs;
    request.root = path(name);
    request.create = create;
    auto opened = families::open_family(registry, family, request);
    INFO(opened.status());
    REQUIRE(opened.ok());
    return *std::move(opened);
  }
  std::unique_ptr<Family> create(std::string_view name, std::string_view family = "toy") {
    return open(family, name, true);
  }
  ImportRequest import_request(std::string_view name, std::string_view family = "toy") {
    ImportRequest request;
    request.registry = &registry;
    request.fs = &fs;
    request.root = path(name);
    request.family = family;
    request.identity = kTestIdentity;
    request.instance = "instance";
    return request;
  }
};

struct Exported {
  std::string bytes;
  ImageTotals totals;
};
inline absl::StatusOr<Exported> try_export(Family& family, std::string_view family_name = "toy",
                                           int64_t step = 1 << 20, bool accept_lost_vote = false) {
  Exported exported;
  MemorySink sink(&exported.bytes);
  QK_ASSIGN_OR_RETURN(ExportCut cut, ExportCut::capture(family, 17));
  cut.accept_lost_vote = accept_lost_vote;
  Exporter exporter(&family, std::move(cut), kTestIdentity, std::string(family_name), "1", &sink);
  while (true) {
    QK_ASSIGN_OR_RETURN(const bool finished, exporter.step(step));
    if (finished) break;
  }
  exported.totals = exporter.totals();
  return exported;
}
inline Exported export_image(Family& family, std::string_view family_name = "toy",
                             int64_t step = 1 << 20) {
  auto exported = try_export(family, family_name, step);
  INFO(exported.status());
  REQUIRE(exported.ok());
  return *std::move(exported);
}

inline absl::Status import_image(const ImportRequest& request, std::string_view bytes,
                                 int64_t step = 1 << 20) {
  const MemorySource source("test.qki", bytes);
  Importer importer(request, &source);
  while (true) {
    const auto finished = importer.step(step);
    QK_RETURN_IF_ERROR(finished.status());
    if (*finished) return absl::OkStatus();
  }
}

// The content section of an image.
inline std::string_view content_of(const Exported& image) {
  const size_t header = kMagic.size() + kFrameOverhead + get_le32(image.bytes.data() + 9);
  return std::string_view(image.bytes).substr(header, image.totals.content_bytes);
}

}  // namespace qk::image
