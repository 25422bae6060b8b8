#include "families/engine/snapshot_writer.h"

#include <algorithm>

#include "families/base/hash.h"
#include "families/contract/rules.h"
#include "families/fs/file_util.h"

namespace qk::families {
namespace {

constexpr size_t kChunkBytes = 64 << 10;

}  // namespace

absl::StatusOr<SnapshotRecord::Contents> measure_file(FileSystem& fs, const std::string& path) {
  OpenFlags flags;
  flags.read_only = true;
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs.open(path, flags));
  SnapshotRecord::Contents contents;
  std::string chunk(kChunkBytes, '\0');
  while (true) {
    QK_ASSIGN_OR_RETURN(const size_t got, file->read_at(contents.size, chunk));
    contents.crc = crc32c_extend(contents.crc, std::string_view(chunk).substr(0, got));
    contents.size += got;
    if (got < chunk.size()) return contents;
  }
}

std::vector<SnapshotFile>::const_iterator find_file(const std::vector<SnapshotFile>& files,
                                                    std::string_view path) {
  return std::lower_bound(files.begin(), files.end(), path,
                          [](const SnapshotFile& f, std::string_view p) { return f.path < p; });
}

absl::Status TreeSnapshotWriter::seal_tree() {
  record_.meta = meta();
  record_.files = files();
  // The name is `local`'s; here it would be a file that no other family has.
  const absl::Status removed = fs().unlink(join_path(get_path(), kSnapshotTableName));
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> extra, unlisted());
  record_.unlisted.clear();
  for (const std::string& place : extra) {
    QK_ASSIGN_OR_RETURN(const SnapshotRecord::Contents contents,
                        measure_file(fs(), join_path(get_path(), place)));
    record_.unlisted.emplace_back(place, contents);
  }
  record_.contents.clear();
  for (const SnapshotFile& file : record_.files) {
    QK_ASSIGN_OR_RETURN(const std::string place, snapshot_file_place(file.path));
    const absl::StatusOr<SnapshotRecord::Contents> contents =
        measure_file(fs(), join_path(get_path(), place));
    if (!contents.ok()) {
      return annotate(contents.status(), cat("seal: snapshot file \"", file.path, "\""));
    }
    record_.contents.push_back(*contents);
  }
  return sync_tree(fs(), get_path());
}

}  // namespace qk::families
