// The litmus programs at P1 and P2x: everything that a power cut may leave when all calls have returned,
// written from the rules at the head of crash_order.h. What is listed must occur, anything else must not.
// P2 has its own programs in litmus_test.cc; tools/calibrate holds all levels against real file systems.
#include "sim/disk/litmus_programs.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "families/base/strings.h"
#include "sim/disk/crash_states.h"

namespace qk::sim {
namespace {

using Journal = JournalOptions::Kind;

const LitmusProgram& litmus_program(std::string_view name) {
  const auto programs = litmus_programs();
  const auto it =
      std::find_if(programs.begin(), programs.end(), [&](const auto& p) { return p.name == name; });
  REQUIRE(it != programs.end());
  return *it;
}

LitmusOutcomes left_by(std::string_view name, CrashLevel level,
                       const JournalOptions& journal = {}) {
  return allowed_outcomes(litmus_program(name), level, journal).back();
}

// ext4 as it is mounted by default.
const std::map<std::string_view, LitmusOutcomes>& on_ext4() {
  static const std::map<std::string_view, LitmusOutcomes> table = {
      {"append", {"f=", "f=2.", "f=2X"}},
      {"append-page", {"f=", "f=8.", "f=8X"}},
      {"append-two-pages", {"f=", "f=8.", "f=8X", "f=16.", "f=8X8.", "f=8.8X", "f=16X"}},
      {"append-twice", {"f=", "f=.", "f=X", "f=2.", "f=X.", "f=XY"}},
      {"append-page-twice", {"f=", "f=8.", "f=8X", "f=16.", "f=8X8.", "f=8.8Y", "f=8X8Y"}},
      {"append-in-block", {"f=A", "f=A.", "f=AX"}},
      {"append-in-block-twice", {"f=A", "f=A.", "f=AX", "f=A2.", "f=AX.", "f=AXY"}},
      {"append-across-blocks", {"f=7A", "f=7A.", "f=7AX", "f=7A2.", "f=7AX.", "f=7A.X", "f=7A2X"}},
      {"append-behind-gap", {"f=", "f=8.", "f=16.", "f=17.", "f=16.X"}},
      {"append-fsync", {"f=AX"}},
      {"append-fdatasync", {"f=AX"}},
      {"append-fdatasync-append", {"f=8X", "f=8X8.", "f=8X8Y"}},
      {"append-two-files",
       {"a= b=", "a= b=.", "a= b=Y", "a=. b=", "a=. b=.", "a=. b=Y", "a=X b=", "a=X b=.",
        "a=X b=Y"}},
      {"overwrite", {"f=3A", "f=3B"}},
      {"overwrite-two-pages", {"f=16A", "f=8A8B", "f=8B8A", "f=16B"}},
      {"overwrite-twice", {"f=8A", "f=8B", "f=8C"}},
      {"overwrite-two-files", {"a=A b=B", "a=X b=B", "a=A b=Y", "a=X b=Y"}},
      {"overwrite-fdatasync", {"f=2B"}},
      {"overwrite-rename-other", {"f=8A x=", "f=8B x=", "f=8A y=", "f=8B y="}},
      {"sync-covers-earlier-writes", {"f=XA", "f=XY"}},
      {"write-in-hole", {"f=A7.X7."}},
      {"create", {"", "f="}},
      {"create-two", {"", "a=", "a= b="}},
      {"create-write", {"", "f=", "f=.", "f=X"}},
      {"create-write-fsync", {"f=X"}},
      {"create-write-fdatasync", {"f=X"}},
      {"create-write-fsyncdir", {"f=", "f=.", "f=X"}},
      {"create-write-fsync-fsyncdir", {"f=X"}},
      {"create-then-fsync-other", {"a= b=BX"}},
      {"fsync-of-older-change", {"b=BX", "a= b=BX"}},
      {"unlink-fsync-clean", {"a=A b=B", "b=B"}},
      {"unlink-overwrite-fsync", {"b=X"}},
      {"unlink-overwrite-fdatasync", {"a=A b=X", "b=X"}},
      {"unlink-append-fdatasync", {"b=BX"}},
      {"unlink-fsyncdir", {"b=B"}},
      {"unlink-recreate-fsync", {"f=N"}},
      {"link-unlink", {"a=A", "a=A b=A", "b=A"}},
      {"link-fsync", {"a=A b=A"}},
      {"rmdir", {"d/ d/x=X", "d/", ""}},
      {"replace", {"f=O", "f=O t=", "f=O t=.", "f=O t=N", "f=.", "f=N"}},
      {"replace-page", {"f=8O", "f=8O t=", "f=8O t=8.", "f=8O t=8N", "f=8.", "f=8N"}},
      {"replace-synced", {"f=O t=N", "f=N"}},
      {"replace-synced-fsyncdir", {"f=N"}},
      {"replace-fsync-later", {"f=N"}},
      {"rename-fsync", {"b=A"}},
      {"rename-twice", {"a=A", "b=A", "c=A"}},
      {"rename-directory-twice", {"a/", "b/", "c/"}},
      {"rename-over-recreate", {"a=A b=B", "b=A", "a= b=A"}},
      {"rename-across", {"p/ p/a=A q/", "p/ q/ q/a=A"}},
      {"rename-across-fsync-source", {"p/ q/ q/a=A"}},
      {"rename-across-fsync-target", {"p/ q/ q/a=A"}},
      {"create-rename-across", {"p/ q/ q/a="}},
      {"mkdir-subtree", {"d/ d/f=X"}},
      {"mkdir-subtree-fsyncdir", {"d/ d/f=X"}},
      {"move-into-new-directory", {"d/ d/a=A"}},
      {"publish-directory", {"t/ t/f=X", "u/ u/f=X"}},
      {"publish-directory-fsyncdir", {"u/ u/f=X"}},
      {"truncate", {"f=AB", "f=A.", "f=A"}},
      {"truncate-regrow", {"f=AB", "f=AC", "f=A.", "f=A"}},
      {"truncate-fsync-regrow", {"f=A", "f=A.", "f=AC"}},
      {"truncate-all-rewrite", {"f=8O", "f=", "f=8.", "f=8N"}},
      {"append-truncate", {"f=", "f=8.", "f=8X", "f=16.", "f=8X8.", "f=8.8X", "f=16X"}},
      {"extend", {"f=A", "f=A15."}},
  };
  return table;
}

TEST_CASE("P1: what each litmus program leaves on ext4", "[litmus]") {
  CHECK(on_ext4().size() == litmus_programs().size());
  for (const auto& [name, outcomes] : on_ext4()) {
    INFO(name);
    CHECK(left_by(name, CrashLevel::kP1) == outcomes);
  }
}

TEST_CASE("P1: what other file systems and mount options leave", "[litmus]") {
  struct Row {
    JournalOptions journal;
    std::string_view name;
    LitmusOutcomes outcomes;
  };
  const JournalOptions noauto = {.auto_da_alloc = false};
  const JournalOptions ordered = {.ordered_growth = true};
  const JournalOptions always = {.fdatasync_commits = true};
  const JournalOptions xfs = {.kind = Journal::kXfs};
  const JournalOptions btrfs = {.kind = Journal::kBtrfs};
  const Row rows[] = {
      {noauto, "replace", {"f=O", "f=O t=", "f=O t=.", "f=O t=N", "f=", "f=.", "f=N"}},
      {ordered, "append", {"f=", "f=2X"}},
      {ordered, "append-in-block", {"f=A", "f=A.", "f=AX"}},
      {ordered, "append-across-blocks", {"f=7A", "f=7A.", "f=7AX", "f=7A.X", "f=7A2X"}},
      {ordered, "append-page-twice", {"f=", "f=8X", "f=8X8Y"}},
      {ordered, "replace", {"f=O", "f=O t=", "f=O t=N", "f=N"}},
      {always, "unlink-overwrite-fdatasync", {"b=X"}},
      {xfs, "append", {"f=", "f=2X"}},
      {xfs, "append-in-block", {"f=A", "f=AX"}},
      {xfs, "append-two-pages", {"f=", "f=8X", "f=16X"}},
      {xfs, "append-across-blocks", {"f=7A", "f=7AX", "f=7A2X"}},
      {xfs, "replace", {"f=O", "f=O t=", "f=O t=N", "f=", "f=N"}},
      {xfs, "unlink-overwrite-fsync", {"b=X"}},
      {xfs, "fsync-of-older-change", {"b=BX", "a= b=BX"}},
      {btrfs, "append-in-block", {"f=A", "f=AX"}},
      {btrfs, "create-write-fsync", {"f=X"}},
      {btrfs, "create-then-fsync-other", {"b=BX", "a= b=BX"}},
      {btrfs, "unlink-overwrite-fsync", {"a=A b=X", "b=X"}},
      {btrfs, "unlink-fsyncdir", {"b=B"}},
      {btrfs, "mkdir-subtree", {"d/ d/f=X"}},
      // The one thing that is not atomic: a log has the new name and not the end of the old one.
      {btrfs, "rename-across", {"p/ p/a=A q/", "p/ q/ q/a=A"}},
      {btrfs, "rename-across-fsync-source", {"p/ q/ q/a=A"}},
      {btrfs, "rename-across-fsync-target", {"p/ q/ q/a=A", "p/ p/a=A q/ q/a=A"}},
  };
  for (const Row& row : rows) {
    INFO(row.name << ", row " << &row - rows);
    CHECK(left_by(row.name, CrashLevel::kP1, row.journal) == row.outcomes);
  }
}

TEST_CASE("P1: a sync that has not returned may have logged its file alone, on btrfs", "[litmus]") {
  const auto during = [](const JournalOptions& journal) {
    return allowed_outcomes(litmus_program("create-then-fsync-other"), CrashLevel::kP1, journal)[2];
  };
  CHECK(during({.kind = Journal::kBtrfs}).contains("b=BX"));
  CHECK(!during({}).contains("b=BX"));
}

TEST_CASE("P2x: either entry of a rename may be there alone", "[litmus]") {
  const std::map<std::string_view, LitmusOutcomes> table = {
      {"rename-across", {"p/ p/a=A q/", "p/ q/ q/a=A", "p/ q/", "p/ p/a=A q/ q/a=A"}},
      // A sync of one directory settles its own entry.
      {"rename-across-fsync-source", {"p/ q/ q/a=A", "p/ q/"}},
      {"rename-across-fsync-target", {"p/ q/ q/a=A", "p/ p/a=A q/ q/a=A"}},
      {"rename-fsync", {"a=A", "b=A", "a=A b=A", ""}},
      {"replace-synced-fsyncdir", {"f=N"}},
      {"rename-directory-twice", {"a/", "b/", "c/", ""}},
  };
  for (const auto& [name, outcomes] : table) {
    INFO(name);
    CHECK(left_by(name, CrashLevel::kP2x) == outcomes);
  }
}

TEST_CASE("what a stricter level allows, a weaker one allows too", "[litmus]") {
  const JournalOptions journals[] = {
      {},
      {.auto_da_alloc = false},
      {.ordered_growth = true},
      {.kind = Journal::kXfs},
      {.kind = Journal::kBtrfs},
  };
  const auto within = [](const std::vector<LitmusOutcomes>& some,
                         const std::vector<LitmusOutcomes>& all) {
    REQUIRE(some.size() == all.size());
    for (size_t calls = 0; calls < some.size(); ++calls) {
      for (const std::string& outcome : some[calls]) {
        INFO("after " << calls << " calls: " << outcome);
        CHECK(all[calls].contains(outcome));
      }
    }
  };
  for (const LitmusProgram& program : litmus_programs()) {
    INFO(program.name);
    const auto p2 = allowed_outcomes(program, CrashLevel::kP2, {});
    const auto p2x = allowed_outcomes(program, CrashLevel::kP2x, {});
    within(p2, p2x);
    for (const JournalOptions& journal : journals) {
      const bool tears = journal.kind == Journal::kBtrfs;
      within(allowed_outcomes(program, CrashLevel::kP1, journal), tears ? p2x : p2);
    }
    within(allowed_outcomes(program, CrashLevel::kP1, journals[2]),
           allowed_outcomes(program, CrashLevel::kP1, journals[0]));
    within(allowed_outcomes(program, CrashLevel::kP1, journals[0]),
           allowed_outcomes(program, CrashLevel::kP1, journals[1]));
  }
}

// What exploring tries is of the level, and single programs have all of it.
TEST_CASE("the states that exploring lists are those of each level", "[litmus]") {
  const std::pair<CrashLevel, JournalOptions> levels[] = {
      {CrashLevel::kP1, {}},
      {CrashLevel::kP1, {.kind = Journal::kXfs}},
      {CrashLevel::kP1, {.kind = Journal::kBtrfs}},
      {CrashLevel::kP2, {}},
      {CrashLevel::kP2x, {}},
  };
  for (const LitmusProgram& program : litmus_programs()) {
    for (const auto& [level, journal] : levels) {
      INFO(program.name << " at " << to_string(level));
      const LitmusRun run = run_litmus(program, journal);
      const Nanos end = run.returned.back();
      LitmusOutcomes listed;
      for (const CrashState& state :
           crash_states(run.disk, end, level, LastOperation::kAny, {.omit = 9})) {
        SimDisk crashed = run.disk.fork();
        Exactly choice(&state);
        crashed.crash(level, end, choice);
        listed.insert(litmus_outcome(*crashed.mount(), "").value());
      }
      const LitmusOutcomes allowed = allowed_outcomes(program, level, journal).back();
      CHECK(std::includes(allowed.begin(), allowed.end(), listed.begin(), listed.end()));
      const bool whole = program.name == "rename-across" || program.name == "truncate" ||
                         program.name == "append-across-blocks" || program.name == "replace" ||
                         program.name == "rename-across-fsync-target";
      if (whole && level != CrashLevel::kP2 && level != CrashLevel::kP2x) CHECK(listed == allowed);
      if (whole && program.name.starts_with("rename")) CHECK(listed == allowed);
    }
  }
}

}  // namespace
}  // namespace qk::sim
