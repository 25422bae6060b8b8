// `qksim image` on a directory that real braft wrote: there and back through sqlite, and each
// refusal with its exit code, its message and nothing changed.
#include "cli/image_command.h"

#include <catch2/catch.hpp>
#include <set>
#include <sstream>

#include "families/builtin.h"
#include "families/fs/file_system_wrapper.h"
#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/local/testdata/golden_support.h"
#include "image/identity.h"

namespace qk::cli {
namespace {

constexpr char kCase[] = "cluster-b-node0-all-killed";
constexpr char kPeer[] = "127.0.0.1:8100:0";

struct Result {
  ExitCode code;
  std::string out;
  std::string err;
};

struct Shell {
  families::PosixFileSystem fs;
  families::TempDirectory temporary;
  families::VolatileMemory memory{1};
  families::Registry registry = families::builtin_families(&memory);
  uint64_t draws = 0;

  Shell() { REQUIRE(families::golden_archive().unpack(kCase, fs, path("node0")).ok()); }
  std::string path(const std::string& name) const {
    return families::join_path(temporary.path(), name);
  }
  template <typename Arguments>
  Result run(ExitCode (*verb)(const Arguments&, const Environment&), const Arguments& arguments) {
    std::ostringstream out, err;
    Environment environment;
    environment.out = &out;
    environment.err = &err;
    environment.fs = &fs;
    environment.registry = &registry;
    environment.directory = temporary.path();
    environment.random_seed = [this] { return ++draws; };
    const ExitCode code = verb(arguments, environment);
    return {code, out.str(), err.str()};
  }
  Result export_from(const std::string& directory, const std::string& family,
                     const std::string& output) {
    return run(image_export, ImageExportArguments{directory, family, "g", kPeer, output});
  }
  Result import_to(const std::string& image, const std::string& family,
                   const std::string& directory, const std::string& group = "g",
                   const std::string& peer = kPeer) {
    return run(image_import, ImageImportArguments{image, family, directory, group, peer});
  }
  std::string bytes(const std::string& name) {
    return families::read_file(fs, path(name), 64 << 20).value();
  }
  void write(const std::string& name, const std::string& content) {
    REQUIRE(families::write_file(fs, path(name), content).ok());
  }
  // Every name with its bytes.
  std::vector<std::string> tree() {
    std::vector<std::string> all = families::list_tree(fs, temporary.path()).value();
    for (std::string& name : all) name += "\n" + bytes(name);
    return all;
  }
};

std::string line_with(const std::string& text, const std::string& what) {
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.find(what) != std::string::npos) return line;
  }
  return "no line with " + what;
}

bool contains(const std::string& text, const std::string& what) {
  UNSCOPED_INFO(text);
  return text.find(what) != std::string::npos;
}

TEST_CASE("image: a real directory goes into sqlite and comes back equal") {
  Shell shell;
  const std::vector<std::string> before = shell.tree();
  const Result exported = shell.export_from("node0", "local", "a.qki");
  INFO(exported.err);
  REQUIRE(exported.code == ExitCode::kOk);
  REQUIRE(contains(exported.out,
                   "entries 8636..12068, term 3, vote nobody, snapshot 8635/3 with 1 file\n"));
  // The source is untouched.
  std::vector<std::string> after = shell.tree();
  std::erase_if(after, [](const std::string& file) { return file.starts_with("a.qki\n"); });
  REQUIRE(after == before);

  const Result imported = shell.import_to("a.qki", "sqlite", "b");
  INFO(imported.err);
  REQUIRE(imported.code == ExitCode::kOk);
  REQUIRE(contains(imported.out, "PASS"));
  const Result again = shell.export_from("b", "sqlite", "b.qki");
  INFO(again.err);
  REQUIRE(again.code == ExitCode::kOk);
  for (const std::string what : {"content sha256", "state digest", "  state "}) {
    REQUIRE(line_with(again.out, what) == line_with(exported.out, what));
  }

  const Result inspected = shell.run(image_inspect, ImageInspectArguments{"b.qki"});
  REQUIRE(inspected.code == ExitCode::kOk);
  REQUIRE(line_with(inspected.out, "  state ") == line_with(exported.out, "  state "));
  REQUIRE(contains(inspected.out, "group g, peer 127.0.0.1:8100:0:0, lineage none, generation 0"));
  REQUIRE(contains(inspected.out, "family sqlite"));
  const Result verified = shell.run(image_verify, ImageVerifyArguments{"b.qki"});
  REQUIRE(verified.code == ExitCode::kOk);
  REQUIRE(verified.out.starts_with("PASS"));
}

