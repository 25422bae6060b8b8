#include "tools/qksim/migrate_command.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>

#include "families/base/printable.h"
#include "families/fs/file_util.h"
#include "image/report.h"
#include "migration/fence.h"
#include "tools/qksim/image_messages.h"
#include "tools/qksim/image_source.h"
#include "tools/qksim/migrate_checks.h"
#include "tools/qksim/migrate_compare.h"
#include "tools/qksim/migrate_stage.h"
#include "tools/qksim/step_progress.h"

namespace qk::cli {
namespace {

using migration::Manifest;
using migration::Phase;

// One URI, or three, as a place. Says what is wrong.
ExitCode find_place(const Environment& environment, const std::string& uri,
                    const families::UriTriple& uris, std::string_view which, StorageArgument* out) {
  if (!uris.empty()) return find_storage(environment, "", "", which, uris, out);
  const auto parsed = families::parse_uri(uri);
  if (!parsed.ok()) {
    print_error(environment, std::string(to_std(parsed.status().message())));
    return ExitCode::kUsage;
  }
  return find_storage(environment, parsed->scheme, parsed->path, which, {}, out);
}

// The directory above it without symbolic links; the name itself is not followed.
absl::Status resolve_parent(families::FileSystem& fs, std::string* path) {
  QK_ASSIGN_OR_RETURN(const std::string parent, fs.real_path(families::parent_path(*path)));
  *path = families::join_path(parent, families::base_name(*path));
  return absl::OkStatus();
}

// A place as the manifest of a stage names it: parts that have names of their own go into its options.
migration::Instance recorded(const StorageArgument& at) {
  migration::Instance instance;
  instance.family = at.family->name;
  instance.root = at.root;
  if (at.parts != families::PartPaths()) {
    instance.options = {
        {"log", at.parts.log}, {"raft_meta", at.parts.raft_meta}, {"snapshot", at.parts.snapshot}};
  }
  return instance;
}

std::string recorded_text(const migration::Instance& instance) {
  std::string out = cat(instance.family, " ", instance.root);
  for (const auto& [name, value] : instance.options) out += cat(" ", name, "=", value);
  return out;
}

// N of a file that says "fenced at generation N; ..."; nullopt if `path` is not one.
std::optional<uint64_t> fenced_generation(families::FileSystem& fs, const std::string& path) {
  constexpr uint64_t kMostBytes = 8 << 10;
  const auto stat = fs.stat(path);
  if (!stat.ok() || stat->kind != families::FileKind::kFile) return std::nullopt;
  const auto text = families::read_file(fs, path, kMostBytes);
  return text.ok() ? migration::generation_of_fence(*text) : std::nullopt;
}

std::string uris_of(const StorageArgument& at) {
  const auto uri = [&](const std::string& part) {
    return cat(at.family->name, "://",
               part.starts_with('/') ? part : families::join_path(at.root, part));
  };
  return cat("log_uri ", uri(at.parts.log), ", raft_meta_uri ", uri(at.parts.raft_meta),
             ", snapshot_uri ", uri(at.parts.snapshot));
}

std::string seconds_text(int64_t ms) { return cat(ms / 1000, ".", ms / 100 % 10, "s"); }

class Migration {
 public:
  Migration(const MigrateArguments& arguments, const Environment& environment)
      : arguments_(arguments),
        environment_(environment),
        fs_(*environment.fs),
        dry_(arguments.action == MigrateAction::kDryRun),
        progress_(environment, arguments.progress) {}

  ExitCode run();

 private:
  ExitCode take_stage();
  ExitCode check_stage_is_ours();
  ExitCode check_places();
  ExitCode open_source();
  ExitCode read_source();
  ExitCode check_space();
  ExitCode copy();
  ExitCode verify();
  ExitCode publish();
  ExitCode check_published();
  ExitCode fence();
  ExitCode finish_fence();
  ExitCode compare_with_destination();
  ExitCode read_whole(families::Family* family, const image::ExportCut& cut,
                      const families::FamilyDescriptor& descriptor, const std::string& where,
                      const std::string& what, std::unique_ptr<image::Reading>* out);
  ExitCode compare(const StateFacts& found, families::Family* family, const std::string& where);
  ExitCode finish();
  ExitCode planned();

