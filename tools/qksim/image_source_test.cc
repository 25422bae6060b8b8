// Who else is at the source of an export, and what changes there meanwhile.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <map>
#include <sstream>

#include "families/fs/file_system_wrapper.h"
#include "families/fs/file_util.h"
#include "tools/qksim/image_command.h"
#include "tools/qksim/test_image_shell.h"

namespace qk::cli {
namespace {

// A file system whose source changes while it is read.
class ChangingFileSystem final : public families::FileSystemWrapper {
 public:
  ChangingFileSystem(families::FileSystem* base, std::string when, std::string what)
      : FileSystemWrapper(base), when_(std::move(when)), what_(std::move(what)) {}
  absl::StatusOr<std::unique_ptr<families::File>> open(std::string_view path,
                                                       families::OpenFlags flags) override {
    if (path == when_) {
      const auto old = families::read_file(inner(), what_, 1 << 20);
      const auto file = inner().open(what_, {.create = true}).value();
      // Not a byte differs afterwards if there was a file: that it was written is what counts.
      REQUIRE(file->write_at(0, old.ok() ? *old : "new").ok());
    }
    return inner().open(path, flags);
  }

 private:
  std::string when_;
  std::string what_;
};

// What a hostile or careless hand put into the snapshot of a stopped node.
TEST_CASE("image: a snapshot file is a regular file inside the source, or the export is refused") {
  Shell shell;
  const std::string secret = shell.path("secret");
  shell.write("secret", "not the node's");
  const std::string file = shell.path("node0/snapshot/snapshot_00000000000000008635/data");
  const std::string bytes = shell.bytes("node0/snapshot/snapshot_00000000000000008635/data");
  REQUIRE(shell.fs.unlink(file).ok());
  bool inside = false;
  SECTION("a link inside") {
    shell.write("node0/elsewhere", bytes);
    REQUIRE(::symlink("../../elsewhere", file.c_str()) == 0);
    inside = true;
  }
  SECTION("a link out of it") { REQUIRE(::symlink(secret.c_str(), file.c_str()) == 0); }
  SECTION("a link out of it by \"..\"") {
    REQUIRE(::symlink("../../../secret", file.c_str()) == 0);
  }
  SECTION("a FIFO") { REQUIRE(::mkfifo(file.c_str(), 0644) == 0); }
  SECTION("a device") { REQUIRE(::symlink("/dev/zero", file.c_str()) == 0); }
  const Result exported = shell.export_from("node0", "local", "a.qki");
  INFO(exported.err);
  REQUIRE((exported.code == ExitCode::kOk) == inside);
  if (inside) return;
  REQUIRE(contains(exported.err, file));
  REQUIRE_FALSE(families::exists(shell.fs, shell.path("a.qki")).value());
}

TEST_CASE("image: a source that changes while it is exported gives no image") {
  Shell shell;
  std::ostringstream out, err;
  const std::string temporary = shell.path("a.qki.0000000000000007.tmp");
  std::string changed = "node0/log/new", found = "found \"log/new\" of 3 bytes";
  SECTION("a new file") {}
  SECTION("a write in place that keeps the size") {
    changed = "node0/raft_meta/raft_meta";
    found = "found \"raft_meta/raft_meta\"";
  }
  ChangingFileSystem changing(&shell.fs, temporary, shell.path(changed));
  Environment environment;
  environment.out = &out;
  environment.err = &err;
  environment.fs = &changing;
  environment.registry = &shell.registry;
  environment.directory = shell.temporary.path();
  environment.random_seed = [] { return uint64_t{7}; };
  REQUIRE(image_export({"node0", "local", "g", kPeer, "a.qki"}, environment) == ExitCode::kNoInput);
  REQUIRE(contains(err.str(), cat("changed meanwhile: ", found)));
  REQUIRE(out.str().empty());
  REQUIRE_FALSE(families::exists(shell.fs, shell.path("a.qki")).value());
  REQUIRE_FALSE(families::exists(shell.fs, temporary).value());
}

TEST_CASE("image: a source in use is noticed by any of its names, and by locks") {
  Shell shell;
  REQUIRE(::symlink("node0", shell.path("link").c_str()) == 0);
  {
    const auto held =
        shell.fs.open(shell.path("node0/raft_meta/raft_meta"), {.read_only = true}).value();
    const Result result = shell.export_from("link", "local", "a.qki");
    CHECK(result.code == ExitCode::kNoInput);
    CHECK(contains(result.err, "in use: process "));
  }
  {
    // A hard link elsewhere, which no name below the root leads to.
    REQUIRE(shell.fs.link(shell.path("node0/raft_meta/raft_meta"), shell.path("hard")).ok());
    const auto held = shell.fs.open(shell.path("hard"), {.read_only = true}).value();
    CHECK(shell.export_from("node0", "local", "a.qki").code == ExitCode::kNoInput);
  }
  {
    const auto lock = shell.fs.lock_directory(shell.path("node0")).value();
    const Result result = shell.export_from("node0", "local", "a.qki");
    CHECK(result.code == ExitCode::kNoInput);
    CHECK(contains(result.err, "has a lock on file"));
  }
  REQUIRE(shell.fs.mkdir(shell.path("x")).ok());
  CHECK(shell.export_from("x/../link", "local", "a.qki").code == ExitCode::kOk);
}

// The clock of a file system does not move between the first look and the write: ctime is equal.
class StandingClock final : public families::FileSystemWrapper {
 public:
  StandingClock(families::FileSystem* base, std::string when, std::string what)
      : FileSystemWrapper(base), when_(std::move(when)), what_(std::move(what)) {}
  absl::StatusOr<families::FileStat> stat(std::string_view path) override {
    auto found = inner().stat(path);
    if (found.ok() && path == what_) {
      found->changed_ns = times_.emplace(path, found->changed_ns).first->second;
    }
    return found;
  }
  absl::StatusOr<std::unique_ptr<families::File>> open(std::string_view path,
                                                       families::OpenFlags flags) override {
    if (path == when_) {
      const auto file = inner().open(what_, {}).value();
      REQUIRE(file->write_at(file->size().value() - 1, "?").ok());
    }
    return inner().open(path, flags);
  }

