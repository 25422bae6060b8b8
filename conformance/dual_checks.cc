// DUAL: two families written as one, for every ordered pair. A is the primary, B was bootstrapped
// from it; every ordered pair runs, so each family is in both roles.
#include <algorithm>
#include <set>

#include "conformance/dual_run.h"
#include "conformance/groups.h"
#include "conformance/history.h"
#include "conformance/interposer.h"
#include "conformance/migrating_node.h"
#include "families/fs/file_util.h"
#include "image/report.h"
#include "migration/intent_journal.h"

namespace qk::sim::conformance {
namespace {

using families::Operation;
using families::Outcome;
using migration::Phase;
using enum PairContext::Side;

constexpr Operation kOperations[] = {Operation::kAppend,         Operation::kTruncatePrefix,
                                     Operation::kTruncateSuffix, Operation::kReset,
                                     Operation::kSaveMeta,       Operation::kPublish};

std::vector<Change> changes_for(const DualRun& run) { return one_of_each(run.model().state()); }

// ---- Operations

void each_operation(PairContext& c) {
  DualRun run(&c);
  run.must_open();
  run.expect_state();
  std::set<Operation> seen;
  for (const Change& change : changes_for(run)) {
    run.apply(change);
    seen.insert(change.operation);
  }
  c.expect_equal("kinds of operations", seen.size(), std::size(kOperations));
  // A vote in a term that is saved already is a change of its own.
  const int64_t term = run.model().state().hard_state.term + 1;
  run.apply(save_meta({term, ""}));
  run.apply(save_meta({term, std::string(kPeer)}));
  RandomStream random = c.random("more");
  for (int i = 0; i < 8; ++i) run.apply(random_change(random, run.model().state()));
  run.close();
  run.must_open();
  c.expect(run.stack().reconciled().empty(), "after a clean close: found a reconciliation");
  run.expect_state();
}

// What the contract refuses is refused by the pair, with nothing changed on either side.
void refused_alike(PairContext& c) {
  DualRun run(&c);
  run.must_open();
  const State state = run.model().state();
  SnapshotState older = *state.snapshot;
  older.meta.last_included_index -= 1;
  SnapshotState other = *state.snapshot;
  other.meta.old_peers.clear();
  for (const Change& change :
       {append({entry(state.last() + 2, 9)}), append({entry(state.last(), 9)}),
        truncate_suffix(state.first - 2), reset(0), save_meta({state.hard_state.term - 1, ""}),
        save_meta({state.hard_state.term, std::string(kThirdPeer)}), publish(older),
        publish(other)}) {
    c.expect_failed_clean(describe(change), run.try_apply(change),
                          absl::StatusCode::kInvalidArgument);
    c.settle();
    run.expect_state();
  }
  const Outcome again = run.try_apply(publish(*state.snapshot));
  c.expect_ok("the snapshot that is published already", again);
  c.expect_equal("its count", again.count(), int64_t{0});
  run.expect_state();
}

void roles_swapped(PairContext& c) {
  DualRun run(&c);
  run.must_open();
  RandomStream random = c.random("swaps");
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 3; ++i) run.apply(random_change(random, run.model().state()));
    // A snapshot that was begun in one primary is published under the other.
    const int64_t at = run.model().state().last() + 1;
    run.apply(append({entry(at, 50 + round)}));
    Change change = publish(snapshot(at, 50 + round));
    auto mutation = c.expect_value("begin a snapshot", to_mutation(run.stack().driver(), change));
    run.stack().swap_roles();
    c.expect_ok("publish it after the swap", run.stack().driver().apply(std::move(mutation)));
    Model next = run.model();
    next.apply(change);
    run.adopt(next.state());
    c.settle();
    run.expect_state();
  }
}

// ---- Acknowledgements

// At the moment of each acknowledgement the power is cut and everything that is not certain is
// lost: each side has it by itself.
void ack_after_both_durable(PairContext& c) {
  if (c.any_volatile()) c.not_applicable("one side keeps nothing");
  DualRun run(&c);
  run.must_open();
  std::vector<Change> changes = changes_for(run);
  for (const Change& change : changes) {
    Model model = run.model();
    QK_CHECK(model.apply(change) == Model::Verdict::kApplied);
    c.expect_ok(describe(change), run.try_apply(change));
    run.adopt(model.state());
    SimDisk disk = c.disk()->fork();
    DropAll nothing;
    disk.crash(CrashLevel::kP2, disk.busy_until() + 1, nothing);
    const auto fs = disk.mount();
    for (const auto side : {kA, kB}) {
      families::OpenRequest request;
      request.fs = fs.get();
      request.root = c.root(side);
      const auto opened = c.expect_value(
          "open after the power cut",
          image::open_instance(c.registry(), request, c.descriptor(side).name,
                               side == kA ? image::Identity() : transfer_identity()));
      c.expect_same_state(
          cat(describe(change), " acknowledged, then a power cut: ", side == kA ? "A" : "B"),
          c.expect_value("read", read_state(*opened)), model.state());
    }
    c.settle();
  }
}