  Manifest manifest_now() const { return *stage_->manifest(); }
  Phase phase() const {
    return stage_ != nullptr && stage_->manifest() ? stage_->manifest()->phase : Phase::kIdle;
  }
  // Gives an error its code; says what is left, and how to go on.
  ExitCode stopped(ExitCode code, const std::string& where, const absl::Status& status);
  ExitCode cannot_write(const std::string& where, const absl::Status& status);
  std::string what_is_left();
  std::string again(std::string_view option) const;

  const MigrateArguments& arguments_;
  const Environment& environment_;
  families::FileSystem& fs_;
  const bool dry_;
  StepProgress progress_;
  std::string peer_;
  MigratePlaces places_;
  std::unique_ptr<MigrationStage> stage_;
  bool fresh_ = false;     // the stage was made by this process and holds nothing
  bool in_place_ = false;  // the destination is this stage's instance
  bool complete_ = false;  // the destination is there, and no stage
  std::unique_ptr<ImageSource> source_;
  StateToCopy state_;
  image::KnownImage known_;
  StateFacts facts_;
};

std::string Migration::again(std::string_view option) const {
  const auto quoted = [](const std::string& uri) { return uri.empty() ? "..." : uri; };
  if (option == "--resume") {
    return cat("qksim migrate ", quoted(arguments_.from), " ", quoted(arguments_.to), " --group ",
               arguments_.group, " --peer ", arguments_.peer,
               arguments_.fence_source ? " --fence-source" : "", " --resume");
  }
  return cat("qksim migrate ", option, " ", quoted(arguments_.to));
}

std::string Migration::what_is_left() {
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

ExitCode Migration::stopped(ExitCode code, const std::string& where, const absl::Status& status) {
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

ExitCode Migration::cannot_write(const std::string& where, const absl::Status& status) {
  return stopped(ExitCode::kCannotWrite, where, status);
}

ExitCode Migration::run() {
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
  if (phase() == Phase::kAccepted) {
    const auto still = fs_.stat(places_.from.root);
    const bool fenced = !still.ok() || still->kind != families::FileKind::kDirectory;
    if (fenced) {
      if (ExitCode code = finish_fence(); code != ExitCode::kOk) return code;
      return finish();
    }
  }
  if (const auto generation = fenced_generation(fs_, places_.from.root)) {
    const std::string moved = migration::fenced_path(places_.from.root, *generation);
    if (!complete_) {
      return fail(environment_, ExitCode::kNoInput, places_.from.root,
                  absl::FailedPreconditionError(cat("the source is fenced: found a file, and its "
                                                    "instance in ",
                                                    moved, ", expected a directory")));
    }
    note(environment_, cat(places_.from.root, " is fenced; ", moved, " is compared"));
    places_.from.root = moved;
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
ExitCode Migration::take_stage() {
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
      const auto in_place = is_in_place(fs_, to.root, *stage_->manifest());
      if (!in_place.ok()) return stopped(ExitCode::kData, to.root, in_place.status());
      in_place_ = *in_place;
      if (ExitCode code = check_stage_is_ours(); code != ExitCode::kOk) return code;
    }
    if (!in_place_) {
      if (ExitCode code = check_places(); code != ExitCode::kOk) return code;
    }
  }
  return ExitCode::kOk;
}

// --resume goes on with what these arguments began, and with nothing else.
ExitCode Migration::check_stage_is_ours() {
  const Manifest& manifest = *stage_->manifest();
  StorageArgument from = places_.from;
  // After a fence its name leads nowhere or to a file.
  if (const auto real = fs_.real_path(from.root); real.ok()) from.root = *real;
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
ExitCode Migration::check_places() {
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

ExitCode Migration::read_whole(families::Family* family, const image::ExportCut& cut,
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
ExitCode Migration::open_source() {
  if (source_ == nullptr) {
    if (ExitCode code = ImageSource::find(environment_, places_.from, &source_);
        code != ExitCode::kOk) {
      return code;
    }
    places_.from = source_->place();
    places_.from_directories = source_->directories();
  }
  const std::string where = source_->root();
  if (ExitCode code = source_->begin(arguments_.group, peer_, arguments_.accept_lost_vote, &state_);
      code != ExitCode::kOk) {
    if (stage_ != nullptr) *environment_.err << "hint: " << printable(what_is_left()) << "\n";
    return code;
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

ExitCode Migration::read_source() {
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
                    << known_.totals.content_bytes << " bytes in "
                    << seconds_text(progress_.passed_ms()) << "\n"
                    << std::flush;
  return ExitCode::kOk;
}

ExitCode Migration::check_space() {
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

ExitCode Migration::planned() {
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

ExitCode Migration::copy() {
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
                    << seconds_text(ms) << ", "
                    << known_.totals.content_bytes * 1000 / static_cast<uint64_t>(ms) / (1 << 20)
                    << " MiB/s\n"
                    << std::flush;
  return ExitCode::kOk;
}

ExitCode Migration::compare(const StateFacts& found, families::Family* family,
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
ExitCode Migration::verify() {
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

ExitCode Migration::publish() {
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

// At its place, as a node opens it. All contents were compared; this is about the place.
ExitCode Migration::check_published() {
  // A process that was killed after the rename may have left it without a sync.
  if (const absl::Status synced =
          fs_.sync_dir(families::parent_path(places_.to.root), families::SyncKind::kFull);
      !synced.ok()) {
    return cannot_write(places_.to.root, synced);
  }
  std::unique_ptr<ImageSource> there;
  if (ExitCode code = ImageSource::find(environment_, places_.to, &there); code != ExitCode::kOk) {
    return code;
  }
  StateToCopy published;
  if (ExitCode code = there->begin(arguments_.group, peer_, true, &published);
      code != ExitCode::kOk) {
    return code;
  }
  const absl::Status equal =
      check_equal(compare_domains(facts_of(published.cut), facts_, /*digests=*/false));
  if (!equal.ok()) {
    return stopped(ExitCode::kViolated, places_.to.root,
                   annotate(equal, "differs from the source"));
  }
  return ExitCode::kOk;
}

// Makes the source unusable under its name: migration/fence.h. Nobody may have used it since.
ExitCode Migration::fence() {
  state_ = {};
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

ExitCode Migration::finish_fence() {
  const Manifest& manifest = *stage_->manifest();
  const std::string& root = manifest.a.root;
  const absl::Status fenced = migration::fence_root(fs_, root, manifest.generation);
  if (!fenced.ok()) return cannot_write(root, fenced);
  *environment_.out << "  fence     " << printable(root) << " is now a file, the source lies in "
                    << printable(migration::fenced_path(root, manifest.generation)) << "\n";
  return ExitCode::kOk;
}

// --resume after the last step of an earlier process, or because an operator asks once more.
ExitCode Migration::compare_with_destination() {
  std::unique_ptr<ImageSource> there;
  if (ExitCode code = ImageSource::find(environment_, places_.to, &there); code != ExitCode::kOk) {
    return code;
  }
  StateToCopy published;
  if (ExitCode code = there->begin(arguments_.group, peer_, true, &published);
      code != ExitCode::kOk) {
    return code;
  }
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
  *environment_.out << "  state digest    " << image::to_hex(known_.totals.state) << "\n"
                    << "PASS  the destination is there already, and holds the same\n";
  return ExitCode::kOk;
}

ExitCode Migration::finish() {
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
                    << "next  verify  "
                    << printable(fenced
                                     ? cat("qksim image export of it prints the state digest above")
                                     : cat(again("--resume"), " compares both once more"))
                    << "\n"
                    << "next  undo    as long as no node has run on " << printable(to)
                    << ": remove it"
                    << (fenced ? printable(cat(", rm ", from, ", mv ", fenced_at, " ", from)) : "")
                    << ", start on the source\n";
  return ExitCode::kOk;
}

// --status and --abort.
ExitCode look_at_stage(const MigrateArguments& arguments, const Environment& environment) {
  const bool abort = arguments.action == MigrateAction::kAbort;
  StorageArgument to;
  if (ExitCode code = find_place(environment, arguments.to, arguments.to_uris, "DST_URI", &to);
      code != ExitCode::kOk) {
    return code;
  }
  families::FileSystem& fs = *environment.fs;
  if (const absl::Status parent = resolve_parent(fs, &to.root); !parent.ok()) {
    return fail(environment, ExitCode::kNoInput, to.root, parent);
  }
  const std::string path = stage_path(to.root);
  auto opened = MigrationStage::open(fs, to.root);
  const bool at_work = absl::IsUnavailable(opened.status()) && !abort;
  if (at_work) opened = MigrationStage::look(fs, to.root);
  if (absl::IsNotFound(opened.status())) {
    *environment.out << "no unfinished migration to " << printable(to.root) << ": "
                     << printable(path) << " is not there\n";
    return ExitCode::kOk;
  }
  if (!opened.ok()) {
    const bool foreign =
        absl::IsFailedPrecondition(opened.status()) || absl::IsDataLoss(opened.status());
    return fail(environment, foreign ? ExitCode::kData : ExitCode::kCannotWrite, path,
                opened.status());
  }
  MigrationStage& stage = **opened;
  *environment.out << "stage     " << printable(path)
                   << (at_work ? ", a process is at work" : ", no process is at work") << "\n";
  bool in_place = false;
  if (!stage.manifest()) {
    *environment.out << "  phase     nothing was begun\n";
  } else {
    const Manifest& manifest = *stage.manifest();
    const auto found = is_in_place(fs, to.root, manifest);
    if (!found.ok()) return fail(environment, ExitCode::kData, to.root, found.status());
    in_place = *found;
    *environment.out << "  from      " << printable(recorded_text(manifest.a)) << "\n  to        "
                     << printable(recorded_text(manifest.b)) << "\n  identity  "
                     << printable(cat("group ", manifest.group_id, ", peer ", manifest.peer_id))
                     << "\n  phase     "
                     << (in_place && manifest.phase != Phase::kAccepted
                             ? "V1: the destination is in its place"
                             : stage_phase_text(manifest.phase))
                     << "\n  attempts  " << manifest.attempts << "\n";
    if (!manifest.last_error.empty()) {
      *environment.out << "  stopped   " << printable(manifest.last_error) << "\n";
    }
    if (abort && manifest.phase == Phase::kAccepted) {
      return fail(environment, ExitCode::kCannotWrite, path,
                  absl::FailedPreconditionError(cat(
                      "the source is being fenced: found phase B, expected EXPORT, BOOT or V1")),
                  "--resume finishes the fence");
    }
  }
  if (!abort) return ExitCode::kOk;
  if (const absl::Status removed = stage.remove(); !removed.ok()) {
    return fail(environment, ExitCode::kCannotWrite, path, removed);
  }
  *environment.out << "removed   " << printable(path)
                   << (in_place ? "; the destination is whole and stays" : "") << "\n";
  return ExitCode::kOk;
}

}  // namespace

ExitCode migrate_command(const MigrateArguments& arguments, const Environment& environment) {
  if (arguments.action == MigrateAction::kStatus || arguments.action == MigrateAction::kAbort) {
    return look_at_stage(arguments, environment);
  }
  return Migration(arguments, environment).run();
}

}  // namespace qk::cli
