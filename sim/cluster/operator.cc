#include "sim/cluster/operator.h"

#include <algorithm>

#include "families/base/suggest.h"
#include "migration/cluster_guard.h"
#include "sim/cluster/node.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

using migration::Phase;

// Every decision is taken from what is seen at one look.
constexpr Nanos kTransferPatience = 2 * kSecond;
constexpr Nanos kPlannedDown = 150 * kMillisecond;

}  // namespace

RollingOperator::RollingOperator(const World& world, std::vector<SimNode*> nodes)
    : world_(world), nodes_(std::move(nodes)) {}

void RollingOperator::start() {
  if (done()) return;
  world_.scheduler->at(world_.plan->migrations[0].start, [this] { tick(); });
}

void RollingOperator::tick() {
  if (done()) return;
  advance();
  world_.scheduler->after(kLook, [this] { tick(); });
}

void RollingOperator::advance() {
  went_on_ = true;
  if (world_.scheduler->now() >= idle_until_) {
    take_step();
  } else {
    wait(RollWait::kPlanned, "the soak before the next node, or the start of the next migration");
  }
  if (went_on_) record_wait({});
  tell_progress();
}

// A roll has moved when it is further than it ever was: the same phase once more is not.
void RollingOperator::tell_progress() {
  const Phase phase = node_ == nullptr ? Phase::kIdle : node_->last_phase();
  const Place place = {migration_, done_.size(), retries_, phase, stage_};
  const bool further = done() || waiting_.why == RollWait::kPlanned || place > furthest_;
  if (!further) return world_.checker->roll_waits(waiting_.reason);
  if (place > furthest_) furthest_ = place;
  world_.checker->roll_moves();
}

void RollingOperator::wait(RollWait why, std::string reason) {
  went_on_ = false;
  record_wait({node_ == nullptr ? std::string() : node_->name(), why, std::move(reason)});
}

void RollingOperator::record_wait(Wait now) {
  if (same(now, waiting_)) return;
  const Nanos lasted = world_.scheduler->now() - waiting_since_;
  if (is_hindered(waiting_.why)) {
    const auto known = std::find_if(ended_.begin(), ended_.end(),
                                    [this](const Wait& wait) { return same(wait, waiting_); });
    Wait& ended = known == ended_.end() ? ended_.emplace_back(waiting_) : *known;
    ended.total += lasted;
    ++ended.stays;
  }
  // The end of a wait is told where its beginning was.
  const std::string& lane = now.why == RollWait::kNone ? waiting_.node : now.node;
  Event event{.kind = EventKind::kMigWait};
  for (const SimNode* node : nodes_) {
    if (node->name() == lane) event.node = node->id();
  }
  event.args = {static_cast<uint64_t>(now.why)};
  world_.trace->record(event, now.reason);
  waiting_ = std::move(now);
  waiting_since_ = world_.scheduler->now();
}

std::vector<std::string> RollingOperator::waits() const {
  const auto who = [](const Wait& wait) {
    return wait.node.empty() ? std::string("the roll") : wait.node;
  };
  std::vector<std::string> lines;
  if (!done() && waiting_.why != RollWait::kNone) {
    lines.push_back(cat(who(waiting_), " since t=", seconds_text(waiting_since_, 3),
                        "s, still: ", waiting_.reason));
  }
  std::vector<Wait> ended = ended_;
  std::stable_sort(ended.begin(), ended.end(),
                   [](const Wait& a, const Wait& b) { return a.total > b.total; });
  for (const Wait& wait : ended) {
    lines.push_back(cat(who(wait), " for ", seconds_text(wait.total, 2), "s",
                        wait.stays > 1 ? cat(" in ", wait.stays, " periods") : std::string(), ": ",
                        wait.reason));
  }
  return lines;
}

void RollingOperator::next_stage(Stage stage) {
  stage_ = stage;
  stage_since_ = world_.scheduler->now();
}

SimNode* RollingOperator::leader() const {
  // Of two nodes that think they lead, the one with the higher term does.
  SimNode* found = nullptr;
  for (SimNode* node : nodes_) {
    if (!node->leads()) continue;
    if (found == nullptr || node->raft()->term() > found->raft()->term()) found = node;
  }
  return found;
}

