// That a power cut takes nothing from the local family.
//
// Method. An instance is prepared and made durable. One mutation runs and is acknowledged; then the
// power is cut, nothing that was not synced survives, and the instance is opened again: it must show
// the state after the mutation, each time. The same of braft as shipped: sim/legacy.
#include <catch2/catch.hpp>
#include <functional>

#include "families/fs/file_util.h"
#include "families/local/local_family.h"
#include "families/testing/points.h"
#include "families/testing/util.h"
#include "sim/disk/crash_sweep.h"

namespace qk::sim {
namespace {

using families::Family;
using families::FamilyOptions;
using families::LogEntry;
using families::Outcome;

constexpr const char* kRoot = "/node/state";
constexpr const char* kPeer = "127.0.0.1:8100:0:0";

// Entries of 74 bytes, two to a segment.
FamilyOptions small_segments() { return {{"segment_size", "100"}}; }

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

// One line: the range of the log, the hard state, the snapshot; or why there is none.
std::string state_of(families::FileSystem& fs, const FamilyOptions& options) {
  const auto opened = families::local_family().open({.fs = &fs, .root = kRoot, .options = options});
  if (!opened.ok()) return cat("refused: ", to_std(opened.status().message()));
  Family& family = **opened;
  const auto snapshot = family.snapshot().current();
  return cat("log ", family.log().first_index(), "..", family.log().last_index(), ", term ",
             family.meta().hard_state().term, ", snapshot ",
             snapshot ? snapshot->last_included_index : 0);
}

SimDisk prepared_disk() {
  SimDisk disk({.latency = {10, 10, 100, 100, 1}}, RandomStream(1, "disk"));
  const auto fs = disk.mount();
  REQUIRE(families::make_directories(*fs, families::parent_path(kRoot)).ok());
  {
    auto family = families::local_family().open(
        {.fs = fs.get(), .root = kRoot, .create = true, .options = small_segments()});
    INFO(family.status());
    REQUIRE(family.ok());
    REQUIRE((*family)->log().append(entries(1, 5)).ok());
    REQUIRE((*family)->meta().save({2, kPeer}).ok());
    REQUIRE(publish(**family, 1).ok());
  }
  disk.set_now(disk.busy_until());
  return disk;
}

std::string after_power_cut(const SimDisk& prepared,
                            const std::function<Outcome(Family&)>& mutate) {
  SimDisk disk = prepared.fork();
  {
    const auto fs = disk.mount();
    const auto family =
        families::local_family().open({.fs = fs.get(), .root = kRoot, .options = small_segments()});
    REQUIRE(family.ok());
    const Outcome outcome = mutate(**family);
    INFO(outcome.status());
    REQUIRE(outcome.ok());
    DropAll nothing;
    disk.crash(CrashLevel::kP2, disk.busy_until(), nothing);
  }
  return state_of(*disk.mount(), small_segments());
}

struct Kept {
  const char* what;
  std::function<Outcome(Family&)> mutate;
  std::string state;  // after the power cut
};

TEST_CASE("a power cut after an acknowledged mutation") {
  const std::vector<Kept> table = {
      {"append within the open segment", [](Family& f) { return f.log().append(entries(6, 6)); },
       "log 1..6, term 2, snapshot 1"},
      {"append over three segments", [](Family& f) { return f.log().append(entries(6, 10)); },
       "log 1..10, term 2, snapshot 1"},
      {"vote",
       [](Family& f) {
         return f.meta().save({3, kPeer});
       },
       "log 1..5, term 3, snapshot 1"},
      {"truncate_prefix", [](Family& f) { return f.log().truncate_prefix(3); },
       "log 3..5, term 2, snapshot 1"},
      {"truncate_suffix", [](Family& f) { return f.log().truncate_suffix(3); },
       "log 1..3, term 2, snapshot 1"},
      {"reset", [](Family& f) { return f.log().reset(9); }, "log 9..8, term 2, snapshot 1"},
      {"publish", [](Family& f) { return publish(f, 4); }, "log 1..5, term 2, snapshot 4"},
  };
  const SimDisk prepared = prepared_disk();
  for (const Kept& kept : table) {
    INFO(kept.what);
    CHECK(after_power_cut(prepared, kept.mutate) == kept.state);
  }
}

// A machine, perhaps with the store open.
struct OpenMachine {
  explicit OpenMachine(SimDisk of) : disk(std::move(of)) {}
  void open() {
    fs = disk.mount();
    auto opened =
        families::local_family().open({.fs = fs.get(), .root = kRoot, .options = small_segments()});
    REQUIRE(opened.ok());
    family = *std::move(opened);
    disk.set_now(disk.busy_until());
  }
  std::unique_ptr<OpenMachine> fork() const { return std::make_unique<OpenMachine>(disk.fork()); }

