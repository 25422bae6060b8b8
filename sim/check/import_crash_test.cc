// Imports on the simulated disk, crashed at every disk operation: whatever survives, the root does
// not open or is complete and equal to the image (ora.L14), nothing incomplete opens under any
// name, and the next import succeeds. Judged by the oracle, which reads and hashes for itself.
//
// The import runs once, with all its operations stamped; each crash point is a fork of that disk.
// Covered: P0 with several cuts of the executing operation, and P2 with nothing, everything, torn
// tails, single omissions and samples surviving; and again a crash in the import that follows.
// Not covered: every subset of surviving writes.
#include <catch2/catch.hpp>

#include "families/builtin.h"
#include "families/fs/file_util.h"
#include "image/importer.h"
#include "image/toy_family.h"
#include "sim/check/import_oracle.h"
#include "sim/disk/sim_disk.h"
#include "sim/explore/buggy_file_system.h"

namespace qk::sim {
namespace {

using families::FileSystem;
using image::ImportRequest;

constexpr Nanos kOperationTime = 10;
constexpr Nanos kRemoval = 40 * kOperationTime;  // no removal of a leftover takes longer
const std::string kRoot = "/node/b";
const std::string kStaging = "/node/b/qk_importing";
const image::Identity kIdentity{"group", "127.0.0.1:8100:0:0", "lineage-1", 2};

// The pick, for P0; the surviving set, for P2.
class FixedPick final : public Choice {
 public:
  explicit FixedPick(uint32_t pick) : pick_(pick) {}
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override {
    return std::vector<Fate>(pending.size(), Fate::keep());
  }
  uint32_t pick(uint32_t n) override { return std::min(pick_, n - 1); }

 private:
  uint32_t pick_;
};

struct Crash {
  CrashLevel level;
  std::unique_ptr<Choice> choice;
};

std::vector<Crash> crashes(uint64_t point) {
  std::vector<Crash> all;
  const auto add = [&](CrashLevel level, std::unique_ptr<Choice> choice) {
    all.push_back({level, std::move(choice)});
  };
  for (const uint32_t pick : {0U, 1U, 2U, ~0U}) {
    add(CrashLevel::kP0, std::make_unique<FixedPick>(pick));
  }
  add(CrashLevel::kP2, std::make_unique<DropAll>());
  add(CrashLevel::kP2, std::make_unique<KeepAll>());
  add(CrashLevel::kP2, std::make_unique<TornTail>());
  for (const size_t position : {size_t{0}, size_t{1}, size_t{2}}) {
    add(CrashLevel::kP2, std::make_unique<OmitSet>(std::set<size_t>{position}));
    add(CrashLevel::kP2, std::make_unique<KeepOnly>(position));
  }
  for (uint64_t sample = 0; sample < 3; ++sample) {
    add(CrashLevel::kP2,
        std::make_unique<Sampled>(RandomStream(point * 16 + sample, "import-crash")));
  }
  return all;
}

class Fixture {
 public:
  explicit Fixture(std::string family) : family_(std::move(family)) {
    registry_ = families::builtin_families(&memory_);
    registry_.add(image::toy_family());
    make_image();
  }

  SimDisk empty_disk() const {
    DiskOptions options;
    options.latency = {kOperationTime, kOperationTime, kOperationTime, kOperationTime};
    return SimDisk(options, RandomStream(1, "disk"));
  }

  absl::Status import(FileSystem& fs) const {
    ImportRequest request;
    request.registry = &registry_;
    request.fs = &fs;
    request.root = kRoot;
    request.family = family_;
    request.identity = kIdentity;
    request.instance = "i";
    const image::MemorySource source("image", image_);
    image::Importer importer(request, &source);
    return importer.run();
  }

  // What the oracle is told about one name, and whether it opened.
  bool judge(FileSystem& fs, const std::string& root) {
    families::OpenRequest request;
    request.fs = &fs;
    request.root = root;
    auto opened = image::open_instance(registry_, request, family_, kIdentity);
    if (!opened.ok()) {
      const bool absent = !families::exists(fs, root).value();
      oracle_.import_opened(0, absent ? ImportOpen::kAbsent : ImportOpen::kIncomplete,
                            opened.status(), state_);
      return false;
    }
    oracle_.import_opened(0, ImportOpen::kComplete, read_state(**opened), state_);
    return true;
  }

  size_t findings() const { return findings_.size(); }

 private:
  void make_image() {
    SimDisk disk = empty_disk();
    const auto fs = disk.mount();
    families::OpenRequest request;
    request.fs = fs.get();
    request.root = "/a";
    request.create = true;
    auto source = families::open_family(registry_, "local", request).value();
    REQUIRE(source->meta().save({5, "127.0.0.1:8101:0:0"}).ok());
    auto writer = source->snapshot().create().value();
    REQUIRE(writer->create_file("dir/data").value()->write_at(0, std::string(5000, 'd')).ok());
    REQUIRE(writer->add_file("dir/data", {"meta", 0, "c"}).ok());
    REQUIRE(writer->save_meta({1019, 4, {"127.0.0.1:8100:0:0"}, {}}).ok());
    REQUIRE(source->snapshot().publish(std::move(writer)).ok());
    REQUIRE(source->log().reset(1020).ok());
    std::vector<families::LogEntry> entries;  // in two blocks, so in two appends
    for (int64_t index = 1020; index <= 1030; ++index) {
      entries.push_back({index, 4, families::EntryType::kData, cat("payload-", index)});
    }
    REQUIRE(source->log().append(entries).ok());
    state_ = read_state(*source).value();
    image::MemorySink sink(&image_);
    image::Exporter exporter(source.get(), image::ExportCut::capture(*source, 9).value(), kIdentity,
                             "local", "1", &sink);
    REQUIRE(exporter.run().ok());
  }

