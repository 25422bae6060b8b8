// SimDisk apart from what a crash leaves (litmus_test.cc): time, incarnations, forks, determinism,
// replay. Not here: the file system calls themselves (file_system_conformance_test.cc).
#include "sim/disk/sim_disk.h"

#include <catch2/catch.hpp>
#include <functional>

#include "families/fs/file_util.h"
#include "sim/disk/sync_dropping.h"
#include "sim/disk/test_util.h"

namespace qk::sim {
namespace {

using families::FileSystem;
using families::read_file;
using families::SyncKind;
using families::write_file;

DiskOptions fixed_latency(Nanos write, Nanos sync) {
  DiskOptions options;
  options.latency = {write, write, sync, sync};
  return options;
}

SimDisk make_disk(const DiskOptions& options, uint64_t seed = 1) {
  return SimDisk(options, RandomStream(seed, "disk"));
}

// A small history with pending operations of every kind.
void exercise(SimDisk* disk, FileSystem& fs, uint64_t seed) {
  RandomStream random(seed, "workload");
  for (int i = 0; i < 200; ++i) {
    const std::string path = cat("/f", random.below(8));
    switch (random.below(8)) {
      case 0:
        (void)fs.rename(path, cat("/f", random.below(8)));
        break;
      case 1:
        (void)fs.unlink(path);
        break;
      case 2:
        must(fs.sync_dir("/", SyncKind::kFull));
        break;
      case 3:
        must(
            write_file(fs, path, std::string(random.below(3000), static_cast<char>('a' + i % 26))));
        break;
      default: {
        auto file = fs.open(path, {.create = true});
        must(file.status());
        must((*file)->write_at(random.below(9000), std::string(1 + random.below(5000), 'w')));
        if (random.below(4) == 0) must((*file)->truncate(random.below(6000)));
        break;
      }
    }
    if (random.below(3) == 0) disk->set_now(disk->now() + static_cast<Nanos>(random.below(2000)));
  }
}

TEST_CASE("a call is stamped by one queue: busy_until grows, now does not", "[disk]") {
  SimDisk disk = make_disk(fixed_latency(10, 100));
  const auto fs = disk.mount();
  auto file = fs->open("/f", {.create = true});
  must(file.status());
  CHECK(disk.busy_until() == 10);
  must((*file)->write_at(0, std::string(8192, 'x')));  // two pages
  CHECK(disk.busy_until() == 30);
  must((*file)->sync(SyncKind::kData));
  CHECK(disk.busy_until() == 130);
  char byte;
  CHECK((*file)->read_at(0, {&byte, 1}).value() == 1);
  CHECK(fs->list("/").value().size() == 1);
  CHECK(disk.busy_until() == 130);
  CHECK(disk.now() == 0);
  CHECK(disk.operation_count() == 3);
  disk.set_now(500);
  must(fs->sync_dir("/", SyncKind::kData));
  CHECK(disk.busy_until() == 600);
}

TEST_CASE("the slow factor multiplies latencies", "[disk]") {
  DiskOptions options = fixed_latency(10, 100);
  options.latency.slow_factor = 2;
  SimDisk disk = make_disk(options);
  const auto fs = disk.mount();
  must(fs->mkdir("/d"));
  CHECK(disk.busy_until() == 20);
  disk.set_slow_factor(7);
  must(fs->sync_dir("/", SyncKind::kData));
  CHECK(disk.busy_until() == 720);
}

TEST_CASE("operations that fail or change nothing are not counted", "[disk]") {
  SimDisk disk = make_disk(fixed_latency(10, 100));
  const auto fs = disk.mount();
  CHECK_FALSE(fs->unlink("/missing").ok());
  CHECK_FALSE(fs->rename("/missing", "/f").ok());
  CHECK_FALSE(fs->open("/missing", {}).ok());
  CHECK(disk.operation_count() == 0);
  must(fs->open("/f", {.create = true, .truncate = true}).status());  // create alone
  CHECK(disk.operation_count() == 1);
  must(fs->rename("/f", "/f"));
  must((*fs->open("/f", {}))->truncate(0));
  must((*fs->open("/f", {}))->write_at(7, ""));
  CHECK(disk.operation_count() == 1);
  CHECK(disk.busy_until() == 10);
}

TEST_CASE("an observer is told of each operation once, as it was called", "[disk]") {
  struct Observer final : DiskObserver {
    void issued(const DiskOperation& operation, Nanos done) override {
      static constexpr std::string_view kNames[] = {"write",  "truncate", "sync",   "sync_dir",
                                                    "create", "unlink",   "rename", "link",
                                                    "mkdir",  "rmdir"};
      told.push_back(cat(kNames[static_cast<size_t>(operation.op)], " ", operation.path,
                         operation.to.empty() ? "" : cat(" to ", operation.to), " ",
                         operation.offset, "+", operation.bytes.size(), " until ", done));
    }
    std::vector<std::string> told;
  };
  SimDisk disk = make_disk(fixed_latency(10, 100));
  const auto fs = disk.mount();
  must(fs->mkdir("/before"));
  Observer observer;
  disk.set_observer(&observer);
  must(fs->mkdir("/d"));
  {
    const auto file = fs->open("/d/f", {.create = true});
    must(file.status());
    must((*file)->write_at(3, "abc"));
    must((*file)->write_at(9, ""));  // changes nothing
    must((*file)->truncate(2));
    must((*file)->sync(SyncKind::kData));
  }
  must(fs->open("/d/f", {.truncate = true}).status());
  must(fs->link("/d/f", "/g"));
  must(fs->rename("/g", "/h"));
  must(fs->sync_dir("/d", SyncKind::kFull));
  must(fs->unlink("/h"));
  must(fs->rmdir("/before"));
  CHECK_FALSE(fs->unlink("/missing").ok());
  SimDisk copy = disk.fork();
  must(copy.mount()->mkdir("/on-the-copy"));
  CHECK(observer.told ==
        std::vector<std::string>{
            "mkdir /d 0+0 until 20", "create /d/f 0+0 until 30", "write /d/f 3+3 until 40",
            "truncate /d/f 2+0 until 50", "sync /d/f 0+0 until 150", "truncate /d/f 0+0 until 160",
            "link /d/f to /g 0+0 until 170", "rename /g to /h 0+0 until 180",
            "sync_dir /d 0+0 until 280", "unlink /h 0+0 until 290", "rmdir /before 0+0 until 300"});
  observer.told.clear();
  disk.set_observer(nullptr);
  must(fs->mkdir("/e"));
  CHECK(observer.told.empty());
}

TEST_CASE("a pinned crash lies in the middle of its operation", "[disk]") {
  SimDisk disk = make_disk(fixed_latency(10, 100));
  const auto fs = disk.mount();
  disk.pin_crash_at_operation(3);
  auto file = fs->open("/f", {.create = true});
  must((*file)->write_at(0, "abc"));
  CHECK_FALSE(disk.pinned_crash().has_value());
  must((*file)->write_at(3, "def"));
  REQUIRE(disk.pinned_crash().has_value());
  CHECK(*disk.pinned_crash() == 25);
  must((*file)->write_at(6, "ghi"));
  must(fs->unlink("/f"));
  CHECK(*disk.pinned_crash() == 25);

  SimDisk cleared = disk.fork();
  cleared.clear_pin();
  CHECK_FALSE(cleared.pinned_crash().has_value());

  Scripted half(Decision{{}, {}, 2});
  const CrashReport report = disk.crash(CrashLevel::kP0, *disk.pinned_crash(), half);
  CHECK(report.never_issued == 3);  // the third append (bytes and size) and the unlink
  CHECK(report.pending == 5);       // create, and two appends
  CHECK(report.kept == 4);
  CHECK(report.torn == 1);
  CHECK(report.decision.picked == 2);
  REQUIRE(report.decision.executing.has_value());
  CHECK(to_string(*report.decision.executing) == "/f write 2");
  CHECK(report.text ==
        "P0 at 25: 5 pending, 4 kept, 0 dropped, 1 torn; executing f: "
        "write 3+3, sectors 01 of page 0, 1 of 3 bytes");
  CHECK_FALSE(disk.pinned_crash().has_value());
  CHECK(read_file(*disk.mount(), "/f", 100).value() == "abcd");
}

TEST_CASE("an operation without latency still has an inside", "[disk]") {
  SimDisk disk = make_disk({});
  const auto fs = disk.mount();
  disk.pin_crash_at_operation(2);
  must(fs->mkdir("/a"));
  must(fs->mkdir("/b"));
  must(fs->mkdir("/c"));
  SimDisk before = disk.fork();
  DropAll nothing;
  disk.crash(CrashLevel::kP0, *disk.pinned_crash(), nothing);
  CHECK(disk.mount()->list("/").value() == std::vector<std::string>{"a"});
  KeepAll all;
  before.crash(CrashLevel::kP0, *before.pinned_crash(), all);
  CHECK(before.mount()->list("/").value() == std::vector<std::string>{"a", "b"});
}

TEST_CASE("a sync takes effect when time passes its return, not when it is called", "[disk]") {
  SimDisk disk = make_disk(fixed_latency(10, 100));
  const auto fs = disk.mount();
  must(fs->mkdir("/d"));
  must(fs->sync_dir("/", SyncKind::kFull));  // returns at 110
  DropAll drop;
  SimDisk before = disk.fork();
  before.crash(CrashLevel::kP2, 109, drop);
  CHECK(before.mount()->list("/").value().empty());
  SimDisk at = disk.fork();
  at.crash(CrashLevel::kP2, 110, drop);
  CHECK(at.mount()->list("/").value().size() == 1);
  disk.set_now(110);
  disk.crash(CrashLevel::kP2, 110, drop);
  CHECK(disk.mount()->list("/").value().size() == 1);
}

TEST_CASE("after a crash every handle is dead and the disk is not touched", "[disk]") {
  SimDisk disk = make_disk(fixed_latency(10, 100));
  auto fs = disk.mount();
  must(write_file(*fs, "/f", "abc"));
  auto file = fs->open("/f", {});
  auto lock = fs->lock("/lock");
  must(lock.status());
  KeepAll keep;
  disk.crash(CrashLevel::kP0, disk.busy_until(), keep);
  const auto next = disk.mount();
  const uint64_t hash = disk.image_hash();
  const uint64_t operations = disk.operation_count();
  const Nanos busy = disk.busy_until();

  std::string buffer(3, '\0');
  const auto is_dead = [](const absl::Status& status) {
    return absl::IsAborted(status) && status_errno(status) == ENODEV;
  };
  CHECK(is_dead((*file)->read_at(0, buffer).status()));
  CHECK(is_dead((*file)->write_at(0, "x")));
  CHECK(is_dead((*file)->truncate(0)));
  CHECK(is_dead((*file)->size().status()));
  CHECK(is_dead((*file)->sync(SyncKind::kFull)));
  CHECK(is_dead(fs->open("/f", {}).status()));
  CHECK(is_dead(fs->unlink("/f")));
  CHECK(is_dead(fs->rename("/f", "/g")));
  CHECK(is_dead(fs->link("/f", "/g")));
  CHECK(is_dead(fs->mkdir("/d")));
  CHECK(is_dead(fs->rmdir("/d")));
  CHECK(is_dead(fs->list("/").status()));
  CHECK(is_dead(fs->stat("/f").status()));
  CHECK(is_dead(fs->sync_dir("/", SyncKind::kFull)));
  CHECK(is_dead(fs->lock("/lock").status()));
  CHECK(is_dead(fs->free_space("/").status()));

  // The lock died with the machine; releasing the old handle must not release the new one.
  auto held = next->lock("/lock");
  must(held.status());
  lock->reset();
  CHECK(absl::IsUnavailable(next->lock("/lock").status()));
  file->reset();
  fs.reset();
  CHECK(disk.image_hash() == hash);
  CHECK(disk.operation_count() == operations);
  CHECK(disk.busy_until() == busy);
}

TEST_CASE("handles may outlive the disk", "[disk]") {
  auto disk = std::make_unique<SimDisk>(make_disk({}));
  const auto fs = disk->mount();
  auto file = fs->open("/f", {.create = true});
  disk.reset();
  CHECK((*file)->size().ok());
}

TEST_CASE("a mount without a crash loses nothing and kills the earlier handles", "[disk]") {
  SimDisk disk = make_disk(fixed_latency(10, 100));
  const auto old = disk.mount();
  must(write_file(*old, "/f", "abc"));
  const auto fs = disk.mount();
  CHECK(absl::IsAborted(old->stat("/f").status()));
  CHECK(read_file(*fs, "/f", 10).value() == "abc");
}

TEST_CASE("an unlinked file lives as long as its handle, and dies with the machine", "[disk]") {
  DiskOptions options;
  options.capacity = 8192;
  SimDisk disk = make_disk(options);
  const auto fs = disk.mount();
  auto file = fs->open("/f", {.create = true});
  must((*file)->write_at(0, std::string(8192, 'x')));
  must(fs->unlink("/f"));
  must(fs->sync_dir("/", SyncKind::kFull));
  disk.set_now(disk.busy_until());
  CHECK((*file)->size().value() == 8192);
  CHECK(fs->free_space("/").value() == 0);
  must(fs->open("/g", {.create = true}).status());
  const absl::Status full = (*fs->open("/g", {}))->write_at(0, "y");
  CHECK(absl::IsResourceExhausted(full));
  KeepAll keep;
  disk.crash(CrashLevel::kP0, disk.now(), keep);
  CHECK(disk.mount()->free_space("/").value() == 8192);
}

TEST_CASE("a file that grows again after a power cut shows zeros, not what lay after its end",
          "[disk]") {
  SimDisk disk = make_disk(fixed_latency(10, 100));
  auto fs = disk.mount();
  must(write_file(*fs, "/f", ""));
  must(fs->sync_dir("/", SyncKind::kFull));
  disk.set_now(disk.busy_until());
  must((*fs->open("/f", {}))->write_at(0, "secret"));
  OmitSet without_size({0});
  const CrashReport report = disk.crash(CrashLevel::kP2, disk.busy_until(), without_size);
  CHECK(report.kept == 1);
  fs = disk.mount();
  CHECK(read_file(*fs, "/f", 10).value().empty());
  must((*fs->open("/f", {}))->truncate(6));
  CHECK(read_file(*fs, "/f", 10).value() == std::string(6, '\0'));
}

TEST_CASE("the sector size is the unit that tears", "[disk]") {
  for (const uint32_t sector_size : {512u, 1024u, 4096u}) {
    DiskOptions options = fixed_latency(10, 100);
    options.sector_size = sector_size;
    SimDisk disk = make_disk(options);
    const auto fs = disk.mount();
    must(write_file(*fs, "/f", std::string(4096, 'a')));
    must(fs->sync_dir("/", SyncKind::kFull));
    disk.set_now(disk.busy_until());
    must((*fs->open("/f", {}))->write_at(0, std::string(4096, 'b')));
    Decision decision;
    decision.kept[{"/f", PendingOperation::Kind::kWrite, 2}] = Fate::torn(1);
    Scripted first_sector(decision);
    const CrashReport report = disk.crash(CrashLevel::kP2, disk.busy_until(), first_sector);
    CHECK(report.torn == (sector_size < 4096 ? 1 : 0));
    const std::string expected =
        std::string(sector_size, 'b') + std::string(4096 - sector_size, 'a');
    CHECK(read_file(*disk.mount(), "/f", 4096).value() == expected);
  }
}

TEST_CASE("the same seed gives the same image; another latency stream another", "[disk]") {
  DiskOptions options;
  options.latency = {10, 1000, 100, 5000};
  const auto image = [&](uint64_t disk_seed, uint64_t choice_seed) {
    SimDisk disk = make_disk(options, disk_seed);
    exercise(&disk, *disk.mount(), 7);
    Sampled choice(RandomStream(choice_seed, "choice"));
    disk.crash(CrashLevel::kP2, disk.now() + 500, choice);
    return disk.image_hash();
  };
  std::set<uint64_t> images;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    CHECK(image(seed, seed) == image(seed, seed));
    images.insert(image(seed, seed));
  }
  CHECK(images.size() >= 15);
}

TEST_CASE("a decision replays to the same image", "[disk]") {
  DiskOptions options;
  options.latency = {10, 1000, 100, 5000};
  uint64_t torn = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    for (const CrashLevel level : {CrashLevel::kP0, CrashLevel::kP2}) {
      SimDisk disk = make_disk(options, seed);
      exercise(&disk, *disk.mount(), seed);
      SimDisk again = disk.fork();
      Sampled sampled(RandomStream(seed, "choice"));
      const Nanos at = disk.now() + 5000;
      const CrashReport report = disk.crash(level, at, sampled);
      CHECK(report.kept + report.dropped + report.torn == report.pending);
      torn += report.torn;
      Scripted scripted(report.decision);
      const CrashReport repeated = again.crash(level, at, scripted);
      CHECK(repeated.text == report.text);
      CHECK(difference(report.decision, repeated.decision).empty());
      CHECK(again.image_hash() == disk.image_hash());
    }
  }
  CHECK(torn > 0);
}

