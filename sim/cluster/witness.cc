#include "sim/cluster/witness.h"

#include <algorithm>
#include <utility>

#include "families/fs/file_util.h"
#include "migration/fence.h"
#include "sim/cluster/node.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

using migration::Manifest;
using migration::Phase;

// The trace numbers operations and roles as the system does.
static_assert(static_cast<int>(StoreOp::kSaveSnapshot) ==
              static_cast<int>(families::Operation::kPublish));
static_assert(static_cast<int>(StoreOp::kSaveMeta) ==
              static_cast<int>(families::Operation::kSaveMeta));
static_assert(static_cast<int>(Role::kLeader) == static_cast<int>(raft::Role::kLeader));
static_assert(static_cast<int>(TimerKind::kDownload) == static_cast<int>(raft::Timer::kDownload));

struct Span {
  uint64_t first = 0;
  uint64_t last = 0;
};

// What a mutation covers, for the trace.
Span span_of(const families::Mutation& mutation) {
  switch (mutation.operation) {
    case families::Operation::kAppend:
      if (mutation.entries.empty()) return {};
      return {static_cast<uint64_t>(mutation.entries.front().index),
              static_cast<uint64_t>(mutation.entries.back().index)};
    case families::Operation::kSaveMeta:
      return {static_cast<uint64_t>(mutation.hard_state.term), 0};
    case families::Operation::kPublish:
      return {static_cast<uint64_t>(mutation.writer->meta().last_included_index), 0};
    default:
      return {static_cast<uint64_t>(mutation.index), 0};
  }
}

PhaseRecord record_of(const Manifest& manifest) {
  PhaseRecord record;
  record.phase = static_cast<MigrationPhase>(manifest.phase);
  record.generation = manifest.generation;
  record.authority = static_cast<Side>(manifest.authoritative);
  return record;
}

absl::StatusOr<PhaseRecord> read_record(families::FileSystem& fs) {
  QK_ASSIGN_OR_RETURN(
      const auto manifest,
      migration::ManifestStore(&fs, families::join_path(kNodeDir, "migration")).load());
  return manifest ? record_of(*manifest) : PhaseRecord{};
}

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

Witness::Witness(SimNode& node, const World& world, NodeId id, const NodePlan& plan,
                 Machine& machine)
    : node_(node),
      world_(world),
      id_(id),
      machine_(machine),
      probe_random_(world.stream(cat("probe.", plan.id))),
      messages_(world.checker, world.reach, world.plan, id) {
  manifest_.a.family = machine.initial().family;
  manifest_.a.root = machine.initial().root;
  manifest_.a.options = machine.initial().options;
  tell_families();
}

void Witness::migration_begun(size_t migration) {
  begun_migration_ = migration;
  const MigrationPlan& plan = world_.plan->migrations[migration];
  world_.checker->migration_began(index(), plan.fresh_mutations, plan.fresh_time);
}

void Witness::adopt(const Manifest& manifest) {
  manifest_ = manifest;
  if (manifest.phase == Phase::kAccepted) accepted_migration_ = begun_migration_;
  tell_families();
}

// For the cells of reach: where the node is, and where the plan takes it next.
void Witness::tell_families() const {
  std::string to = manifest_.b.family;
  const auto moves = planned_moves(*world_.plan);
  // After a rollback the same migration may begin again.
  size_t next = begun_migration_.value_or(0);
  if (begun_migration_ && accepted_migration_ == begun_migration_) ++next;
  for (size_t i = next; to.empty() && i < moves.size(); ++i) {
    const auto node = static_cast<size_t>(id_ - 1);
    if (std::find(moves[i].begin(), moves[i].end(), node) == moves[i].end()) continue;
    for (const StorePlan& store : world_.plan->stores) {
      if (store.id == world_.plan->migrations[i].to) to = store.family;
    }
  }
  world_.reach->set_families(id_, manifest_.a.family, to);
}

// ------------------------------------------------------------------------- the process's life

