// file_util on a real disk. The behaviour that all file systems share is tested once for all of
// them, in sim/disk/file_system_conformance_test.cc; what a crash leaves, in sim/disk.
#include "families/fs/file_util.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"

namespace qk::families {
namespace {

TEST_CASE("paths split and join", "[fs]") {
  CHECK(join_path("/", "a") == "/a");
  CHECK(join_path("/a", "b") == "/a/b");
  CHECK(parent_path("/a/b") == "/a");
  CHECK(parent_path("/a") == "/");
  CHECK(parent_path("/") == "/");
  CHECK(base_name("/a/b") == "b");
}

TEST_CASE("a safe relative path stays below its root", "[fs]") {
  for (const std::string_view path : {"a", "a/b", "a.b/..c/...", "a b"}) {
    CAPTURE(std::string(path));
    CHECK(is_safe_relative_path(path));
  }
  CHECK(is_safe_relative_path(std::string(4096, 'x')));
  for (const std::string_view path :
       {"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "./a"}) {
    CAPTURE(std::string(path));
    CHECK_FALSE(is_safe_relative_path(path));
  }
  CHECK_FALSE(is_safe_relative_path(std::string_view("a\0b", 3)));
  CHECK_FALSE(is_safe_relative_path(std::string(4097, 'x')));
}

TEST_CASE("whole files on a real disk", "[fs]") {
  const TempDirectory temp;
  PosixFileSystem fs;
  const std::string path = join_path(temp.path(), "f");
  REQUIRE(write_file(fs, path, "hello").ok());
  CHECK(read_file(fs, path, 5).value() == "hello");
  CHECK(read_file(fs, path, 4).status().code() == absl::StatusCode::kInvalidArgument);
  REQUIRE(replace_file(fs, path, "x").ok());
  CHECK(read_file(fs, path, 5).value() == "x");
  CHECK_FALSE(exists(fs, path + ".tmp").value());
  CHECK(read_file(fs, join_path(temp.path(), "missing"), 5).status().code() ==
        absl::StatusCode::kNotFound);

  char buffer[4];
  const auto file = fs.open(path, {.read_only = true});
  REQUIRE(file.ok());
  CHECK(read_exact(**file, path, 0, {buffer, 1}).ok());
  const absl::Status shorter = read_exact(**file, path, 0, buffer);
  CHECK(shorter.code() == absl::StatusCode::kDataLoss);
  CHECK(to_std(shorter.message()) == path + ": 1 bytes at offset 0, expected 4");
}

TEST_CASE("trees on a real disk", "[fs]") {
  const TempDirectory temp;
  PosixFileSystem fs;
  const std::string root = join_path(temp.path(), "r");
  REQUIRE(make_directories(fs, root + "/a/b").ok());
  REQUIRE(make_directories(fs, root + "/a/b").ok());
  REQUIRE(write_file(fs, root + "/a/b/1", "1").ok());
  REQUIRE(write_file(fs, root + "/a-b", "2").ok());  // '-' sorts before '/'
  REQUIRE(write_file(fs, root + "/z", "3").ok());
  CHECK(make_directories(fs, root + "/z/below").code() != absl::StatusCode::kOk);
  CHECK(list_tree(fs, root).value() == std::vector<std::string>{"a-b", "a/b/1", "z"});
  CHECK(sync_tree(fs, root).ok());

  const std::string big(200'000, 'q');
  REQUIRE(write_file(fs, root + "/big", big).ok());
  REQUIRE(copy_file(fs, root + "/big", fs, root + "/copy").ok());
  CHECK(read_file(fs, root + "/copy", 1 << 20).value() == big);

  REQUIRE(remove_tree(fs, root).ok());
  CHECK_FALSE(exists(fs, root).value());
  CHECK(remove_tree(fs, root).ok());
}

TEST_CASE("symbolic links neither lead a removal astray nor a walk in circles", "[fs]") {
  const TempDirectory temp;
  PosixFileSystem fs;
  const std::string root = join_path(temp.path(), "r");
  const std::string outside = join_path(temp.path(), "outside");
  REQUIRE(make_directories(fs, root).ok());
  REQUIRE(make_directories(fs, outside).ok());
  REQUIRE(write_file(fs, outside + "/keep", "k").ok());
  REQUIRE(::symlink(outside.c_str(), (root + "/link").c_str()) == 0);
  REQUIRE(::symlink(root.c_str(), (root + "/loop").c_str()) == 0);
  CHECK(list_tree(fs, root).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(remove_tree(fs, root).ok());
  CHECK(read_file(fs, outside + "/keep", 1).value() == "k");
}

}  // namespace
}  // namespace qk::families