  SimDisk disk;
  std::unique_ptr<families::FileSystem> fs;
  std::unique_ptr<Family> family;
};
SimDisk& disk_of(OpenMachine& machine) { return machine.disk; }

// The process dies before it has synced a rename or a note, so the next one sees what a power cut
// may still take back. What that one removes because of it must not outlive it.
TEST_CASE("a power cut in the recovery after a process that died in a mutation") {
  const std::vector<std::pair<const char*, std::function<Outcome(Family&)>>> mutations = {
      {"reset beyond the end", [](Family& f) { return f.log().reset(100); }},
      {"reset inside", [](Family& f) { return f.log().reset(2); }},
      {"truncate_prefix", [](Family& f) { return f.log().truncate_prefix(7); }},
      {"truncate_prefix of all", [](Family& f) { return f.log().truncate_prefix(100); }},
      {"truncate_suffix", [](Family& f) { return f.log().truncate_suffix(1); }}};
  SimDisk prepared = prepared_disk();
  {
    const auto fs = prepared.mount();
    const auto family =
        families::local_family().open({.fs = fs.get(), .root = kRoot, .options = small_segments()});
    REQUIRE(family.ok());
    REQUIRE((*family)->log().append(entries(6, 9)).ok());
  }
  prepared.set_now(prepared.busy_until());
  const std::string before = state_of(*prepared.fork().mount(), small_segments());
  size_t cuts = 0;
  for (const auto& [what, mutate] : mutations) {
    INFO(what);
    std::string after;
    {
      SimDisk disk = prepared.fork();
      const auto fs = disk.mount();
      {
        const auto family = families::local_family().open(
            {.fs = fs.get(), .root = kRoot, .options = small_segments()});
        REQUIRE(family.ok());
        REQUIRE(mutate(**family).ok());
      }
      after = state_of(*fs, small_segments());
    }
    CrashSweep<OpenMachine> died;
    died.stops = stops_inside<OpenMachine>(
        [&] {
          auto machine = std::make_unique<OpenMachine>(prepared.fork());
          machine->open();
          return machine;
        },
        [&, &mutation = mutate](OpenMachine& machine) { REQUIRE(mutation(*machine.family).ok()); });
    died.losses = always({process_death(~0U)});
    died.judge = [&](OpenMachine& left, const CrashPoint& first) {
      INFO(first.text());
      CrashSweep<OpenMachine> recovering;
      recovering.stops = stops_inside<OpenMachine>(
          [&] { return left.fork(); },
          [](OpenMachine& machine) { state_of(*machine.disk.mount(), small_segments()); });
      recovering.losses = [](size_t, uint64_t) {
        std::vector<Loss> draws;
        for (uint64_t seed = 1; seed <= 20; seed += families::one_point_in()) {
          draws.push_back(drawn_power_cut(RandomStream(seed, "cut")));
        }
        return draws;
      };
      recovering.judge = [&](OpenMachine& cut, const CrashPoint& second) {
        INFO("in the recovery: " << second.text());
        const std::string found = state_of(*cut.disk.mount(), small_segments());
        CHECK((found == before || found == after));
      };
      cuts += sweep_crashes(recovering).images;
    };
    sweep_crashes(died);
  }
  CHECK(cuts > 1000 / families::one_point_in());
}

TEST_CASE("an instance is there for good once it is made") {
  SimDisk disk({.latency = {10, 10, 100, 100, 1}}, RandomStream(1, "disk"));
  {
    const auto fs = disk.mount();
    REQUIRE(families::make_directories(*fs, families::parent_path(kRoot)).ok());
    const auto family = families::local_family().open(
        {.fs = fs.get(), .root = kRoot, .create = true, .options = small_segments()});
    REQUIRE(family.ok());
    REQUIRE((*family)->log().append(entries(1, 3)).ok());
    DropAll nothing;
    disk.crash(CrashLevel::kP2, disk.busy_until(), nothing);
  }
  const auto fs = disk.mount();
  CHECK(families::local_family().open({.fs = fs.get(), .root = kRoot}).ok());
}

}  // namespace
}  // namespace qk::sim
