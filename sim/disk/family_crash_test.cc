// Crashes of every family at every disk operation of every contract operation.
//
// Method. For each durable family of the registry, each of its option sets and each operation
// below:
//
//   1. a disk is prepared with an instance, and everything on it made durable;
//   2. the operation is run once without a crash, and the engine's background work after it: the
//      states before and after, and the numbers of their disk operations;
//   3. for each disk operation, on a fork of the disk, the machine stops while that one executes:
//   at
//      P0 with each cut of it; at P2 with nothing, everything, each single pending operation alone,
//      each one missing, each prefix, a torn tail, garbage in it, and draws;
//   4. the instance is reopened. It must hold the state before or after the operation, or a
//   declared
//      partial one; the same when it is opened again; and the same after a power cut right after
//      the open (what recovery showed is durable). Equal images are judged once. A family may
//      refuse to open only within its declared refusals, and never unless garbage was left.
//
// Further: nothing acknowledged is lost by any power cut after the operation; recovery itself is
// crashed at each of its disk operations; so is the creation of an instance.
//
// Not here: two operations in flight, faults (families/*/..._test.cc), damage to durable data.
#include <catch2/catch.hpp>
#include <functional>
#include <iostream>
#include <map>
#include <set>

#include "families/builtin.h"
#include "families/contract/mutation.h"
#include "families/fs/file_util.h"
#include "sim/disk/sim_disk.h"

