// Names: path walks, and the operations that change directory entries. The checks and their errno
// values are Linux's.
#include <cerrno>

#include "families/base/check.h"
#include "families/fs/file_util.h"
#include "sim/disk/disk_core.h"

namespace qk::sim {
namespace {

using families::FileKind;

constexpr size_t kMaxName = 255;

}  // namespace

int DiskCore::find(std::string_view path, InodeNumber* number) const {
  *number = kNoInode;
  if (!path.starts_with('/')) return EINVAL;
  InodeNumber at = kRootInode;
  std::string_view rest = path.substr(1);
  if (!rest.empty() && !families::is_safe_relative_path(rest)) return EINVAL;
  while (!rest.empty()) {
    const Inode& directory = inode(at);
    if (!directory.is_directory()) return ENOTDIR;
    const size_t slash = rest.find('/');
    const std::string_view name = rest.substr(0, slash);
    if (name.size() > kMaxName) return ENAMETOOLONG;
    look_at_name(at, name);
    const auto found = directory.entries.find(name);
    if (found == directory.entries.end()) return ENOENT;
    at = found->second;
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  }
  *number = at;
  return 0;
}

int DiskCore::find_parent(std::string_view path, Parent* parent) const {
  if (!path.starts_with('/')) return EINVAL;
  InodeNumber number;
  if (const int error = find(families::parent_path(path), &number)) return error;
  if (!inode(number).is_directory()) return ENOTDIR;
  const std::string_view name = families::base_name(path);
  if (!families::is_safe_relative_path(name)) return EINVAL;
  if (name.size() > kMaxName) return ENAMETOOLONG;
  *parent = {number, name};
  return 0;
}

InodeNumber DiskCore::find_entry(const Parent& parent) const {
  look_at_name(parent.directory, parent.name);
  const Entries& entries = inode(parent.directory).entries;
  const auto found = entries.find(parent.name);
  return found == entries.end() ? kNoInode : found->second;
}

// Whether `directory` is `ancestor` or lies below it.
bool DiskCore::contains(InodeNumber ancestor, InodeNumber directory) const {
  if (ancestor == directory) return true;
  look_at_names(ancestor);
  for (const auto& [name, target] : inode(ancestor).entries) {
    if (inode(target).is_directory() && contains(target, directory)) return true;
  }
  return false;
}

void DiskCore::issue_name(const Parent& parent, InodeNumber target, Stamp stamp, uint64_t sequence,
                          InodeNumber partner, bool replaces) {
  MicroOperation op;
  op.kind = PendingOperation::Kind::kName;
  op.sequence = sequence;
  op.call = operation_count_;
  op.stamp = stamp;
  op.name = parent.name;
  op.target = target;
  op.partner = partner;
  op.replaces = replaces;
  if (target != kNoInode) {
    Inode& node = change(target);
    node.label = op.name;
    node.last_change = sequence;
  }
  Inode& directory = change(parent.directory);
  apply_entry(&directory.entries, op);
  directory.issue(std::move(op));
}

int DiskCore::create(std::string_view path, FileKind kind, InodeNumber* number) {
  if (path == "/") return EEXIST;
  Parent parent;
  if (const int error = find_parent(path, &parent)) return error;
  if (find_entry(parent) != kNoInode) return EEXIST;
  begin_operation();
  const InodeNumber created = add_inode(kind);
  Inode& directory = change(parent.directory);
  const uint32_t birth = ++directory.births[std::string(parent.name)];
  change(created).born =
      cat(directory.born, "/", parent.name, birth == 1 ? std::string() : cat("~", birth));
  change(created).last_data_change = next_sequence_;
  issue_name(parent, created, write_stamp(), next_sequence_++, kNoInode);
  end_operation();
  if (number != nullptr) *number = created;
  return 0;
}

int DiskCore::unlink(std::string_view path) {
  if (path == "/") return EISDIR;
  Parent parent;
  if (const int error = find_parent(path, &parent)) return error;
  const InodeNumber number = find_entry(parent);
  if (number == kNoInode) return ENOENT;
  if (inode(number).is_directory()) return EISDIR;
  begin_operation();
  issue_name(parent, kNoInode, write_stamp(), next_sequence_++, kNoInode);
  end_operation();
  return 0;
}

int DiskCore::rmdir(std::string_view path) {
  if (path == "/") return EBUSY;
  Parent parent;
  if (const int error = find_parent(path, &parent)) return error;
  const InodeNumber number = find_entry(parent);
  if (number == kNoInode) return ENOENT;
  if (!inode(number).is_directory()) return ENOTDIR;
  look_at_names(number);
  if (!inode(number).entries.empty()) return ENOTEMPTY;
  begin_operation();
  issue_name(parent, kNoInode, write_stamp(), next_sequence_++, kNoInode);
  end_operation();
  return 0;
}

int DiskCore::link(std::string_view existing, std::string_view name) {
  InodeNumber number;
  if (const int error = find(existing, &number)) return error;
  if (name == "/") return EEXIST;
  Parent parent;
  if (const int error = find_parent(name, &parent)) return error;
  if (find_entry(parent) != kNoInode) return EEXIST;
  if (inode(number).is_directory()) return EPERM;
  begin_operation();
  issue_name(parent, number, write_stamp(), next_sequence_++, kNoInode);
  end_operation();
  return 0;
}

int DiskCore::rename(std::string_view from, std::string_view to) {
  if (from == "/" || to == "/") return EBUSY;
  Parent source, target;
  if (const int error = find_parent(from, &source)) return error;
  if (const int error = find_parent(to, &target)) return error;
  const InodeNumber moved = find_entry(source);
  if (moved == kNoInode) return ENOENT;
  const bool directory = inode(moved).is_directory();
  if (directory && contains(moved, target.directory)) return EINVAL;
  const InodeNumber replaced = find_entry(target);
  if (replaced == moved) return 0;
  if (replaced != kNoInode) {
    const Inode& old = inode(replaced);
    if (old.is_directory() && contains(replaced, source.directory)) return ENOTEMPTY;
    if (directory && !old.is_directory()) return ENOTDIR;
    if (!directory && old.is_directory()) return EISDIR;
    if (old.is_directory()) look_at_names(replaced);
    if (!old.entries.empty()) return ENOTEMPTY;
  }
  begin_operation();
  const Stamp stamp = write_stamp();
  const uint64_t sequence = next_sequence_++;
  const bool across = source.directory != target.directory;
  issue_name(source, kNoInode, stamp, sequence, across ? target.directory : kNoInode);
  issue_name(target, moved, stamp, sequence, across ? source.directory : kNoInode,
             replaced != kNoInode);
  end_operation();
  return 0;
}

}  // namespace qk::sim
