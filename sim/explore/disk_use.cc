#include "sim/explore/disk_use.h"

#include <algorithm>
#include <map>

#include "sim/explore/sentences.h"

namespace qk::sim {
namespace {

std::string_view parent_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

// "FROM -> TO", as the trace has it of a rename or a link.
struct Names {
  std::string from;
  std::string to;
};
Names names_of(std::string_view text) {
  const size_t arrow = std::min(text.find(" -> "), text.size());
  return {std::string(text.substr(0, arrow)),
          std::string(text.substr(std::min(arrow + 4, text.size())))};
}

bool is_done(const Event& event) {
  return event.kind == EventKind::kStoreDone && event.arg(5) == 0 && event.span != 0;
}

}  // namespace

Doubt doubt_of(const FileUse& file) {
  constexpr uint64_t kHabit = 3;  // one or two times may be the bug itself, not seen yet
  if (file.since() == 0) return Doubt::kNone;
  if (file.unnamed_since == 0 && file.synced) return Doubt::kAfter;
  return file.before_alike >= kHabit && 2 * file.before_alike >= file.before ? Doubt::kUsual
                                                                             : Doubt::kNew;
}

std::string without_numbers(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) out += c;
    if (digit && !out.ends_with('#')) out += '#';
  }
  return out;
}

// The mutation that an operation on the disk was issued for, or 0: a storage call issues all of its
// operations at once, so nothing but a fault that one of them met comes between.
uint64_t DiskUse::mutation_of(uint64_t seq) const {
  const NodeId node = trace_.event(seq).node;
  while (seq != 0 && (trace_.event(seq).kind == EventKind::kDiskOp ||
                      trace_.event(seq).kind == EventKind::kFaultDisk)) {
    seq = trace_.event(seq).cause;
  }
  if (seq == 0) return 0;
  const Event& event = trace_.event(seq);
  return event.kind == EventKind::kStoreIssue && event.node == node ? seq : 0;
}

std::vector<const Event*> DiskUse::operations(const Event& issue, const Event& end) const {
  std::vector<const Event*> out;
  for (uint64_t seq = issue.seq + 1; seq < end.seq; ++seq) {
    const Event& e = trace_.event(seq);
    // They follow one another; another node's may come between.
    if (e.node != issue.node || e.kind == EventKind::kFaultDisk) continue;
    if (e.kind != EventKind::kDiskOp || mutation_of(seq) != issue.seq) break;
    out.push_back(&e);
  }
  return out;
}

std::vector<FileUse> DiskUse::of(const Event& issue, const Event& end) const {
  std::vector<FileUse> files;
  std::map<uint64_t, size_t> by_inode;
  std::map<std::string, size_t, std::less<>> by_path;
  const auto at_path = [&](std::string_view path) -> FileUse& {
    const auto [place, is_new] = by_path.try_emplace(std::string(path), files.size());
    if (is_new) files.push_back({.path = std::string(path)});
    return files[place->second];
  };
  for (const Event* const operation : operations(issue, end)) {
    const Event& e = *operation;
    const bool returned = e.signed_arg(5) <= end.t;
    const std::string_view path = trace_.text(e.seq);
    switch (disk_op(e)) {
      case DiskOp::kWrite:
      case DiskOp::kTruncate:
      case DiskOp::kSync: {
        const auto known = by_inode.find(e.arg(1));
        FileUse& file = known == by_inode.end() ? at_path(path) : files[known->second];
        by_inode.emplace(e.arg(1), static_cast<size_t>(&file - files.data()));
        if (disk_op(e) == DiskOp::kSync) {
          ++file.syncs;
          if (returned) file.unsynced_since = 0;
          file.synced = file.synced || returned;
          break;
        }
        ++file.writes;
        file.bytes += e.arg(3);
        if (file.unsynced_since == 0) file.unsynced_since = e.seq;
        break;
      }
      case DiskOp::kCreate:
      case DiskOp::kMkdir:
        at_path(path).unnamed_since = e.seq;
        break;
      case DiskOp::kRename: {
        const Names names = names_of(path);
        FileUse& file = at_path(names.from);
        const size_t position = static_cast<size_t>(&file - files.data());
        file.path = names.to;
        file.unnamed_since = e.seq;
        file.renamed = true;
        by_path.erase(names.from);
        by_path[names.to] = position;
        break;
      }
      case DiskOp::kLink:
        at_path(names_of(path).to).unnamed_since = e.seq;
        break;
      case DiskOp::kSyncDir:
        for (FileUse& file : files) {
          if (returned && parent_of(file.path) == path) file.unnamed_since = 0;
        }
        break;
      case DiskOp::kUnlink:
      case DiskOp::kRmdir:
        if (const auto known = by_path.find(path); known != by_path.end()) {
          files[known->second].unnamed_since = 0;
          files[known->second].unsynced_since = 0;
        }
        break;
    }
  }
  // What was only looked at or removed says nothing.
  files.erase(std::remove_if(
                  files.begin(), files.end(),
                  [](const FileUse& file) { return file.writes == 0 && file.unnamed_since == 0; }),
              files.end());
  return files;
}

