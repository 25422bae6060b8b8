// `qksim image` on a directory that real braft wrote: there and back through sqlite, and each
// refusal with its exit code, its message and nothing changed.
#include "tools/qksim/image_command.h"

#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <sstream>

#include "families/builtin.h"
#include "families/fs/fault_file_system.h"
#include "families/fs/file_system_wrapper.h"
#include "families/fs/file_util.h"
#include "image/identity.h"
#include "tools/qksim/test_image_shell.h"

namespace qk::cli {
namespace {

// A snapshot of `meta` next to the log that is there, as an interrupted install leaves it.
void publish_next_to(Shell& shell, const std::string& directory,
                     const families::SnapshotMeta& meta) {
  families::OpenRequest request;
  request.fs = &shell.fs;
  request.root = shell.path(directory);
  const auto family = families::open_family(shell.registry, "local", request).value();
  auto writer = family->snapshot().create().value();
  REQUIRE(writer->save_meta(meta).ok());
  REQUIRE(family->snapshot().publish(std::move(writer)).ok());
}

std::string line_with(const std::string& text, const std::string& what) {
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.find(what) != std::string::npos) return line;
  }
  return "no line with " + what;
}

TEST_CASE("image: a log and a snapshot of two histories are refused with both named") {
  Shell shell;
  REQUIRE(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
  publish_next_to(shell, "node0", {10000, 2, {}, {}});
  const std::vector<std::string> before = shell.tree();
  const Result exported = shell.export_from("node0", "local", "b.qki");
  CHECK(exported.code == ExitCode::kData);
  CHECK(contains(exported.err, "snapshot at index 10000 has term 2"));
  CHECK(contains(exported.err, "log entry 10000 has term 3"));
  CHECK(contains(exported.err, "start it once"));
  const Result verified = shell.run(image_verify, ImageVerifyArguments{"a.qki", "node0", "local"});
  CHECK(verified.code == ExitCode::kData);
  CHECK(contains(verified.err, "snapshot at index 10000 has term 2"));
  CHECK(shell.tree() == before);
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
  REQUIRE(contains(inspected.out, "group g, peer 127.0.0.1:8300:0:0, lineage none, generation 0"));
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
  const Result peer = shell.import_to("a.qki", "sqlite", "b", "g", "127.0.0.1:8301:0");
  REQUIRE(peer.code == ExitCode::kData);
  REQUIRE(contains(peer.err, "found group g, peer 127.0.0.1:8300:0:0"));
  REQUIRE(shell.import_to("a.qki", "sqlite", "b", "other").code == ExitCode::kData);
  REQUIRE(shell.tree() == before);
  // And so is the export of an instance under another name.
  // Without a name the image is taken as it is.
  REQUIRE(shell.import_to("a.qki", "sqlite", "b", "", "").code == ExitCode::kOk);
  REQUIRE(shell
              .run(image_export,
                   ImageExportArguments{"b", "sqlite", "g", "127.0.0.1:8301:0:0", "b.qki"})
              .code == ExitCode::kData);
}

// A node that lost its term and vote may vote twice in the term that its log shows.
TEST_CASE("image: a lost vote is exported only if that is accepted, and always reported") {
  Shell shell;
  REQUIRE(shell.fs.unlink(shell.path("node0/raft_meta/raft_meta")).ok());
  const std::vector<std::string> before = shell.tree();
  const Result refused = shell.export_from("node0", "local", "a.qki");
  REQUIRE(refused.code == ExitCode::kData);
  REQUIRE(contains(refused.err,
                   "lost vote: the hard state is (term 1, vote nobody), but the last "
                   "log entry has term 3"));
  REQUIRE(contains(refused.err, "--accept-lost-vote"));
  REQUIRE(shell.tree() == before);

  ImageExportArguments arguments{"node0", "local", "g", kPeer, "a.qki"};
  arguments.accept_lost_vote = true;
  const Result exported = shell.run(image_export, arguments);
  INFO(exported.err);
  REQUIRE(exported.code == ExitCode::kOk);
  REQUIRE(contains(exported.out, "warning   lost vote"));
  const Result verified = shell.run(image_verify, ImageVerifyArguments{"a.qki"});
  REQUIRE(verified.code == ExitCode::kOk);
  REQUIRE(contains(verified.out, "warning   lost vote"));
  const Result inspected = shell.run(image_inspect, ImageInspectArguments{"a.qki"});
  REQUIRE(contains(inspected.out, "warning   lost vote"));
  const Result imported = shell.import_to("a.qki", "sqlite", "b");
  INFO(imported.err);
  REQUIRE(imported.code == ExitCode::kOk);
  REQUIRE(contains(imported.out, "warning   lost vote"));
  // The loss does not heal by a copy.
  REQUIRE(shell.export_from("b", "sqlite", "b.qki").code == ExitCode::kData);
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
  REQUIRE(shell.fs.mkdir(shell.path("empty")).ok());
  REQUIRE(shell.export_from("empty", "sqlite", "a.qki").code == ExitCode::kNoInput);
  // A snapshot without a database is what damage leaves.
  REQUIRE(shell.export_from("node0", "sqlite", "a.qki").code == ExitCode::kData);
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

// A disk on which some directories are another user's.
class ForeignDirectories final : public families::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  absl::StatusOr<std::vector<std::string>> list(std::string_view path) override {
    if (path.ends_with("/lost+found")) return errno_status(EACCES, cat("list ", path));
    return inner().list(path);
  }
  absl::Status check_writable(std::string_view path) override {
    if (path.ends_with("/foreign")) return errno_status(EACCES, cat("write into ", path));
    return inner().check_writable(path);
  }
};

TEST_CASE("image: a place that cannot be written is refused before any work") {
  Shell shell;
  REQUIRE(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
  REQUIRE(shell.fs.mkdir(shell.path("foreign")).ok());
  const std::vector<std::string> before = shell.tree();
  ForeignDirectories foreign(&shell.fs);
  shell.used = &foreign;
  const Result imported = shell.import_to("a.qki", "sqlite", "foreign/b/c");
  CHECK(imported.code == ExitCode::kCannotWrite);
  CHECK(contains(imported.err, "Permission denied"));
  CHECK(shell.import_to("a.qki", "sqlite", "foreign").code == ExitCode::kCannotWrite);
  CHECK(shell.export_from("node0", "local", "foreign/b.qki").code == ExitCode::kCannotWrite);
  CHECK(shell.export_from("node0", "local", "missing/b.qki").code == ExitCode::kCannotWrite);
  const Result inside = shell.export_from("node0", "local", "node0/log/b.qki");
  CHECK(inside.code == ExitCode::kCannotWrite);
  CHECK(contains(inside.err, "lies in the source"));
  CHECK(shell.tree() == before);
}

TEST_CASE("image: the root of a volume is a destination and a source") {
  Shell shell;
  REQUIRE(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
  REQUIRE(families::make_directories(shell.fs, shell.path("volume/lost+found")).ok());
  REQUIRE(::chmod(shell.path("volume").c_str(), 0700) == 0);
  ForeignDirectories foreign(&shell.fs);
  shell.used = &foreign;
  REQUIRE(shell.import_to("a.qki", "sqlite", "volume").code == ExitCode::kOk);
  CHECK(shell.fs.stat(shell.path("volume")).value().mode == 0700);
  const Result exported = shell.export_from("volume", "sqlite", "b.qki");
  CHECK(exported.code == ExitCode::kOk);
  CHECK(exported.err.empty());
}

TEST_CASE("image: what failed at its last calls is what the hint says") {
  Shell shell;
  REQUIRE(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
  const auto calls_of = [&](const auto& verb) {
    families::FaultFileSystem counting(&shell.fs);
    shell.used = &counting;
    verb();
    return counting.take_calls().size();
  };
  const auto opens = [&](const std::string& root) {
    shell.used = &shell.fs;
    return shell.export_from(root, "sqlite", cat(root, ".qki")).code == ExitCode::kOk;
  };
  const auto import = [&](const std::string& root) {
    return [&shell, root] { return shell.import_to("a.qki", "sqlite", root); };
  };
  const uint64_t calls = calls_of(import("counted"));
  int unconfirmed = 0;
  for (uint64_t n = calls - 12; n <= calls; ++n) {
    for (const bool lasts : {false, true}) {
      families::FaultFileSystem faults(&shell.fs);
      faults.fail_at(n, {EIO, families::Fault::Effect::kAll, lasts});
      shell.used = &faults;
      const std::string root = cat("b", n, lasts ? "-lasts" : "");
      const Result failed = import(root)();
      INFO(root << " of " << calls << ": " << faults.failed_call() << "\n" << failed.err);
      // The last three remove a directory without state, which prevents nothing.
      if (n > calls - 3) {
        CHECK(failed.code == ExitCode::kOk);
        CHECK(opens(root));
        continue;
      }
      REQUIRE(failed.code == ExitCode::kCannotWrite);
      const bool names_instance = failed.err.find("was not confirmed") != std::string::npos;
      unconfirmed += names_instance ? 1 : 0;
      // Only a disk that fails for good may leave one, and then it is said.
      CHECK((lasts || !names_instance));
      CHECK(opens(root) == names_instance);
      if (contains(failed.err, "hint: nothing was imported\n")) {
        CHECK_FALSE(families::exists(shell.fs, shell.path(root)).value());
      }
    }
  }
  CHECK(unconfirmed > 0);
  const auto exporting = [&](const std::string& output) {
    return [&shell, output] { return shell.export_from("node0", "local", output); };
  };
  const uint64_t writes = calls_of(exporting("counted.qki"));
  for (uint64_t n = 1; n <= writes; ++n) {
    families::FaultFileSystem faults(&shell.fs);
    faults.fail_at(n, {ENOSPC, families::Fault::Effect::kAll, false});
    shell.used = &faults;
    const std::vector<std::string> before = shell.fs.list(shell.temporary.path()).value();
    const Result failed = exporting(cat("e", n, ".qki"))();
    INFO(faults.failed_call() << "\n" << failed.err);
    CHECK(failed.code == ExitCode::kCannotWrite);
    CHECK(shell.fs.list(shell.temporary.path()).value() == before);
  }
}

TEST_CASE("image: a peer that the directory's own configuration does not know is refused") {
  Shell shell;
  const std::vector<std::string> before = shell.tree();
  const Result result = shell.run(
      image_export, ImageExportArguments{"node0", "local", "g", "127.0.0.1:9999:0", "a.qki"});
  CHECK(result.code == ExitCode::kData);
  CHECK(contains(result.err,
                 "--peer 127.0.0.1:9999:0:0 is in no configuration and no vote found there"));
  CHECK(shell.tree() == before);
}

TEST_CASE("image: the user's files stay as they are") {
  Shell shell;
  shell.write("a.qki.tmp", "mine");
  REQUIRE(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
  CHECK(shell.bytes("a.qki.tmp") == "mine");
  // A finished instance that happens to be called so.
  REQUIRE(shell.import_to("a.qki", "sqlite", "b.importing").code == ExitCode::kOk);
  REQUIRE(shell.import_to("a.qki", "sqlite", "b").code == ExitCode::kOk);
  CHECK(shell.export_from("b.importing", "sqlite", "b.qki").code == ExitCode::kOk);
  // A link as output is a name that exists, wherever it leads.
  REQUIRE(::symlink("nowhere", shell.path("c.qki").c_str()) == 0);
  CHECK(shell.export_from("node0", "local", "c.qki").code == ExitCode::kCannotWrite);
  CHECK_FALSE(families::exists(shell.fs, shell.path("nowhere")).value());
  REQUIRE(::symlink("nowhere", shell.path("d").c_str()) == 0);
  const Result imported = shell.import_to("a.qki", "sqlite", "d");
  CHECK(imported.code == ExitCode::kCannotWrite);
  CHECK(contains(imported.err, "is a symbolic link"));
  CHECK_FALSE(families::exists(shell.fs, shell.path("nowhere")).value());
}

TEST_CASE("image: a torn tail is left out, and it is said") {
  Shell shell;
  std::string segment;
  const auto names = families::list_tree(shell.fs, shell.path("node0")).value();
  for (const std::string& name : names) {
    if (name.find("log_inprogress_") != std::string::npos) segment = "node0/" + name;
  }
  REQUIRE_FALSE(segment.empty());
  const Result whole = shell.export_from("node0", "local", "a.qki");
  CHECK_FALSE(contains(whole.err, "torn write"));
  // The head of an entry whose rest was never written.
  const std::string bytes = shell.bytes(segment);
  shell.write(segment, bytes + bytes.substr(0, 20));
  const Result torn = shell.export_from("node0", "local", "b.qki");
  REQUIRE(torn.code == ExitCode::kOk);
  CHECK(contains(torn.err, cat(": the last 20 of ", bytes.size() + 20, " bytes are a torn write")));
  CHECK(line_with(torn.out, "state digest") == line_with(whole.out, "state digest"));
  // An engine that replays its log on open loses nothing by it.
  REQUIRE(shell.import_to("a.qki", "sqlite", "c").code == ExitCode::kOk);
  CHECK_FALSE(contains(shell.export_from("c", "sqlite", "c.qki").err, "torn write"));
}

TEST_CASE("image: everything that an export leaves out is said, and cannot command a terminal") {
  Shell shell;
  const Result clean = shell.export_from("node0", "local", "a.qki");
  CHECK(clean.err.empty());
  shell.write("node0/\x1b[2Jnotes", "x");
  shell.write("node0/log/notes", "xy");
  shell.write("node0/raft_meta/raft_meta.tmp", "xyz");
  REQUIRE(::mkfifo(shell.path("node0/log/fifo").c_str(), 0600) == 0);
  const Result exported = shell.export_from("node0", "local", "b.qki");
  CHECK(exported.code == ExitCode::kOk);
  CHECK(contains(exported.err, "node0/\\x1b[2Jnotes: 1 bytes that family local does not read"));
  CHECK(contains(exported.err, "node0/log/notes: 2 bytes that family local does not read"));
  CHECK(contains(exported.err, "node0/raft_meta/raft_meta.tmp: 3 bytes"));
  CHECK(contains(exported.err, "node0/log/fifo: no regular file"));
  CHECK(exported.err.find('\x1b') == std::string::npos);
  // An engine's own files are all read.
  for (const char* family : {"sqlite", "leveldb", "rocksdb"}) {
    REQUIRE(shell.import_to("b.qki", family, family).code == ExitCode::kOk);
    CHECK(shell.export_from(family, family, cat(family, ".qki")).err.empty());
  }
}

TEST_CASE("image: a link that leads nowhere is left out, unless it takes the place of state") {
  Shell shell;
  REQUIRE(::symlink("nowhere", shell.path("node0/old").c_str()) == 0);
  REQUIRE(shell.fs.mkdir(shell.path("node0/more")).ok());
  REQUIRE(::symlink("nowhere", shell.path("node0/more/old").c_str()) == 0);
  const Result exported = shell.export_from("node0", "local", "a.qki");
  CHECK(exported.code == ExitCode::kOk);
  CHECK(contains(exported.err, "node0/old: a symbolic link that leads nowhere, and not in"));
  CHECK(contains(exported.err, "node0/more/old: a symbolic link that leads nowhere, and not in"));
  std::string name;
  SECTION("raft_meta's file") { name = "node0/raft_meta/raft_meta"; }
  SECTION("the log's range") { name = "node0/log/log_meta"; }
  SECTION("a whole part") { name = "node0/raft_meta"; }
  SECTION("a file of the snapshot's tree") {
    name = "node0/snapshot/snapshot_00000000000000008635/more";
  }
  INFO(name);
  if (families::exists(shell.fs, shell.path(name)).value()) {
    REQUIRE(families::remove_tree(shell.fs, shell.path(name)).ok());
  }
  REQUIRE(::symlink("nowhere", shell.path(name).c_str()) == 0);
  const Result refused = shell.export_from("node0", "local", "b.qki");
  CHECK(refused.code == ExitCode::kData);
  CHECK(contains(refused.err, name + ": a symbolic link that leads nowhere, expected a file"));
}

TEST_CASE("image: the state counts files that are not listed, and an empty directory is named") {
  Shell shell;
  const std::string tree = "node0/snapshot/snapshot_00000000000000008635/";
  REQUIRE(contains(shell.export_from("node0", "local", "a.qki").out, "8635/3 with 1 file\n"));
  shell.write(tree + "notes", "mine");
  REQUIRE(families::make_directories(shell.fs, shell.path(tree + "empty/inner")).ok());
  const Result exported = shell.export_from("node0", "local", "b.qki");
  REQUIRE(exported.code == ExitCode::kOk);
  CHECK(contains(exported.out, "8635/3 with 2 files\n"));
  CHECK(contains(exported.err, tree + "empty/inner: an empty directory of the snapshot, and not"));
  CHECK(exported.err.find("empty: ") == std::string::npos);
  CHECK(contains(shell.run(image_inspect, ImageInspectArguments{"b.qki"}).out, "with 2 files\n"));
  // One that differs is said to have as many.
  const Result differs = shell.run(image_verify, ImageVerifyArguments{"a.qki", "node0", "local"});
  CHECK(differs.code == ExitCode::kViolated);
  CHECK(contains(differs.err, "8635/3 with 2 files in "));
}

TEST_CASE("image: other last names for a family that has none are a usage error at once") {
  Shell shell;
  REQUIRE(shell.export_from("node0", "local", "a.qki").code == ExitCode::kOk);
  const std::vector<std::string> before = shell.tree();
  for (const std::string family : {"sqlite", "leveldb", "rocksdb"}) {
    const families::UriTriple uris{cat(family, "://new/wal"), cat(family, "://new/raft_meta"),
                                   cat(family, "://new/snapshot")};
    ImageImportArguments to;
    to.image = "a.qki";
    to.uris = uris;
    ImageExportArguments from;
    from.group = "g";
    from.peer = kPeer;
    from.output = "b.qki";
    from.uris = uris;
    ImageVerifyArguments verify{"a.qki"};
    verify.uris = uris;
    for (const Result& result : {shell.run(image_import, to), shell.run(image_export, from),
                                 shell.run(image_verify, verify)}) {
      CHECK(result.code == ExitCode::kUsage);
      CHECK(contains(result.err, "keeps log, metadata and snapshot together"));
    }
  }
  CHECK(shell.tree() == before);
}

TEST_CASE("image: a FIFO or a device is named as such") {
  Shell shell;
  REQUIRE(::mkfifo(shell.path("fifo").c_str(), 0600) == 0);
  const Result fifo = shell.run(image_verify, ImageVerifyArguments{"fifo"});
  CHECK(fifo.code == ExitCode::kNoInput);
  CHECK(contains(fifo.err, "is a FIFO, expected a file"));
  CHECK(contains(shell.run(image_inspect, ImageInspectArguments{"/dev/null"}).err, "is a device"));
}

TEST_CASE("image: a damaged source is bad data, and a missing one is missing input") {
  Shell shell;
  shell.write("node0/raft_meta/raft_meta", "damaged");
  CHECK(shell.export_from("node0", "local", "a.qki").code == ExitCode::kData);
  CHECK(shell.export_from("node1", "local", "a.qki").code == ExitCode::kNoInput);
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

// As braft's NodeOptions give them; the directories' names are free.
TEST_CASE("image: three URIs say where an instance lies") {
  Shell shell;
  const std::string disks = shell.path("disks");
  for (const auto& [part, to] : {std::pair("log", "fast/wal"), std::pair("raft_meta", "safe/votes"),
                                 std::pair("snapshot", "big/images")}) {
    const std::string path = families::join_path(disks, to);
    REQUIRE(families::make_directories(shell.fs, families::parent_path(path)).ok());
    REQUIRE(shell.fs.rename(shell.path(cat("node0/", part)), path).ok());
  }
  const std::vector<std::string> before = shell.tree();
  ImageExportArguments from;
  from.group = "g";
  from.peer = kPeer;
  from.output = "a.qki";
  from.uris = {cat("local://", disks, "/fast/wal"), " local ://disks/safe//votes/",
               cat("local://", disks, "/big/ images")};
  const Result exported = shell.run(image_export, from);
  INFO(exported.err);
  REQUIRE(exported.code == ExitCode::kOk);
  REQUIRE(contains(exported.out, "entries 8636..12068, term 3, vote nobody, snapshot 8635/3"));

  // A link or ".." must not make one part pass for another that is missing.
  REQUIRE(::symlink("wal", shell.path("disks/fast/link").c_str()) == 0);
  for (const std::string other : {"/fast/link", "/fast/../fast/wal"}) {
    ImageExportArguments twice = from;
    twice.output = "twice.qki";
    twice.uris.raft_meta_uri = cat("local://", disks, other);
    const Result refused_twice = shell.run(image_export, twice);
    REQUIRE(refused_twice.code == ExitCode::kUsage);
    REQUIRE(contains(refused_twice.err, "lead to"));
  }
  REQUIRE(shell.fs.unlink(shell.path("disks/fast/link")).ok());

  // Into three directories that have one in common; three others cannot appear at once.
  ImageImportArguments to;
  to.image = "a.qki";
  to.uris = {"local://new/wal", "local://new/votes", "local://other/images"};
  const Result split = shell.run(image_import, to);
  REQUIRE(split.code == ExitCode::kUsage);
  REQUIRE(contains(split.err, "do not lie in one directory"));
  to.uris.snapshot_uri = "local://new/images";
  const Result imported = shell.run(image_import, to);
  INFO(imported.err);
  REQUIRE(imported.code == ExitCode::kOk);
  for (const std::string part : {"wal", "votes", "images"}) {
    REQUIRE(families::exists(shell.fs, shell.path(cat("new/", part))).value());
  }

  to.uris = {"local://reserved/qk_importing", "local://reserved/a", "local://reserved/b"};
  REQUIRE(contains(shell.run(image_import, to).err, "a part cannot be called qk_importing"));
  to.uris = {"local://new/wal", "local://new/votes", "local://new/images"};

  // Both hold what the image does, until one of them changes.
  ImageVerifyArguments verify{"a.qki"};
  for (const families::UriTriple& uris : {from.uris, to.uris}) {
    verify.uris = uris;
    const Result verified = shell.run(image_verify, verify);
    INFO(verified.err);
    REQUIRE(verified.code == ExitCode::kOk);
    REQUIRE(contains(verified.out, "holds the same\n"));
  }
  REQUIRE(shell.fs.unlink(shell.path("new/votes/raft_meta")).ok());
  const Result differs = shell.run(image_verify, verify);
  REQUIRE(differs.code == ExitCode::kViolated);
  REQUIRE(contains(differs.err, "term 1, vote nobody"));

  // Mistakes change nothing.
  REQUIRE(shell.fs.unlink(shell.path("a.qki")).ok());
  REQUIRE(families::remove_tree(shell.fs, shell.path("new")).ok());
  const auto refused = [&](ImageExportArguments arguments, const std::string& message) {
    const Result result = shell.run(image_export, arguments);
    REQUIRE(result.code == ExitCode::kUsage);
    REQUIRE(contains(result.err, message));
  };
  ImageExportArguments wrong = from;
  wrong.from = "node0";
  refused(wrong, "--from and URIs are both given");
  wrong = from;
  wrong.family = "sqlite";
  refused(wrong, "--family is sqlite, but the URIs name local");
  wrong = from;
  wrong.uris.snapshot_uri = "";
  refused(wrong, "snapshot_uri");
  wrong.uris = {};
  refused(wrong, "--log-uri");
  wrong = from;
  wrong.uris.log_uri = wrong.uris.raft_meta_uri = wrong.uris.snapshot_uri = "lokal:///x/y";
  wrong.uris.raft_meta_uri += "1";
  wrong.uris.snapshot_uri += "2";
  refused(wrong, "lokal");
  REQUIRE(shell.tree() == before);
}

}  // namespace
}  // namespace qk::cli
