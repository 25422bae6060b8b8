// KvStore: the rows of one family instance in a key-value engine, and the instance's life from
// creation to close.
//
// Root:  as store_root.h says; `db` is the directory of the engine's files, and FORMAT, which says
//        whose they are
//        db.lock      held while the store is open
//
// Each change of rows is one commit. Opening syncs what it found before the engine reads it, so
// whatever is served after an open survives a power cut (ora.L10). An empty `db` is damage and
// never a fresh store (ora.L13).
//
// FORMAT is judged before the engine sees the directory, because engines write when they open:
// neither a newer format, nor the store of another engine or program, is touched.
//
// Opening does not count the log's rows, as its cost and memory do not grow with the number of
// entries: a row missing inside the range is found when it is read. Truncations cost what
// KvBatch::remove_range() costs in the engine.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "families/engine/engine.h"
#include "families/engine/row_store.h"

namespace qk::families {

class KvStore final : public RowStore {
 public:
  // `family` is the name that FORMAT bears.
  static absl::StatusOr<std::unique_ptr<KvStore>> open(const OpenRequest& request,
                                                       std::string_view family,
                                                       const OpenKvEngine& open_engine);

  absl::StatusOr<std::string> read_state(StateRow row) override;
  absl::StatusOr<std::optional<LogRange>> find_rows() override;
  absl::Status read_row(int64_t index, LogEntry* entry) override;
  absl::StatusOr<int64_t> read_term(int64_t index) override;
  absl::Status scan_rows(const LogRange& range, const LogStorage::Visitor& visit) override;
  absl::StatusOr<std::unique_ptr<RowLoader>> start_load(int64_t first_index) override;
  size_t pending_work() const override { return engine_->pending_work(); }
  absl::Status run_one() override { return engine_->run_one(); }

 protected:
  absl::Status write(const RowChange& change) override;

 private:
  class Loader;

  KvStore(const OpenRequest& request, std::string_view family);

  absl::Status create(const OpenKvEngine& open_engine);
  absl::Status open_existing(const OpenKvEngine& open_engine);
  // The value of the row of `index`.
  absl::StatusOr<std::string> get_row(int64_t index);

  const std::string family_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<LogMark> mark_;  // outlives the engine
  std::unique_ptr<KvEngine> engine_;
  std::unique_ptr<KvBatch> batch_;  // reused; ends before the engine
  std::string key_, head_;          // of the row being written; reused
};

}  // namespace qk::families