std::vector<FileUse> DiskUse::judged(const Event& issue, const Event& end) const {
  std::vector<FileUse> files = of(issue, end);
  if (std::none_of(files.begin(), files.end(), [](const auto& f) { return f.since() != 0; })) {
    return files;
  }
  for (uint64_t seq = 1; seq <= trace_.events(); ++seq) {
    const Event& e = trace_.event(seq);
    if (!is_done(e) || e.span == issue.seq) continue;
    const Event& other = trace_.event(e.span);
    const bool same_kind = store_op(other) == store_op(issue);
    if (!same_kind && seq >= end.seq) continue;
    for (const FileUse& use : of(other, e)) {
      const std::string name = without_numbers(use.path);
      for (FileUse& file : files) {
        if (file.since() == 0 || without_numbers(file.path) != name) continue;
        const bool durable = (file.unsynced_since == 0 || use.unsynced_since == 0 || use.synced) &&
                             (file.unnamed_since == 0 || use.unnamed_since == 0);
        if (same_kind) {
          ++file.others;
          file.others_durable += durable ? 1 : 0;
        }
        if (seq >= end.seq) continue;
        ++file.before;
        const bool alike = (file.unsynced_since == 0 || use.unsynced_since != 0) &&
                           (file.unnamed_since == 0 || use.unnamed_since != 0) &&
                           (file.synced || !use.synced);
        file.before_alike += alike ? 1 : 0;
      }
    }
  }
  return files;
}

std::vector<PendingFile> DiskUse::files_at(NodeId node, const Event& end) const {
  std::vector<PendingFile> files;
  std::map<uint64_t, size_t> by_inode;
  std::vector<bool> gone;
  const auto by_name = [&](std::string_view path) {
    size_t i = files.size();
    while (i > 0 && (gone[i - 1] || files[i - 1].path != path)) --i;
    return i;  // 1 + its place
  };
  for (uint64_t seq = 1; seq < end.seq; ++seq) {
    const Event& e = trace_.event(seq);
    if (e.node != node) continue;
    if (e.kind == EventKind::kDiskCrash) {
      // What is left is there for good.
      for (PendingFile& file : files) file.changes = 0;
    }
    if (e.kind != EventKind::kDiskOp) continue;
    const std::string_view path = trace_.text(seq);
    switch (disk_op(e)) {
      case DiskOp::kWrite:
      case DiskOp::kTruncate:
      case DiskOp::kSync: {
        const auto [place, is_new] = by_inode.try_emplace(e.arg(1), files.size());
        if (is_new) {
          files.push_back({.path = std::string(path)});
          gone.push_back(false);
        }
        PendingFile& file = files[place->second];
        if (disk_op(e) == DiskOp::kSync) {
          if (e.signed_arg(5) > end.t) break;
          file.changes = 0;
          file.last_sync = seq;
          break;
        }
        if (file.changes++ == 0) file.first = seq;
        ++file.total;
        break;
      }
      case DiskOp::kRename: {
        const Names names = names_of(path);
        if (const size_t old = by_name(names.to); old > 0) gone[old - 1] = true;
        // Of a directory, the names below it.
        for (PendingFile& file : files) {
          if (file.path == names.from || file.path.starts_with(names.from + "/")) {
            file.path = names.to + file.path.substr(names.from.size());
          }
        }
        break;
      }
      case DiskOp::kUnlink:
        if (const size_t old = by_name(path); old > 0) gone[old - 1] = true;
        break;
      default:
        break;
    }
  }
  std::vector<PendingFile> out;
  for (size_t i = 0; i < files.size(); ++i) {
    if (!gone[i]) out.push_back(std::move(files[i]));
  }
  return out;
}

}  // namespace qk::sim
