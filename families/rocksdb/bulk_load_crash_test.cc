// Bulk loads of every family, crashed at every disk operation: a load that answered OK is whole
// whatever the power cut takes. Of one that did not, the contract promises nothing; but no family
// here lets it open as something it is not: what opens holds the fresh log, or a part of the load.
// Importers never get so far, their staging directory is not opened
// (sim/check/import_crash_test.cc).
#include <catch2/catch.hpp>

#include "families/builtin.h"
#include "families/fs/file_util.h"
#include "sim/disk/crash_sweep.h"

namespace qk::sim {
namespace {

using families::Family;
using families::FileSystem;
using families::LogEntry;

constexpr Nanos kOperationTime = 10;
const std::string kRoot = "/node/b";

std::vector<LogEntry> make_entries(int64_t first, int64_t count) {
  std::vector<LogEntry> entries;
  for (int64_t i = first; i < first + count; ++i) {
    entries.push_back({i, 2, families::EntryType::kData, cat("entry ", i, std::string(300, 'x'))});
  }
  return entries;
}

absl::StatusOr<std::unique_ptr<Family>> open(FileSystem& fs, const families::FamilyDescriptor& of,
                                             bool create) {
  families::OpenRequest request;
  request.fs = &fs;
  request.root = kRoot;
  request.create = create;
  return of.open(request);
}

std::vector<Loss> load_losses(size_t, uint64_t point) {
  std::vector<Loss> all = {nothing_survives(), power_cut<KeepAll>("everything survives"),
                           power_cut<TornTail>("torn tail")};
  for (uint64_t draw = 0; draw < 3; ++draw) {
    all.push_back(drawn_power_cut(RandomStream(point * 8 + draw, "bulk-load")));
  }
  return all;
}

void check(const families::FamilyDescriptor& family, int64_t first) {
  constexpr int64_t kCount = 60;
  const std::vector<LogEntry> entries = make_entries(first, kCount);
  DiskOptions options;
  options.latency = {kOperationTime, kOperationTime, kOperationTime, kOperationTime};
  DiskMachine machine{SimDisk(options, RandomStream(1, "disk"))};
  SimDisk& disk = machine.disk;
  const auto fs = disk.mount();
  REQUIRE(families::make_directories(*fs, kRoot).ok());
  auto instance = open(*fs, family, true).value();
  const Nanos begin = disk.busy_until();
  {
    auto loader = instance->log().bulk_load(first).value();
    for (size_t at = 0; at < entries.size(); at += 20) {
      REQUIRE(loader->append(std::span(entries).subspan(at, 20)).ok());
    }
    const absl::Status finished = loader->finish();
    INFO(finished);
    REQUIRE(finished.ok());
  }
  const Nanos end = disk.busy_until();
  REQUIRE(end - begin > 5 * kOperationTime);

  int whole = 0;
  CrashSweep<DiskMachine> sweep;
  sweep.stops = stops_at_instants(&machine, begin + kOperationTime / 2, end + kOperationTime + 1,
                                  kOperationTime);
  sweep.losses = load_losses;
  sweep.judge = [&](DiskMachine& left, const CrashPoint& point) {
    INFO("crash at " << point.at << " of " << begin << ".." << end << ": " << point.text());
    const bool answered = point.at > end;
    const auto after = left.disk.mount();
    const auto opened = open(*after, family, false);
    if (answered) REQUIRE(opened.ok());
    if (!opened.ok()) return;
    families::LogStorage& log = (*opened)->log();
    if (answered) {
      ++whole;
      REQUIRE(log.first_index() == first);
      REQUIRE(log.last_index() == first + kCount - 1);
    }
    if (log.last_index() < log.first_index()) return;
    REQUIRE(log.last_index() < first + kCount);
    REQUIRE(log.scan(log.first_index(), log.last_index(),
                     [&](const LogEntry& entry) {
                       REQUIRE(entry == entries[static_cast<size_t>(entry.index - first)]);
                       return absl::OkStatus();
                     })
                .ok());
  };
  sweep_crashes(sweep);
  REQUIRE(whole > 5);
}

TEST_CASE("bulk load: what answered OK survives every power cut, and nothing else is invented") {
  families::VolatileMemory memory(1);
  const families::Registry registry = families::builtin_families(&memory);
  for (const families::FamilyDescriptor& family : registry.all()) {
    if (family.volatility == families::Volatility::kVolatile) continue;
    for (const int64_t first : {1, 100}) {
      INFO(family.name << ", first index " << first);
      check(family, first);
    }
  }
}

}  // namespace
}  // namespace qk::sim
