#include "migration/controller.h"

#include <algorithm>

#include "families/base/check.h"
#include "families/base/suggest.h"
#include "families/contract/uri.h"
#include "families/fs/file_util.h"
#include "migration/fence.h"

namespace qk::migration {
namespace {

using families::Family;
using image::InstanceState;

// A reason may quote whatever failed; longer ones are cut, so that the manifest fits its slot.
constexpr size_t kMaxReasonBytes = 8 << 10;

absl::Status not_allowed(std::string_view what, Phase phase, std::string_view allowed) {
  return absl::FailedPreconditionError(
      cat(what, " is not allowed in phase ", to_string(phase), "; allowed: ", allowed));
}

}  // namespace

Controller::Controller(ControllerOptions options)
    : options_(std::move(options)),
      store_(options_.fs, families::join_path(options_.node_dir, "migration")) {
  if (options_.storage_clock == nullptr) options_.storage_clock = options_.now;
}

// Readers and writers of the families go first.
Controller::~Controller() {
  importer_.reset();
  exporter_.reset();
  catch_up_.reset();
  driver_.reset();
}

std::string Controller::path_in_migration(std::string_view name) const {
  return families::join_path(families::join_path(options_.node_dir, "migration"), name);
}

std::string Controller::image_path() const {
  return path_in_migration(cat("image-g", manifest_.generation, ".qki"));
}

absl::Status Controller::fail(absl::Status status) {
  if (failure_.ok()) failure_ = status;
  return status;
}

absl::Status Controller::mark(Manifest next, std::string reason) {
  const Phase from = manifest_.phase;
  QK_CHECK(next.phase == from || is_legal_transition(from, next.phase));
  next.phase_at_ns = options_.now();
  next.reason = reason.substr(0, kMaxReasonBytes);
  if (options_.observer != nullptr) options_.observer->mark_begun(from, next);
  QK_RETURN_IF_ERROR(store_.save(next));
  manifest_ = std::move(next);
  if (options_.observer != nullptr) options_.observer->phase_changed(from, manifest_);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Controller>> Controller::open(ControllerOptions options) {
  auto controller = std::unique_ptr<Controller>(new Controller(std::move(options)));
  QK_RETURN_IF_ERROR(controller->start());
  return controller;
}

absl::Status Controller::start() {
  QK_ASSIGN_OR_RETURN(std::optional<Manifest> loaded, store_.load());
  if (!loaded) return start_without_manifest();
  manifest_ = std::move(*loaded);
  // Before anything is fenced or removed because of it.
  QK_RETURN_IF_ERROR(store_.make_durable());
  if (manifest_.group_id != options_.group_id || manifest_.peer_id != options_.peer_id) {
    return absl::FailedPreconditionError(cat("manifest of group ", manifest_.group_id, ", peer ",
                                             manifest_.peer_id, ", but this node is group ",
                                             options_.group_id, ", peer ", options_.peer_id));
  }
  switch (manifest_.phase) {
    case Phase::kIdle:
    case Phase::kRolledBack:
      QK_RETURN_IF_ERROR(finish_rollback());
      return start_plain(Side::kA);
    case Phase::kExporting:
    case Phase::kBootstrapping:
    case Phase::kValidated:
      return start_over();
    case Phase::kDualWrite:
    case Phase::kCutoverValidated:
    case Phase::kCutOver:
      return start_dual();
    case Phase::kAccepted:
      QK_RETURN_IF_ERROR(finish_accept());
      return start_plain(Side::kB);
    case Phase::kRetired:
      QK_RETURN_IF_ERROR(finish_retire());
      return start_plain(Side::kB);
  }
  return absl::InternalError("unknown phase");
}

absl::Status Controller::start_without_manifest() {
  manifest_.group_id = options_.group_id;
  manifest_.peer_id = options_.peer_id;
  manifest_.a.family = options_.initial.family;
  manifest_.a.root = options_.initial.root;
  manifest_.a.options = options_.initial.options;
  manifest_.a.state = InstanceState::kCurrent;
  QK_ASSIGN_OR_RETURN(const auto sidecar, image::read_sidecar(*options_.fs, options_.initial.root));
  if (sidecar && !sidecar->identity.lineage.empty()) {
    return absl::FailedPreconditionError(
        cat(options_.initial.root, " belongs to migration lineage ", sidecar->identity.lineage,
            ", but the node has no manifest; the phase is unknown"));
  }
  families::OpenRequest request;
  request.fs = options_.fs;
  request.root = manifest_.a.root;
  request.create = options_.create;
  request.options = manifest_.a.options;
  request.parts = options_.initial.parts;
  QK_ASSIGN_OR_RETURN(a_, image::open_instance(*options_.registry, request, manifest_.a.family,
                                               manifest_.identity()));
  driver_ = std::make_unique<NodeDriver>(a_.get(), 0);
  return absl::OkStatus();
}

// The sidecar of an instance that the manifest calls current follows the manifest: it is written
// after the mark, so a crash may have left the one before.
absl::Status Controller::ensure_sidecar(Side side) {
  const Instance& instance = manifest_.side(side);
  QK_ASSIGN_OR_RETURN(const auto found, image::read_sidecar(*options_.fs, instance.root));
  image::Sidecar wanted;
  wanted.identity = manifest_.identity();
  wanted.family = instance.family;
  wanted.instance = instance.instance;
  wanted.state = instance.state;
  if (found == wanted) return absl::OkStatus();
  if (found) {
    const bool same_node = found->identity.group_id == manifest_.group_id &&
                           found->identity.peer_id == manifest_.peer_id &&
                           found->family == instance.family;
    // Of this generation, only what this attempt made: each import gets a name of its own.
    const bool this_instance = found->identity.lineage == manifest_.lineage &&
                               found->identity.generation == manifest_.generation &&
                               found->instance == instance.instance;
    // Before the mark of T1, A belonged to an earlier generation or to none; B never did.
    const bool earlier = side == Side::kA && found->identity.generation < manifest_.generation;
    // Nothing that is incomplete or was given up becomes current by being found here.
    const bool usable = found->state == InstanceState::kCatchingUp ||
                        found->state == InstanceState::kCurrent ||
                        (found->state == InstanceState::kEmpty && earlier);
    if (!same_node || !(this_instance || earlier) || !usable) {
      return absl::FailedPreconditionError(
          cat(instance.root, ": sidecar of ", image::to_string(found->identity), ", instance ",
              found->instance, ", state ", image::to_string(found->state), ", expected ",
              image::to_string(manifest_.identity()), ", instance ", instance.instance));
    }
  } else if (side == Side::kB) {
    return absl::FailedPreconditionError(
        cat(instance.root, ": no sidecar, expected ", image::to_string(manifest_.identity())));
  }
  return image::write_sidecar(*options_.fs, instance.root, wanted);
}

absl::StatusOr<std::unique_ptr<Family>> Controller::open_side(Side side) {
  const Instance& instance = manifest_.side(side);
  families::OpenRequest request;
  request.fs = options_.fs;
  request.root = instance.root;
  request.options = instance.options;
  if (side == Side::kA) request.parts = parts_of(instance);
  return image::open_instance(*options_.registry, request, instance.family, manifest_.identity());
}

families::PartPaths Controller::parts_of(const Instance& instance) const {
  return instance.root == options_.initial.root ? options_.initial.parts : families::PartPaths();
}

absl::Status Controller::start_plain(Side side) {
  QK_RETURN_IF_ERROR(ensure_sidecar(side));
  QK_ASSIGN_OR_RETURN(auto family, open_side(side));
  uint64_t last_seq = seq_floor();
  for (const auto* cut :
       {&manifest_.export_cut, &manifest_.validated_cut, &manifest_.cutover_cut}) {
    if (*cut) last_seq = std::max(last_seq, (*cut)->seq);
  }
  driver_ = std::make_unique<NodeDriver>(family.get(), last_seq);
  (side == Side::kA ? a_ : b_) = std::move(family);
  return absl::OkStatus();
}

// The queue of mutations since the cut was lost with the process, so B cannot catch up. Each start
// counts: an attempt that ends every process that makes it would never end by itself (mig.I14).
absl::Status Controller::start_over() {
  if (last_attempt()) {
    return start_rolled_back(cat("gave up after ", options_.max_attempts,
                                 " exports, each ended by a restart before the dual write"));
  }
  QK_RETURN_IF_ERROR(remove_target());
  Manifest next = manifest_;
  next.phase = Phase::kExporting;
  next.attempts += 1;
  next.b.state = InstanceState::kEmpty;
  QK_RETURN_IF_ERROR(
      mark(std::move(next), "restarted: the queue of mutations since the export cut was lost"));
  return start_plain(Side::kA);
}

absl::Status Controller::start_dual() {
  const Side primary = manifest_.authoritative;
  const Side mirror = primary == Side::kA ? Side::kB : Side::kA;
  QK_RETURN_IF_ERROR(ensure_sidecar(Side::kA));
  QK_RETURN_IF_ERROR(finish_dual_write());
  absl::StatusOr<std::unique_ptr<Family>> a = open_side(Side::kA);
  absl::StatusOr<std::unique_ptr<Family>> b = open_side(Side::kB);
  QK_RETURN_IF_ERROR((primary == Side::kA ? a : b).status());
  const absl::Status mirror_status = (mirror == Side::kA ? a : b).status();
  if (absl::IsNotFound(mirror_status)) {
    QK_ASSIGN_OR_RETURN(const auto* descriptor,
                        options_.registry->get(manifest_.side(mirror).family));
    if (descriptor->volatility == families::Volatility::kVolatile) {
      if (a.ok()) a->reset();  // the primary, which is opened anew
      return start_without_mirror(mirror_status);
    }
  }
  QK_RETURN_IF_ERROR(mirror_status);
  a_ = *std::move(a);
  b_ = *std::move(b);
  QK_ASSIGN_OR_RETURN(
      journal_,
      IntentJournal::open(options_.fs, families::join_path(options_.node_dir, "migration")));
  QK_ASSIGN_OR_RETURN(const ReconcileReport report,
                      reconcile(*journal_, *family(primary), manifest_.side(primary).instance,
                                *family(mirror), manifest_.side(mirror).instance));
  if (options_.observer != nullptr) {
    for (const std::string& action : report.actions) options_.observer->reconciled(action);
  }
  uint64_t last_seq = manifest_.export_cut ? manifest_.export_cut->seq : 0;
  if (manifest_.cutover_cut) last_seq = std::max(last_seq, manifest_.cutover_cut->seq);
  for (int lane = 0; lane < families::kLaneCount; ++lane) {
    const auto& intent = journal_->newest(static_cast<families::Lane>(lane));
    if (intent) last_seq = std::max(last_seq, intent->seq);
  }

  const image::EquivalenceReport equivalence = image::compare(*a_, *b_, last_seq);
  if (!equivalence.equal) {
    return absl::DataLossError(cat("the families differ after reconciliation in phase ",
                                   to_string(manifest_.phase),
                                   "; both are left as evidence: ", image::to_text(equivalence)));
  }
  driver_ = std::make_unique<NodeDriver>(family(primary), last_seq);
  driver_->set_dual(family(primary), dual_pair(mirror));

  if (manifest_.phase == Phase::kCutOver && !manifest_.probe_restart_ok) {
    Manifest next = manifest_;
    next.probe_restart_ok = true;
    QK_ASSIGN_OR_RETURN(const auto* descriptor, options_.registry->get(next.b.family));
    next.probe_opener_version = descriptor->format_version;
    QK_RETURN_IF_ERROR(mark(std::move(next)));
  }
  // A validated cut does not survive an interruption of the dual write (A-6, EV-20).
  if (manifest_.phase == Phase::kCutoverValidated) {
    Manifest next = manifest_;
    next.phase = Phase::kDualWrite;
    QK_RETURN_IF_ERROR(mark(std::move(next), "restarted: the cutover cut is no longer fresh"));
  }
  return absl::OkStatus();
}

// DT1: the mirror is given up before the primary acknowledges anything alone.
absl::Status Controller::start_without_mirror(const absl::Status& lost) {
  if (manifest_.phase == Phase::kCutOver) {
    return annotate(lost, "the old family, mirror and rollback target since the cut-over");
  }
  return start_rolled_back(cat("mirror-detached: ", to_std(lost.message())));
}

absl::Status Controller::start_rolled_back(std::string reason) {
  Manifest next = manifest_;
  next.phase = Phase::kRolledBack;
  next.b.state = InstanceState::kStale;
  QK_RETURN_IF_ERROR(mark(std::move(next), std::move(reason)));
  QK_RETURN_IF_ERROR(finish_rollback());
  return start_plain(Side::kA);
}

Family* Controller::busy_family() {
  Family* const importing = importer_ == nullptr ? nullptr : importer_->family();
  for (Family* family : {a_.get(), b_.get(), importing}) {
    if (family != nullptr && family->pending_work() > 0) return family;
  }
  return nullptr;
}

DualPair Controller::dual_pair(Side mirror) {
  const Side primary = mirror == Side::kA ? Side::kB : Side::kA;
  DualPair pair;
  pair.mirror = family(mirror);
  pair.journal = journal_.get();
  pair.primary_instance = manifest_.side(primary).instance;
  pair.mirror_instance = manifest_.side(mirror).instance;
  pair.caches = {&cache_a_, &cache_b_};
  return pair;
}

// The fence takes the source's root from an older program as a whole. Only a root that URIs name
// can hold more than the instance: files of the node, or of other nodes.
absl::Status Controller::check_fence_takes_no_more(const Instance& source) const {
  const std::string& root = source.root;
  const std::string own_files = families::join_path(options_.node_dir, "migration");
  if ((own_files + "/").starts_with(root + "/") || (root + "/").starts_with(own_files + "/")) {
    return absl::FailedPreconditionError(
        cat("a fence of ", root, " would take the node's own directory ", own_files,
            "; expected a directory for log, raft_meta and snapshot alone"));
  }
  const families::PartPaths parts = parts_of(source);
  if (parts == families::PartPaths()) return absl::OkStatus();
  QK_ASSIGN_OR_RETURN(const auto* family, options_.registry->get(source.family));
  return check_fence_takes_only(*options_.fs, root,
                                families::with_parts(*family, parts).root_names);
}

absl::Status Controller::request_start(const MigrationRequest& request) {
  if (!failure_.ok()) return failure_;
  const Phase phase = manifest_.phase;
  if (phase != Phase::kIdle && phase != Phase::kRolledBack && phase != Phase::kRetired) {
    return not_allowed("starting a migration", phase, "idle, rolled-back, retired");
  }
  if (request.fresh_mutations < 1 || request.fresh_time_ns < 1) {
    return absl::InvalidArgumentError(cat(
        "a migration needs both freshness bounds (A-6): fresh_mutations ", request.fresh_mutations,
        ", fresh_time ", request.fresh_time_ns, " ns; each must be at least 1"));
  }
  // What a migration has accepted as B is A for the next one.
  const Instance source = manifest_.side(manifest_.authoritative);
  if (const families::PartPaths parts = parts_of(source); parts.split()) {
    return absl::FailedPreconditionError(
        cat("log, raft_meta and snapshot do not lie in one directory: found ", parts.log, ", ",
            parts.raft_meta, " and ", parts.snapshot, " at ", source.root,
            "; one fence must take all three from an older program (migration.md 3)"));
  }
  QK_RETURN_IF_ERROR(check_fence_takes_no_more(source));
  QK_ASSIGN_OR_RETURN(const auto* target, options_.registry->get(request.family));
  if (!request.accept_weak_durability) {
    QK_ASSIGN_OR_RETURN(const auto* from, options_.registry->get(source.family));
    QK_RETURN_IF_ERROR(families::check_synchronous(*from, source.options));
    QK_RETURN_IF_ERROR(families::check_synchronous(*target, request.options));
  }
  Manifest next = manifest_;
  next.lineage = image::fresh_id(options_.random);
  next.generation = manifest_.generation + 1;
  next.phase = Phase::kExporting;
  next.authoritative = Side::kA;
  next.a = source;
  next.a.instance = image::fresh_id(options_.random);
  next.a.state = InstanceState::kCurrent;
  next.b = {};
  next.b.family = request.family;
  next.b.options = request.options;
  // A root name carries the generation, so that a fenced path is never used again.
  next.b.root = families::join_path(options_.node_dir, cat(request.family, "-g", next.generation));
  next.export_cut.reset();
  next.validated_cut.reset();
  next.cutover_cut.reset();
  next.accepted = false;
  next.probe_restart_ok = false;
  next.probe_opener_version.clear();
  next.fresh_mutations = request.fresh_mutations;
  next.fresh_time_ns = request.fresh_time_ns;
  next.attempts = 0;
  next.last_error.clear();
  next.started_at_ns = options_.now();
  QK_RETURN_IF_ERROR(image::check_empty_destination(*options_.fs, next.b.root, *target));
  if (absl::Status marked = mark(std::move(next)); !marked.ok()) return fail(marked);
  if (phase == Phase::kRetired) a_ = std::move(b_);
  if (absl::Status status = ensure_sidecar(Side::kA); !status.ok()) return fail(status);
  return absl::OkStatus();
}

absl::Status Controller::request_validation() {
  if (manifest_.phase != Phase::kDualWrite) {
    return not_allowed("validating a cutover cut", manifest_.phase, "dual-write");
  }
  request_ = Request::kValidate;
  return absl::OkStatus();
}

absl::Status Controller::request_cutover() {
  if (manifest_.phase != Phase::kCutoverValidated) {
    return not_allowed("cutting over", manifest_.phase, "cutover-validated");
  }
  request_ = Request::kCutover;
  return absl::OkStatus();
}

absl::Status Controller::request_accept() {
  if (manifest_.phase != Phase::kCutOver) {
    return not_allowed("accepting", manifest_.phase, "cut-over");
  }
  if (!manifest_.probe_restart_ok) {
    return absl::FailedPreconditionError(
        "accepting needs a restart that opened the new family as authority; there was none since "
        "the cut-over");
  }
  request_ = Request::kAccept;
  return absl::OkStatus();
}

absl::Status Controller::request_retire() {
  if (manifest_.phase != Phase::kAccepted) {
    return not_allowed("retiring the old family", manifest_.phase, "accepted");
  }
  request_ = Request::kRetire;
  return absl::OkStatus();
}

absl::Status Controller::request_rollback(std::string reason) {
  if (!is_legal_transition(manifest_.phase, Phase::kRolledBack)) {
    return not_allowed("rolling back", manifest_.phase,
                       "exporting, bootstrapping, validated, dual-write, cutover-validated");
  }
  request_ = Request::kRollback;
  rollback_reason_ = std::move(reason);
  return absl::OkStatus();
}

Need Controller::need() const {
  if (!failure_.ok()) return Need::kNothing;
  if (request_ != Request::kNone) return Need::kBarrier;
  switch (manifest_.phase) {
    case Phase::kExporting:
      return exporter_ == nullptr ? Need::kBarrier : Need::kStep;
    case Phase::kBootstrapping:
      return Need::kStep;
    case Phase::kValidated:
      return nearly_caught_up() ? Need::kBarrier : Need::kStep;
    default:
      return Need::kNothing;
  }
}

absl::Status Controller::step() {
  if (!failure_.ok()) return failure_;
  const auto run = [this]() -> absl::Status {
    switch (std::exchange(request_, Request::kNone)) {
      case Request::kValidate:
        return validate_cutover();
      case Request::kCutover:
        return cut_over();
      case Request::kAccept:
        return accept();
      case Request::kRetire:
        return retire();
      case Request::kRollback:
        return roll_back(rollback_reason_, false);
      case Request::kNone:
        break;
    }
    switch (manifest_.phase) {
      case Phase::kExporting:
        return step_exporting();
      case Phase::kBootstrapping:
        return step_bootstrapping();
      case Phase::kValidated:
        return step_validated();
      default:
        return absl::OkStatus();
    }
  };
  const int64_t begin = options_.storage_clock();
  const absl::Status status = run();
  last_step_ns_ = options_.storage_clock() - begin;
  return status.ok() ? status : fail(status);
}

int64_t Controller::progress_ppm() const {
  switch (manifest_.phase) {
    case Phase::kExporting:
      return exporter_ == nullptr ? 0 : exporter_->progress_ppm();
    case Phase::kBootstrapping:
      return importer_ == nullptr ? 0 : importer_->progress_ppm();
    case Phase::kValidated: {
      if (queue_at_start_ == 0) return 0;
      const size_t left = std::min(driver_->queue_size(), queue_at_start_);
      return static_cast<int64_t>((queue_at_start_ - left) * 1'000'000 / queue_at_start_);
    }
    default:
      return 1'000'000;
  }
}

}  // namespace qk::migration
