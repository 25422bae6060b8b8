// What braft as shipped loses of what it acknowledged (braft-local-format.md 6), storage call by storage
// call: to a power cut that takes all that was not synced, to an error that it ignores, to a record that
// is missing. The family `local` under the same power cuts: families/local/power_cut_test.cc.
#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>

#include "families/fs/fault_file_system.h"
#include "families/fs/file_util.h"
#include "families/testing/util.h"
#include "sim/disk/sim_disk.h"
#include "sim/legacy/legacy_family.h"

namespace qk::sim {
namespace {

using families::Family;
using families::LogEntry;
using families::Outcome;

constexpr const char* kRoot = "/node/state";
constexpr const char* kPeer = "127.0.0.1:8100:0:0";

// Entries of 74 bytes, two to a segment.
std::vector<LogEntry> entries(int64_t from, int64_t to) {
  std::vector<LogEntry> batch;
  for (int64_t i = from; i <= to; ++i) {
    batch.push_back({i, 1, families::EntryType::kData, std::string(50, 'x')});
  }
  return batch;
}

Outcome publish(Family& family, int64_t index) {
  return families::publish_snapshot(family, index, 1, {{"data", "state"}});
}

std::unique_ptr<Family> must_open(families::FileSystem& fs) {
  auto family = legacy_family().open(
      {.fs = &fs, .root = kRoot, .create = true, .options = {{"segment_size", "100"}}});
  INFO(family.status());
  REQUIRE(family.ok());
  return *std::move(family);
}

// One line: the range of the log, the hard state, the snapshot; or why there is none.
std::string state_of(families::FileSystem& fs) {
  const auto opened =
      legacy_family().open({.fs = &fs, .root = kRoot, .options = {{"segment_size", "100"}}});
  if (!opened.ok()) return cat("refused: ", to_std(opened.status().message()));
  Family& family = **opened;
  const auto snapshot = family.snapshot().current();
  return cat("log ", family.log().first_index(), "..", family.log().last_index(), ", term ",
             family.meta().hard_state().term, ", snapshot ",
             snapshot ? snapshot->last_included_index : 0);
}

// Five entries, a vote and a snapshot, of which everything is durable.
SimDisk durable_disk() {
  SimDisk disk({.latency = {10, 10, 100, 100, 1}}, RandomStream(1, "disk"));
  const auto fs = disk.mount();
  REQUIRE(families::make_directories(*fs, families::parent_path(kRoot)).ok());
  {
    const auto family = must_open(*fs);
    REQUIRE(family->log().append(entries(1, 5)).ok());
    REQUIRE(family->meta().save({2, kPeer}).ok());
    REQUIRE(publish(*family, 1).ok());
  }
  REQUIRE(families::sync_tree(*fs, "/node").ok());
  disk.set_now(disk.busy_until());
  return disk;
}

struct Loss {
  const char* what;
  std::function<Outcome(Family&)> mutate;
  std::string after;
};

TEST_CASE("a power cut takes back what braft as shipped acknowledged") {
  const std::string before = "log 1..5, term 2, snapshot 1";
  const std::vector<Loss> table = {
      {"append within the open segment is kept",
       [](Family& f) { return f.log().append(entries(6, 6)); }, "log 1..6, term 2, snapshot 1"},
      {"6.1: a batch over segments, of which the last alone is synced, and no name",
       [](Family& f) { return f.log().append(entries(6, 10)); }, before},
      {"6.3: a vote, whose name is lost",
       [](Family& f) {
         return f.meta().save({3, kPeer});
       },
       before},
      {"6.3: log_meta, whose name is lost: what was dropped is there again",
       [](Family& f) { return f.log().truncate_prefix(3); }, before},
      {"2.3: a cut, which is not synced", [](Family& f) { return f.log().truncate_suffix(3); },
       before},
      {"6.10: a reset", [](Family& f) { return f.log().reset(9); }, before},
      {"6.3: a snapshot, whose name is lost", [](Family& f) { return publish(f, 4); }, before},
  };
  const SimDisk prepared = durable_disk();
  for (const Loss& loss : table) {
    INFO(loss.what);
    SimDisk disk = prepared.fork();
    {
      const auto fs = disk.mount();
      const auto family = must_open(*fs);
      REQUIRE(loss.mutate(*family).ok());
      DropAll nothing;
      disk.crash(CrashLevel::kP2, disk.busy_until(), nothing);
    }
    CHECK(state_of(*disk.mount()) == loss.after);
  }
}

TEST_CASE("6.3: an instance may vanish whole, and braft begins anew") {
  SimDisk disk({.latency = {10, 10, 100, 100, 1}}, RandomStream(1, "disk"));
  {
    const auto fs = disk.mount();
    REQUIRE(families::make_directories(*fs, families::parent_path(kRoot)).ok());
    const auto family = must_open(*fs);
    REQUIRE(family->log().append(entries(1, 3)).ok());
    DropAll nothing;
    disk.crash(CrashLevel::kP2, disk.busy_until(), nothing);
  }
  const auto fs = disk.mount();
  CHECK(state_of(*fs) == "refused: /node/state: no instance of family local-as-shipped");
  must_open(*fs);
  CHECK(state_of(*fs) == "log 1..0, term 1, snapshot 0");
}

TEST_CASE("6.2: a sync of the log that fails is success") {
  SimDisk disk = durable_disk();
  const auto fs = disk.mount();
  families::FaultFileSystem fault(fs.get());
  const auto family = must_open(fault);
  fault.fail_at(2, EIO);
  CHECK(family->log().append(entries(6, 6)).ok());
  CHECK(fault.failed_call() == "sync /node/state/log/log_inprogress_00000000000000000005");
  fault.fail_at(4, EIO);
  CHECK_FALSE(family->meta().save({3, kPeer}).ok());
  CHECK(fault.failed_call() == "sync /node/state/raft_meta/raft_meta.tmp");
}

TEST_CASE(
    "6.11: a snapshot whose meta cannot be saved is gone, and its writer is told of success") {
  SimDisk disk = durable_disk();
  const auto fs = disk.mount();
  families::FaultFileSystem fault(fs.get());
  const auto family = must_open(fault);
  auto writer = family->snapshot().create();
  REQUIRE(writer.ok());
  REQUIRE((*writer)->save_meta({4, 1, {kPeer}, {}}).ok());
  fault.fail_at(4, EIO);
  CHECK(family->snapshot().publish(*std::move(writer)).ok());
  CHECK(fault.failed_call() == "sync /node/state/snapshot/temp/__raft_snapshot_meta.tmp");
  CHECK(family->snapshot().current()->last_included_index == 1);
}

TEST_CASE("6.4: without log_meta the log is removed, without a word") {
  SimDisk disk = durable_disk();
  const auto fs = disk.mount();
  REQUIRE(fs->unlink("/node/state/log/log_meta").ok());
  CHECK(state_of(*fs) == "log 1..0, term 2, snapshot 1");
}

}  // namespace
}  // namespace qk::sim
