#include "tools/qksim/source_guard.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "families/base/bytes.h"
#include "families/base/hash.h"
#include "families/fs/file_util.h"
#include "families/fs/tree_walk.h"

namespace qk::cli {
namespace {

namespace stdfs = std::filesystem;

constexpr std::string_view kLostAndFound = "lost+found";
// File systems keep times in units of up to 2 seconds (FAT; ext3 and ext4 with small inodes: 1).
constexpr int64_t kCoarsestTick = int64_t{2} * 1'000'000'000;

struct FileId {
  uint64_t device = 0;
  uint64_t inode = 0;
  friend auto operator<=>(const FileId&, const FileId&) = default;
};
using FileIds = std::set<FileId>;

// "process 4711 has a lock on a file of it", or empty. A line of /proc/locks is
//   1: POSIX  ADVISORY  WRITE 4711 fe:01:131 0 EOF
std::string locked_by(const FileIds& ids) {
  std::ifstream locks("/proc/locks");
  std::string line;
  while (std::getline(locks, line)) {
    std::istringstream words(line);
    std::string number, kind, strictness, access, pid, place;
    words >> number >> kind;
    if (kind == "->") continue;  // waits for the one above it
    words >> strictness >> access >> pid >> place;
    unsigned major = 0, minor = 0;
    unsigned long long inode = 0;
    if (std::sscanf(place.c_str(), "%x:%x:%llu", &major, &minor, &inode) != 3) continue;
    if (ids.contains({makedev(major, minor), inode})) {
      return cat("process ", pid, " has a lock on file ", inode, " of it");
    }
  }
  return "";
}

// "FILE of it is locked", or empty: asks for the lock that an engine would hold, and takes none.
std::string lock_on(const std::string& path, const std::string& name) {
  // To open a FIFO or a device would be noticed at its other end.
  struct stat st;
  if (::stat(path.c_str(), &st) == -1 || !S_ISREG(st.st_mode)) return "";
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd == -1) return "";
  struct flock wanted = {};
  wanted.l_type = F_WRLCK;
  wanted.l_whence = SEEK_SET;  // with length 0: the whole file
  const bool locked = ::fcntl(fd, F_OFD_GETLK, &wanted) == 0 && wanted.l_type != F_UNLCK;
  ::close(fd);
  return locked ? cat(name, " is locked by another process") : "";
}

bool is_kernel_thread(const stdfs::path& process) {
  std::ifstream words(process / "cmdline");
  return words.peek() == std::ifstream::traits_type::eof();
}

// The file of `ids` that a process has mapped, or empty. A line of /proc/PID/maps is
//   7f0c2a000000-7f0c2a021000 rw-s 00000000 fe:01 131 /srv/g1/db
std::string mapped_by(const stdfs::path& process, const FileIds& ids) {
  std::ifstream maps(process / "maps");
  std::string line;
  while (std::getline(maps, line)) {
    unsigned major = 0, minor = 0;
    unsigned long long inode = 0;
    if (std::sscanf(line.c_str(), "%*s %*s %*s %x:%x %llu", &major, &minor, &inode) != 3) continue;
    if (inode != 0 && ids.contains({makedev(major, minor), inode})) return cat("file ", inode);
  }
  return "";
}

// "process 4711 has /srv/g1/log/x open", or empty; and how many processes may not be looked into,
// and one of them. Those that end meanwhile are passed over.
std::string open_by(const std::string& root, const FileIds& ids, std::string* unseen) {
  std::error_code ignored;
  size_t hidden = 0;
  std::string one_hidden;
  for (const auto& process : stdfs::directory_iterator("/proc", ignored)) {
    const std::string pid = process.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    std::error_code error;
    stdfs::directory_iterator handles(process.path() / "fd", error);
    if (error == std::errc::permission_denied) {
      if (is_kernel_thread(process.path())) continue;
      ++hidden;
      one_hidden = pid;
      continue;
    }
    if (error) continue;
    for (; handles != stdfs::directory_iterator(); handles.increment(error)) {
      if (error) break;
      const stdfs::path& handle = handles->path();
      const std::string target = stdfs::read_symlink(handle, ignored).string();
      struct stat st;
      const bool ours = ::stat(handle.c_str(), &st) == 0 && ids.contains({st.st_dev, st.st_ino});
      // By name as well: a file that was removed while it was open is in no tree.
      if (ours || target.starts_with(root + "/")) {
        return cat("process ", pid, " has ", target, " open");
      }
    }
    const std::string mapped = mapped_by(process.path(), ids);
    if (!mapped.empty()) return cat("process ", pid, " has ", mapped, " of it mapped");
  }
  if (hidden > 0) {
    *unseen = cat(hidden, hidden == 1 ? " process" : " processes", " of other users, ", one_hidden,
                  " for one");
  }
  return "";
}

// Hash of what in the file is not zero, with where it is, as hexadecimal digits. So it does not
// depend on which zeros are holes, and holes need not be read.
absl::StatusOr<std::string> content_of(families::FileSystem& fs, const std::string& path) {
  constexpr uint64_t kPiece = 1 << 20;
  QK_ASSIGN_OR_RETURN(const auto file, fs.open(path, {.read_only = true}));
  std::string buffer(kPiece, '\0');
  Xxh3Stream hash;
  for (uint64_t offset = 0;; offset += kPiece) {
    QK_ASSIGN_OR_RETURN(const uint64_t data, file->skip_hole(offset));
    offset = std::max(offset, data / kPiece * kPiece);
    QK_ASSIGN_OR_RETURN(const size_t got, file->read_at(offset, buffer));
    const std::string_view piece = std::string_view(buffer).substr(0, got);
    if (piece.find_first_not_of('\0') != std::string_view::npos) {
      std::string place;
      put_le64(&place, offset);
      hash.update(place);
      hash.update(piece);
    }
    if (got < kPiece) break;
  }
  return cat(hex16(hash.value()[1]), hex16(hash.value()[0]));
}

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

absl::StatusOr<std::vector<SourceFile>> source_files(families::FileSystem& fs,
                                                     const std::string& root) {
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(root));
  std::vector<SourceFile> files;
  for (const std::string& name : names) {
    const std::string path = families::join_path(root, name);
    const absl::StatusOr<families::FileStat> stat = fs.stat(path);
    if (absl::IsNotFound(stat.status())) {
      QK_ASSIGN_OR_RETURN(const bool link, fs.is_symlink(path));
      if (!link) return stat.status();
      files.push_back({name, true});
      continue;
    }
    QK_RETURN_IF_ERROR(stat.status());
    if (stat->kind != families::FileKind::kDirectory) {
      files.push_back({name, false});
      continue;
    }
    if (name == kLostAndFound) continue;
    QK_ASSIGN_OR_RETURN(const families::TreeNames below, families::walk_tree(fs, path));
    for (const std::string& file : below.files) files.push_back({cat(name, "/", file), false});
    for (const std::string& file : below.dangling) files.push_back({cat(name, "/", file), true});
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool changed_lately(const families::FileStat& stat) {
  return stat.changed_ns >= now_ns() - kCoarsestTick;
}

uint32_t closed_modes(const families::FileStat& stat) {
  const uint32_t need = stat.kind == families::FileKind::kDirectory ? 1 : 4;  // enter, or read
  constexpr uint32_t kOthers = 0007, kGroup = 0070;
  const bool others_closed = (stat.mode & need) == 0;
  const bool group_closed = ((stat.mode >> 3) & need) == 0;
  const bool other_group = stat.group != ::getegid();
  return (others_closed ? kOthers : 0) |
         (group_closed || (others_closed && other_group) ? kGroup : 0);
}

struct SourceGuard::Look {
  Fingerprint fingerprint;
  FileIds ids;  // the root's too
  uint32_t closed = 0;
};

absl::StatusOr<SourceGuard::Look> SourceGuard::look(families::FileSystem& fs,
                                                    const std::string& root,
                                                    const Fingerprint* before) {
  Look found;
  const auto add = [&found](const families::FileStat& stat) {
    found.ids.insert({stat.device, stat.inode});
    found.closed |= cli::closed_modes(stat);
  };
  const int64_t now = now_ns();
  QK_ASSIGN_OR_RETURN(const families::FileStat self, fs.stat(root));
  add(self);
  QK_ASSIGN_OR_RETURN(const std::vector<SourceFile> files, source_files(fs, root));
  for (const auto& [name, dangling] : files) {
    Seen seen;
    if (dangling) {
      seen.text = "no bytes, a symbolic link that leads nowhere";
      found.fingerprint.emplace(name, std::move(seen));
      continue;
    }
    const std::string path = families::join_path(root, name);
    QK_ASSIGN_OR_RETURN(const families::FileStat stat, fs.stat(path));
    add(stat);
    seen.text = cat(stat.size, " bytes, inode ", stat.inode, " of device ", stat.device,
                    ", changed at ", stat.changed_ns);
    if (before == nullptr) {
      seen.recent = stat.changed_ns >= now - kCoarsestTick;
    } else if (const auto earlier = before->find(name); earlier != before->end()) {
      seen.recent = earlier->second.recent;
    }
    if (seen.recent && stat.kind == families::FileKind::kFile) {
      QK_ASSIGN_OR_RETURN(seen.content, content_of(fs, path));
    }
    found.fingerprint.emplace(name, std::move(seen));
  }
  return found;
}

absl::StatusOr<SourceGuard> SourceGuard::watch(families::FileSystem& fs, const std::string& root) {
  QK_ASSIGN_OR_RETURN(std::string resolved, fs.real_path(root));
  SourceGuard guard(&fs, std::move(resolved));
  // The fingerprint first: what is written between it and the other looks is noticed by check().
  QK_ASSIGN_OR_RETURN(Look found, look(fs, guard.root_, nullptr));
  std::string user = locked_by(found.ids);
  if (user.empty()) user = open_by(guard.root_, found.ids, &guard.unseen_);
  for (const auto& [name, seen] : found.fingerprint) {
    if (!user.empty()) return absl::UnavailableError(cat("in use: ", user));
    user = lock_on(families::join_path(guard.root_, name), name);
  }
  if (!user.empty()) return absl::UnavailableError(cat("in use: ", user));
  guard.fingerprint_ = std::move(found.fingerprint);
  guard.closed_modes_ = found.closed;
  return guard;
}

absl::Status SourceGuard::check() const {
  QK_ASSIGN_OR_RETURN(const Look found, look(*fs_, root_, &fingerprint_));
  const Fingerprint& now = found.fingerprint;
  const auto same = [](const Fingerprint::value_type& a, const Fingerprint::value_type& b) {
    return a.first == b.first && a.second.text == b.second.text &&
           a.second.content == b.second.content;
  };
  const auto [before, after] =
      std::mismatch(fingerprint_.begin(), fingerprint_.end(), now.begin(), now.end(), same);
  if (before == fingerprint_.end() && after == now.end()) return absl::OkStatus();
  const auto text = [](const Fingerprint& all, Fingerprint::const_iterator at) {
    if (at == all.end()) return std::string("nothing more");
    const std::string& content = at->second.content;
    return cat("\"", at->first, "\" of ", at->second.text,
               content.empty() ? std::string() : cat(", content ", content));
  };
  return absl::UnavailableError(cat("changed meanwhile: found ", text(now, after), ", expected ",
                                    text(fingerprint_, before)));
}

}  // namespace qk::cli
