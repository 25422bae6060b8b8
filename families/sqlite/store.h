// SqliteStore: the rows of one family instance in a SQLite database (database.h); each change of
// rows is one transaction.
//
// Rows, each verified when it is read:
//   log(idx INTEGER PRIMARY KEY, term, type, payload_crc, crc, payload BLOB)
//     crc          log_crc() of the other columns
//   state(id INTEGER PRIMARY KEY, value BLOB, crc)
//     crc          state_crc()
//
// On opening the log's rows must be as many as their range.
#pragma once

#include <memory>
#include <string>

#include "families/engine/row_store.h"
#include "families/sqlite/database.h"

namespace qk::families {

class SqliteStore final : public RowStore {
 public:
  // Of `request`, the options are those already parsed into `options`.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> open(const OpenRequest& request,
                                                           const SqliteOptions& options);

  absl::StatusOr<std::string> read_state(StateRow row) override;
  absl::StatusOr<std::optional<LogRange>> find_rows() override;
  absl::Status read_row(int64_t index, LogEntry* entry) override;
  absl::StatusOr<int64_t> read_term(int64_t index) override;
  absl::Status scan_rows(const LogRange& range, const LogStorage::Visitor& visit) override;
  // As loader.h says.
  absl::StatusOr<std::unique_ptr<RowLoader>> start_load(int64_t first_index) override;
  // Ends the connection: the error of folding the WAL into the database or of removing it, after
  // which an open repeats it.
  absl::Status close() override;

  SqliteDatabase& database() { return *database_; }
  // Inside a transaction, or as one by itself.
  absl::Status write_state(StateRow row, std::string_view value);

 protected:
  // Afterwards folds the WAL if it has grown long.
  absl::Status write(const RowChange& change) override;
  void stop_writing() override { connection().stop_writing(); }

 private:
  SqliteStore(const OpenRequest& request, std::unique_ptr<SqliteDatabase> database)
      : RowStore(request.fs, request.root, database->path()), database_(std::move(database)) {}

  SqliteConnection& connection() { return database_->connection(); }
  void prepare_statements();
  absl::Status insert(const LogEntry& entry);
  // The row under `statement`, which must be that of `index`.
  absl::Status decode_row(const SqliteStatement& statement, int64_t index, LogEntry* entry) const;
  absl::Status scan_with(SqliteStatement& statement, const LogRange& range,
                         const LogStorage::Visitor& visit) const;

  const std::unique_ptr<SqliteDatabase> database_;
  SqliteStatement begin_, commit_, read_state_, write_state_;
  SqliteStatement insert_, delete_, select_, select_term_, scan_;
};

}  // namespace qk::families
