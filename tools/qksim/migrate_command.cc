#include "tools/qksim/migrate_command.h"

#include "families/base/printable.h"
#include "tools/qksim/image_messages.h"
#include "tools/qksim/stopped_migration.h"

namespace qk::cli {
namespace {

using migration::Manifest;
using migration::Phase;

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
  return StoppedMigration(arguments, environment).run();
}

}  // namespace qk::cli