TEST_CASE("image: the same image into the same directory again is another instance") {
  Shell shell;
  REQUIRE(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
  std::set<std::string> instances;
  for (int round = 0; round < 2; ++round) {
    REQUIRE(shell.import_to("a.qki", "sqlite", "b").code == ExitCode::kOk);
    const auto sidecar = image::read_sidecar(shell.fs, shell.path("b")).value();
    REQUIRE(sidecar.has_value());
    CHECK(sidecar->instance.size() == 32);
    instances.insert(sidecar->instance);
    REQUIRE(families::remove_tree(shell.fs, shell.path("b")).ok());
  }
  CHECK(instances.size() == 2);
}

TEST_CASE("image: damage is refused, and nothing is imported") {
  Shell shell;
  REQUIRE(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
  std::string bytes = shell.bytes("a.qki");
  SECTION("flipped bit") {
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
  }
  SECTION("truncated") { bytes.resize(bytes.size() - 100); }
  SECTION("trailing byte") { bytes += '\0'; }
  SECTION("empty") { bytes.clear(); }
  shell.write("a.qki", bytes);
  const std::vector<std::string> before = shell.tree();
  const Result imported = shell.import_to("a.qki", "sqlite", "b");
  REQUIRE(imported.code == ExitCode::kData);
  REQUIRE(imported.err.starts_with(shell.path("a.qki") + ": error: image damaged at offset"));
  REQUIRE(contains(imported.err, "hint: nothing was imported"));
  REQUIRE(shell.run(image_inspect, ImageInspectArguments{"a.qki"}).code == ExitCode::kData);
  const Result verified = shell.run(image_verify, ImageVerifyArguments{"a.qki"});
  REQUIRE(verified.code == ExitCode::kViolated);
  REQUIRE(verified.out.empty());
  REQUIRE(shell.tree() == before);
}

TEST_CASE("image: another node's image is refused") {
  Shell shell;
  REQUIRE(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
  const std::vector<std::string> before = shell.tree();
  const Result peer = shell.import_to("a.qki", "sqlite", "b", "g", "127.0.0.1:8101:0");
  REQUIRE(peer.code == ExitCode::kData);
  REQUIRE(contains(peer.err, "found group g, peer 127.0.0.1:8100:0:0"));
  REQUIRE(shell.import_to("a.qki", "sqlite", "b", "other").code == ExitCode::kData);
  REQUIRE(shell.tree() == before);
  // And so is the export of an instance under another name.
  // Who names nobody takes the image as it is.
  REQUIRE(shell.import_to("a.qki", "sqlite", "b", "", "").code == ExitCode::kOk);
  REQUIRE(shell
              .run(image_export,
                   ImageExportArguments{"b", "sqlite", "g", "127.0.0.1:8101:0:0", "b.qki"})
              .code == ExitCode::kData);
}

TEST_CASE("image: outputs that exist are refused and unchanged") {
  Shell shell;
  REQUIRE(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
  REQUIRE(shell.fs.mkdir(shell.path("full")).ok());
  shell.write("full/notes", "x");
  const std::vector<std::string> before = shell.tree();
  const Result imported = shell.import_to("a.qki", "sqlite", "full");
  REQUIRE(imported.code == ExitCode::kCannotWrite);
  REQUIRE(contains(imported.err, "not empty: holds \"notes\""));
  REQUIRE(shell.import_to("a.qki", "local", "node0").code == ExitCode::kCannotWrite);
  REQUIRE(shell.export_from("node0", "local", "a.qki").code == ExitCode::kCannotWrite);
  REQUIRE(shell.export_from("node0", "local", "missing/a.qki").code == ExitCode::kCannotWrite);
  REQUIRE(shell.tree() == before);
}

TEST_CASE("image: inputs that are missing, in use or wrong") {
  Shell shell;
  const std::vector<std::string> before = shell.tree();
  REQUIRE(shell.export_from("missing", "local", "a.qki").code == ExitCode::kNoInput);
  REQUIRE(shell.import_to("missing.qki", "sqlite", "b").code == ExitCode::kNoInput);
  REQUIRE(shell.run(image_inspect, ImageInspectArguments{"missing.qki"}).code ==
          ExitCode::kNoInput);
  REQUIRE(shell.run(image_verify, ImageVerifyArguments{"missing.qki"}).code == ExitCode::kNoInput);
  REQUIRE(shell.export_from("node0", "sqlite", "a.qki").code == ExitCode::kNoInput);
  REQUIRE(shell.export_from("node0", "slqite", "a.qki").code == ExitCode::kUsage);
  REQUIRE(
      shell.run(image_export, ImageExportArguments{"node0", "local", "g", "n1", "a.qki"}).code ==
      ExitCode::kUsage);
  {
    const auto held =
        shell.fs.open(shell.path("node0/raft_meta/raft_meta"), {.read_only = true}).value();
    const Result result = shell.export_from("node0", "local", "a.qki");
    REQUIRE(result.code == ExitCode::kNoInput);
    REQUIRE(contains(result.err, "in use: process "));
  }
  REQUIRE(shell.tree() == before);
}

// A file system whose source changes while it is read.
class ChangingFileSystem final : public families::FileSystemWrapper {
 public:
  ChangingFileSystem(families::FileSystem* base, std::string when, std::string what)
      : FileSystemWrapper(base), when_(std::move(when)), what_(std::move(what)) {}
  absl::StatusOr<std::unique_ptr<families::File>> open(std::string_view path,
                                                       families::OpenFlags flags) override {
    if (path == when_) REQUIRE(families::write_file(inner(), what_, "new").ok());
    return inner().open(path, flags);
  }

 private:
  std::string when_;
  std::string what_;
};

TEST_CASE("image: a source that changes while it is exported gives no image") {
  Shell shell;
  std::ostringstream out, err;
  ChangingFileSystem changing(&shell.fs, shell.path("a.qki.tmp"), shell.path("node0/log/new"));
  Environment environment;
  environment.out = &out;
  environment.err = &err;
  environment.fs = &changing;
  environment.registry = &shell.registry;
  environment.directory = shell.temporary.path();
  REQUIRE(image_export({"node0", "local", "g", kPeer, "a.qki"}, environment) == ExitCode::kNoInput);
  REQUIRE(contains(err.str(), "changed meanwhile: found \"log/new\" of 3 bytes"));
  REQUIRE(out.str().empty());
  REQUIRE_FALSE(families::exists(shell.fs, shell.path("a.qki")).value());
  REQUIRE_FALSE(families::exists(shell.fs, shell.path("a.qki.tmp")).value());
}

TEST_CASE("a volatile family is refused in both directions, with nothing changed") {
  Shell shell;
  REQUIRE(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
  const Result imported = shell.import_to("a.qki", "memory", "b");
  CHECK(imported.code == ExitCode::kUsage);
  CHECK(imported.err.find("family memory is volatile") != std::string::npos);
  CHECK_FALSE(families::exists(shell.fs, shell.path("b")).value());
  const Result exported = shell.export_from("node0", "memory", "b.qki");
  CHECK(exported.code == ExitCode::kUsage);
  CHECK(exported.err.find("family memory is volatile") != std::string::npos);
  CHECK_FALSE(families::exists(shell.fs, shell.path("b.qki")).value());
}

}  // namespace
}  // namespace qk::cli
