// `qksim migrate` on real directories: every pair of durable families and back; a process that is
// interrupted or dies at each point, and another one that goes on; what is not this migration's, left
// alone.
//
// Not here: real kills and real full disks (migrate_test.sh); what a power cut leaves, beyond what
// each part promises (import_crash_test.cc, migration_test.cc).
#include "tools/qksim/migrate_command.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <sstream>

#include "families/fs/fault_file_system.h"
#include "families/testing/points.h"
#include "image/identity.h"
#include "tools/qksim/migrate_stage.h"
#include "tools/qksim/test_migrate_machine.h"

namespace qk::cli {
namespace {

TEST_CASE("migrate: each pair of durable families, and back, keeps the state") {
  const std::string from = GENERATE(from_range(std::begin(kDurable), std::end(kDurable)));
  const std::string to = GENERATE(from_range(std::begin(kDurable), std::end(kDurable)));
  Machine machine(from);
  const std::vector<std::string> before = machine.tree("a");
  const Told there = machine.migrate(from + "://a", to + "://b");
  INFO(there.out << there.err);
  REQUIRE(there.code == ExitCode::kOk);
  CHECK(machine.tree("a") == before);
  CHECK(there.says("verify    log: 10 entries 1..10, digest "));
  CHECK(there.says("2 files of 150000 bytes, digest "));
  const Told back = machine.migrate(to + "://b", from + "://c");
  INFO(back.out << back.err);
  REQUIRE(back.code == ExitCode::kOk);
  CHECK(there.digest().size() == 64);
  CHECK(back.digest() == there.digest());
  CHECK(machine.names() == std::vector<std::string>{"a", "b", "c"});
  // Once more is a comparison.
  const Told again = machine.migrate(from + "://a", to + "://b", resume);
  CHECK(again.code == ExitCode::kOk);
  CHECK(again.says("is there already, and holds the same"));
  CHECK(again.digest() == there.digest());
}

TEST_CASE("migrate: a signal at any step leaves the destination absent, and --resume ends equal") {
  Machine machine("local", 3000 / 30);
  const std::string whole = machine.migrate("local://a", "sqlite://whole").digest();
  const std::vector<std::string> before = machine.tree("a");
  int interrupted = 0;
  for (int steps = 0;; ++steps) {
    machine.steps_left_ = steps;
    const Told stopped = machine.migrate("local://a", "sqlite://b");
    machine.steps_left_ = 1 << 30;
    if (stopped.code == ExitCode::kOk) break;
    ++interrupted;
    CHECK(stopped.code == ExitCode::kInterrupted);
    CHECK(stopped.says("interrupted by a signal"));
    CHECK_FALSE(families::exists(machine.fs_, machine.path("b")).value());
    CHECK(machine.tree("a") == before);
    if (families::exists(machine.fs_, machine.path("b.qkmigrate")).value()) {
      CHECK(stopped.says("to go on: qksim migrate local://a sqlite://b --group g --peer "));
      CHECK(machine.migrate("local://a", "sqlite://b").code == ExitCode::kCannotWrite);
    } else {
      CHECK(stopped.says("nothing is left"));
    }
    const Told resumed = machine.migrate("local://a", "sqlite://b", resume);
    CHECK(resumed.code == ExitCode::kOk);
    CHECK(resumed.digest() == whole);
    CHECK(machine.names() == std::vector<std::string>{"a", "b", "whole"});
    REQUIRE_OK(families::remove_tree(machine.fs_, machine.path("b")));
  }
  CHECK(interrupted > 5);
}

// A process that dies is one whose calls that change something do nothing from then on; one whose
// call fails goes on to its end.
TEST_CASE(
    "migrate: a process that dies, or fails, at any call is followed by one that ends equal") {
  const std::string to = GENERATE(from_range(std::begin(kDurable), std::end(kDurable)));
  const bool fenced = GENERATE(false, true);
  const bool dies = GENERATE(true, false);
  if (fenced && to != std::string("sqlite")) return;
  const uint64_t stride = families::one_point_in(fenced ? 5 : 23);
  const std::string uri = to + "://b";
  std::string whole;
  uint64_t deaths = 0, in_place = 0;
  for (uint64_t n = 1;; n += stride) {
    Machine machine;
    const std::vector<std::string> before = machine.tree("a");
    if (whole.empty()) whole = machine.migrate("local://a", "local://whole").digest();
    families::FaultFileSystem faults(&machine.fs_);
    families::Fault fault;
    fault.lasts = dies;
    if (!dies) fault.effect = static_cast<families::Fault::Effect>(n % 3);
    faults.fail_at(n, fault);
    const auto change = [&](MigrateArguments& a) { a.fence_source = fenced; };
    const Told died = machine.migrate("local://a", uri, change, &faults);
    if (!faults.failed()) {
      CHECK(died.code == ExitCode::kOk);
      break;
    }
    ++deaths;
    INFO("call " << n << " failed: " << faults.failed_call() << "\n" << died.out << died.err);
    const auto source = machine.fs_.stat(machine.path("a"));
    if (!fenced || (source.ok() && source->kind == families::FileKind::kDirectory)) {
      CHECK(machine.tree("a") == before);
    }
    in_place += families::exists(machine.fs_, machine.path("b")).value() ? 1 : 0;
    const Told status = machine.at_stage(MigrateAction::kStatus, uri);
    CHECK(status.code == ExitCode::kOk);
    const Told resumed = machine.migrate("local://a", uri, [&](MigrateArguments& a) {
      resume(a);
      a.fence_source = fenced;
    });
    INFO(status.out << resumed.out << resumed.err);
    REQUIRE(resumed.code == ExitCode::kOk);
    CHECK(resumed.digest() == whole);
    CHECK_FALSE(families::exists(machine.fs_, machine.path("b.qkmigrate")).value());
    if (fenced) {
      CHECK(machine.tree("a.fenced-1") == before);
      CHECK(machine.fs_.stat(machine.path("a"))->kind == families::FileKind::kFile);
    } else {
      CHECK(machine.tree("a") == before);
    }
  }
  CHECK(deaths > 50 / stride);
  if (stride == 1) CHECK(in_place > 3);
}

TEST_CASE("migrate: --abort removes a stage of its own and nothing else") {
  Machine machine;
  const std::vector<std::string> before = machine.tree();
  CHECK(machine.at_stage(MigrateAction::kAbort, "sqlite://b").says("no unfinished migration"));
  machine.steps_left_ = 3;
  REQUIRE(machine.migrate("local://a", "sqlite://b").code == ExitCode::kInterrupted);
  machine.steps_left_ = 1 << 30;
  const Told status = machine.at_stage(MigrateAction::kStatus, "sqlite://b");
  CHECK(status.says("phase     "));
  CHECK(status.says("from      local " + machine.path("a")));
  {
    const auto lock = machine.fs_.lock_directory(machine.path("b.qkmigrate"));
    REQUIRE_OK(lock);
    CHECK(machine.at_stage(MigrateAction::kStatus, "sqlite://b").says("a process is at work"));
    const Told refused = machine.at_stage(MigrateAction::kAbort, "sqlite://b");
    CHECK(refused.code == ExitCode::kCannotWrite);
    CHECK(refused.says("another migration works in"));
    const Told second = machine.migrate("local://a", "sqlite://b", resume);
    CHECK(second.code == ExitCode::kCannotWrite);
    CHECK(second.says("another migration works in"));
  }
  const Told aborted = machine.at_stage(MigrateAction::kAbort, "sqlite://b");
  CHECK(aborted.code == ExitCode::kOk);
  CHECK(machine.tree() == before);
}

TEST_CASE("migrate: a stage of another migration, or of nobody's, is left as it is") {
  Machine machine;
  const std::string stage = machine.path("b.qkmigrate");
  const auto refused_as = [&](const std::string& what) {
    const std::vector<std::string> before = machine.tree();
    for (const MigrateAction action :
         {MigrateAction::kMigrate, MigrateAction::kAbort, MigrateAction::kStatus}) {
      MigrateArguments arguments = machine.arguments("local://a", "sqlite://b");
      arguments.action = action;
      arguments.resume = action == MigrateAction::kMigrate;
      const Told told = machine.run(arguments);
      CHECK(told.code == ExitCode::kData);
      CHECK(told.says(what));
    }
    CHECK(machine.tree() == before);
    REQUIRE_OK(families::remove_tree(machine.fs_, stage));
  };
  REQUIRE_OK(machine.fs_.mkdir(stage));
  REQUIRE_OK(families::write_file(machine.fs_, stage + "/mine", "x"));
  refused_as("found \"mine\", expected manifest-0");
  REQUIRE_OK(machine.fs_.mkdir(stage));
  REQUIRE_OK(families::write_file(machine.fs_, stage + "/manifest-0", "x"));
  refused_as("manifest-0: no manifest slot");
  REQUIRE_OK(families::write_file(machine.fs_, stage, "x"));
  refused_as("found a file, expected a directory");
  REQUIRE_OK(families::make_directories(machine.fs_, stage + "/instance"));
  REQUIRE_OK(families::write_file(machine.fs_, stage + "/instance/db", "x"));
  refused_as("found an instance without a manifest");

  machine.steps_left_ = 3;
  REQUIRE(machine.migrate("local://a", "sqlite://b").code == ExitCode::kInterrupted);
  machine.steps_left_ = 1 << 30;
  machine.make("local", "other", 3);
  const std::vector<std::string> before = machine.tree();
  const auto other = [&](const std::string& from, const std::string& to, const std::string& group,
                         const std::string& found) {
    const Told told = machine.migrate(from, to, [&](MigrateArguments& a) {
      resume(a);
      a.group = group;
    });
    CHECK(told.code == ExitCode::kData);
    CHECK(told.says("the stage belongs to another migration: found " + found));
    CHECK(told.says("; expected "));
  };
  other("local://other", "sqlite://b", "g", "group g, peer 127.0.0.1:8300:0:0, local ");
  other("local://a", "leveldb://b", "g", "group g, ");
  other("local://a", "sqlite://b", "h", "group g, ");
  CHECK(machine.tree() == before);
}

TEST_CASE(
    "migrate: a source that changed under a stage is copied again, or the destination stale") {
  Machine machine;
  const auto append = [&] {
    families::OpenRequest request;
    request.fs = &machine.fs_;
    request.root = machine.path("a");
    const auto opened = families::open_family(machine.registry_, "local", request);
    REQUIRE_OK(opened);
    const int64_t next = (*opened)->log().last_index() + 1;
    REQUIRE_OK((*opened)->log().append(families::data_entries(next, next, 5)));
    REQUIRE_OK((*opened)->close());
  };
  const std::string first = machine.migrate("local://a", "sqlite://first").digest();
  // The call by which the copy moves to its place; how many there are depends on the log.
  const auto call_that_moves = [&]() -> int64_t {
    families::FaultFileSystem clean(&machine.fs_);
    REQUIRE(machine.migrate("local://a", "leveldb://b", nullptr, &clean).code == ExitCode::kOk);
    const std::vector<std::string> calls = clean.take_calls();
    const auto moved =
        std::find(calls.begin(), calls.end(),
                  cat("rename ", machine.path("b.qkmigrate/instance"), " ", machine.path("b")));
    REQUIRE(moved != calls.end());
    REQUIRE_OK(families::remove_tree(machine.fs_, machine.path("b")));
    return moved - calls.begin() + 1;
  };
  const auto dies_at = [&](int64_t n) {
    families::FaultFileSystem faults(&machine.fs_);
    families::Fault fault;
    fault.lasts = true;
    faults.fail_at(static_cast<uint64_t>(n), fault);
    machine.migrate("local://a", "leveldb://b", nullptr, &faults);
    append();
    return machine.migrate("local://a", "leveldb://b", resume);
  };

  const Told early = dies_at(call_that_moves() / 2);
  CHECK(early.code == ExitCode::kOk);
  CHECK_FALSE(early.says("the copy is made again"));
  CHECK(early.digest() != first);
  REQUIRE_OK(families::remove_tree(machine.fs_, machine.path("b")));

  const Told late = dies_at(call_that_moves());
  CHECK(late.code == ExitCode::kOk);
  CHECK(late.says("the copy is made again"));
  CHECK(late.digest() != early.digest());
  REQUIRE_OK(families::remove_tree(machine.fs_, machine.path("b")));

  const Told stale = dies_at(call_that_moves() + 1);
  CHECK(stale.code == ExitCode::kViolated);
  CHECK(stale.says("the source has changed since it was copied here: found state digest"));
  CHECK(machine.at_stage(MigrateAction::kAbort, "leveldb://b").says("is whole and stays"));
  const Told compared = machine.migrate("local://a", "leveldb://b", resume);
  CHECK(compared.code == ExitCode::kViolated);
  CHECK(compared.says("log: found "));
}

TEST_CASE("migrate: a source that changes meanwhile is noticed before anything is at its place") {
  Machine machine;
  const std::string file = machine.path("a/log/log_meta");
  const std::string bytes = families::read_file(machine.fs_, file, 100).value();
  const int when = GENERATE(0, 2, 4);
  int step = 0;
  machine.on_step_ = [&] {
    if (step++ == when) REQUIRE_OK(families::write_file(machine.fs_, file, bytes));
  };
  const Told told = machine.migrate("local://a", "sqlite://b", fence);
  machine.on_step_ = nullptr;
  CHECK(told.code == ExitCode::kNoInput);
  CHECK(told.says("changed meanwhile: found \"log/log_meta\""));
  CHECK_FALSE(families::exists(machine.fs_, machine.path("b")).value());
  CHECK(families::exists(machine.fs_, file).value());
  CHECK(machine.migrate("local://a", "sqlite://b", resume).code == ExitCode::kOk);
}

TEST_CASE("migrate: a copy that differs is not published, and the first difference named") {
  Machine machine;
  machine.make("local", "other", 12);
  // Stops when the copy is complete: another state is put in its place.
  for (int steps = 1;; ++steps) {
    REQUIRE(steps < 100);
    machine.steps_left_ = steps;
    REQUIRE(machine.migrate("local://a", "local://b").code == ExitCode::kInterrupted);
    machine.steps_left_ = 1 << 30;
    if (machine.at_stage(MigrateAction::kStatus, "local://b").says("BOOT: ")) break;
    machine.at_stage(MigrateAction::kAbort, "local://b");
  }
  const std::string log = machine.path("b.qkmigrate/instance/log");
  REQUIRE_OK(families::remove_tree(machine.fs_, log));
  REQUIRE_OK(machine.posix_.rename(machine.path("other/log"), log));
  const Told told = machine.migrate("local://a", "local://b", resume);
  CHECK(told.code == ExitCode::kViolated);
  CHECK(told.says("verify    log: 12 entries 1..12, "));
  CHECK(told.says("DIFFERS"));
  CHECK(told.says("verify    term: 7  equal"));
  CHECK(told.says("log: found 12 entries 1..12, digest "));
  CHECK_FALSE(families::exists(machine.fs_, machine.path("b")).value());
}

TEST_CASE("migrate: a fence takes the source's name, whole, and never a path that was used") {
  Machine machine;
  REQUIRE_OK(machine.fs_.mkdir(machine.path("a.fenced-1")));
  const std::vector<std::string> before = machine.tree("a");
  const Told told = machine.migrate("local://a", "sqlite://b", fence);
  CHECK(told.code == ExitCode::kOk);
  CHECK(told.says("mv " + machine.path("a.fenced-2")));
  CHECK(machine.tree("a.fenced-2") == before);
  // An older program, which makes the directories that it misses, cannot.
  families::OpenRequest request;
  request.fs = &machine.fs_;
  request.root = machine.path("a");
  request.create = true;
  CHECK_FALSE(families::open_family(machine.registry_, "local", request).ok());
  const Told again = machine.migrate("local://a", "leveldb://c", nullptr);
  CHECK(again.code == ExitCode::kNoInput);
  CHECK(again.says("the source is fenced: found a file, and its instance in "));
  const auto both = [](MigrateArguments& a) {
    resume(a);
    fence(a);
  };
  const Told compared = machine.migrate("local://a", "sqlite://b", both);
  CHECK(compared.code == ExitCode::kOk);
  CHECK(compared.says("is fenced; "));
  // A fence may come later than the copy, after both were compared once more.
  REQUIRE(machine.migrate("sqlite://b", "leveldb://d").code == ExitCode::kOk);
  const Told later = machine.migrate("sqlite://b", "leveldb://d", both);
  CHECK(later.code == ExitCode::kOk);
  CHECK(later.says("verify    log: 10 entries"));
  CHECK(later.says("the source is fenced"));
  CHECK(machine.fs_.stat(machine.path("b"))->kind == families::FileKind::kFile);
  CHECK(families::exists(machine.fs_, machine.path("b.fenced-1/db")).value());
  CHECK_FALSE(families::exists(machine.fs_, machine.path("d.qkmigrate")).value());
}

TEST_CASE("migrate: a fence that was cut short is finished, unless somebody was there since") {
  Machine machine;
  const std::string source = machine.path("a"), moved = machine.path("a.fenced-1");
  // Dies before the call that makes the file.
  families::FaultFileSystem clean(&machine.fs_);
  REQUIRE(machine.migrate("local://a", "sqlite://b", fence, &clean).code == ExitCode::kOk);
  const std::vector<std::string> calls = clean.take_calls();
  const auto call = std::find(calls.begin(), calls.end(), cat("rename ", source, " ", moved));
  REQUIRE(call != calls.end());
  REQUIRE_OK(families::remove_tree(machine.fs_, source));
  REQUIRE_OK(families::remove_tree(machine.fs_, machine.path("b")));
  REQUIRE_OK(machine.posix_.rename(moved, source));
  families::FaultFileSystem faults(&machine.fs_);
  families::Fault fault;
  fault.lasts = true;
  faults.fail_at(static_cast<uint64_t>(call - calls.begin()) + 2, fault);
  REQUIRE(machine.migrate("local://a", "sqlite://b", fence, &faults).code ==
          ExitCode::kCannotWrite);
  REQUIRE(families::exists(machine.fs_, moved).value());
  REQUIRE_FALSE(families::exists(machine.fs_, source).value());

  const Told status = machine.at_stage(MigrateAction::kStatus, "sqlite://b");
  CHECK(status.says("B: the destination is in its place, the source is being fenced"));
  const Told aborted = machine.at_stage(MigrateAction::kAbort, "sqlite://b");
  CHECK(aborted.code == ExitCode::kCannotWrite);
  CHECK(aborted.says("--resume finishes the fence"));
  SECTION("somebody's file") {
    REQUIRE_OK(families::write_file(machine.fs_, source, "mine"));
    const Told told = machine.migrate("local://a", "sqlite://b", resume);
    CHECK(told.code == ExitCode::kNoInput);
    CHECK(told.says("is a file that no fence made: expected "));
    CHECK(families::read_file(machine.fs_, source, 100).value() == "mine");
  }
  SECTION("the destination is gone") {
    REQUIRE_OK(families::remove_tree(machine.fs_, machine.path("b")));
    const Told told = machine.migrate("local://a", "sqlite://b", resume);
    CHECK(told.code == ExitCode::kViolated);
    CHECK(told.says("the destination is not in its place any more: expected instance "));
    CHECK(families::exists(machine.fs_, moved).value());
  }
  SECTION("both gone") {
    REQUIRE_OK(machine.posix_.rename(moved, machine.path("elsewhere")));
    const Told told = machine.migrate("local://a", "sqlite://b", resume);
    CHECK(told.code == ExitCode::kNoInput);
    CHECK(told.says("found neither " + source));
    CHECK_FALSE(families::exists(machine.fs_, source).value());
  }
  SECTION("nobody") {
    REQUIRE_OK(families::write_file(machine.fs_, source, "fenced at gen"));
    CHECK(machine.migrate("local://a", "sqlite://b", resume).says("the source is fenced"));
    CHECK(machine.fs_.stat(source)->kind == families::FileKind::kFile);
  }
}

TEST_CASE("migrate: an empty destination directory is taken, parts may lie anywhere") {
  Machine machine;
  REQUIRE_OK(machine.fs_.mkdir(machine.path("b")));
  CHECK(machine.migrate("local://a", "sqlite://b").code == ExitCode::kOk);
  REQUIRE_OK(machine.fs_.mkdir(machine.path("p")));
  REQUIRE_OK(machine.posix_.rename(machine.path("a/log"), machine.path("p/l")));
  const auto split = [&](MigrateArguments& a) {
    a.from.clear();
    a.from_uris = {"local://p/l", "local://a/raft_meta", "local://a/snapshot"};
  };
  const Told told = machine.migrate("", "local://c", split);
  CHECK(told.code == ExitCode::kOk);
  const Told named = machine.migrate("", "", [&](MigrateArguments& a) {
    split(a);
    a.to.clear();
    a.to_uris = {"local://d/l", "local://d/m", "local://d/s"};
  });
  CHECK(named.code == ExitCode::kOk);
  CHECK(families::exists(machine.fs_, machine.path("d/l/log_meta")).value());
  CHECK(named.digest() == told.digest());
  const Told refused = machine.migrate("", "local://e", [&](MigrateArguments& a) {
    split(a);
    fence(a);
  });
  CHECK(refused.code == ExitCode::kCannotWrite);
  CHECK(refused.says("one fence must take all three"));
  CHECK(machine
            .migrate("local://c", "",
                     [&](MigrateArguments& a) {
                       a.to.clear();
                       a.to_uris = {"local://x/l", "local://y/m", "local://z/s"};
                     })
            .code == ExitCode::kUsage);
}

}  // namespace
}  // namespace qk::cli
