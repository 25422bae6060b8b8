// Crashes of a LevelDB store amid flushes and compactions, which the small operations of
// conformance/crash_checks.cc never reach (its smallest memtable has 64 KiB). One history of
// large commits with background jobs between them; the machine stops at every few disk operations.
// The store must open, and hold every acknowledged commit, and the one that was executing or not.
#include <algorithm>

#include "families/leveldb/test_util.h"
#include "sim/disk/crash_sweep.h"

namespace qk::families {
namespace {

constexpr char kRoot[] = "/node/state";
constexpr int kCommits = 36;
constexpr uint64_t kStride = 5;

struct Range {
  int64_t first = 1;
  int64_t last = 0;
  bool operator==(const Range&) const = default;
};

// What the log holds after each commit, and how many disk operations had been issued by then.
struct History {
  std::vector<Range> ranges;
  std::vector<uint64_t> operations;
};

LogEntry large_entry(int64_t index) {
  return data_entry(index, 1 + index / 10, std::string(9000, static_cast<char>('a' + index % 26)));
}

absl::Status commit(LogStorage& log, int number) {
  if (number % 9 == 8) return log.truncate_prefix(log.last_index() - 3).status();
  if (number % 7 == 6) return log.truncate_suffix(log.last_index() - 1).status();
  std::vector<LogEntry> entries;
  for (int64_t i = 1; i <= 3; ++i) entries.push_back(large_entry(log.last_index() + i));
  return log.append(entries).status();
}

History run(sim::DiskMachine& machine) {
  const std::unique_ptr<FileSystem> fs = machine.disk.mount();
  const absl::StatusOr<std::unique_ptr<Family>> family = open_leveldb(*fs, kRoot, false);
  REQUIRE_OK(family);
  LogStorage& log = (*family)->log();
  History history;
  const auto note = [&] {
    history.ranges.push_back({log.first_index(), log.last_index()});
    history.operations.push_back(machine.disk.operation_count());
  };
  note();
  for (int i = 0; i < kCommits; ++i) {
    REQUIRE_OK(commit(log, i));
    note();
    // Some jobs run as events of their own, the others before the next commit.
    if (i % 2 == 0 && (*family)->pending_work() > 0) REQUIRE_OK((*family)->run_one());
  }
  return history;
}

Range recover(FileSystem& fs) {
  const absl::StatusOr<std::unique_ptr<Family>> family = open_leveldb(fs, kRoot, false);
  REQUIRE_OK(family);
  LogStorage& log = (*family)->log();
  const Range range{log.first_index(), log.last_index()};
  if (range.first > range.last) return range;
  REQUIRE_OK(log.scan(range.first, range.last, [](const LogEntry& entry) {
    CHECK(entry == large_entry(entry.index));
    return absl::OkStatus();
  }));
  return range;
}

TEST_CASE("a crash amid flushes and compactions loses no acknowledged commit") {
  sim::DiskOptions options;
  options.latency = {1000, 3000, 10'000, 50'000, 1};
  sim::DiskMachine base{sim::SimDisk(options, sim::RandomStream(1, "latency"))};
  {
    const std::unique_ptr<FileSystem> fs = base.disk.mount();
    REQUIRE_OK(make_directories(*fs, parent_path(kRoot)));
    REQUIRE_OK(open_leveldb(*fs, kRoot, true));
  }
  base.disk.set_now(base.disk.busy_until() + 1);

  History whole;
  {
    const std::unique_ptr<sim::DiskMachine> machine = base.fork();
    whole = run(*machine);
    const std::vector<std::string> names = *machine->disk.mount()->list(cat(kRoot, "/db"));
    // There were flushes.
    REQUIRE(std::count_if(names.begin(), names.end(),
                          [](const std::string& name) { return name.ends_with(".ldb"); }) > 1);
  }
  sim::CrashSweep<sim::DiskMachine> sweep;
  sweep.stops = sim::stops_inside<sim::DiskMachine>([&] { return base.fork(); }, run);
  sweep.tries = sim::one_stop_in(kStride);
  sweep.losses =
      sim::always({sim::nothing_survives(), sim::power_cut<sim::KeepAll>("everything survives"),
                   sim::power_cut<sim::TornTail>("torn tail"),
                   sim::drawn_power_cut(sim::RandomStream(1, "crash"))});
  sweep.judge = [&](sim::DiskMachine& left, const sim::CrashPoint& point) {
    INFO(point.text());
    const Range found = recover(*left.disk.mount());
    // The last one whose outcome was known before the crash.
    const auto next = std::lower_bound(whole.operations.begin(), whole.operations.end(),
                                       base.disk.operation_count() + point.number);
    const size_t after = static_cast<size_t>(next - whole.operations.begin());
    CAPTURE(found.first, found.last, after);
    const bool is_before = after > 0 && found == whole.ranges[after - 1];
    const bool is_after = after < whole.ranges.size() && found == whole.ranges[after];
    CHECK((is_before || is_after));
  };
  CHECK(sim::sweep_crashes(sweep).images > 200);
}

}  // namespace
}  // namespace qk::families
