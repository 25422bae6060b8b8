#include "families/fs/file_util.h"

#include <algorithm>
#include <cerrno>

#include "families/fs/tree_walk.h"

namespace qk::families {
namespace {

constexpr size_t kCopyChunk = 64 * 1024;
constexpr size_t kMaxRelativePath = 4096;

struct TreeWalk {
  FileSystem& fs;
  TreeNames found;
  // From the root to the directory being walked: device and inode.
  std::vector<std::pair<uint64_t, uint64_t>> open_directories;

  absl::Status visit(const std::string& path, const std::string& relative) {
    QK_ASSIGN_OR_RETURN(const FileStat self, fs.stat(path));
    const std::pair id{self.device, self.inode};
    if (std::find(open_directories.begin(), open_directories.end(), id) != open_directories.end()) {
      return absl::InvalidArgumentError(cat(path, ": directory contains itself"));
    }
    open_directories.push_back(id);
    QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(path));
    for (const std::string& name : names) {
      const std::string child = join_path(path, name);
      const std::string child_relative = relative.empty() ? name : cat(relative, "/", name);
      const absl::StatusOr<FileStat> stat = fs.stat(child);
      if (absl::IsNotFound(stat.status())) {
        QK_ASSIGN_OR_RETURN(const bool link, fs.is_symlink(child));
        if (!link) return stat.status();
        found.dangling.push_back(child_relative);
        continue;
      }
      QK_RETURN_IF_ERROR(stat.status());
      if (stat->kind != FileKind::kDirectory) {
        found.files.push_back(child_relative);
      } else {
        QK_RETURN_IF_ERROR(visit(child, child_relative));
        found.directories.push_back(child_relative);
      }
    }
    if (names.empty() && !relative.empty()) found.empty_directories.push_back(relative);
    open_directories.pop_back();
    return absl::OkStatus();
  }
};

}  // namespace

absl::Status FileSystem::rename_new(std::string_view from, std::string_view to) {
  QK_ASSIGN_OR_RETURN(const bool there, exists(*this, to));
  if (there) return errno_status(EEXIST, cat("rename ", from, " to ", to));
  return rename(from, to);
}

std::string join_path(std::string_view directory, std::string_view name) {
  return directory == "/" ? cat("/", name) : cat(directory, "/", name);
}

std::string_view parent_path(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : path.substr(0, slash);
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool is_safe_relative_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxRelativePath) return false;
  if (path.find('\0') != std::string_view::npos) return false;
  while (true) {
    const size_t slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    if (component.empty() || component == "." || component == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

absl::StatusOr<bool> exists(FileSystem& fs, std::string_view path) {
  const absl::Status status = fs.stat(path).status();
  if (status.ok()) return true;
  if (absl::IsNotFound(status)) return false;
  return status;
}

absl::StatusOr<std::string> read_file(FileSystem& fs, std::string_view path, uint64_t max_size) {
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs.open(path, {.read_only = true}));
  QK_ASSIGN_OR_RETURN(const uint64_t size, file->size());
  if (size > max_size) {
    return absl::InvalidArgumentError(
        cat(path, ": file of ", size, " bytes, expected at most ", max_size));
  }
  std::string bytes(size, '\0');
  QK_RETURN_IF_ERROR(read_exact(*file, path, 0, bytes));
  return bytes;
}

absl::Status read_exact(File& file, std::string_view path, uint64_t offset,
                        std::span<char> buffer) {
  QK_ASSIGN_OR_RETURN(const size_t got, file.read_at(offset, buffer));
  if (got == buffer.size()) return absl::OkStatus();
  QK_ASSIGN_OR_RETURN(const uint64_t size, file.size());
  if (size >= offset && size - offset >= buffer.size()) {
    // The bytes are there: a call that failed says nothing about them.
    return errno_status(EIO, cat(path, ": read ", got, " of ", buffer.size(), " bytes at offset ",
                                 offset, " of ", size));
  }
  return absl::DataLossError(
      cat(path, ": ", got, " bytes at offset ", offset, ", expected ", buffer.size()));
}

absl::Status write_file(FileSystem& fs, std::string_view path, std::string_view bytes) {
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                      fs.open(path, {.create = true, .truncate = true}));
  if (!bytes.empty()) QK_RETURN_IF_ERROR(file->write_at(0, bytes));
  return file->sync(SyncKind::kFull);
}

absl::Status write_again(File& file) {
  constexpr size_t kChunk = size_t{1} << 20;
  QK_ASSIGN_OR_RETURN(const uint64_t size, file.size());
  std::string buffer;
  for (uint64_t offset = 0; offset < size;) {
    QK_ASSIGN_OR_RETURN(offset, file.skip_hole(offset));
    if (offset >= size) break;
    buffer.resize(std::min<uint64_t>(kChunk, size - offset));
    QK_ASSIGN_OR_RETURN(const size_t got, file.read_at(offset, buffer));
    if (got != buffer.size()) {
      return errno_status(EIO, cat("write again: read ", got, " bytes at offset ", offset,
                                   ", expected ", buffer.size()));
    }
    QK_RETURN_IF_ERROR(file.write_at(offset, buffer));
    offset += got;
  }
  return file.sync(SyncKind::kFull);
}