void Witness::process_begins(families::FileSystem& fs) {
  open_.clear();
  shrinks_ = machine_.disk().shrink_count();
  messages_.forget();
  role_ = raft::Role::kFollower;
  message_term_ = 0;
  message_index_ = 0;

  const FaultPause pause(machine_.disk());
  const auto found =
      migration::ManifestStore(&fs, families::join_path(kNodeDir, "migration")).load();
  if (found.ok()) {
    world_.checker->phase_resumed(index(), *found ? record_of(**found) : PhaseRecord{});
    if (*found && is_dual((*found)->phase)) judge_hard_states(**found);
  }
  // Without its authority no node starts, nor with an old family gone after the cut-over.
  const Manifest& on_disk = found.ok() && *found ? **found : manifest_;
  needs_lost_memory_ = machine_.memory_lost() &&
                       (machine_.is_volatile(on_disk.side(on_disk.authoritative)) ||
                        (on_disk.phase == Phase::kCutOver && machine_.is_volatile(on_disk.a)));
}

void Witness::opened(const Manifest& manifest) {
  if (torn_ && machine_.disk().shrink_count() != shrinks_) {
    world_.reach->hit(ReachProbe::kTornTailCut);
  }
  adopt(manifest);
}

void Witness::goes_live() {
  torn_ = false;
  if (phase() != Phase::kIdle) {
    SimDisk copy = durable_disk();
    world_.checker->relied_on(index(), read_record(*copy.mount()));
  }
  record_phase(code_of(phase()), manifest_, "");
}

void Witness::family_applied(const std::string& root, const AppliedMutation& mutation) {
  world_.checker->family_answered(index(), root, mutation.ok, mutation.given_up);
  for (const migration::Side side : {migration::Side::kA, migration::Side::kB}) {
    if (root != manifest_.side(side).root) continue;
    world_.checker->family_applied(index(), static_cast<Side>(side),
                                   {mutation.operation, mutation.digest, mutation.ok});
  }
}

void Witness::packet_arrived(NodeId from, const raft::Packet& packet) {
  messages_.arrived(from, packet, self());
}

void Witness::packet_sent(NodeId to, const raft::Packet& packet) {
  messages_.sent(to, packet, self());
}

MessageWatch::Self Witness::self() const {
  const raft::Node& raft = *node_.raft();
  return {raft.role() == raft::Role::kLeader, raft.term(), raft.commit_index(), raft.last_log()};
}

void Witness::raft_started() {
  const raft::Node& raft = *node_.raft();
  const int64_t snapshot = raft.snapshot_index();
  // What it applied since is told by itself.
  if (raft.applied_index() == snapshot) {
    world_.checker->loaded(index(), snapshot, node_.state_hash());
  }
}

bool Witness::start_failed(const absl::Status& status) {
  bool disk_fault = false;
  if (needs_lost_memory_ && absl::IsNotFound(status)) {
    world_.reach->hit(ReachProbe::kMemoryLost);
    world_.checker->lost(index(), to_std(status.message()));
  } else {
    disk_fault = world_.checker->start_failed(index(), status.code(), to_std(status.message()));
  }
  stopped(status.code(), to_std(status.message()));
  return disk_fault;
}

// The trace, and the ledger of what may end a process. A stall reports nothing.
void Witness::disk_struck(const DiskCall& call, const DiskStrike& strike) {
  Event event = this->event(EventKind::kFaultDisk);
  std::string place;
  if (strike.fault.kind == DiskFaultKind::kMisdirected && strike.fault.offset) {
    place = cat(to_string(call), " lands in ", strike.fault.to, " at ", *strike.fault.offset);
  }
  event.args = {static_cast<uint64_t>(strike.fault.kind), static_cast<uint64_t>(call.access),
                static_cast<uint64_t>(strike.fault.applied), place.empty() ? 0 : xxh3_64(place)};
  world_.trace->record(event, !world_.trace->keeps_marks() ? std::string()
                              : place.empty()              ? to_string(call)
                                                           : place);
  if (is_damage(strike.fault.kind) && strike.error == 0) {
    damaged(true, absl::StatusCode::kDataLoss,
            cat(to_string(strike.fault.kind), " of ", place.empty() ? to_string(call) : place));
  }
  if (strike.error == 0) return;
  const absl::Status error = errno_status(strike.error, to_string(call));
  const std::string what(to_std(error.message()));
  world_.checker->disk_failed(index(), error.code(), what);
  if (call.access != DiskAccess::kSync) return;
  for (const migration::Side side : {migration::Side::kA, migration::Side::kB}) {
    const std::string& root = manifest_.side(side).root;
    if (!root.empty() && (call.path == root || call.path.starts_with(root + "/"))) {
      world_.checker->sync_failed(index(), root, what);
    }
  }
}