// Crashes inside each kind of operation, some places for each seed.
void crash_in_each_operation(PairContext& c) {
  if (c.any_volatile()) c.not_applicable("one side keeps nothing");
  constexpr int kCrashesEach = 3;
  constexpr uint64_t kDiskOperations = 24;  // of one change to both, more or less
  DualRun run(&c);
  run.must_open();
  RandomStream random = c.random("crash");
  int crashes = 0;
  for (const Change& change : changes_for(run)) {
    Model after = run.model();
    QK_CHECK(after.apply(change) == Model::Verdict::kApplied);
    bool applied = false;
    for (int i = 0; i < kCrashesEach && !applied; ++i) {
      c.disk()->pin_crash_at_operation(c.disk()->operation_count() + 1 +
                                       random.below(kDiskOperations));
      const Outcome outcome = run.try_apply(change);
      if (!c.disk()->pinned_crash()) {
        c.disk()->clear_pin();
        c.expect_ok(describe(change), outcome);
        run.adopt(after.state());
        applied = true;
        c.settle();
        continue;
      }
      ++crashes;
      Sampled choice(RandomStream(random.next(), "choice"));
      const CrashReport report =
          run.crash(random.below(2) == 0 ? CrashLevel::kP0 : CrashLevel::kP2, choice);
      const std::string what = cat(describe(change), ", ", report.text);
      c.expect_ok(what, run.open());
      run.expect_before_or_after(what, change);
      applied = run.model().state() == after.state();
      // The recovery is one: nothing is left to do.
      run.close();
      run.must_open();
      c.expect(run.stack().reconciled().empty(), cat(what, ": found a second reconciliation"));
      run.expect_state();
    }
    if (!applied) run.apply(change);
  }
  c.expect(crashes > 0, "crashes: found none");
}

// A batch that is longer than what the driver notes at once, cut in its last part: what is left is
// a part of the batch, the same on both sides.
void crash_in_long_batch(PairContext& c) {
  if (c.any_volatile()) c.not_applicable("one side keeps nothing");
  constexpr int64_t kEntries = 2 * migration::IntentJournal::kMaxEntries + 60;
  DualRun run(&c);
  run.must_open();
  const auto batch = [&] {
    const State& state = run.model().state();
    return append(entries(state.last() + 1, state.last() + kEntries, 9, 8));
  };
  uint64_t first = c.disk()->operation_count();
  run.apply(batch());
  const uint64_t operations = c.disk()->operation_count() - first;
  RandomStream random = c.random("crash");
  int crashes = 0;
  for (int i = 0; i < 3; ++i) {
    const Change change = batch();
    first = c.disk()->operation_count();
    c.disk()->pin_crash_at_operation(first + operations - random.below(operations / 3));
    const Outcome outcome = run.try_apply(change);
    if (!c.disk()->pinned_crash()) {
      c.disk()->clear_pin();
      c.settle();
      c.expect_ok(describe(change), outcome);
      Model model = run.model();
      model.apply(change);
      run.adopt(model.state());
      continue;
    }
    ++crashes;
    Sampled choice(RandomStream(random.next(), "choice"));
    const CrashReport report = run.crash(i == 0 ? CrashLevel::kP0 : CrashLevel::kP2, choice);
    const std::string what = cat(describe(change), ", ", report.text);
    c.expect_ok(what, run.open());
    const State found = c.expect_value("read", read_state(run.at(kA)));
    const int64_t kept = found.last() - run.model().state().last();
    c.expect(kept >= 0 && kept <= kEntries,
             cat(what, ": found ", describe(found), ", expected a part of the batch"));
    Model part = run.model();
    part.apply(append({change.entries.begin(), change.entries.begin() + kept}));
    c.expect_same_state(what, found, part.state());
    run.adopt(found);
    run.expect_state();
  }
  c.expect(crashes > 0, "crashes: found none");
}

