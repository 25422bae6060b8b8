#include "tools/qksim/stopped_migration.h"

#include "families/base/printable.h"
#include "families/fs/file_util.h"
#include "migration/fence.h"
#include "tools/qksim/image_messages.h"

namespace qk::cli {
namespace {

using migration::Manifest;
using migration::Phase;

// N of a file that says "fenced at generation N; ..."; nullopt if `path` is not one.
std::optional<uint64_t> fenced_generation(families::FileSystem& fs, const std::string& path) {
  constexpr uint64_t kMostBytes = 8 << 10;
  const auto stat = fs.stat(path);
  if (!stat.ok() || stat->kind != families::FileKind::kFile) return std::nullopt;
  const auto text = families::read_file(fs, path, kMostBytes);
  return text.ok() ? migration::generation_of_fence(*text) : std::nullopt;
}

}  // namespace

std::string StoppedMigration::again(std::string_view option) const {
  const auto quoted = [](const std::string& uri) { return uri.empty() ? "..." : uri; };
  if (option == "--resume") {
    return cat("qksim migrate ", quoted(arguments_.from), " ", quoted(arguments_.to), " --group ",
               arguments_.group, " --peer ", arguments_.peer,
               arguments_.fence_source ? " --fence-source" : "", " --resume");
  }
  return cat("qksim migrate ", option, " ", quoted(arguments_.to));
}

std::string StoppedMigration::what_is_left() {
  if (stage_ == nullptr) return "nothing was changed";
  if (fresh_) {
    const absl::Status removed = stage_->remove();
    if (!removed.ok()) return cat(stage_->path(), " is left: ", to_std(removed.message()));
    return "nothing is left";
  }
  const std::string how =
      cat("; to go on: ", again("--resume"), "; to give up: ", again("--abort"));
  if (in_place_) {
    return cat(places_.to.root, " is in its place and whole, ", stage_->path(), " is left", how);
  }
  return cat(stage_->path(), " is left (", stage_phase_text(phase()), "), ", places_.to.root,
             " is as it was, the source unchanged", how);
}

ExitCode StoppedMigration::stopped(ExitCode code, const std::string& where,
                                   const absl::Status& status) {
  progress_.end();
  if (absl::IsCancelled(status)) code = ExitCode::kInterrupted;
  if (stage_ != nullptr && stage_->manifest() && code != ExitCode::kInterrupted) {
    Manifest next = manifest_now();
    next.last_error = cat(where, ": ", to_std(status.message()));
    constexpr size_t kMostBytes = 1000;
    if (next.last_error.size() > kMostBytes) next.last_error.resize(kMostBytes);
    stage_->save(std::move(next)).IgnoreError();  // a full disk may be why
  }
  return fail(environment_, code, where, status, what_is_left());
}

ExitCode StoppedMigration::cannot_write(const std::string& where, const absl::Status& status) {
  return stopped(ExitCode::kCannotWrite, where, status);
}

ExitCode StoppedMigration::run() {
  if (ExitCode code =
          find_place(environment_, arguments_.from, arguments_.from_uris, "SRC_URI", &places_.from);
      code != ExitCode::kOk) {
    return code;
  }
  if (ExitCode code =
          find_place(environment_, arguments_.to, arguments_.to_uris, "DST_URI", &places_.to);
      code != ExitCode::kOk) {
    return code;
  }
  if (ExitCode code = parse_peer(environment_, arguments_.peer, &peer_); code != ExitCode::kOk) {
    return code;
  }
  places_.fence_source = arguments_.fence_source;
  places_.accept_owner = arguments_.accept_owner;
  StorageArgument& to = places_.to;
  if (ExitCode code = refuse_volatile(environment_, *to.family, to.root); code != ExitCode::kOk) {
    return code;
  }
  if (to.parts.split()) {
    return fail(environment_, ExitCode::kUsage, to.root,
                absl::InvalidArgumentError(
                    cat("the parts of the destination do not lie in one directory: found ",
                        to.parts.log, ", ", to.parts.raft_meta, ", ", to.parts.snapshot,
                        "; it appears by one rename, so it needs one")),
                "migrate into one directory, then move its parts");
  }
  environment_.catch_signals();
  if (ExitCode code = take_stage(); code != ExitCode::kOk) return code;
  if (phase() == Phase::kAccepted && !source_is_directory()) {
    if (!in_place_) {
      return stopped(ExitCode::kViolated, places_.to.root,
                     absl::FailedPreconditionError(cat(
                         "the destination is not in its place any more: expected instance ",
                         stage_->manifest()->b.instance, "; the source's fence is unfinished")));
    }
    if (ExitCode code = finish_fence(); code != ExitCode::kOk) return code;
    return finish();
  }
  if (const auto generation = fenced_generation(fs_, places_.from.root)) {
    const std::string moved = migration::fenced_path(places_.from.root, *generation);
    if (!complete_) {
      return stopped(
          ExitCode::kNoInput, places_.from.root,
          absl::FailedPreconditionError(cat("the source is fenced: found a file, and its "
                                            "instance in ",
                                            moved, ", expected a directory")));
    }
    note(environment_, cat(places_.from.root, " is fenced; ", moved, " is compared"));
    places_.from.root = moved;
    was_fenced_ = true;
  }
  if (ExitCode code = open_source(); code != ExitCode::kOk) return code;
  if (ExitCode code = read_source(); code != ExitCode::kOk) return code;
  if (complete_) return compare_with_destination();
  if (ExitCode code = check_space(); code != ExitCode::kOk || dry_) {
    return code == ExitCode::kOk ? planned() : code;
  }
  const Digest digest = known_.totals.state.overall;
  const bool same = stage_->manifest() && stage_->manifest()->export_cut &&
                    stage_->manifest()->export_cut->digest == digest;
  if (in_place_) {
    if (!same) {
      return stopped(
          ExitCode::kViolated, places_.to.root,
          absl::FailedPreconditionError(cat(
              "the source has changed since it was copied here: found state digest ",
              qk::to_hex(digest), ", expected ", qk::to_hex(stage_->manifest()->export_cut->digest),
              "; this destination is an older state and must not serve")));
    }
  } else {
    const bool copied = phase() == Phase::kBootstrapping || phase() == Phase::kValidated;
    if (copied && !same) {
      note(environment_, cat("the source has changed since ", stage_->path(),
                             " was made; the copy is made again"));
    }
    if (!copied || !same) {
      if (ExitCode code = copy(); code != ExitCode::kOk) return code;
    }
    if (ExitCode code = verify(); code != ExitCode::kOk) return code;
    if (ExitCode code = publish(); code != ExitCode::kOk) return code;
  }
  if (ExitCode code = check_published(); code != ExitCode::kOk) return code;
  if (arguments_.fence_source || phase() == Phase::kAccepted) {
    if (ExitCode code = fence(); code != ExitCode::kOk) return code;
  }
  return finish();
}

// Where an earlier process stopped, or a new stage.
ExitCode StoppedMigration::take_stage() {
  StorageArgument& to = places_.to;
  if (const absl::Status parent = resolve_parent(fs_, &to.root); !parent.ok()) {
    return fail(environment_, ExitCode::kCannotWrite, to.root,
                annotate(parent, "the directory above the destination"),
                "is its volume mounted? it is not made by this program");
  }
  const std::string path = stage_path(to.root);
  auto opened = MigrationStage::open(fs_, to.root);
  if (absl::IsNotFound(opened.status())) {
    const auto there = fs_.list(to.root);
    complete_ = arguments_.resume && there.ok() && !there->empty();
    if (complete_) return ExitCode::kOk;
    if (ExitCode code = check_places(); code != ExitCode::kOk) return code;
    auto made = MigrationStage::make(fs_, to.root);
    if (absl::IsAlreadyExists(made.status()) || absl::IsUnavailable(made.status())) {
      return fail(environment_, ExitCode::kCannotWrite, path,
                  absl::UnavailableError(cat("another migration works in ", path)));
    }
    if (!made.ok()) return fail(environment_, ExitCode::kCannotWrite, path, made.status());
    stage_ = *std::move(made);
    fresh_ = true;
  } else if (!opened.ok()) {
    const bool foreign =
        absl::IsFailedPrecondition(opened.status()) || absl::IsDataLoss(opened.status());
    return fail(environment_, foreign ? ExitCode::kData : ExitCode::kCannotWrite, path,
                opened.status());
  } else {
    stage_ = *std::move(opened);
    if (!arguments_.resume || dry_) {
      return fail(
          environment_, ExitCode::kCannotWrite, path,
          absl::AlreadyExistsError(
              cat("an unfinished migration is there",
                  stage_->manifest() ? cat(" (", stage_phase_text(phase()), ")") : std::string(),
                  ", expected none")),
          cat("to go on: ", again("--resume"), "; to see it: ", again("--status"),
              "; to remove it: ", again("--abort")));
    }
    if (!stage_->manifest()) {
      // Killed before it had begun. What lies at the destination may be what an earlier one made.
      fresh_ = true;
      const auto there = fs_.list(to.root);
      complete_ = there.ok() && !there->empty();
      if (complete_) {
        if (const absl::Status removed = stage_->remove(); !removed.ok()) {
          return fail(environment_, ExitCode::kCannotWrite, path, removed);
        }
        stage_.reset();
        return ExitCode::kOk;
      }
    } else {
      if (ExitCode code = check_stage_is_ours(); code != ExitCode::kOk) return code;
      const auto in_place = is_in_place(fs_, to.root, *stage_->manifest());
      if (!in_place.ok()) return stopped(ExitCode::kData, to.root, in_place.status());
      in_place_ = *in_place;
    }
    if (!in_place_ && (phase() != Phase::kAccepted || source_is_directory())) {
      if (ExitCode code = check_places(); code != ExitCode::kOk) return code;
    }
  }
  return ExitCode::kOk;
}

// --resume goes on with what these arguments began, and with nothing else.
ExitCode StoppedMigration::check_stage_is_ours() {
  const Manifest& manifest = *stage_->manifest();
  StorageArgument from = places_.from;
  // After a fence its name leads nowhere or to a file.
  if (const auto real = fs_.real_path(from.root); real.ok()) {
    from.root = *real;
  } else if (manifest.phase == Phase::kAccepted) {
    from.root = manifest.a.root;
  }
  const auto text = [](const std::string& group, const std::string& peer,
                       const migration::Instance& a, const migration::Instance& b) {
    return cat("group ", group, ", peer ", peer, ", ", recorded_text(a), " -> ", recorded_text(b));
  };
  const std::string found = text(manifest.group_id, manifest.peer_id, manifest.a, manifest.b);
  const std::string expected = text(arguments_.group, peer_, recorded(from), recorded(places_.to));
  if (found == expected) return ExitCode::kOk;
  return fail(environment_, ExitCode::kData, stage_->path(),
              absl::FailedPreconditionError(cat("the stage belongs to another migration: found ",
                                                found, "; expected ", expected)),
              "it is left as it is");
}

// All that can be known of the places without a byte of the source.
ExitCode StoppedMigration::check_places() {
  if (fenced_generation(fs_, places_.from.root)) return ExitCode::kOk;  // said later
  if (ExitCode code = ImageSource::find(environment_, places_.from, &source_);
      code != ExitCode::kOk) {
    return code;
  }
  places_.from = source_->place();
  places_.from_directories = source_->directories();
  const absl::Status checked =
      run_checks(place_checks(environment_, places_), dry_ ? environment_.out : nullptr);
  if (!checked.ok()) return fail(environment_, ExitCode::kCannotWrite, places_.to.root, checked);
  return ExitCode::kOk;
}

ExitCode StoppedMigration::read_whole(families::Family* family, const image::ExportCut& cut,
                                      const families::FamilyDescriptor& descriptor,
                                      const std::string& where, const std::string& what,
                                      std::unique_ptr<image::Reading>* out) {
  image::ExportCut at = cut;
  *out = std::make_unique<image::Reading>(family, std::move(at), state_.identity, descriptor);
  progress_.begin(what);
  const absl::Status read = run_steps(**out, environment_, &progress_);
  progress_.end();
  if (!read.ok()) return stopped(code_of_input(read), where, read);
  return ExitCode::kOk;
}

// Its state is known then, and none of its bytes but those that opening reads.
ExitCode StoppedMigration::open_source() {
  if (source_ == nullptr) {
    if (ExitCode code = ImageSource::find(environment_, places_.from, &source_);
        code != ExitCode::kOk) {
      return code;
    }
    places_.from = source_->place();
    places_.from_directories = source_->directories();
  }
  const std::string where = source_->root();
  progress_.announce("open");
  const ExitCode opened =
      source_->begin(arguments_.group, peer_, arguments_.accept_lost_vote, &state_);
  progress_.end();
  if (opened != ExitCode::kOk) {
    if (stage_ != nullptr) *environment_.err << "hint: " << printable(what_is_left()) << "\n";
    return opened;
  }
  *environment_.out << "migrate   " << places_.from.family->name << " " << printable(where)
                    << " -> " << places_.to.family->name << " " << printable(places_.to.root)
                    << "\n"
                    << "  identity  " << printable(image::to_string(state_.identity)) << "\n";
  if (stage_ == nullptr || in_place_) return ExitCode::kOk;
  const absl::Status checked = run_checks(stage_checks(environment_, places_, stage_->path()),
                                          dry_ ? environment_.out : nullptr);
  return checked.ok() ? ExitCode::kOk : cannot_write(places_.to.root, checked);
}

ExitCode StoppedMigration::read_source() {
  std::unique_ptr<image::Reading> reading;
  if (ExitCode code = read_whole(state_.family.get(), state_.cut, source_->family(),
                                 source_->root(), "read", &reading);
      code != ExitCode::kOk) {
    return code;
  }
  known_ = reading->known();
  facts_ = facts_of(*reading);
  const auto& snapshot = reading->cut().snapshot;
  source_->say_left_out(snapshot == nullptr ? std::string() : snapshot->get_path());
  *environment_.out << "  state     "
                    << printable(describe_state(
                           facts_.first, facts_.last, facts_.hard_state,
                           image::SnapshotHead{facts_.snapshot, known_.totals.files}))
                    << "\n";
  if (!state_.vote.ok()) print_lost_vote(environment_);
  *environment_.out << "  read      " << known_.totals.entries << " entries, "
                    << known_.totals.files << (known_.totals.files == 1 ? " file, " : " files, ")
                    << known_.totals.content_bytes << " bytes in " << progress_.passed_text()
                    << "\n"
                    << std::flush;
  return ExitCode::kOk;
}

ExitCode StoppedMigration::check_space() {
  if (in_place_) return ExitCode::kOk;
  const bool copied = phase() == Phase::kBootstrapping || phase() == Phase::kValidated;
  if (copied) return ExitCode::kOk;
  if (!fresh_ && stage_->manifest()) {
    // What an earlier process copied is of no use any more, and takes the place of the next copy.
    if (const absl::Status removed = stage_->remove_instance(); !removed.ok()) {
      return cannot_write(stage_->path(), removed);
    }
  }
  const absl::Status checked = run_checks({space_check(environment_, places_, known_.totals)},
                                          dry_ ? environment_.out : nullptr);
  return checked.ok() ? ExitCode::kOk : cannot_write(places_.to.root, checked);
}

ExitCode StoppedMigration::planned() {
  const absl::Status removed = stage_->remove();
  if (!removed.ok()) return fail(environment_, ExitCode::kCannotWrite, stage_->path(), removed);
  if (const absl::Status unchanged = source_->check(); !unchanged.ok()) {
    return fail(environment_, ExitCode::kNoInput, places_.from.root, unchanged);
  }
  *environment_.out << "  plan      copy into " << printable(stage_->path())
                    << ", read it back, compare log, term, vote, snapshot and files, rename it to "
                    << printable(places_.to.root)
                    << (arguments_.fence_source ? ", fence the source" : "") << "\n"
                    << "  state digest    " << image::to_hex(known_.totals.state) << "\n"
                    << "PASS  dry run: nothing was copied\n";
  return ExitCode::kOk;
}

}  // namespace qk::cli