void Witness::disk_damaged(const DiskFault& fault) {
  const std::string what = cat(to_string(fault.kind), " in ", fault.path, " at ", *fault.offset);
  Event event = this->event(EventKind::kFaultDisk);
  event.args = {static_cast<uint64_t>(fault.kind), 0, 0,
                xxh3_64(what, uint64_t{fault.mask} + 256 * static_cast<uint64_t>(fault.damage))};
  world_.trace->record(event, what);
  const bool unread = fault.kind == DiskFaultKind::kBadSector;
  damaged(!unread && is_undetectable(fault.path),
          unread ? errno_status(EIO, "").code() : absl::StatusCode::kDataLoss, what);
}

namespace {

// The first of what the family declares that covers the file.
const families::UncheckedPath* find_unchecked(const families::FamilyDescriptor& family,
                                              const std::string& root,
                                              const families::PartPaths& parts,
                                              std::string_view path) {
  const std::pair<std::string_view, std::string> places[] = {{"log/", parts.log},
                                                             {"raft_meta/", parts.raft_meta},
                                                             {"snapshot/", parts.snapshot},
                                                             {"", ""}};
  for (const auto& [part, place] : places) {
    const std::string directory =
        cat(place.starts_with('/') ? place : families::join_path(root, place), "/");
    if (!path.starts_with(directory)) continue;
    const std::string inside = cat(part, path.substr(directory.size()));
    for (const families::UncheckedPath& unchecked : family.unchecked) {
      if (inside.starts_with(unchecked.prefix)) return &unchecked;
    }
    return nullptr;
  }
  return nullptr;
}

}  // namespace

const families::UncheckedPath* Witness::unchecked(std::string_view path) const {
  for (const migration::Side side : {migration::Side::kA, migration::Side::kB}) {
    const migration::Instance& instance = manifest_.side(side);
    const families::FamilyDescriptor* family = machine_.registry().find(instance.family);
    if (instance.root.empty() || family == nullptr) continue;
    const families::OpenRequest request = machine_.open_request(instance, nullptr);
    if (const auto* found = find_unchecked(*family, request.root, request.parts, path)) {
      return found;
    }
  }
  return nullptr;
}

bool Witness::is_unchecked(std::string_view path) const {
  const families::UncheckedPath* found = unchecked(path);
  return found != nullptr && (found->bytes || found->length);
}

bool Witness::is_undetectable(std::string_view path) const { return unchecked(path) != nullptr; }

void Witness::damaged(bool may_forget, absl::StatusCode code, std::string what) {
  may_forget_ = may_forget_ || may_forget;
  world_.checker->disk_damaged(index(), may_forget, code, std::move(what));
}

SimDisk Witness::durable_disk() const {
  return may_forget_ ? machine_.disk().fork() : machine_.after_power_cut();
}

void Witness::stopped(absl::StatusCode code, std::string_view why) {
  Event event = this->event(EventKind::kNodeStop);
  event.args = {static_cast<uint64_t>(code)};
  world_.trace->record(event, why);
}

void Witness::crashed(CrashLoss loss, bool scheduled, const CrashReport& report) {
  Event crashed = event(EventKind::kFaultCrash);
  crashed.args = {static_cast<uint64_t>(loss), scheduled, report.dropped + report.torn};
  world_.trace->record(crashed, report.text);
  Event survived = event(EventKind::kDiskCrash);
  survived.args = {report.pending, report.kept, report.dropped + report.torn,
                   machine_.disk().image_hash()};
  world_.trace->record(survived);
  if (report.torn == 0) return;
  torn_ = true;
  world_.reach->hit(ReachProbe::kCrashTorn);
}