// A refusal in the middle does not undo the batch: a part of it is there.
void refusal_in_long_batch(PairContext& c) {
  DualRun run(&c);
  Interposer primary;
  primary.root = c.root(kA);
  run.must_open(&primary);
  int appends = 0;
  primary.instead = [&](Operation operation) -> std::optional<Outcome> {
    if (operation != Operation::kAppend || ++appends != 2) return std::nullopt;
    return Outcome::failed_clean(absl::UnavailableError("injected"));
  };
  const int64_t last = run.model().state().last();
  const int64_t noted = migration::IntentJournal::kMaxEntries;
  const Outcome outcome = run.try_apply(append(entries(last + 1, last + noted + 10, 9, 8)));
  c.expect(outcome.kind() == Outcome::Kind::kIndeterminate,
           "a batch of which a part was refused: found another outcome than indeterminate");
  c.expect_equal("its count", outcome.count(), noted);
  c.expect(run.try_apply(save_meta({1000, ""})).kind() == Outcome::Kind::kFailedClean,
           "after a batch of which a part was refused: found the next mutation accepted");
  c.settle();
  run.close();
  run.must_open();
  Model part = run.model();
  part.apply(append(entries(last + 1, last + noted, 9, 8)));
  run.adopt(part.state());
  run.expect_state();
}

// The mirror fails, before or after it has done it: the outcome is never ok, nothing is accepted
// until the pair is opened again, and then both are equal.
void mirror_faults(PairContext& c) {
  DualRun run(&c);
  int faults = 0;
  for (const Operation operation : kOperations) {
    for (const bool done : {false, true}) {
      Interposer mirror;
      mirror.root = c.root(kB);
      run.must_open(&mirror);
      if (run.model().state().entries.size() < 3) run.apply(more_entries(run.model().state(), 4));
      const auto fault = [&](bool clean) {
        const absl::Status error = absl::UnavailableError("injected");
        return clean ? Outcome::failed_clean(error) : Outcome::indeterminate(error);
      };
      if (done) {
        mirror.after = [&](Operation one, Outcome outcome) {
          return one == operation ? fault(false) : outcome;
        };
      } else {
        mirror.instead = [&](Operation one) -> std::optional<Outcome> {
          if (one != operation) return std::nullopt;
          return fault(one != Operation::kAppend);
        };
      }
      for (const Change& change : changes_for(run)) {
        if (change.operation != operation) {
          // What comes before it in the list makes it possible.
          run.apply(change);
          continue;
        }
        const std::string what =
            cat(describe(change), " when the mirror fails ", done ? "after" : "before", " it");
        const Outcome outcome = run.try_apply(change);
        c.expect(outcome.kind() == Outcome::Kind::kIndeterminate,
                 cat(what, ": found another outcome than indeterminate"));
        c.settle();
        const Outcome next = run.try_apply(save_meta({1000, ""}));
        c.expect(next.kind() == Outcome::Kind::kFailedClean,
                 cat(what, ": found the next mutation accepted"));
        run.close();
        run.must_open();
        run.expect_before_or_after(what, change);
        ++faults;
        break;
      }
      run.close();
    }
  }
  c.expect_equal("faults", faults, static_cast<int>(2 * std::size(kOperations)));
}

// A primary that fails: the mirror never hears of it, and what was refused stays undone.
void primary_faults(PairContext& c) {
  DualRun run(&c);
  for (const Operation operation : kOperations) {
    for (const bool clean : {true, false}) {
      Interposer primary;
      primary.root = c.root(kA);
      run.must_open(&primary);
      if (run.model().state().entries.size() < 3) run.apply(more_entries(run.model().state(), 4));
      primary.instead = [&](Operation one) -> std::optional<Outcome> {
        if (one != operation) return std::nullopt;
        const absl::Status error = absl::UnavailableError("injected");
        return clean ? Outcome::failed_clean(error) : Outcome::indeterminate(error);
      };
      for (const Change& change : changes_for(run)) {
        if (change.operation != operation) {
          // What comes before it in the list makes it possible.
          run.apply(change);
          continue;
        }
        const std::string what = cat(describe(change), " that the primary fails");
        const Outcome outcome = run.try_apply(change);
        c.expect(
            outcome.kind() == (clean ? Outcome::Kind::kFailedClean : Outcome::Kind::kIndeterminate),
            cat(what, ": found another outcome than the primary's"));
        if (!clean) {
          // whatever the primary would say now.
          primary.instead = nullptr;
          const Outcome next = run.try_apply(save_meta({1000, ""}));
          c.expect(next.kind() == Outcome::Kind::kFailedClean,
                   "after an outcome that is not known: found the next mutation accepted");
        }
        c.settle();
        c.expect_same_state("the mirror", c.expect_value("read", read_state(run.at(kB))),
                            run.model().state());
        run.close();
        run.must_open();
        // Of a refusal the caller was told that it did not happen.
        clean ? run.expect_state() : run.expect_before_or_after(what, change);
        break;
      }
      run.close();
    }
  }
}

