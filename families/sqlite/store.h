// LogStorage in the `log` table of a SqliteStore; each mutation is one transaction, so a crash
// leaves all of it or none (partials: none, for a batch as well).
//
// Every row is verified when it is read, and on opening the rows must be as many as their range;
// memory does not grow with the number of entries.
#pragma once

#include <memory>

#include "families/contract/log_storage.h"
#include "families/sqlite/database.h"

namespace qk::families {

class SqliteLog final : public LogStorage {
 public:
  static absl::StatusOr<std::unique_ptr<SqliteLog>> open(SqliteStore* store);

  int64_t first_index() const override { return first_; }
  int64_t last_index() const override { return last_; }
  absl::StatusOr<LogEntry> entry(int64_t index) override;
  absl::StatusOr<int64_t> term(int64_t index) override;
  absl::Status scan(int64_t from, int64_t to, const Visitor& visit) override;
  Outcome append(std::span<const LogEntry> entries) override;
  Outcome truncate_prefix(int64_t first_kept) override;
  Outcome truncate_suffix(int64_t last_kept) override;
  Outcome reset(int64_t next_index) override;
  // As loader.h says.
  absl::StatusOr<std::unique_ptr<LogLoader>> bulk_load(int64_t first_index) override;

 private:
  friend class SqliteLogLoader;

  explicit SqliteLog(SqliteStore* store) : store_(store) {}

  absl::Status prepare();
  absl::Status load_range();
  absl::Status check_index(int64_t index) const;
  absl::Status insert(const LogEntry& entry);
  // The row under `statement`, which must be that of `index`.
  absl::Status read_row(const SqliteStatement& statement, int64_t index, LogEntry* entry) const;
  absl::Status scan_with(SqliteStatement& statement, int64_t from, int64_t to,
                         const Visitor& visit) const;
  absl::Status missing_row(int64_t index) const;

  SqliteStore* const store_;
  SqliteStatement insert_, select_, select_term_, scan_, delete_below_, delete_above_;
  int64_t first_ = 1;
  int64_t last_ = 0;
};

}  // namespace qk::families
