#include "families/local/durability.h"

#include <string>

#include "families/fs/file_util.h"

namespace qk::families::local {

absl::Status sync_names(FileSystem& fs, std::string_view directory, Durability durability) {
  if (durability == Durability::kAsShipped) return absl::OkStatus();
  return fs.sync_dir(directory, SyncKind::kFull);
}

absl::Status make_tree(FileSystem& fs, std::string_view directory, Durability durability) {
  if (durability == Durability::kStrict) return make_directories(fs, directory);
  QK_ASSIGN_OR_RETURN(const bool found, exists(fs, directory));
  if (found) return absl::OkStatus();
  QK_RETURN_IF_ERROR(make_tree(fs, parent_path(directory), durability));
  return fs.mkdir(directory);
}

absl::Status replace(FileSystem& fs, std::string_view path, std::string_view bytes,
                     Durability durability) {
  if (durability == Durability::kStrict) return replace_file(fs, path, bytes);
  const std::string temporary = cat(path, ".tmp");
  QK_RETURN_IF_ERROR(write_file(fs, temporary, bytes));
  return fs.rename(temporary, path);
}

}  // namespace qk::families::local
