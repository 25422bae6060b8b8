#include "tools/qksim/record_directory.h"

#include <algorithm>

#include "families/fs/file_util.h"

namespace qk::cli {
namespace {

constexpr std::string_view kRecords = "records.jsonl";
constexpr uint64_t kMaxRecords = uint64_t{4} << 30;
constexpr uint64_t kMaxDefinition = uint64_t{256} << 20;

}  // namespace

std::string records_file(const std::string& path) { return families::join_path(path, kRecords); }

absl::StatusOr<std::string> read_definition(families::FileSystem& fs, const std::string& path,
                                            const RecordNames& names) {
  const auto text =
      families::read_file(fs, families::join_path(path, names.definition), kMaxDefinition);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(
        cat(path, ": there is no ", names.definition, ", expected the directory of a ", names.job));
  }
  return text;
}

absl::StatusOr<std::string> read_records(families::FileSystem& fs, const std::string& path) {
  const auto text = families::read_file(fs, records_file(path), kMaxRecords);
  if (absl::IsNotFound(text.status())) return "";
  return text;
}

absl::StatusOr<std::unique_ptr<RecordDirectory>> RecordDirectory::create(
    const Environment& environment, const std::string& path, const RecordNames& names,
    std::string_view definition) {
  families::FileSystem& fs = *environment.fs;
  std::unique_ptr<RecordDirectory> out(new RecordDirectory(environment, path));
  QK_RETURN_IF_ERROR(families::make_directories(fs, path));
  QK_RETURN_IF_ERROR(out->take_lock(names));
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> there, fs.list(path));
  if (!there.empty()) {
    const bool ours = std::find(there.begin(), there.end(), names.definition) != there.end();
    return absl::FailedPreconditionError(
        cat("directory ", path, " is not empty: it holds ",
            ours ? cat("a ", names.job, "; go on with it by --resume") : there[0]));
  }
  QK_RETURN_IF_ERROR(out->replace(names.definition, definition));
  QK_RETURN_IF_ERROR(out->open_records(0));
  return out;
}

absl::StatusOr<std::unique_ptr<RecordDirectory>> RecordDirectory::lock(
    const Environment& environment, const std::string& path, const RecordNames& names) {
  std::unique_ptr<RecordDirectory> out(new RecordDirectory(environment, path));
  QK_RETURN_IF_ERROR(read_definition(*environment.fs, path, names).status());
  QK_RETURN_IF_ERROR(out->take_lock(names));
  return out;
}

absl::Status RecordDirectory::take_lock(const RecordNames& names) {
  QK_ASSIGN_OR_RETURN(const std::string real, environment_.fs->real_path(path_));
  auto lock = environment_.fs->lock_directory(real);
  if (absl::IsUnavailable(lock.status())) {
    return absl::UnavailableError(cat(path_, " is in use by another ", names.job));
  }
  QK_RETURN_IF_ERROR(lock.status());
  lock_ = *std::move(lock);
  return absl::OkStatus();
}

// What lies behind `size` is a torn line.
absl::Status RecordDirectory::open_records(uint64_t size) {
  families::FileSystem& fs = *environment_.fs;
  QK_ASSIGN_OR_RETURN(records_, fs.open(records_file(path_), {.create = true}));
  QK_RETURN_IF_ERROR(records_->truncate(size));
  end_ = size;
  QK_RETURN_IF_ERROR(records_->sync(families::SyncKind::kFull));
  return fs.sync_dir(path_, families::SyncKind::kFull);
}

absl::Status RecordDirectory::append(std::string_view line) {
  QK_RETURN_IF_ERROR(records_->write_at(end_, line));
  end_ += line.size();
  return absl::OkStatus();
}

absl::Status RecordDirectory::sync() { return records_->sync(families::SyncKind::kData); }

absl::Status RecordDirectory::replace(std::string_view name, std::string_view bytes) {
  return families::replace_file(*environment_.fs, families::join_path(path_, name), bytes);
}

}  // namespace qk::cli
