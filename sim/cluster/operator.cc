#include "sim/cluster/operator.h"

#include <algorithm>

#include "migration/cluster_guard.h"
#include "sim/cluster/node.h"

namespace qk::sim {
namespace {

using migration::Phase;

// How often the operator looks; every decision is taken from what is seen at that moment.
constexpr Nanos kLook = 20 * kMillisecond;
// A validated cut is looked at before the switch; it must stay within the freshness bounds.
constexpr Nanos kInspectCut = 300 * kMillisecond;
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
  if (world_.scheduler->now() >= idle_until_) advance();
  world_.scheduler->after(kLook, [this] { tick(); });
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

bool RollingOperator::healthy(const SimNode& node) const {
  return node.up() && (node.leads() || !node.raft()->leader().empty());
}

bool RollingOperator::guard_allows() {
  std::vector<migration::NodeStatus> cluster;
  for (const SimNode* node : nodes_) {
    migration::NodeStatus status;
    status.id = node->name();
    status.phase = node->last_phase();
    status.healthy = healthy(*node);
    status.leader = node->leads();
    cluster.push_back(std::move(status));
  }
  return migration::may_proceed(cluster, node_->name()).ok();
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
      if (it != nodes_.end() && !is_done(*it)) {
        next = *it;
        break;
      }
    }
  } else {
    for (SimNode* node : nodes_) {
      if (is_done(node) || node->configured_store() != plan.from) continue;
      if (next == nullptr || (next->leads() && !node->leads())) next = node;
    }
  }
  if (next == nullptr) {
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

void RollingOperator::advance() {
  if (stage_ == Stage::kChoose) return choose();
  if (!healthy(*node_)) return;  // wait until it is back
  const MigrationPlan& plan = world_.plan->migrations[migration_];
  migration::Controller& controller = *node_->controller();
  const Phase phase = controller.phase();
  const Nanos waited = world_.scheduler->now() - stage_since_;
  if (stage_ > Stage::kStart && phase == Phase::kRolledBack) return after_rollback();
  // A request that was given up as lost may have been carried out after all: the phase decides.
  if (stage_ > Stage::kStart && phase == Phase::kAccepted) return leave("");
  if (stage_ < Stage::kCut && phase == Phase::kCutOver) return next_stage(Stage::kCut);
  if (stage_ < Stage::kValidate && phase == Phase::kCutoverValidated) {
    return next_stage(Stage::kValidate);
  }

  switch (stage_) {
    case Stage::kChoose:
      return;
    case Stage::kStart: {
      if (plan.transfer_leadership_first && node_->leads() && waited < kTransferPatience) {
        for (SimNode* other : nodes_) {
          if (other == node_ || !healthy(*other)) continue;
          node_->transfer_leadership(*other);
          break;
        }
        return;
      }
      if (!guard_allows()) return;
      const auto store = std::find_if(world_.plan->stores.begin(), world_.plan->stores.end(),
                                      [&](const StorePlan& s) { return s.id == plan.to; });
      QK_CHECK(store != world_.plan->stores.end());
      migration::MigrationRequest request;
      request.family = store->family;
      request.options = store->options;
      request.fresh_mutations = plan.fresh_mutations;
      request.fresh_time_ns = plan.fresh_time;
      request.accept_weak_durability = plan.accept_weak_durability;
      const absl::Status status = node_->request_migration(request);
      if (!status.ok()) return leave(cat("not started: ", to_std(status.message())));
      return next_stage(Stage::kCopy);
    }
    case Stage::kCopy:
      // A crash took the mark of the start away before it was durable; ask again.
      if (phase == Phase::kIdle) return next_stage(Stage::kStart);
      if (phase == Phase::kDualWrite) next_stage(Stage::kDual);
      return;
    case Stage::kDual:
      if (phase != Phase::kDualWrite) return next_stage(Stage::kCopy);
      if (waited < plan.dual_write_for || !guard_allows()) return;
      if (node_->request_validation().ok()) next_stage(Stage::kValidate);
      return;
    case Stage::kValidate:
      // Back in dual write: a restart or staleness took the cut away; validate again.
      if (phase == Phase::kDualWrite && waited > kSecond) return next_stage(Stage::kDual);
      if (phase != Phase::kCutoverValidated || waited < kInspectCut || !guard_allows()) return;
      if (node_->request_cutover().ok()) next_stage(Stage::kCut);
      return;
    case Stage::kCut:
      if (phase == Phase::kDualWrite) return next_stage(Stage::kDual);
      if (phase != Phase::kCutOver || waited < plan.soak || !guard_allows()) return;
      next_stage(Stage::kProbe);
      node_->planned_restart(kPlannedDown);
      return;
    case Stage::kProbe:
      if (!controller.manifest().probe_restart_ok || waited < plan.soak) return;
      if (node_->request_accept().ok()) next_stage(Stage::kAccept);
      return;
    case Stage::kAccept:
      // The mark was lost with a crash; ask again.
      if (waited > kSecond) next_stage(Stage::kProbe);
      return;
  }
}

}  // namespace qk::sim