void unequal_counts(PairContext& c) {
  DualRun run(&c);
  Interposer mirror;
  mirror.root = c.root(kB);
  run.must_open(&mirror);
  mirror.after = [](Operation operation, Outcome outcome) {
    if (operation != Operation::kAppend || !outcome.ok()) return outcome;
    return Outcome::success(outcome.count() - 1);
  };
  const Change change = changes_for(run)[1];
  const Outcome outcome = run.try_apply(change);
  c.expect(outcome.kind() == Outcome::Kind::kIndeterminate,
           "an append with unequal counts: found another outcome than indeterminate");
  c.expect_equal("its count", outcome.count(), int64_t{2});
  run.close();
  run.must_open();
  run.expect_before_or_after(describe(change), change);
}

// ---- Mirrors that go wrong

image::Domain domain_of(Operation operation) {
  switch (families::lane_of(operation)) {
    case families::Lane::kMeta:
      return image::Domain::kMeta;
    case families::Lane::kSnapshot:
      return image::Domain::kSnapshot;
    case families::Lane::kLog:
      break;
  }
  return image::Domain::kLog;
}

// A mirror that says yes and does not, once for each kind: the next cut tells, and in which domain.
void mirror_skips(PairContext& c) {
  DualRun run(&c);
  Interposer mirror;
  mirror.root = c.root(kB);
  run.must_open(&mirror);
  for (const Change& change : changes_for(run)) {
    const std::string what = cat("the mirror skips ", describe(change));
    Model model = run.model();
    const int64_t count = model.count(change);
    QK_CHECK(model.apply(change) == Model::Verdict::kApplied);
    mirror.instead = [&](Operation) { return Outcome::success(count); };
    c.expect_ok(what, run.try_apply(change));
    mirror.instead = nullptr;
    c.settle();
    const image::EquivalenceReport report = image::compare(run.at(kA), run.at(kB), 1);
    c.expect(!report.equal && report.differences.size() == 1 &&
                 report.differences[0].domain == domain_of(change.operation),
             cat(what, ": found \"", image::to_text(report), "\", expected a difference in ",
                 image::to_string(domain_of(change.operation)), " alone"));
    c.expect(c.expect_value("digest", image::compute_digest(run.at(kA))) !=
                 c.expect_value("digest", image::compute_digest(run.at(kB))),
             cat(what, ": found equal digests"));
    // Repaired without the driver's knowledge, for the next one.
    families::PlainDriver driver(&run.at(kB));
    c.expect_ok(what, driver.apply(c.expect_value(what, to_mutation(driver, change))));
    run.adopt(model.state());
    c.settle();
    run.expect_state();
  }
}

// One wrong byte on the way to the mirror.
void in_flight_corruption(PairContext& c) {
  DualRun run(&c);
  Interposer mirror;
  mirror.root = c.root(kB);
  run.must_open(&mirror);
  int64_t wrong = 0;
  mirror.store_entry = [&](families::LogEntry* entry) {
    if (wrong != 0 || entry->payload.empty()) return;
    wrong = entry->index;
    entry->payload[0] ^= 1;
  };
  c.expect_ok("append", run.try_apply(changes_for(run)[1]));
  const image::EquivalenceReport report = image::compare(run.at(kA), run.at(kB), 1);
  c.expect(!report.equal && report.differences.size() == 1, "a wrong byte: found it equal");
  c.expect(report.differences[0].domain == image::Domain::kLog &&
               report.differences[0].kind == image::DifferenceKind::kContent,
           cat("a wrong byte: found \"", image::to_text(report), "\""));
  c.expect_equal("its index", report.differences[0].index, wrong);
  c.expect(c.expect_value("digest", image::compute_digest(run.at(kA))) !=
               c.expect_value("digest", image::compute_digest(run.at(kB))),
           "a wrong byte: found equal digests");
}

