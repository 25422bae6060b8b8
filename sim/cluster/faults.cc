#include "sim/cluster/faults.h"

#include <algorithm>

#include "families/base/suggest.h"
#include "sim/cluster/node.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

template <typename Fault>
bool is_fault(const FaultPlan& plan) {
  return std::holds_alternative<Fault>(plan.what);
}

}  // namespace

FaultInjector::FaultInjector(const World& world, std::vector<SimNode*> nodes)
    : world_(world), nodes_(std::move(nodes)) {
  for (const FaultPlan& plan : world_.plan->faults) {
    faults_.push_back(Armed{.plan = &plan, .injected = plan});
  }
}

void FaultInjector::start(Nanos end) {
  for (Armed& fault : faults_) {
    if (fault.plan->at.kind != Trigger::Kind::kTime || fault.plan->at.time >= end) continue;
    fault.timer = world_.scheduler->at(fault.plan->at.time, [this, &fault] { fire(fault); });
  }
}

void FaultInjector::draw_again(Nanos end) {
  RandomStream random = world_.stream("fault.again");
  const Nanos now = world_.scheduler->now();
  if (world_.plan->random.quiet_after > 0) end = std::min(end, world_.plan->random.quiet_after);
  for (Armed& fault : faults_) {
    if (fault.fired) continue;
    FaultPlan& plan = drawn_again_.emplace_back(*fault.plan);
    const bool moves = plan.drawn && fault.timer && now + 1 < end;
    const size_t other = moves ? random.below(nodes_.size()) : 0;
    const auto move = [&](std::string* name) {
      for (size_t i = 0; moves && i < nodes_.size(); ++i) {
        if (nodes_[i]->name() != *name) continue;
        *name = nodes_[(i + other) % nodes_.size()]->name();
        return;
      }
    };
    if (auto* const crash = std::get_if<CrashFault>(&plan.what)) {
      crash->decided.reset();
      move(&crash->node);
    } else if (auto* const partition = std::get_if<PartitionFault>(&plan.what)) {
      for (auto& side : partition->sides) {
        for (std::string& name : side) move(&name);
      }
    }
    if (moves) {
      // It may find its node down, which the one that was drawn first did not.
      plan.may_miss = true;
      plan.at.time = random.between(now + 1, end - 1);
      world_.scheduler->cancel(fault.timer);
      fault.timer = world_.scheduler->at(plan.at.time, [this, &fault] { fire(fault); });
    }
    fault.plan = &plan;
    fault.injected = plan;
  }
}

std::vector<std::string> FaultInjector::unfired() const {
  std::vector<std::string> result;
  for (const Armed& fault : faults_) {
    if ((fault.fired && !fault.due) || fault.plan->may_miss) continue;
    result.push_back(cat(fault.plan->where, ": ", fault.plan->at.text, " never fired",
                         fault.why.empty() ? std::string() : cat(": ", fault.why)));
  }
  return result;
}

std::vector<FaultPlan> FaultInjector::injected() const {
  std::vector<FaultPlan> result;
  for (const Armed& fault : faults_) {
    // One that met no call changed nothing.
    if ((!fault.fired || fault.due) && fault.plan->may_miss) continue;
    result.push_back(fault.injected);
    result.back().may_miss = false;
  }
  return result;
}

std::vector<std::string> FaultInjector::undecided() const {
  std::vector<std::string> result;
  for (const Armed& fault : faults_) {
    if (!fault.undecided.empty()) result.push_back(cat(fault.plan->where, ": ", fault.undecided));
  }
  return result;
}

