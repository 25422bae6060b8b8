// The local family as a whole: what opens and what does not, the hard state, snapshots and their
// readers, and how it behaves after an error.
#include "families/local/local_family.h"

#include <catch2/catch.hpp>
#include <cerrno>

#include "families/fs/fault_file_system.h"
#include "families/fs/file_system_wrapper.h"
#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/local/snapshot_table.h"
#include "families/testing/scratch_disk.h"

namespace qk::families {
namespace {

constexpr const char* kPeer = "127.0.0.1:8100:0:0";
constexpr const char* kOther = "127.0.0.1:8101:0:0";

class Bench {
 public:
  absl::StatusOr<std::unique_ptr<Family>> open(bool create = true, FamilyOptions options = {}) {
    options.try_emplace("segment_size", "200");
    return local_family().open(
        {.fs = &fault, .root = root(), .create = create, .options = std::move(options)});
  }
  std::unique_ptr<Family> must_open() {
    auto family = open();
    INFO(family.status());
    REQUIRE(family.ok());
    return *std::move(family);
  }
  std::string root() { return join_path(disk_.path(), "node/local"); }
  std::string path(std::string_view name) { return join_path(root(), name); }

 private:
  ScratchDisk disk_;

 public:
  FileSystem& fs = disk_.fs();
  FaultFileSystem fault{&fs};
};

std::vector<LogEntry> entries(int64_t from, int64_t to) {
  std::vector<LogEntry> batch;
  for (int64_t i = from; i <= to; ++i) batch.push_back({i, 1, EntryType::kData, "payload"});
  return batch;
}

using Files = std::vector<std::pair<std::string, std::string>>;

std::unique_ptr<SnapshotWriter> write_snapshot(Family& family, const SnapshotMeta& meta,
                                               const Files& files) {
  auto writer = family.snapshot().create();
  INFO(writer.status());
  REQUIRE(writer.ok());
  for (const auto& [name, bytes] : files) {
    auto file = (*writer)->create_file(name);
    REQUIRE(file.ok());
    REQUIRE((*file)->write_at(0, bytes).ok());
    REQUIRE((*writer)->add_file(name, {}).ok());
  }
  REQUIRE((*writer)->save_meta(meta).ok());
  return *std::move(writer);
}

std::string read_all(const SnapshotReader& reader, std::string_view name) {
  const auto file = reader.open_file(name);
  REQUIRE(file.ok());
  std::string bytes(*(*file)->size(), '\0');
  REQUIRE(read_exact(**file, name, 0, bytes).ok());
  return bytes;
}

TEST_CASE("what is not an instance is not found, and what lost its log is damaged") {
  Bench bench;
  CHECK(absl::IsNotFound(bench.open(false).status()));
  CHECK(absl::IsNotFound(bench.fs.stat(bench.root()).status()));
  REQUIRE(make_directories(bench.fs, bench.path("log")).ok());
  CHECK(absl::IsNotFound(bench.open(false).status()));
  {
    auto family = bench.must_open();
    REQUIRE(family->meta().save({2, kPeer}).ok());
  }
  CHECK(bench.open(false).ok());
  REQUIRE(bench.fs.unlink(bench.path("log/log_meta")).ok());
  for (const bool create : {false, true}) {
    const absl::Status status = bench.open(create).status();
    CHECK(absl::IsDataLoss(status));
    CHECK_THAT(std::string(status.message()), Catch::Contains("raft_meta record"));
  }
}

TEST_CASE("options are checked") {
  Bench bench;
  for (const char* bad : {"0", "-1", "8 MiB", "2GiB", "x", "", "99999999999999999999"}) {
    INFO(bad);
    CHECK(absl::IsInvalidArgument(bench.open(true, {{"segment_size", bad}}).status()));
  }
  for (const char* good : {"1", "64KiB", "8MiB", "1GiB"}) {
    INFO(good);
    CHECK(bench.open(true, {{"segment_size", good}}).ok());
  }
  CHECK(bench.open(true, {{"checksum", "murmur32"}}).ok());
  CHECK(absl::IsInvalidArgument(bench.open(true, {{"checksum", "sha1"}}).status()));
  CHECK(absl::IsInvalidArgument(bench.open(true, {{"durability", "STRICT"}}).status()));
  CHECK(absl::IsInvalidArgument(bench.open(true, {{"colour", "red"}}).status()));
}

TEST_CASE("the hard state obeys the contract and survives reopening") {
  Bench bench;
  auto family = bench.must_open();
  CHECK(family->meta().hard_state() == HardState{1, ""});
  CHECK(family->meta().save({1, kPeer}).ok());
  CHECK(family->meta().save({3, ""}).ok());
  CHECK(family->meta().save({3, kPeer}).ok());
  for (const HardState& bad : {HardState{3, kOther}, HardState{3, ""}, HardState{2, kPeer},
                               HardState{4, "127.0.0.1:8100"}, HardState{4, "nonsense"}}) {
    const Outcome outcome = family->meta().save(bad);
    CHECK(outcome.kind() == Outcome::Kind::kFailedClean);
    CHECK(absl::IsInvalidArgument(outcome.status()));
  }
  CHECK(family->meta().hard_state() == HardState{3, kPeer});
  family = bench.must_open();
  CHECK(family->meta().hard_state() == HardState{3, kPeer});
}

TEST_CASE("a snapshot keeps its tree, its table and its meta") {
  Bench bench;
  auto family = bench.must_open();
  CHECK(absl::IsNotFound(family->snapshot().open().status()));
  CHECK_FALSE(family->snapshot().current().has_value());
  const SnapshotMeta meta{7, 2, {kPeer, kOther}, {kPeer}};
  auto writer = write_snapshot(*family, meta, {{"b/c/d", "deep"}, {"a", ""}, {"gone", "x"}});
  REQUIRE(writer->create_file("bad\xff\xfename").ok());
  const FileMeta full{std::string("\0\x80", 2), 1, "sum"};
  REQUIRE(writer->add_file("bad\xff\xfename", full).ok());
  CHECK(absl::IsAlreadyExists(writer->add_file("a", {})));
  CHECK(writer->remove_file("gone").ok());
  CHECK(absl::IsNotFound(writer->remove_file("gone")));
  for (const char* unsafe : {"../x", "/../x", "a/../../b", "", "a/", "/__raft_snapshot_meta"}) {
    INFO(unsafe);
    CHECK(absl::IsInvalidArgument(writer->create_file(unsafe).status()));
    CHECK(absl::IsInvalidArgument(writer->add_file(unsafe, {})));
  }
  REQUIRE(writer->seal().ok());
  REQUIRE(writer->seal().ok());
  CHECK_FALSE(writer->add_file("late", {}).ok());
  const Outcome outcome = family->snapshot().publish(std::move(writer));
  REQUIRE(outcome.ok());
  CHECK(outcome.count() == 1);

  for (int round = 0; round < 2; ++round) {
    CHECK(family->snapshot().current() == meta);
    const auto reader = family->snapshot().open();
    REQUIRE(reader.ok());
    CHECK((*reader)->meta() == meta);
    REQUIRE((*reader)->files().size() == 3);
    CHECK((*reader)->files()[0] == SnapshotFile{"a", {}});
    CHECK((*reader)->files()[1] == SnapshotFile{"b/c/d", {}});
    CHECK((*reader)->files()[2] == SnapshotFile{"bad\xff\xfename", full});
    CHECK(read_all(**reader, "b/c/d") == "deep");
    CHECK(read_all(**reader, "a").empty());
    CHECK(*read_file(bench.fs, join_path((*reader)->get_path(), "b/c/d"), 100) == "deep");
    CHECK(absl::IsNotFound((*reader)->open_file("gone").status()));
    family = bench.must_open();
  }
}

// A table that a deployed service wrote, or somebody else.
TEST_CASE("a table is damaged, or lists a name that no snapshot may have, but never both") {
  Bench bench;
  { (void)bench.must_open(); }
  const std::string tree = bench.path("snapshot/snapshot_00000000000000000007");
  REQUIRE(make_directories(bench.fs, tree).ok());
  const auto open_with = [&](const std::vector<std::string>& names) {
    local::SnapshotTable table;
    table.meta = {7, 2, {kPeer}, {}};
    for (const std::string& name : names) table.files.push_back({name, {}});
    REQUIRE(local::write_snapshot_table(bench.fs, tree, table).ok());
    return bench.open().status();
  };
  for (const char* legal : {"/max_id.json", "./data", "d//x", "a/../b"}) {
    INFO(legal);
    CHECK(open_with({legal}).ok());
  }
  for (const char* leaving : {"../x", "/../x", "a/../../x"}) {
    const absl::Status status = open_with({leaving});
    INFO(status);
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(std::string(status.message()), Catch::Contains("leaves the snapshot"));
    CHECK_THAT(std::string(status.message()), Catch::Contains("__raft_snapshot_meta: "));
  }
  CHECK(absl::IsInvalidArgument(open_with({"a", "a/b"})));
  CHECK(absl::IsDataLoss(open_with({"a", "a"})));
}

TEST_CASE("publishing follows decision A-10") {
  Bench bench;
  auto family = bench.must_open();
  const auto publish = [&](const SnapshotMeta& meta, const std::string& bytes) {
    return family->snapshot().publish(write_snapshot(*family, meta, {{"data", bytes}}));
  };
  REQUIRE(publish({7, 2, {kPeer}, {}}, "first").count() == 1);
  const Outcome again = publish({7, 2, {kPeer}, {}}, "second");
  CHECK(again.ok());
  CHECK(again.count() == 0);
  for (const SnapshotMeta& bad : {SnapshotMeta{7, 3, {kPeer}, {}}, SnapshotMeta{7, 2, {kOther}, {}},
                                  SnapshotMeta{6, 2, {kPeer}, {}}, SnapshotMeta{0, 0, {}, {}}}) {
    const Outcome outcome = publish(bad, "bad");
    CHECK(outcome.kind() == Outcome::Kind::kFailedClean);
    CHECK(absl::IsInvalidArgument(outcome.status()));
  }
  CHECK(read_all(**family->snapshot().open(), "data") == "first");
  CHECK(*bench.fs.list(bench.path("snapshot")) ==
        std::vector<std::string>{"snapshot_00000000000000000007"});
}

TEST_CASE("a file that was added but never written cannot be published") {
  Bench bench;
  auto family = bench.must_open();
  auto writer = write_snapshot(*family, {7, 2, {kPeer}, {}}, {});
  REQUIRE(writer->add_file("missing", {}).ok());
  CHECK(family->snapshot().publish(std::move(writer)).kind() == Outcome::Kind::kFailedClean);
  CHECK(family->snapshot()
            .publish(write_snapshot(*family, {7, 2, {kPeer}, {}}, {{"data", "x"}}))
            .ok());
}

TEST_CASE("one writer at a time, and a foreign one is refused") {
  Bench bench;
  Bench elsewhere;
  auto family = bench.must_open();
  auto foreign_family = elsewhere.must_open();
  auto writer = write_snapshot(*family, {7, 2, {kPeer}, {}}, {{"data", "x"}});
  CHECK_FALSE(family->snapshot().create().ok());
  auto foreign = write_snapshot(*foreign_family, {7, 2, {kPeer}, {}}, {{"data", "x"}});
  CHECK(family->snapshot().publish(std::move(foreign)).kind() == Outcome::Kind::kFailedClean);
  CHECK(family->snapshot().publish(nullptr).kind() == Outcome::Kind::kFailedClean);
  writer.reset();
  CHECK(bench.fs.list(bench.path("snapshot"))->empty());
  CHECK(family->snapshot().create().ok());
}

TEST_CASE("a reader keeps its snapshot while a newer one is published") {
  Bench bench;
  auto family = bench.must_open();
  const auto publish = [&](int64_t index, const std::string& bytes) {
    REQUIRE(family->snapshot()
                .publish(write_snapshot(*family, {index, 1, {}, {}}, {{"data", bytes}}))
                .ok());
  };
  publish(5, "five");
  auto first = *family->snapshot().open();
  auto second = *family->snapshot().open();
  publish(6, "six");
  CHECK(read_all(*first, "data") == "five");
  CHECK(read_all(**family->snapshot().open(), "data") == "six");
  first.reset();
  CHECK(read_all(*second, "data") == "five");
  CHECK(bench.fs.list(bench.path("snapshot"))->size() == 2);
  second.reset();
  CHECK(bench.fs.list(bench.path("snapshot"))->size() == 1);
  // A reader may outlive its family.
  auto last = *family->snapshot().open();
  family.reset();
  CHECK(read_all(*last, "data") == "six");
}

TEST_CASE("open removes what a crash left of snapshots, but never the newest one") {
  Bench bench;
  auto family = bench.must_open();
  REQUIRE(
      family->snapshot().publish(write_snapshot(*family, {5, 1, {}, {}}, {{"data", "five"}})).ok());
  family.reset();
  REQUIRE(make_directories(bench.fs, bench.path("snapshot/temp/sub")).ok());
  REQUIRE(make_directories(bench.fs, bench.path("snapshot/snapshot_00000000000000000003")).ok());
  family = bench.must_open();
  CHECK(bench.fs.list(bench.path("snapshot"))->size() == 1);
  CHECK(family->snapshot().current()->last_included_index == 5);
  family.reset();
  REQUIRE(make_directories(bench.fs, bench.path("snapshot/snapshot_00000000000000000009")).ok());
  CHECK(absl::IsDataLoss(bench.open().status()));
  CHECK(bench.fs.list(bench.path("snapshot"))->size() == 2);
}

TEST_CASE("names beside the snapshots are passed over as braft does, unless they look like one") {
  Bench bench;
  REQUIRE(bench.must_open() != nullptr);
  for (const char* name : {"notes", "snapshot_", "snapshot_old", "snapshots"}) {
    REQUIRE(make_directories(bench.fs, bench.path(cat("snapshot/", name))).ok());
  }
  CHECK_FALSE(bench.must_open()->snapshot().current());
  for (const char* name : {"snapshot_5", "snapshot_00000000000000000005.bak",
                           "snapshot_00000000000000000000", "snapshot_99999999999999999999"}) {
    INFO(name);
    REQUIRE(make_directories(bench.fs, bench.path(cat("snapshot/", name))).ok());
    const absl::Status opened = bench.open().status();
    CHECK(absl::IsDataLoss(opened));
    CHECK(to_std(opened.message()).find(cat(name, ": looks like a snapshot")) != std::string::npos);
    REQUIRE(bench.fs.rmdir(bench.path(cat("snapshot/", name))).ok());
  }
}

// What one instance holds, to compare before and after.
struct State {
  int64_t first = 0;
  std::vector<LogEntry> entries;
  HardState hard_state;
  std::optional<SnapshotMeta> snapshot;
  bool operator==(const State&) const = default;
};

State state_of(Family& family) {
  State state;
  state.first = family.log().first_index();
  if (state.first <= family.log().last_index()) {
    REQUIRE(family.log()
                .scan(state.first, family.log().last_index(),
                      [&](const LogEntry& entry) {
                        state.entries.push_back(entry);
                        return absl::OkStatus();
                      })
                .ok());
  }
  state.hard_state = family.meta().hard_state();
  state.snapshot = family.snapshot().current();
  return state;
}

TEST_CASE("after a failed call the instance refuses, and reopens before or after the operation") {
  // Each arms the fault after its own preparations.
  using Arm = std::function<void()>;
  const std::map<std::string, std::function<Outcome(Family&, const Arm&)>> operations = {
      {"append",
       [](Family& f, const Arm& arm) {
         arm();
         return f.log().append(entries(21, 34));
       }},
      {"truncate_prefix",
       [](Family& f, const Arm& arm) {
         arm();
         return f.log().truncate_prefix(14);
       }},
      {"truncate_suffix",
       [](Family& f, const Arm& arm) {
         arm();
         return f.log().truncate_suffix(9);
       }},
      {"truncate_suffix to nothing",
       [](Family& f, const Arm& arm) {
         arm();
         return f.log().truncate_suffix(0);
       }},
      {"reset inside",
       [](Family& f, const Arm& arm) {
         arm();
         return f.log().reset(12);
       }},
      {"reset beyond",
       [](Family& f, const Arm& arm) {
         arm();
         return f.log().reset(90);
       }},
      {"save_meta",
       [](Family& f, const Arm& arm) {
         arm();
         return f.meta().save({9, kOther});
       }},
      {"publish",
       [](Family& f, const Arm& arm) {
         auto writer = write_snapshot(f, {9, 1, {}, {}}, {{"d/data", "nine"}});
         arm();
         return f.snapshot().publish(std::move(writer));
       }},
  };
  const auto prepare = [](Bench& bench) {
    auto family = bench.must_open();
    REQUIRE(family->log().append(entries(1, 20)).ok());
    REQUIRE(family->meta().save({4, kPeer}).ok());
    REQUIRE(family->snapshot()
                .publish(write_snapshot(*family, {5, 1, {}, {}}, {{"data", "five"}}))
                .ok());
    return family;
  };
  for (const auto& [name, operation] : operations) {
    INFO(name);
    State before;
    State after;
    {
      Bench bench;
      auto family = prepare(bench);
      before = state_of(*family);
      REQUIRE(operation(*family, [] {}).ok());
      after = state_of(*family);
      REQUIRE_FALSE(before == after);
    }
    uint64_t call = 1;
    for (;; ++call) {
      INFO("failing call " << call);
      Bench bench;
      auto family = prepare(bench);
      const Outcome outcome = operation(*family, [&] { bench.fault.fail_at(call); });
      if (!bench.fault.failed()) break;
      const bool removal = outcome.ok();  // of the replaced snapshot: not the caller's concern
      if (!removal) CHECK(status_errno(outcome.status()) == EIO);
      if (outcome.kind() == Outcome::Kind::kFailedClean) {
        // Only a snapshot that was not published yet can fail like that, and the instance goes on.
        CHECK(name == "publish");
        CHECK(family->snapshot().create().ok());
      } else if (!removal) {
        const Outcome refused = family->log().append(
            entries(family->log().last_index() + 1, family->log().last_index() + 1));
        CHECK(refused.kind() == Outcome::Kind::kFailedClean);
        CHECK_THAT(std::string(refused.status().message()), Catch::Contains("injected"));
        CHECK_FALSE(family->meta().save({50, ""}).ok());
        CHECK_FALSE(family->snapshot().create().ok());
      }
      CHECK((!removal || name == "publish"));
      family.reset();
      const State found = state_of(*bench.must_open());
      if (name == "append" && !(found == before)) {
        REQUIRE(found.entries.size() >=
                before.entries.size() + static_cast<size_t>(outcome.count()));
        REQUIRE(found.entries.size() <= after.entries.size());
        for (size_t i = 0; i < found.entries.size(); ++i) {
          REQUIRE(found.entries[i] == after.entries[i]);
        }
      } else if (outcome.kind() == Outcome::Kind::kFailedClean) {
        CHECK(found == before);
      } else if (outcome.ok()) {
        CHECK(found == after);
      } else {
        CHECK((found == before || found == after));
      }
    }
    CHECK(call > 3);
  }
}

// Fails when more than a gibibyte was read.
class ReadLimit final : public FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;

