// LogStorage in the log rows of a KvStore; each mutation is one commit, so a crash leaves all of it
// or none (partials: none, for a batch as well).
//
// The range is the state row's first index and the last log row; a log that is not empty must start
// with its first row. A row missing inside the range is found when it is read, and is DataLoss:
// opening does not count the rows, as its cost and memory do not grow with the number of entries.
// Truncations cost what KvBatch::remove_range() costs in the engine.
#pragma once

#include <memory>
#include <string>

#include "families/contract/log_storage.h"
#include "families/engine/store.h"

namespace qk::families {

class KvLog final : public LogStorage {
 public:
  static absl::StatusOr<std::unique_ptr<KvLog>> open(KvStore* store);

  int64_t first_index() const override { return first_; }
  int64_t last_index() const override { return last_; }
  absl::StatusOr<LogEntry> entry(int64_t index) override;
  absl::StatusOr<int64_t> term(int64_t index) override;
  absl::Status scan(int64_t from, int64_t to, const Visitor& visit) override;
  Outcome append(std::span<const LogEntry> entries) override;
  Outcome truncate_prefix(int64_t first_kept) override;
  Outcome truncate_suffix(int64_t last_kept) override;
  Outcome reset(int64_t next_index) override;
  // By the engine's own loader.
  absl::StatusOr<std::unique_ptr<LogLoader>> bulk_load(int64_t first_index) override;

 private:
  class Loader;
  explicit KvLog(KvStore* store) : store_(*store) {}

  absl::Status load_range();
  absl::Status check_index(int64_t index) const;
  absl::Status missing_row(int64_t index) const;
  // The value of the row of `index`, which is in the range.
  absl::StatusOr<std::string> read_row(int64_t index);

  KvStore& store_;
  int64_t first_ = 1;
  int64_t last_ = 0;
  std::string key_, head_;  // of the row being written; reused
};

}  // namespace qk::families