 private:
  const std::string when_, what_;
  std::map<std::string, int64_t> times_;
};

TEST_CASE("image: a write in the same tick of the disk's clock is noticed by what it wrote") {
  Shell shell;
  StandingClock standing(&shell.fs, shell.path("a.qki.0000000000000001.tmp"),
                         shell.path("node0/raft_meta/raft_meta"));
  shell.used = &standing;
  const Result result = shell.export_from("node0", "local", "a.qki");
  CHECK(result.code == ExitCode::kNoInput);
  CHECK(contains(result.err, "changed meanwhile: found \"raft_meta/raft_meta\" of "));
  CHECK_FALSE(families::exists(shell.fs, shell.path("a.qki")).value());
}

TEST_CASE("image: a mapped file and an engine's lock are uses") {
  Shell shell;
  const std::string file = shell.path("node0/raft_meta/raft_meta");
  {
    const int fd = ::open(file.c_str(), O_RDWR);
    void* mapped = ::mmap(nullptr, 1, PROT_READ, MAP_SHARED, fd, 0);
    ::close(fd);
    REQUIRE(mapped != MAP_FAILED);
    const Result result = shell.export_from("node0", "local", "a.qki");
    ::munmap(mapped, 1);
    CHECK(result.code == ExitCode::kNoInput);
    CHECK(contains(result.err, "of it mapped"));
  }
  {
    // As SQLite, LevelDB and RocksDB lock.
    const int fd = ::open(file.c_str(), O_RDWR);
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    REQUIRE(::fcntl(fd, F_OFD_SETLK, &lock) == 0);
    const Result result = shell.export_from("node0", "local", "a.qki");
    ::close(fd);
    CHECK(result.code == ExitCode::kNoInput);
    CHECK(contains(result.err, "lock"));
  }
  CHECK(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
}

// Counts the bytes that were read of one file.
class CountedReads final : public families::FileSystemWrapper {
 public:
  CountedReads(families::FileSystem* base, std::string path)
      : FileSystemWrapper(base), path_(std::move(path)) {}
  uint64_t bytes = 0;

 private:
  class CountedFile final : public families::FileWrapper {
   public:
    CountedFile(std::unique_ptr<families::File> inner, uint64_t* bytes)
        : FileWrapper(std::move(inner)), bytes_(bytes) {}
    absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
      *bytes_ += buffer.size();
      // Instead of hours.
      if (*bytes_ > (uint64_t{1} << 30)) return absl::InternalError("read more than a gibibyte");
      return inner().read_at(offset, buffer);
    }

   private:
    uint64_t* bytes_;
  };
  std::unique_ptr<families::File> wrap(std::unique_ptr<families::File> file, std::string_view path,
                                       families::OpenFlags) override {
    if (path != path_) return file;
    return std::make_unique<CountedFile>(std::move(file), &bytes);
  }

  const std::string path_;
};

TEST_CASE("image: the check for use does not read the holes of a fresh file") {
  Shell shell;
  shell.write("node0/sparse", "x");
  {
    const auto file = shell.fs.open(shell.path("node0/sparse"), {}).value();
    if (!file->truncate(uint64_t{1} << 40).ok()) return;  // larger than this disk's files can be
    if (*file->skip_hole(1 << 20) == 1 << 20) return;     // this disk does not tell
    REQUIRE(file->write_at((uint64_t{1} << 39) + 5, "y").ok());
  }
  CountedReads counted(&shell.fs, shell.path("node0/sparse"));
  shell.used = &counted;
  CHECK(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
  CHECK(counted.bytes > 0);
  CHECK(counted.bytes < (16 << 20));
}

// A process that waits for a reader of a FIFO must not take the check for one.
TEST_CASE("image: the check for use does not open a FIFO") {
  Shell shell;
  const std::string fifo = shell.path("node0/log/fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  int told[2];
  REQUIRE(::pipe(told) == 0);
  const pid_t writer = ::fork();
  if (writer == 0) {
    char byte = 1;
    if (::write(told[1], &byte, 1) != 1) ::_exit(1);  // about to wait
    if (::open(fifo.c_str(), O_WRONLY) == -1) ::_exit(1);
    if (::write(told[1], &byte, 1) != 1) ::_exit(1);  // another process opened it
    ::_exit(0);
  }
  REQUIRE(writer > 0);
  char byte = 0;
  REQUIRE(::read(told[0], &byte, 1) == 1);
  ::usleep(20'000);  // until it waits; too short, and a mistake goes unseen once
  const Result exported = shell.export_from("node0", "local", "a.qki");
  pollfd noticed{told[0], POLLIN, 0};
  const int opened = ::poll(&noticed, 1, 50);
  ::kill(writer, SIGKILL);
  ::waitpid(writer, nullptr, 0);
  ::close(told[0]);
  ::close(told[1]);
  CHECK(opened == 0);
  CHECK(exported.code == ExitCode::kOk);
}

}  // namespace
}  // namespace qk::cli