namespace qk::sim {
namespace {

using families::Family;
using families::FamilyDescriptor;
using families::FamilyOptions;
using families::HardState;
using families::LogEntry;
using families::Mutation;
using families::Outcome;
using families::SnapshotMeta;

constexpr const char* kRoot = "/node/state";
constexpr const char* kPeer = "127.0.0.1:8100:0:0";
constexpr const char* kOther = "127.0.0.1:8101:0:0";
constexpr int kDraws = 6;

// ---- The state of an instance, as the contract shows it

struct State {
  int64_t first = 0;
  std::vector<LogEntry> entries;
  HardState hard_state;
  std::optional<SnapshotMeta> snapshot;
  std::map<std::string, std::string> files;
  bool operator==(const State&) const = default;
};

absl::StatusOr<State> read_state(Family& family) {
  State state;
  state.first = family.log().first_index();
  if (state.first <= family.log().last_index()) {
    QK_RETURN_IF_ERROR(
        family.log().scan(state.first, family.log().last_index(), [&](const LogEntry& entry) {
          state.entries.push_back(entry);
          return absl::OkStatus();
        }));
  }
  state.hard_state = family.meta().hard_state();
  state.snapshot = family.snapshot().current();
  if (!state.snapshot) return state;
  QK_ASSIGN_OR_RETURN(const auto reader, family.snapshot().open());
  for (const families::SnapshotFile& file : reader->files()) {
    QK_ASSIGN_OR_RETURN(const auto opened, reader->open_file(file.path));
    QK_ASSIGN_OR_RETURN(const uint64_t size, opened->size());
    std::string bytes(size, '\0');
    QK_RETURN_IF_ERROR(families::read_exact(*opened, file.path, 0, bytes));
    state.files.emplace(file.path, std::move(bytes));
  }
  return state;
}

std::string describe(const State& state) {
  return cat("log ", state.first, "+", state.entries.size(), ", term ", state.hard_state.term,
             ", vote ", state.hard_state.voted_for, ", snapshot ",
             state.snapshot ? state.snapshot->last_included_index : 0, " with ", state.files.size(),
             " files");
}

// ---- Operations

std::vector<LogEntry> make_entries(int64_t from, int64_t count, size_t size) {
  std::vector<LogEntry> entries;
  for (int64_t i = from; i < from + count; ++i) {
    entries.push_back(
        {i, 3, families::EntryType::kData, std::string(size, static_cast<char>('a' + i % 26))});
  }
  return entries;
}

absl::StatusOr<Mutation> make_publish(Family& family, const SnapshotMeta& meta) {
  QK_ASSIGN_OR_RETURN(auto writer, family.snapshot().create());
  for (const char* name : {"data", "deep/er/data"}) {
    QK_ASSIGN_OR_RETURN(const auto file, writer->create_file(name));
    QK_RETURN_IF_ERROR(file->write_at(0, cat(name, " of ", meta.last_included_index)));
    QK_RETURN_IF_ERROR(writer->add_file(name, {}));
  }
  QK_RETURN_IF_ERROR(writer->save_meta(meta));
  return Mutation::publish(std::move(writer));
}

struct Operation {
  std::string name;
  bool fresh;  // on a fresh instance instead of a prepared one
  std::function<absl::StatusOr<Mutation>(Family&)> make;
};

absl::Status drain(Family& family) {
  while (family.pending_work() > 0) QK_RETURN_IF_ERROR(family.run_one());
  return absl::OkStatus();
}

// A prepared instance holds entries 3..20, term 4, and a snapshot at 5.
absl::Status prepare(Family& family) {
  QK_RETURN_IF_ERROR(family.log().append(make_entries(1, 12, 40)).status());
  QK_RETURN_IF_ERROR(family.log().append(make_entries(13, 8, 40)).status());
  QK_RETURN_IF_ERROR(family.log().truncate_prefix(3).status());
  QK_RETURN_IF_ERROR(family.meta().save({4, kPeer}).status());
  QK_ASSIGN_OR_RETURN(Mutation publish, make_publish(family, {5, 3, {kPeer}, {}}));
  QK_RETURN_IF_ERROR(families::apply(family, publish).status());
  return drain(family);
}

std::vector<Operation> all_operations() {
  const auto append = [](int64_t count, size_t size) {
    return [count, size](Family& family) -> absl::StatusOr<Mutation> {
      return Mutation::append(make_entries(family.log().last_index() + 1, count, size));
    };
  };
  const auto simple = [](Mutation (*make)(int64_t), int64_t argument) {
    return [make, argument](Family&) -> absl::StatusOr<Mutation> { return make(argument); };
  };
  const auto vote = [](HardState state) {
    return [state](Family&) -> absl::StatusOr<Mutation> { return Mutation::save_meta(state); };
  };
  const auto publish = [](int64_t index) {
    return [index](Family& family) {
      return make_publish(family, {index, 3, {kPeer, kOther}, {kPeer}});
    };
  };
  return {
      {"append one", false, append(1, 50)},
      {"append several", false, append(9, 90)},
      {"append large ones", false, append(3, 5000)},
      {"append to a fresh log", true, append(2, 700)},
      {"truncate_prefix inside", false, simple(Mutation::truncate_prefix, 14)},
      {"truncate_prefix beyond", false, simple(Mutation::truncate_prefix, 40)},
      {"truncate_suffix by one", false, simple(Mutation::truncate_suffix, 19)},
      {"truncate_suffix inside", false, simple(Mutation::truncate_suffix, 9)},
      {"truncate_suffix to nothing", false, simple(Mutation::truncate_suffix, 2)},
      {"reset inside", false, simple(Mutation::reset, 12)},
      {"reset beyond", false, simple(Mutation::reset, 90)},
      {"reset below", false, simple(Mutation::reset, 2)},
      {"first save_meta", true, vote({1, kPeer})},
      {"save_meta", false, vote({4 + 1, kOther})},
      {"first publish", true, publish(7)},
      {"publish", false, publish(7)},
  };
}

// ---- Machines

SimDisk empty_disk() {
  DiskOptions options;
  options.latency = {20 * kMicrosecond, 60 * kMicrosecond, 200 * kMicrosecond, 900 * kMicrosecond,
                     1};
  return SimDisk(options, RandomStream(1, "latency"));
}

// A mounted disk and an instance on it; whatever it holds of the family ends before the disk.
struct Machine {
  // Engines draw the same identifiers on each, so that equal histories leave equal images.
  explicit Machine(SimDisk* on) : disk(*on), fs(disk.mount()) {
    families::reset_engines_for_run(1);
  }

  absl::Status open(const FamilyDescriptor& descriptor, const FamilyOptions& options, bool create) {
    auto opened =
        descriptor.open({.fs = fs.get(), .root = kRoot, .create = create, .options = options});
    if (opened.ok()) family = *std::move(opened);
    return opened.status();
  }

  SimDisk& disk;
  std::unique_ptr<families::FileSystem> fs;
  std::unique_ptr<Family> family;
};

void settle(SimDisk& disk) { disk.set_now(disk.busy_until() + 1); }

// P0 with a fixed pick.
class Pick final : public Choice {
 public:
  explicit Pick(uint32_t number) : number_(number) {}
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override {
    return std::vector<Fate>(pending.size(), Fate::keep());
  }
  uint32_t pick(uint32_t n) override { return std::min(number_, n - 1); }

