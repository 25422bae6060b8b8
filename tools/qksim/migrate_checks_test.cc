// What `qksim migrate` asks before it copies: each check, tripped, with nothing changed.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>

#include "families/fs/file_system_wrapper.h"
#include "tools/qksim/test_migrate_machine.h"

namespace qk::cli {
namespace {

// A disk on which some directories are not what they are.
class OddFileSystem final : public families::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  absl::StatusOr<families::FileStat> stat(std::string_view path) override {
    auto found = inner().stat(path);
    if (found.ok() && path == path_) change_(*found);
    return found;
  }
  absl::StatusOr<uint64_t> free_space(std::string_view path) override {
    return free_ ? absl::StatusOr<uint64_t>(*free_) : inner().free_space(path);
  }
  absl::Status check_writable(std::string_view path) override {
    if (path == closed_) return absl::PermissionDeniedError(cat(path, ": closed in this test"));
    return inner().check_writable(path);
  }
  void change(std::string path, std::function<void(families::FileStat&)> change) {
    path_ = std::move(path);
    change_ = std::move(change);
  }
  std::optional<uint64_t> free_;
  std::string closed_;

 private:
  std::string path_;
  std::function<void(families::FileStat&)> change_;
};

TEST_CASE("migrate: each check before the copy says what it found, and changes nothing") {
  Machine machine;
  OddFileSystem odd(&machine.fs_);
  const std::string a = machine.path("a"), b = machine.path("b");
  std::string from = "local://a", to = "sqlite://b";
  ExitCode code = ExitCode::kCannotWrite;
  std::string says;
  std::function<void(MigrateArguments&)> more;
  const auto check = [&] {
    const std::vector<std::string> before = machine.tree();
    const std::vector<std::string> names_before = machine.names();
    for (const bool only_look : {true, false}) {
      INFO(says);
      const Told told = machine.migrate(
          from, to,
          [&](MigrateArguments& arguments) {
            if (only_look) dry(arguments);
            if (more) more(arguments);
          },
          &odd);
      CHECK(told.code == code);
      CHECK(told.says(says));
      CHECK(told.says("expected"));
      CHECK(machine.tree() == before);
      CHECK(machine.names() == names_before);
    }
  };

  SECTION("nothing trips") {
    code = ExitCode::kOk;
    const Told told = machine.migrate(from, to, dry, &odd);
    CHECK(told.code == ExitCode::kOk);
    for (const char* name :
         {"empty", "mount point", "apart", "parent", "mode", "owner", "opener", "space"}) {
      CHECK(told.says(cat("  check     ", name, ": ")));
    }
    CHECK(told.says("PASS  dry run: nothing was copied"));
    CHECK(machine.names() == std::vector<std::string>{"a"});
  }
  SECTION("a destination with something in it") {
    REQUIRE_OK(machine.fs_.mkdir(b));
    REQUIRE_OK(families::write_file(machine.fs_, b + "/file", "x"));
    says = "is not empty";
    const std::vector<std::string> before = machine.tree();
    CHECK(machine.migrate(from, to).says(says));
    CHECK(machine.tree() == before);
  }
  SECTION("a mount point") {
    REQUIRE_OK(machine.fs_.mkdir(b));
    odd.change(b, [](families::FileStat& stat) { ++stat.device; });
    says = "b is a mount point, which no rename replaces: found device ";
    check();
  }
  SECTION("a destination in the source") {
    to = "sqlite://a/b";
    says = "lies in the source";
    const Told told = machine.migrate(from, to, nullptr, &odd);
    CHECK(told.code == ExitCode::kCannotWrite);
    CHECK(told.says(says));
  }
  SECTION("a parent that is not there") {
    to = "sqlite://none/b";
    const Told told = machine.migrate(from, to, nullptr, &odd);
    CHECK(told.code == ExitCode::kCannotWrite);
    CHECK(told.says("No such file"));
    CHECK(told.says("is its volume mounted?"));
  }
  SECTION("a parent that may not be written to") {
    odd.closed_ = machine.temporary_.path();
    const Told told = machine.migrate(from, to, dry, &odd);
    CHECK(told.code == ExitCode::kCannotWrite);
    CHECK(told.says("closed in this test"));
    CHECK(machine.names() == std::vector<std::string>{"a"});
  }
  SECTION("a mode that would be lost") {
    REQUIRE_OK(machine.fs_.mkdir(b));
    odd.change(b, [](families::FileStat& stat) { stat.mode ^= 0111; });
    says = "would lose its mode or owner: found mode ";
    check();
  }
  SECTION("an owner that would be lost") {
    odd.change(a, [](families::FileStat& stat) { ++stat.owner; });
    says = "the destination would belong to user ";
    check();
    CHECK(
        machine
            .migrate(
                from, to, [](MigrateArguments& arguments) { arguments.accept_owner = true; }, &odd)
            .code == ExitCode::kOk);
  }
  SECTION("too little space") {
    odd.free_ = 1000;
    says = "too little space at ";
    check();
  }
  SECTION("an opener that does not open") {
    families::FamilyDescriptor broken = *machine.registry_.find("sqlite");
    broken.name = "broken";
    broken.open = [](const families::OpenRequest&) {
      return absl::UnimplementedError("found no library, expected one");
    };
    machine.registry_.add(broken);
    to = "broken://b";
    says = "opener of family broken: found no library";
    check();
  }
  SECTION("a fence that would take more") {
    REQUIRE_OK(families::write_file(machine.fs_, a + "/notes", "x"));
    more = fence;
    says = "holds \"notes\", which a fence would take";
    check();
  }
  SECTION("a fence of a mount point") {
    odd.change(a, [](families::FileStat& stat) { ++stat.device; });
    more = fence;
    says = "is a mount point, which cannot be renamed";
    check();
  }
  SECTION("a stage that is there") {
    REQUIRE_OK(machine.fs_.mkdir(b + ".qkmigrate"));
    says = "an unfinished migration is there";
    check();
  }
  SECTION("a vote that may be lost") {
    machine.make("local", "c", 10);
    REQUIRE_OK(families::remove_tree(machine.fs_, machine.path("c/raft_meta")));
    from = "local://c";
    code = ExitCode::kData;
    says = "lost vote";
    // Without its vote it names the peer of its snapshot alone.
    const auto peer = [](MigrateArguments& arguments) { arguments.peer = "127.0.0.1:8100:0:0"; };
    const Told told = machine.migrate(from, to, peer, &odd);
    CHECK(told.code == ExitCode::kData);
    CHECK(told.says("--accept-lost-vote"));
    CHECK(machine.names() == std::vector<std::string>{"a", "c"});
    const Told taken = machine.migrate(
        from, to,
        [&](MigrateArguments& arguments) {
          peer(arguments);
          arguments.accept_lost_vote = true;
        },
        &odd);
    CHECK(taken.code == ExitCode::kOk);
    CHECK(taken.says("warning   lost vote"));
  }
}

TEST_CASE("migrate: symbolic links at the destination are not followed, at the source they are") {
  Machine machine;
  REQUIRE(::symlink("a", machine.path("link").c_str()) == 0);
  REQUIRE_OK(machine.fs_.mkdir(machine.path("dir")));
  REQUIRE(::symlink("dir", machine.path("b").c_str()) == 0);
  const Told refused = machine.migrate("local://a", "sqlite://b");
  CHECK(refused.code == ExitCode::kCannotWrite);
  CHECK(refused.says("symbolic link"));
  CHECK(machine.migrate("local://link", "sqlite://c").code == ExitCode::kOk);
  // Of a source that is fenced, what the link leads to is.
  CHECK(machine.migrate("local://link", "sqlite://d", fence).code == ExitCode::kOk);
  CHECK(machine.fs_.stat(machine.path("a"))->kind == families::FileKind::kFile);
  CHECK(families::exists(machine.fs_, machine.path("a.fenced-1/log")).value());
}

TEST_CASE("migrate: a source that is damaged, in use or no directory is refused with its place") {
  Machine machine;
  SECTION("damaged") {
    const std::string segment =
        cat("a/log/", machine.fs_.list(machine.path("a/log")).value().front());
    auto bytes = families::read_file(machine.fs_, machine.path(segment), 1 << 20).value();
    bytes[1000] = static_cast<char>(bytes[1000] ^ 1);
    REQUIRE_OK(families::write_file(machine.fs_, machine.path(segment), bytes));
    const std::vector<std::string> before = machine.tree();
    for (const bool only_look : {true, false}) {
      const Told told = machine.migrate("local://a", "sqlite://b", only_look ? dry : nullptr);
      CHECK(told.code == ExitCode::kData);
      CHECK(told.says(std::string(families::base_name(segment))));
      CHECK(told.says("offset"));
      CHECK(machine.tree() == before);
    }
  }
  SECTION("in use") {
    const auto open = machine.fs_.open(machine.path("a/log/log_meta"), {});
    REQUIRE_OK(open);
    const Told told = machine.migrate("local://a", "sqlite://b");
    CHECK(told.code == ExitCode::kNoInput);
    CHECK(told.says("in use: process "));
    CHECK(machine.names() == std::vector<std::string>{"a"});
  }
  SECTION("missing") {
    const Told told = machine.migrate("local://none", "sqlite://b");
    CHECK(told.code == ExitCode::kNoInput);
    CHECK(told.says("No such file"));
    CHECK(machine.names() == std::vector<std::string>{"a"});
  }
  SECTION("another family's, another node's") {
    REQUIRE(machine.migrate("local://a", "sqlite://b").code == ExitCode::kOk);
    CHECK(machine.migrate("leveldb://b", "local://c").code == ExitCode::kData);
    const Told told = machine.migrate("sqlite://b", "local://c",
                                      [](MigrateArguments& a) { a.peer = "127.0.0.1:9:0"; });
    CHECK(told.code == ExitCode::kData);
    CHECK(told.says("belongs to another instance: found group g, peer 127.0.0.1:8300:0:0"));
  }
  SECTION("a URI that is not one") {
    CHECK(machine.migrate("a", "sqlite://b").says("expected scheme://path"));
    CHECK(machine.migrate("local://a", "memory://b").code == ExitCode::kUsage);
    CHECK(machine.migrate("local://a", "sqlit://b").says("did you mean \"sqlite\"?"));
  }
}

}  // namespace
}  // namespace qk::cli
