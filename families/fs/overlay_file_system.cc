#include "families/fs/overlay_file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "families/base/check.h"
#include "families/fs/file_util.h"

namespace qk::families {
namespace {

constexpr size_t kPageSize = 4096;
constexpr uint64_t kMaxFileSize = std::numeric_limits<int64_t>::max();

absl::Status failure(int error, std::string_view what, std::string_view path) {
  return errno_status(error, cat(what, " ", path));
}

}  // namespace

// A file or directory as the overlay sees it. One that comes from below is made when a path first
// leads to it.
class OverlayFileSystem::Node {
 public:
  Node(FileSystem* lower, FileKind kind, uint64_t inode)
      : lower_(lower), kind_(kind), inode_(inode) {}

  bool is_directory() const { return kind_ == FileKind::kDirectory; }
  FileStat stat() const { return {.kind = kind_, .size = size_, .inode = inode_}; }
  uint64_t size() const { return size_; }
  // Its path below; empty if it was made here.
  const std::string& lower_path() const { return lower_path_; }

  void set_lower(std::string path, uint64_t size) {
    lower_path_ = std::move(path);
    size_ = lower_size_ = size;
  }

  absl::StatusOr<size_t> read(uint64_t offset, std::span<char> buffer) {
    if (offset >= size_) return 0;
    const size_t length = std::min<uint64_t>(buffer.size(), size_ - offset);
    for (size_t done = 0; done < length;) {
      const uint64_t number = (offset + done) / kPageSize;
      const size_t from = (offset + done) % kPageSize;
      const auto page = pages_.find(number);
      if (page != pages_.end()) {
        const size_t part = std::min(length - done, kPageSize - from);
        std::memcpy(buffer.data() + done, page->second.data() + from, part);
        done += part;
        continue;
      }
      // Up to the next changed page in one read.
      const auto next = pages_.upper_bound(number);
      const uint64_t end = next == pages_.end() ? offset + length : next->first * kPageSize;
      const size_t part = std::min<uint64_t>(length - done, end - (offset + done));
      QK_RETURN_IF_ERROR(read_lower(offset + done, buffer.subspan(done, part)));
      done += part;
    }
    return length;
  }

  absl::StatusOr<uint64_t> skip_hole(uint64_t offset) {
    uint64_t next = size_;
    const auto page = pages_.lower_bound(offset / kPageSize);
    if (page != pages_.end()) next = std::min(next, page->first * kPageSize);
    if (offset < std::min(next, lower_size_)) {
      QK_RETURN_IF_ERROR(open_lower());
      QK_ASSIGN_OR_RETURN(const uint64_t below, lower_file_->skip_hole(offset));
      if (below < lower_size_) next = std::min(next, below);
    }
    return std::max(offset, next);
  }

  absl::Status write(uint64_t offset, std::string_view bytes) {
    while (!bytes.empty()) {
      const uint64_t number = offset / kPageSize;
      const size_t from = offset % kPageSize;
      const size_t part = std::min(bytes.size(), kPageSize - from);
      QK_ASSIGN_OR_RETURN(std::string * page, own_page(number));
      page->replace(from, part, bytes.substr(0, part));
      bytes.remove_prefix(part);
      offset += part;
      size_ = std::max(size_, offset);
    }
    return absl::OkStatus();
  }

  absl::Status truncate(uint64_t size) {
    if (size < size_) {
      const uint64_t first_gone = (size + kPageSize - 1) / kPageSize;
      pages_.erase(pages_.lower_bound(first_gone), pages_.end());
      const auto last = pages_.find(size / kPageSize);
      if (last != pages_.end()) {
        std::fill(last->second.begin() + static_cast<std::ptrdiff_t>(size % kPageSize),
                  last->second.end(), '\0');
      }
      lower_size_ = std::min(lower_size_, size);
    }
    size_ = size;
    return absl::OkStatus();
  }

  // Handles of this file. The lower file is open at most as long as one of them is, so a walk
  // through any number of files needs few descriptors.
  void add_handle() { ++handles_; }
  void drop_handle() {
    if (--handles_ == 0) lower_file_.reset();
  }

