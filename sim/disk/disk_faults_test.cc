// Faults of SimDisk: which calls they hit, what has happened when a call reports an error, and what
// a failed sync takes away.
#include "sim/disk/disk_faults.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>

#include "families/fs/file_util.h"
#include "sim/disk/sim_disk.h"
#include "sim/disk/test_util.h"

namespace qk::sim {
namespace {

using families::File;
using families::FileSystem;
using families::SyncKind;

// A disk with a file /f of one durable page of 'a'.
struct Faulty {
  SimDisk disk;
  std::unique_ptr<FileSystem> fs;
  std::unique_ptr<File> file;

  Faulty() : disk(latency(), RandomStream(1, "disk")), fs(disk.mount()) {
    auto opened = fs->open("/f", {.create = true});
    must(opened.status());
    file = std::move(*opened);
    must(file->write_at(0, std::string(4096, 'a')));
    must(file->sync(SyncKind::kData));
    must(fs->sync_dir("/", SyncKind::kFull));
    settle();
  }
  static DiskOptions latency() {
    DiskOptions options;
    options.latency = {10, 10, 100, 100};
    return options;
  }
  void settle() { disk.set_now(std::max(disk.now(), disk.busy_until())); }
  // The next call of this kind fails.
  void fail(DiskAccess access, DiskApplied applied = DiskApplied::kNothing) {
    DiskFault fault;
    fault.access = access;
    fault.applied = applied;
    disk.add_fault(fault, 0, {});
  }
  // "a4096" : runs of equal bytes, as the file system of `disk` shows them.
  static std::string shown(FileSystem& fs, std::string_view path = "/f") {
    const auto bytes = families::read_file(fs, path, 1 << 20);
    if (!bytes.ok()) return "-";
    std::string out;
    for (size_t i = 0; i < bytes->size();) {
      size_t end = bytes->find_first_not_of((*bytes)[i], i);
      if (end == std::string::npos) end = bytes->size();
      out += cat(std::string(1, (*bytes)[i] == 0 ? '0' : (*bytes)[i]), end - i);
      i = end;
    }
    return out;
  }
  // After a power cut that loses everything unsynced, or nothing.
  template <typename Lose = DropAll>
  std::string left(std::string_view path = "/f") {
    settle();
    SimDisk copy = disk.fork();
    Lose lose;
    copy.crash(CrashLevel::kP2, copy.now(), lose);
    return shown(*copy.mount(), path);
  }
};

TEST_CASE("a fault hits the n-th call of its kind and path, once or from then on", "[faults]") {
  Faulty d;
  DiskFault fault;
  fault.access = DiskAccess::kWrite;
  fault.path = "/f";
  fault.nth = 2;
  int hits = 0;
  d.disk.add_fault(fault, 0, [&](const DiskFault&) { ++hits; });
  auto other = d.fs->open("/g", {.create = true});
  must(other.status());
  must((*other)->write_at(0, "x"));
  must(d.file->write_at(0, "x"));
  must(d.file->sync(SyncKind::kData));
  const absl::Status failed = d.file->write_at(0, "y");
  CHECK(status_errno(failed) == EIO);
  CHECK(to_std(failed.message()).find("write /f") != std::string::npos);
  must(d.file->write_at(0, "z"));
  CHECK(hits == 1);
  CHECK_FALSE(d.disk.has_faults());

  fault.times = 0;
  const uint64_t id = d.disk.add_fault(fault, 0, [&](const DiskFault&) { ++hits; });
  must(d.file->write_at(0, "x"));
  CHECK_FALSE(d.file->write_at(0, "x").ok());
  CHECK_FALSE(d.file->truncate(1).ok());
  d.disk.remove_fault(id);
  must(d.file->write_at(0, "x"));
  CHECK(hits == 3);
  fault.nth = 1;
  fault.times = 2;
  d.disk.add_fault(fault, 0, {});
  CHECK_FALSE(d.file->write_at(0, "x").ok());
  CHECK_FALSE(d.file->write_at(0, "x").ok());
  must(d.file->write_at(0, "x"));
}

TEST_CASE("a fault can begin with an operation of the disk", "[faults]") {
  Faulty d;
  d.disk.add_fault({}, d.disk.operation_count() + 2, {});
  must(d.file->write_at(0, "1"));
  CHECK_FALSE(d.file->write_at(0, "2").ok());
  must(d.file->write_at(0, "3"));
}

TEST_CASE("each kind of call can fail, and reports what it was", "[faults]") {
  Faulty d;
  char byte;
  d.fail(DiskAccess::kRead);
  CHECK(status_errno(d.file->read_at(0, {&byte, 1}).status()) == EIO);
  d.fail(DiskAccess::kRead);
  CHECK(status_errno(d.fs->list("/").status()) == EIO);
  d.fail(DiskAccess::kOpen);
  CHECK(status_errno(d.fs->open("/f", {}).status()) == EIO);
  d.fail(DiskAccess::kRename);
  const absl::Status renamed = d.fs->rename("/f", "/g");
  CHECK(to_std(renamed.message()).find("rename /f to /g") == 0);
  d.fail(DiskAccess::kSync);
  CHECK(status_errno(d.fs->sync_dir("/", SyncKind::kFull)) == EIO);
  d.fail(DiskAccess::kName);
  CHECK(status_errno(d.fs->mkdir("/d")) == EIO);
  CHECK(d.left<KeepAll>() == "a4096");
  CHECK(d.fs->list("/").value().size() == 1);
  // What is not there fails as ever, and uses no fault up.
  d.fail(DiskAccess::kOpen);
  CHECK(absl::IsNotFound(d.fs->open("/none", {}).status()));
  CHECK(d.disk.has_faults());
}

TEST_CASE("a call that failed did nothing, a half or all", "[faults]") {
  Faulty d;
  const std::string page(4096, 'b');
  d.fail(DiskAccess::kWrite, DiskApplied::kNothing);
  CHECK_FALSE(d.file->write_at(0, page).ok());
  CHECK(d.shown(*d.fs) == "a4096");
  d.fail(DiskAccess::kWrite, DiskApplied::kHalf);
  CHECK_FALSE(d.file->write_at(0, page).ok());
  CHECK(d.shown(*d.fs) == "b2048a2048");
  d.fail(DiskAccess::kWrite, DiskApplied::kAll);
  CHECK_FALSE(d.file->write_at(0, page).ok());
  CHECK(d.shown(*d.fs) == "b4096");
  d.fail(DiskAccess::kRename, DiskApplied::kHalf);
  CHECK_FALSE(d.fs->rename("/f", "/g").ok());
  CHECK(d.shown(*d.fs) == "b4096");
  d.fail(DiskAccess::kRename, DiskApplied::kAll);
  CHECK_FALSE(d.fs->rename("/f", "/g").ok());
  CHECK(d.shown(*d.fs) == "-");
  CHECK(d.shown(*d.fs, "/g") == "b4096");
}

TEST_CASE("what a failed sync did not write back is seen, and lost with the power", "[faults]") {
  Faulty d;
  must(d.file->write_at(4096, std::string(4096, 'b')));
  d.fail(DiskAccess::kSync);
  CHECK_FALSE(d.file->sync(SyncKind::kData).ok());
  CHECK(d.shown(*d.fs) == "a4096b4096");
  // Whatever a power cut would keep of the rest.
  CHECK(d.left<KeepAll>() == "a4096");
  // The pages count as clean: the next sync has nothing to do.
  must(d.file->sync(SyncKind::kData));
  CHECK(d.left<KeepAll>() == "a4096");
  CHECK(d.shown(*d.fs) == "a4096b4096");
  // Nor does a new process change that.
  DropAll drop;
  d.settle();
  d.disk.crash(CrashLevel::kP0, d.disk.now(), drop);
  d.fs = d.disk.mount();
  CHECK(d.shown(*d.fs) == "a4096b4096");
  d.file = std::move(d.fs->open("/f", {}).value());
  must(d.file->sync(SyncKind::kData));
  CHECK(d.left() == "a4096");
  // Who writes the bytes again, has them.
  must(d.file->write_at(4096, std::string(4096, 'b')));
  must(d.file->sync(SyncKind::kData));
  CHECK(d.left() == "a4096b4096");
}

TEST_CASE("the cache may drop what a failed sync did not write back, later", "[faults]") {
  Faulty d;
  must(d.file->write_at(0, std::string(4096, 'b')));
  must(d.file->write_at(4096, std::string(4096, 'c')));
  DiskFault fault;
  fault.access = DiskAccess::kSync;
  fault.evict_after = 1000;
  d.disk.add_fault(fault, 0, {});
  CHECK_FALSE(d.file->sync(SyncKind::kData).ok());
  CHECK(d.shown(*d.fs) == "b4096c4096");
  // A sync that returns OK makes nothing good.
  must(d.file->sync(SyncKind::kData));
  SimDisk copy = d.disk.fork();
  d.disk.set_now(d.disk.now() + 1000);
  // The file is as long as it was; what the disk does not have of it reads as zeros.
  CHECK(d.shown(*d.fs) == "a409604096");
  CHECK(d.left<KeepAll>() == "a4096");
  must(d.file->write_at(4096, "d"));
  must(d.file->sync(SyncKind::kData));
  CHECK(d.left() == "a4096d104095");
  // A fork has its own time.
  CHECK(d.shown(*copy.mount()) == "b4096c4096");
  copy.set_now(copy.now() + 1000);
  CHECK(d.shown(*copy.mount()) == "a409604096");
}

TEST_CASE("a page that is dirty again is not dropped", "[faults]") {
  Faulty d;
  must(d.file->write_at(0, std::string(4096, 'b')));
  DiskFault fault;
  fault.access = DiskAccess::kSync;
  fault.evict_after = 1000;
  d.disk.add_fault(fault, 0, {});
  CHECK_FALSE(d.file->sync(SyncKind::kData).ok());
  must(d.file->write_at(0, "c"));
  d.disk.set_now(d.disk.now() + 1000);
  CHECK(d.shown(*d.fs) == "c1b4095");
}

TEST_CASE("a file system may take back what a sync failed to write, the size too", "[faults]") {
  Faulty d;
  must(d.file->write_at(0, std::string(4096, 'b')));
  must(d.file->write_at(4096, std::string(4096, 'c')));
  DiskFault fault;
  fault.access = DiskAccess::kSync;
  fault.applied = DiskApplied::kHalf;  // the first page, which is one of three operations
  fault.reverts = true;
  d.disk.add_fault(fault, 0, {});
  CHECK_FALSE(d.file->sync(SyncKind::kData).ok());
  CHECK(d.shown(*d.fs) == "b4096");
  // An append at the old offset leaves a hole.
  must(d.file->write_at(8192, "d"));
  must(d.file->sync(SyncKind::kData));
  CHECK(d.left() == "b409604096d1");
}

TEST_CASE("a page that is written again after a failed sync is written back whole", "[faults]") {
  Faulty d;
  must(d.file->write_at(4096, std::string(6000, 'b')));
  d.fail(DiskAccess::kSync);
  CHECK_FALSE(d.file->sync(SyncKind::kData).ok());
  must(d.file->write_at(4096, "c"));
  must(d.file->sync(SyncKind::kData));
  // The size goes as far as the page, and the second page is still lost.
  CHECK(d.left() == "a4096c1b4095");
  CHECK(d.shown(*d.fs) == "a4096c1b5999");
  must(d.file->write_at(12288, "d"));
  must(d.file->sync(SyncKind::kData));
  CHECK(d.left() == "a4096c1b4095" + std::string("04096d1"));
}

TEST_CASE("a failed sync takes only what no earlier sync covers", "[faults]") {
  Faulty d;
  must(d.file->write_at(4096, std::string(4096, 'b')));
  must(d.file->sync(SyncKind::kData));  // has not returned yet
  must(d.file->write_at(8192, std::string(4096, 'c')));
  d.fail(DiskAccess::kSync);
  CHECK_FALSE(d.file->sync(SyncKind::kData).ok());
  CHECK(d.left() == "a4096b4096");
}

TEST_CASE("a failed sync may have written back a half, or all", "[faults]") {
  for (const DiskApplied applied : {DiskApplied::kHalf, DiskApplied::kAll}) {
    Faulty d;
    must(d.file->write_at(4096, std::string(8192, 'b')));  // a size, two pages
    must(d.file->write_at(0, std::string(4096, 'c')));
    d.fail(DiskAccess::kSync, applied);
    CHECK_FALSE(d.file->sync(SyncKind::kData).ok());
    CHECK(d.left() == (applied == DiskApplied::kHalf ? "a4096b409604096" : "c4096b8192"));
  }
}

TEST_CASE("truncations and names survive a failed sync: a later one covers them", "[faults]") {
  Faulty d;
  must(d.file->truncate(100));
  d.fail(DiskAccess::kSync);
  CHECK_FALSE(d.file->sync(SyncKind::kData).ok());
  CHECK(d.left() == "a4096");
  must(d.file->sync(SyncKind::kData));
  CHECK(d.left() == "a100");
  must(d.fs->rename("/f", "/g"));
  d.fail(DiskAccess::kSync);
  CHECK_FALSE(d.fs->sync_dir("/", SyncKind::kFull).ok());
  CHECK(d.left() == "a100");
  must(d.fs->sync_dir("/", SyncKind::kFull));
  CHECK(d.left("/g") == "a100");
}

TEST_CASE("a full disk refuses what needs space until there is some", "[faults]") {
  Faulty d;
  DiskFault full;
  full.kind = DiskFaultKind::kDiskFull;
  full.times = 0;
  full.free = 8192;
  d.disk.add_fault(full, 0, {});
  must(d.file->write_at(4096, std::string(8192, 'b')));
  const absl::Status failed = d.file->write_at(12288, "c");
  CHECK(status_errno(failed) == ENOSPC);
  CHECK(status_errno(d.fs->mkdir("/d")) == ENOSPC);
  CHECK(status_errno(d.fs->open("/g", {.create = true}).status()) == ENOSPC);
  // What is there can be changed, synced, read and removed.
  must(d.file->write_at(0, std::string(12288, 'c')));
  must(d.file->sync(SyncKind::kData));
  CHECK(d.left() == "c12288");
  d.disk.make_space();
  must(d.fs->mkdir("/d"));
}

TEST_CASE("a stalled call returns OK and late, and what is queued after it waits", "[faults]") {
  Faulty d;
  DiskFault stall;
  stall.kind = DiskFaultKind::kStall;
  stall.stall = 5000;
  stall.access = DiskAccess::kSync;
  d.disk.add_fault(stall, 0, {});
  const Nanos before = d.disk.busy_until();
  must(d.file->write_at(0, "b"));
  must(d.file->sync(SyncKind::kData));
  CHECK(d.disk.busy_until() == before + 10 + 100 + 5000);
  must(d.file->write_at(0, "c"));
  CHECK(d.disk.busy_until() == before + 10 + 100 + 5000 + 10);
  // It executes all that time: a power cut in it may find nothing done.
  d.disk.set_now(before + 4000);
  SimDisk copy = d.disk.fork();
  DropAll drop;
  copy.crash(CrashLevel::kP2, copy.now(), drop);
  CHECK(d.shown(*copy.mount()) == "a4096");
}

TEST_CASE("forks have no faults, and a pause lets calls through", "[faults]") {
  Faulty d;
  d.fail(DiskAccess::kAny);
  SimDisk copy = d.disk.fork();
  CHECK_FALSE(copy.has_faults());
  {
    const FaultPause pause(d.disk);
    must(d.file->write_at(0, "b"));
  }
  CHECK_FALSE(d.file->write_at(0, "c").ok());
}

// What the observer of a disk is told of faults.
TEST_CASE("an observer is told of each call that a fault hits", "[faults]") {
  struct Observer final : DiskObserver {
    void issued(const DiskOperation&, Nanos) override { ++operations; }
    void struck(const DiskCall& call, const DiskStrike& strike) override {
      told.push_back(cat(to_string(call), " ", strike.error));
    }
    int operations = 0;
    std::vector<std::string> told;
  };
  Faulty d;
  Observer observer;
  d.disk.set_observer(&observer);
  d.fail(DiskAccess::kWrite);
  CHECK_FALSE(d.file->write_at(0, "b").ok());
  CHECK(observer.operations == 0);
  d.fail(DiskAccess::kWrite, DiskApplied::kAll);
  CHECK_FALSE(d.file->write_at(0, "b").ok());
  CHECK(observer.operations == 1);
  CHECK(observer.told == std::vector<std::string>{cat("write /f ", EIO), cat("write /f ", EIO)});
}

}  // namespace
}  // namespace qk::sim