FaultInjector::Undrawn FaultInjector::undrawn() const {
  const RandomFaultPlan& random = world_.plan->random;
  Undrawn result;
  bool some = false;
  const auto judge = [&](std::string_view kind, std::string_view field, Nanos mean,
                         const auto& is_one) {
    if (mean == 0) return;
    const bool injected = std::any_of(faults_.begin(), faults_.end(), [&](const Armed& fault) {
      return fault.fired && !fault.due && fault.plan->may_miss && is_one(*fault.plan);
    });
    some = some || injected;
    if (injected) return;
    result.kinds.push_back(cat(kind, " (mean_time_to_", field, " ", seconds_text(mean, 3), "s)"));
  };
  judge("crash", "crash", random.mean_time_to_crash, is_fault<CrashFault>);
  judge("partition", "partition", random.mean_time_to_partition, is_fault<PartitionFault>);
  judge("transfer", "transfer", random.mean_time_to_transfer, is_fault<TransferFault>);
  judge("rollback", "rollback", random.mean_time_to_rollback, is_fault<RollbackFault>);
  judge("disk error", "disk_error", random.mean_time_to_disk_error, [](const FaultPlan& plan) {
    const auto* error = std::get_if<DiskErrorFault>(&plan.what);
    return error != nullptr && !is_damage(error->fault.kind);
  });
  constexpr std::pair<DiskFaultKind, std::string_view> kDamage[] = {
      {DiskFaultKind::kLostWrite, "lost_write"},
      {DiskFaultKind::kMisdirected, "misdirected"},
      {DiskFaultKind::kFsyncLie, "fsync_lie"},
      {DiskFaultKind::kBitFlip, "bit_flip"},
      {DiskFaultKind::kBadSector, "bad_sector"}};
  for (const auto& [kind, field] : kDamage) {
    judge(to_string(kind), field, random.mean_time_to_damage[static_cast<size_t>(kind)],
          [kind = kind](const FaultPlan& plan) {
            const auto* error = std::get_if<DiskErrorFault>(&plan.what);
            return error != nullptr && error->fault.kind == kind;
          });
  }
  result.all = !some && !result.kinds.empty();
  return result;
}

void FaultInjector::has_no_effect(Armed& fault, std::string why) {
  if (fault.traced != why && !fault.plan->may_miss) {
    world_.trace->record({.kind = EventKind::kFaultNoEffect}, cat(fault.plan->at.text, ": ", why));
    fault.traced = why;
  }
  fault.fired = false;
  fault.due = false;
  fault.why = std::move(why);
}

bool FaultInjector::matches(const std::string& selector, const SimNode& node) const {
  if (selector == "@leader") return node.leads();
  if (selector == "@follower") return node.up() && !node.leads();
  if (selector == "@migrating") return true;  // asked only of a node whose migration moves
  return selector == node.name();
}

void FaultInjector::enter(Armed& fault, SimNode& node) {
  fault.node = &node;
  fault.entry = node.phase_entries();
  const Trigger& trigger = fault.plan->at;
  switch (trigger.kind) {
    case Trigger::Kind::kPhaseEnter:
    case Trigger::Kind::kPhaseExit: {
      if (trigger.time == 0) return fire(fault);
      fault.waiting = true;
      const bool leaving = trigger.kind == Trigger::Kind::kPhaseExit;
      world_.scheduler->after(trigger.time, [this, &fault, leaving] {
        fault.waiting = false;
        // An offset into a phase counts while the phase lasts.
        if (fault.fired || (!leaving && fault.node->phase_entries() != fault.entry)) return;
        fire(fault);
      });
      return;
    }
    case Trigger::Kind::kPhaseOperation:
      fault.waiting = true;
      if (const auto* error = std::get_if<DiskErrorFault>(&fault.plan->what);
          error != nullptr && resolve_one(error->node, fault) == &node) {
        // The operation itself is the first that it can hit.
        return arm(*error, fault, node.disk().operation_count() + trigger.operation);
      }
      node.disk().pin_crash_at_operation(node.disk().operation_count() + trigger.operation);
      return;
    default:
      return;
  }
}