  // Directories: what was looked up, made or removed here. Null: removed.
  std::map<std::string, NodeRef> entries;
  bool locked = false;

 private:
  absl::Status open_lower() {
    if (lower_file_) return absl::OkStatus();
    QK_ASSIGN_OR_RETURN(lower_file_, lower_->open(lower_path_, {.read_only = true}));
    return absl::OkStatus();
  }

  absl::Status read_lower(uint64_t offset, std::span<char> buffer) {
    const uint64_t left = offset < lower_size_ ? lower_size_ - offset : 0;
    const size_t length = std::min<uint64_t>(buffer.size(), left);
    std::fill(buffer.begin() + static_cast<std::ptrdiff_t>(length), buffer.end(), '\0');
    if (length == 0) return absl::OkStatus();
    QK_RETURN_IF_ERROR(open_lower());
    return read_exact(*lower_file_, lower_path_, offset, buffer.first(length));
  }

  absl::StatusOr<std::string*> own_page(uint64_t number) {
    auto page = pages_.find(number);
    if (page == pages_.end()) {
      std::string bytes(kPageSize, '\0');
      QK_RETURN_IF_ERROR(read_lower(number * kPageSize, bytes));
      page = pages_.emplace(number, std::move(bytes)).first;
    }
    return &page->second;
  }

  FileSystem* lower_;
  FileKind kind_;
  uint64_t inode_;
  std::string lower_path_;
  std::unique_ptr<File> lower_file_;
  uint64_t handles_ = 0;
  uint64_t lower_size_ = 0;  // bytes that still show through
  uint64_t size_ = 0;
  std::map<uint64_t, std::string> pages_;  // changed here
};

// A name in a directory, and what it names (null: nothing).
struct OverlayFileSystem::Place {
  NodeRef directory;
  std::string name;
  NodeRef node;
};

class OverlayFileSystem::OverlayFile final : public File {
 public:
  OverlayFile(NodeRef node, std::string_view path, bool writable)
      : node_(std::move(node)), path_(path), writable_(writable) {
    node_->add_handle();
  }
  ~OverlayFile() override { node_->drop_handle(); }

  absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
    return node_->read(offset, buffer);
  }
  absl::Status write_at(uint64_t offset, std::string_view bytes) override {
    if (!writable_) return failure(EBADF, "write", path_);
    if (offset > kMaxFileSize - bytes.size()) return failure(EFBIG, "write", path_);
    return node_->write(offset, bytes);
  }
  absl::Status truncate(uint64_t size) override {
    if (!writable_) return failure(EBADF, "truncate", path_);
    if (size > kMaxFileSize) return failure(EFBIG, "truncate", path_);
    return node_->truncate(size);
  }
  absl::StatusOr<uint64_t> size() override { return node_->size(); }
  absl::StatusOr<uint64_t> skip_hole(uint64_t offset) override { return node_->skip_hole(offset); }
  absl::Status sync(SyncKind) override { return absl::OkStatus(); }

 private:
  NodeRef node_;
  std::string path_;
  bool writable_;
};

class OverlayFileSystem::OverlayLock final : public FileLock {
 public:
  explicit OverlayLock(NodeRef node) : node_(std::move(node)) { node_->locked = true; }
  ~OverlayLock() override { node_->locked = false; }

 private:
  NodeRef node_;
};

OverlayFileSystem::OverlayFileSystem(FileSystem* lower) : lower_(lower) {
  root_ = make_node(FileKind::kDirectory);
  root_->set_lower("/", 0);
}

OverlayFileSystem::~OverlayFileSystem() = default;

OverlayFileSystem::NodeRef OverlayFileSystem::make_node(FileKind kind) {
  return std::make_shared<Node>(lower_, kind, next_inode_++);
}

