// Damage to what a disk holds, and calls that it lies to: what reads find, at once and after a power
// cut, and what makes it good again.
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

constexpr size_t kPageBytes = 4096;
constexpr size_t kSectorBytes = 512;

// A disk with files /f and /g of two durable pages each: of 'a' and 'b', of 'g' and 'h'.
struct Lying {
  SimDisk disk;
  std::unique_ptr<FileSystem> fs;
  std::unique_ptr<File> file;
  std::vector<DiskFault> hits;

  Lying() : disk(latency(), RandomStream(1, "disk")), fs(disk.mount()) {
    must(families::write_file(*fs, "/g",
                              std::string(kPageBytes, 'g') + std::string(kPageBytes, 'h')));
    must(families::write_file(*fs, "/f",
                              std::string(kPageBytes, 'a') + std::string(kPageBytes, 'b')));
    must(families::sync_tree(*fs, "/"));
    file = opened(*fs, "/f");
    settle();
  }
  static DiskOptions latency() {
    DiskOptions options;
    options.latency = {10, 10, 100, 100};
    return options;
  }
  static std::unique_ptr<File> opened(FileSystem& fs, std::string_view path) {
    auto file = fs.open(path, {});
    must(file.status());
    return std::move(*file);
  }
  void settle() { disk.set_now(disk.busy_until()); }
  void sync() {
    must(file->sync(SyncKind::kData));
    settle();
  }
  void lie(DiskFaultKind kind, bool evicted = false) {
    DiskFault fault;
    fault.kind = kind;
    fault.path = "/f";
    fault.evicted = evicted;
    disk.add_fault(fault, 0, [this](const DiskFault& hit) { hits.push_back(hit); });
  }
  static std::string shown(FileSystem& fs, std::string_view path) {
    const auto bytes = families::read_file(fs, path, 1 << 20);
    if (!bytes.ok()) return cat("-", status_errno(bytes.status()));
    std::string out;
    for (size_t i = 0; i < bytes->size();) {
      size_t end = bytes->find_first_not_of((*bytes)[i], i);
      if (end == std::string::npos) end = bytes->size();
      out += cat(std::string(1, (*bytes)[i] == 0 ? '0' : (*bytes)[i]), end - i);
      i = end;
    }
    return out;
  }
  std::string now(std::string_view path = "/f") { return shown(*fs, path); }
  // After a power cut that keeps all that it may.
  std::string left(std::string_view path = "/f") {
    settle();
    SimDisk copy = disk.fork();
    KeepAll keep;
    copy.crash(CrashLevel::kP2, copy.now(), keep);
    return shown(*copy.mount(), path);
  }
  bool damage(DiskFaultKind kind, uint64_t offset, DiskDamage damage = DiskDamage::kBits,
              std::string path = "/f") {
    DiskFault fault;
    fault.kind = kind;
    fault.path = std::move(path);
    fault.offset = offset;
    fault.damage = damage;
    fault.mask = 2;  // 'a' becomes 'c'
    return disk.damage(fault);
  }
};

TEST_CASE("a lost write is seen until the power is cut, a sync of it notwithstanding", "[damage]") {
  Lying d;
  d.lie(DiskFaultKind::kLostWrite);
  must(d.file->write_at(10, "x"));
  d.sync();
  CHECK(d.hits.size() == 1);
  CHECK(d.now() == "a10x1a4085b4096");
  CHECK(d.left() == "a4096b4096");
  // A new write makes the page dirty again, whole.
  must(d.file->write_at(20, "y"));
  d.sync();
  CHECK(d.left() == "a10x1a9y1a4075b4096");
}

TEST_CASE("a lost write whose page was evicted is not seen, but its size is", "[damage]") {
  Lying d;
  d.lie(DiskFaultKind::kLostWrite, true);
  must(d.file->write_at(2 * kPageBytes, "xyz"));
  d.sync();
  CHECK(d.now() == "a4096b409603");
  CHECK(d.left() == "a4096b409603");
  must(d.file->write_at(2 * kPageBytes + 1, "y"));
  d.sync();
  CHECK(d.left() == "a4096b409601y101");
}

TEST_CASE("a misdirected write damages another page of the file", "[damage]") {
  for (const bool evicted : {false, true}) {
    Lying d;
    d.lie(DiskFaultKind::kMisdirected, evicted);
    must(d.file->write_at(kSectorBytes + 10, "x"));
    REQUIRE(d.hits.size() == 1);
    CHECK(d.hits[0].to == "/f");
    CHECK(d.hits[0].offset == kPageBytes + kSectorBytes);
    d.sync();
    const std::string victim = "b512a10x1a501b3072";
    CHECK(d.now() == (evicted ? "a4096" : "a522x1a3573") + victim);
    CHECK(d.left() == "a4096" + victim);
    CHECK(d.now("/g") == "g4096h4096");
  }
}

TEST_CASE("a misdirected write goes where it is told", "[damage]") {
  Lying d;
  DiskFault fault;
  fault.kind = DiskFaultKind::kMisdirected;
  fault.to = "/g";
  fault.offset = 2 * kPageBytes - kSectorBytes;
  d.disk.add_fault(fault, 0, {});
  must(d.file->write_at(0, std::string(2 * kSectorBytes, 'x')));
  d.sync();
  // It ends with the file that it hits.
  CHECK(d.left("/g") == "g4096h3584x512");
  CHECK(d.left() == "a4096b4096");
  CHECK(d.now() == "x1024a3072b4096");
}