 private:
  uint32_t number_;
};

// Every growth survives full of garbage, and of every write only its sectors in `mask`.
class Garbage final : public Choice {
 public:
  explicit Garbage(uint32_t mask) : mask_(mask) {}
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override {
    std::vector<Fate> fates;
    for (const PendingOperation& operation : pending) {
      fates.push_back(operation.kind == PendingOperation::Kind::kSize    ? Fate::garbage()
                      : operation.kind == PendingOperation::Kind::kWrite ? Fate::torn(mask_)
                                                                         : Fate::keep());
    }
    return fates;
  }
  uint32_t pick(uint32_t n) override { return n - 1; }

 private:
  uint32_t mask_;
};

struct Crash {
  std::string name;
  CrashLevel level;
  bool garbage;
  std::function<std::unique_ptr<Choice>()> choice;
};

// `pending` bounds the positions that are worth asking for.
std::vector<Crash> all_crashes(size_t pending) {
  std::vector<Crash> crashes;
  for (uint32_t i = 0; i < 5; ++i) {
    crashes.push_back(
        {cat("P0, cut ", i), CrashLevel::kP0, false, [i] { return std::make_unique<Pick>(i); }});
  }
  const auto p2 = [&](std::string name, std::function<std::unique_ptr<Choice>()> choice,
                      bool garbage = false) {
    crashes.push_back({cat("P2, ", name), CrashLevel::kP2, garbage, std::move(choice)});
  };
  p2("nothing survives", [] { return std::make_unique<DropAll>(); });
  p2("everything survives", [] { return std::make_unique<KeepAll>(); });
  p2("torn tail", [] { return std::make_unique<TornTail>(); });
  for (size_t i = 0; i < pending; ++i) {
    p2(cat("only ", i), [i] { return std::make_unique<KeepOnly>(i); });
    p2(cat("all but ", i), [i] { return std::make_unique<OmitSet>(std::set<size_t>{i}); });
    p2(cat("the first ", i), [i] { return std::make_unique<Prefix>(i); });
  }
  for (int i = 0; i < kDraws; ++i) {
    p2(cat("draw ", i), [i] { return std::make_unique<Sampled>(RandomStream(i, "crash")); });
  }
  for (const uint32_t mask : {0x00u, 0x55u, 0xaau}) {
    p2(
        cat("garbage, sectors ", mask), [mask] { return std::make_unique<Garbage>(mask); }, true);
  }
  return crashes;
}

// ---- The exploration of one family with one option set

struct Counts {
  uint64_t points = 0;
  uint64_t images = 0;
  uint64_t distinct = 0;
  uint64_t partial = 0;
  uint64_t refused = 0;
  uint64_t nested = 0;
};

class Exploration {
 public:
  Exploration(const FamilyDescriptor& descriptor, FamilyOptions options)
      : family_(descriptor),
        options_(std::move(options)),
        fresh_disk_(empty_disk()),
        prepared_disk_(empty_disk()) {
    for (SimDisk* disk : {&fresh_disk_, &prepared_disk_}) {
      Machine machine(disk);
      REQUIRE_OK(families::make_directories(*machine.fs, families::parent_path(kRoot)));
      REQUIRE_OK(machine.open(family_, options_, true));
      if (disk == &prepared_disk_) REQUIRE_OK(prepare(*machine.family));
      machine.family.reset();
      settle(*disk);
    }
  }

  void explore(const Operation& operation) {
    const SimDisk& base = operation.fresh ? fresh_disk_ : prepared_disk_;
    before_ = after_ = State();
    operation_ = &operation;
    uint64_t begin = 0;
    uint64_t end = 0;
    {
      SimDisk disk = base.fork();
      Machine machine(&disk);
      REQUIRE_OK(machine.open(family_, options_, false));
      before_ = must_read(*machine.family);
      begin = disk.operation_count();
      run(machine);
      end = disk.operation_count();
      after_ = must_read(*machine.family);
    }
    REQUIRE_FALSE(before_ == after_);
    REQUIRE(end > begin);
    seen_.clear();
    for (uint64_t number = begin + 1; number <= end; ++number) {
      ++counts_.points;
      if (number == acknowledged_ + 1) seen_.clear();  // the same image owes more now
      size_t pending = 0;
      // The number of pending operations is known after the first crash.
      for (size_t i = 0; i < all_crashes(pending).size(); ++i) {
        crash_inside(base, number, all_crashes(pending)[i], &pending);
      }
    }
    seen_.clear();
    for (const Crash& crash : all_crashes(8)) crash_afterwards(base, crash);
  }

