#include "families/sqlite/connection.h"

#include <algorithm>
#include <utility>

#include "families/base/check.h"

namespace qk::families {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

int count_frames(void* out, sqlite3*, const char*, int frames) {
  *static_cast<uint32_t*>(out) = static_cast<uint32_t>(frames);
  return SQLITE_OK;
}

}  // namespace

SqliteStatement& SqliteStatement::operator=(SqliteStatement&& other) noexcept {
  std::swap(connection_, other.connection_);
  std::swap(sql_, other.sql_);
  std::swap(failed_, other.failed_);
  std::swap(statement_, other.statement_);
  return *this;
}

SqliteStatement::~SqliteStatement() { sqlite3_finalize(statement_); }

absl::Status SqliteStatement::prepare() {
  if (statement_ != nullptr || !failed_.ok()) return failed_;
  connection_->forget_error();
  const int code = sqlite3_prepare_v3(connection_->db_, sql_.data(), static_cast<int>(sql_.size()),
                                      0, &statement_, nullptr);
  if (code != SQLITE_OK) failed_ = connection_->error(code, sql_);
  return failed_;
}

SqliteStatement& SqliteStatement::bind(int parameter, int64_t value) {
  if (!prepare().ok()) return *this;
  QK_CHECK(sqlite3_bind_int64(statement_, parameter, value) == SQLITE_OK);
  return *this;
}

SqliteStatement& SqliteStatement::bind_blob(int parameter, std::string_view bytes) {
  if (!prepare().ok()) return *this;
  // A null pointer would bind NULL, which is not an empty blob.
  const char* data = bytes.empty() ? "" : bytes.data();
  QK_CHECK(sqlite3_bind_blob64(statement_, parameter, data, bytes.size(), SQLITE_STATIC) ==
           SQLITE_OK);
  return *this;
}

absl::StatusOr<bool> SqliteStatement::step() {
  QK_RETURN_IF_ERROR(prepare());
  connection_->forget_error();
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return connection_->error(code, sqlite3_sql(statement_));
}

absl::Status SqliteStatement::run() {
  const absl::StatusOr<bool> row = step();
  reset();
  if (!row.ok()) return row.status();
  QK_CHECK(!*row);
  return absl::OkStatus();
}

void SqliteStatement::reset() { sqlite3_reset(statement_); }

std::string_view SqliteStatement::bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data), static_cast<size_t>(size)};
}

absl::StatusOr<std::unique_ptr<SqliteConnection>> SqliteConnection::open(
    FileSystem* fs, const std::string& path, uint32_t page_size, const SqliteOptions& options,
    LogMark* mark) {
  std::unique_ptr<SqliteConnection> c(new SqliteConnection(fs, path, page_size, mark));
  if (const absl::Status status = c->set_up(options); !status.ok()) {
    c->stop_writing();  // closing would fold the WAL, whatever became of reading it
    return status;
  }
  return c;
}

