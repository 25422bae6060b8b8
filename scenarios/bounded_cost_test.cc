// What the oracles look at does not grow with the length of a run, and changes nothing of it.
#include "families/builtin.h"
#include "families/contract/volatile_memory.h"
#include "scenarios/test_support.h"
#include "sim/disk/sim_disk.h"

namespace qk::scenarios {
namespace {

sim::RunResult run_loaded(const std::string& run_for) {
  return sim::run(plan_of_text(cat("run_for: \"", run_for, R"("
cluster { nodes: 3 default_store: "s" election_timeout: "1s..2s" heartbeat: "100ms" }
store { id: "s" memory {} }
workload { clients: 8 rate: 100 keys: 5 read_ratio: 0 }
)")),
                  {});
}

// Each of these reads the whole log, which is four times as long at the end.
TEST_CASE("a long run is not probed so often that the cost of a commit grows") {
  const sim::RunResult brief = run_loaded("10s");
  const sim::RunResult four_times = run_loaded("34s");
  INFO(describe(brief) << describe(four_times));
  REQUIRE(brief.committed > 2000);
  REQUIRE(four_times.committed > 3 * brief.committed);
  for (const char* oracle : {"ora.L1", "ora.R7"}) {
    INFO(oracle);
    CHECK(brief.evaluated.at(oracle) > 0);
  }
  CHECK(four_times.evaluated.at("ora.L1") > brief.evaluated.at("ora.L1"));
  CHECK(four_times.evaluated.at("ora.L1") < 2 * brief.evaluated.at("ora.L1"));
}

// Local keeps a segment until its last entry is gone, so a probe reads far more than the log.
TEST_CASE("nor when the log stays short and what a family keeps of it grows") {
  const auto probes = [](const std::string& run_for) {
    const sim::RunResult result = sim::run(plan_of_text(cat("run_for: \"", run_for, R"("
cluster { nodes: 1 default_store: "s" election_timeout: "1s..2s" snapshot_every_entries: 20 }
store { id: "s" local {} }
workload { clients: 4 rate: 100 keys: 5 read_ratio: 0 value_size: "1KiB" }
)")),
                                           {});
    INFO(describe(result));
    CHECK(result.verdict == sim::Verdict::kPass);
    return result.evaluated.at("ora.L1");
  };
  const uint64_t brief = probes("8s");
  const uint64_t four_times = probes("26s");
  INFO(brief << " " << four_times);
  CHECK(four_times > brief);
  CHECK(four_times < 3 * brief);
}

std::unique_ptr<families::Family> open_on(
    sim::SimDisk* disk, const families::Registry& registry, const std::string& family,
    std::vector<std::unique_ptr<families::FileSystem>>* open) {
  open->push_back(disk->mount());
  families::OpenRequest request;
  request.fs = open->back().get();
  request.root = cat("/", family);
  request.create = true;
  auto opened = families::open_family(registry, family, request);
  INFO(opened.status().message());
  REQUIRE(opened.ok());
  return *std::move(opened);
}

// Of a disk on which two instances are made one after the other.
uint64_t disk_after(bool look_between) {
  families::reset_engines_for_run(7);
  families::VolatileMemory memory(0);
  const families::Registry registry = sim::simulated_families(&memory);
  sim::SimDisk disk(sim::DiskOptions{}, sim::RandomStream(1, "disk"));
  std::vector<std::unique_ptr<families::FileSystem>> mounted;
  for (const char* family : {"rocksdb", "sqlite", "leveldb", "local"}) {
    if (look_between) {
      const families::EnginesAside aside;
      sim::SimDisk copy = disk.fork();
      for (const char* other : {"rocksdb", "sqlite"}) {
        open_on(&copy, registry, other, &mounted);
      }
    }
    const auto instance = open_on(&disk, registry, family, &mounted);
    families::LogEntry entry;
    entry.index = 1;
    entry.term = 1;
    entry.payload = "payload";
    CHECK(instance->log().append({&entry, 1}).ok());
  }
  return disk.image_hash();
}

TEST_CASE("a look at a copy of a disk changes nothing of what engines write afterwards") {
  CHECK(disk_after(false) == disk_after(false));
  CHECK(disk_after(true) == disk_after(false));
}

}  // namespace
}  // namespace qk::scenarios
