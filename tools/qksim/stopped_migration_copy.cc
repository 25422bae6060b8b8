// Of stopped_migration.h: from the copy to the end.
#include <algorithm>

#include "families/base/printable.h"
#include "families/fs/file_util.h"
#include "image/report.h"
#include "migration/fence.h"
#include "tools/qksim/image_messages.h"
#include "tools/qksim/stopped_migration.h"

namespace qk::cli {

using migration::Manifest;
using migration::Phase;

// What a manifest says of this migration, in EXPORT.
Manifest StoppedMigration::begun() const {
  Manifest next;
  if (stage_->manifest()) next = manifest_now();
  next.group_id = arguments_.group;
  next.peer_id = peer_;
  if (next.lineage.empty()) next.lineage = image::fresh_id(environment_.random_seed);
  next.generation = state_.identity.generation + 1;
  next.phase = Phase::kExporting;
  next.a = recorded(places_.from);
  next.a.state = image::InstanceState::kCurrent;
  // A fresh name for each copy: by it the destination is known as this stage's.
  next.b = recorded(places_.to);
  next.b.instance = image::fresh_id(environment_.random_seed);
  next.b.state = image::InstanceState::kImporting;
  next.export_cut = {0, facts_.last, known_.totals.state.overall, "digest-readback", 0};
  next.validated_cut.reset();
  ++next.attempts;
  next.last_error.clear();
  return next;
}

ExitCode StoppedMigration::copy() {
  Manifest next = begun();
  fresh_ = false;
  if (const absl::Status saved = stage_->save(next); !saved.ok()) {
    return cannot_write(stage_->path(), saved);
  }
  const std::string root = stage_->instance_root();
  if (const absl::Status removed = stage_->remove_instance(); !removed.ok()) {
    return cannot_write(root, removed);
  }
  image::ImportRequest request;
  request.registry = environment_.registry;
  request.fs = &fs_;
  request.root = root;
  request.family = places_.to.family->name;
  request.parts = places_.to.parts;
  request.identity = state_.identity;
  request.instance = next.b.instance;
  progress_.begin("copy");
  image::Transfer transfer(state_.family.get(), state_.cut, source_->family(), known_,
                           std::move(request));
  if (const absl::Status copied = run_steps(transfer, environment_, &progress_); !copied.ok()) {
    progress_.end();
    // It is of no use to whoever goes on, and may be what fills the disk.
    if (const absl::Status discarded = transfer.discard(); !discarded.ok()) {
      note(environment_, cat("the copy could not be removed: ", to_std(discarded.message())));
    }
    if (transfer.write_failed()) return cannot_write(places_.to.root, copied);
    return stopped(code_of_input(copied), source_->root(), copied);
  }
  progress_.end();
  const int64_t ms = std::max<int64_t>(1, progress_.passed_ms());
  next.phase = Phase::kBootstrapping;
  if (const absl::Status saved = stage_->save(next); !saved.ok()) {
    return cannot_write(stage_->path(), saved);
  }
  *environment_.out << "  copy      " << known_.totals.content_bytes << " bytes in "
                    << progress_.passed_text() << ", "
                    << known_.totals.content_bytes * 1000 / static_cast<uint64_t>(ms) / (1 << 20)
                    << " MiB/s\n"
                    << std::flush;
  return ExitCode::kOk;
}

ExitCode StoppedMigration::compare(const StateFacts& found, families::Family* family,
                                   const std::string& where) {
  const std::vector<ComparedDomain> domains = compare_domains(found, facts_, /*digests=*/true);
  for (const ComparedDomain& domain : domains) {
    *environment_.out << "  verify    " << domain.name << ": " << printable(domain.found)
                      << (domain.equal() ? "  equal" : "  DIFFERS") << "\n";
  }
  *environment_.out << std::flush;
  absl::Status equal = check_equal(domains);
  if (equal.ok() && !(found.totals.state == known_.totals.state)) {
    equal =
        absl::FailedPreconditionError(differing_domains(found.totals.state, known_.totals.state));
  }
  if (equal.ok()) return ExitCode::kOk;
  note(environment_, image::to_text(image::compare(*state_.family, *family, 0)));
  return stopped(ExitCode::kViolated, where, annotate(equal, "differs from the source"));
}

// By the family's own opener, from what is on the disk.
ExitCode StoppedMigration::verify() {
  const std::string root = stage_->instance_root();
  families::OpenRequest request;
  request.fs = &fs_;
  request.root = root;
  request.parts = places_.to.parts;
  // Not open_instance(): it says importing until it is compared.
  auto family = families::open_family(*environment_.registry, places_.to.family->name, request);
  if (!family.ok()) return stopped(ExitCode::kViolated, root, family.status());
  auto cut = image::ExportCut::capture(**family, 0);
  if (!cut.ok()) return stopped(ExitCode::kViolated, root, cut.status());
  cut->accept_lost_vote = true;  // what is asked is whether the two are equal
  std::unique_ptr<image::Reading> reading;
  if (ExitCode code = read_whole(family->get(), *cut, *places_.to.family, root, "verify", &reading);
      code != ExitCode::kOk) {
    return code;
  }
  if (ExitCode code = compare(facts_of(*reading), family->get(), root); code != ExitCode::kOk) {
    return code;
  }
  const auto close = [&]() -> absl::Status {
    reading.reset();
    *cut = {};
    while ((*family)->pending_work() > 0) QK_RETURN_IF_ERROR((*family)->run_one());
    QK_RETURN_IF_ERROR((*family)->close());
    family->reset();
    QK_RETURN_IF_ERROR(families::sync_tree(fs_, root));
    QK_RETURN_IF_ERROR(
        image::write_sidecar(fs_, root,
                             {state_.identity, places_.to.family->name,
                              stage_->manifest()->b.instance, image::InstanceState::kCurrent}));
    Manifest next = manifest_now();
    next.phase = Phase::kValidated;
    next.validated_cut = next.export_cut;
    next.b.state = image::InstanceState::kCurrent;
    return stage_->save(std::move(next));
  };
  if (const absl::Status closed = close(); !closed.ok()) return cannot_write(root, closed);
  return ExitCode::kOk;
}

ExitCode StoppedMigration::publish() {
  if (const absl::Status unchanged = source_->check(); !unchanged.ok()) {
    return stopped(ExitCode::kNoInput, source_->root(), unchanged);
  }
  const auto move = [&]() -> absl::Status {
    QK_RETURN_IF_ERROR(run_checks(place_checks(environment_, places_), nullptr));
    QK_RETURN_IF_ERROR(stage_->check());
    const std::string instance = stage_->instance_root();
    QK_ASSIGN_OR_RETURN(const bool there, families::exists(fs_, places_.to.root));
    // Of the two only the second one can take the place of an empty directory, and of nothing more.
    const absl::Status moved =
        there ? fs_.rename(instance, places_.to.root) : fs_.rename_new(instance, places_.to.root);
    // A call that failed may have done its work.
    const auto in_place = is_in_place(fs_, places_.to.root, *stage_->manifest());
    in_place_ = in_place.ok() && *in_place;
    QK_RETURN_IF_ERROR(moved);
    QK_RETURN_IF_ERROR(fs_.sync_dir(stage_->path(), families::SyncKind::kFull));
    return fs_.sync_dir(families::parent_path(places_.to.root), families::SyncKind::kFull);
  };
  if (const absl::Status moved = move(); !moved.ok()) return cannot_write(places_.to.root, moved);
  return ExitCode::kOk;
}

// The instance that is at the destination's place, and what it holds.
ExitCode StoppedMigration::open_destination(std::unique_ptr<ImageSource>* there,
                                            StateToCopy* published) {
  if (ExitCode code = ImageSource::find(environment_, places_.to, there); code != ExitCode::kOk) {
    return code;
  }
  return (*there)->begin(arguments_.group, peer_, true, published);
}

// At its place, as a node opens it. All contents were compared; this is about the place.
ExitCode StoppedMigration::check_published() {
  // A process that was killed after the rename may have left it without a sync.
  if (const absl::Status synced =
          fs_.sync_dir(families::parent_path(places_.to.root), families::SyncKind::kFull);
      !synced.ok()) {
    return cannot_write(places_.to.root, synced);
  }
  std::unique_ptr<ImageSource> there;
  StateToCopy published;
  if (ExitCode code = open_destination(&there, &published); code != ExitCode::kOk) return code;
  const absl::Status equal =
      check_equal(compare_domains(facts_of(published.cut), facts_, /*digests=*/false));
  if (!equal.ok()) {
    return stopped(ExitCode::kViolated, places_.to.root,
                   annotate(equal, "differs from the source"));
  }
  return ExitCode::kOk;
}

// Makes the source unusable under its name: migration/fence.h. Nobody may have used it since.
ExitCode StoppedMigration::fence() {
  state_.cut = {};  // before its family
  state_.family.reset();
  if (const absl::Status can = run_checks({fence_check(environment_, places_)}, nullptr);
      !can.ok()) {
    return cannot_write(source_->root(), can);
  }
  if (const absl::Status unchanged = source_->check(); !unchanged.ok()) {
    return stopped(ExitCode::kNoInput, source_->root(), unchanged);
  }
  if (const auto guard = SourceGuard::watch(fs_, source_->root()); !guard.ok()) {
    return stopped(ExitCode::kNoInput, source_->root(), guard.status());
  }
  Manifest next = manifest_now();
  next.phase = Phase::kAccepted;
  next.accepted = true;
  // A fenced path is never used again.
  while (true) {
    const auto taken =
        families::exists(fs_, migration::fenced_path(source_->root(), next.generation));
    if (!taken.ok()) return cannot_write(source_->root(), taken.status());
    if (!*taken) break;
    ++next.generation;
  }
  next.a.state = image::InstanceState::kStale;
  if (const absl::Status saved = stage_->save(std::move(next)); !saved.ok()) {
    return cannot_write(stage_->path(), saved);
  }
  return finish_fence();
}

ExitCode StoppedMigration::finish_fence() {
  const Manifest& manifest = *stage_->manifest();
  const std::string& root = manifest.a.root;
  const absl::Status ours = migration::check_fence_unfinished(fs_, root, manifest.generation);
  if (!ours.ok()) return stopped(ExitCode::kNoInput, root, ours);
  const absl::Status fenced = migration::fence_root(fs_, root, manifest.generation);
  if (!fenced.ok()) return cannot_write(root, fenced);
  *environment_.out << "  fence     " << printable(root) << " is now a file, the source lies in "
                    << printable(migration::fenced_path(root, manifest.generation)) << "\n";
  return ExitCode::kOk;
}

// --resume after the last step of an earlier process, or because an operator asks once more.
ExitCode StoppedMigration::compare_with_destination() {
  std::unique_ptr<ImageSource> there;
  StateToCopy published;
  if (ExitCode code = open_destination(&there, &published); code != ExitCode::kOk) return code;
  std::unique_ptr<image::Reading> reading;
  if (ExitCode code = read_whole(published.family.get(), published.cut, there->family(),
                                 there->root(), "verify", &reading);
      code != ExitCode::kOk) {
    return code;
  }
  if (ExitCode code = compare(facts_of(*reading), published.family.get(), there->root());
      code != ExitCode::kOk) {
    return code;
  }
  if (arguments_.fence_source && !was_fenced_) {
    reading.reset();
    published.cut = {};  // before its family
    published.family.reset();
    return fence_later();
  }
  *environment_.out << "  state digest    " << image::to_hex(known_.totals.state) << "\n"
                    << "PASS  the destination is there already, and holds the same\n";
  return ExitCode::kOk;
}

// The fence of a source whose destination was made without one: by a stage again, so that whoever
// goes on after a kill knows of it.
ExitCode StoppedMigration::fence_later() {
  const std::string& root = places_.to.root;
  const auto sidecar = image::read_sidecar(fs_, root);
  if (!sidecar.ok()) return stopped(ExitCode::kData, root, sidecar.status());
  if (!*sidecar) {
    return stopped(ExitCode::kData, root,
                   absl::FailedPreconditionError(
                       "no identity sidecar, expected the one that a migration writes"));
  }
  auto made = MigrationStage::make(fs_, root);
  if (!made.ok()) return cannot_write(stage_path(root), made.status());
  stage_ = *std::move(made);
  in_place_ = true;
  Manifest next = begun();
  next.phase = Phase::kValidated;
  next.validated_cut = next.export_cut;
  next.b.instance = (*sidecar)->instance;
  next.b.state = image::InstanceState::kCurrent;
  if (const absl::Status saved = stage_->save(std::move(next)); !saved.ok()) {
    return cannot_write(stage_->path(), saved);
  }
  if (ExitCode code = fence(); code != ExitCode::kOk) return code;
  return finish();
}

ExitCode StoppedMigration::finish() {
  const Manifest manifest = manifest_now();
  const bool fenced = manifest.phase == Phase::kAccepted;
  const std::string fenced_at =
      fenced ? migration::fenced_path(manifest.a.root, manifest.generation) : std::string();
  const std::string digest =
      manifest.export_cut ? qk::to_hex(manifest.export_cut->digest) : std::string();
  if (const absl::Status removed = stage_->remove(); !removed.ok()) {
    return cannot_write(stage_->path(), removed);
  }
  const std::string& to = places_.to.root;
  const std::string from = manifest.a.root;
  *environment_.out << "  state digest    " << digest << "\n"
                    << "PASS  " << places_.to.family->name << " " << printable(to)
                    << " holds what the source does; the source is "
                    << (fenced ? "fenced"
                               : "unchanged, and must never serve again once the destination has")
                    << "\n"
                    << "next  start   with " << printable(uris_of(places_.to))
                    << "; this moved a stopped node, it was no rolling migration\n"
                    << "next  verify  " << printable(again("--resume"))
                    << " compares both once more"
                    << "\n"
                    << "next  undo    as long as no node has run on " << printable(to)
                    << ": remove it"
                    << (fenced ? printable(cat(", rm ", from, ", mv ", fenced_at, " ", from)) : "")
                    << ", start on the source\n";
  return ExitCode::kOk;
}

}  // namespace qk::cli
