#include "image/walk.h"

#include <algorithm>

#include "families/contract/rules.h"
#include "families/fs/file_util.h"

namespace qk::image {

absl::Status check_log_range(int64_t first, int64_t last) {
  if (first >= 1 && last >= first - 1) return absl::OkStatus();
  return absl::DataLossError(
      cat("log range ", first, "..", last, ": expected 1 <= first <= last + 1"));
}

absl::Status scan_exactly(families::LogStorage& log, int64_t from, int64_t to,
                          const families::LogStorage::Visitor& visit) {
  int64_t next = from;
  QK_RETURN_IF_ERROR(log.scan(from, to, [&](const families::LogEntry& entry) {
    if (entry.index != next || entry.index > to) {
      return absl::DataLossError(
          cat("log scan of ", from, "..", to, " gave entry ", entry.index, ", expected ", next));
    }
    ++next;
    return visit(entry);
  }));
  if (next == to + 1) return absl::OkStatus();
  return absl::DataLossError(cat("log scan of ", from, "..", to, " ended before entry ", next));
}

absl::StatusOr<std::shared_ptr<families::SnapshotReader>> open_snapshot(families::Family& family) {
  auto reader = family.snapshot().open();
  if (reader.ok()) return reader;
  if (!absl::IsNotFound(reader.status())) return annotate(reader.status(), "snapshot");
  if (const auto current = family.snapshot().current()) {
    return absl::DataLossError(cat("snapshot at index ", current->last_included_index,
                                   " is announced, but no snapshot can be opened"));
  }
  return std::shared_ptr<families::SnapshotReader>();
}

absl::StatusOr<std::vector<FileHead>> sorted_files(const families::SnapshotReader* reader) {
  std::vector<FileHead> files;
  if (reader == nullptr) return files;
  QK_RETURN_IF_ERROR(families::check_snapshot_files(reader->files()).status());
  for (const families::SnapshotFile& listed : reader->files()) files.push_back({listed, 0, false});
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> unlisted, reader->unlisted());
  for (const std::string& place : unlisted) files.push_back({{place, {}}, 0, true});
  std::sort(files.begin(), files.end(),
            [](const FileHead& a, const FileHead& b) { return a.file.path < b.file.path; });
  for (size_t i = 1; i < files.size(); ++i) {
    if (files[i].file.path == files[i - 1].file.path) {
      return absl::InvalidArgumentError(
          cat("snapshot file \"", files[i].file.path, "\" is listed twice"));
    }
  }
  return files;
}

SnapshotHead head_of(const families::SnapshotReader* reader, const std::vector<FileHead>& files) {
  if (reader == nullptr) return {};
  return {reader->meta(), files.size()};
}

absl::StatusOr<OpenedFile> open_sorted(const families::SnapshotReader& reader,
                                       const FileHead& head) {
  const std::string& name = head.file.path;
  auto file = head.unlisted ? reader.open_unlisted(name) : reader.open_file(name);
  if (!file.ok()) {
    const std::string what = cat("snapshot file \"", name, "\"");
    if (!absl::IsNotFound(file.status())) return annotate(file.status(), what);
    return absl::DataLossError(cat(what, " is listed, but missing"));
  }
  OpenedFile opened;
  opened.file = std::move(*file);
  opened.head = head;
  QK_ASSIGN_OR_RETURN(opened.head.size, opened.file->size());
  return opened;
}

absl::StatusOr<Digest> hash_file(families::File& file, std::string_view name, uint64_t size) {
  constexpr size_t kReadBytes = 64 << 10;
  Sha256 hash;
  std::string buffer(std::min<uint64_t>(size, kReadBytes), '\0');
  for (uint64_t offset = 0; offset < size;) {
    const std::span<char> part(buffer.data(), std::min<uint64_t>(buffer.size(), size - offset));
    QK_RETURN_IF_ERROR(families::read_exact(file, name, offset, part));
    hash.update({part.data(), part.size()});
    offset += part.size();
  }
  return hash.digest();
}

absl::Status hash_files(const families::SnapshotReader* reader, const std::vector<FileHead>& files,
                        const FileVisitor& visit) {
  for (const FileHead& head : files) {
    QK_ASSIGN_OR_RETURN(const OpenedFile opened, open_sorted(*reader, head));
    QK_ASSIGN_OR_RETURN(const Digest content,
                        hash_file(*opened.file, head.file.path, opened.head.size));
    QK_RETURN_IF_ERROR(visit(opened.head, content));
  }
  return absl::OkStatus();
}

}  // namespace qk::image
