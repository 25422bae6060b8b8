// Reading a family so that nothing is missed: a scan that ends early, a snapshot that is announced
// but cannot be opened, or a file that is listed but missing is an error, never less state (EV-X1).
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "families/base/hash.h"
#include "families/contract/family.h"
#include "image/canonical.h"

namespace qk::image {

// DataLoss unless 1 <= first <= last + 1.
absl::Status check_log_range(int64_t first, int64_t last);

// scan() that fails with DataLoss unless exactly the indices [from, to] came, in order.
absl::Status scan_exactly(families::LogStorage& log, int64_t from, int64_t to,
                          const families::LogStorage::Visitor& visit);

// The current snapshot, or null if there provably is none.
absl::StatusOr<std::shared_ptr<families::SnapshotReader>> open_snapshot(families::Family& family);

// All files of a snapshot, those that are not in the table included, in byte order of name; without
// their sizes. InvalidArgument for a name that is listed twice, or that
// families::check_snapshot_files() refuses. `reader` may be null: none.
absl::StatusOr<std::vector<FileHead>> sorted_files(const families::SnapshotReader* reader);

// `reader` may be null; `files` are its sorted_files().
SnapshotHead head_of(const families::SnapshotReader* reader, const std::vector<FileHead>& files);

// Opens a file and takes its size; DataLoss if it is missing.
struct OpenedFile {
  std::unique_ptr<families::File> file;
  FileHead head;
};
absl::StatusOr<OpenedFile> open_sorted(const families::SnapshotReader& reader,
                                       const FileHead& head);

// SHA-256 of the `size` bytes of a file, read in chunks.
absl::StatusOr<Digest> hash_file(families::File& file, std::string_view name, uint64_t size);

// Visits each of the reader's sorted_files() with the SHA-256 of its content.
using FileVisitor = std::function<absl::Status(const FileHead&, const Digest&)>;
absl::Status hash_files(const families::SnapshotReader* reader, const std::vector<FileHead>& files,
                        const FileVisitor& visit);

}  // namespace qk::image
