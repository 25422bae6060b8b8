// PHASE: the phases of one node's migration, for every ordered pair: each in its order and no
// other, back from each one, on from each crash.
#include <algorithm>
#include <set>

#include "conformance/groups.h"
#include "conformance/history.h"
#include "conformance/interposer.h"
#include "conformance/migrating_node.h"
#include "families/fs/file_util.h"
#include "image/digest.h"
#include "sim/disk/losses.h"

namespace qk::sim::conformance {
namespace {

using families::Operation;
using families::Outcome;
using migration::Controller;
using migration::Need;
using migration::Phase;
using enum PairContext::Side;

constexpr absl::StatusCode kPrecondition = absl::StatusCode::kFailedPrecondition;

constexpr Phase kWay[] = {Phase::kExporting, Phase::kBootstrapping,    Phase::kValidated,
                          Phase::kDualWrite, Phase::kCutoverValidated, Phase::kCutOver,
                          Phase::kAccepted};

bool exists(PairContext& c, std::string_view path) {
  return c.expect_value("look", families::exists(c.fs(), path));
}

std::string names(const std::vector<Phase>& phases) {
  std::string text;
  for (const Phase phase : phases) text += cat(text.empty() ? "" : ", ", to_string(phase));
  return text;
}

// Every request that `phase` does not allow is refused, and changes nothing.
void expect_others_refused(PairContext& c, MigratingNode& node) {
  Controller& controller = node.controller();
  const Phase phase = node.phase();
  const auto refuse = [&](std::string_view what, bool allowed, const auto& ask) {
    if (allowed) return;
    const absl::Status status = ask();
    c.expect_code(cat(what, " in phase ", to_string(phase)), status, kPrecondition);
    c.expect(to_std(status.message()).find(std::string(to_string(phase))) != std::string::npos ||
                 phase == Phase::kCutOver,
             cat(what, ": found \"", to_std(status.message()), "\", expected the phase's name"));
  };
  refuse("start", phase == Phase::kIdle || phase == Phase::kRolledBack || phase == Phase::kRetired,
         [&] { return controller.request_start(node.request()); });
  refuse("validation", phase == Phase::kDualWrite, [&] { return controller.request_validation(); });
  refuse("cut-over", phase == Phase::kCutoverValidated,
         [&] { return controller.request_cutover(); });
  refuse("acceptance", phase == Phase::kCutOver && controller.manifest().probe_restart_ok,
         [&] { return controller.request_accept(); });
  refuse("retirement", phase == Phase::kAccepted, [&] { return controller.request_retire(); });
  // Whether it can go back from CUT is the build's own decision; RM-28, which demands it, is shown
  // by no check.
  refuse("rollback", phase >= Phase::kExporting && phase <= Phase::kCutOver,
         [&] { return controller.request_rollback("no"); });
  c.expect(node.phase() == phase, "a refused request: found another phase");
}

// ---- The way

void plan_steps(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  node.advance_to(Phase::kAccepted);
  const std::vector<Phase> expected(std::begin(kWay), std::end(kWay));
  c.expect(node.phases() == expected,
           cat("phases: found ", names(node.phases()), ", expected ", names(expected)));
  c.expect(node.controller().manifest().authoritative == migration::Side::kB,
           "accepted: found A as the authority");
  node.expect_state();
  node.append_some(2);
  node.restart();
}

void step_order(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  expect_others_refused(c, node);
  for (const Phase phase : kWay) {
    // Freely mixed with mutations.
    node.advance_to(phase);
    node.append_some(1);
    expect_others_refused(c, node);
    node.expect_state();
  }
}

// The automaton itself: every pair of phases.
void illegal_edge_refused(PairContext& c) {
  const std::set<std::pair<Phase, Phase>> legal = {{Phase::kIdle, Phase::kExporting},
                                                   {Phase::kExporting, Phase::kBootstrapping},
                                                   {Phase::kBootstrapping, Phase::kValidated},
                                                   {Phase::kValidated, Phase::kDualWrite},
                                                   {Phase::kDualWrite, Phase::kCutoverValidated},
                                                   {Phase::kCutoverValidated, Phase::kDualWrite},
                                                   {Phase::kCutoverValidated, Phase::kCutOver},
                                                   {Phase::kCutOver, Phase::kAccepted},
                                                   {Phase::kAccepted, Phase::kRetired},
                                                   {Phase::kRolledBack, Phase::kExporting},
                                                   // The next migration.
                                                   {Phase::kRetired, Phase::kExporting},
                                                   // The export begins again.
                                                   {Phase::kExporting, Phase::kExporting},
                                                   {Phase::kBootstrapping, Phase::kExporting},
                                                   {Phase::kValidated, Phase::kExporting},
                                                   {Phase::kExporting, Phase::kRolledBack},
                                                   {Phase::kBootstrapping, Phase::kRolledBack},
                                                   {Phase::kValidated, Phase::kRolledBack},
                                                   {Phase::kDualWrite, Phase::kRolledBack},
                                                   {Phase::kCutoverValidated, Phase::kRolledBack}};
  // Back from the provisional cut-over; whether a build offers it is its own decision.
  const std::pair<Phase, Phase> optional = {Phase::kCutOver, Phase::kRolledBack};
  for (int from = 0; from <= static_cast<int>(Phase::kRolledBack); ++from) {
    for (int to = 0; to <= static_cast<int>(Phase::kRolledBack); ++to) {
      const std::pair edge(static_cast<Phase>(from), static_cast<Phase>(to));
      if (edge == optional) continue;
      c.expect_equal(cat("the edge from ", to_string(edge.first), " to ", to_string(edge.second)),
                     migration::is_legal_transition(edge.first, edge.second),
                     legal.count(edge) > 0);
    }
  }
  MigratingNode node(&c);
  node.begin({append(entries(1, 3))});
  const migration::MigrationRequest good = node.request();
  const auto refused = [&](std::string_view what, absl::StatusCode code,
                           const std::function<void(migration::MigrationRequest*)>& alter) {
    migration::MigrationRequest request = good;
    alter(&request);
    c.expect_code(what, node.controller().request_start(request), code);
    c.expect(node.phase() == Phase::kIdle, cat(what, ": found another phase than idle"));
  };
  refused("no family of that name", absl::StatusCode::kNotFound,
          [](auto* r) { r->family = "no-such-family"; });
  refused("no bound in mutations", absl::StatusCode::kInvalidArgument,
          [](auto* r) { r->fresh_mutations = 0; });
  refused("no bound in time", absl::StatusCode::kInvalidArgument,
          [](auto* r) { r->fresh_time_ns = 0; });
}

void already_there_is_noop(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  const auto resting = [&] {
    const Phase phase = node.phase();
    const size_t marks = node.phases().size();
    for (int i = 0; i < 3; ++i) {
      c.expect(node.controller().need() == Need::kNothing,
               cat("in phase ", to_string(phase), ": found a need"));
      c.expect_ok("a step that is not needed", node.controller().step());
    }
    c.expect(node.phase() == phase && node.phases().size() == marks,
             cat("steps in phase ", to_string(phase), ": found another phase"));
    node.expect_state();
  };
  resting();
  for (const Phase phase :
       {Phase::kDualWrite, Phase::kCutoverValidated, Phase::kCutOver, Phase::kAccepted}) {
    node.advance_to(phase);
    resting();
  }
  for (int i = 0; i < 2; ++i) {
    node.restart();
    c.expect(node.phase() == Phase::kAccepted, "opened again: found another phase than accepted");
  }
}

// ---- Validation

// An importer that forgets something: no dual write ever begins.
void validate_before_step(PairContext& c) {
  Interposer target;
  target.root = MigratingNode::target_prefix(c);
  const families::Registry registry = interpose(c.registry(), c.descriptor(kB).name, &target);
  MigratingNode node(&c, &registry);
  node.begin(full_history());
  target.store_entry = [](families::LogEntry* entry) {
    if (!entry->payload.empty() && entry->type == families::EntryType::kData) entry->payload += 'x';
  };
  node.start_migration();
  absl::Status status;
  for (int steps = 0; status.ok() && steps < 200; ++steps) {
    c.expect(node.phase() < Phase::kValidated || node.phase() == Phase::kRolledBack,
             cat("a wrong importer: found phase ", to_string(node.phase())));
    const absl::StatusOr<bool> stepped = node.try_step();
    if (stepped.ok() && !*stepped) break;
    status = stepped.status();
  }
  c.expect(!status.ok() || node.phase() == Phase::kRolledBack,
           "a wrong importer: found no error, expected one");
  // The old family serves on, and with a right importer the migration goes its way.
  target.store_entry = nullptr;
  node.restart();
  node.append_some(2);
  node.advance_to(Phase::kDualWrite);
  node.expect_state();
}

// A mirror that has gone its own way is found at the cut, and A serves on alone.
void reverse_on_failure(PairContext& c) {
  Interposer target;
  target.root = MigratingNode::target_prefix(c);
  const families::Registry registry = interpose(c.registry(), c.descriptor(kB).name, &target);
  MigratingNode node(&c, &registry);
  node.begin(full_history());
  node.advance_to(Phase::kDualWrite);
  const auto skip_vote = [&] {
    target.instead = [](Operation operation) -> std::optional<Outcome> {
      if (operation != Operation::kSaveMeta) return std::nullopt;
      return Outcome::success();
    };
    node.apply(save_meta({node.model().state().hard_state.term + 1, std::string(kPeer)}));
    target.instead = nullptr;
  };
  skip_vote();
  c.expect_ok("ask for validation", node.controller().request_validation());
  node.step();
  c.expect_equal("the phase after a cut that differs", to_string(node.phase()),
                 to_string(Phase::kRolledBack));
  const std::string reason = node.controller().manifest().reason;
  c.expect(reason.find("meta") != std::string::npos,
           cat("the reason: found \"", reason, "\", expected the domain's name"));
  const std::string root = node.controller().manifest().b.root;
  c.expect(exists(c, cat(root, ".fenced-1")), "the mirror: found no evidence kept");
  node.append_some(1);
  node.restart();

  // Another attempt, in a place of its own; this time it goes wrong after the cut.
  node.advance_to(Phase::kCutoverValidated);
  c.expect_equal("the generation", node.controller().manifest().generation, uint64_t{2});
  skip_vote();
  c.expect_ok("ask for the cut-over", node.controller().request_cutover());
  node.step();
  c.expect_equal("the phase after a cut-over that differs", to_string(node.phase()),
                 to_string(Phase::kRolledBack));
  node.restart();
  node.advance_to(Phase::kDualWrite);
  node.expect_state();
}

// More mutations than may wait for B: none of them is left out, the export begins again. As
// many as may wait are caught up with.
void queue_overflows(PairContext& c) {
  constexpr int kQueued = 3;
  MigratingNode node(&c);
  node.set_max_queued(kQueued);
  node.begin(full_history());
  uint64_t attempts = 0;
  for (const Phase phase : {Phase::kExporting, Phase::kBootstrapping, Phase::kValidated}) {
    node.advance_to(phase);
    if (phase == Phase::kExporting) node.step();  // the cut, from which on mutations wait
    for (int i = 0; i <= kQueued; ++i) node.append_some(1);
    node.step();
    const std::string what = cat("after an overflow in phase ", to_string(phase));
    c.expect_equal(cat(what, ": phase"), to_string(node.phase()), to_string(Phase::kExporting));
    c.expect_equal(cat(what, ": attempts"), node.controller().manifest().attempts, ++attempts);
    node.expect_state();
  }
  node.advance_to(Phase::kValidated);
  for (int i = 0; i < kQueued; ++i) node.append_some(1);
  node.advance_to(Phase::kDualWrite);
  c.expect_equal("attempts in the end", node.controller().manifest().attempts, attempts);
  node.expect_state();
}

// The cut-over reads only what changed since the cut (SB-39), but all of that: whole blocks of
// entries that were dropped and written again, one of them wrongly.
void cut_over_reads_what_changed(PairContext& c) {
  Interposer target;
  target.root = MigratingNode::target_prefix(c);
  const families::Registry registry = interpose(c.registry(), c.descriptor(kB).name, &target);
  constexpr int64_t kBlock = image::kBlockEntries;
  MigratingNode node(&c, &registry);
  node.set_step_entries(kBlock);
  node.begin({save_meta({2, ""}), append(entries(1, kBlock, 1, 8)),
              append(entries(kBlock + 1, 2 * kBlock, 1, 8))});
  // From inside the first whole block on, then the log all over again.
  for (const Change& drop : {truncate_suffix(kBlock + 400), reset(kBlock - 10)}) {
    node.advance_to(Phase::kCutoverValidated);
    node.apply(drop);
    target.store_entry = [](families::LogEntry* entry) {
      if (entry->index == kBlock + 700) entry->payload.front() ^= 1;
    };
    const int64_t next = node.model().state().last() + 1;
    node.apply(append(entries(next, next + kBlock / 2, 2, 8)));
    node.apply(append(entries(next + kBlock / 2 + 1, 2 * kBlock + 20, 2, 8)));
    target.store_entry = nullptr;
    c.expect_ok("ask for the cut-over", node.controller().request_cutover());
    node.step();
    c.expect_equal(cat("after ", describe(drop), ", the phase after a cut-over that differs"),
                   to_string(node.phase()), to_string(Phase::kRolledBack));
  }
}

// Only a cut that was read in full, not long ago, leads over.
void cut_must_be_fresh(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  migration::MigrationRequest request = node.request();
  request.fresh_mutations = 4;
  request.fresh_time_ns = 1'000'000;
  c.expect_ok("start", node.controller().request_start(request));
  node.advance_to(Phase::kDualWrite);
  c.expect_code("a cut-over without a cut", node.controller().request_cutover(), kPrecondition);

  const auto cut_over_is_stale = [&](std::string_view what) {
    c.expect_ok(what, node.controller().request_cutover());
    node.step();
    c.expect_equal(cat(what, ": phase"), to_string(node.phase()), to_string(Phase::kDualWrite));
    c.expect(node.controller().manifest().authoritative == migration::Side::kA,
             cat(what, ": found B as the authority"));
    c.expect_code(cat(what, ": another try"), node.controller().request_cutover(), kPrecondition);
    node.expect_state();
  };
  node.advance_to(Phase::kCutoverValidated);
  for (int i = 0; i < 5; ++i) node.append_some(1);
  cut_over_is_stale("a cut that is 5 mutations old");

  node.advance_to(Phase::kCutoverValidated);
  node.clock() += 1'000'001;
  cut_over_is_stale("a cut that is too old");

  node.advance_to(Phase::kCutoverValidated);
  node.restart();
  c.expect_equal("the phase after an interruption", to_string(node.phase()),
                 to_string(Phase::kDualWrite));
  c.expect_code("a cut-over after an interruption", node.controller().request_cutover(),
                kPrecondition);

  node.advance_to(Phase::kCutoverValidated);
  for (int i = 0; i < 4; ++i) node.append_some(1);
  node.advance_to(Phase::kCutOver);
  node.expect_state();
}

// A manifest with a cut whose proof is not a full read-back is not one to go on from.
void proof_must_be_strong(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  node.advance_to(Phase::kCutoverValidated);
  migration::Manifest manifest = node.controller().manifest();
  c.expect_equal("the proof of the cut", manifest.cutover_cut->proof_kind, std::string("full"));
  c.expect_equal("the proof of the import", manifest.validated_cut->proof_kind,
                 std::string("full"));
  node.close();
  migration::ManifestStore store(&c.fs(), families::join_path(node.directory(), "migration"));
  c.expect(c.expect_value("load", store.load()).has_value(), "the manifest: found none");
  for (const std::string proof : {"sampled", ""}) {
    migration::Manifest weak = manifest;
    weak.cutover_cut->proof_kind = proof;
    c.expect_ok("save", store.save(weak));
    c.settle();
    c.expect_code(cat("a cut with the proof \"", proof, "\""), node.open(), kPrecondition);
  }
  // Over both of them.
  manifest.cutover_cut->proof_kind = "digest-readback";
  for (int i = 0; i < 2; ++i) c.expect_ok("save", store.save(manifest));
  c.settle();
  node.restart();
}

// ---- Back

// From every phase before the cut-over, at some point of it, with mutations before and after.
void action_is_reversible(PairContext& c) {
  RandomStream random = c.random("rollback");
  MigratingNode node(&c);
  node.begin(full_history());
  uint64_t generation = 0;
  for (const Phase phase : {Phase::kExporting, Phase::kBootstrapping, Phase::kValidated,
                            Phase::kDualWrite, Phase::kCutoverValidated}) {
    node.advance_to(phase);
    for (uint64_t steps = random.below(4); steps > 0; --steps) {
      node.append_some(1);
      if (node.phase() == phase) node.step();
    }
    if (node.phase() == phase && random.below(2) == 0) {
      node.apply(save_meta({node.model().state().hard_state.term + 1, std::string(kPeer)}));
    }
    const std::string root = node.controller().manifest().b.root;
    c.expect_ok("ask for a rollback", node.controller().request_rollback("changed our mind"));
    node.step();
    c.expect_equal("the phase", to_string(node.phase()), to_string(Phase::kRolledBack));
    c.expect(node.controller().manifest().authoritative == migration::Side::kA,
             "rolled back: found B as the authority");
    c.expect(node.controller().manifest().generation > generation,
             "generations: found one that did not grow");
    generation = node.controller().manifest().generation;
    node.expect_state();
    for (const std::string& left :
         {root, families::join_path(node.directory(), "migration/journal-log")}) {
      c.expect(!exists(c, left), cat("rolled back: found ", left));
    }
    if (random.below(2) == 0) node.restart();
    node.append_some(1);
    node.restart();
  }
  node.advance_to(Phase::kAccepted);
  node.expect_state();
}

void rollback_after_accept_refused(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  node.advance_to(Phase::kAccepted);
  const absl::Status status = node.controller().request_rollback("too late");
  c.expect_code("a rollback after the acceptance", status, kPrecondition);
  c.expect(to_std(status.message()).find("accepted") != std::string::npos,
           cat("found \"", to_std(status.message()), "\", expected the phase's name"));
  node.restart();
}

// ---- On after a crash

// Where a machine stopped: in a mutation, or in the migration's own work.
struct Stopped {
  std::optional<Change> inside;
};

// From a closed node to `to`, with a mutation of each lane in every phase on the way; nullopt if
// nothing stopped the machine.
std::optional<Stopped> go(PairContext& c, MigratingNode& node, Phase to) {
  const auto stopped = [&] { return c.disk()->pinned_crash().has_value(); };
  const auto open = [&] { c.expect_ok("open", node.open()); };
  open();
  if (stopped()) return Stopped{};
  for (std::optional<Phase> last; node.phase() != to;) {
    if (last != node.phase()) {
      last = node.phase();
      const State& state = node.model().state();
      const Change more = more_entries(state, 2);
      const int64_t term = more.entries.back().term;
      for (const Change& change : {more, save_meta({term + 1, std::string(kPeer)}),
                                   publish(snapshot(more.entries.front().index, term))}) {
        const Outcome outcome = node.try_apply(change);
        if (stopped()) return Stopped{change};
        c.expect_ok(describe(change), outcome);
        Model model = node.model();
        model.apply(change);
        node.adopt(model.state());
      }
    }
    if (node.phase() == Phase::kCutOver && !node.controller().manifest().probe_restart_ok) {
      node.close();
      if (!stopped()) open();
    } else if (!node.step()) {
      node.request_next();
    }
    if (stopped()) return Stopped{};
  }
  node.close();
  return stopped() ? std::optional(Stopped{}) : std::nullopt;
}

// The machine stops at every disk operation of the whole way, once for each way of losing what was
// not certain, and the node goes on from there: everything acknowledged is there, and a second
// start finds nothing left to do. From each phase that a crash left, it also goes on to the end.
void resume_after_crash(PairContext& c) {
  if (c.any_volatile()) c.not_applicable("one side keeps nothing");
  constexpr int64_t kStepEntries = 64;  // what is copied in one step is not the point here
  MigratingNode start(&c);
  start.set_step_entries(kStepEntries);
  start.begin(full_history());
  start.close();
  std::set<Phase> resumed;

  const auto judge = [&](PairContext& crashed, MigratingNode& node, const Stopped& stop) {
    crashed.expect_ok("open", node.open());
    const State found = node.state();
    std::vector<State> legal = {node.model().state()};
    if (stop.inside) {
      // Where one family is alone nothing reconciles what it declares as partial.
      const bool b_alone = node.phase() == Phase::kAccepted || node.phase() == Phase::kRetired;
      const families::FamilyDescriptor& alone = c.descriptor(b_alone ? kB : kA);
      legal = node.model().after_crash(*stop.inside, migration::is_dual(node.phase())
                                                         ? families::Partial::kNone
                                                         : alone.partials(stop.inside->operation));
    }
    crashed.expect(std::find(legal.begin(), legal.end(), found) != legal.end(),
                   cat("found ", describe(found), ", expected ", describe(legal.front()), " to ",
                       describe(legal.back())));
    node.adopt(found);
    const Phase phase = node.phase();
    node.restart();
    crashed.expect_equal("the phase of a second start", to_string(node.phase()), to_string(phase));
    if (!resumed.insert(phase).second) return;
    node.advance_to(Phase::kRetired);
    node.expect_state();
    node.append_some(1);
    node.restart();
  };

  // Each leg begins with a closed node, so that its points need not be reached from the beginning.
  std::unique_ptr<PairContext> base = c.fork();
  std::unique_ptr<MigratingNode> node = start.on(base.get());
  for (const Phase to : {Phase::kDualWrite, Phase::kCutOver, Phase::kAccepted, Phase::kRetired}) {
    const uint64_t first = base->disk()->operation_count();
    std::unique_ptr<PairContext> end = base->fork();
    std::unique_ptr<MigratingNode> ended = node->on(end.get());
    c.expect(!go(*end, *ended, to), "a run that nothing stops: found it stopped");
    const uint64_t last = end->disk()->operation_count();
    std::set<std::pair<uint64_t, std::string>> seen;
    for (uint64_t number = first + 1; number <= last; ++number) {
      if (!c.tries_point(number)) continue;
      c.count("crash points");
      const auto machine = base->fork();
      machine->disk()->pin_crash_at_operation(number);
      const auto running = node->on(machine.get());
      const std::optional<Stopped> stop = go(*machine, *running, to);
      const std::string where =
          cat("on the way to ", to_string(to), ", disk operation ", number - first,
              stop && stop->inside ? cat(", in ", describe(*stop->inside)) : std::string());
      c.expect(stop.has_value(), cat(where, ": not reached, though an equal run had one"));
      const auto stopped = machine->fork();
      // The process dies at one of the places inside the operation, or the power is cut.
      std::vector<Loss> losses = all_or_nothing(0, c.seed());
      const std::vector<Loss> deaths = process_deaths(0, c.seed());
      losses.push_back(deaths[number % deaths.size()]);
      for (const Loss& loss : losses) {
        const auto crashed = stopped->fork();
        const auto left = running->on(crashed.get());
        const auto choice = loss.choice();
        const CrashReport report = left->crash(loss.level, *choice);
        c.count("images");
        const std::string acknowledged = describe(left->model().state());
        if (!seen.emplace(crashed->disk()->image_hash(), acknowledged).second) continue;
        c.count("distinct");
        at(cat(where, ", ", loss.name, ": ", report.text), [&] { judge(*crashed, *left, *stop); });
      }
    }
    node = std::move(ended);
    base = std::move(end);
  }
  for (const Phase phase : {Phase::kIdle, Phase::kExporting, Phase::kDualWrite, Phase::kCutOver,
                            Phase::kAccepted, Phase::kRetired}) {
    c.expect(resumed.contains(phase) || !c.tries_every_point(),
             cat("phase ", to_string(phase), ": found no crash that left the node in it"));
  }
}

}  // namespace

std::vector<Check> phase_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> requirements,
                       void (*run)(PairContext&), std::vector<DiskKind> disks = kBothDisks) {
    checks.push_back(
        pair_check("PHASE", std::move(name), std::move(requirements), run).on(std::move(disks)));
  };
  add("plan_steps", {"SB-1", "SB-40", "RM-22", "RM-23", "RM-24", "RM-25", "RM-26", "RM-27"},
      plan_steps);
  add("step_order", {"SB-40", "RM-22", "RM-23", "RM-24", "RM-25", "RM-26", "RM-27"}, step_order);
  add("illegal_edge_refused", {"SB-40"}, illegal_edge_refused);
  add("already_there_is_noop", {"SB-40"}, already_there_is_noop);
  add("validate_before_step", {"EV-18", "RM-24"}, validate_before_step);
  add("reverse_on_failure", {"SB-41", "EV-19", "EV-20"}, reverse_on_failure);
  add("queue_overflows", {"SB-38", "SB-41"}, queue_overflows);
  add("cut_over_reads_what_changed", {"EV-20", "EV-22"}, cut_over_reads_what_changed,
      kSimulatedOnly);
  add("cut_must_be_fresh", {"EV-20", "EV-25"}, cut_must_be_fresh);
  add("proof_must_be_strong", {"EV-23", "EV-25"}, proof_must_be_strong);
  add("action_is_reversible", {"SB-41", "SB-43"}, action_is_reversible);
  add("rollback_after_accept_refused", {"SB-40"}, rollback_after_accept_refused);
  add("resume_after_crash", {"SB-25", "SB-35", "SB-43", "RM-11"}, resume_after_crash,
      kSimulatedOnly);
  return checks;
}

}  // namespace qk::sim::conformance
