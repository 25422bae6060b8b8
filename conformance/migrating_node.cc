#include "conformance/migrating_node.h"

#include "conformance/history.h"
#include "conformance/planting.h"
#include "families/fs/file_util.h"

namespace qk::sim::conformance {

using families::Outcome;
using migration::Phase;

namespace {

constexpr int kMostSteps = 10'000;  // for states as small as those of checks

}  // namespace

MigratingNode::MigratingNode(PairContext* c, const families::Registry* registry,
                             std::string_view name)
    : c_(*c),
      registry_(registry != nullptr ? registry : &c->registry()),
      name_(name),
      directory_(c->path(name)),
      initial_root_(families::join_path(directory_, "initial")),
      ids_(c->random("ids")),
      background_(c->random("background")) {}

MigratingNode::~MigratingNode() = default;

std::unique_ptr<MigratingNode> MigratingNode::on(PairContext* fork) const {
  auto node = std::make_unique<MigratingNode>(
      fork, registry_ == &c_.registry() ? nullptr : registry_, name_);
  node->target_root_ = target_root_;
  node->ids_ = ids_;
  node->background_ = background_;
  node->clock_ = clock_;
  node->step_entries_ = step_entries_;
  node->max_queued_ = max_queued_;
  node->created_ = created_;
  node->model_ = model_;
  node->states_ = states_;
  node->phases_ = phases_;
  return node;
}

std::string MigratingNode::target_prefix(const PairContext& c) {
  return families::join_path(c.path("node"), cat(c.descriptor(PairContext::kB).name, "-g"));
}

void MigratingNode::phase_changed(Phase from, const migration::Manifest& to) {
  if (from != to.phase) phases_.push_back(to.phase);
  target_root_ = to.b.root;
}

absl::Status MigratingNode::open() {
  migration::ControllerOptions options;
  options.fs = &c_.fs();
  if (planting().node && !planted_) planted_ = planting().node(*registry_, *this);
  options.registry = planted_ ? &*planted_ : registry_;
  options.node_dir = directory_;
  options.group_id = transfer_identity().group_id;
  options.peer_id = transfer_identity().peer_id;
  options.initial = {c_.descriptor(PairContext::kA).name, initial_root_, {}};
  options.create = !created_;
  options.now = [this] {
    ++clock_;
    return planting().clock ? planting().clock(clock_) : clock_;
  };
  options.random = [this] { return ids_.next(); };
  options.step_entries = step_entries_;
  // Checks crash more often than a migration puts up with; that it gives up is migration's test.
  options.max_attempts = kMostSteps;
  options.max_queued = max_queued_;
  working_ = true;
  auto opened = migration::StepwiseRunner::open(std::move(options), this, [this] {
    c_.settle();
    return true;
  });
  working_ = false;
  QK_ASSIGN_OR_RETURN(runner_, std::move(opened));
  created_ = true;
  note_state();
  return absl::OkStatus();
}

void MigratingNode::begin(const std::vector<Change>& history) {
  c_.expect_ok("make the node's directory", families::make_directories(c_.fs(), directory_));
  c_.expect_ok("open the node", open());
  apply(history);
}

void MigratingNode::drain(uint64_t most) {
  for (; most > 0; --most) {
    if (!c_.expect_value("background work", runner_->run_background())) break;
  }
  c_.settle();
}

void MigratingNode::close() {
  if (is_open() && runner_->failure().ok()) drain(~uint64_t{0});
  runner_.reset();
  c_.settle();
}

void MigratingNode::restart() {
  close();
  c_.expect_ok("open the node again", open());
  expect_state();
}

CrashReport MigratingNode::crash(CrashLevel level, Choice& choice) {
  return c_.crash(level, choice, [this] { runner_.reset(); });
}

State MigratingNode::state() {
  return c_.expect_value("read the state", read_state(controller().driver().authority()));
}

void MigratingNode::note_state() { states_[controller().node_driver().seq()] = model_.state(); }

std::optional<State> MigratingNode::state_at(uint64_t seq) const {
  const auto found = states_.find(seq);
  return found == states_.end() ? std::nullopt : std::optional(found->second);
}

Outcome MigratingNode::try_apply(const Change& change) {
  auto mutation = c_.expect_value(cat("prepare ", describe(change)),
                                  to_mutation(controller().driver(), change));
  Outcome outcome = controller().driver().apply(std::move(mutation));
  c_.settle();
  if (outcome.ok()) drain(background_.below(3));
  return outcome;
}

void MigratingNode::apply(const Change& change) {
  const int64_t count = model_.count(change);
  QK_CHECK(model_.apply(change) == Model::Verdict::kApplied);
  const Outcome outcome = try_apply(change);
  c_.expect_ok(describe(change), outcome);
  c_.expect_equal(cat(describe(change), ": count"), outcome.count(), count);
  note_state();
}

void MigratingNode::apply(const std::vector<Change>& changes) {
  for (const Change& change : changes) apply(change);
}

void MigratingNode::append_some(int64_t count) { apply(more_entries(model_.state(), count)); }

void MigratingNode::expect_state() {
  c_.expect_same_state("authority", state(), model_.state());
  if (!migration::is_dual(phase())) return;
  for (const migration::Side side : {migration::Side::kA, migration::Side::kB}) {
    c_.expect_same_state(cat("side ", side == migration::Side::kA ? "A" : "B"),
                         c_.expect_value("read", read_state(*controller().family(side))),
                         model_.state());
  }
}

migration::MigrationRequest MigratingNode::request() const {
  migration::MigrationRequest request;
  request.family = c_.descriptor(PairContext::kB).name;
  request.fresh_mutations = 1000;
  request.fresh_time_ns = 1'000'000'000;
  request.accept_weak_durability = c_.any_volatile();
  return request;
}

void MigratingNode::start_migration() {
  c_.expect_ok("ask for the migration", controller().request_start(request()));
  c_.settle();
}

absl::StatusOr<bool> MigratingNode::try_step() {
  working_ = true;
  absl::StatusOr<bool> stepped = runner_->step();
  working_ = false;
  return stepped;
}

bool MigratingNode::step() {
  if (!c_.expect_value(cat("step in phase ", to_string(phase())), try_step())) return false;
  drain(background_.below(3));
  return true;
}

void MigratingNode::request_next() {
  switch (phase()) {
    case Phase::kIdle:
    case Phase::kRolledBack:
    case Phase::kRetired:
      start_migration();
      return;
    case Phase::kDualWrite:
      c_.expect_ok("ask for validation", controller().request_validation());
      return;
    case Phase::kCutoverValidated:
      c_.expect_ok("ask for the cut-over", controller().request_cutover());
      return;
    case Phase::kCutOver:
      c_.expect_ok("ask for acceptance", controller().request_accept());
      return;
    case Phase::kAccepted:
      c_.expect_ok("ask for the retirement", controller().request_retire());
      return;
    default:
      c_.fail(cat("phase ", to_string(phase()), " needs nothing, expected a way on"));
  }
}

void MigratingNode::advance_to(Phase wanted) {
  for (int steps = 0; phase() != wanted; ++steps) {
    if (steps > kMostSteps) {
      c_.fail(cat("phase ", to_string(phase()), " after ", steps, " steps (",
                  controller().manifest().reason, "), expected ", to_string(wanted)));
    }
    if (step()) continue;
    if (phase() == Phase::kCutOver && !controller().manifest().probe_restart_ok) {
      restart();
    } else {
      request_next();
    }
  }
}

}  // namespace qk::sim::conformance