absl::Status replace_file(FileSystem& fs, std::string_view path, std::string_view bytes) {
  const std::string temporary = cat(path, ".tmp");
  QK_RETURN_IF_ERROR(write_file(fs, temporary, bytes));
  QK_RETURN_IF_ERROR(fs.rename(temporary, path));
  return fs.sync_dir(parent_path(path), SyncKind::kFull);
}

absl::Status make_directories(FileSystem& fs, std::string_view path) {
  std::vector<std::string_view> missing;  // deepest first
  std::string_view existing = path;
  while (existing != "/") {
    QK_ASSIGN_OR_RETURN(const bool found, exists(fs, existing));
    if (found) break;
    missing.push_back(existing);
    existing = parent_path(existing);
  }
  QK_ASSIGN_OR_RETURN(const FileStat stat, fs.stat(existing));
  if (stat.kind != FileKind::kDirectory) return errno_status(ENOTDIR, cat("mkdir ", existing));
  if (existing != "/") {
    const absl::Status synced = fs.sync_dir(parent_path(existing), SyncKind::kFull);
    // A parent that we may not read is not ours: we did not make this directory.
    if (!synced.ok() && !absl::IsPermissionDenied(synced)) return synced;
  }
  for (auto directory = missing.rbegin(); directory != missing.rend(); ++directory) {
    // Somebody else may have made it since.
    if (const absl::Status made = fs.mkdir(*directory);
        !made.ok() && !absl::IsAlreadyExists(made)) {
      return made;
    }
    QK_RETURN_IF_ERROR(fs.sync_dir(parent_path(*directory), SyncKind::kFull));
  }
  return absl::OkStatus();
}

absl::Status remove_tree(FileSystem& fs, std::string_view path) {
  // unlink first: it never follows a symbolic link, as a look at the kind would.
  const absl::Status unlinked = fs.unlink(path);
  if (unlinked.ok() || absl::IsNotFound(unlinked)) return absl::OkStatus();
  if (status_errno(unlinked) != EISDIR) return unlinked;
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(path));
  for (const std::string& name : names) {
    QK_RETURN_IF_ERROR(remove_tree(fs, join_path(path, name)));
  }
  return fs.rmdir(path);
}

absl::StatusOr<TreeNames> walk_tree(FileSystem& fs, std::string_view root) {
  TreeWalk walk{fs, {}, {}};
  QK_RETURN_IF_ERROR(walk.visit(std::string(root), ""));
  return std::move(walk.found);
}

namespace {

absl::StatusOr<TreeNames> walk_whole_tree(FileSystem& fs, std::string_view root) {
  QK_ASSIGN_OR_RETURN(TreeNames names, walk_tree(fs, root));
  if (names.dangling.empty()) return names;
  const std::string path = join_path(root, names.dangling.front());
  return errno_status(ENOENT, cat(path, ": a symbolic link that leads nowhere"));
}

}  // namespace

absl::Status sync_tree(FileSystem& fs, std::string_view root) {
  QK_ASSIGN_OR_RETURN(const TreeNames names, walk_whole_tree(fs, root));
  for (const std::string& name : names.files) {
    const std::string path = join_path(root, name);
    QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs.open(path, {.read_only = true}));
    QK_RETURN_IF_ERROR(file->sync(SyncKind::kFull));
  }
  for (const std::string& name : names.directories) {
    QK_RETURN_IF_ERROR(fs.sync_dir(join_path(root, name), SyncKind::kFull));
  }
  return fs.sync_dir(root, SyncKind::kFull);
}

absl::StatusOr<std::vector<std::string>> list_tree(FileSystem& fs, std::string_view root) {
  QK_ASSIGN_OR_RETURN(TreeNames names, walk_whole_tree(fs, root));
  std::sort(names.files.begin(), names.files.end());
  return std::move(names.files);
}

absl::Status copy_file(FileSystem& from_fs, std::string_view from, FileSystem& to_fs,
                       std::string_view to) {
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> source, from_fs.open(from, {.read_only = true}));
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> target,
                      to_fs.open(to, {.create = true, .truncate = true}));
  std::string chunk(kCopyChunk, '\0');
  for (uint64_t offset = 0;;) {
    QK_ASSIGN_OR_RETURN(const size_t got, source->read_at(offset, chunk));
    if (got > 0)
      QK_RETURN_IF_ERROR(target->write_at(offset, std::string_view(chunk).substr(0, got)));
    if (got < chunk.size()) return absl::OkStatus();
    offset += got;
  }
}

}  // namespace qk::families
