#include "families/fs/file_util.h"

namespace qk::families {

std::string join_path(std::string_view directory, std::string_view name) {
  return directory == "/" ? cat("/", name) : cat(directory, "/", name);
}

std::string_view parent_path(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : path.substr(0, slash);
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace qk::families