// Without a leader nobody knows better than that every node votes.
bool RollingOperator::votes(const SimNode& node) const {
  const SimNode* const led_by = leader();
  if (led_by == nullptr) return true;
  const families::Configuration& configuration = led_by->raft()->configuration();
  const auto in = [&](const std::vector<std::string>& peers) {
    return std::find(peers.begin(), peers.end(), node.peer()) != peers.end();
  };
  return in(configuration.peers) || in(configuration.old_peers);
}

std::optional<std::string> RollingOperator::ailment(const SimNode& node) const {
  if (!node.up()) return cat(node.name(), " is down");
  // A leader never speaks to a machine without a vote.
  if (node.leads() || !node.raft()->leader().empty() || !votes(node)) return std::nullopt;
  return cat(node.name(), " has no contact with a leader");
}

bool RollingOperator::guard_allows() {
  std::vector<migration::NodeStatus> cluster;
  for (const SimNode* node : nodes_) {
    migration::NodeStatus status;
    status.id = node->name();
    status.peer = node->peer();
    status.phase = node->last_phase();
    status.healthy = healthy(*node);
    cluster.push_back(std::move(status));
  }
  if (world_.mutant != nullptr) world_.mutant->surveyed(&cluster);
  const SimNode* const led_by = leader();
  const bool may_stop = world_.plan->migrations[migration_].allow_unavailability;
  const absl::Status allowed = migration::may_proceed(
      cluster, led_by == nullptr ? families::Configuration{} : led_by->raft()->configuration(),
      node_->name(), may_stop);
  if (allowed.ok()) {
    // The step follows at once.
    std::vector<bool> up;
    for (const SimNode* node : nodes_) up.push_back(node->up());
    world_.checker->takes_risk(node_->id() - 1, up, may_stop);
    return true;
  }
  if (absl::IsPermissionDenied(allowed) && stage_ == Stage::kStart) {
    not_started(*node_, to_std(allowed.message()));
    leave("");
  } else {
    wait(RollWait::kGuard, std::string(to_std(allowed.message())));
  }
  return false;
}

bool RollingOperator::hands_over() {
  const Nanos waited = world_.scheduler->now() - stage_since_;
  if (!world_.plan->migrations[migration_].transfer_leadership_first || !node_->leads() ||
      waited >= kTransferPatience) {
    return false;
  }
  for (SimNode* other : nodes_) {
    if (other == node_ || !healthy(*other) || !votes(*other)) continue;
    wait(RollWait::kTransfer, cat(node_->name(), " hands its leadership over to ", other->name()));
    // Refused is fine: the operator looks again.
    node_->transfer_leadership(*other, [](const absl::Status&) {});
    return true;
  }
  return false;
}

// The plan's order, or followers first and the leader last; the leader hands over before its turn.
void RollingOperator::choose() {
  const MigrationPlan& plan = world_.plan->migrations[migration_];
  const auto is_done = [this](const SimNode* node) {
    return std::find(done_.begin(), done_.end(), node) != done_.end();
  };
  SimNode* next = nullptr;
  if (!plan.nodes.empty()) {
    for (const std::string& name : plan.nodes) {
      const auto it = std::find_if(nodes_.begin(), nodes_.end(),
                                   [&](const SimNode* node) { return node->name() == name; });
      if (it != nodes_.end() && !is_done(*it) && (*it)->store() == plan.from) {
        next = *it;
        break;
      }
    }
  } else {
    for (SimNode* node : nodes_) {
      if (is_done(node) || node->store() != plan.from) continue;
      if (next == nullptr || (next->leads() && !node->leads())) next = node;
    }
  }
  if (next == nullptr) {
    const auto moves = planned_moves(*world_.plan);
    for (const size_t i : moves[migration_]) {
      if (is_done(nodes_[i])) continue;
      not_started(*nodes_[i], cat("it is on store ", in_quotes(nodes_[i]->store()), ", not on ",
                                  in_quotes(plan.from)));
    }
    ++migration_;
    done_.clear();
    if (!done()) idle_until_ = world_.plan->migrations[migration_].start;
    return;
  }
  node_ = next;
  retries_ = 0;
  next_stage(Stage::kStart);
}

void RollingOperator::leave(std::string note) {
  if (!note.empty()) notes_.push_back(cat(node_->name(), ": ", note));
  done_.push_back(node_);
  node_ = nullptr;
  idle_until_ = world_.scheduler->now() + world_.plan->migrations[migration_].soak;
  next_stage(Stage::kChoose);
}

