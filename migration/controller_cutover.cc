// T5 to T8 and RB1: validation at the cutover cut, cut-over, acceptance, retirement, rollback
// (migration.md 3).
#include "families/fs/file_util.h"
#include "migration/controller.h"
#include "migration/fence.h"

namespace qk::migration {

// What differs, when the digest of B is not that of A or B could not be read. That B cannot be read
// ends the migration, not the node: A serves, and has everything.
std::string Controller::difference(const image::StateDigest& a,
                                   const absl::StatusOr<image::StateDigest>& b) {
  const image::EquivalenceReport report = image::compare(*a_, *b_, driver_->seq());
  if (!report.equal) return image::to_text(report);
  // It was read wrongly once, or a cache of hashes is wrong.
  return cat("a second reading finds no difference; the first found",
             b.ok() ? image::differing_domains(*b, a) : cat(": ", to_std(b.status().message())));
}

absl::Status Controller::validate_cutover() {
  // Read in full from the files, whatever the caches know; they are filled for the cut-over.
  cache_a_.clear();
  cache_b_.clear();
  QK_ASSIGN_OR_RETURN(const image::StateDigest a, image::compute_digest(*a_, &cache_a_));
  const absl::StatusOr<image::StateDigest> b = image::compute_digest(*b_, &cache_b_);
  CutRecord cut;
  cut.seq = driver_->seq();
  cut.last_index = a_->log().last_index();
  cut.digest = a.overall;
  cut.proof_kind = "full";
  cut.time_ns = options_.now();
  if (options_.observer != nullptr && b.ok()) {
    options_.observer->cut_compared(2, cut, b->overall);
  }
  if (!b.ok() || a != *b) {
    return roll_back(cat("the families differ at the cutover cut: ", difference(a, b)), true);
  }
  Manifest next = manifest_;
  next.phase = Phase::kCutoverValidated;
  next.cutover_cut = cut;
  return mark(std::move(next));
}

absl::Status Controller::cut_over() {
  const CutRecord& cut = *manifest_.cutover_cut;
  const uint64_t mutations = driver_->seq() - cut.seq;
  const int64_t age = options_.now() - cut.time_ns;
  if (mutations > manifest_.fresh_mutations || age > manifest_.fresh_time_ns) {
    Manifest next = manifest_;
    next.phase = Phase::kDualWrite;
    return mark(std::move(next), cat("the cutover cut went stale: ", mutations, " mutations and ",
                                     age, " ns old, at most ", manifest_.fresh_mutations, " and ",
                                     manifest_.fresh_time_ns));
  }
  // Probe: the opener that will be needed from now on must be able to open B. What it opens is what
  // is compared: an engine that was open may answer from memory what its files do not hold any more.
  driver_->set_plain(a_.get());
  b_.reset();
  absl::StatusOr<std::unique_ptr<families::Family>> probed = open_side(Side::kB);
  if (!probed.ok()) {
    return roll_back(cat("the new family does not open: ", to_std(probed.status().message())),
                     true);
  }
  b_ = std::move(*probed);
  // Only what changed since the cut is read, so the pause does not grow with the state (SB-39).
  QK_ASSIGN_OR_RETURN(const image::StateDigest a, image::compute_digest(*a_, &cache_a_));
  const absl::StatusOr<image::StateDigest> b = image::compute_digest(*b_, &cache_b_);
  if (!b.ok() || a != *b) {
    return roll_back(cat("the families differ at the cut-over: ", difference(a, b)), true);
  }
  Manifest next = manifest_;
  next.phase = Phase::kCutOver;
  next.authoritative = Side::kB;
  QK_RETURN_IF_ERROR(mark(std::move(next)));
  driver_->set_dual(b_.get(), dual_pair(Side::kA));
  return absl::OkStatus();
}

absl::Status Controller::accept() {
  Manifest next = manifest_;
  next.phase = Phase::kAccepted;
  next.accepted = true;
  next.a.state = image::InstanceState::kStale;
  QK_RETURN_IF_ERROR(mark(std::move(next)));
  driver_->set_plain(b_.get());
  a_.reset();
  journal_.reset();
  return finish_accept();
}

absl::Status Controller::finish_accept() {
  QK_RETURN_IF_ERROR(fence_root(*options_.fs, manifest_.a.root, manifest_.generation));
  return IntentJournal::remove(options_.fs, families::join_path(options_.node_dir, "migration"));
}

// T8: nothing leads back to A any more.
absl::Status Controller::retire() {
  Manifest next = manifest_;
  next.phase = Phase::kRetired;
  next.a.state = image::InstanceState::kRetired;
  QK_RETURN_IF_ERROR(mark(std::move(next)));
  return finish_retire();
}

// The fence stays where A was: an older program that is started there must not find an empty place,
// where it would begin without its vote.
absl::Status Controller::finish_retire() {
  QK_RETURN_IF_ERROR(finish_accept());
  QK_RETURN_IF_ERROR(
      families::remove_tree(*options_.fs, fenced_path(manifest_.a.root, manifest_.generation)));
  return options_.fs->sync_dir(families::parent_path(manifest_.a.root), families::SyncKind::kFull);
}

absl::Status Controller::roll_back(std::string reason, bool keep_evidence) {
  Manifest next = manifest_;
  next.phase = Phase::kRolledBack;
  // A fenced instance stays on disk as evidence; a stale one is deleted.
  next.b.state = keep_evidence ? image::InstanceState::kFenced : image::InstanceState::kStale;
  QK_RETURN_IF_ERROR(mark(std::move(next), std::move(reason)));
  exporter_.reset();
  sink_.reset();
  importer_.reset();
  catch_up_.reset();
  source_.reset();
  driver_->set_plain(a_.get());
  b_.reset();
  journal_.reset();
  return finish_rollback();
}

absl::Status Controller::finish_rollback() {
  if (manifest_.b.root.empty()) return absl::OkStatus();
  if (manifest_.b.state == image::InstanceState::kFenced) {
    QK_RETURN_IF_ERROR(fence_root(*options_.fs, manifest_.b.root, manifest_.generation));
  }
  QK_RETURN_IF_ERROR(remove_target());
  return IntentJournal::remove(options_.fs, families::join_path(options_.node_dir, "migration"));
}

// Everything of B that is not fenced, and the image.
absl::Status Controller::remove_target() {
  exporter_.reset();
  sink_.reset();
  importer_.reset();
  catch_up_.reset();
  source_.reset();
  b_.reset();
  const std::string& root = manifest_.b.root;
  if (manifest_.b.state != image::InstanceState::kFenced) {
    QK_RETURN_IF_ERROR(image::remove_instance(*options_.fs, root));
  }
  QK_RETURN_IF_ERROR(families::remove_tree(*options_.fs, image_path()));
  QK_RETURN_IF_ERROR(families::remove_tree(*options_.fs, cat(image_path(), ".tmp")));
  return absl::OkStatus();
}

}  // namespace qk::migration
