#include "families/sqlite/store.h"

#include "families/base/hash.h"
#include "families/engine/snapshot.h"
#include "families/sqlite/loader.h"

namespace qk::families {
namespace {

static_assert(kMaxPayloadBytes <= kMaxValueBytes);
static_assert(kMaxSnapshotRecordBytes <= kMaxValueBytes);

// The columns in the order of decode_row().
constexpr std::string_view kSelect =
    "SELECT idx, term, type, payload_crc, crc, payload FROM log WHERE idx = ?1";
constexpr std::string_view kSelectTerm =
    "SELECT idx, term, type, payload_crc, crc, length(payload) FROM log WHERE idx = ?1";
constexpr std::string_view kScan =
    "SELECT idx, term, type, payload_crc, crc, payload FROM log WHERE idx BETWEEN ?1 AND ?2 "
    "ORDER BY idx";

// The columns before the payload.
struct Head {
  explicit Head(const SqliteStatement& row)
      : index(row.integer(0)),
        term(row.integer(1)),
        type(row.integer(2)),
        payload_crc(row.integer(3)),
        crc(row.integer(4)) {}

  bool intact(uint64_t payload_size) const {
    return term >= 1 && is_entry_type(type) &&
           crc == log_crc(index, term, type, payload_size, static_cast<uint32_t>(payload_crc));
  }

