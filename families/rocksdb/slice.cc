#include "families/rocksdb/slice.h"

namespace qk::families {

absl::Status from_rocksdb(const rocksdb::Status& status, const RocksFileSystem& files,
                          std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = cat(what, ": ", status.ToString());
  if (status.IsCorruption()) {
    return absl::DataLossError(cat(message, "; the file read last was ", files.last_read()));
  }
  if (status.IsPathNotFound()) return absl::DataLossError(message);
  if (status.IsIOError() && !files.last_error().ok()) return annotate(files.last_error(), message);
  return absl::InternalError(message);
}

}  // namespace qk::families
