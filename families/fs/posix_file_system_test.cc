// What only another kernel or another file system does to PosixFileSystem: in a child process, one
// system call answers as it would there.
#include "families/fs/posix_file_system.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdlib>
#include <functional>

#include "families/fs/file_util.h"
#include "families/fs/temp_directory.h"

namespace qk::families {
namespace {

// From now on the system call fails with `error`; with 0 it returns 0 and does nothing.
bool answer(int call, int error) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{sizeof code / sizeof code[0], code};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// Calls `check` in a child in which the system call answers so: "" or what is wrong.
std::string in_child(int call, int error, const std::function<std::string()>& check) {
  constexpr int kNoFilter = 77;
  int words[2];
  REQUIRE(::pipe(words) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (!answer(call, error)) ::_exit(kNoFilter);
    const std::string found = check();
    if (!found.empty() && ::write(words[1], found.data(), found.size()) < 0) ::_exit(2);
    ::_exit(found.empty() ? 0 : 1);
  }
  REQUIRE(child > 0);
  ::close(words[1]);
  std::string said;
  char piece[512];
  for (ssize_t got; (got = ::read(words[0], piece, sizeof piece)) > 0;) {
    said.append(piece, static_cast<size_t>(got));
  }
  ::close(words[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNoFilter) {
    WARN("not checked: this process may not filter system calls");
    return "";
  }
  if (!WIFEXITED(status)) return "the child was killed";
  return WEXITSTATUS(status) == 0 ? "" : cat("child: ", said);
}

TEST_CASE("rename_new never replaces where the kernel cannot promise it") {
  PosixFileSystem fs;
  TempDirectory directory;
  const auto path = [&](const std::string& name) { return join_path(directory.path(), name); };
  REQUIRE(fs.mkdir(path("full")).ok());
  REQUIRE(write_file(fs, path("full/x"), "x").ok());
  REQUIRE(fs.mkdir(path("empty")).ok());
  REQUIRE(write_file(fs, path("a"), "a").ok());
  REQUIRE(write_file(fs, path("b"), "b").ok());
  for (const int error : {EINVAL, ENOSYS}) {
    INFO("error " << error);
    CHECK(in_child(SYS_renameat2, error, [&]() -> std::string {
            // An empty directory is what rename() would replace.
            if (!absl::IsAlreadyExists(fs.rename_new(path("full"), path("empty")))) {
              return "replaced an empty directory";
            }
            if (!*exists(fs, path("full/x"))) return "moved though it failed";
            if (!absl::IsAlreadyExists(fs.rename_new(path("a"), path("b")))) return "replaced b";
            absl::Status moved = fs.rename_new(path("full"), path("new"));
            if (!moved.ok()) return moved.ToString();
            if (!*exists(fs, path("new/x")) || *exists(fs, path("full"))) return "not moved";
            moved = fs.rename_new(path("a"), path("c"));
            if (!moved.ok()) return moved.ToString();
            if (*exists(fs, path("a")) || *read_file(fs, path("c"), 9) != "a") return "no c";
            return "";
          }) == "");
    if (*exists(fs, path("new"))) {
      REQUIRE(fs.rename(path("new"), path("full")).ok());
      REQUIRE(fs.rename(path("c"), path("a")).ok());
    }
  }
  CHECK(*read_file(fs, path("b"), 9) == "b");
}

TEST_CASE("a read of nothing before the end is an error, not the end") {
  PosixFileSystem fs;
  TempDirectory directory;
  const std::string path = join_path(directory.path(), "a");
  REQUIRE(write_file(fs, path, "twelve bytes").ok());
  CHECK(in_child(SYS_pread64, 0, [&]() -> std::string {
          const auto file = fs.open(path, {.read_only = true});
          std::string buffer(12, '\0');
          const auto got = (*file)->read_at(0, buffer);
          if (got.ok()) return cat("read ", *got, " bytes");
          if (status_errno(got.status()) != EIO) return got.status().ToString();
          const auto end = (*file)->read_at(12, buffer);
          return end.ok() && *end == 0 ? "" : "no end";
        }) == "");
}

TEST_CASE("a path is resolved as the kernel does") {
  PosixFileSystem fs;
  TempDirectory directory;
  const std::string root = *fs.real_path(directory.path());
  REQUIRE(fs.mkdir(root + "/a").ok());
  REQUIRE(fs.mkdir(root + "/a/b").ok());
  REQUIRE(::symlink("a/b", (root + "/link").c_str()) == 0);
  REQUIRE(::symlink("nowhere", (root + "/dangling").c_str()) == 0);
  REQUIRE(write_file(fs, root + "/a/file (deleted)", "x").ok());
  const auto check = [&]() -> std::string {
    for (const auto& [path, expected] : {std::pair("/link", "/a/b"),
                                         {"/link/..", "/a"},
                                         {"/a/./b/../b", "/a/b"},
                                         {"/a/file (deleted)", "/a/file (deleted)"},
                                         {"", ""}}) {
      const auto real = fs.real_path(root + path);
      if (!real.ok()) return real.status().ToString();
      if (*real != root + expected) return cat(path, ": found ", *real);
    }
    if (!absl::IsNotFound(fs.real_path(root + "/dangling").status())) return "dangling";
    return absl::IsNotFound(fs.real_path(root + "/none").status()) ? "" : "none";
  };
  CHECK(check() == "");
}

}  // namespace
}  // namespace qk::families