// ---- Attaching a mirror

void non_empty_mirror_refused(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  const std::string root = families::join_path(node.directory(), cat(c.descriptor(kB).name, "-g1"));
  c.expect_ok("make an instance",
              close_instance(c.expect_value(
                  "make an instance", make_instance(c.registry(), c.fs(), c.descriptor(kB).name,
                                                    root, {append({entry(1)})}))));
  c.expect_code("start over a used place", node.controller().request_start(node.request()),
                absl::StatusCode::kAlreadyExists);
  c.expect(node.phase() == Phase::kIdle, "after a refusal: found another phase than idle");
  node.restart();
}

// The mirror's place holds something else than what was attached.
void foreign_mirror_refused(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  node.advance_to(Phase::kDualWrite);
  node.append_some(2);
  const std::string root = node.controller().manifest().b.root;
  node.close();
  const auto attached = c.expect_value("read the sidecar", image::read_sidecar(c.fs(), root));
  c.expect(attached.has_value(), "the mirror's sidecar: found none");
  const auto refused = [&](std::string_view what,
                           const std::function<void(image::Sidecar*)>& alter) {
    image::Sidecar sidecar = *attached;
    alter(&sidecar);
    c.expect_ok(what, image::write_sidecar(c.fs(), root, sidecar));
    c.settle();
    c.expect_code(what, node.open(), absl::StatusCode::kFailedPrecondition);
  };
  refused("another lineage", [](image::Sidecar* s) { s->identity.lineage = "other"; });
  refused("a later generation", [](image::Sidecar* s) { s->identity.generation += 1; });
  refused("another peer", [](image::Sidecar* s) { s->identity.peer_id = kOtherPeer; });
  refused("another group", [](image::Sidecar* s) { s->identity.group_id = "other"; });
  refused("a stale one", [](image::Sidecar* s) { s->state = image::InstanceState::kStale; });
  refused("an unfinished one",
          [](image::Sidecar* s) { s->state = image::InstanceState::kImporting; });
  refused("a retired one", [](image::Sidecar* s) { s->state = image::InstanceState::kRetired; });
  c.expect_ok("the right one", image::write_sidecar(c.fs(), root, *attached));
  c.settle();
  c.expect_ok("open", node.open());
  node.expect_state();
}

// The mirror is what it was some mutations ago.
void stale_mirror_refused(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  node.advance_to(Phase::kDualWrite);
  for (int i = 0; i < 3; ++i) node.append_some(2);
  const std::string root = node.controller().manifest().b.root;
  node.close();
  {
    families::OpenRequest request;
    request.fs = &c.fs();
    request.root = root;
    auto mirror = c.expect_value(
        "open the mirror", families::open_family(c.registry(), c.descriptor(kB).name, request));
    c.expect_ok("take it back", mirror->log().truncate_suffix(mirror->log().last_index() - 5));
    c.settle();
    c.expect_ok("close", close_instance(std::move(mirror)));
    c.settle();
  }
  c.expect_code("a mirror that lags", node.open(), absl::StatusCode::kDataLoss);
}

// ---- Cut-over

// From the beginning of dual write on the new family receives the node's mutations and nothing
// else, and at the cut-over nothing is copied; what is read does not grow with the state.
void cut_over_copies_nothing(PairContext& c) {
  Interposer target;
  target.root = MigratingNode::target_prefix(c);
  const families::Registry registry = interpose(c.registry(), c.descriptor(kB).name, &target);
  MigratingNode node(&c, &registry);
  const int64_t blocks = 2 + static_cast<int64_t>(c.random("size").below(2));
  std::vector<Change> history;
  for (int64_t from = 1; from < blocks * image::kBlockEntries; from += image::kBlockEntries) {
    history.push_back(append(entries(from, from + image::kBlockEntries - 1, 1, 8)));
  }
  history.push_back(publish(snapshot(5)));
  node.set_step_entries(image::kBlockEntries);
  node.begin(history);
  node.advance_to(Phase::kDualWrite);
  target.clear_counts();
  uint64_t mutations = 0;
  for (const Change& change : one_of_each(node.model().state())) {
    if (change.operation == Operation::kTruncatePrefix || change.operation == Operation::kReset) {
      continue;  // they would make the state small
    }
    node.apply(change);
    ++mutations;
  }
  node.advance_to(Phase::kCutoverValidated);
  c.expect(target.entries_read >= static_cast<uint64_t>(node.model().state().entries.size()),
           cat("the proof: found ", target.entries_read, " entries read of ",
               node.model().state().entries.size(), ", expected all"));
  node.append_some(2);
  ++mutations;
  c.expect_equal("mutations of the mirror", target.all_mutations(), mutations);
  c.expect_equal("whole logs loaded", target.loads, uint64_t{0});

  target.clear_counts();
  node.advance_to(Phase::kCutOver);
  c.expect_equal("mutations by the cut-over", target.all_mutations(), uint64_t{0});
  c.expect_equal("logs loaded by the cut-over", target.loads, uint64_t{0});
  c.expect_equal("files read by the cut-over", target.files_opened, uint64_t{0});
  c.expect(target.entries_read <= static_cast<uint64_t>(image::kBlockEntries),
           cat("entries read by the cut-over: found ", target.entries_read, ", expected at most ",
               image::kBlockEntries));
  node.append_some(1);
  c.expect_equal("mutations after the cut-over", target.all_mutations(), uint64_t{1});
  node.expect_state();
}

