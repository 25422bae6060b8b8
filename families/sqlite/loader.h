// SqliteLogLoader: fills a fresh store's log in one transaction without a journal on disk, by large
// writes; its only sync is that of the commit. Rows go in by INSERT ... SELECT from a virtual table
// over the batch: one statement for each batch instead of one for each row.
//
// A load that was not finished leaves a database whose format number is 0, durably so before the
// first page of the load is written: it opens as no format that any build reads. finish() commits,
// then sets the format number and the configured journal mode, each durably.
#pragma once

#include <memory>
#include <span>

#include "families/contract/log_storage.h"
#include "families/sqlite/database.h"
#include "families/sqlite/store.h"

namespace qk::families {

class SqliteLogLoader final : public LogLoader {
 public:
  // `store` and its `log` are fresh, and outlive the loader.
  static absl::StatusOr<std::unique_ptr<SqliteLogLoader>> start(SqliteStore* store, SqliteLog* log,
                                                                int64_t first_index);
  ~SqliteLogLoader() override;

  absl::Status append(std::span<const LogEntry> entries) override;
  absl::Status finish() override;

 private:
  SqliteLogLoader(SqliteStore* store, SqliteLog* log, int64_t first_index)
      : store_(*store), log_(*log), first_index_(first_index), next_index_(first_index) {}

  absl::Status begin();
  absl::Status end();
  // Ends the instance's writing if `status` is an error.
  absl::Status settle(const absl::Status& status);

  SqliteStore& store_;
  SqliteLog& log_;
  const int64_t first_index_;
  int64_t next_index_;
  bool finished_ = false;
  std::span<const LogEntry> batch_;  // what the virtual table shows
  SqliteStatement insert_;
};

}  // namespace qk::families
