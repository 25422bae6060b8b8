// Between RocksDB's types and ours.
#pragma once

#include <rocksdb/slice.h>
#include <rocksdb/status.h>

#include <string_view>

#include "families/rocksdb/fs.h"

namespace qk::families {

inline rocksdb::Slice to_slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view to_view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

// Damage and missing files are DataLoss; an error of the file system keeps its code and errno.
absl::Status from_rocksdb(const rocksdb::Status& status, const RocksFileSystem& files,
                          std::string_view what);

}  // namespace qk::families