// ---------------------------------------------------------------------------- the migration

void Witness::record_step(MigStep step, std::string_view text) {
  const migration::Controller* const controller = node_.controller();
  Event event = this->event(EventKind::kMigStep);
  event.args = {static_cast<uint64_t>(step)};
  // A start reconciles before there is a controller.
  if (controller != nullptr) {
    const families::LogStorage& log = node_.controller()->driver().authority().log();
    event.args[1] = static_cast<uint64_t>(log.last_index());
    event.args[2] = static_cast<uint64_t>(controller->progress_ppm());
    event.args[3] = controller->node_driver().queue_size();
  }
  world_.trace->record(event, text);
}

void Witness::step_begins(bool at_barrier) {
  record_step(at_barrier ? MigStep::kBarrier : MigStep::kStep);
}

void Witness::background_done(const families::Family& family) {
  Event event = this->event(EventKind::kEngineJob);
  event.args = {family.pending_work()};
  world_.trace->record(event);
}

void Witness::export_begun() {
  record_step(MigStep::kCut);
  const FaultPause pause(machine_.disk());
  const auto cut = read_state(node_.controller()->driver().authority());
  if (cut.ok()) {
    cut_state_ = *cut;
  } else {
    world_.checker->unreadable(index(), annotate(cut.status(), "at the cut of the export"));
  }
}

void Witness::mark_begun(Phase from, const Manifest& to) {
  if (to.phase == Phase::kExporting) ++exports_marked_;
  if (to.phase == Phase::kCutOver && from != to.phase) {
    world_.checker->cutting_over(index(), world_.scheduler->now());
  }
}

void Witness::record_phase(PhaseCode code, const Manifest& manifest, std::string_view text) {
  Event event = this->event(EventKind::kMigPhase);
  int64_t index = 0;
  if (manifest.cutover_cut) {
    index = manifest.cutover_cut->last_index;
  } else if (manifest.export_cut) {
    index = manifest.export_cut->last_index;
  }
  const auto last = [&](migration::Side side) -> int64_t {
    families::Family* family = node_.controller()->family(side);
    return family == nullptr ? -1 : family->log().last_index();
  };
  const raft::Node* const raft = node_.raft();
  const int64_t commit = raft == nullptr ? 0 : raft->commit_index();
  event.args = {static_cast<uint64_t>(code),
                manifest.generation,
                static_cast<uint64_t>(index),
                static_cast<uint64_t>(last(migration::Side::kA)),
                static_cast<uint64_t>(last(migration::Side::kB)),
                static_cast<uint64_t>(commit)};
  world_.trace->record(event, text);
}

void Witness::mark_durable(Phase entered_from, const Manifest& to) {
  const PhaseCode from = code_of(phase());
  // ora.M2, M3: judged against what a disk that lost everything unsynced would tell.
  SimDisk copy = durable_disk();
  const auto fs = copy.mount();
  const auto durable = read_record(*fs);

  adopt(to);
  if (entered_from == to.phase && to.phase != Phase::kExporting) return;
  if (to.phase == Phase::kCutOver) {
    world_.checker->fenced(index(), to.generation, durable_state(migration::Side::kA),
                           durable_state(migration::Side::kB));
  }
  if (to.phase == Phase::kBootstrapping && cut_state_) judge_image();
  if (to.phase == Phase::kAccepted || to.phase == Phase::kRetired) {
    judge_fence(migration::Side::kA, *fs);
  } else if (to.phase == Phase::kRolledBack && to.b.state == image::InstanceState::kFenced) {
    judge_fence(migration::Side::kB, *fs);
  }
  world_.checker->phase_changed(index(), record_of(to), durable);
  // The product takes itself back, with B as evidence, and tries again: nothing else would tell of it.
  constexpr std::string_view kDiffers = "the families differ at the end of the catch-up";
  if (to.phase == Phase::kRolledBack && to.reason.starts_with(kDiffers)) {
    migration::Instance b = to.b;
    b.root = migration::fenced_path(b.root, to.generation);
    world_.checker->catch_up_differs(index(), durable_state(migration::Side::kA),
                                     durable_state_of(b));
  }
  if (to.phase == Phase::kDualWrite && entered_from == Phase::kValidated) judge_catch_up();
  // Retirement changes nothing of what the node does.
  if (to.phase == Phase::kRetired) return record_phase(code_of(phase()), to, "retired");
  if (to.phase == Phase::kRolledBack) enter(from, PhaseCode::kRollback, to);
  enter(from, code_of(phase()), to);
}