void FaultInjector::phase_entered(SimNode& node, PhaseCode from, PhaseCode to) {
  for (Armed& fault : faults_) {
    const Trigger& trigger = fault.plan->at;
    if (fault.fired) continue;
    if (fault.waiting && fault.node == &node && trigger.kind == Trigger::Kind::kPhaseOperation &&
        to != trigger.phase) {
      fault.waiting = false;
      if (fault.target == nullptr) {
        node.disk().clear_pin();
      } else if (node.disk().operation_count() + 1 >= fault.from) {
        fault.fired = true;  // it has begun, and waits for its call
      } else {
        node.disk().remove_fault(fault.disk_fault);
        fault.target = nullptr;
        fault.due = false;
      }
      continue;
    }
    const bool entering = to == trigger.phase && (trigger.kind == Trigger::Kind::kPhaseEnter ||
                                                  trigger.kind == Trigger::Kind::kPhasePercent ||
                                                  trigger.kind == Trigger::Kind::kPhaseOperation);
    const bool leaving = from == trigger.phase && trigger.kind == Trigger::Kind::kPhaseExit;
    if (fault.waiting || (!entering && !leaving) || !matches(trigger.node, node)) continue;
    if (++fault.seen >= trigger.occurrence) enter(fault, node);
  }
}

