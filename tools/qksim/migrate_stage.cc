#include "tools/qksim/migrate_stage.h"

#include "families/fs/file_util.h"

namespace qk::cli {
namespace {

constexpr std::string_view kInstanceName = "instance";
constexpr std::string_view kManifestNames[] = {"manifest-0", "manifest-1", "manifest-0.tmp",
                                               "manifest-1.tmp"};

bool is_manifest_name(std::string_view name) {
  for (const std::string_view known : kManifestNames) {
    if (name == known) return true;
  }
  return false;
}

}  // namespace

std::string stage_path(std::string_view destination) { return cat(destination, kStageSuffix); }

std::string_view stage_phase_text(migration::Phase phase) {
  switch (phase) {
    case migration::Phase::kExporting:
      return "EXPORT: the copy is not complete";
    case migration::Phase::kBootstrapping:
      return "BOOT: the copy is complete, and was not compared yet";
    case migration::Phase::kValidated:
      return "V1: the copy equals the source";
    case migration::Phase::kAccepted:
      return "B: the destination is in its place, the source is being fenced";
    default:
      return "a phase that no stage has";
  }
}

absl::StatusOr<bool> is_in_place(families::FileSystem& fs, const std::string& destination,
                                 const migration::Manifest& manifest) {
  QK_ASSIGN_OR_RETURN(const bool link, fs.is_symlink(destination));
  if (link) return false;
  const auto stat = fs.stat(destination);
  if (absl::IsNotFound(stat.status())) return false;
  QK_RETURN_IF_ERROR(stat.status());
  if (stat->kind != families::FileKind::kDirectory) return false;
  QK_ASSIGN_OR_RETURN(const auto sidecar, image::read_sidecar(fs, destination));
  return sidecar && !manifest.b.instance.empty() && sidecar->instance == manifest.b.instance;
}

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

absl::Status MigrationStage::lock() {
  auto lock = fs_.lock_directory(path_);
  if (absl::IsUnavailable(lock.status())) {
    return absl::UnavailableError(cat("another migration works in ", path_));
  }
  QK_RETURN_IF_ERROR(lock.status());
  lock_ = *std::move(lock);
  const absl::Status same = lock_->check();
  return same.ok() ? same : absl::UnavailableError(cat(path_, " was replaced meanwhile"));
}

absl::StatusOr<std::unique_ptr<MigrationStage>> MigrationStage::make(
    families::FileSystem& fs, const std::string& destination) {
  std::unique_ptr<MigrationStage> stage(new MigrationStage(fs, stage_path(destination)));
  QK_RETURN_IF_ERROR(fs.mkdir(stage->path_));
  QK_RETURN_IF_ERROR(stage->lock());
  QK_RETURN_IF_ERROR(fs.sync_dir(families::parent_path(stage->path_), families::SyncKind::kFull));
  return stage;
}

absl::StatusOr<std::unique_ptr<MigrationStage>> MigrationStage::open(
    families::FileSystem& fs, const std::string& destination) {
  std::unique_ptr<MigrationStage> stage(new MigrationStage(fs, stage_path(destination)));
  QK_RETURN_IF_ERROR(stage->check_directory());
  QK_RETURN_IF_ERROR(stage->lock());
  QK_RETURN_IF_ERROR(stage->load());
  QK_RETURN_IF_ERROR(stage->store_.make_durable());
  return stage;
}

absl::StatusOr<std::unique_ptr<MigrationStage>> MigrationStage::look(
    families::FileSystem& fs, const std::string& destination) {
  std::unique_ptr<MigrationStage> stage(new MigrationStage(fs, stage_path(destination)));
  QK_RETURN_IF_ERROR(stage->check_directory());
  QK_RETURN_IF_ERROR(stage->load());
  return stage;
}

absl::Status MigrationStage::foreign(std::string_view what) const {
  return absl::FailedPreconditionError(
      cat(path_, " is not a stage of a migration: ", what, "; it is left as it is"));
}

absl::Status MigrationStage::check_directory() const {
  QK_ASSIGN_OR_RETURN(const bool link, fs_.is_symlink(path_));
  if (link) return foreign("found a symbolic link, expected a directory");
  QK_ASSIGN_OR_RETURN(const families::FileStat stat, fs_.stat(path_));
  return stat.kind == families::FileKind::kDirectory
             ? absl::OkStatus()
             : foreign("found a file, expected a directory");
}

absl::Status MigrationStage::load() {
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_.list(path_));
  bool instance = false;
  for (const std::string& name : names) {
    instance = instance || name == kInstanceName;
    if (is_manifest_name(name) || name == kInstanceName) continue;
    return foreign(cat("found \"", name, "\", expected manifest-0, manifest-1, instance alone"));
  }
  QK_ASSIGN_OR_RETURN(manifest_, store_.load());
  if (!manifest_) {
    if (!instance) return absl::OkStatus();
    // One that is empty is a probe's.
    QK_ASSIGN_OR_RETURN(const std::vector<std::string> content, fs_.list(instance_root()));
    return content.empty() ? absl::OkStatus() : foreign("found an instance without a manifest");
  }
  switch (manifest_->phase) {
    case migration::Phase::kExporting:
    case migration::Phase::kBootstrapping:
    case migration::Phase::kValidated:
    case migration::Phase::kAccepted:
      return absl::OkStatus();
    default:
      return foreign(
          cat("its manifest is of a node, in phase ", migration::to_string(manifest_->phase)));
  }
}

std::string MigrationStage::instance_root() const {
  return families::join_path(path_, kInstanceName);
}

absl::Status MigrationStage::save(migration::Manifest manifest) {
  QK_RETURN_IF_ERROR(lock_->check());
  QK_RETURN_IF_ERROR(store_.save(manifest));
  manifest_ = std::move(manifest);
  return absl::OkStatus();
}

absl::Status MigrationStage::remove_instance() {
  QK_RETURN_IF_ERROR(lock_->check());
  return image::remove_instance(fs_, instance_root());
}

absl::Status MigrationStage::remove() {
  QK_RETURN_IF_ERROR(remove_instance());
  QK_RETURN_IF_ERROR(store_.remove());
  QK_RETURN_IF_ERROR(fs_.rmdir(path_));
  return fs_.sync_dir(families::parent_path(path_), families::SyncKind::kFull);
}

}  // namespace qk::cli