TEST_CASE("a decision names files by where they were made", "[disk]") {
  SimDisk disk = make_disk(fixed_latency(10, 100));
  const auto fs = disk.mount();
  must(fs->mkdir("/d"));
  must(write_file(*fs, "/d/t", "1"));
  must(fs->rename("/d/t", "/d/f"));
  must(write_file(*fs, "/d/t", "2"));  // the second made there
  KeepAll keep;
  const CrashReport report = disk.crash(CrashLevel::kP2, disk.busy_until(), keep);
  std::vector<std::string> kept;
  for (const auto& [key, fate] : report.decision.kept) kept.push_back(to_string(key));
  CHECK(kept == std::vector<std::string>{"/ name 1", "/d name 1", "/d name 2", "/d name 4"});
}

TEST_CASE("a fork and its original go their own ways", "[disk]") {
  DiskOptions options;
  options.latency = {10, 1000, 100, 5000};
  SimDisk disk = make_disk(options);
  const auto fs = disk.mount();
  exercise(&disk, *fs, 3);
  SimDisk twin = make_disk(options);
  const auto twin_fs = twin.mount();
  exercise(&twin, *twin_fs, 3);

  const uint64_t hash = disk.image_hash();
  SimDisk fork = disk.fork();
  CHECK(fork.image_hash() == hash);
  DropAll drop;
  fork.crash(CrashLevel::kP2, fork.busy_until(), drop);
  exercise(&fork, *fork.mount(), 4);
  CHECK(fork.image_hash() != hash);
  CHECK(disk.image_hash() == hash);

  // Neither content nor draws of the original were disturbed, and its handles still work.
  SimDisk idle = disk.fork();
  exercise(&disk, *fs, 5);
  exercise(&twin, *twin_fs, 5);
  CHECK(disk.image_hash() == twin.image_hash());
  CHECK(disk.busy_until() == twin.busy_until());
  CHECK(idle.image_hash() == hash);
}