  void explore_creation() {
    SimDisk base = empty_disk();
    {
      Machine machine(&base);
      REQUIRE_OK(families::make_directories(*machine.fs, families::parent_path(kRoot)));
    }
    settle(base);
    before_ = after_ = State();
    uint64_t count = 0;
    {
      SimDisk disk = base.fork();
      const uint64_t begin = disk.operation_count();
      Machine machine(&disk);
      REQUIRE_OK(machine.open(family_, options_, true));
      before_ = after_ = must_read(*machine.family);
      count = disk.operation_count() - begin;
    }
    for (uint64_t i = 1; i <= count; ++i) {
      for (const Crash& crash : all_crashes(6)) {
        SimDisk disk = base.fork();
        disk.pin_crash_at_operation(disk.operation_count() + i);
        {
          Machine machine(&disk);
          REQUIRE_OK(machine.open(family_, options_, true));
          const CrashReport report = stop(disk, *disk.pinned_crash(), crash);
          INFO(family_.name << ", creation, disk operation " << i << ": " << report.text);
          machine.family.reset();
          // Absent or complete, never damaged; and it can be made again.
          Machine again(&disk);
          const absl::Status found = again.open(family_, options_, false);
          INFO(found);
          REQUIRE((found.ok() || absl::IsNotFound(found)));
          if (found.ok()) REQUIRE(must_read(*again.family) == before_);
          again.family.reset();
          REQUIRE_OK(again.open(family_, options_, true));
          again.family.reset();
          settle(disk);
          const CrashReport cut =
              stop(disk, disk.now(), {"", CrashLevel::kP2, false, std::make_unique<DropAll>});
          Machine last(&disk);
          INFO(cut.text);
          REQUIRE_OK(last.open(family_, options_, false));
          REQUIRE(must_read(*last.family) == before_);
        }
        ++counts_.images;
      }
    }
  }

  const Counts& counts() const { return counts_; }

 private:
  static void REQUIRE_OK(const absl::Status& status) {
    INFO(status);
    REQUIRE(status.ok());
  }
  static State must_read(Family& family) {
    auto state = read_state(family);
    INFO(state.status());
    REQUIRE(state.ok());
    return *std::move(state);
  }

  void run(Machine& machine) {
    auto mutation = operation_->make(*machine.family);
    REQUIRE_OK(mutation.status());
    REQUIRE_OK(families::apply(*machine.family, *mutation).status());
    acknowledged_ = machine.disk.operation_count();
    REQUIRE_OK(drain(*machine.family));
  }

  static CrashReport stop(SimDisk& disk, Nanos at, const Crash& crash) {
    const auto choice = crash.choice();
    return disk.crash(crash.level, at, *choice);
  }

  bool is_legal(const State& state) {
    if (state == before_ || state == after_) return true;
    // The kind is known from what changed; only a growing log may be partial.
    if (after_.entries.size() <= before_.entries.size() || after_.first != before_.first ||
        family_.partials(families::Operation::kAppend) != families::Partial::kBatchPrefix) {
      return false;
    }
    State cut = after_;
    if (state.entries.size() < before_.entries.size() ||
        state.entries.size() > after_.entries.size()) {
      return false;
    }
    cut.entries.resize(state.entries.size());
    ++counts_.partial;
    return state == cut;
  }

  void crash_inside(const SimDisk& base, uint64_t number, const Crash& crash, size_t* pending) {
    SimDisk disk = base.fork();
    disk.pin_crash_at_operation(number);
    {
      Machine machine(&disk);
      REQUIRE_OK(machine.open(family_, options_, false));
      run(machine);
      REQUIRE(disk.pinned_crash().has_value());
      const CrashReport report = stop(disk, *disk.pinned_crash(), crash);
      *pending = std::max<size_t>(*pending, report.pending);
      ++counts_.images;
      INFO(family_.name << ", " << operation_->name << ", disk operation " << number << ", "
                        << crash.name << ": " << report.text);
      machine.family.reset();
      check_recovery(disk, crash, [&](const State& state) {
        return number > acknowledged_ ? state == after_ : is_legal(state);
      });
    }
  }

  // Acknowledged: no crash may undo it.
  void crash_afterwards(const SimDisk& base, const Crash& crash) {
    SimDisk disk = base.fork();
    Machine machine(&disk);
    REQUIRE_OK(machine.open(family_, options_, false));
    run(machine);
    const CrashReport report = stop(disk, disk.busy_until(), crash);
    ++counts_.images;
    INFO(family_.name << ", " << operation_->name << ", acknowledged, " << crash.name << ": "
                      << report.text);
    machine.family.reset();
    check_recovery(disk, crash, [this](const State& state) { return state == after_; });
  }

