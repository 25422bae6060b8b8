#include "tools/qksim/output_file.h"

#include "families/fs/file_util.h"

namespace qk::cli {
namespace {

// Creates PATH.<16 digits>.tmp, which nobody else has; sets *name.
absl::StatusOr<std::unique_ptr<families::File>> make_temporary(const Environment& environment,
                                                               const std::string& path,
                                                               std::string* name) {
  constexpr int kAttempts = 100;
  absl::Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    *name = cat(path, ".", hex16(environment.random_seed()), ".tmp");
    auto file = environment.fs->open(*name, {.create = true, .exclusive = true});
    if (!absl::IsAlreadyExists(file.status())) return file;
    status = file.status();
  }
  return status;
}

}  // namespace

absl::Status replace_output(const Environment& environment, const std::string& path,
                            std::string_view bytes) {
  families::FileSystem& fs = *environment.fs;
  environment.catch_signals();
  std::string temporary;
  QK_ASSIGN_OR_RETURN(auto file, make_temporary(environment, path, &temporary));
  const auto write = [&]() -> absl::Status {
    QK_RETURN_IF_ERROR(file->write_at(0, bytes));
    QK_RETURN_IF_ERROR(file->sync(families::SyncKind::kFull));
    file.reset();
    return fs.rename(temporary, path);
  };
  if (const absl::Status status = write(); !status.ok()) {
    fs.unlink(temporary).IgnoreError();
    return status;
  }
  return fs.sync_dir(families::parent_path(path), families::SyncKind::kFull);
}

}  // namespace qk::cli