 private:
  class LimitedFile final : public FileWrapper {
   public:
    LimitedFile(std::unique_ptr<File> inner, uint64_t* bytes)
        : FileWrapper(std::move(inner)), bytes_(*bytes) {}
    absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
      bytes_ += buffer.size();
      if (bytes_ > (uint64_t{1} << 30)) return errno_status(EIO, "more than a gibibyte read");
      return inner().read_at(offset, buffer);
    }

   private:
    uint64_t& bytes_;
  };
  std::unique_ptr<File> wrap(std::unique_ptr<File> file, std::string_view, OpenFlags) override {
    return std::make_unique<LimitedFile>(std::move(file), &bytes_);
  }

  uint64_t bytes_ = 0;
};

TEST_CASE("an open segment with gigabytes of hole after its entries opens") {
  TempDirectory directory;
  PosixFileSystem disk;
  ReadLimit fs(&disk);
  const OpenRequest request{.fs = &fs, .root = directory.path() + "/local", .create = true};
  {
    const auto family = local_family().open(request).value();
    REQUIRE(family->log().append(entries(1, 3)).ok());
  }
  const std::string path = directory.path() + "/local/log/log_inprogress_00000000000000000001";
  const uint64_t size = fs.stat(path)->size;
  {
    const auto file = fs.open(path, {}).value();
    if (!file->truncate(uint64_t{3} << 30).ok()) return;  // larger than this disk's files can be
    if (*file->skip_hole(1 << 20) == 1 << 20) return;     // this disk does not tell where holes are
  }
  const auto family = local_family().open(request);
  INFO(family.status());
  REQUIRE(family.ok());
  CHECK((*family)->log().last_index() == 3);
  CHECK(fs.stat(path)->size == size);
}

TEST_CASE("an open segment longer than any that is written is refused unread") {
  TempDirectory directory;
  PosixFileSystem disk;
  ReadLimit fs(&disk);
  const OpenRequest request{.fs = &fs, .root = directory.path() + "/local", .create = true};
  REQUIRE(local_family().open(request).value()->log().append(entries(1, 3)).ok());
  const std::string path = directory.path() + "/local/log/log_inprogress_00000000000000000001";
  if (!fs.open(path, {}).value()->truncate(uint64_t{1} << 40).ok()) return;  // too large for a disk
  const auto family = local_family().open(request);
  REQUIRE(absl::IsDataLoss(family.status()));
  CHECK(to_std(family.status().message()).find("found 1099511627776 bytes, expected at most") !=
        std::string_view::npos);
}

}  // namespace
}  // namespace qk::families