  void check_recovery(SimDisk& disk, const Crash& crash,
                      const std::function<bool(const State&)>& legal) {
    if (!seen_.insert(disk.image_hash()).second) return;
    ++counts_.distinct;
    const SimDisk image = disk.fork();
    State recovered;
    uint64_t count = 0;
    {
      Machine machine(&disk);
      const uint64_t begin = disk.operation_count();
      const absl::Status opened = machine.open(family_, options_, false);
      INFO(opened);
      if (!opened.ok()) {
        REQUIRE(crash.garbage);
        REQUIRE_FALSE(family_.refusals.empty());
        REQUIRE(absl::IsDataLoss(opened));
        ++counts_.refused;
        return;
      }
      count = disk.operation_count() - begin;
      recovered = must_read(*machine.family);
      INFO("found " << describe(recovered) << "; before " << describe(before_) << "; after "
                    << describe(after_));
      REQUIRE(legal(recovered));
    }
    // What was shown is durable, and opening again shows the same.
    disk.set_now(disk.busy_until());
    DropAll nothing;
    disk.crash(CrashLevel::kP2, disk.now(), nothing);
    expect_state(disk, recovered);
    expect_state(disk, recovered);
    if (crash.name == "P2, nothing survives" || crash.name == "P2, everything survives") {
      crash_recovery(image, count, legal);
    }
  }

  void expect_state(SimDisk& disk, const State& expected) {
    Machine machine(&disk);
    REQUIRE_OK(machine.open(family_, options_, false));
    REQUIRE(must_read(*machine.family) == expected);
  }

  void crash_recovery(const SimDisk& image, uint64_t count,
                      const std::function<bool(const State&)>& legal) {
    for (uint64_t i = 1; i <= count; ++i) {
      for (const bool keep : {false, true}) {
        SimDisk disk = image.fork();
        disk.pin_crash_at_operation(disk.operation_count() + i);
        Machine machine(&disk);
        REQUIRE_OK(machine.open(family_, options_, false));
        REQUIRE(disk.pinned_crash().has_value());
        DropAll nothing;
        KeepAll everything;
        const CrashReport report = disk.crash(CrashLevel::kP2, *disk.pinned_crash(),
                                              keep ? static_cast<Choice&>(everything) : nothing);
        machine.family.reset();
        INFO("then recovery's disk operation " << i << ": " << report.text);
        Machine again(&disk);
        REQUIRE_OK(again.open(family_, options_, false));
        REQUIRE(legal(must_read(*again.family)));
        ++counts_.nested;
      }
    }
  }

  const FamilyDescriptor& family_;
  const FamilyOptions options_;
  SimDisk fresh_disk_;
  SimDisk prepared_disk_;
  const Operation* operation_ = nullptr;
  uint64_t acknowledged_ = 0;  // number of the last disk operation before the outcome
  State before_;
  State after_;
  std::set<uint64_t> seen_;  // images, of one operation
  Counts counts_;
};

// Small segments make rolls and removals, and a small memtable flushes and compactions, inside the
// operations; with the defaults there are none.
std::vector<FamilyOptions> option_sets(const FamilyDescriptor& descriptor) {
  std::vector<FamilyOptions> sets = {{}};
  for (const families::OptionDescriptor& option : descriptor.options) {
    if (option.name == "segment_size") sets.push_back({{"segment_size", "200"}});
    if (option.name == "flush_bytes") {
      sets.push_back({{"flush_bytes", "256"}, {"compaction_files", "2"}});
    }
  }
  return sets;
}

TEST_CASE("each family survives a crash at each disk operation") {
  families::VolatileMemory memory(1);
  const families::Registry registry = families::builtin_families(&memory);
  for (const FamilyDescriptor& descriptor : registry.all()) {
    if (descriptor.volatility != families::Volatility::kDurable) continue;
    DYNAMIC_SECTION(descriptor.name) {
      for (const FamilyOptions& options : option_sets(descriptor)) {
        Exploration exploration(descriptor, options);
        exploration.explore_creation();
        for (const Operation& operation : all_operations()) exploration.explore(operation);
        const Counts& counts = exploration.counts();
        std::cout << descriptor.name << (options.empty() ? "" : ", small units") << ": "
                  << counts.points << " crash points, " << counts.images << " images, "
                  << counts.distinct << " distinct, " << counts.partial << " partial, "
                  << counts.refused << " refused, " << counts.nested << " crashes in recovery\n";
        CHECK(counts.points > 50);
        CHECK(counts.nested > 500);
      }
    }
  }
}

}  // namespace
}  // namespace qk::sim
