// T1 to T4: export, import, validation at the export cut, catch-up (migration.md 3 and 10).
#include <algorithm>

#include "families/base/check.h"
#include "families/fs/file_util.h"
#include "migration/controller.h"

namespace qk::migration {

// A piece is small beside a step, so that the clock is looked at often enough.
absl::StatusOr<bool> Controller::copy_pieces(
    const std::function<absl::StatusOr<bool>(int64_t)>& piece) {
  constexpr int64_t kPiece = 16;
  const int64_t begin = options_.storage_clock();
  for (int64_t left = options_.step_entries; left > 0; left -= kPiece) {
    QK_ASSIGN_OR_RETURN(const bool done, piece(std::min(left, kPiece)));
    if (done) return true;
    if (options_.storage_clock() - begin >= options_.step_time_ns) break;
  }
  return false;
}

absl::Status Controller::begin_export() {
  QK_ASSIGN_OR_RETURN(image::ExportCut cut, image::ExportCut::capture(*a_, driver_->seq()));
  QK_ASSIGN_OR_RETURN(const auto* source, options_.registry->get(manifest_.a.family));
  driver_->begin_queue(options_.max_queued, options_.max_queued_bytes);
  sink_ = std::make_unique<image::FileSink>(options_.fs, image_path());
  exporter_ = std::make_unique<image::Exporter>(a_.get(), std::move(cut), manifest_.identity(),
                                                source->name, source->format_version, sink_.get());
  if (options_.observer != nullptr) options_.observer->export_begun();
  return absl::OkStatus();
}

// A new cut within the same attempt: lineage and generation stay (migration.md 3).
absl::Status Controller::restart_export(std::string reason) {
  QK_RETURN_IF_ERROR(remove_target());
  driver_->end_queue();
  if (last_attempt()) {
    return roll_back(cat("gave up after ", options_.max_attempts, " exports: ", reason), false);
  }
  Manifest next = manifest_;
  next.phase = Phase::kExporting;
  next.attempts += 1;
  next.b.state = image::InstanceState::kEmpty;
  return mark(std::move(next), std::move(reason));
}

absl::Status Controller::step_exporting() {
  if (exporter_ == nullptr) return begin_export();
  if (driver_->overflowed()) return restart_export("the queue of mutations overflowed");
  const absl::StatusOr<bool> done =
      copy_pieces([this](int64_t entries) { return exporter_->step(entries); });
  if (absl::IsAborted(done.status()) && driver_->failure().ok() &&
      status_errno(done.status()) == 0) {
    return restart_export(std::string(done.status().message()));
  }
  QK_RETURN_IF_ERROR(done.status());
  if (!*done) return absl::OkStatus();

  Manifest next = manifest_;
  next.phase = Phase::kBootstrapping;
  CutRecord cut;
  cut.seq = exporter_->cut().seq;
  cut.last_index = exporter_->cut().last;
  cut.digest = exporter_->totals().state.overall;
  cut.proof_kind = "full";
  cut.time_ns = options_.now();
  next.export_cut = cut;
  next.b.instance = image::fresh_id(options_.random);
  next.b.state = image::InstanceState::kImporting;
  exported_ = exporter_->totals();
  exporter_.reset();
  sink_.reset();
  return mark(std::move(next));
}

absl::Status Controller::step_bootstrapping() {
  if (driver_->overflowed()) return restart_export("the queue of mutations overflowed");
  if (importer_ == nullptr) {
    QK_ASSIGN_OR_RETURN(source_, image::FileSource::open(*options_.fs, image_path()));
    image::ImportRequest request;
    request.registry = options_.registry;
    request.fs = options_.fs;
    request.root = manifest_.b.root;
    request.family = manifest_.b.family;
    request.options = manifest_.b.options;
    request.identity = manifest_.identity();
    request.instance = manifest_.b.instance;
    request.final_state = image::InstanceState::kCatchingUp;
    importer_ = std::make_unique<image::Importer>(std::move(request), source_.get());
  }
  QK_ASSIGN_OR_RETURN(const bool done,
                      copy_pieces([this](int64_t entries) { return importer_->step(entries); }));
  if (!done) return absl::OkStatus();
  importer_.reset();
  source_.reset();
  return validate_import();
}

// T3: B is read back and compared with the image at the export cut, not with A, which has moved on
//
absl::Status Controller::validate_import() {
  QK_ASSIGN_OR_RETURN(b_, open_side(Side::kB));
  QK_ASSIGN_OR_RETURN(const image::StateDigest found, image::compute_digest(*b_));
  const CutRecord& cut = *manifest_.export_cut;
  if (options_.observer != nullptr) options_.observer->cut_compared(1, cut, found.overall);
  if (found.overall != cut.digest) {
    // The same process exported it: a restart in between would have started over.
    QK_CHECK(exported_.has_value());
    return roll_back(cat("the imported instance differs from the image of cut ", cut.seq, ":",
                         image::differing_domains(found, exported_->state)),
                     true);
  }
  Manifest next = manifest_;
  next.phase = Phase::kValidated;
  next.validated_cut = cut;
  next.b.state = image::InstanceState::kCatchingUp;
  queue_at_start_ = driver_->queue_size();
  catch_up_ = std::make_unique<CatchUp>(driver_.get(), b_.get(), options_.storage_clock);
  return mark(std::move(next));
}

bool Controller::nearly_caught_up() const {
  return driver_->overflowed() || catch_up_->nearly_done(kMigrationBarrierLag, options_.step_bytes);
}

absl::Status Controller::step_validated() {
  if (driver_->overflowed()) return restart_export("the queue of mutations overflowed");
  // The owner came under a barrier if little was left; what came in meanwhile may be more.
  if (!nearly_caught_up()) return catch_up_->step({options_.step_bytes, options_.step_time_ns});
  QK_RETURN_IF_ERROR(catch_up_->drain());
  catch_up_.reset();
  return enter_dual_write();
}

absl::Status Controller::enter_dual_write() {
  const image::EquivalenceReport report = image::compare(*a_, *b_, driver_->seq());
  if (!report.equal) {
    return roll_back(
        cat("the families differ at the end of the catch-up: ", image::to_text(report)), true);
  }
  const std::string directory = families::join_path(options_.node_dir, "migration");
  // Records of an earlier attempt would name other instances, but need not lie there at all.
  QK_RETURN_IF_ERROR(IntentJournal::remove(options_.fs, directory));
  QK_ASSIGN_OR_RETURN(journal_, IntentJournal::open(options_.fs, directory));
  Manifest next = manifest_;
  next.phase = Phase::kDualWrite;
  next.b.state = image::InstanceState::kCurrent;
  QK_RETURN_IF_ERROR(mark(std::move(next)));
  QK_RETURN_IF_ERROR(finish_dual_write());
  driver_->set_dual(a_.get(), dual_pair(Side::kB));
  return absl::OkStatus();
}

absl::Status Controller::finish_dual_write() {
  QK_RETURN_IF_ERROR(ensure_sidecar(Side::kB));
  // Looking costs less than removing what is not there.
  QK_ASSIGN_OR_RETURN(const bool left, families::exists(*options_.fs, image_path()));
  return left ? families::remove_tree(*options_.fs, image_path()) : absl::OkStatus();
}

}  // namespace qk::migration
