// MigrationStage: DST.qkmigrate, the directory beside a destination in which `qksim migrate` works.
//
//   manifest-0, manifest-1   how far it has come, from where to where (migration/manifest.h)
//   instance                 the new instance, which never opens there, until it moves to its place
//
// One process works in a stage: it holds a lock on the directory. Phases as of a node's migration,
// of which a stopped node passes four:
//
//   EXPORT   the copy is not complete, and is made again by whoever goes on
//   BOOT     the copy is complete, and was not compared yet
//   V1       the copy was read back and equals the source; it may move to its place
//   B        it is in its place; the source is being fenced
//
// After a crash the stage is in the phase before or after; what a phase needs is durable before it.
// A destination whose sidecar names the manifest's instance is in its place, whatever the phase.
// A stage that holds a name of nobody's, or no readable manifest beside an instance, is not ours:
// it is never removed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "migration/manifest.h"
#include "tools/qksim/storage_argument.h"

namespace qk::cli {

inline constexpr std::string_view kStageSuffix = ".qkmigrate";

class MigrationStage {
 public:
  // AlreadyExists if there is one.
  static absl::StatusOr<std::unique_ptr<MigrationStage>> make(families::FileSystem& fs,
                                                              const std::string& destination);
  // NotFound if there is none, Unavailable if another process works in it, FailedPrecondition if it
  // is not ours, DataLoss if its manifest is damaged.
  static absl::StatusOr<std::unique_ptr<MigrationStage>> open(families::FileSystem& fs,
                                                              const std::string& destination);

  // The same without the lock, for a look at what another process does; nothing may be changed.
  static absl::StatusOr<std::unique_ptr<MigrationStage>> look(families::FileSystem& fs,
                                                              const std::string& destination);

  const std::string& path() const { return path_; }
  std::string instance_root() const;
  // nullopt in one that was only just made.
  const std::optional<migration::Manifest>& manifest() const { return manifest_; }
  absl::Status save(migration::Manifest manifest);

  // The instance, complete or not; missing is fine.
  absl::Status remove_instance();
  // The stage itself.
  absl::Status remove();
  // That nobody has put another directory there.
  absl::Status check() const { return lock_->check(); }

 private:
  MigrationStage(families::FileSystem& fs, std::string path)
      : fs_(fs), path_(std::move(path)), store_(&fs, path_) {}
  absl::Status foreign(std::string_view what) const;
  absl::Status check_directory() const;
  absl::Status lock();
  // Of a stage that is there.
  absl::Status load();

  families::FileSystem& fs_;
  const std::string path_;
  migration::ManifestStore store_;
  std::unique_ptr<families::FileLock> lock_;
  std::optional<migration::Manifest> manifest_;
};

std::string stage_path(std::string_view destination);
// "EXPORT: the copy is not complete"
std::string_view stage_phase_text(migration::Phase phase);
// Whether what lies at `destination` is the instance of this manifest.
absl::StatusOr<bool> is_in_place(families::FileSystem& fs, const std::string& destination,
                                 const migration::Manifest& manifest);

// A place as the manifest of a stage has it: parts that have names of their own are its options.
migration::Instance recorded(const StorageArgument& at);
// "local /srv/g1"
std::string recorded_text(const migration::Instance& instance);

}  // namespace qk::cli