  std::string family_;
  families::VolatileMemory memory_{1};
  families::Registry registry_;
  std::string image_;
  StateImage state_;
  std::vector<Finding> findings_;
  FindingSink sink_{{"n1"}, [this](const Finding& finding) { findings_.push_back(finding); }};
  ImportOracle oracle_{&sink_};
};

// Counts of what the crash points showed, so that a test which reaches nothing fails.
struct Reached {
  int absent = 0;
  int complete = 0;
  int leftovers = 0;
};

// Crashes the import at every operation and judges what is left; `then` goes on from there.
template <typename Then>
Reached crash_everywhere(Fixture& fixture, bool marker_first, const Then& then) {
  SimDisk finished = fixture.empty_disk();
  FileBugs bugs;
  if (marker_first) {
    bugs.write = [](std::string_view path, uint64_t, std::string* bytes) {
      return mark_import_complete(path, bytes);
    };
  }
  BuggyFileSystem fs(finished.mount(), bugs);
  const absl::Status imported = fixture.import(fs);
  INFO(imported);
  REQUIRE(imported.ok());
  Reached reached;
  for (Nanos at = kOperationTime / 2; at < finished.busy_until() + kOperationTime;
       at += kOperationTime) {
    for (Crash& crash : crashes(static_cast<uint64_t>(at))) {
      SimDisk disk = finished.fork();
      const CrashReport report = disk.crash(crash.level, at, *crash.choice);
      INFO("crash at " << at << ": " << report.text);
      const auto after = disk.mount();
      const bool complete = fixture.judge(*after, kRoot);
      reached.complete += complete ? 1 : 0;
      reached.absent += complete ? 0 : 1;
      if (families::exists(*after, kStaging).value()) {
        ++reached.leftovers;
        fixture.judge(*after, kStaging);
      }
      then(disk, *after, complete, at);
    }
  }
  return reached;
}

void check_family(const std::string& family) {
  Fixture fixture(family);
  int nested = 0;
  const Reached reached =
      crash_everywhere(fixture, false, [&](SimDisk& disk, FileSystem& fs, bool complete, Nanos at) {
        if (complete) {
          REQUIRE(absl::IsAlreadyExists(fixture.import(fs)));
          REQUIRE(fixture.judge(fs, kRoot));
          return;
        }
        disk.set_now(disk.busy_until());
        const Nanos begin = disk.now();
        const bool leftover = fixture.judge(fs, kStaging);
        const absl::Status again = fixture.import(fs);
        INFO("import again: " << again);
        REQUIRE(again.ok());
        REQUIRE(fixture.judge(fs, kRoot));
        REQUIRE_FALSE(families::exists(fs, kStaging).value());
        // And a second crash, somewhere in that import; if the leftover was a complete instance,
        // whose removal is the delicate one, at each operation of the removal.
        const Nanos span = disk.busy_until() - begin;
        const Nanos last = leftover ? std::min(span, kRemoval) : span;
        const Nanos step = leftover ? kOperationTime : span;
        for (Nanos second = leftover ? 0 : (at * 7919) % span; second < last; second += step) {
          SimDisk twice = disk.fork();
          Sampled choice(RandomStream(static_cast<uint64_t>(at + second), "second"));
          twice.crash(CrashLevel::kP2, begin + second, choice);
          const auto after = twice.mount();
          fixture.judge(*after, kStaging);
          ++nested;
          if (fixture.judge(*after, kRoot)) continue;
          const absl::Status third = fixture.import(*after);
          INFO("import after two crashes: " << third);
          REQUIRE(third.ok());
          REQUIRE(fixture.judge(*after, kRoot));
        }
      });
  REQUIRE(fixture.findings() == 0);
  REQUIRE(reached.absent > 100);
  REQUIRE(reached.leftovers > 100);
  REQUIRE(reached.complete > 10);
  REQUIRE(nested > 100);
}

TEST_CASE("import into local: no crash leaves half an instance that opens") {
  check_family("local");
}
TEST_CASE("import into sqlite: no crash leaves half an instance that opens") {
  check_family("sqlite");
}
TEST_CASE("import into a toy family: no crash leaves half an instance that opens") {
  check_family("toy");
}

TEST_CASE("import with the marker first: the oracle finds half an instance") {
  for (const std::string family : {"local", "sqlite", "toy"}) {
    INFO(family);
    Fixture fixture(family);
    crash_everywhere(fixture, true, [](SimDisk&, FileSystem&, bool, Nanos) {});
    REQUIRE(fixture.findings() > 0);
  }
}

}  // namespace
}  // namespace qk::sim