TEST_CASE("of a page that is dirty a misdirected write or rot hits the medium alone", "[damage]") {
  Lying d;
  must(d.file->write_at(0, "x"));
  REQUIRE(d.damage(DiskFaultKind::kBitFlip, 100));
  CHECK(d.now() == "x1a4095b4096");
  SimDisk copy = d.disk.fork();
  DropAll drop;
  copy.crash(CrashLevel::kP2, d.disk.busy_until(), drop);
  CHECK(Lying::shown(*copy.mount(), "/f") == "a100c1a3995b4096");
  d.sync();
  CHECK(d.left() == "x1a4095b4096");
}

TEST_CASE("a sync that lied leaves all of it pending, for an honest one", "[damage]") {
  Lying d;
  d.lie(DiskFaultKind::kFsyncLie);
  must(d.file->write_at(0, std::string(kPageBytes, 'x')));
  d.sync();
  SimDisk copy = d.disk.fork();
  DropAll drop;
  copy.crash(CrashLevel::kP2, copy.now(), drop);
  CHECK(Lying::shown(*copy.mount(), "/f") == "a4096b4096");
  CHECK(d.left() == "x4096b4096");  // or it was lucky
  d.sync();
  SimDisk honest = d.disk.fork();
  honest.crash(CrashLevel::kP2, honest.now(), drop);
  CHECK(Lying::shown(*honest.mount(), "/f") == "x4096b4096");
}

TEST_CASE("a directory's sync can lie too", "[damage]") {
  Lying d;
  DiskFault fault;
  fault.kind = DiskFaultKind::kFsyncLie;
  d.disk.add_fault(fault, 0, {});
  must(d.fs->rename("/f", "/x"));
  must(d.fs->sync_dir("/", SyncKind::kFull));
  d.settle();
  SimDisk copy = d.disk.fork();
  DropAll drop;
  copy.crash(CrashLevel::kP2, copy.now(), drop);
  CHECK(Lying::shown(*copy.mount(), "/f") == "a4096b4096");
}

TEST_CASE("rot changes bits, or a sector; a fork has it, and a crash keeps it", "[damage]") {
  Lying d;
  REQUIRE(d.damage(DiskFaultKind::kBitFlip, 5));
  CHECK(d.now() == "a5c1a4090b4096");
  REQUIRE(d.damage(DiskFaultKind::kBitFlip, kPageBytes + kSectorBytes + 1, DiskDamage::kZeros));
  CHECK(d.now() == "a5c1a4090b5120512b3072");
  CHECK(d.left() == d.now());
  const std::string before = d.now("/g");
  REQUIRE(d.damage(DiskFaultKind::kBitFlip, 0, DiskDamage::kGarbage, "/g"));
  CHECK(d.now("/g") != before);
  CHECK_FALSE(d.damage(DiskFaultKind::kBitFlip, 2 * kPageBytes));
  CHECK_FALSE(d.damage(DiskFaultKind::kBitFlip, 0, DiskDamage::kBits, "/nothing"));
  // Written again, it is good again.
  must(d.file->write_at(0, std::string(2 * kPageBytes, 'z')));
  d.sync();
  CHECK(d.left() == "z8192");
}

TEST_CASE("a bad sector cannot be read until it is written whole", "[damage]") {
  Lying d;
  REQUIRE(d.damage(DiskFaultKind::kBadSector, kSectorBytes + 3));
  CHECK(d.now() == cat("-", EIO));
  std::string buffer(kSectorBytes, ' ');
  CHECK(d.file->read_at(0, {buffer.data(), kSectorBytes}).ok());
  CHECK(status_errno(d.file->read_at(1, {buffer.data(), kSectorBytes}).status()) == EIO);
  CHECK(d.file->read_at(2 * kSectorBytes, {buffer.data(), kSectorBytes}).ok());
  CHECK(status_errno(d.file->write_at(kSectorBytes + 1, "x")) == EIO);
  {
    const FaultPause pause(d.disk);
    CHECK(d.now() == "a4096b4096");
  }
  CHECK(d.left() == "a4096b4096");  // a fork is what was there
  DropAll drop;
  d.disk.crash(CrashLevel::kP2, d.disk.now(), drop);
  d.fs = d.disk.mount();
  CHECK(d.now() == cat("-", EIO));
  d.file = Lying::opened(*d.fs, "/f");
  must(d.file->write_at(kSectorBytes, std::string(kSectorBytes, 'x')));
  CHECK(d.now() == "a512x512a3072b4096");
}

TEST_CASE("what is cut off is not bad any more", "[damage]") {
  Lying d;
  REQUIRE(d.damage(DiskFaultKind::kBadSector, kPageBytes));
  must(d.file->truncate(kPageBytes));
  must(d.file->write_at(kPageBytes, "x"));
  CHECK(d.now() == "a4096x1");
}

TEST_CASE("the files of a disk are those with bytes on the medium", "[damage]") {
  Lying d;
  auto made = d.fs->open("/new", {.create = true});
  must(made.status());
  must((*made)->write_at(0, "bytes"));
  d.settle();
  const std::vector<DiskFile> files = d.disk.files();
  REQUIRE(files.size() == 2);
  CHECK(files[0].path == "/f");
  CHECK(files[1].path == "/g");
  CHECK(files[1].size == 2 * kPageBytes);
}

}  // namespace
}  // namespace qk::sim
