// What an export or import that was killed, interrupted or out of memory leaves, and what the next one
// takes for its own.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <new>

#include "families/fs/file_system_wrapper.h"
#include "families/fs/file_util.h"
#include "image/identity.h"
#include "tools/qksim/image_command.h"
#include "tools/qksim/test_image_shell.h"

namespace qk::cli {
namespace {

// All files were changed long ago; says which were locked.
class LongAgo final : public families::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  absl::StatusOr<families::FileStat> stat(std::string_view path) override {
    auto found = inner().stat(path);
    if (found.ok()) found->changed_ns -= int64_t{3600} * 1'000'000'000;
    return found;
  }
  absl::StatusOr<std::unique_ptr<families::FileLock>> lock(std::string_view path) override {
    locked.emplace_back(path);
    return inner().lock(path);
  }

  std::vector<std::string> locked;
};

// Between its first call and its lock, another export's temporary file is there without one: to try
// the lock would take it away.
TEST_CASE("image: an export leaves the fresh temporary file of another one alone") {
  Shell shell;
  const std::string theirs = "a.qki.0123456789abcdef.tmp";
  shell.write(theirs, "");
  class : public families::FileSystemWrapper {
   public:
    using FileSystemWrapper::FileSystemWrapper;
    absl::StatusOr<std::unique_ptr<families::FileLock>> lock(std::string_view path) override {
      locked.emplace_back(path);
      return inner().lock(path);
    }
    std::vector<std::string> locked;
  } locks(&shell.fs);
  shell.used = &locks;
  const Result exported = shell.export_from("node0", "local", "a.qki");
  REQUIRE(exported.code == ExitCode::kOk);
  CHECK(exported.err.find("stopped export") == std::string::npos);
  CHECK(locks.locked == std::vector<std::string>{shell.path("a.qki.0000000000000001.tmp")});
}

TEST_CASE("image: what a killed process left is said, and replaced only if it is ours") {
  Shell shell;
  LongAgo long_ago(&shell.fs);
  shell.used = &long_ago;
  shell.write("a.qki.0123456789abcdef.tmp", "half");
  const Result exported = shell.export_from("node0", "local", "a.qki");
  REQUIRE(exported.code == ExitCode::kOk);
  CHECK(contains(exported.err, "a.qki.0123456789abcdef.tmp is what a stopped export left"));
  const auto held = shell.fs.lock(shell.path("c.qki.0123456789abcdef.tmp")).value();
  CHECK(shell.export_from("node0", "local", "c.qki").err.find("stopped export") ==
        std::string::npos);
  CHECK(std::find(long_ago.locked.begin(), long_ago.locked.end(),
                  shell.path("c.qki.0123456789abcdef.tmp")) != long_ago.locked.end());
  shell.used = &shell.fs;

  REQUIRE(shell.import_to("a.qki", "sqlite", "b").code == ExitCode::kOk);
  image::Sidecar sidecar = image::read_sidecar(shell.fs, shell.path("b")).value().value();
  sidecar.state = image::InstanceState::kImporting;
  REQUIRE(image::write_sidecar(shell.fs, shell.path("b"), sidecar).ok());
  // Killed after it moved all names there.
  const std::string publishing = families::join_path(shell.path("b"), image::kPublishingName);
  REQUIRE(shell.fs.mkdir(publishing).ok());
  REQUIRE(families::write_file(shell.fs, families::join_path(publishing, image::kPublishedNames),
                               "db\nsnapshot\ndb.mark\n")
              .ok());
  {
    const auto lock = shell.fs.lock_directory(shell.path("b")).value();
    const Result locked = shell.import_to("a.qki", "sqlite", "b");
    CHECK(locked.code == ExitCode::kCannotWrite);
    CHECK(contains(locked.err, "is locked by another import"));
  }
  const Result imported = shell.import_to("a.qki", "sqlite", "b");
  CHECK(imported.code == ExitCode::kOk);
  CHECK(contains(imported.err, "held what a stopped import had left; it was replaced"));
}

TEST_CASE("image: an interruption leaves nothing, and says so") {
  Shell shell;
  REQUIRE(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
  const std::vector<std::string> before = shell.tree();
  for (int steps = 0; steps < 6; ++steps) {
    INFO("interrupted after " << steps << " steps");
    shell.steps_left = steps;
    const Result imported = shell.import_to("a.qki", "sqlite", "b");
    if (imported.code == ExitCode::kOk) FAIL("the import has fewer steps than expected");
    CHECK(imported.code == ExitCode::kInterrupted);
    CHECK(contains(imported.err, "hint: nothing was imported"));
    CHECK_FALSE(families::exists(shell.fs, shell.path("b")).value());
    CHECK(shell.tree() == before);
  }
  for (int steps = 0; steps < 2; ++steps) {
    shell.steps_left = steps;
    const Result exported = shell.export_from("node0", "local", "b.qki");
    CHECK(exported.code == ExitCode::kInterrupted);
    CHECK(contains(exported.err, "hint: no image was written"));
    CHECK(shell.tree() == before);
  }
}

// Memory ends at one of the writes.
class ShortOfMemory final : public families::FileSystemWrapper {
 public:
  ShortOfMemory(families::FileSystem* base, int writes)
      : FileSystemWrapper(base), writes_left_(writes) {}

 private:
  class ShortFile final : public families::FileWrapper {
   public:
    ShortFile(std::unique_ptr<families::File> inner, int* writes_left)
        : FileWrapper(std::move(inner)), writes_left_(writes_left) {}
    absl::Status write_at(uint64_t offset, std::string_view bytes) override {
      if ((*writes_left_)-- == 0) throw std::bad_alloc();
      return inner().write_at(offset, bytes);
    }

   private:
    int* writes_left_;
  };
  std::unique_ptr<families::File> wrap(std::unique_ptr<families::File> file, std::string_view,
                                       families::OpenFlags) override {
    return std::make_unique<ShortFile>(std::move(file), &writes_left_);
  }

  int writes_left_;
};

TEST_CASE("image: out of memory leaves nothing half made") {
  Shell shell;
  REQUIRE(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
  const std::vector<std::string> before = shell.tree();
  for (int writes = 0; writes < 8; ++writes) {
    INFO("at write " << writes);
    ShortOfMemory for_import(&shell.fs, writes);
    shell.used = &for_import;
    CHECK_THROWS_AS(shell.import_to("a.qki", "local", "b"), std::bad_alloc);
    CHECK_FALSE(families::exists(shell.fs, shell.path("b")).value());
    if (writes > 2) continue;  // an export has fewer
    ShortOfMemory for_export(&shell.fs, writes);
    shell.used = &for_export;
    CHECK_THROWS_AS(shell.export_from("node0", "local", "b.qki"), std::bad_alloc);
    CHECK(shell.tree() == before);
  }
}

TEST_CASE("image: what is written has no wider permissions than the source") {
  Shell shell;
  REQUIRE(::chmod(shell.path("node0/raft_meta/raft_meta").c_str(), 0600) == 0);
  REQUIRE(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
  CHECK(shell.closed == 0077);
  shell.closed = 0;
  REQUIRE(::chmod(shell.path("a.qki").c_str(), 0640) == 0);
  REQUIRE(shell.import_to("a.qki", "local", "b").code == ExitCode::kOk);
  CHECK(shell.closed == 0007);
  shell.closed = 0;
  REQUIRE(::chmod(shell.path("b").c_str(), 0750) == 0);
  REQUIRE(shell.export_from("b", "local", "b.qki").code == ExitCode::kOk);
  CHECK(shell.closed == 0007);
}

}  // namespace
}  // namespace qk::cli
