#include "families/testing/golden.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <memory>

#include "families/fs/file_util.h"

namespace qk::families {
namespace {

constexpr size_t kBlockSize = 64 << 10;
constexpr int64_t kMaxFileSize = int64_t{64} << 20;
constexpr int64_t kMaxTotalSize = int64_t{512} << 20;
constexpr size_t kMaxEntries = 100'000;

struct FreeArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};
using ArchivePtr = std::unique_ptr<archive, FreeArchive>;

bool is_description(std::string_view path) {
  return path == "script.txt" || (path.substr(0, 8) == "expected" && path.size() > 5 &&
                                  path.substr(path.size() - 5) == ".json");
}

absl::Status archive_error(const std::string& path, archive* a) {
  const char* const message = archive_error_string(a);
  return absl::DataLossError(cat(path, ": ", message == nullptr ? "unreadable" : message));
}

absl::StatusOr<std::string> read_data(const std::string& path, archive* a, int64_t size) {
  std::string bytes(static_cast<size_t>(size), '\0');
  size_t filled = 0;
  while (filled < bytes.size()) {
    const la_ssize_t got = archive_read_data(a, bytes.data() + filled, bytes.size() - filled);
    if (got < 0) return archive_error(path, a);
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  if (filled != bytes.size()) {
    return absl::DataLossError(
        cat(path, ": member has ", filled, " bytes, expected ", bytes.size()));
  }
  return bytes;
}

}  // namespace

absl::StatusOr<GoldenArchive> GoldenArchive::load(const std::string& path) {
  const ArchivePtr reader(archive_read_new());
  archive* const a = reader.get();
  archive_read_support_filter_gzip(a);
  archive_read_support_format_tar(a);
  if (archive_read_open_filename(a, path.c_str(), kBlockSize) != ARCHIVE_OK) {
    return archive_error(path, a);
  }
  GoldenArchive golden;
  int64_t total = 0;
  for (size_t count = 0;; ++count) {
    archive_entry* entry = nullptr;
    const int result = archive_read_next_header(a, &entry);
    if (result == ARCHIVE_EOF) return golden;
    if (result != ARCHIVE_OK) return archive_error(path, a);
    const char* const pathname = archive_entry_pathname(entry);
    std::string name = pathname == nullptr ? "" : pathname;
    if (!name.empty() && name.back() == '/') name.pop_back();
    const bool directory = archive_entry_filetype(entry) == AE_IFDIR;
    if (!is_safe_relative_path(name) || (!directory && archive_entry_filetype(entry) != AE_IFREG)) {
      return absl::InvalidArgumentError(
          cat(path, ": member \"", name, "\": expected a file or directory inside the archive"));
    }
    const int64_t size = directory ? 0 : archive_entry_size(entry);
    total += size;
    if (count >= kMaxEntries || size < 0 || size > kMaxFileSize || total > kMaxTotalSize) {
      return absl::InvalidArgumentError(
          cat(path, ": member \"", name, "\" of ", size, " bytes: the archive is too large"));
    }
    // DIR/CASE/...
    const size_t top = name.find('/');
    if (top == std::string::npos) continue;
    const std::string below = name.substr(top + 1);
    const size_t slash = below.find('/');
    Case& one = golden.cases_[below.substr(0, slash)];
    if (slash == std::string::npos) continue;
    const std::string relative = below.substr(slash + 1);
    if (directory) {
      one.directories.push_back(relative);
    } else {
      QK_ASSIGN_OR_RETURN(one.files[relative], read_data(path, a, size));
    }
  }
}

std::vector<std::string> GoldenArchive::cases() const {
  std::vector<std::string> names;
  for (const auto& [name, unused] : cases_) names.push_back(name);
  return names;
}

absl::StatusOr<const GoldenArchive::Case*> GoldenArchive::find(std::string_view name) const {
  const auto it = cases_.find(name);
  if (it == cases_.end()) return absl::NotFoundError(cat("no golden case \"", name, "\""));
  return &it->second;
}

absl::StatusOr<std::string> GoldenArchive::file(std::string_view name,
                                                std::string_view path) const {
  QK_ASSIGN_OR_RETURN(const Case* const one, find(name));
  const auto it = one->files.find(std::string(path));
  if (it == one->files.end()) {
    return absl::NotFoundError(cat("golden case \"", name, "\" has no file \"", path, "\""));
  }
  return it->second;
}

absl::StatusOr<GoldenArchive::Tree> GoldenArchive::tree(std::string_view name) const {
  QK_ASSIGN_OR_RETURN(const Case* const one, find(name));
  Tree tree;
  tree.directories = one->directories;
  std::sort(tree.directories.begin(), tree.directories.end());
  for (const auto& [path, bytes] : one->files) {
    if (!is_description(path)) tree.files.emplace(path, bytes);
  }
  return tree;
}

absl::Status GoldenArchive::unpack(std::string_view name, FileSystem& fs,
                                   const std::string& root) const {
  QK_ASSIGN_OR_RETURN(const Tree contents, tree(name));
  QK_RETURN_IF_ERROR(make_directories(fs, root));
  for (const std::string& directory : contents.directories) {
    QK_RETURN_IF_ERROR(make_directories(fs, join_path(root, directory)));
  }
  for (const auto& [path, bytes] : contents.files) {
    QK_RETURN_IF_ERROR(write_file(fs, join_path(root, path), bytes));
  }
  return sync_tree(fs, root);
}

}  // namespace qk::families
