// SimNode's migration: the operator's requests, what its runner asks of it, and phases announced
// when their marks are durable.
#include <algorithm>
#include <utility>

#include "families/fs/file_util.h"
#include "sim/cluster/process.h"

namespace qk::sim {
namespace {

using migration::Controller;
using migration::Manifest;
using migration::Phase;

// Copying leaves the disk to the node's own work between two steps, this long at least.
constexpr Nanos kStepPause = 12 * kMillisecond;

}  // namespace

PhaseCode code_of(Phase phase) {
  switch (phase) {
    case Phase::kIdle:
    case Phase::kRolledBack:
      return PhaseCode::kA;
    case Phase::kExporting:
      return PhaseCode::kExport;
    case Phase::kBootstrapping:
      return PhaseCode::kBoot;
    case Phase::kValidated:
      return PhaseCode::kV1;
    case Phase::kDualWrite:
      return PhaseCode::kDual;
    case Phase::kCutoverValidated:
      return PhaseCode::kV2;
    case Phase::kCutOver:
      return PhaseCode::kCut;
    case Phase::kAccepted:
    case Phase::kRetired:
      return PhaseCode::kB;
  }
  return PhaseCode::kA;
}

PhaseRecord record_of(const Manifest& manifest) {
  PhaseRecord record;
  record.phase = static_cast<MigrationPhase>(manifest.phase);
  record.generation = manifest.generation;
  record.authority = static_cast<Side>(manifest.authoritative);
  return record;
}

absl::Status SimNode::request(const std::function<absl::Status(Controller&)>& ask) {
  if (!up() || blocked_) return absl::UnavailableError("the node is busy");
  disk_.set_now(world_.scheduler->now());
  const absl::Status status = ask(*controller());
  touch_disk();
  return status;
}

absl::Status SimNode::request_migration(const migration::MigrationRequest& request,
                                        size_t migration) {
  return this->request([&](Controller& controller) -> absl::Status {
    QK_RETURN_IF_ERROR(controller.request_start(request));
    begun_migration_ = migration;
    const MigrationPlan& plan = world_.plan->migrations[migration];
    world_.checker->migration_began(id_ - 1, plan.fresh_mutations, plan.fresh_time);
    return absl::OkStatus();
  });
}

absl::Status SimNode::request_validation() { return request(&Controller::request_validation); }
absl::Status SimNode::request_cutover() { return request(&Controller::request_cutover); }
absl::Status SimNode::request_accept() { return request(&Controller::request_accept); }
absl::Status SimNode::request_retire() { return request(&Controller::request_retire); }

// -------------------------------------------------------------------------- the runner's host

void SimNode::after(int64_t ns, std::function<void()> then) {
  const Nanos pause = std::max(kStepPause, ns);
  world_.scheduler->after(pause, [this, life = life_, then = std::move(then)]() mutable {
    if (life == life_) when_free(std::move(then));
  });
}

void SimNode::at_barrier(std::function<void()> then) {
  process_->node->request_barrier([this, then = std::move(then)]() mutable {
    // The barrier may be granted in the middle of the node's own work.
    world_.scheduler->after(0, [this, life = life_, then = std::move(then)]() mutable {
      if (life != life_) return;
      when_free([this, then = std::move(then)] {
        blocked_ = true;
        then();
      });
    });
  });
}

void SimNode::release_barrier() {
  blocked_ = false;
  process_->node->release_barrier();
  // Handling one event may block the process again.
  while (!blocked_ && up() && !waiting_.empty()) {
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    when_free(std::move(next));
  }
}

void SimNode::stop(const absl::Status& why) {
  blocked_ = false;
  process_->storage_failed(why);
}

// ------------------------------------------------------------------------ what the runner tells

void SimNode::export_begun() {
  const auto cut = read_state(controller()->driver().authority());
  if (cut.ok()) {
    cut_state_ = *cut;
  } else {
    world_.checker->unreadable(id_ - 1, annotate(cut.status(), "at the cut of the export"));
  }
}

void SimNode::phase_changed(Phase from, const Manifest& to) {
  if (to.phase == Phase::kCutOver && from != to.phase) {
    world_.checker->cutting_over(id_ - 1, world_.scheduler->now());
  }
}

void SimNode::record_phase(PhaseCode code, const Manifest& manifest, std::string_view text) {
  Event event{.node = id_, .kind = EventKind::kMigPhase};
  int64_t index = 0;
  if (manifest.cutover_cut) {
    index = manifest.cutover_cut->last_index;
  } else if (manifest.export_cut) {
    index = manifest.export_cut->last_index;
  }
  const auto last = [&](migration::Side side) -> int64_t {
    families::Family* family = controller()->family(side);
    return family == nullptr ? -1 : family->log().last_index();
  };
  const int64_t commit = raft() == nullptr ? 0 : raft()->commit_index();
  event.args = {static_cast<uint64_t>(code),
                manifest.generation,
                static_cast<uint64_t>(index),
                static_cast<uint64_t>(last(migration::Side::kA)),
                static_cast<uint64_t>(last(migration::Side::kB)),
                static_cast<uint64_t>(commit)};
  world_.trace->record(event, text);
}

void SimNode::mark_durable(Phase entered_from, const Manifest& to) {
  const PhaseCode from = code_of(phase_);
  // ora.M2, M3: judged against what a disk that lost everything unsynced would tell.
  SimDisk copy = disk_.fork();
  DropAll drop;
  copy.crash(CrashLevel::kP2, std::max(copy.now(), world_.scheduler->now()), drop);
  const auto fs = copy.mount();
  migration::ManifestStore store(fs.get(), families::join_path(kNodeDir, "migration"));
  const auto durable = [&]() -> absl::StatusOr<PhaseRecord> {
    QK_ASSIGN_OR_RETURN(const auto manifest, store.load());
    return manifest ? record_of(*manifest) : PhaseRecord{};
  }();

  adopt(to);
  if (entered_from == to.phase && to.phase != Phase::kExporting) return;
  if (to.phase == Phase::kCutOver) {
    world_.checker->fenced(id_ - 1, to.generation, durable_state(migration::Side::kA),
                           durable_state(migration::Side::kB));
  }
  if (to.phase == Phase::kBootstrapping && cut_state_) judge_image();
  world_.checker->phase_changed(id_ - 1, record_of(to), durable);
  // Retirement changes nothing of what the node does.
  if (to.phase == Phase::kRetired) return record_phase(phase_code(), to, "retired");
  if (to.phase == Phase::kRolledBack) {
    record_phase(PhaseCode::kRollback, to, to.reason);
    ++phase_entries_;
    world_.events->phase_entered(*this, from, PhaseCode::kRollback);
  }
  record_phase(phase_code(), to, to.reason);
  ++phase_entries_;
  world_.events->phase_entered(*this, from, phase_code());
}

}  // namespace qk::sim
