// One SQLite connection over a FileSystem, opened and hardened the one way this family uses it.
//
// Every setting on which a promise rests is read back after it was set: SQLite ignores what it
// cannot do. Exclusive locking, WAL checkpoints only when checkpoint() is called, no automatic
// schema features, bounded limits: the file is treated as untrusted input.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "families/fs/file_system.h"
#include "families/sqlite/vfs.h"

namespace qk::families {

struct SqliteOptions {
  std::string journal = "WAL";       // WAL, DELETE or TRUNCATE
  std::string synchronous = "FULL";  // FULL or EXTRA; less would acknowledge what is not durable
  uint32_t page_size = 4096;         // of a new database
  uint32_t checkpoint_frames = 256;  // WAL length at which it is folded into the database
};

// Above this, an entry or a snapshot's record is refused.
inline constexpr size_t kMaxValueBytes = 512u << 20;

class SqliteConnection;

// A prepared statement. Columns are valid until the next step() or reset().
class SqliteStatement {
 public:
  SqliteStatement() = default;
  SqliteStatement(SqliteStatement&& other) noexcept { *this = std::move(other); }
  SqliteStatement& operator=(SqliteStatement&& other) noexcept;
  ~SqliteStatement();

  SqliteStatement& bind(int parameter, int64_t value);
  // `bytes` must stay valid until reset().
  SqliteStatement& bind_blob(int parameter, std::string_view bytes);

  // True: a row. False: done.
  absl::StatusOr<bool> step();
  // Steps to the end, expecting no rows, and resets.
  absl::Status run();
  void reset();
  bool busy() const { return sqlite3_stmt_busy(statement_) != 0; }

  int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  // NULL reads as empty.
  std::string_view bytes(int column) const;

 private:
  friend class SqliteConnection;
  SqliteStatement(const SqliteConnection* connection, std::string_view sql)
      : connection_(connection), sql_(sql) {}
  absl::Status prepare();

  const SqliteConnection* connection_ = nullptr;
  std::string_view sql_;  // until it is prepared
  absl::Status failed_;   // to prepare it
  sqlite3_stmt* statement_ = nullptr;
};

// Resets a statement at the end of a scope, which frees its columns and ends its read.
class StatementScope {
 public:
  explicit StatementScope(SqliteStatement* statement) : statement_(statement) {}
  ~StatementScope() { statement_->reset(); }
  StatementScope(const StatementScope&) = delete;
  StatementScope& operator=(const StatementScope&) = delete;

 private:
  SqliteStatement* statement_;
};

class SqliteConnection {
 public:
  // An existing database whose pages have `page_size` bytes, in the journal mode of `options`.
  // `mark`, which may be null, outlives the connection.
  static absl::StatusOr<std::unique_ptr<SqliteConnection>> open(FileSystem* fs,
                                                                const std::string& path,
                                                                uint32_t page_size,
                                                                const SqliteOptions& options,
                                                                LogMark* mark = nullptr);
  // A new file, to be filled in one transaction. No crash safety: the caller throws an unfinished
  // file away.
  static absl::StatusOr<std::unique_ptr<SqliteConnection>> create(FileSystem* fs,
                                                                  const std::string& path,
                                                                  uint32_t page_size);
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  absl::StatusOr<SqliteStatement> prepare(std::string_view sql) const;
  // Prepared when it is first bound or stepped, so that an open, which mostly reads, does not pay for
  // statements that write; step() answers an error of that. `sql` is a literal.
  SqliteStatement prepare_on_first_use(std::string_view sql) const { return {this, sql}; }
  absl::Status execute(std::string_view sql) const;
  absl::StatusOr<int64_t> query_integer(std::string_view sql) const;

  // Rows that the last INSERT, UPDATE or DELETE touched.
  int64_t changed_rows() const { return sqlite3_changes64(db_); }
  // Frames in the WAL after the last commit; 0 in the other journal modes.
  uint32_t wal_frames() const { return wal_frames_; }
  // Folds the WAL into the database and empties it, durably. Nothing to do in other journal modes.
  absl::Status checkpoint();

  // A virtual table `name` for the statements of this connection; `client` is handed to it.
  absl::Status add_module(std::string_view name, const sqlite3_module* module, void* client) const;
  void drop_module(std::string_view name) const;

  // No rollback journal on disk, and large writes, until end_load(): for filling a fresh database,
  // which is thrown away if that fails, in one transaction. The only sync is that of its commit.
  // Neither is called inside a transaction.
  absl::Status begin_load();
  absl::Status end_load();

  // With no statement left. The first error of the file system, which SQLite does not report.
  absl::Status close();
  // Ends the connection's writing for good and drops an open transaction.
  void stop_writing();

  const std::string& path() const { return path_; }
  // Drops what the file system reported during an earlier call that SQLite nevertheless completed.
  void forget_error() const { vfs_.forget_error(); }
  // The error of a call that answered `code`; what the file system said, if it said anything.
  absl::Status error(int code, std::string_view what) const;

 private:
  SqliteConnection(FileSystem* fs, std::string path, uint32_t page_size, LogMark* mark)
      : path_(std::move(path)), vfs_(fs, page_size, mark) {}

  absl::Status set_journal() const;
  // The rest of open().
  absl::Status set_up(const SqliteOptions& options);
  absl::Status connect(int flags);
  absl::Status harden() const;
  friend class SqliteStatement;
  // Runs `PRAGMA name=value` and requires that SQLite answers `expected`, to that or when asked.
  absl::Status set(std::string_view name, std::string_view value, std::string_view expected) const;
  // Runs `sql` to its end; the first column of its last row, or nothing.
  absl::StatusOr<std::string> value_of(std::string_view sql) const;

  const std::string path_;
  SqliteOptions options_;  // of open()
  mutable SqliteVfs vfs_;
  sqlite3* db_ = nullptr;
  uint32_t wal_frames_ = 0;
};

}  // namespace qk::families