void RollingOperator::phase_entered(const SimNode& node, PhaseCode from, PhaseCode to,
                                    std::string_view reason) {
  const bool under_way = from >= PhaseCode::kExport && from <= PhaseCode::kCut;
  if (!under_way || to < PhaseCode::kExport || to > from) return;
  const std::string_view cause = reason.substr(0, reason.find(':'));
  const auto known = std::find_if(returns_.begin(), returns_.end(), [&](const Return& other) {
    return other.node == node.id() && other.from == from && other.to == to && other.cause == cause;
  });
  Return& entry =
      known != returns_.end()
          ? *known
          : returns_.emplace_back(Return{node.id(), from, to, std::string(cause), "", 0});
  entry.reason = reason;
  ++entry.times;
}

std::vector<std::string> RollingOperator::notes() const {
  std::vector<std::string> lines = notes_;
  for (const Return& entry : returns_) {
    lines.push_back(cat(nodes_[entry.node - 1]->name(),
                        entry.from == entry.to
                            ? std::string(" began again with ")
                            : cat(" went back from ", to_string(entry.from), " to "),
                        to_string(entry.to),
                        entry.times == 1 ? std::string(" once: ")
                                         : cat(" ", entry.times, " times, the last time: "),
                        entry.reason));
  }
  return lines;
}

void RollingOperator::not_started(const SimNode& node, std::string_view reason) {
  not_started_.push_back({migration_, node.id(), std::string(reason)});
}

std::vector<std::string> RollingOperator::not_started() const {
  std::vector<std::string> lines;
  const auto moves = planned_moves(*world_.plan);
  for (size_t i = 0; i < moves.size(); ++i) {
    const MigrationPlan& plan = world_.plan->migrations[i];
    for (const size_t n : moves[i]) {
      const SimNode& node = *nodes_[n];
      if (node.begun_migration() && *node.begun_migration() >= i) continue;
      const auto known = std::find_if(
          not_started_.begin(), not_started_.end(),
          [&](const NotStarted& other) { return other.migration == i && other.node == node.id(); });
      std::string reason = "its turn never came";
      if (known != not_started_.end()) {
        reason = known->reason;
      } else if (!done() && waiting_.why != RollWait::kNone) {
        reason += cat("; the roll waits",
                      waiting_.node.empty() ? std::string() : cat(" with ", waiting_.node), ": ",
                      waiting_.reason);
      }
      lines.push_back(cat(node.name(), ": not started: from store \"", plan.from, "\" to store \"",
                          plan.to, "\": ", reason));
    }
  }
  return lines;
}

void RollingOperator::after_rollback() {
  const MigrationPlan& plan = world_.plan->migrations[migration_];
  const std::string reason = node_->controller()->manifest().reason;
  if (plan.on_validation_fail == MigrationPlan::OnFail::kRetry && retries_ < plan.max_retries) {
    ++retries_;
    next_stage(Stage::kStart);
    return;
  }
  if (plan.on_validation_fail == MigrationPlan::OnFail::kHalt) {
    notes_.push_back(cat(node_->name(), ": the roll was halted: ", reason));
    migration_ = world_.plan->migrations.size();
    return;
  }
  leave(cat("rolled back: ", reason));
}

