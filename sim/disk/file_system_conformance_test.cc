// What every FileSystem does, one body over all of them: the simulated disk must behave as a real
// one, error codes included, or what it proves says nothing about real disks.
//
// Not here: what a crash leaves (litmus_test.cc).
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "families/fs/counting_file_system.h"
#include "families/fs/file_util.h"
#include "families/fs/overlay_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "sim/disk/sim_disk.h"
#include "sim/disk/test_util.h"

namespace qk::sim {
namespace {

using families::exists;
using families::File;
using families::FileKind;
using families::FileSystem;
using families::read_file;
using families::SyncKind;
using families::write_file;

struct OnPosix {
  families::TempDirectory temp;
  families::PosixFileSystem fs;
  std::string root = temp.path();
};

struct OnSimDisk {
  SimDisk disk{DiskOptions{}, RandomStream(1, "disk")};
  std::unique_ptr<FileSystem> mounted = disk.mount();
  FileSystem& fs = *mounted;
  std::string root = "/r";
  OnSimDisk() { REQUIRE(fs.mkdir(root).ok()); }
};

// Over an empty lower directory.
struct OnOverlay {
  OnSimDisk lower;
  families::OverlayFileSystem fs{&lower.fs};
  std::string root = lower.root;
};

int error_of(const absl::Status& status) {
  CHECK_FALSE(status.ok());
  return status_errno(status);
}
template <typename T>
int error_of(const absl::StatusOr<T>& result) {
  return error_of(result.status());
}

std::string content(FileSystem& fs, const std::string& path) {
  const auto bytes = read_file(fs, path, 1 << 20);
  must(bytes.status());
  return *bytes;
}

std::string all_names(FileSystem& fs, const std::string& path) {
  const auto names = fs.list(path);
  must(names.status());
  std::string joined;
  for (const std::string& name : *names) joined += name + " ";
  return joined;
}

#define QK_FILE_SYSTEM_TEST(name) TEMPLATE_TEST_CASE(name, "[fs]", OnPosix, OnSimDisk, OnOverlay)

QK_FILE_SYSTEM_TEST("files read back what was written") {
  TestType on;
  FileSystem& fs = on.fs;
  const std::string f = on.root + "/f";
  CHECK(error_of(fs.open(f, {})) == ENOENT);
  CHECK(error_of(fs.open(on.root + "/no/f", {.create = true})) == ENOENT);
  const auto opened = fs.open(f, {.create = true});
  must(opened.status());
  File& file = **opened;
  CHECK(file.size().value() == 0);

  must(file.write_at(0, "hello"));
  must(file.write_at(4093, "across a page"));
  must(file.write_at(2, ""));
  CHECK(file.size().value() == 4106);
  CHECK(content(fs, f) == "hello" + std::string(4088, '\0') + "across a page");
  must(file.write_at(1, "i"));
  char buffer[8];
  CHECK(file.read_at(0, {buffer, 3}).value() == 3);
  CHECK(std::string(buffer, 3) == "hil");
  CHECK(file.read_at(4100, buffer).value() == 6);
  CHECK(std::string(buffer, 6) == "a page");
  CHECK(file.read_at(4106, buffer).value() == 0);
  CHECK(file.read_at(1 << 30, buffer).value() == 0);
  CHECK(file.read_at(0, {buffer, 0}).value() == 0);

  must(file.truncate(3));
  CHECK(content(fs, f) == "hil");
  must(file.truncate(10));
  CHECK(content(fs, f) == "hil" + std::string(7, '\0'));
  must(file.truncate(2));
  must(file.write_at(5, "x"));
  CHECK(content(fs, f) == std::string("hi\0\0\0x", 6));
  must(file.sync(SyncKind::kData));
  must(file.sync(SyncKind::kFull));
  CHECK_FALSE(file.write_at(~uint64_t{0} - 1, "xyz").ok());
  CHECK_FALSE(file.truncate(~uint64_t{0}).ok());
  CHECK(fs.stat(f)->size == 6);
}

QK_FILE_SYSTEM_TEST("open flags") {
  TestType on;
  FileSystem& fs = on.fs;
  const std::string f = on.root + "/f";
  must(fs.open(f, {.create = true, .exclusive = true}).status());
  CHECK(error_of(fs.open(f, {.create = true, .exclusive = true})) == EEXIST);
  must(write_file(fs, f, "abc"));
  must(fs.open(f, {.create = true}).status());
  CHECK(content(fs, f) == "abc");

  const auto reader = fs.open(f, {.read_only = true});
  must(reader.status());
  CHECK(error_of((*reader)->write_at(0, "x")) == EBADF);
  CHECK(error_of((*reader)->truncate(0)) == EBADF);
  must((*reader)->sync(SyncKind::kFull));
  CHECK(error_of(fs.open(f, {.truncate = true, .read_only = true})) == EINVAL);
  CHECK(content(fs, f) == "abc");

  must(fs.open(f, {.truncate = true}).status());
  CHECK((*reader)->size().value() == 0);
  must(fs.mkdir(on.root + "/d"));
  CHECK(error_of(fs.open(on.root + "/d", {})) == EISDIR);
  CHECK(error_of(fs.open(on.root + "/d", {.read_only = true})) == EISDIR);
  CHECK(error_of(fs.open(on.root + "/d", {.create = true})) == EISDIR);
  CHECK(error_of(fs.open(f + "/below", {})) == ENOTDIR);
  CHECK_FALSE(fs.open("relative", {.create = true}).ok());
  CHECK_FALSE(fs.mkdir("relative").ok());
  CHECK_FALSE(fs.rename(f, "relative").ok());
  CHECK_FALSE(fs.open(on.root + std::string("/a\0b", 4), {.create = true}).ok());
}

QK_FILE_SYSTEM_TEST("an unlinked file lives while it is open") {
  TestType on;
  FileSystem& fs = on.fs;
  const std::string f = on.root + "/f";
  must(write_file(fs, f, "abc"));
  auto file = fs.open(f, {});
  must(file.status());
  must(fs.unlink(f));
  CHECK_FALSE(exists(fs, f).value());
  CHECK(error_of(fs.unlink(f)) == ENOENT);
  must((*file)->write_at(3, "d"));
  must((*file)->sync(SyncKind::kFull));
  CHECK((*file)->size().value() == 4);
  must(write_file(fs, f, "new"));
  CHECK((*file)->size().value() == 4);
  file->reset();
  CHECK(content(fs, f) == "new");
  must(fs.mkdir(on.root + "/d"));
  CHECK(error_of(fs.unlink(on.root + "/d")) == EISDIR);
  CHECK(error_of(fs.unlink(f + "/below")) == ENOTDIR);
}

QK_FILE_SYSTEM_TEST("directories") {
  TestType on;
  FileSystem& fs = on.fs;
  const std::string d = on.root + "/d";
  must(fs.mkdir(d));
  CHECK(error_of(fs.mkdir(d)) == EEXIST);
  CHECK(error_of(fs.mkdir(on.root + "/no/d")) == ENOENT);
  CHECK(fs.stat(d)->kind == FileKind::kDirectory);
  CHECK(fs.stat(d)->size == 0);
  CHECK(error_of(fs.stat(d + "/x")) == ENOENT);
  for (const char* name : {"b", "a", "C", "\xff", "a.b", "a-b"})
    must(write_file(fs, d + "/" + name, ""));
  CHECK(all_names(fs, d) == "C a a-b a.b b \xff ");
  CHECK(error_of(fs.list(d + "/a")) == ENOTDIR);
  CHECK(error_of(fs.list(d + "/no")) == ENOENT);
  CHECK(error_of(fs.rmdir(d)) == ENOTEMPTY);
  CHECK(error_of(fs.rmdir(d + "/a")) == ENOTDIR);
  CHECK(error_of(fs.rmdir(d + "/no")) == ENOENT);
  must(fs.sync_dir(d, SyncKind::kFull));
  must(fs.sync_dir(d, SyncKind::kData));
  CHECK(error_of(fs.sync_dir(d + "/no", SyncKind::kFull)) == ENOENT);
  CHECK(error_of(fs.sync_dir(d + "/a", SyncKind::kFull)) == ENOTDIR);
  must(families::remove_tree(fs, d));
  CHECK(all_names(fs, on.root).empty());
  must(fs.mkdir(d));
  must(fs.rmdir(d));
  CHECK_FALSE(exists(fs, d).value());
}

QK_FILE_SYSTEM_TEST("rename moves and replaces files") {
  TestType on;
  FileSystem& fs = on.fs;
  const std::string a = on.root + "/a", b = on.root + "/b", d = on.root + "/d";
  must(fs.mkdir(d));
  must(write_file(fs, a, "A"));
  must(write_file(fs, b, "B"));
  const auto open_b = fs.open(b, {});
  must(open_b.status());
  const auto inode = fs.stat(a)->inode;
  must(fs.rename(a, b));
  CHECK(all_names(fs, on.root) == "b d ");
  CHECK(content(fs, b) == "A");
  CHECK(fs.stat(b)->inode == inode);
  char byte;
  CHECK((*open_b)->read_at(0, {&byte, 1}).value() == 1);
  CHECK(byte == 'B');
  must(fs.rename(b, d + "/c"));
  CHECK(content(fs, d + "/c") == "A");
  must(fs.rename(d + "/c", d + "/c"));
  CHECK(all_names(fs, on.root) == "d ");

  CHECK(error_of(fs.rename(a, b)) == ENOENT);
  CHECK(error_of(fs.rename(d + "/c", on.root + "/no/c")) == ENOENT);
  CHECK(error_of(fs.rename(d + "/c", d + "/c/x")) == ENOTDIR);
  must(fs.mkdir(on.root + "/e"));
  CHECK(error_of(fs.rename(d + "/c", on.root + "/e")) == EISDIR);
  CHECK(error_of(fs.rename(d + "/c", d)) == ENOTEMPTY);
}

QK_FILE_SYSTEM_TEST("rename moves and replaces directories") {
  TestType on;
  FileSystem& fs = on.fs;
  const std::string d = on.root + "/d", e = on.root + "/e", f = on.root + "/f";
  must(families::make_directories(fs, d + "/sub"));
  must(write_file(fs, d + "/sub/x", "X"));
  must(fs.rename(d, e));
  CHECK(content(fs, e + "/sub/x") == "X");
  CHECK_FALSE(exists(fs, d).value());
  must(fs.mkdir(d));
  CHECK(error_of(fs.rename(d, e)) == ENOTEMPTY);
  must(fs.rename(e, d));  // over an empty one
  CHECK(content(fs, d + "/sub/x") == "X");
  CHECK(error_of(fs.rename(d, d + "/sub/d")) == EINVAL);
  CHECK(error_of(fs.rename(d + "/sub", d)) == ENOTEMPTY);
  must(write_file(fs, f, "F"));
  CHECK(error_of(fs.rename(d, f)) == ENOTDIR);
  must(fs.rename(d + "/sub", on.root + "/sub"));
  CHECK(all_names(fs, on.root) == "d f sub ");
  CHECK(families::list_tree(fs, on.root).value() == std::vector<std::string>{"f", "sub/x"});
}

QK_FILE_SYSTEM_TEST("links are names of one file") {
  TestType on;
  FileSystem& fs = on.fs;
  const std::string a = on.root + "/a", b = on.root + "/b", d = on.root + "/d";
  must(write_file(fs, a, "A"));
  must(fs.link(a, b));
  CHECK(fs.stat(a)->inode == fs.stat(b)->inode);
  must((*fs.open(b, {}))->write_at(0, "B"));
  CHECK(content(fs, a) == "B");
  must(fs.rename(a, b));  // of one file: nothing happens
  CHECK(all_names(fs, on.root) == "a b ");
  must(fs.unlink(a));
  CHECK(content(fs, b) == "B");
  CHECK(error_of(fs.link(a, d)) == ENOENT);
  CHECK(error_of(fs.link(b, b)) == EEXIST);
  must(fs.mkdir(d));
  CHECK(error_of(fs.link(d, a)) == EPERM);
  CHECK(error_of(fs.link(b, on.root + "/no/b")) == ENOENT);
  must(write_file(fs, a, ""));
  CHECK(fs.stat(a)->inode != fs.stat(b)->inode);
}

QK_FILE_SYSTEM_TEST("a lock is held by one") {
  TestType on;
  FileSystem& fs = on.fs;
  const std::string path = on.root + "/LOCK";
  auto lock = fs.lock(path);
  must(lock.status());
  CHECK(exists(fs, path).value());
  const absl::Status second = fs.lock(path).status();
  CHECK(absl::IsUnavailable(second));
  lock->reset();
  must(fs.lock(path).status());
  CHECK(error_of(fs.lock(on.root)) == EISDIR);
  CHECK(error_of(fs.lock(on.root + "/no/LOCK")) == ENOENT);
}

QK_FILE_SYSTEM_TEST("rename_new never replaces") {
  TestType on;
  FileSystem& fs = on.fs;
  const std::string a = on.root + "/a", b = on.root + "/b";
  must(write_file(fs, a, "a"));
  must(write_file(fs, b, "b"));
  CHECK(error_of(fs.rename_new(a, b)) == EEXIST);
  CHECK(content(fs, a) == "a");
  CHECK(content(fs, b) == "b");
  must(fs.unlink(b));
  must(fs.rename_new(a, b));
  CHECK(content(fs, b) == "a");
  CHECK_FALSE(exists(fs, a).value());
}

TEST_CASE("a real directory is locked by one, and the lock knows when it was replaced") {
  OnPosix on;
  const std::string a = on.root + "/a", b = on.root + "/b";
  must(on.fs.mkdir(a));
  auto lock = on.fs.lock_directory(a);
  must(lock.status());
  CHECK(absl::IsUnavailable(on.fs.lock_directory(a).status()));
  must((*lock)->check());
  must(on.fs.rename(a, b));
  CHECK(absl::IsFailedPrecondition((*lock)->check()));
  must(on.fs.mkdir(a));
  CHECK(absl::IsFailedPrecondition((*lock)->check()));
  lock->reset();
  must(on.fs.lock_directory(a).status());
}

TEST_CASE("a real disk's symbolic links are told, not followed by a lock, and resolved on demand") {
  OnPosix on;
  must(on.fs.mkdir(on.root + "/d"));
  must(on.fs.mkdir(on.root + "/d/e"));
  const std::string link = on.root + "/link";
  REQUIRE(::symlink("d/e", link.c_str()) == 0);
  CHECK(on.fs.is_symlink(link).value());
  CHECK_FALSE(on.fs.is_symlink(on.root + "/d").value());
  CHECK_FALSE(on.fs.is_symlink(on.root + "/missing").value());
  CHECK(error_of(on.fs.lock_directory(link)) == ENOTDIR);
  CHECK(on.fs.real_path(link + "/..").value() == on.root + "/d");
  CHECK(error_of(on.fs.real_path(on.root + "/missing")) == ENOENT);
  must(on.fs.check_writable(on.root));
  CHECK(error_of(on.fs.check_writable(on.root + "/missing")) == ENOENT);
}

QK_FILE_SYSTEM_TEST("skip_hole skips nothing but zeros") {
  TestType on;
  constexpr uint64_t kGap = 1 << 20;
  const auto file = on.fs.open(on.root + "/f", {.create = true}).value();
  must(file->write_at(0, "a"));
  must(file->write_at(kGap, "b"));
  must(file->truncate(2 * kGap));
  CHECK(file->skip_hole(0).value() == 0);
  const auto skipped = [&](uint64_t from) { return file->skip_hole(from).value(); };
  CHECK(skipped(kGap / 2) >= kGap / 2);
  CHECK(skipped(kGap / 2) <= kGap);
  CHECK(skipped(kGap) == kGap);
  CHECK(skipped(kGap + kGap / 2) >= kGap + kGap / 2);
  CHECK(skipped(kGap + kGap / 2) <= 2 * kGap);
  CHECK(skipped(2 * kGap) == 2 * kGap);
}

TEST_CASE("an overlay skips what is a hole below, up to what was written above", "[fs]") {
  OnPosix below;
  constexpr uint64_t kGap = 1 << 20;
  {
    const auto file = below.fs.open(below.root + "/f", {.create = true}).value();
    must(file->write_at(kGap, "b"));
    must(file->truncate(2 * kGap));
    // Not every file system makes holes.
    if (file->skip_hole(0).value() != kGap) return;
  }
  families::OverlayFileSystem fs(&below.fs);
  const auto file = fs.open(below.root + "/f", {}).value();
  CHECK(file->skip_hole(0).value() == kGap);
  must(file->write_at(kGap / 2, "c"));
  CHECK(file->skip_hole(0).value() == kGap / 2);
  must(file->truncate(kGap));
  CHECK(file->skip_hole(kGap / 2 + 4096).value() == kGap);
  must(file->truncate(3 * kGap));
  CHECK(file->skip_hole(kGap / 2 + 4096).value() == 3 * kGap);
}

QK_FILE_SYSTEM_TEST("free space, and the root") {
  TestType on;
  FileSystem& fs = on.fs;
  CHECK(fs.free_space(on.root).value() > 0);
  CHECK(error_of(fs.free_space(on.root + "/no")) == ENOENT);
  CHECK(fs.stat("/")->kind == FileKind::kDirectory);
  CHECK(error_of(fs.open("/", {})) == EISDIR);
  CHECK_FALSE(fs.mkdir("/").ok());
  CHECK_FALSE(fs.rmdir("/").ok());
  CHECK_FALSE(fs.unlink("/").ok());
  CHECK_FALSE(fs.rename("/", on.root + "/x").ok());
  CHECK_FALSE(fs.rename(on.root, "/").ok());
  must(families::sync_tree(fs, on.root));
}

// The same calls with the same answers everywhere: a long walk, compared step by step.
TEST_CASE("all file systems agree on a long random workload", "[fs]") {
  OnPosix posix;
  OnSimDisk sim;
  OnOverlay overlay;
  RandomStream random(11, "workload");
  const auto name = [&] {
    std::string path;
    for (uint64_t depth = 1 + random.below(3); depth > 0; --depth)
      path += cat("/", random.below(4));
    return path;
  };
  int succeeded = 0;
  for (int i = 0; i < 6000; ++i) {
    const uint64_t kind = random.below(9);
    const std::string first = name(), second = name();
    const uint64_t offset = random.below(9000), length = random.below(6000);
    const std::string bytes(length, static_cast<char>('a' + i % 26));
    const auto step = [&](FileSystem& fs, const std::string& root) -> absl::Status {
      const std::string a = root + first, b = root + second;
      switch (kind) {
        case 0:
          return fs.mkdir(a);
        case 1:
          return fs.rmdir(a);
        case 2:
          return fs.unlink(a);
        case 3:
          return fs.link(a, b);
        case 4:
          return fs.rename(a, b);
        case 5:
          return fs.list(a).status();
        default: {
          auto file = fs.open(a, {.create = kind != 6});
          QK_RETURN_IF_ERROR(file.status());
          return kind == 8 ? (*file)->truncate(offset) : (*file)->write_at(offset, bytes);
        }
      }
    };
    const absl::Status expected = step(posix.fs, posix.root);
    INFO("step " << i << ", call " << kind << ", " << first << ", " << second << ": "
                 << to_std(expected.message()));
    if (expected.ok()) ++succeeded;
    REQUIRE(status_errno(step(sim.fs, sim.root)) == status_errno(expected));
    REQUIRE(status_errno(step(overlay.fs, overlay.root)) == status_errno(expected));
    if (i % 100 != 0) continue;
    const std::vector<std::string> tree = families::list_tree(posix.fs, posix.root).value();
    REQUIRE(families::list_tree(sim.fs, sim.root).value() == tree);
    REQUIRE(families::list_tree(overlay.fs, overlay.root).value() == tree);
    for (const std::string& path : tree) {
      const std::string expected_bytes = content(posix.fs, posix.root + "/" + path);
      REQUIRE(content(sim.fs, sim.root + "/" + path) == expected_bytes);
      REQUIRE(content(overlay.fs, overlay.root + "/" + path) == expected_bytes);
    }
  }
  CHECK(succeeded > 1000);
}

TEST_CASE("an overlay shows its lower file system and never changes it", "[fs]") {
  OnSimDisk lower;
  must(families::make_directories(lower.fs, "/r/d/e"));
  const std::string big = std::string(4096, 'a') + std::string(4096, 'b') + "tail";
  must(write_file(lower.fs, "/r/big", big));
  must(write_file(lower.fs, "/r/d/x", "X"));
  must(write_file(lower.fs, "/r/d/e/y", "Y"));
  const uint64_t image = lower.disk.image_hash();
  const uint64_t operations = lower.disk.operation_count();
  {
    families::OverlayFileSystem fs(&lower.fs);
    CHECK(families::list_tree(fs, "/r").value() == std::vector<std::string>{"big", "d/e/y", "d/x"});
    CHECK(content(fs, "/r/big") == big);

    // Writes show the lower bytes around them.
    auto file = fs.open("/r/big", {});
    must((*file)->write_at(5000, "XX"));
    std::string expected = big;
    expected.replace(5000, 2, "XX");
    CHECK(content(fs, "/r/big") == expected);
    must((*file)->write_at(9000, "far"));
    expected.resize(9000, '\0');
    CHECK(content(fs, "/r/big") == expected + "far");
    must((*file)->truncate(100));
    must((*file)->truncate(200));
    CHECK(content(fs, "/r/big") == std::string(100, 'a') + std::string(100, '\0'));
    must((*file)->write_at(150, "z"));
    CHECK(content(fs, "/r/big").substr(90, 20) == std::string(10, 'a') + std::string(10, '\0'));

    // A renamed directory takes its lower content along.
    must(fs.rename("/r/d", "/r/moved"));
    CHECK(content(fs, "/r/moved/e/y") == "Y");
    CHECK(error_of(fs.stat("/r/d/x")) == ENOENT);
    CHECK(error_of(fs.rmdir("/r/moved/e")) == ENOTEMPTY);
    must(fs.mkdir("/r/d"));
    CHECK(all_names(fs, "/r/d").empty());  // the lower directory does not shine through
    must(fs.unlink("/r/moved/e/y"));
    must(fs.rmdir("/r/moved/e"));
    must(fs.link("/r/moved/x", "/r/x"));
    must((*fs.open("/r/x", {}))->write_at(1, "Z"));
    CHECK(content(fs, "/r/moved/x") == "XZ");
    must(fs.lock("/r/LOCK").status());
    must(families::sync_tree(fs, "/r"));
    must(families::remove_tree(fs, "/r/moved"));
    CHECK(all_names(fs, "/r") == "LOCK big d x ");
  }
  CHECK(lower.disk.image_hash() == image);
  CHECK(lower.disk.operation_count() == operations);
}

TEST_CASE("an overlay holds lower files open only as long as its own handles", "[fs]") {
  OnSimDisk lower;
  for (int i = 0; i < 50; ++i) must(write_file(lower.fs, cat("/r/", i), cat("bytes of ", i)));
  families::CountingFileSystem counting(&lower.fs);
  families::OverlayFileSystem fs(&counting);
  auto held = fs.open("/r/7", {.read_only = true});
  must(held.status());
  for (int i = 0; i < 50; ++i) {
    CHECK(content(fs, cat("/r/", i)) == cat("bytes of ", i));
    CHECK(counting.open_handles <= 1);
  }
  // A handle that is still open reads on, also after another one of the same file was closed.
  std::string bytes(10, '\0');
  CHECK((*held)->read_at(0, bytes).value() == 10);
  CHECK(bytes == "bytes of 7");
  held->reset();
  CHECK(counting.open_handles == 0);
}

TEST_CASE("an overlay reports what its lower file system reports", "[fs]") {
  OnSimDisk lower;
  must(write_file(lower.fs, "/r/f", std::string(5000, 'f')));
  families::OverlayFileSystem fs(&lower.fs);
  auto file = fs.open("/r/f", {});
  must(file.status());
  KeepAll keep;
  lower.disk.crash(CrashLevel::kP0, lower.disk.busy_until(), keep);
  CHECK(error_of(read_file(fs, "/r/f", 9000)) == ENODEV);
  CHECK(error_of((*file)->write_at(1, "x")) == ENODEV);
  CHECK(error_of(fs.stat("/r/other")) == ENODEV);
  CHECK(error_of(fs.list("/r")) == ENODEV);
}

}  // namespace
}  // namespace qk::sim
