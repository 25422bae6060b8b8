// StoppedMigration: one `qksim migrate`, from its arguments to its last line.
//
// What it does in which order, and what a death between two steps leaves:
//
//   take the stage     nothing, or an empty stage
//   check, read        the same; the source is read as a whole, and its digest is known
//   copy               EXPORT until the copy is whole, then BOOT
//   verify             BOOT until the copy was read back and is equal, then V1
//   publish            V1; the destination is absent, or whole and in its place
//   fence              B, if it is asked for: the source has its name, or the fence has it, or the
//                      name is free for a moment between the two (migration/fence.h)
//   finish             no stage
//
// Another one that is given --resume reads the source again and goes on behind the last of these
// that holds; a copy that is not whole is made again, because no family can go on with a bulk load.
#pragma once

#include <memory>
#include <string>

#include "tools/qksim/arguments.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/image_source.h"
#include "tools/qksim/migrate_checks.h"
#include "tools/qksim/migrate_compare.h"
#include "tools/qksim/migrate_stage.h"
#include "tools/qksim/step_progress.h"

namespace qk::cli {

class StoppedMigration {
 public:
  StoppedMigration(const MigrateArguments& arguments, const Environment& environment)
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
  ExitCode open_destination(std::unique_ptr<ImageSource>* there, StateToCopy* published);
  ExitCode check_published();
  ExitCode fence();
  ExitCode finish_fence();
  ExitCode compare_with_destination();
  ExitCode fence_later();
  ExitCode read_whole(families::Family* family, const image::ExportCut& cut,
                      const families::FamilyDescriptor& descriptor, const std::string& where,
                      const std::string& what, std::unique_ptr<image::Reading>* out);
  ExitCode compare(const StateFacts& found, families::Family* family, const std::string& where);
  ExitCode finish();
  ExitCode planned();

  migration::Manifest begun() const;
  migration::Manifest manifest_now() const { return *stage_->manifest(); }
  migration::Phase phase() const {
    return stage_ != nullptr && stage_->manifest() ? stage_->manifest()->phase
                                                   : migration::Phase::kIdle;
  }
  // Not so after a fence, nor in the moment inside it.
  bool source_is_directory() const {
    const auto stat = fs_.stat(places_.from.root);
    return stat.ok() && stat->kind == families::FileKind::kDirectory;
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
  bool fresh_ = false;       // the stage was made by this process and holds nothing
  bool in_place_ = false;    // the destination is this stage's instance
  bool complete_ = false;    // the destination is there, and no stage
  bool was_fenced_ = false;  // the source, by an earlier process
  std::unique_ptr<ImageSource> source_;
  StateToCopy state_;
  image::KnownImage known_;
  StateFacts facts_;
};

}  // namespace qk::cli
