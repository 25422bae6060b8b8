// LIFE: long histories. Random changes with crashes in between against the model, families that
// follow each other, and what is left of the old one at the end.
#include <algorithm>
#include <array>

#include "conformance/crash_explorer.h"
#include "conformance/dual_stack.h"
#include "conformance/groups.h"
#include "conformance/history.h"
#include "conformance/migrating_node.h"
#include "families/fs/file_util.h"

namespace qk::sim::conformance {
namespace {

using families::Family;
using families::Outcome;
using migration::Phase;
using enum PairContext::Side;

// After a crash inside `change` the instance holds one of the states that it may leave.
void expect_explained(InstanceContext& c, std::string_view what, const Change& change) {
  // A pair has completed or undone it when it is open again.
  const families::Partial partial =
      c.dual() ? families::Partial::kNone : c.family().partials(change.operation);
  const std::vector<State> allowed = c.model().after_crash(change, partial);
  const State found = c.state();
  c.expect(std::find(allowed.begin(), allowed.end(), found) != allowed.end(),
           cat(what, ": found ", describe(found), "; ", first_difference(found, allowed.front()),
               " before it; ", first_difference(found, allowed.back()), " after it"));
  c.adopt(found);
  c.expect_state();
}

void random_history_with_faults_against_model(InstanceContext& c) {
  if (c.is_volatile()) c.not_applicable("nothing survives a crash");
  constexpr int kChanges = 30;
  c.set_options(small_units(c.family()));
  c.begin(full_history());
  RandomStream random = c.random("life");
  int crashes = 0;
  // A change of few disk operations may miss every pin; then it takes longer.
  for (int i = 0; i < kChanges || crashes == 0; ++i) {
    c.expect(i < 10 * kChanges, cat("crashes: found none in ", i, " changes"));
    const Change change = random_change(random, c.model().state());
    if (random.below(3) != 0) {
      c.apply(change);
      if (random.below(8) == 0) c.reopen();
      continue;
    }
    c.disk()->pin_crash_at_operation(c.disk()->operation_count() + 1 + random.below(10));
    const Outcome outcome = c.try_apply(change);
    if (!c.disk()->pinned_crash()) {
      c.disk()->clear_pin();
      c.expect_ok(describe(change), outcome);
      Model model = c.model();
      model.apply(change);
      c.adopt(model.state());
      c.settle();
      continue;
    }
    ++crashes;
    Sampled choice(RandomStream(random.next(), "choice"));
    const CrashReport report =
        c.crash(random.below(2) == 0 ? CrashLevel::kP0 : CrashLevel::kP2, choice);
    const std::string what = cat(describe(change), ", ", report.text);
    const absl::Status opened = c.open();
    // Declared: some images after a power cut that left garbage ask for a new instance.
    if (report.level == CrashLevel::kP2 && report.torn > 0 &&
        is_declared_refusal(c.family(), change.operation, opened)) {
      return c.count("refused");
    }
    c.expect_ok(what, opened);
    expect_explained(c, what, change);
  }
  c.reopen();
}

// The state goes from family to family and back and on: image, dual write, other roles, and the old
// one is closed for good.
void a_to_b_to_a_to_b(PairContext& c) {
  constexpr size_t kLegs = 3;
  RandomStream random = c.random("legs");
  Model model(state_after(full_history()));
  std::unique_ptr<Family> serving = c.expect_value(
      "make A",
      make_instance(c.registry(), c.fs(), c.descriptor(kA).name, c.path("leg-0"), full_history()));
  c.settle();
  for (size_t leg = 1; leg <= kLegs; ++leg) {
    const auto& from = c.descriptor(leg % 2 == 1 ? kA : kB);
    const auto& to = c.descriptor(leg % 2 == 1 ? kB : kA);
    const std::string root = c.path(cat("leg-", leg));
    const std::string image = c.expect_value("export", export_image(*serving, from, leg));
    c.expect_ok(cat("import of leg ", leg),
                import_image(import_request(c.registry(), c.fs(), to.name, root), image));
    auto next = c.expect_value("open", open_imported(c.registry(), c.fs(), to.name, root));
    {
      auto stack =
          c.expect_value("dual write", DualStack::open(&c.fs(), c.path(cat("migration-", leg)),
                                                       {serving.get(), cat(leg, "-old")},
                                                       {next.get(), cat(leg, "-new")}));
      for (int i = 0; i < 6; ++i) {
        if (i == 3) stack->swap_roles();
        const Change change = random_change(random, model.state());
        auto mutation = c.expect_value(describe(change), to_mutation(stack->driver(), change));
        c.expect_ok(describe(change), stack->driver().apply(std::move(mutation)));
        model.apply(change);
        c.settle();
        for (Family* family : {serving.get(), next.get()}) {
          c.expect_same_state(cat("leg ", leg), c.expect_value("read", read_state(*family)),
                              model.state());
        }
      }
    }
    c.expect_ok("close the old one", close_instance(std::move(serving)));
    serving = std::move(next);
  }
  c.expect_ok("close", close_instance(std::move(serving)));
  c.settle();
  const auto last = c.expect_value(
      "open",
      open_imported(c.registry(), c.fs(), c.descriptor(kB).name, c.path(cat("leg-", kLegs))));
  c.expect_same_state("at the end", c.expect_value("read", read_state(*last)), model.state());
}

void memory_as_source_declared_volatile(PairContext& c) {
  if (!c.any_volatile()) c.not_applicable("no side is volatile");
  MigratingNode node(&c);
  node.begin(full_history());
  migration::MigrationRequest request = node.request();
  request.accept_weak_durability = false;
  c.expect_code("an undeclared volatile side", node.controller().request_start(request),
                absl::StatusCode::kFailedPrecondition);
  c.expect(node.phase() == Phase::kIdle, "a refused migration: found another phase than idle");
  node.advance_to(Phase::kAccepted);
  node.restart();
}

// Acceptance leaves the old family fenced, retirement deletes it and leaves the fence; the new one
// goes on alone, and migrates back.
void retire_and_gc(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  node.advance_to(Phase::kAccepted);
  node.append_some(1);
  const std::string fenced = cat(node.initial_root(), ".fenced-1");
  c.expect(c.expect_value("look at the old root", c.fs().stat(node.initial_root())).kind ==
               families::FileKind::kFile,
           "the old root: found a directory, expected the fence");
  families::OpenRequest request;
  request.fs = &c.fs();
  request.root = node.initial_root();
  request.create = true;
  c.expect(!families::open_family(c.registry(), c.descriptor(kA).name, request).ok(),
           "the old root: found that it opens");
  for (const std::string& name :
       c.expect_value("list", c.fs().list(families::join_path(node.directory(), "migration")))) {
    c.expect(name == "manifest-0" || name == "manifest-1",
             cat("after the acceptance: found migration/", name));
  }
  node.advance_to(Phase::kRetired);
  const auto expect_retired = [&] {
    c.expect(!c.expect_value("look for the old family", families::exists(c.fs(), fenced)),
             cat("after the retirement: found ", fenced));
    c.expect(c.expect_value("look at the old root", c.fs().stat(node.initial_root())).kind ==
                 families::FileKind::kFile,
             "the old root after the retirement: found no fence");
  };
  expect_retired();
  node.restart();
  expect_retired();
  for (const Change& change : one_of_each(node.model().state())) node.apply(change);
  node.restart();
  if (c.disk() == nullptr || c.descriptor(kB).volatility == families::Volatility::kVolatile) {
    return;
  }
  DropAll nothing;
  node.crash(CrashLevel::kP2, nothing);
  c.expect_ok("open after a power cut", node.open());
  node.expect_state();
  expect_retired();
}

// A node that has retired its old family migrates again, back to where it came from: the instance
// that it has accepted is the source, and is fenced in its turn.
void migrate_back(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  node.advance_to(Phase::kRetired);
  const std::string first_target = node.target_root();
  node.restart();
  migration::MigrationRequest back = node.request();
  back.family = c.descriptor(kA).name;
  c.expect_ok("ask for the way back", node.controller().request_start(back));
  c.settle();
  c.expect(node.controller().manifest().generation == 2, "the way back: found another generation");
  c.expect(node.controller().manifest().a.root == first_target,
           cat("the source of the way back: found ", node.controller().manifest().a.root,
               ", expected ", first_target));
  node.append_some(2);
  node.advance_to(Phase::kDualWrite);
  node.append_some(2);
  node.restart();
  node.advance_to(Phase::kAccepted);
  node.append_some(1);
  c.expect(node.controller().manifest().b.family == c.descriptor(kA).name,
           "after the way back: found another family than the first");
  c.expect(c.expect_value("look at the source", c.fs().stat(first_target)).kind ==
               families::FileKind::kFile,
           "the source of the way back: found a directory, expected the fence");
  node.advance_to(Phase::kRetired);
  node.restart();
}

}  // namespace

std::vector<Check> life_checks() {
  std::vector<Check> checks;
  checks.push_back(instance_check("LIFE", "random_history_with_faults_against_model",
                                  {"SB-25", "SB-35"}, random_history_with_faults_against_model)
                       .on(kSimulatedOnly));
  const auto add = [&](std::string name, std::vector<std::string> requirements,
                       void (*run)(PairContext&)) {
    checks.push_back(pair_check("LIFE", std::move(name), std::move(requirements), run));
  };
  add("a_to_b_to_a_to_b", {"SB-5", "SB-6", "SB-29", "SB-43"}, a_to_b_to_a_to_b);
  add("memory_as_source_declared_volatile", {"SB-35"}, memory_as_source_declared_volatile);
  add("retire_and_gc", {"EV-21"}, retire_and_gc);
  add("migrate_back", {"SB-29", "SB-43"}, migrate_back);
  return checks;
}

}  // namespace qk::sim::conformance
