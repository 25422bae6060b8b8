#include "families/sqlite/loader.h"

#include "families/base/hash.h"

namespace qk::families {
namespace {

constexpr std::string_view kTable = "qk_batch";
constexpr std::string_view kInsert =
    // A row that cannot be inserted ends the load, so no statement journal is needed.
    "INSERT OR FAIL INTO log(idx, term, type, payload_crc, crc, payload) "
    "SELECT idx, term, type, payload_crc, crc, payload FROM qk_batch";

using Batch = std::span<const LogEntry>;

struct Table {
  sqlite3_vtab base;
  const Batch* batch;
};

struct Cursor {
  sqlite3_vtab_cursor base;
  Batch rows;
  size_t at;
  uint32_t payload_crc;  // of the current row

  void load() {
    if (at < rows.size()) payload_crc = crc32c(rows[at].payload);
  }
};

// ---- The virtual table's entry points. All rows, in order; nothing else is asked of it.

int connect(sqlite3* db, void* batch, int, const char* const*, sqlite3_vtab** out, char**) {
  const int code =
      sqlite3_declare_vtab(db, "CREATE TABLE x(idx, term, type, payload_crc, crc, payload)");
  if (code == SQLITE_OK) {
    *out = &(new Table{{}, static_cast<const Batch*>(batch)})->base;
  }
  return code;
}

int disconnect(sqlite3_vtab* table) {
  delete reinterpret_cast<Table*>(table);
  return SQLITE_OK;
}

int best_index(sqlite3_vtab*, sqlite3_index_info*) { return SQLITE_OK; }

int open_cursor(sqlite3_vtab* table, sqlite3_vtab_cursor** out) {
  *out = &(new Cursor{{}, *reinterpret_cast<Table*>(table)->batch, 0, 0})->base;
  return SQLITE_OK;
}

int close_cursor(sqlite3_vtab_cursor* cursor) {
  delete reinterpret_cast<Cursor*>(cursor);
  return SQLITE_OK;
}

int rewind(sqlite3_vtab_cursor* base, int, const char*, int, sqlite3_value**) {
  auto* cursor = reinterpret_cast<Cursor*>(base);
  cursor->at = 0;
  cursor->load();
  return SQLITE_OK;
}

int next(sqlite3_vtab_cursor* base) {
  auto* cursor = reinterpret_cast<Cursor*>(base);
  ++cursor->at;
  cursor->load();
  return SQLITE_OK;
}

int at_end(sqlite3_vtab_cursor* base) {
  const auto* cursor = reinterpret_cast<const Cursor*>(base);
  return cursor->at == cursor->rows.size() ? 1 : 0;
}

int column(sqlite3_vtab_cursor* base, sqlite3_context* out, int number) {
  const auto* cursor = reinterpret_cast<const Cursor*>(base);
  const LogEntry& entry = cursor->rows[cursor->at];
  const auto type = static_cast<int64_t>(entry.type);
  switch (number) {
    case 0:
      sqlite3_result_int64(out, entry.index);
      break;
    case 1:
      sqlite3_result_int64(out, entry.term);
      break;
    case 2:
      sqlite3_result_int64(out, type);
      break;
    case 3:
      sqlite3_result_int64(out, cursor->payload_crc);
      break;
    case 4:
      sqlite3_result_int64(
          out, log_crc(entry.index, entry.term, type, entry.payload.size(), cursor->payload_crc));
      break;
    default:
      sqlite3_result_blob64(out, entry.payload.data(), entry.payload.size(), SQLITE_STATIC);
  }
  return SQLITE_OK;
}

int row_id(sqlite3_vtab_cursor* base, sqlite3_int64* out) {
  const auto* cursor = reinterpret_cast<const Cursor*>(base);
  *out = cursor->rows[cursor->at].index;
  return SQLITE_OK;
}

const sqlite3_module* module() {
  static const sqlite3_module kModule = [] {
    sqlite3_module m = {};
    // Without xCreate it is a table-valued name, which no schema can refer to.
    m.xConnect = connect;
    m.xBestIndex = best_index;
    m.xDisconnect = disconnect;
    m.xOpen = open_cursor;
    m.xClose = close_cursor;
    m.xFilter = rewind;
    m.xNext = next;
    m.xEof = at_end;
    m.xColumn = column;
    m.xRowid = row_id;
    return m;
  }();
  return &kModule;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteLoader>> SqliteLoader::start(SqliteStore* store,
                                                                  int64_t first_index) {
  std::unique_ptr<SqliteLoader> loader(new SqliteLoader(store, first_index));
  QK_RETURN_IF_ERROR(loader->begin());
  return loader;
}

SqliteLoader::~SqliteLoader() {
  insert_ = SqliteStatement();
  store_.database().connection().drop_module(kTable);
}

absl::Status SqliteLoader::begin() {
  SqliteDatabase& database = store_.database();
  QK_RETURN_IF_ERROR(database.begin_load());
  QK_RETURN_IF_ERROR(database.connection().add_module(kTable, module(), &batch_));
  QK_ASSIGN_OR_RETURN(insert_, database.connection().prepare(kInsert));
  return absl::OkStatus();
}

absl::Status SqliteLoader::add(std::span<const LogEntry> entries) {
  batch_ = entries;
  const absl::Status inserted = insert_.run();
  batch_ = {};
  return inserted;
}

absl::Status SqliteLoader::finish() {
  QK_RETURN_IF_ERROR(store_.write_state(StateRow::kFirstIndex, encode_first_index(first_index_)));
  return store_.database().end_load();
}

}  // namespace qk::families
