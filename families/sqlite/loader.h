// SqliteLoader: fills a fresh store's log in one transaction without a journal on disk, by large
// writes; its only sync is that of the commit. Rows go in by INSERT ... SELECT from a virtual table
// over the batch: one statement for each batch instead of one for each row.
//
// A load that was not finished leaves a database whose format number is 0, durably so before the
// first page of the load is written: it opens as no format that any build reads. finish() commits,
// then sets the format number and the configured journal mode, each durably.
#pragma once

#include <memory>
#include <span>

#include "families/engine/row_store.h"
#include "families/sqlite/store.h"

namespace qk::families {

class SqliteLoader final : public RowLoader {
 public:
  // `store` is fresh, and outlives the loader.
  static absl::StatusOr<std::unique_ptr<SqliteLoader>> start(SqliteStore* store,
                                                             int64_t first_index);
  ~SqliteLoader() override;

  absl::Status add(std::span<const LogEntry> entries) override;
  absl::Status finish() override;

 private:
  SqliteLoader(SqliteStore* store, int64_t first_index)
      : store_(*store), first_index_(first_index) {}

  absl::Status begin();

  SqliteStore& store_;
  const int64_t first_index_;
  std::span<const LogEntry> batch_;  // what the virtual table shows
  SqliteStatement insert_;
};

}  // namespace qk::families