TEST_CASE("everything synced survives any power cut", "[disk]") {
  DiskOptions options;
  options.latency = {10, 1000, 100, 5000};
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SimDisk disk = make_disk(options, seed);
    const auto fs = disk.mount();
    exercise(&disk, *fs, seed);
    must(families::sync_tree(*fs, "/"));
    disk.set_now(disk.busy_until());
    const uint64_t hash = disk.image_hash();
    Sampled choice(RandomStream(seed, "choice"));
    const CrashReport report = disk.crash(CrashLevel::kP2, disk.now(), choice);
    CHECK(report.pending == 0);
    CHECK(disk.image_hash() == hash);
  }
}

TEST_CASE("pages are shared with pending versions and forks but never changed", "[disk]") {
  SimDisk disk = make_disk(fixed_latency(1, 1));
  const auto fs = disk.mount();
  must(write_file(*fs, "/f", "aaaa"));
  must(fs->sync_dir("/", SyncKind::kFull));
  disk.set_now(disk.busy_until());
  auto file = fs->open("/f", {});
  must((*file)->write_at(0, "b"));
  SimDisk fork = disk.fork();
  must((*file)->write_at(1, "c"));
  must((*file)->truncate(2));
  DropAll drop;
  KeepAll keep;
  SimDisk kept = fork.fork();
  fork.crash(CrashLevel::kP2, fork.busy_until(), drop);
  CHECK(read_file(*fork.mount(), "/f", 9).value() == "aaaa");
  kept.crash(CrashLevel::kP2, kept.busy_until(), keep);
  CHECK(read_file(*kept.mount(), "/f", 9).value() == "baaa");
  CHECK(read_file(*fs, "/f", 9).value() == "bc");
}

TEST_CASE("a file system that drops syncs drops just those", "[disk]") {
  SimDisk disk = make_disk(fixed_latency(10, 100));
  SyncDroppingFileSystem fs(disk.mount(),
                            [](std::string_view path) { return path == "/a" || path == "/d"; });
  must(fs.mkdir("/d"));
  must(write_file(fs, "/a", "A"));
  must(write_file(fs, "/b", "B"));
  must(write_file(fs, "/d/c", "C"));
  must(fs.sync_dir("/d", SyncKind::kFull));
  must(fs.sync_dir("/", SyncKind::kFull));
  CHECK(disk.operation_count() == 1 + 2 + 3 + 3 + 1);  // a's and d's syncs are missing
  CHECK(read_file(fs, "/a", 9).value() == "A");
  DropAll drop;
  disk.crash(CrashLevel::kP2, disk.busy_until(), drop);
  const auto after = disk.mount();
  CHECK(read_file(*after, "/a", 9).value().empty());
  CHECK(read_file(*after, "/b", 9).value() == "B");
  CHECK(after->list("/d").value().empty());
}

}  // namespace
}  // namespace qk::sim
