// SourceGuard: is a directory that we only read left alone by everybody else meanwhile? Best
// effort, in four looks, the first three of which go by device and inode, so that symbolic links,
// bind mounts and hard links hide nothing:
//
//   locks         of all processes, by /proc/locks, and by asking the kernel about each file, which
//                 also tells of other containers: engines hold a lock while they are open
//   open files    of the processes that we may look into, mapped ones included; unseen() says which
//                 we may not
//   fingerprint   names, sizes, inodes and ctimes of all files, before and after; every write moves
//                 the ctime, also one in place
//   content       of the files that were written in the last seconds, before and after: a further
//                 write may come in the same tick of a file system's clock
//
// Not seen: files that a process in another container has open without a lock; what a process
// writes through a mapping that we may not look at and that the kernel has not yet noticed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "families/fs/file_system.h"

namespace qk::cli {

struct SourceFile {
  std::string name;       // relative path
  bool dangling = false;  // a symbolic link that leads nowhere
  friend auto operator<=>(const SourceFile&, const SourceFile&) = default;
};
// All files below `root`, in byte order; without the lost+found of a volume, which its owner alone
// may read.
absl::StatusOr<std::vector<SourceFile>> source_files(families::FileSystem& fs,
                                                     const std::string& root);

// Whether a file was changed so lately that the clock of its file system may not tell the next
// change from the last one.
bool changed_lately(const families::FileStat& stat);

class SourceGuard {
 public:
  // Unavailable if a process has a file below `root` open or locked.
  static absl::StatusOr<SourceGuard> watch(families::FileSystem& fs, const std::string& root);
  // Unavailable, naming what differs, if the directory changed.
  absl::Status check() const;
  // "3 processes of other users, 4711 for one", or empty: what these have open is not known.
  const std::string& unseen() const { return unseen_; }
  // Permission bits that a copy of the content must not have: of those that group and others lack
  // at the root or at one of the files.
  uint32_t closed_modes() const { return closed_modes_; }

 private:
  struct Seen {
    std::string text;  // size, inode, ctime
    bool recent = false;
    std::string content;  // of a recent one: its hash
  };
  using Fingerprint = std::map<std::string, Seen>;  // by relative path
  struct Look;
  SourceGuard(families::FileSystem* fs, std::string root) : fs_(fs), root_(std::move(root)) {}
  // `before`: an earlier look, which decides whose content is read again.
  static absl::StatusOr<Look> look(families::FileSystem& fs, const std::string& root,
                                   const Fingerprint* before);

  families::FileSystem* fs_;
  std::string root_;  // without symbolic links
  Fingerprint fingerprint_;
  std::string unseen_;
  uint32_t closed_modes_ = 0;
};

// Of the permission bits of group and others, those of each class that may not read (of a
// directory: enter) what `stat` is of. If its group is not the one that new files of this process
// get, then what others may not the group may not either.
uint32_t closed_modes(const families::FileStat& stat);

}  // namespace qk::cli
