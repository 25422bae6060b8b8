// SqliteStore: the database of one family instance: its life from creation to close, its state rows
// and its transactions. The log, the hard state and the snapshot of the contract stand on it.
//
// Root:  db                 the database; db-wal or db-journal beside it while it is in use
//        db.mark            whether db-wal must be there (families/engine/log_mark.h)
//        db.new             a database being created; means nothing
//        snapshot/          trees of files (families/engine/snapshot.h)
//
// After a crash the state is that after the last ok mutation or the one that was executing:
// mutations are single transactions. Opening syncs what it found before it reads it, so whatever is
// served after an open survives a power cut (ora.L10). Creation builds `db.new`, syncs it and
// renames it, so a `db` is always whole; an unfinished creation opens as absent. A root with other
// traces of a store and no `db`, or an empty one, is damage and never a fresh store (ora.L13).
//
// Rows, each verified when it is read:
//   log(idx INTEGER PRIMARY KEY, term, type, payload_crc, crc, payload BLOB)
//     crc          log_crc() of the other columns
//   state(id INTEGER PRIMARY KEY, value BLOB, crc)
//     crc          state_crc()
//
// Any error of SQLite ends the instance's writing (fail-stop): the mutation is indeterminate, later
// ones are refused, reads go on as far as they can.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "families/contract/family.h"
#include "families/engine/record.h"
#include "families/engine/snapshot.h"
#include "families/sqlite/connection.h"

namespace qk::families {

// PRAGMA application_id of a store: "QKst".
inline constexpr uint32_t kApplicationId = 0x514b7374;
// PRAGMA user_version: the format that this build reads and writes.
inline constexpr uint32_t kFormatVersion = 1;

class SqliteStore final : public SnapshotRecordStore {
 public:
  // Of `request`, the options are those already parsed into `options`.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> open(const OpenRequest& request,
                                                           const SqliteOptions& options);

  FileSystem& fs() { return *fs_; }
  const std::string& root() const { return root_; }
  const std::string& db_path() const { return db_path_; }
  std::string snapshot_root() const;
  SqliteConnection& connection() { return *connection_; }

  // DataLoss if the row is missing or fails its checksum.
  absl::StatusOr<std::string> read_state(StateRow row);
  // Inside mutate() only.
  absl::Status write_state(StateRow row, std::string_view value);

  absl::Status writable() const override;
  // Runs `body` as one transaction: ok means committed durably. Afterwards folds the WAL if it has
  // grown long.
  Outcome mutate(std::string_view what, const std::function<absl::Status()>& body);
  // The same for a body of exactly one statement, which is a transaction by itself.
  Outcome mutate_once(std::string_view what, const std::function<absl::Status()>& body);
  // Between begin_load() and end_load() stands one transaction without a journal on disk, and the
  // database has no format number, so that it cannot be opened. Errors end the instance's writing:
  // the caller calls fail_stop().
  absl::Status begin_load();
  absl::Status end_load();
  // For what happens outside transactions.
  Outcome fail_stop(absl::Status cause, std::string_view what) override;

  absl::StatusOr<std::string> load_snapshot_record() override;
  Outcome commit_snapshot_record(std::string_view record) override;

  // Ends the connection, with the statements of the log and the hard state gone: the error of
  // folding the WAL into the database or of removing it, after which an open repeats it.
  absl::Status close();

 private:
  SqliteStore(FileSystem* fs, std::string root, const SqliteOptions& options);

  absl::Status create_database(uint32_t page_size);
  absl::Status open_database();
  // The rest of it, with the connection open.
  absl::Status adopt_database();
  absl::Status check_wal_is_gone(const std::string& wal_path);
  absl::Status verify_format();
  absl::Status verify_schema();
  absl::Status prepare_statements();
  Outcome after_commit();

  FileSystem* const fs_;
  const std::string root_;
  const std::string db_path_;
  const SqliteOptions options_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<LogMark> mark_;  // outlives the connection
  std::unique_ptr<SqliteConnection> connection_;
  SqliteStatement begin_, commit_, read_state_, write_state_;
  absl::Status poison_;
};

}  // namespace qk::families
