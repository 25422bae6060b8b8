// What the family asks of the disk, call by call. That a power cut takes nothing acknowledged is shown
// in power_cut_test.cc; what braft as shipped asks, in sim/legacy.
#include <algorithm>
#include <catch2/catch.hpp>

#include "families/fs/fault_file_system.h"
#include "families/fs/file_util.h"
#include "families/local/local_family.h"
#include "families/testing/scratch_disk.h"

namespace qk::families {
namespace {

constexpr const char* kPeer = "127.0.0.1:8100:0:0";
using Calls = std::vector<std::string>;

// Entries of 74 bytes, two to a segment.
const FamilyOptions kSmallSegments = {{"segment_size", "100"}};

std::vector<LogEntry> entries(int64_t from, int64_t to) {
  std::vector<LogEntry> batch;
  for (int64_t i = from; i <= to; ++i) {
    batch.push_back({i, 1, EntryType::kData, std::string(50, 'x')});
  }
  return batch;
}

class Bench {
 public:
  explicit Bench(FamilyOptions options) : options_(std::move(options)) { open(); }

  void open() {
    family_.reset();
    fault_.take_calls();
    auto opened =
        local_family().open({.fs = &fault_, .root = root(), .create = true, .options = options_});
    INFO(opened.status());
    REQUIRE(opened.ok());
    family_ = *std::move(opened);
  }
  Family& family() { return *family_; }

  // The calls of `run`, with paths as seen from the root and without zeros before an index.
  template <typename Run>
  Calls calls(Run run) {
    fault_.take_calls();
    const Outcome outcome = run();
    INFO(outcome.status());
    REQUIRE(outcome.ok());
    return take();
  }
  Calls take() {
    Calls calls = fault_.take_calls();
    // The attempt to remove a tree that is hardly ever there.
    calls.erase(std::remove(calls.begin(), calls.end(), "unlink " + root() + "/snapshot/temp"),
                calls.end());
    for (std::string& call : calls) {
      erase_all(&call, root() + "/");
      erase_all(&call, root());
      for (const char* zeros : {"0000000000000000000", "000000000000000000"}) {
        erase_all(&call, zeros);
      }
    }
    return calls;
  }

 private:
  static void erase_all(std::string* text, const std::string& part) {
    for (size_t at; (at = text->find(part)) != std::string::npos;) text->erase(at, part.size());
  }
  std::string root() { return join_path(disk_.path(), "node"); }

  ScratchDisk disk_;
  FaultFileSystem fault_{&disk_.fs()};
  FamilyOptions options_;
  std::unique_ptr<Family> family_;
};

Outcome publish(Family& family, int64_t index) {
  auto writer = family.snapshot().create();
  REQUIRE(writer.ok());
  auto file = (*writer)->create_file("data");
  REQUIRE(file.ok());
  REQUIRE((*file)->write_at(0, "state").ok());
  REQUIRE((*writer)->add_file("data", {}).ok());
  REQUIRE((*writer)->save_meta({index, 1, {kPeer}, {}}).ok());
  return family.snapshot().publish(*std::move(writer));
}

const Calls kSaveLogMeta = {"open log/log_meta.tmp", "write log/log_meta.tmp",
                            "sync log/log_meta.tmp", "rename log/log_meta.tmp log/log_meta"};

const Calls kNoteTruncation = {"open log/qksim_truncation.tmp", "write log/qksim_truncation.tmp",
                               "sync log/qksim_truncation.tmp", "sync_dir log"};
const Calls kDropNote = {"unlink log/qksim_truncation.tmp", "sync_dir log"};

Calls operator+(Calls a, const Calls& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST_CASE("a mutation syncs what it acknowledges") {
  Bench bench(kSmallSegments);
  Family& family = bench.family();
  CHECK(bench.calls([&] { return family.log().append(entries(1, 3)); }) ==
        Calls{"open log/log_inprogress_1", "sync_dir log", "write log/log_inprogress_1",
              "sync log/log_inprogress_1", "rename log/log_inprogress_1 log/log_1_2",
              "open log/log_inprogress_3", "sync_dir log", "write log/log_inprogress_3",
              "sync log/log_inprogress_3"});
  CHECK(bench.calls([&] { return family.log().truncate_suffix(1); }) ==
        kNoteTruncation +
            Calls{"unlink log/log_inprogress_3", "sync_dir log",
                  "rename log/log_1_2 log/log_inprogress_1", "sync_dir log",
                  // Named as it was opened.
                  "truncate log/log_1_2", "sync log/log_1_2"} +
            kDropNote);
  CHECK(bench.calls([&] { return family.log().append(entries(2, 3)); }).size() == 7);
  CHECK(bench.calls([&] { return family.log().reset(3); }) ==
        kNoteTruncation + kSaveLogMeta +
            Calls{"sync_dir log", "unlink log/log_inprogress_3", "unlink log/log_1_2",
                  "sync_dir log"} +
            kDropNote);
  // One step on disk needs no note.
  CHECK(bench.calls([&] { return family.log().append(entries(3, 4)); }).size() == 4);
  CHECK(bench.calls([&] { return family.log().truncate_suffix(3); }) ==
        Calls{"truncate log/log_inprogress_3", "sync log/log_inprogress_3"});
  CHECK(bench.calls([&] { return family.log().truncate_suffix(2); }) ==
        Calls{"unlink log/log_inprogress_3", "sync_dir log"});
  CHECK(bench.calls([&] { return family.meta().save({2, kPeer}); }).back() == "sync_dir raft_meta");
  CHECK(bench.calls([&] { return publish(family, 1); }) ==
        Calls{"mkdir snapshot/temp", "open snapshot/temp/data", "write snapshot/temp/data",
              "open snapshot/temp/__raft_snapshot_meta", "write snapshot/temp/__raft_snapshot_meta",
              "sync snapshot/temp/__raft_snapshot_meta", "sync snapshot/temp/__raft_snapshot_meta",
              "sync snapshot/temp/data", "sync_dir snapshot/temp",
              "rename snapshot/temp snapshot/snapshot_1", "sync_dir snapshot"});
}

TEST_CASE("a batch is noted that may tear before an entry, many with one sync") {
  Bench bench(FamilyOptions{{"segment_size", "1MiB"}});
  LogStorage& log = bench.family().log();
  const auto append = [&](size_t count, size_t size) {
    std::vector<LogEntry> batch;
    for (size_t i = 1; i <= count; ++i) {
      batch.push_back({log.last_index() + static_cast<int64_t>(i), 1, EntryType::kData,
                       std::string(size, 'x')});
    }
    return bench.calls([&] { return log.append(batch); });
  };
  const Calls write = {"write log/log_inprogress_1", "sync log/log_inprogress_1"};
  const Calls note = {"write log/qksim_batch.tmp"};
  CHECK(append(1, 5000) == Calls{"open log/log_inprogress_1", "sync_dir log"} + write);
  CHECK(append(2, 2000) == Calls{"open log/qksim_batch.tmp"} + note +
                               Calls{"sync log/qksim_batch.tmp", "sync_dir log"} + write + note);
  CHECK(append(2, 2000) == write + note);
  CHECK(append(1, 2000) == write + note);
}

}  // namespace
}  // namespace qk::families