// Both after the cut-over: B first, then A.
void roles_switched_by_cut_over(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  node.advance_to(Phase::kCutOver);
  c.expect(node.controller().manifest().authoritative == migration::Side::kB,
           "after the cut-over: found A as the authority");
  for (const Change& change : one_of_each(node.model().state())) {
    node.apply(change);
    node.expect_state();
  }
  node.restart();
}

// Opening and closing both changes nothing on either side: whatever a start cleans up is either not
// part of the state, or goes through the driver.
void reopen_changes_nothing(PairContext& c) {
  DualRun run(&c);
  run.must_open();
  const std::vector<Change> changes = changes_for(run);
  for (const Change& change : changes) {
    run.apply(change);
    run.close();
    for (const auto side : {kA, kB}) {
      c.must_open(side);
      c.expect_same_state("opened by itself", c.expect_value("read", read_state(c.at(side))),
                          run.model().state());
      c.close(side);
    }
    run.must_open();
    c.expect(run.stack().reconciled().empty(), "a clean start: found a reconciliation");
    run.expect_state();
  }
}

}  // namespace

std::vector<Check> dual_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> requirements,
                       void (*run)(PairContext&), std::vector<DiskKind> disks = kBothDisks) {
    checks.push_back(
        pair_check("DUAL", std::move(name), std::move(requirements), run).on(std::move(disks)));
  };
  add("each_operation",
      {"SB-1", "SB-2", "SB-7", "SB-8", "SB-9", "SB-28", "SB-30", "SB-31", "SB-32", "SB-33",
       "EV-19"},
      each_operation);
  add("refused_alike", {"SB-35"}, refused_alike);
  add("roles_swapped", {"SB-28", "SB-29", "SB-33"}, roles_swapped);
  add("ack_after_both_durable", {"SB-7", "SB-8", "SB-35"}, ack_after_both_durable, kSimulatedOnly);
  add("crash_in_each_operation",
      {"SB-7", "SB-8", "SB-28", "SB-30", "SB-31", "SB-32", "SB-33", "SB-35", "EV-19"},
      crash_in_each_operation, kSimulatedOnly);
  add("crash_in_long_batch", {"SB-30", "SB-35"}, crash_in_long_batch, kSimulatedOnly);
  add("refusal_in_long_batch", {"SB-30", "SB-35"}, refusal_in_long_batch);
  add("mirror_faults", {"SB-35"}, mirror_faults);
  add("primary_faults", {"SB-35"}, primary_faults);
  add("unequal_counts", {"SB-35"}, unequal_counts);
  add("mirror_skips", {"SB-34", "EV-19"}, mirror_skips);
  add("in_flight_corruption", {"EV-11", "EV-19"}, in_flight_corruption);
  add("non_empty_mirror_refused", {"SB-36"}, non_empty_mirror_refused);
  add("foreign_mirror_refused", {"SB-36", "SB-37"}, foreign_mirror_refused);
  add("stale_mirror_refused", {"SB-36", "SB-37", "EV-19"}, stale_mirror_refused);
  add("cut_over_copies_nothing", {"SB-38", "SB-39"}, cut_over_copies_nothing);
  add("roles_switched_by_cut_over", {"SB-29", "SB-39"}, roles_switched_by_cut_over);
  add("reopen_changes_nothing", {"SB-34", "SB-38"}, reopen_changes_nothing);
  return checks;
}

}  // namespace qk::sim::conformance