void RollingOperator::take_step() {
  if (stage_ == Stage::kChoose) return choose();
  if (const auto ails = ailment(*node_)) {
    // The operator took it down, or it would not be in this stage.
    if (stage_ == Stage::kProbe && !node_->up()) {
      return wait(RollWait::kWork, "a restart on the new family");
    }
    return wait(RollWait::kNode, *ails);
  }
  const MigrationPlan& plan = world_.plan->migrations[migration_];
  migration::Controller& controller = *node_->controller();
  const Phase phase = controller.phase();
  const Nanos waited = world_.scheduler->now() - stage_since_;
  if (stage_ > Stage::kStart && phase == Phase::kRolledBack) return after_rollback();
  // A request that was given up as lost may have been carried out after all: the phase decides.
  if (stage_ > Stage::kStart && phase == Phase::kAccepted) return leave("");
  // The mark of a start that was reported as failed.
  if (stage_ == Stage::kStart && node_->migrating()) return next_stage(Stage::kCopy);
  if (stage_ < Stage::kCut && phase == Phase::kCutOver) return next_stage(Stage::kCut);
  if (stage_ < Stage::kValidate && phase == Phase::kCutoverValidated) {
    return next_stage(Stage::kValidate);
  }
  const auto work = [this](std::string_view what) { wait(RollWait::kWork, std::string(what)); };
  const auto planned = [this](Nanos time, std::string_view what) {
    wait(RollWait::kPlanned, cat(what, " for ", seconds_text(time, 3), "s"));
  };
  const auto asked = [this](const absl::Status& status, Stage next) {
    if (status.ok()) return next_stage(next);
    wait(RollWait::kRequest, std::string(to_std(status.message())));
  };

  switch (stage_) {
    case Stage::kChoose:
      return;
    case Stage::kRetire:
      if (phase != Phase::kAccepted) return next_stage(Stage::kStart);
      return asked(node_->request_retire(), Stage::kRetired);
    case Stage::kRetired:
      // Only a durable mark counts: the next migration must not begin on one that a crash takes.
      if (node_->last_phase() == Phase::kRetired) return next_stage(Stage::kStart);
      if (phase == Phase::kAccepted && waited > kSecond) return next_stage(Stage::kRetire);
      return work("the deletion of the family before the last one");
    case Stage::kStart:
      return start_node();
    case Stage::kCopy:
      // A crash took the mark of the start away before it was durable; ask again.
      if (phase == Phase::kIdle || phase == Phase::kRetired) return next_stage(Stage::kStart);
      if (phase == Phase::kDualWrite) return next_stage(Stage::kDual);
      return work("export, import and catch-up");
    case Stage::kDual:
      if (phase != Phase::kDualWrite) return next_stage(Stage::kCopy);
      if (waited < plan.dual_write_for) return planned(plan.dual_write_for, "dual write");
      if (!guard_allows()) return;
      return asked(node_->request_validation(), Stage::kValidate);
    case Stage::kValidate:
      // Back in dual write: a restart or staleness took the cut away; validate again.
      if (phase == Phase::kDualWrite && waited > kSecond) return next_stage(Stage::kDual);
      if (phase != Phase::kCutoverValidated) return work("validation of the cutover cut");
      if (waited < kInspectCut) return planned(kInspectCut, "a look at the validated cut");
      if (!guard_allows()) return;
      return asked(node_->request_cutover(), Stage::kCut);
    case Stage::kCut:
      if (phase == Phase::kDualWrite) return next_stage(Stage::kDual);
      if (phase != Phase::kCutOver) return work("the cut-over");
      if (waited < plan.soak) return planned(plan.soak, "the soak after the cut-over");
      if (!guard_allows()) return;
      next_stage(Stage::kProbe);
      node_->planned_restart(kPlannedDown);
      return;
    case Stage::kProbe:
      if (!controller.manifest().probe_restart_ok) {
        return work("a restart on the new family");
      }
      if (waited < plan.soak) return planned(plan.soak, "the soak after the restart");
      return asked(node_->request_accept(), Stage::kAccept);
    case Stage::kAccept:
      // The mark was lost with a crash; ask again.
      if (waited > kSecond) return next_stage(Stage::kProbe);
      return work("the acceptance");
  }
}

void RollingOperator::start_node() {
  // T8 comes before another migration: nothing leads back any more to where the last one came from.
  if (node_->last_phase() == Phase::kAccepted) return next_stage(Stage::kRetire);
  if (hands_over() || !guard_allows()) return;
  const MigrationPlan& plan = world_.plan->migrations[migration_];
  const auto store = std::find_if(world_.plan->stores.begin(), world_.plan->stores.end(),
                                  [&](const StorePlan& s) { return s.id == plan.to; });
  QK_CHECK(store != world_.plan->stores.end());
  migration::MigrationRequest request;
  request.family = store->family;
  request.options = store->options;
  request.fresh_mutations = plan.fresh_mutations;
  request.fresh_time_ns = plan.fresh_time;
  request.accept_weak_durability = plan.accept_weak_durability;
  const absl::Status status = node_->request_migration(request, migration_);
  // The node is busy, or a call to its disk failed: that says nothing about the migration.
  if (absl::IsUnavailable(status) || status_errno(status) != 0) {
    return wait(RollWait::kRequest, std::string(to_std(status.message())));
  }
  if (!status.ok()) {
    not_started(*node_, to_std(status.message()));
    return leave("");
  }
  next_stage(Stage::kCopy);
}

}  // namespace qk::sim