  const int64_t index;
  const int64_t term;
  const int64_t type;
  const int64_t payload_crc;
  const int64_t crc;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::open(const OpenRequest& request,
                                                               const SqliteOptions& options) {
  QK_ASSIGN_OR_RETURN(std::unique_ptr<SqliteDatabase> database,
                      SqliteDatabase::open(request, options));
  std::unique_ptr<SqliteStore> store(new SqliteStore(request, std::move(database)));
  store->prepare_statements();
  return store;
}

void SqliteStore::prepare_statements() {
  for (const auto& [statement, sql] :
       std::initializer_list<std::pair<SqliteStatement*, std::string_view>>{
           {&begin_, "BEGIN IMMEDIATE"},
           {&commit_, "COMMIT"},
           {&read_state_, "SELECT value, crc FROM state WHERE id = ?1"},
           {&write_state_, "UPDATE state SET value = ?2, crc = ?3 WHERE id = ?1"},
           {&insert_,
            "INSERT INTO log(idx, term, type, payload_crc, crc, payload) "
            "VALUES(?1, ?2, ?3, ?4, ?5, ?6)"},
           {&delete_, "DELETE FROM log WHERE idx BETWEEN ?1 AND ?2"},
           {&select_, kSelect},
           {&select_term_, kSelectTerm},
           {&scan_, kScan}}) {
    *statement = connection().prepare_on_first_use(sql);
  }
}

absl::Status SqliteStore::close() {
  for (SqliteStatement* statement : {&begin_, &commit_, &read_state_, &write_state_, &insert_,
                                     &delete_, &select_, &select_term_, &scan_}) {
    *statement = SqliteStatement();
  }
  return connection().close();
}

// ---- Reading

absl::StatusOr<std::string> SqliteStore::read_state(StateRow row) {
  StatementScope scope(&read_state_);
  read_state_.bind(1, static_cast<int64_t>(row));
  QK_ASSIGN_OR_RETURN(const bool found, read_state_.step());
  if (!found) return missing_state(row);
  std::string value(read_state_.bytes(0));
  const int64_t stored = read_state_.integer(1);
  const uint32_t computed = state_crc(row, value);
  if (stored == computed) return value;
  return absl::DataLossError(cat(path(), ": state row \"", to_string(row), "\": checksum ",
                                 hex8(computed), ", expected ",
                                 hex8(static_cast<uint32_t>(stored))));
}

absl::StatusOr<std::optional<LogRange>> SqliteStore::find_rows() {
  SqliteConnection& db = connection();
  QK_ASSIGN_OR_RETURN(const int64_t count, db.query_integer("SELECT count(*) FROM log"));
  if (count == 0) return std::nullopt;
  LogRange rows;
  QK_ASSIGN_OR_RETURN(rows.first, db.query_integer("SELECT min(idx) FROM log"));
  QK_ASSIGN_OR_RETURN(rows.last, db.query_integer("SELECT max(idx) FROM log"));
  // One below 1 is out of every range, and the difference could overflow.
  if (rows.first < 1 || rows.last - rows.first == count - 1) return rows;
  // Name the first row that is missing.
  QK_ASSIGN_OR_RETURN(SqliteStatement indices, db.prepare("SELECT idx FROM log ORDER BY idx"));
  int64_t expected = rows.first;
  while (true) {
    QK_ASSIGN_OR_RETURN(const bool row, indices.step());
    if (!row || indices.integer(0) != expected) break;
    ++expected;
  }
  return absl::DataLossError(cat(path(), ": log row ", expected, " is missing: found ", count,
                                 " rows in ", rows.first, "..", rows.last, ", expected all"));
}

absl::Status SqliteStore::decode_row(const SqliteStatement& row, int64_t index,
                                     LogEntry* entry) const {
  const Head head(row);
  if (head.index != index) return missing_row(index);
  const std::string_view payload = row.bytes(5);
  const uint32_t payload_crc = crc32c(payload);
  if (!head.intact(payload.size()) || head.payload_crc != payload_crc) {
    return absl::DataLossError(cat(path(), ": log row ", index,
                                   ": fails its checksums: found payload ", hex8(payload_crc),
                                   ", expected ", hex8(static_cast<uint32_t>(head.payload_crc))));
  }
  entry->index = index;
  entry->term = head.term;
  entry->type = static_cast<EntryType>(head.type);
  entry->payload.assign(payload);
  return absl::OkStatus();
}

absl::Status SqliteStore::read_row(int64_t index, LogEntry* entry) {
  StatementScope scope(&select_);
  QK_ASSIGN_OR_RETURN(const bool found, select_.bind(1, index).step());
  return found ? decode_row(select_, index, entry) : missing_row(index);
}

absl::StatusOr<int64_t> SqliteStore::read_term(int64_t index) {
  StatementScope scope(&select_term_);
  QK_ASSIGN_OR_RETURN(const bool found, select_term_.bind(1, index).step());
  if (!found) return missing_row(index);
  const Head head(select_term_);
  if (!head.intact(static_cast<uint64_t>(select_term_.integer(5)))) {
    return absl::DataLossError(cat(path(), ": log row ", index, ": fails its checksum"));
  }
  return head.term;
}

absl::Status SqliteStore::scan_rows(const LogRange& range, const LogStorage::Visitor& visit) {
  if (!scan_.busy()) return scan_with(scan_, range, visit);
  // A visitor scans in its turn.
  QK_ASSIGN_OR_RETURN(SqliteStatement nested, connection().prepare(kScan));
  return scan_with(nested, range, visit);
}

absl::Status SqliteStore::scan_with(SqliteStatement& statement, const LogRange& range,
                                    const LogStorage::Visitor& visit) const {
  StatementScope scope(&statement);
  statement.bind(1, range.first).bind(2, range.last);
  LogEntry entry;
  for (int64_t index = range.first; index <= range.last; ++index) {
    QK_ASSIGN_OR_RETURN(const bool found, statement.step());
    if (!found) return missing_row(index);
    QK_RETURN_IF_ERROR(decode_row(statement, index, &entry));
    QK_RETURN_IF_ERROR(visit(entry));
  }
  return absl::OkStatus();
}

// ---- Changing

absl::Status SqliteStore::insert(const LogEntry& entry) {
  const uint32_t payload_crc = crc32c(entry.payload);
  const auto type = static_cast<int64_t>(entry.type);
  insert_.bind(1, entry.index)
      .bind(2, entry.term)
      .bind(3, type)
      .bind(4, payload_crc)
      .bind(5, log_crc(entry.index, entry.term, type, entry.payload.size(), payload_crc))
      .bind_blob(6, entry.payload);
  return insert_.run();
}

absl::Status SqliteStore::write_state(StateRow row, std::string_view value) {
  write_state_.bind(1, static_cast<int64_t>(row))
      .bind_blob(2, value)
      .bind(3, state_crc(row, value));
  QK_RETURN_IF_ERROR(write_state_.run());
  return connection().changed_rows() == 1 ? absl::OkStatus() : missing_state(row);
}

absl::Status SqliteStore::write(const RowChange& change) {
  const size_t statements =
      (change.removed.empty() ? 0 : 1) + change.added.size() + (change.state ? 1 : 0);
  // One statement is a transaction by itself.
  if (statements > 1) QK_RETURN_IF_ERROR(begin_.run());
  if (!change.removed.empty()) {
    QK_RETURN_IF_ERROR(delete_.bind(1, change.removed.first).bind(2, change.removed.last).run());
  }
  for (const LogEntry& entry : change.added) QK_RETURN_IF_ERROR(insert(entry));
  if (change.state) QK_RETURN_IF_ERROR(write_state(change.state->row, change.state->value));
  if (statements > 1) QK_RETURN_IF_ERROR(commit_.run());
  // The change is durable whatever becomes of the checkpoint.
  if (const absl::Status status = database_->checkpoint_if_due(); !status.ok()) {
    (void)fail_stop(status, "checkpoint");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RowLoader>> SqliteStore::start_load(int64_t first_index) {
  return SqliteLoader::start(this, first_index);
}

}  // namespace qk::families
