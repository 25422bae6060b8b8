// RowLog: LogStorage in the log rows of a RowStore. It owns the range, the rules and the outcomes;
// the store reads rows and commits changes. Each mutation is one change, so a crash leaves all of
// it or none (partials: none, for a batch as well).
//
// The range is the state row's first index and the last log row; a log that is not empty must start
// with its first row. A row missing inside the range is DataLoss, found when it is read at the
// latest; memory does not grow with the number of entries.
#pragma once

#include <memory>

#include "families/engine/row_store.h"

namespace qk::families {

class RowLog final : public LogStorage {
 public:
  // `store` must outlive the log.
  static absl::StatusOr<std::unique_ptr<RowLog>> open(RowStore* store);

  int64_t first_index() const override { return range_.first; }
  int64_t last_index() const override { return range_.last; }
  absl::StatusOr<LogEntry> entry(int64_t index) override;
  absl::StatusOr<int64_t> term(int64_t index) override;
  absl::Status scan(int64_t from, int64_t to, const Visitor& visit) override;
  Outcome append(std::span<const LogEntry> entries) override;
  Outcome truncate_prefix(int64_t first_kept) override;
  Outcome truncate_suffix(int64_t last_kept) override;
  Outcome reset(int64_t next_index) override;
  // By the engine's own loader, if it has one. A load that was not finished ends the instance's
  // writing.
  absl::StatusOr<std::unique_ptr<LogLoader>> bulk_load(int64_t first_index) override;

 private:
  class Loader;

  explicit RowLog(RowStore* store) : store_(*store) {}

  absl::Status load_range();
  // Commits `change`, after which the range is `next`.
  Outcome commit(std::string_view what, const RowChange& change, const LogRange& next,
                 int64_t count = 0);
  // The same for a change that drops `removed` and moves the first index.
  Outcome move_first(std::string_view what, const LogRange& removed, const LogRange& next);

  RowStore& store_;
  LogRange range_;
};

}  // namespace qk::families