void FaultInjector::migration_progressed(SimNode& node) {
  for (Armed& fault : faults_) {
    const Trigger& trigger = fault.plan->at;
    if (fault.fired || trigger.kind != Trigger::Kind::kPhasePercent || fault.node != &node ||
        node.phase_code() != trigger.phase) {
      continue;
    }
    if (node.controller()->progress_ppm() >= int64_t{trigger.percent} * 10'000) fire(fault);
  }
}

void FaultInjector::disk_advanced(SimNode& node) {
  const std::optional<Nanos> pinned = node.disk().pinned_crash();
  if (!pinned) return;
  for (Armed& fault : faults_) {
    if (fault.fired || !fault.waiting || fault.node != &node || fault.target != nullptr ||
        fault.plan->at.kind != Trigger::Kind::kPhaseOperation) {
      continue;
    }
    node.disk().clear_pin();
    fault.waiting = false;
    fault.fired = true;
    fault.due = true;
    // The operation was issued just now; the machine stops in the middle of it.
    world_.scheduler->at(std::max(*pinned, world_.scheduler->now()), [this, &fault] {
      fault.fired = false;
      fault.due = false;
      fire(fault);
    });
  }
}

void FaultInjector::commit_advanced(int64_t index) {
  for (Armed& fault : faults_) {
    if (!fault.fired && fault.plan->at.kind == Trigger::Kind::kIndex &&
        index >= fault.plan->at.index) {
      fire(fault);
    }
  }
}

void FaultInjector::fire(Armed& fault) {
  if (fault.fired) return;
  fault.fired = true;
  std::visit([&](const auto& what) { apply(what, fault); }, fault.plan->what);
}

SimNode* FaultInjector::resolve_one(const std::string& selector, const Armed& fault) const {
  // A selector that made the trigger come true means the node that did.
  if (fault.node != nullptr && selector == fault.plan->at.node) return fault.node;
  for (SimNode* node : nodes_) {
    if (selector == node->name()) return node;
    if (selector == "@leader" && node->leads()) return node;
    if (selector == "@follower" && node->up() && !node->leads()) return node;
    if (selector == "@migrating" && node->migrating()) return node;
  }
  return nullptr;
}

void FaultInjector::apply(const CrashFault& crash, Armed& fault) {
  SimNode* node = resolve_one(crash.node, fault);
  if (node == nullptr) return has_no_effect(fault, cat("no node is ", crash.node));
  if (!node->running()) return has_no_effect(fault, cat(node->name(), " is down already"));
  const auto others_down =
      std::count_if(nodes_.begin(), nodes_.end(),
                    [node](const SimNode* other) { return other != node && !other->up(); });
  if (crash.max_others_down && others_down >= int64_t{*crash.max_others_down}) {
    return has_no_effect(fault, cat(others_down, " other nodes are down"));
  }
  CrashFault& injected = std::get<CrashFault>(fault.injected.what);
  injected.max_others_down.reset();
  injected.node = node->name();
  node->crash(crash, !fault.plan->drawn, [&fault, &injected](const CrashReport& report) {
    if (injected.decided) {
      const std::string different = difference(*injected.decided, report.decision);
      if (!different.empty()) fault.undecided = cat("crash of ", injected.node, ": ", different);
    }
    injected.decided = report.decision;
  });
}

void FaultInjector::begin_partition(const std::vector<std::vector<NodeId>>& sides, bool asymmetric,
                                    std::optional<Nanos> duration) {
  const auto id = world_.network->partition(sides, asymmetric);
  if (!duration) return;
  world_.scheduler->after(*duration, [this, id] { world_.network->heal(id); });
}

// "@follower" on one side of a partition means every node that no side names. Any other selector
// names one node, and no two of them the same: that would be another partition than the one meant.
void FaultInjector::apply(const PartitionFault& partition, Armed& fault) {
  std::vector<std::vector<NodeId>> sides(partition.sides.size());
  std::vector<SimNode*> taken;
  for (size_t i = 0; i < partition.sides.size(); ++i) {
    for (const std::string& selector : partition.sides[i]) {
      if (selector == "@follower") continue;
      SimNode* node = resolve_one(selector, fault);
      if (node == nullptr) return has_no_effect(fault, cat("no node is ", selector));
      if (std::find(taken.begin(), taken.end(), node) != taken.end()) {
        return has_no_effect(
            fault, cat(selector, " is ", node->name(), ", which the partition names already"));
      }
      sides[i].push_back(node->id());
      taken.push_back(node);
    }
  }
  const std::vector<SimNode*> named = taken;
  for (size_t i = 0; i < partition.sides.size(); ++i) {
    const auto& side = partition.sides[i];
    if (std::find(side.begin(), side.end(), "@follower") == side.end()) continue;
    for (SimNode* node : nodes_) {
      if (std::find(named.begin(), named.end(), node) != named.end()) continue;
      sides[i].push_back(node->id());
      taken.push_back(node);
    }
  }
  // One side alone is cut off from everybody else.
  if (sides.size() == 1) {
    sides.emplace_back();
    for (SimNode* node : nodes_) {
      if (std::find(taken.begin(), taken.end(), node) == taken.end()) {
        sides[1].push_back(node->id());
      }
    }
  }
  const bool empty =
      std::any_of(sides.begin(), sides.end(), [](const auto& s) { return s.empty(); });
  if (empty) return has_no_effect(fault, "one of its sides holds every node");
  auto& injected = std::get<PartitionFault>(fault.injected.what).sides;
  injected.assign(sides.size(), {});
  for (size_t i = 0; i < sides.size(); ++i) {
    for (const NodeId id : sides[i]) injected[i].push_back(nodes_[id - 1]->name());
  }
  begin_partition(sides, partition.asymmetric, fault.plan->duration);
}

void FaultInjector::apply(const SlowDiskFault& slow, Armed& fault) {
  SimNode* node = resolve_one(slow.node, fault);
  if (node == nullptr) return has_no_effect(fault, cat("no node is ", slow.node));
  std::get<SlowDiskFault>(fault.injected.what).node = node->name();
  node->slow_disk(slow.factor);
  if (fault.plan->duration) {
    world_.scheduler->after(*fault.plan->duration, [node] { node->slow_disk(1); });
  }
}

void FaultInjector::apply(const TransferFault& transfer, Armed& fault) {
  SimNode* target = resolve_one(transfer.node, fault);
  const auto leads = [target](const SimNode* node) { return node != target && node->leads(); };
  const auto leader = std::find_if(nodes_.begin(), nodes_.end(), leads);
  if (target == nullptr || leader == nodes_.end()) {
    return has_no_effect(fault, cat("no other node leads that could hand over to ", transfer.node));
  }
  // A leader that sits in a step of its migration answers later, or dies in it.
  std::get<TransferFault>(fault.injected.what).node = target->name();
  fault.due = true;
  fault.why = cat((*leader)->name(), " never answered the request to hand over");
  (*leader)->transfer_leadership(*target, [this, &fault](const absl::Status& answer) {
    if (!answer.ok()) return has_no_effect(fault, std::string(to_std(answer.message())));
    fault.due = false;
  });
}

void FaultInjector::apply(const RollbackFault& rollback, Armed& fault) {
  SimNode* node = resolve_one(rollback.node, fault);
  if (node == nullptr) return has_no_effect(fault, cat("no node is ", rollback.node));
  if (!node->up()) return has_no_effect(fault, cat(node->name(), " is down"));
  std::get<RollbackFault>(fault.injected.what).node = node->name();
  fault.due = true;
  fault.why = cat(node->name(), " never answered the request to roll back");
  node->request_rollback("taken back by the operator", [this, &fault](const absl::Status& answer) {
    if (!answer.ok()) return has_no_effect(fault, std::string(to_std(answer.message())));
    fault.due = false;
  });
}

void FaultInjector::apply(const HealFault&, Armed& fault) {
  const bool slow = std::any_of(nodes_.begin(), nodes_.end(), [](SimNode* node) {
    return node->is_slow() || node->disk().has_faults();
  });
  if (!slow && world_.network->is_whole()) return has_no_effect(fault, "there is nothing to heal");
  world_.network->heal_all();
  for (SimNode* node : nodes_) {
    node->slow_disk(1);
    node->disk().clear_faults();
  }
}

void FaultInjector::apply(const DiskErrorFault& error, Armed& fault) {
  SimNode* node = resolve_one(error.node, fault);
  if (node == nullptr) return has_no_effect(fault, cat("no node is ", error.node));
  if (error.max_others_down) {
    const auto others_down =
        std::count_if(nodes_.begin(), nodes_.end(),
                      [node](const SimNode* other) { return other != node && !other->up(); });
    if (others_down >= int64_t{*error.max_others_down}) {
      return has_no_effect(fault, cat(others_down, " other nodes are down"));
    }
  }
  if (is_at_rest(error.fault.kind)) {
    damage(*node, fault);
  } else {
    arm(error, fault, 0);
  }
}

std::string FaultInjector::over_budget(const SimNode& node) const {
  std::vector<std::string> spent;
  for (const SimNode* other : nodes_) {
    if (other != &node && (damaged_.contains(other->id()) || other->memory_lost())) {
      spent.push_back(other->name());
    }
  }
  const size_t budget = damage_budget(nodes_.size());
  if (spent.size() < budget) return "";
  return cat("the fault budget of ", nodes_.size(), " nodes is ", budget,
             spent.empty() ? std::string() : cat(", spent on ", join(spent)));
}

// Which bytes is drawn from those that are there.
void FaultInjector::damage(SimNode& node, Armed& fault) {
  if (const std::string why = over_budget(node); !why.empty()) return has_no_effect(fault, why);
  auto& injected = std::get<DiskErrorFault>(fault.injected.what);
  injected.node = node.name();
  RandomStream random = world_.stream(cat("damage.", &fault - faults_.data()));
  if (!node.aim_damage(&injected.fault, &random) || !node.damage_disk(injected.fault)) {
    return has_no_effect(fault, cat("no bytes of ", node.name(), " on the medium match"));
  }
  damaged_.insert(node.id());
}

// A down node may meet it when it starts.
void FaultInjector::arm(const DiskErrorFault& error, Armed& fault, uint64_t from) {
  SimNode* node = resolve_one(error.node, fault);
  if (is_damage(error.fault.kind)) {
    if (const std::string why = over_budget(*node); !why.empty()) return has_no_effect(fault, why);
    damaged_.insert(node->id());
  }
  auto& injected = std::get<DiskErrorFault>(fault.injected.what);
  injected.max_others_down.reset();
  injected.node = node->name();
  fault.target = node;
  fault.from = from;
  fault.due = true;
  fault.why = cat("no call of ", node->name(), " to its disk matched");
  fault.disk_fault = node->disk().add_fault(error.fault, from, [&fault](const DiskFault& hit) {
    // Where a misdirected write landed.
    auto& written = std::get<DiskErrorFault>(fault.injected.what).fault;
    if (!is_at_rest(hit.kind) && hit.times == 1) written = hit;
    fault.fired = true;
    fault.waiting = false;
    fault.due = false;
  });
  if (!fault.plan->duration) return;
  world_.scheduler->after(*fault.plan->duration,
                          [node, &fault] { node->disk().remove_fault(fault.disk_fault); });
}

}  // namespace qk::sim
