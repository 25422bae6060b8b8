// SqliteDatabase: the database file of a store and the life of it: how it is made, judged, opened
// and closed. What its rows mean is the store's (store.h).
//
// Root:  as families/engine/store_root.h says; `db` is the database, with db-wal or db-journal
//        beside it while it is in use
//
// Opening syncs what it found before it reads it, so whatever is served after an open survives a
// power cut (ora.L10). An empty `db` is damage and never a fresh store (ora.L13). The header is
// judged before SQLite may write to the file: neither a newer format, nor another program's
// database, is touched.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "families/contract/family.h"
#include "families/sqlite/connection.h"

namespace qk::families {

// PRAGMA application_id of a store: "QKst".
inline constexpr uint32_t kApplicationId = 0x514b7374;
// PRAGMA user_version: the format that this build reads and writes.
inline constexpr uint32_t kFormatVersion = 1;

class SqliteDatabase {
 public:
  // Of `request`, the options are those already parsed into `options`.
  static absl::StatusOr<std::unique_ptr<SqliteDatabase>> open(const OpenRequest& request,
                                                              const SqliteOptions& options);

  const std::string& path() const { return path_; }
  SqliteConnection& connection() { return *connection_; }

  // Folds the WAL into the database if it has grown long.
  absl::Status checkpoint_if_due();

  // Between begin_load() and end_load() is one transaction without a journal on disk, and the
  // database has no format number, so that it cannot be opened. After an error nothing may be
  // written any more.
  absl::Status begin_load();
  absl::Status end_load();

 private:
  SqliteDatabase(const OpenRequest& request, const SqliteOptions& options);

  absl::Status create();
  absl::Status open_existing();
  // The rest of it, with the connection open.
  absl::Status adopt();
  absl::Status check_wal_is_gone() const;
  absl::Status verify_format();
  absl::Status verify_schema();
  std::string wal_path() const { return cat(path_, "-wal"); }

  FileSystem& fs_;
  const std::string root_;
  const std::string path_;
  const SqliteOptions options_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<LogMark> mark_;  // outlives the connection
  std::unique_ptr<SqliteConnection> connection_;
};

}  // namespace qk::families
