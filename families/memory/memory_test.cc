// The memory family, for what is its own: what a clean close keeps, what a crash takes, and that a
// lost instance never comes back as a fresh one. The contract's general rules are conformance's.
#include <catch2/catch.hpp>

#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/memory/memory_family.h"

namespace qk::families {
namespace {

constexpr const char* kPeer = "127.0.0.1:8100:0:0";

struct Bench {
  TempDirectory temporary;
  PosixFileSystem fs;
  VolatileMemory memory{7};
  std::string root = cat(temporary.path(), "/root");

  absl::StatusOr<std::unique_ptr<Family>> try_open(bool create) {
    OpenRequest request;
    request.fs = &fs;
    request.root = root;
    request.create = create;
    return memory_family(&memory).open(request);
  }
  std::unique_ptr<Family> open(bool create) {
    auto family = try_open(create);
    INFO(family.status());
    REQUIRE(family.ok());
    return *std::move(family);
  }
  std::string id_file() const { return cat(root, "/instance"); }
};

std::vector<LogEntry> entries(int64_t from, int64_t to, int64_t term = 1) {
  std::vector<LogEntry> out;
  for (int64_t index = from; index <= to; ++index) {
    out.push_back({index, term, EntryType::kData, cat("payload ", index)});
  }
  return out;
}

Outcome publish(Family& family, int64_t index, std::string_view bytes) {
  auto writer = family.snapshot().create().value();
  REQUIRE(writer->create_file("dir/data").value()->write_at(0, bytes).ok());
  REQUIRE(writer->add_file("dir/data", {"meta", 1, "sum"}).ok());
  REQUIRE(writer->save_meta({index, 1, {kPeer}, {}}).ok());
  return family.snapshot().publish(std::move(writer));
}

// Log 3..5, term 4, a snapshot at 4.
void fill(Family& family) {
  REQUIRE(family.log().append(entries(1, 8)).count() == 8);
  REQUIRE(family.log().truncate_suffix(5).ok());
  REQUIRE(family.log().truncate_prefix(3).ok());
  REQUIRE(family.meta().save({4, kPeer}).ok());
  REQUIRE(publish(family, 4, "four").count() == 1);
}

void check_filled(Family& family) {
  CHECK(family.log().first_index() == 3);
  CHECK(family.log().last_index() == 5);
  for (int64_t index = 3; index <= 5; ++index) {
    CHECK(family.log().entry(index).value().payload == cat("payload ", index));
    CHECK(family.log().term(index).value() == 1);
  }
  CHECK(family.meta().hard_state() == HardState{4, kPeer});
  const auto reader = family.snapshot().open();
  INFO(reader.status());
  REQUIRE(reader.ok());
  CHECK((*reader)->meta() == SnapshotMeta{4, 1, {kPeer}, {}});
  REQUIRE((*reader)->files().size() == 1);
  CHECK((*reader)->files()[0] == SnapshotFile{"dir/data", {"meta", 1, "sum"}});
}

TEST_CASE("a clean close keeps everything, a crash leaves nothing that opens") {
  Bench bench;
  CHECK(absl::IsNotFound(bench.try_open(false).status()));
  fill(*bench.open(true));
  check_filled(*bench.open(false));
  check_filled(*bench.open(true));

  bench.memory.lose();
  for (const bool create : {false, true}) {
    const absl::Status lost = bench.try_open(create).status();
    INFO(lost);
    CHECK(absl::IsNotFound(lost));
    CHECK(to_std(lost.message()).find("lost in a crash") != std::string_view::npos);
  }
  // Another process never had it.
  VolatileMemory other(8);
  OpenRequest request;
  request.fs = &bench.fs;
  request.root = bench.root;
  request.create = true;
  CHECK(absl::IsNotFound(memory_family(&other).open(request).status()));
}

TEST_CASE("an id is never given twice, crashes included") {
  VolatileMemory memory(7);
  const std::string first = memory.new_id();
  memory.put(first, std::make_shared<int>(1));
  memory.lose();
  CHECK(memory.find(first) == nullptr);
  CHECK(memory.new_id() != first);
  CHECK(VolatileMemory(8).new_id() != first);
}

TEST_CASE("an instance that is open at the crash ends with it") {
  Bench bench;
  auto family = bench.open(true);
  fill(*family);
  bench.memory.lose();
  // The next process starts before the old one's objects are gone.
  CHECK(absl::IsNotFound(bench.try_open(true).status()));
  check_filled(*family);
  family.reset();
  CHECK(absl::IsNotFound(bench.try_open(true).status()));
}

TEST_CASE("an instance is open once at a time, and may be moved while it is closed") {
  Bench bench;
  auto family = bench.open(true);
  CHECK(absl::IsUnavailable(bench.try_open(false).status()));
  fill(*family);
  family.reset();
  const std::string moved = cat(bench.root, "-moved");
  REQUIRE(bench.fs.rename(bench.root, moved).ok());
  CHECK(absl::IsNotFound(bench.try_open(false).status()));
  bench.root = moved;
  check_filled(*bench.open(false));
}

TEST_CASE("two instances do not see each other, and the same place holds a new one after removal") {
  Bench bench;
  fill(*bench.open(true));
  const std::string first = bench.root;
  bench.root += "-2";
  CHECK(bench.open(true)->log().last_index() == 0);
  REQUIRE(remove_tree(bench.fs, first).ok());
  bench.root = first;
  CHECK(bench.open(true)->log().last_index() == 0);
}

TEST_CASE("a damaged, missing or newer id file is an error that names it") {
  Bench bench;
  fill(*bench.open(true));
  const std::string good = read_file(bench.fs, bench.id_file(), 4096).value();
  const auto expect = [&](const std::string& bytes, absl::StatusCode code) {
    REQUIRE(write_file(bench.fs, bench.id_file(), bytes).ok());
    const absl::Status status = bench.try_open(true).status();
    INFO(bytes << ": " << status);
    CHECK(status.code() == code);
    CHECK(to_std(status.message()).find(bench.id_file()) != std::string_view::npos);
  };
  for (size_t i = 0; i < good.size(); ++i) {
    if (i >= good.find(" 1\n") && i <= good.find(" 1\n") + 1) continue;  // the version
    std::string flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    expect(flipped, absl::StatusCode::kDataLoss);
    expect(good.substr(0, i), absl::StatusCode::kDataLoss);
  }
  expect(good + "\n", absl::StatusCode::kDataLoss);
  std::string newer = good;
  newer.replace(newer.find(" 1\n"), 2, " 2");
  expect(newer, absl::StatusCode::kFailedPrecondition);

  // Trees without the file are what is left of an instance, never a fresh one (ora.L13).
  REQUIRE(bench.fs.unlink(bench.id_file()).ok());
  CHECK(absl::IsDataLoss(bench.try_open(true).status()));

  REQUIRE(write_file(bench.fs, bench.id_file(), good).ok());
  check_filled(*bench.open(false));
}

}  // namespace
}  // namespace qk::families