// Null if there is no such name.
absl::StatusOr<OverlayFileSystem::NodeRef> OverlayFileSystem::child(const NodeRef& directory,
                                                                    const std::string& name) {
  const auto known = directory->entries.find(name);
  if (known != directory->entries.end()) return known->second;
  if (directory->lower_path().empty()) return NodeRef();
  const std::string lower_path = join_path(directory->lower_path(), name);
  const absl::StatusOr<FileStat> stat = lower_->stat(lower_path);
  if (absl::IsNotFound(stat.status())) return NodeRef();
  QK_RETURN_IF_ERROR(stat.status());
  NodeRef node = make_node(stat->kind);
  node->set_lower(lower_path, stat->size);
  directory->entries[name] = node;
  return node;
}

absl::StatusOr<OverlayFileSystem::NodeRef> OverlayFileSystem::find(std::string_view path,
                                                                   std::string_view what) {
  const std::string_view full = path;
  if (!path.starts_with('/')) return failure(EINVAL, what, full);
  path.remove_prefix(1);
  if (!path.empty() && !is_safe_relative_path(path)) return failure(EINVAL, what, full);
  NodeRef at = root_;
  while (!path.empty()) {
    if (!at->is_directory()) return failure(ENOTDIR, what, full);
    const size_t slash = path.find('/');
    QK_ASSIGN_OR_RETURN(at, child(at, std::string(path.substr(0, slash))));
    if (!at) return failure(ENOENT, what, full);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return at;
}

absl::StatusOr<OverlayFileSystem::Place> OverlayFileSystem::find_place(std::string_view path,
                                                                       std::string_view what) {
  if (!path.starts_with('/')) return failure(EINVAL, what, path);
  if (path == "/") return failure(EBUSY, what, path);
  QK_ASSIGN_OR_RETURN(const NodeRef directory, find(parent_path(path), what));
  if (!directory->is_directory()) return failure(ENOTDIR, what, path);
  const std::string name(base_name(path));
  if (!is_safe_relative_path(name)) return failure(EINVAL, what, path);
  QK_ASSIGN_OR_RETURN(NodeRef node, child(directory, name));
  return Place{directory, name, std::move(node)};
}

absl::StatusOr<OverlayFileSystem::NodeRef> OverlayFileSystem::find_or_create(
    std::string_view path, OpenFlags flags, std::string_view what) {
  if (path == "/") return failure(EISDIR, what, path);
  QK_ASSIGN_OR_RETURN(const Place place, find_place(path, what));
  if (place.node) {
    if (flags.create && flags.exclusive) return failure(EEXIST, what, path);
    if (place.node->is_directory()) return failure(EISDIR, what, path);
    // As the real disk does; without a size, a FIFO or a device would pass for an empty file.
    if (place.node->stat().kind != FileKind::kFile) return failure(EINVAL, what, path);
    return place.node;
  }
  if (!flags.create) return failure(ENOENT, what, path);
  return place.directory->entries[place.name] = make_node(FileKind::kFile);
}

absl::StatusOr<std::vector<std::string>> OverlayFileSystem::names(const NodeRef& directory) {
  std::set<std::string> names;
  if (!directory->lower_path().empty()) {
    QK_ASSIGN_OR_RETURN(const auto below, lower_->list(directory->lower_path()));
    names.insert(below.begin(), below.end());
  }
  for (const auto& [name, node] : directory->entries) {
    if (node) {
      names.insert(name);
    } else {
      names.erase(name);
    }
  }
  return std::vector<std::string>(names.begin(), names.end());
}

absl::StatusOr<std::unique_ptr<File>> OverlayFileSystem::open(std::string_view path,
                                                              OpenFlags flags) {
  if (flags.truncate && flags.read_only) return failure(EINVAL, "open", path);
  QK_ASSIGN_OR_RETURN(NodeRef node, find_or_create(path, flags, "open"));
  if (flags.truncate) QK_RETURN_IF_ERROR(node->truncate(0));
  return std::make_unique<OverlayFile>(std::move(node), path, !flags.read_only);
}

absl::Status OverlayFileSystem::unlink(std::string_view path) {
  if (path == "/") return failure(EISDIR, "unlink", path);
  QK_ASSIGN_OR_RETURN(const Place place, find_place(path, "unlink"));
  if (!place.node) return failure(ENOENT, "unlink", path);
  if (place.node->is_directory()) return failure(EISDIR, "unlink", path);
  place.directory->entries[place.name] = nullptr;
  return absl::OkStatus();
}

absl::Status OverlayFileSystem::rmdir(std::string_view path) {
  QK_ASSIGN_OR_RETURN(const Place place, find_place(path, "rmdir"));
  if (!place.node) return failure(ENOENT, "rmdir", path);
  if (!place.node->is_directory()) return failure(ENOTDIR, "rmdir", path);
  QK_ASSIGN_OR_RETURN(const auto left, names(place.node));
  if (!left.empty()) return failure(ENOTEMPTY, "rmdir", path);
  place.directory->entries[place.name] = nullptr;
  return absl::OkStatus();
}

absl::Status OverlayFileSystem::mkdir(std::string_view path) {
  if (path == "/") return failure(EEXIST, "mkdir", path);
  QK_ASSIGN_OR_RETURN(const Place place, find_place(path, "mkdir"));
  if (place.node) return failure(EEXIST, "mkdir", path);
  place.directory->entries[place.name] = make_node(FileKind::kDirectory);
  return absl::OkStatus();
}

absl::Status OverlayFileSystem::link(std::string_view existing, std::string_view name) {
  const std::string both = cat(existing, " as ", name);
  QK_ASSIGN_OR_RETURN(const NodeRef node, find(existing, "link"));
  if (name == "/") return failure(EEXIST, "link", both);
  QK_ASSIGN_OR_RETURN(const Place place, find_place(name, "link"));
  if (place.node) return failure(EEXIST, "link", both);
  if (node->is_directory()) return failure(EPERM, "link", both);
  place.directory->entries[place.name] = node;
  return absl::OkStatus();
}

absl::Status OverlayFileSystem::rename(std::string_view from, std::string_view to) {
  const std::string both = cat(from, " to ", to);
  QK_ASSIGN_OR_RETURN(const Place source, find_place(from, "rename"));
  QK_ASSIGN_OR_RETURN(const Place target, find_place(to, "rename"));
  if (!source.node) return failure(ENOENT, "rename", both);
  if (source.node == target.node) return absl::OkStatus();
  const bool directory = source.node->is_directory();
  if (directory && to.starts_with(cat(from, "/"))) return failure(EINVAL, "rename", both);
  if (target.node) {
    if (from.starts_with(cat(to, "/"))) return failure(ENOTEMPTY, "rename", both);
    if (directory && !target.node->is_directory()) return failure(ENOTDIR, "rename", both);
    if (!directory && target.node->is_directory()) return failure(EISDIR, "rename", both);
    if (directory) {
      QK_ASSIGN_OR_RETURN(const auto left, names(target.node));
      if (!left.empty()) return failure(ENOTEMPTY, "rename", both);
    }
  }
  source.directory->entries[source.name] = nullptr;
  target.directory->entries[target.name] = source.node;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> OverlayFileSystem::list(std::string_view path) {
  QK_ASSIGN_OR_RETURN(const NodeRef node, find(path, "list"));
  if (!node->is_directory()) return failure(ENOTDIR, "list", path);
  return names(node);
}

absl::StatusOr<FileStat> OverlayFileSystem::stat(std::string_view path) {
  QK_ASSIGN_OR_RETURN(const NodeRef node, find(path, "stat"));
  return node->stat();
}

absl::Status OverlayFileSystem::sync_dir(std::string_view path, SyncKind) {
  QK_ASSIGN_OR_RETURN(const NodeRef node, find(path, "sync"));
  return node->is_directory() ? absl::OkStatus() : failure(ENOTDIR, "sync", path);
}

absl::StatusOr<std::unique_ptr<FileLock>> OverlayFileSystem::lock(std::string_view path) {
  QK_ASSIGN_OR_RETURN(NodeRef node, find_or_create(path, {.create = true}, "lock"));
  if (node->locked) return failure(EWOULDBLOCK, "lock", path);
  return std::make_unique<OverlayLock>(std::move(node));
}

absl::StatusOr<uint64_t> OverlayFileSystem::free_space(std::string_view path) {
  QK_RETURN_IF_ERROR(find(path, "statvfs").status());
  return lower_->free_space("/");
}

}  // namespace qk::families