absl::Status SqliteConnection::set_up(const SqliteOptions& options) {
  QK_RETURN_IF_ERROR(connect(SQLITE_OPEN_READWRITE));
  QK_RETURN_IF_ERROR(harden());
  // Before the first read: without it, and without shared memory, WAL silently becomes "delete".
  QK_RETURN_IF_ERROR(set("locking_mode", "EXCLUSIVE", "exclusive"));
  QK_RETURN_IF_ERROR(set("temp_store", "MEMORY", "2"));
  QK_RETURN_IF_ERROR(set("secure_delete", "OFF", "0"));
  QK_RETURN_IF_ERROR(set("cache_size", "-256", "-256"));
  options_ = options;
  QK_RETURN_IF_ERROR(
      set("synchronous", options.synchronous, options.synchronous == "EXTRA" ? "3" : "2"));
  // A failed automatic checkpoint is not reported.
  QK_RETURN_IF_ERROR(set("wal_autocheckpoint", "0", "0"));
  QK_RETURN_IF_ERROR(set_journal());
  sqlite3_wal_hook(db_, count_frames, &wal_frames_);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SqliteConnection>> SqliteConnection::create(FileSystem* fs,
                                                                           const std::string& path,
                                                                           uint32_t page_size) {
  std::unique_ptr<SqliteConnection> c(new SqliteConnection(fs, path, page_size, nullptr));
  QK_RETURN_IF_ERROR(c->connect(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  QK_RETURN_IF_ERROR(c->harden());
  QK_RETURN_IF_ERROR(c->set("locking_mode", "EXCLUSIVE", "exclusive"));
  QK_RETURN_IF_ERROR(c->set("temp_store", "MEMORY", "2"));
  QK_RETURN_IF_ERROR(c->set("synchronous", "FULL", "2"));
  QK_RETURN_IF_ERROR(c->set("page_size", cat(page_size), cat(page_size)));
  QK_RETURN_IF_ERROR(c->set("auto_vacuum", "NONE", "0"));
  QK_RETURN_IF_ERROR(c->set("journal_mode", "MEMORY", "memory"));
  int reserved = kPageReservedBytes;
  const int code = sqlite3_file_control(c->db_, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
  if (code != SQLITE_OK) return c->error(code, "reserve bytes of each page");
  return c;
}

SqliteConnection::~SqliteConnection() { close().IgnoreError(); }

absl::Status SqliteConnection::close() {
  forget_error();
  // Statements are finalised by their owners before; a connection with live ones would linger.
  const int code = sqlite3_close(std::exchange(db_, nullptr));
  QK_CHECK(code != SQLITE_BUSY);
  if (absl::Status cause = vfs_.take_error(); !cause.ok()) {
    return annotate(cause, cat(path_, ": close"));
  }
  return absl::OkStatus();
}

absl::Status SqliteConnection::connect(int flags) {
  const int code = sqlite3_open_v2(
      path_.c_str(), &db_, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, vfs_.name());
  return code == SQLITE_OK ? absl::OkStatus() : error(code, "open");
}

absl::Status SqliteConnection::harden() const {
  for (const auto& [option, value] :
       {std::pair(SQLITE_DBCONFIG_DEFENSIVE, 1), std::pair(SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
        std::pair(SQLITE_DBCONFIG_ENABLE_TRIGGER, 0), std::pair(SQLITE_DBCONFIG_ENABLE_VIEW, 0),
        std::pair(SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0),
        std::pair(SQLITE_DBCONFIG_ENABLE_FKEY, 0), std::pair(SQLITE_DBCONFIG_DQS_DDL, 0),
        std::pair(SQLITE_DBCONFIG_DQS_DML, 0)}) {
    int found = -1;
    const int code = sqlite3_db_config(db_, option, value, &found);
    if (code != SQLITE_OK) return error(code, "sqlite3_db_config");
    QK_CHECK(found == value);
  }
  for (const auto& [limit, value] :
       {std::pair(SQLITE_LIMIT_LENGTH, int{kMaxValueBytes} + 4096),
        std::pair(SQLITE_LIMIT_SQL_LENGTH, 4096), std::pair(SQLITE_LIMIT_COLUMN, 16),
        std::pair(SQLITE_LIMIT_EXPR_DEPTH, 20), std::pair(SQLITE_LIMIT_COMPOUND_SELECT, 2),
        std::pair(SQLITE_LIMIT_VDBE_OP, 10'000), std::pair(SQLITE_LIMIT_FUNCTION_ARG, 8),
        std::pair(SQLITE_LIMIT_ATTACHED, 0), std::pair(SQLITE_LIMIT_VARIABLE_NUMBER, 16),
        std::pair(SQLITE_LIMIT_TRIGGER_DEPTH, 1), std::pair(SQLITE_LIMIT_WORKER_THREADS, 0)}) {
    sqlite3_limit(db_, limit, value);
  }
  return set("cell_size_check", "ON", "1");
}

absl::Status SqliteConnection::set(std::string_view name, std::string_view value,
                                   std::string_view expected) const {
  QK_ASSIGN_OR_RETURN(std::string found, value_of(cat("PRAGMA ", name, "=", value)));
  // Some are answered with the value in force, others have to be asked.
  if (found.empty()) {
    QK_ASSIGN_OR_RETURN(found, value_of(cat("PRAGMA ", name)));
  }
  if (found == expected) return absl::OkStatus();
  if (found.empty()) found = "nothing";
  return absl::FailedPreconditionError(
      cat(path_, ": PRAGMA ", name, "=", value, ": found ", found, ", expected ", expected));
}

absl::StatusOr<std::string> SqliteConnection::value_of(std::string_view sql) const {
  QK_ASSIGN_OR_RETURN(SqliteStatement statement, prepare(sql));
  std::string value;
  while (true) {
    QK_ASSIGN_OR_RETURN(const bool row, statement.step());
    if (!row) return value;
    value = statement.bytes(0);
  }
}

absl::StatusOr<SqliteStatement> SqliteConnection::prepare(std::string_view sql) const {
  SqliteStatement statement(this, sql);
  QK_RETURN_IF_ERROR(statement.prepare());
  return statement;
}

absl::Status SqliteConnection::execute(std::string_view sql) const {
  QK_ASSIGN_OR_RETURN(SqliteStatement statement, prepare(sql));
  while (true) {
    QK_ASSIGN_OR_RETURN(const bool row, statement.step());
    if (!row) return absl::OkStatus();
  }
}

absl::StatusOr<int64_t> SqliteConnection::query_integer(std::string_view sql) const {
  QK_ASSIGN_OR_RETURN(SqliteStatement statement, prepare(sql));
  QK_ASSIGN_OR_RETURN(const bool row, statement.step());
  if (!row) return absl::DataLossError(cat(path_, ": ", sql, ": found no row, expected one"));
  return statement.integer(0);
}

absl::Status SqliteConnection::checkpoint() {
  forget_error();
  const int code =
      sqlite3_wal_checkpoint_v2(db_, "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code, "checkpoint");
  wal_frames_ = 0;
  return absl::OkStatus();
}

absl::Status SqliteConnection::set_journal() const {
  return set("journal_mode", options_.journal, lower(options_.journal));
}

absl::Status SqliteConnection::begin_load() {
  // The journal in memory holds the few pages of a fresh database; those that the load adds have no
  // earlier content. (OFF is not allowed to a hardened connection, and would save nothing.)
  QK_RETURN_IF_ERROR(set("journal_mode", "MEMORY", "memory"));
  wal_frames_ = 0;
  vfs_.gather_writes(true);
  return absl::OkStatus();
}

absl::Status SqliteConnection::end_load() {
  vfs_.gather_writes(false);
  return set_journal();
}

absl::Status SqliteConnection::add_module(std::string_view name, const sqlite3_module* module,
                                          void* client) const {
  const int code =
      sqlite3_create_module_v2(db_, std::string(name).c_str(), module, client, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : error(code, cat("module ", name));
}

void SqliteConnection::drop_module(std::string_view name) const {
  sqlite3_create_module_v2(db_, std::string(name).c_str(), nullptr, nullptr, nullptr);
}

void SqliteConnection::stop_writing() {
  vfs_.stop_writing();
  // Reads must not see the transaction that failed. An error here leaves them failing, too.
  if (db_ == nullptr) return;
  if (sqlite3_get_autocommit(db_) == 0) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

absl::Status SqliteConnection::error(int code, std::string_view what) const {
  const std::string context = cat(path_, ": ", what);
  if (absl::Status cause = vfs_.take_error(); !cause.ok()) return annotate(cause, context);
  const std::string message = cat(context, ": SQLite answers ", code, " (",
                                  db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_), ")");
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_IOERR:
      return absl::DataLossError(message);
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::FailedPreconditionError(message);
  }
}

}  // namespace qk::families
