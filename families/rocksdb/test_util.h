// Shared by the tests of the rocksdb family.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "families/fs/file_util.h"
#include "families/fs/overlay_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/rocksdb/engine.h"
#include "families/testing/util.h"

namespace qk::families {

// A disk in memory: an overlay of an empty directory.
struct MemoryDisk {
  MemoryDisk() : fs(&posix), path(join_path(directory.path(), "db")) {}

  TempDirectory directory;
  PosixFileSystem posix;
  OverlayFileSystem fs;
  const std::string path;
};

using Rows = std::map<std::string, std::string>;

inline absl::Status put_rows(KvEngine& engine, const Rows& rows) {
  const std::unique_ptr<KvBatch> batch = engine.new_batch();
  for (const auto& [key, value] : rows) {
    const size_t half = value.size() / 2;
    batch->put(key, value.substr(0, half), value.substr(half));
  }
  return engine.commit(*batch);
}

inline absl::StatusOr<Rows> read_rows(KvEngine& engine) {
  Rows rows;
  const std::unique_ptr<KvCursor> cursor = engine.cursor();
  for (cursor->seek(""); cursor->valid(); cursor->next()) {
    rows.emplace(cursor->key(), cursor->value());
  }
  QK_RETURN_IF_ERROR(cursor->status());
  return rows;
}

inline absl::Status drain(KvEngine& engine) {
  while (engine.pending_work() > 0) QK_RETURN_IF_ERROR(engine.run_one());
  return absl::OkStatus();
}

// "k000012", so that keys sort as numbers.
inline std::string row_key(int n) {
  std::string digits = cat(n);
  return cat("k", std::string(6 - digits.size(), '0'), digits);
}
inline std::string row_value(int n, size_t size = 200) {
  std::string value = cat("value of ", n, " ");
  while (value.size() < size) value += static_cast<char>('a' + (n + value.size()) % 26);
  return value;
}

}  // namespace qk::families
