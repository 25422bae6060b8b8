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
#include "sim/disk/crash_sweep.h"
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

std::vector<Loss> import_losses(size_t, uint64_t point) {
  std::vector<Loss> all;
  for (const uint32_t pick : {0U, 1U, 2U, ~0U}) all.push_back(process_death(pick));
  all.push_back(nothing_survives());
  all.push_back(power_cut<KeepAll>("everything survives"));
  all.push_back(power_cut<TornTail>("torn tail"));
  for (const size_t position : {size_t{0}, size_t{1}, size_t{2}}) {
    all.push_back(power_cut<OmitSet>(cat("all but ", position), std::set<size_t>{position}));
    all.push_back(power_cut<KeepOnly>(cat("only ", position), position));
  }
  for (uint64_t sample = 0; sample < 3; ++sample) {
    all.push_back(drawn_power_cut(RandomStream(point * 16 + sample, "import-crash")));
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
using Then =
    std::function<void(DiskMachine& left, FileSystem& fs, bool complete, const CrashPoint& point)>;
Reached crash_everywhere(Fixture& fixture, bool marker_first, const Then& then) {
  DiskMachine finished{fixture.empty_disk()};
  FileBugs bugs;
  if (marker_first) {
    bugs.write = [](std::string_view path, uint64_t, std::string* bytes) {
      return mark_import_complete(path, bytes);
    };
  }
  BuggyFileSystem fs(finished.disk.mount(), bugs);
  const absl::Status imported = fixture.import(fs);
  INFO(imported);
  REQUIRE(imported.ok());
  Reached reached;
  CrashSweep<DiskMachine> sweep;
  sweep.stops = stops_at_instants(&finished, kOperationTime / 2,
                                  finished.disk.busy_until() + kOperationTime, kOperationTime);
  sweep.losses = import_losses;
  sweep.judge = [&](DiskMachine& left, const CrashPoint& point) {
    INFO(point.text());
    const auto after = left.disk.mount();
    const bool complete = fixture.judge(*after, kRoot);
    reached.complete += complete ? 1 : 0;
    reached.absent += complete ? 0 : 1;
    if (families::exists(*after, kStaging).value()) {
      ++reached.leftovers;
      fixture.judge(*after, kStaging);
    }
    then(left, *after, complete, point);
  };
  sweep_crashes(sweep);
  return reached;
}

void check_family(const std::string& family) {
  Fixture fixture(family);
  uint64_t nested = 0;
  const Reached reached = crash_everywhere(
      fixture, false,
      [&](DiskMachine& left, FileSystem& fs, bool complete, const CrashPoint& point) {
        if (complete) {
          REQUIRE(absl::IsAlreadyExists(fixture.import(fs)));
          REQUIRE(fixture.judge(fs, kRoot));
          return;
        }
        left.disk.set_now(left.disk.busy_until());
        const Nanos begin = left.disk.now();
        const bool leftover = fixture.judge(fs, kStaging);
        const absl::Status again = fixture.import(fs);
        INFO("import again: " << again);
        REQUIRE(again.ok());
        REQUIRE(fixture.judge(fs, kRoot));
        REQUIRE_FALSE(families::exists(fs, kStaging).value());
        // And a second crash, somewhere in that import; if the leftover was a complete instance,
        // whose removal is the delicate one, at each operation of the removal.
        const Nanos span = left.disk.busy_until() - begin;
        const Nanos first = leftover ? 0 : (point.at * 7919) % span;
        const Nanos end = leftover ? std::min(span, kRemoval) : span;
        CrashSweep<DiskMachine> second;
        second.stops =
            stops_at_instants(&left, begin + first, begin + end, leftover ? kOperationTime : span);
        second.losses = [&](size_t, uint64_t) {
          return std::vector<Loss>{drawn_power_cut(
              RandomStream(static_cast<uint64_t>(point.at), cat("second ", nested)))};
        };
        second.judge = [&](DiskMachine& twice, const CrashPoint& next) {
          INFO("then " << next.text());
          const auto after = twice.disk.mount();
          fixture.judge(*after, kStaging);
          if (fixture.judge(*after, kRoot)) return;
          const absl::Status third = fixture.import(*after);
          INFO("import after two crashes: " << third);
          REQUIRE(third.ok());
          REQUIRE(fixture.judge(*after, kRoot));
        };
        nested += sweep_crashes(second).images;
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
    crash_everywhere(fixture, true, [](DiskMachine&, FileSystem&, bool, const CrashPoint&) {});
    REQUIRE(fixture.findings() > 0);
  }
}

}  // namespace
}  // namespace qk::sim
