#include "sim/cluster/node.h"

#include <utility>

namespace qk::sim {
namespace {

using migration::Controller;
using migration::Phase;

}  // namespace

SimNode::SimNode(const World& world, NodeId id, const NodePlan& plan)
    : world_(world),
      id_(id),
      plan_(plan),
      machine_(world, id, plan),
      witness_(*this, world, id, plan, machine_) {
  machine_.tell_faults([this](const DiskCall& call, const DiskStrike& strike) {
    witness_.disk_struck(call, strike);
  });
}

const std::string& SimNode::store() const {
  const auto accepted = accepted_migration();
  return accepted ? world_.plan->migrations[*accepted].to : plan_.store;
}

bool SimNode::migrating() const {
  return last_phase() > Phase::kIdle && last_phase() < Phase::kAccepted;
}

bool SimNode::still_holds(int64_t index, int64_t term) const {
  if (machine_.memory_lost() &&
      machine_.is_volatile(witness_.manifest().side(witness_.authority()))) {
    return false;
  }
  return holds_durably(index, term);
}

// -------------------------------------------------------------------------------- begin and end

void SimNode::boot_first() {
  // The clock starts after the delivery of the disk.
  start_process();
}

void SimNode::start_process() {
  machine_.begin_life();
  world_.checker->starting(id_ - 1);
  process_ = std::make_unique<Process>(*this, world_, machine_, witness_);
  witness_.process_begins(process_->fs());
  const absl::Status opened = process_->open(!witness_.seen() && !plan_.initial);
  if (!opened.ok()) return refuse_to_start(opened);
  witness_.opened(controller()->manifest());

  // What the start wrote must be on the disk before the node speaks; until then it owes nothing
  // new.
  process_->touch_disk();
  machine_.after_storage([this] { go_live(); });
}

void SimNode::go_live() {
  const absl::Status read = witness_.judge_start();
  if (!read.ok()) return refuse_to_start(read);
  machine_.memory_is_whole();
  process_->announce_start();
  witness_.goes_live();
  const absl::Status started = process_->start_raft();
  if (!started.ok()) return refuse_to_start(started);
  witness_.raft_started();
  process_->go_live();
}

void SimNode::refuse_to_start(const absl::Status& status) {
  const bool disk_fault = witness_.start_failed(status);
  machine_.end_life();
  process_.reset();
  machine_.lose_memory();
  // The operator tries again; what a disk fault is no reason for stays down.
  if (disk_fault) come_back(world_.plan->cluster.operator_restart_after, false, true);
}

namespace {

std::unique_ptr<Choice> choice_of(const CrashFault& crash, RandomStream random) {
  if (crash.decided) return std::make_unique<Scripted>(*crash.decided);
  switch (crash.loss) {
    case CrashLoss::kProcess:
    case CrashLoss::kRandomSubset:
      return std::make_unique<Sampled>(random);
    case CrashLoss::kKeepSynced:
      return std::make_unique<DropAll>();
    case CrashLoss::kKeepAll:
      return std::make_unique<KeepAll>();
    case CrashLoss::kTornTail:
      return std::make_unique<TornTail>();
  }
  QK_CHECK(false);
}

}  // namespace

void SimNode::crash(const CrashFault& crash, bool scheduled,
                    std::function<void(const CrashReport&)> crashed) {
  if (!running()) return;
  process_->begin_to_stop();
  world_.checker->explain_stop(id_ - 1, StopReason::kCrash, scheduled ? "scheduled" : "drawn");
  // An event of its own: the process may be on the call stack right now.
  world_.scheduler->after(0, [this, crash, scheduled, crashed = std::move(crashed)] {
    std::unique_ptr<Choice> choice =
        choice_of(crash, world_.stream(cat("choice.", name(), ".", ++choices_)));
    const CrashLevel level = crash.loss == CrashLoss::kProcess ? CrashLevel::kP0 : crash.level;
    if (world_.mutant != nullptr) choice = world_.mutant->choice(std::move(choice));
    machine_.touch();
    const CrashReport report = disk().crash(level, world_.scheduler->now(), *choice);
    crashed(report);
    witness_.crashed(crash.loss, scheduled, report);
    machine_.lose_memory();
    stop_process(crash.restart_after, scheduled, absl::OkStatus());
    witness_.judge_import();
  });
}

void SimNode::planned_restart(Nanos down_for) {
  if (!up()) return;
  process_->begin_to_stop();
  world_.checker->explain_stop(id_ - 1, StopReason::kOperator, "planned restart");
  world_.scheduler->after(0, [this, down_for] {
    witness_.stopped(absl::StatusCode::kOk, "");
    // Everything issued runs to its end: the process leaves when its last operation has returned.
    stop_process(machine_.quiet_at() - world_.scheduler->now() + down_for, true, absl::OkStatus());
  });
}

void SimNode::fail(const absl::Status& status) {
  if (!running()) return;
  process_->begin_to_stop();
  world_.scheduler->after(0, [this, status] {
    witness_.stopped(status.code(), to_std(status.message()));
    machine_.lose_memory();
    stop_process(world_.plan->cluster.operator_restart_after, false, status);
  });
}

void SimNode::stop_process(Nanos restart_after, bool scheduled, const absl::Status& error) {
  machine_.end_life();
  world_.checker->stopped(id_ - 1, error.code(), to_std(error.message()));
  world_.network->set_node_up(id_, false);
  world_.network->attach(id_, {});
  process_.reset();
  come_back(restart_after, scheduled, !error.ok());
}

// An operator who looks into a storage error sees a disk that is full, and makes space.
void SimNode::come_back(Nanos after, bool scheduled, bool make_space) {
  world_.scheduler->after(after, [this, scheduled, make_space] {
    if (make_space) machine_.disk().make_space();
    Event event{.node = id_, .kind = EventKind::kFaultRestart};
    event.args = {scheduled};
    world_.trace->record(event);
    start_process();
  });
}

void SimNode::tell_draws(const Machine::DrawSink& sink) const {
  machine_.tell_draws(sink);
  sink(cat("probe.", name()), witness_.draws());
}

void SimNode::slow_disk(uint32_t factor) {
  machine_.slow(factor);
  Event event{.node = id_, .kind = EventKind::kFaultSlowDisk};
  event.args = {factor};
  world_.trace->record(event);
}

bool SimNode::aim_damage(DiskFault* fault, RandomStream* random) const {
  const std::vector<DiskFile> files = machine_.disk().files();
  std::vector<DiskFile> matching;
  for (const DiskFile& file : files) {
    if (file.path == fault->path) {
      matching = {file};
      break;
    }
    if (file.path.find(fault->path) == std::string::npos) continue;
    if (fault->path.empty() && witness_.is_unchecked(file.path)) continue;
    matching.push_back(file);
  }
  if (matching.empty()) return false;
  const DiskFile& file = matching[random->below(matching.size())];
  fault->path = file.path;
  const uint64_t at = random->below(file.size);
  const uint64_t bit = random->below(8);
  if (!fault->offset) fault->offset = at;
  if (fault->kind == DiskFaultKind::kBitFlip && fault->damage == DiskDamage::kBits &&
      fault->mask == 0) {
    fault->mask = static_cast<uint8_t>(1u << bit);
  }
  return true;
}

bool SimNode::damage_disk(const DiskFault& fault) {
  if (!disk().damage(fault)) return false;
  witness_.disk_damaged(fault);
  return true;
}

// --------------------------------------------------------------------------- clients, operator

void SimNode::propose(std::string payload, std::function<void(absl::StatusOr<std::string>)> done) {
  if (!up()) return;
  if (world_.mutant != nullptr && leads()) {
    if (auto early = world_.mutant->answer(id_, payload)) done(*std::move(early));
  }
  process_->when_free([this, payload = std::move(payload), done = std::move(done)]() mutable {
    raft()->propose(std::move(payload),
                    [this, done = std::move(done)](absl::StatusOr<raft::ApplyResult> r) {
                      if (!r.ok()) return done(r.status());
                      world_.checker->served(id_ - 1, static_cast<Side>(authority()),
                                             witness_.manifest().generation);
                      done(std::move(r->response));
                    });
    process_->touch_disk();
  });
}

void SimNode::transfer_leadership(SimNode& to, std::function<void(const absl::Status&)> answered) {
  QK_CHECK(leads());
  Event event{.node = id_, .kind = EventKind::kFaultTransfer};
  event.args = {to.id()};
  world_.trace->record(event);
  process_->when_free([this, peer = to.peer(), answered = std::move(answered)] {
    answered(raft()->transfer_leadership(peer));
    process_->touch_disk();
  });
}

void SimNode::request_rollback(std::string reason,
                               std::function<void(const absl::Status&)> answered) {
  QK_CHECK(up());
  process_->when_free([this, reason = std::move(reason), answered = std::move(answered)] {
    const absl::Status status = controller()->request_rollback(reason);
    if (status.ok()) world_.trace->record({.node = id_, .kind = EventKind::kFaultRollback});
    answered(status);
    process_->touch_disk();
  });
}

absl::Status SimNode::request(const std::function<absl::Status(Controller&)>& ask) {
  if (!up() || process_->blocked()) return absl::UnavailableError("the node is busy");
  if (world_.mutant != nullptr && world_.mutant->forgets_request(id_)) return absl::OkStatus();
  machine_.touch();
  const absl::Status status = ask(*controller());
  process_->touch_disk();
  return status;
}

absl::Status SimNode::request_migration(const migration::MigrationRequest& request,
                                        size_t migration) {
  return this->request([&](Controller& controller) -> absl::Status {
    const absl::Status started = controller.request_start(request);
    // A call to the disk that failed: the mark may be there all the same.
    if (started.ok() || status_errno(started) != 0) witness_.migration_begun(migration);
    return started;
  });
}

absl::Status SimNode::request_validation() { return request(&Controller::request_validation); }
absl::Status SimNode::request_cutover() { return request(&Controller::request_cutover); }
absl::Status SimNode::request_accept() { return request(&Controller::request_accept); }
absl::Status SimNode::request_retire() { return request(&Controller::request_retire); }

}  // namespace qk::sim
