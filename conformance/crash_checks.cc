// CRASH: the machine stops at each disk operation of each contract operation, of creating, opening
// and closing an instance, and of the engine's background work (crash_explorer.h). Each check is
// one way of losing; what they explored is counted.
#include <algorithm>

#include "conformance/crash_explorer.h"
#include "conformance/groups.h"
#include "conformance/scenes.h"
#include "families/fs/file_util.h"

namespace qk::sim::conformance {
namespace {

using families::Operation;
using families::Partial;

// The default, and small units, whose borders the scenes cross.
std::vector<families::FamilyOptions> option_sets(InstanceContext& c) {
  std::vector<families::FamilyOptions> sets = {{}};
  const families::FamilyOptions small = small_units(c.family());
  if (!small.empty() && c.role() == Role::kPlain) sets.push_back(small);
  return sets;
}

CrashExplorer explorer_of(const Bases& bases, const Scene& scene) {
  return CrashExplorer(&bases.of(scene), scene.change);
}

void needs_durability(InstanceContext& c) {
  if (c.is_volatile()) {
    c.not_applicable("volatile: nothing survives a crash (A-11); see volatile_is_absent");
  }
}

void explore_changes(InstanceContext& c, const std::vector<Scene>& scenes, const LossSource& losses,
                     Aftermath aftermath = {}) {
  needs_durability(c);
  for (const families::FamilyOptions& options : option_sets(c)) {
    const Bases bases(c, options);
    for (const Scene& scene : scenes) {
      explorer_of(bases, scene).crash_inside(Stage::kChange, losses, aftermath);
    }
  }
}

// Dual roles write twice as much, and to a journal: fewer cuts, all operations.
void kill_at_each_durable_step(InstanceContext& c) {
  explore_changes(c, all_scenes(), c.role() == Role::kPlain ? process_deaths : few_losses);
}

void unsynced_lost(InstanceContext& c) { explore_changes(c, all_scenes(), all_or_nothing); }

void writes_reordered(InstanceContext& c) { explore_changes(c, all_scenes(), reorderings); }

void write_torn(InstanceContext& c) { explore_changes(c, all_scenes(), tears); }

void second_crash_in_recovery(InstanceContext& c) {
  Aftermath nested;
  nested.crash_recovery = true;
  explore_changes(c, all_scenes(), all_or_nothing, nested);
}

void p0_then_power_cut(InstanceContext& c) {
  Aftermath further;
  further.go_on = true;
  explore_changes(c, few_scenes(), process_deaths, further);
}

void acknowledged_is_never_lost(InstanceContext& c) {
  needs_durability(c);
  for (const families::FamilyOptions& options : option_sets(c)) {
    const Bases bases(c, options);
    for (const Scene& scene : all_scenes()) explorer_of(bases, scene).crash_afterwards(all_losses);
  }
}

// A batch of which later parts reached the disk and earlier ones did not: recovery gave it up, and
// what is written in its place must not bring the later parts back.
void stale_batch_in_reused_file(InstanceContext& c) {
  needs_durability(c);
  Aftermath filled;
  filled.fill_gap = true;
  const Bases bases(c, {});
  // Entries of more than a sector, so that a lost one leaves whole entries after it.
  for (const Scene& scene : {Scene{true, append(entries(1, 6, 2, 700))},
                             Scene{false, append(entries(21, 26, 4, 700))}}) {
    CrashExplorer explorer = explorer_of(bases, scene);
    explorer.crash_inside(Stage::kChange, holes, filled);
    explorer.crash_inside(Stage::kChange, tears, filled);
  }
}

// A declaration wider than the truth would hide a lost write: what a family declares must happen.
void outcome_in_partials(InstanceContext& c) {
  needs_durability(c);
  for (const Operation operation : {Operation::kTruncatePrefix, Operation::kTruncateSuffix,
                                    Operation::kReset, Operation::kSaveMeta, Operation::kPublish}) {
    c.expect(c.family().partials(operation) == Partial::kNone,
             cat("partials(", to_string(operation), "): found a set, expected none"));
  }
  uint64_t partial = 0;
  for (const families::FamilyOptions& options : option_sets(c)) {
    const Bases bases(c, options);
    for (const Scene& scene : append_scenes()) {
      CrashExplorer explorer = explorer_of(bases, scene);
      explorer.crash_inside(Stage::kChange, all_losses);
      partial += explorer.partial();
    }
  }
  const bool declared = c.family().partials(Operation::kAppend) == Partial::kBatchPrefix;
  c.expect_equal("a part of a batch was left by some crash", partial > 0, declared);
}

// Where an engine reclaims space: what a truncation or a newer snapshot made obsolete, and its own
// background work and closing.
void crash_in_purge(InstanceContext& c) {
  needs_durability(c);
  for (const families::FamilyOptions& options : option_sets(c)) {
    const Bases bases(c, options);
    for (const Scene& scene : few_scenes()) {
      CrashExplorer explorer = explorer_of(bases, scene);
      for (const Stage stage : {Stage::kBackground, Stage::kClose}) {
        explorer.crash_inside(stage, all_losses);
      }
      explorer.crash_inside(Stage::kOpen, all_or_nothing);
    }
  }
}

// A history long enough that logs are cut, checkpointed and merged while it runs.
std::vector<Change> long_history() {
  std::vector<Change> history;
  Model model;
  const auto add = [&](Change change) {
    QK_CHECK(model.apply(change) == Model::Verdict::kApplied);
    history.push_back(std::move(change));
  };
  for (int64_t round = 0; round < 5; ++round) {
    const int64_t term = round + 1;
    const int64_t last = model.state().last();
    add(save_meta({term, std::string(kPeer)}));
    add(append(entries(last + 1, last + 8, term, 120)));
    add(append(entries(last + 9, last + 9, term, 3000)));
    add(publish(snapshot(last + 4, term)));
    add(truncate_prefix(last + 3));
    add(truncate_suffix(last + 7));
  }
  return history;
}

void crash_in_rewrite(InstanceContext& c) {
  needs_durability(c);
  const auto machine = c.fork();
  machine->set_options(small_units(c.family()));
  machine->begin();
  for (const Change& change : long_history()) {
    machine->close();
    CrashExplorer explorer(machine.get(), change);
    for (const Stage stage : {Stage::kChange, Stage::kBackground, Stage::kClose}) {
      explorer.crash_inside(stage, all_or_nothing);
    }
    machine->expect_ok("open", machine->open());
    machine->apply(change);
  }
}

// Options that say how to write (journal modes, checksums): each in turn, and the defaults by name.
void crash_under_each_option(InstanceContext& c) {
  needs_durability(c);
  std::vector<families::FamilyOptions> sets = listed_options(c.family());
  families::FamilyOptions defaults;
  for (const families::OptionDescriptor& option : c.family().options) {
    defaults[option.name] = option.default_value;
  }
  sets.push_back(std::move(defaults));
  bool any = false;
  for (const families::FamilyOptions& options : sets) {
    if (!families::check_synchronous(c.family(), options).ok()) continue;
    any = true;
    const Bases bases(c, options);
    for (const Scene& scene : few_scenes()) {
      CrashExplorer explorer = explorer_of(bases, scene);
      explorer.crash_inside(Stage::kChange, few_losses);
      explorer.crash_afterwards(few_losses);
    }
  }
  c.expect(any, "every option is declared weak, the defaults too");
}

// Options under which acknowledged state may be lost say so, are refused where that matters, and
// lose nothing as long as the machine runs. After a power cut the family may refuse to open, but
// what it shows was written.
void weak_options_are_declared(InstanceContext& c) {
  needs_durability(c);
  bool any = false;
  for (const families::FamilyOptions& options : listed_options(c.family())) {
    const absl::Status synchronous = families::check_synchronous(c.family(), options);
    if (synchronous.ok()) continue;
    any = true;
    c.expect_code("a weak option", synchronous, absl::StatusCode::kFailedPrecondition);
    const auto machine = c.fork();
    machine->set_options(options);
    machine->begin(prepared_history());
    machine->reopen();
    for (const Scene& scene : all_scenes()) {
      if (scene.fresh) continue;
      machine->close();
      const auto weak = machine->fork();
      weak->expect_ok("open", weak->open());
      weak->apply(scene.change);
      for (const Loss& loss : all_losses(8, c.seed())) {
        const auto crashed = weak->fork();
        const auto choice = loss.choice();
        crashed->crash(loss.level, *choice);
        c.count("weak images");
        if (!crashed->open().ok()) continue;
        for (const families::LogEntry& found :
             crashed->expect_value("read the log", read_log(crashed->log()))) {
          const bool prepared = found == entry(found.index, 3, 40);
          const bool appended = std::find(scene.change.entries.begin(), scene.change.entries.end(),
                                          found) != scene.change.entries.end();
          crashed->expect(prepared || appended,
                          cat(describe(scene.change), ", ", loss.name, ": entry ", found.index,
                              ": found one that was never written"));
        }
      }
      machine->expect_ok("open", machine->open());
    }
  }
  if (!any) c.not_applicable("no option under which acknowledged state may be lost");
}

// What was written under such options and is there when a process that asks for durability opens
// it, stays: serving it makes it durable (ora.L10).
void durable_after_weak(InstanceContext& c) {
  needs_durability(c);
  bool any = false;
  for (const families::FamilyOptions& options : listed_options(c.family())) {
    if (families::check_synchronous(c.family(), options).ok()) continue;
    any = true;
    for (const Scene& scene : all_scenes()) {
      const auto machine = c.fork();
      machine->set_options(options);
      machine->begin(scene.fresh ? std::vector<Change>{} : prepared_history());
      // The root's own name is older than what it holds.
      machine->expect_ok("sync", machine->fs().sync_dir(families::parent_path(machine->root()),
                                                        families::SyncKind::kFull));
      machine->apply(scene.change);
      const auto choice = all_or_nothing(0, 0).back().choice();
      machine->crash(CrashLevel::kP0, *choice);
      machine->set_options({});
      machine->expect_ok("open with the defaults", machine->open());
      machine->expect_state();
      crash_and_open(*machine, all_or_nothing(0, 0).front());
      machine->expect_state();
    }
  }
  if (!any) c.not_applicable("no option under which acknowledged state may be lost");
}

// Absent or complete, never damaged; and it can be made again.
void crash_in_creation(InstanceContext& c) {
  needs_durability(c);
  for (const families::FamilyOptions& options : option_sets(c)) {
    uint64_t operations = 0;
    {
      const auto machine = c.fork();
      const uint64_t first = machine->disk()->operation_count();
      machine->set_options(options);
      machine->begin();
      operations = machine->disk()->operation_count() - first;
    }
    for (uint64_t i = 1; i <= operations; ++i) {
      if (!c.tries_point(i)) continue;
      c.count("crash points");
      const auto machine = c.fork();
      machine->set_options(options);
      machine->disk()->pin_crash_at_operation(machine->disk()->operation_count() + i);
      machine->begin();
      const auto stopped = machine->fork();
      for (const Loss& loss : all_losses(8, c.seed())) {
        const auto crashed = stopped->fork();
        const auto choice = loss.choice();
        const CrashReport report = crashed->crash(loss.level, *choice);
        c.count("images");
        const std::string where = cat("creation, disk operation ", i, ", ", loss.name, ": ");
        const absl::Status found = crashed->open();
        c.expect(
            found.ok() || absl::IsNotFound(found),
            cat(where, report.text, ": found ", found.ToString(), ", expected OK or NotFound"));
        if (found.ok()) {
          crashed->expect_state();
          crashed->close();
        }
        crashed->begin();
        crash_and_open(*crashed, all_or_nothing(0, 0).front());
        crashed->expect_state();
      }
    }
  }
}

void volatile_is_absent(InstanceContext& c) {
  if (!c.is_volatile()) c.not_applicable("durable");
  c.begin(prepared_history());
  for (const Loss& loss : few_losses(0, c.seed())) {
    c.count("images");
    crash_and_expect_absent(c, loss);
  }
}

}  // namespace

std::vector<Check> crash_checks() {
  const std::vector<Role> alone = {Role::kPlain, Role::kImported};
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> ids,
                       std::function<void(InstanceContext&)> run, std::vector<Role> roles) {
    checks.push_back(instance_check("CRASH", std::move(name), std::move(ids), std::move(run))
                         .on(kSimulatedOnly)
                         .in(std::move(roles)));
  };
  add("kill_at_each_durable_step", {"SB-25", "SB-31", "SB-34", "SB-35"}, kill_at_each_durable_step,
      kAllRoles);
  add("unsynced_lost", {"SB-25", "SB-31", "SB-35"}, unsynced_lost, kAllRoles);
  add("writes_reordered", {"SB-25", "SB-35"}, writes_reordered, kPlainOnly);
  add("write_torn", {"SB-25", "SB-35"}, write_torn, kPlainOnly);
  add("stale_batch_in_reused_file", {"SB-25", "SB-35"}, stale_batch_in_reused_file, kPlainOnly);
  add("outcome_in_partials", {"SB-25", "SB-35"}, outcome_in_partials, kPlainOnly);
  add("acknowledged_is_never_lost", {"SB-25", "SB-35"}, acknowledged_is_never_lost, alone);
  add("second_crash_in_recovery", {"SB-25"}, second_crash_in_recovery, kPlainOnly);
  add("p0_then_power_cut", {"SB-25", "SB-35"}, p0_then_power_cut, alone);
  add("crash_in_purge", {"SB-25", "SB-34"}, crash_in_purge, kPlainOnly);
  add("crash_in_rewrite", {"SB-25", "SB-27"}, crash_in_rewrite, kPlainOnly);
  add("crash_under_each_option", {"SB-25", "SB-27"}, crash_under_each_option, kPlainOnly);
  add("crash_in_creation", {"SB-23", "SB-25"}, crash_in_creation, kPlainOnly);
  add("weak_options_are_declared", {"SB-35"}, weak_options_are_declared, kPlainOnly);
  add("durable_after_weak", {"SB-25", "RM-3"}, durable_after_weak, kPlainOnly);
  add("volatile_is_absent", {"SB-25"}, volatile_is_absent, kAllRoles);
  return checks;
}

}  // namespace qk::sim::conformance