// Both families are to hold everything acked, before the first dual write is.
void Witness::judge_catch_up() {
  const families::HardState& now = world_.checker->ghost(index()).acked().hard_state;
  if (cut_state_ && !now.voted_for.empty() && !(now == cut_state_->hard_state)) {
    world_.reach->hit(ReachProbe::kVoteCaughtUp);
  }
  world_.checker->dual_ack(index(), durable_state(migration::Side::kA),
                           durable_state(migration::Side::kB));
}

void Witness::enter(PhaseCode from, PhaseCode to, const Manifest& manifest) {
  record_phase(to, manifest, manifest.reason);
  ++phase_entries_;
  world_.events->phase_entered(node_, from, to);
}

// What a start had to repair: the primary had it, the mirror did not.
void Witness::reconciled(const std::string& action) {
  record_step(MigStep::kReconcile, action);
  world_.reach->hit(ReachProbe::kCrashBetweenPair);
}

void Witness::step_complete() { world_.events->migration_progressed(node_); }

void Witness::storage_used() { world_.events->disk_advanced(node_); }

// ------------------------------------------------------------------------------------- Raft

void Witness::role_changed(raft::Role role, int64_t term, const raft::Reason& why) {
  Event event = this->event(EventKind::kRaftRole);
  event.args = {static_cast<uint64_t>(role), static_cast<uint64_t>(term),
                static_cast<uint64_t>(node_.raft()->last_index()),
                static_cast<uint64_t>(node_.raft()->commit_index()), static_cast<uint64_t>(role_)};
  role_ = role;
  if (role == raft::Role::kCandidate) world_.elections->candidate();
  if (role == raft::Role::kLeader) world_.elections->leader();
  world_.trace->record(event, world_.trace->keeps_marks() ? to_string(why) : std::string());
}

void Witness::timer_fired(raft::Timer timer) {
  Event event = this->event(EventKind::kTimer);
  event.args = {static_cast<uint64_t>(timer)};
  world_.trace->record(event);
}

void Witness::term_changed(int64_t term) {
  Event event = this->event(EventKind::kRaftTerm);
  event.args = {static_cast<uint64_t>(term)};
  world_.trace->record(event);
  world_.checker->term_observed(index(), term);
}

void Witness::vote_granted(int64_t term, const std::string& candidate) {
  Event event = this->event(EventKind::kRaftTerm);
  event.args = {static_cast<uint64_t>(term), world_.id_of(candidate)};
  world_.trace->record(event);
  world_.checker->vote_granted(index(), term, candidate);
}

void Witness::leader_started(int64_t term, const families::LogId&) {
  std::vector<EntryDigest> queued;
  for (const families::LogEntry& entry : node_.raft()->queued_entries())
    queued.push_back(digest_of(entry));
  world_.checker->leader_elected(index(), term, queued);
}

void Witness::mutation_issued(uint64_t id, const families::Mutation& mutation) {
  const Span span = span_of(mutation);
  Event event = this->event(EventKind::kStoreIssue);
  event.args = {static_cast<uint64_t>(mutation.operation), static_cast<uint64_t>(authority()),
                span.first, span.last, id};
  const uint64_t issued = world_.trace->record(event);
  std::optional<uint64_t> tree;
  if (mutation.operation == families::Operation::kPublish) {
    const FaultPause pause(machine_.disk());
    const auto hash = tree_hash(*mutation.writer);
    if (hash.ok()) {
      tree = *hash;
    } else {
      world_.checker->unreadable(index(), annotate(hash.status(), "a tree to be published"));
    }
  }
  open_[id] = {mutation.operation, world_.scheduler->now(), issued};
  if (mutation.operation == families::Operation::kSaveMeta) world_.elections->vote_issued();
  world_.checker->mutation_issued(index(), id, mutation, tree);
}

