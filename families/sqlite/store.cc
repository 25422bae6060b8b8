#include "families/sqlite/store.h"

#include "families/base/hash.h"
#include "families/sqlite/loader.h"

namespace qk::families {
namespace {

// The columns in the order of read_row().
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

absl::StatusOr<std::unique_ptr<SqliteLog>> SqliteLog::open(SqliteStore* store) {
  std::unique_ptr<SqliteLog> log(new SqliteLog(store));
  QK_RETURN_IF_ERROR(log->prepare());
  QK_RETURN_IF_ERROR(log->load_range());
  return log;
}

absl::Status SqliteLog::prepare() {
  SqliteConnection& db = store_->connection();
  QK_ASSIGN_OR_RETURN(insert_,
                      db.prepare("INSERT INTO log(idx, term, type, payload_crc, crc, payload) "
                                 "VALUES(?1, ?2, ?3, ?4, ?5, ?6)"));
  QK_ASSIGN_OR_RETURN(select_, db.prepare(kSelect));
  QK_ASSIGN_OR_RETURN(select_term_, db.prepare(kSelectTerm));
  QK_ASSIGN_OR_RETURN(scan_, db.prepare(kScan));
  QK_ASSIGN_OR_RETURN(delete_below_, db.prepare("DELETE FROM log WHERE idx < ?1"));
  QK_ASSIGN_OR_RETURN(delete_above_, db.prepare("DELETE FROM log WHERE idx > ?1"));
  return absl::OkStatus();
}

absl::Status SqliteLog::load_range() {
  QK_ASSIGN_OR_RETURN(const std::string value, store_->read_state(StateRow::kFirstIndex));
  QK_ASSIGN_OR_RETURN(first_, decode_first_index(value));
  last_ = first_ - 1;
  SqliteConnection& db = store_->connection();
  QK_ASSIGN_OR_RETURN(const int64_t count, db.query_integer("SELECT count(*) FROM log"));
  if (count == 0) return absl::OkStatus();
  QK_ASSIGN_OR_RETURN(const int64_t lowest, db.query_integer("SELECT min(idx) FROM log"));
  QK_ASSIGN_OR_RETURN(last_, db.query_integer("SELECT max(idx) FROM log"));
  if (lowest == first_ && last_ - lowest == count - 1) return absl::OkStatus();
  // Name the first row that is not there.
  QK_ASSIGN_OR_RETURN(SqliteStatement rows, db.prepare("SELECT idx FROM log ORDER BY idx"));
  int64_t expected = first_;
  while (true) {
    QK_ASSIGN_OR_RETURN(const bool row, rows.step());
    if (!row || rows.integer(0) != expected) break;
    ++expected;
  }
  return absl::DataLossError(cat(store_->db_path(), ": log row ", expected, " is missing: found ",
                                 count, " rows in ", lowest, "..", last_, ", expected all from ",
                                 first_));
}

absl::Status SqliteLog::check_index(int64_t index) const {
  if (index >= first_ && index <= last_) return absl::OkStatus();
  return absl::OutOfRangeError(
      cat(store_->db_path(), ": log index ", index, ", expected one in ", first_, "..", last_));
}

absl::Status SqliteLog::missing_row(int64_t index) const {
  return absl::DataLossError(cat(store_->db_path(), ": log row ", index,
                                 " is missing, expected all of ", first_, "..", last_));
}

absl::Status SqliteLog::read_row(const SqliteStatement& row, int64_t index, LogEntry* entry) const {
  const Head head(row);
  if (head.index != index) return missing_row(index);
  const std::string_view payload = row.bytes(5);
  const uint32_t payload_crc = crc32c(payload);
  if (!head.intact(payload.size()) || head.payload_crc != payload_crc) {
    return absl::DataLossError(cat(store_->db_path(), ": log row ", index,
                                   ": fails its checksums: found payload ", hex8(payload_crc),
                                   ", expected ", hex8(static_cast<uint32_t>(head.payload_crc))));
  }
  entry->index = index;
  entry->term = head.term;
  entry->type = static_cast<EntryType>(head.type);
  entry->payload.assign(payload);
  return absl::OkStatus();
}

absl::StatusOr<LogEntry> SqliteLog::entry(int64_t index) {
  QK_RETURN_IF_ERROR(check_index(index));
  StatementScope scope(&select_);
  QK_ASSIGN_OR_RETURN(const bool found, select_.bind(1, index).step());
  if (!found) return missing_row(index);
  LogEntry entry;
  QK_RETURN_IF_ERROR(read_row(select_, index, &entry));
  return entry;
}

absl::StatusOr<int64_t> SqliteLog::term(int64_t index) {
  QK_RETURN_IF_ERROR(check_index(index));
  StatementScope scope(&select_term_);
  QK_ASSIGN_OR_RETURN(const bool found, select_term_.bind(1, index).step());
  if (!found) return missing_row(index);
  const Head head(select_term_);
  if (!head.intact(static_cast<uint64_t>(select_term_.integer(5)))) {
    return absl::DataLossError(cat(store_->db_path(), ": log row ", index, ": fails its checksum"));
  }
  return head.term;
}

absl::Status SqliteLog::scan(int64_t from, int64_t to, const Visitor& visit) {
  if (from > to) {
    return absl::InvalidArgumentError(
        cat(store_->db_path(), ": scan of ", from, "..", to, ": the range is empty"));
  }
  QK_RETURN_IF_ERROR(check_index(from));
  QK_RETURN_IF_ERROR(check_index(to));
  if (!scan_.busy()) return scan_with(scan_, from, to, visit);
  // A visitor scans in its turn.
  QK_ASSIGN_OR_RETURN(SqliteStatement nested, store_->connection().prepare(kScan));
  return scan_with(nested, from, to, visit);
}

absl::Status SqliteLog::scan_with(SqliteStatement& statement, int64_t from, int64_t to,
                                  const Visitor& visit) const {
  StatementScope scope(&statement);
  statement.bind(1, from).bind(2, to);
  LogEntry entry;
  for (int64_t index = from; index <= to; ++index) {
    QK_ASSIGN_OR_RETURN(const bool found, statement.step());
    if (!found) return missing_row(index);
    QK_RETURN_IF_ERROR(read_row(statement, index, &entry));
    QK_RETURN_IF_ERROR(visit(entry));
  }
  return absl::OkStatus();
}

absl::Status SqliteLog::insert(const LogEntry& entry) {
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

Outcome SqliteLog::append(std::span<const LogEntry> entries) {
  static_assert(kMaxPayloadBytes <= kMaxValueBytes);
  if (const absl::Status status = store_->writable(); !status.ok()) {
    return Outcome::failed_clean(status);
  }
  if (const absl::Status status = check_append(store_->db_path(), last_ + 1, entries);
      !status.ok()) {
    return Outcome::failed_clean(status);
  }
  if (entries.empty()) return Outcome::success();
  const auto insert_all = [&]() -> absl::Status {
    for (const LogEntry& entry : entries) QK_RETURN_IF_ERROR(insert(entry));
    return absl::OkStatus();
  };
  Outcome outcome = entries.size() == 1 ? store_->mutate_once("append", insert_all)
                                        : store_->mutate("append", insert_all);
  if (!outcome.ok()) return outcome;
  last_ = entries.back().index;
  return Outcome::success(static_cast<int64_t>(entries.size()));
}

absl::StatusOr<std::unique_ptr<LogLoader>> SqliteLog::bulk_load(int64_t first) {
  // The default refuses what is not fresh.
  if (first_ != 1 || last_ != 0) return LogStorage::bulk_load(first);
  return SqliteLogLoader::start(store_, this, first);
}

Outcome SqliteLog::truncate_prefix(int64_t first_kept) {
  if (const absl::Status status = store_->writable(); !status.ok()) {
    return Outcome::failed_clean(status);
  }
  if (first_kept <= first_) return Outcome::success();
  Outcome outcome = store_->mutate("truncate_prefix", [&]() -> absl::Status {
    QK_RETURN_IF_ERROR(delete_below_.bind(1, first_kept).run());
    return store_->write_state(StateRow::kFirstIndex, encode_first_index(first_kept));
  });
  if (!outcome.ok()) return outcome;
  first_ = first_kept;
  last_ = std::max(last_, first_ - 1);
  return outcome;
}

Outcome SqliteLog::truncate_suffix(int64_t last_kept) {
  if (const absl::Status status = store_->writable(); !status.ok()) {
    return Outcome::failed_clean(status);
  }
  if (last_kept >= last_) return Outcome::success();
  if (last_kept < first_ - 1) {
    return Outcome::failed_clean(absl::InvalidArgumentError(
        cat(store_->db_path(), ": truncate_suffix: found last kept index ", last_kept,
            ", expected at least ", first_ - 1)));
  }
  Outcome outcome = store_->mutate_once("truncate_suffix",
                                        [&] { return delete_above_.bind(1, last_kept).run(); });
  if (outcome.ok()) last_ = last_kept;
  return outcome;
}

Outcome SqliteLog::reset(int64_t next_index) {
  if (const absl::Status status = store_->writable(); !status.ok()) {
    return Outcome::failed_clean(status);
  }
  if (next_index < 1) {
    return Outcome::failed_clean(absl::InvalidArgumentError(
        cat(store_->db_path(), ": reset: found next index ", next_index, ", expected at least 1")));
  }
  Outcome outcome = store_->mutate("reset", [&]() -> absl::Status {
    QK_RETURN_IF_ERROR(delete_above_.bind(1, int64_t{0}).run());
    return store_->write_state(StateRow::kFirstIndex, encode_first_index(next_index));
  });
  if (!outcome.ok()) return outcome;
  first_ = next_index;
  last_ = next_index - 1;
  return outcome;
}

}  // namespace qk::families
