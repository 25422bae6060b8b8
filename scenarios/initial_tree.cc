#include "scenarios/initial_tree.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <memory>
#include <set>

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/fs/file_util.h"
#include "scenarios/embedded.h"

namespace qk::scenarios {
namespace {

constexpr std::string_view kBraftArchive = "braft-cluster-b.tar.gz";
constexpr std::string_view kBraftScheme = "braft:";
constexpr uint64_t kMaxBytes = 64ull << 20;
constexpr size_t kMaxItems = 100'000;

using Items = std::vector<sim::DirectoryTree::Item>;

absl::Status too_large(std::string_view what) {
  return absl::InvalidArgumentError(
      cat(what, " holds more than ", kMaxItems, " members or ", kMaxBytes, " bytes"));
}

void sort(Items* items) {
  std::sort(items->begin(), items->end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
}

struct FreeArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};
using ArchiveHandle = std::unique_ptr<archive, FreeArchive>;

absl::Status damaged(archive* handle) {
  const char* text = archive_error_string(handle);
  return absl::DataLossError(cat("archive damaged: ", text == nullptr ? "no reason given" : text));
}

// All members, in archive order.
absl::StatusOr<Items> read_members(std::string_view bytes) {
  const ArchiveHandle handle(archive_read_new());
  QK_CHECK(handle != nullptr);
  archive_read_support_format_tar(handle.get());
  archive_read_support_filter_gzip(handle.get());
  if (archive_read_open_memory(handle.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) {
    return damaged(handle.get());
  }
  Items items;
  std::set<std::string> names;
  uint64_t total = 0;
  for (;;) {
    archive_entry* entry = nullptr;
    const int result = archive_read_next_header(handle.get(), &entry);
    if (result == ARCHIVE_EOF) return items;
    if (result != ARCHIVE_OK) return damaged(handle.get());
    const char* name = archive_entry_pathname(entry);
    sim::DirectoryTree::Item item;
    item.path = name == nullptr ? "" : name;
    item.directory = archive_entry_filetype(entry) == AE_IFDIR;
    if (item.directory && item.path.ends_with('/')) item.path.pop_back();
    if (!families::is_safe_relative_path(item.path)) {
      return absl::InvalidArgumentError(
          cat("archive member \"", item.path, "\" escapes from its directory"));
    }
    const bool file =
        archive_entry_filetype(entry) == AE_IFREG && archive_entry_hardlink(entry) == nullptr;
    if (!item.directory && !file) {
      return absl::InvalidArgumentError(
          cat("archive member \"", item.path, "\" is neither a file nor a directory"));
    }
    if (!names.insert(item.path).second) {
      return absl::InvalidArgumentError(cat("archive member \"", item.path, "\" is given twice"));
    }
    char buffer[16 * 1024];
    while (!item.directory) {
      const la_ssize_t got = archive_read_data(handle.get(), buffer, sizeof buffer);
      if (got < 0) return damaged(handle.get());
      if (got == 0) break;
      total += static_cast<uint64_t>(got);
      if (total > kMaxBytes) return too_large("archive");
      item.bytes.append(buffer, static_cast<size_t>(got));
    }
    items.push_back(std::move(item));
    if (items.size() > kMaxItems) return too_large("archive");
  }
}

absl::Status read_directory(families::FileSystem& fs, const std::string& root,
                            const std::string& relative, uint64_t* total, Items* items) {
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                      fs.list(relative.empty() ? root : families::join_path(root, relative)));
  for (const std::string& name : names) {
    sim::DirectoryTree::Item item;
    item.path = relative.empty() ? name : families::join_path(relative, name);
    const std::string path = families::join_path(root, item.path);
    QK_ASSIGN_OR_RETURN(const families::FileStat stat, fs.stat(path));
    item.directory = stat.kind == families::FileKind::kDirectory;
    if (!item.directory) {
      if (stat.size > kMaxBytes - *total) return too_large(root);
      QK_ASSIGN_OR_RETURN(item.bytes, families::read_file(fs, path, kMaxBytes - *total));
      *total += item.bytes.size();
    }
    const bool directory = item.directory;
    const std::string child = item.path;
    items->push_back(std::move(item));
    if (items->size() > kMaxItems) return too_large(root);
    if (directory) QK_RETURN_IF_ERROR(read_directory(fs, root, child, total, items));
  }
  return absl::OkStatus();
}

absl::StatusOr<InitialDirectory> read_real_directory(families::FileSystem& fs,
                                                     const std::string& root) {
  InitialDirectory directory;
  const auto read = [&]() -> absl::Status {
    QK_ASSIGN_OR_RETURN(const families::FileStat stat, fs.stat(root));
    directory.identity = cat("device ", stat.device, " inode ", stat.inode);
    uint64_t total = 0;
    return read_directory(fs, root, "", &total, &directory.tree.items);
  };
  if (absl::Status status = read(); !status.ok()) {
    return annotate(status, cat("initial directory ", root));
  }
  sort(&directory.tree.items);
  return directory;
}

}  // namespace

absl::StatusOr<sim::DirectoryTree> read_archive(std::string_view archive, std::string_view prefix) {
  QK_ASSIGN_OR_RETURN(Items members, read_members(archive));
  const std::string below = cat(prefix, "/");
  sim::DirectoryTree tree;
  bool found = false;
  for (sim::DirectoryTree::Item& member : members) {
    found = found || member.path == prefix;
    if (!member.path.starts_with(below)) continue;
    found = true;
    member.path.erase(0, below.size());
    tree.items.push_back(std::move(member));
  }
  if (!found) return absl::NotFoundError(cat("the archive has no directory \"", prefix, "\""));
  sort(&tree.items);
  return tree;
}

std::vector<std::string> braft_cases() {
  const absl::StatusOr<Items> members = read_members(embedded(kBraftArchive));
  QK_CHECK(members.ok());
  std::vector<std::string> names;
  for (const sim::DirectoryTree::Item& member : *members) {
    if (member.directory && member.path.find('/') == std::string::npos) {
      names.push_back(member.path);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<sim::DirectoryTree> braft_case(std::string_view name) {
  const std::vector<std::string> cases = braft_cases();
  if (std::find(cases.begin(), cases.end(), name) == cases.end()) {
    const std::string_view near = nearest(name, cases);
    return absl::NotFoundError(
        cat("there is no braft case \"", name, "\"; ",
            near.empty() ? std::string() : cat("did you mean \"", near, "\"? "),
            "cases: ", join(cases)));
  }
  return read_archive(embedded(kBraftArchive), name);
}

TreeResolver make_tree_resolver(families::FileSystem& fs, std::string base) {
  return [&fs, base](const std::string& initial_dir) -> absl::StatusOr<InitialDirectory> {
    if (!std::string_view(initial_dir).starts_with(kBraftScheme)) {
      if (initial_dir.starts_with('/')) return read_real_directory(fs, initial_dir);
      if (!families::is_safe_relative_path(initial_dir)) {
        return absl::InvalidArgumentError(
            cat("\"", initial_dir, "\" is not a path below the scenario file's directory"));
      }
      return read_real_directory(fs, families::join_path(base, initial_dir));
    }
    QK_ASSIGN_OR_RETURN(sim::DirectoryTree tree,
                        braft_case(std::string_view(initial_dir).substr(kBraftScheme.size())));
    // Next to them the case has what braft reads from them, which does not go to the disk.
    std::erase_if(tree.items, [](const sim::DirectoryTree::Item& item) {
      return !item.directory && item.path.find('/') == std::string::npos;
    });
    return InitialDirectory{std::move(tree), initial_dir};
  };
}

}  // namespace qk::scenarios
