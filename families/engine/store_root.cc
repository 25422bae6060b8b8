#include "families/engine/store_root.h"

#include <vector>

#include "families/engine/log_mark.h"
#include "families/fs/file_util.h"

namespace qk::families {
namespace {

// A path that only a store leaves; "" if there is none.
absl::StatusOr<std::string> find_trace(FileSystem& fs, std::string_view root,
                                       std::span<const std::string_view> beside) {
  const std::string trees = snapshot_root(root);
  const absl::StatusOr<std::vector<std::string>> names = fs.list(trees);
  if (!names.ok() && !absl::IsNotFound(names.status())) return names.status();
  if (names.ok() && !names->empty()) return join_path(trees, names->front());
  std::vector<std::string> paths = {join_path(root, kLogMarkName)};
  for (const std::string_view name : beside) paths.push_back(cat(database_path(root), name));
  for (const std::string& path : paths) {
    QK_ASSIGN_OR_RETURN(const bool found, exists(fs, path));
    if (found) return path;
  }
  return "";
}

}  // namespace

std::string database_path(std::string_view root) { return join_path(root, "db"); }
std::string unfinished_database_path(std::string_view root) { return join_path(root, "db.new"); }
std::string snapshot_root(std::string_view root) { return join_path(root, "snapshot"); }

absl::StatusOr<bool> find_database(const OpenRequest& request, std::string_view family,
                                   std::span<const std::string_view> beside) {
  FileSystem& fs = *request.fs;
  const std::string path = database_path(request.root);
  QK_ASSIGN_OR_RETURN(const bool found, exists(fs, path));
  if (found) return true;
  QK_ASSIGN_OR_RETURN(const std::string trace, find_trace(fs, request.root, beside));
  if (!trace.empty()) {
    return absl::DataLossError(cat(request.root, ": ", path, " is missing, but found ", trace,
                                   ", which only a store leaves; expected the database as well"));
  }
  if (!request.create) {
    return absl::NotFoundError(cat(request.root, ": no ", family, " store: ", path, " is missing"));
  }
  QK_RETURN_IF_ERROR(make_directories(fs, request.root));
  return false;
}

absl::Status finish_creation(FileSystem& fs, std::string_view root) {
  QK_RETURN_IF_ERROR(make_directories(fs, snapshot_root(root)));
  return fs.rename(unfinished_database_path(root), database_path(root));
}

}  // namespace qk::families