void Witness::mutation_completed(uint64_t id, const families::Outcome& outcome) {
  const auto it = open_.find(id);
  QK_CHECK(it != open_.end());
  const families::Operation operation = it->second.operation;
  if (operation == families::Operation::kSaveMeta) {
    world_.elections->vote_saved(world_.scheduler->now() - it->second.issued);
  }
  Event event = this->event(EventKind::kStoreDone);
  event.span = it->second.event;
  open_.erase(it);
  event.args = {static_cast<uint64_t>(operation),
                static_cast<uint64_t>(authority()),
                static_cast<uint64_t>(outcome.count()),
                static_cast<uint64_t>(node_.controller()->driver().authority().log().last_index()),
                id,
                static_cast<uint64_t>(outcome.status().code())};
  world_.trace->record(event);
  const families::Lane lane = families::lane_of(operation);
  if (!outcome.ok()) {
    world_.checker->mutation_failed(index(), id, outcome.kind(), outcome.count());
    return;
  }
  world_.checker->lane_acked(index(), lane,
                             is_dual(phase()) && node_.controller()->node_driver().dual());
  world_.checker->mutation_acked(index(), id, outcome.count());
  probe_ack(operation);
}

void Witness::message_sent(const std::string&, const raft::Packet&, const raft::Message* message) {
  world_.checker->served(index(), static_cast<Side>(authority()), manifest_.generation);
  if (message == nullptr) return;
  message_term_ = static_cast<uint64_t>(term_of(*message));
  if (const auto* append = std::get_if<raft::AppendRequest>(&message->body)) {
    message_index_ = static_cast<uint64_t>(append->prev.index) + append->entries.size();
  } else if (const auto* answer = std::get_if<raft::AppendResponse>(&message->body)) {
    message_index_ = static_cast<uint64_t>(answer->last_log_index);
  }
}

void Witness::committed(int64_t index, int64_t term) {
  Event event = this->event(EventKind::kRaftCommit);
  event.args = {static_cast<uint64_t>(index), static_cast<uint64_t>(term)};
  world_.trace->record(event);
  world_.checker->commit_advanced(this->index(), index, term, node_.raft()->term());
  world_.events->commit_advanced(node_, index, term);
}

void Witness::applied(const families::LogEntry& entry) {
  const uint64_t hash = node_.state_hash();
  Event event = this->event(EventKind::kRaftApply);
  const uint64_t payload = xxh3_64(entry.payload);
  event.args = {static_cast<uint64_t>(entry.index), hash, payload};
  world_.trace->record(event);
  if (entry.type == families::EntryType::kConfiguration) {
    Event configuration = this->event(EventKind::kRaftConfig);
    configuration.args = {static_cast<uint64_t>(entry.index), payload};
    world_.trace->record(configuration);
  }
  world_.checker->committed(index(), digest_of(entry), node_.raft()->term());
  world_.checker->applied(index(), entry.index, hash);
}

void Witness::snapshot_published(const families::SnapshotMeta& meta) {
  Event event = this->event(EventKind::kSnapPublish);
  event.args = {static_cast<uint64_t>(meta.last_included_index),
                static_cast<uint64_t>(meta.last_included_term)};
  world_.trace->record(event);
}

void Witness::snapshot_installed(const families::SnapshotMeta& meta) {
  Event event = this->event(EventKind::kSnapInstall);
  event.args = {static_cast<uint64_t>(meta.last_included_index),
                static_cast<uint64_t>(meta.last_included_term),
                world_.id_of(node_.raft()->leader())};
  world_.trace->record(event);
  world_.checker->loaded(index(), meta.last_included_index, node_.state_hash());
}

void Witness::failed(const absl::Status& status) { node_.fail(status); }

void Witness::label(NetMessage* message) {
  message->term = std::exchange(message_term_, 0);
  message->index = std::exchange(message_index_, 0);
}

}  // namespace qk::sim
