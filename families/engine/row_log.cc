#include "families/engine/row_log.h"

#include <algorithm>

namespace qk::families {

absl::StatusOr<std::unique_ptr<RowLog>> RowLog::open(RowStore* store) {
  std::unique_ptr<RowLog> log(new RowLog(store));
  QK_RETURN_IF_ERROR(log->load_range());
  return log;
}

absl::Status RowLog::load_range() {
  QK_ASSIGN_OR_RETURN(const std::string value, store_.read_state(StateRow::kFirstIndex));
  QK_ASSIGN_OR_RETURN(const int64_t first, decode_first_index(value));
  range_ = {first, first - 1};
  QK_ASSIGN_OR_RETURN(const std::optional<LogRange> rows, store_.find_rows());
  if (!rows) return absl::OkStatus();
  if (rows->first < first) {
    return absl::DataLossError(cat(store_.path(), ": found log row ", rows->first,
                                   ", expected none below the first index, ", first));
  }
  if (rows->first > first) {
    return absl::DataLossError(cat(store_.path(), ": log row ", first,
                                   " is missing: the first one found is ", rows->first));
  }
  range_.last = rows->last;
  return absl::OkStatus();
}

// ---- Reading

absl::StatusOr<LogEntry> RowLog::entry(int64_t index) {
  QK_RETURN_IF_ERROR(check_index(store_.path(), range_, index));
  LogEntry entry;
  QK_RETURN_IF_ERROR(store_.read_row(index, &entry));
  return entry;
}

absl::StatusOr<int64_t> RowLog::term(int64_t index) {
  QK_RETURN_IF_ERROR(check_index(store_.path(), range_, index));
  return store_.read_term(index);
}

absl::Status RowLog::scan(int64_t from, int64_t to, const Visitor& visit) {
  QK_RETURN_IF_ERROR(check_scan(store_.path(), range_, from, to));
  return store_.scan_rows({from, to}, visit);
}

// ---- Mutations

Outcome RowLog::commit(std::string_view what, const RowChange& change, const LogRange& next,
                       int64_t count) {
  Outcome outcome = store_.commit(what, change, count);
  if (outcome.ok()) range_ = next;
  return outcome;
}

Outcome RowLog::move_first(std::string_view what, const LogRange& removed, const LogRange& next) {
  const std::string first = encode_first_index(next.first);
  return commit(what, {.removed = removed, .state = {{StateRow::kFirstIndex, first}}}, next);
}

Outcome RowLog::append(std::span<const LogEntry> entries) {
  QK_REFUSE_IF_ERROR(store_.writable());
  QK_REFUSE_IF_ERROR(check_append(store_.path(), range_.last + 1, entries));
  if (entries.empty()) return Outcome::success();
  return commit("append", {.added = entries}, {range_.first, entries.back().index},
                static_cast<int64_t>(entries.size()));
}

Outcome RowLog::truncate_prefix(int64_t first_kept) {
  QK_REFUSE_IF_ERROR(store_.writable());
  if (first_kept <= range_.first) return Outcome::success();
  return move_first("truncate_prefix", {range_.first, std::min(first_kept - 1, range_.last)},
                    {first_kept, std::max(first_kept - 1, range_.last)});
}

Outcome RowLog::truncate_suffix(int64_t last_kept) {
  QK_REFUSE_IF_ERROR(store_.writable());
  QK_REFUSE_IF_ERROR(check_truncate_suffix(store_.path(), range_, last_kept));
  if (last_kept >= range_.last) return Outcome::success();
  return commit("truncate_suffix", {.removed = {last_kept + 1, range_.last}},
                {range_.first, last_kept});
}

Outcome RowLog::reset(int64_t next_index) {
  QK_REFUSE_IF_ERROR(store_.writable());
  QK_REFUSE_IF_ERROR(check_reset(store_.path(), next_index));
  return move_first("reset", range_, {next_index, next_index - 1});
}

// ---- Bulk load

class RowLog::Loader final : public LogLoader {
 public:
  Loader(RowLog* log, std::unique_ptr<RowLoader> rows, int64_t first)
      : log_(*log), rows_(std::move(rows)), loaded_{first, first - 1} {}
  ~Loader() override {
    rows_.reset();
    if (!finished_) settle(absl::AbortedError("the load was not finished")).IgnoreError();
  }

  absl::Status append(std::span<const LogEntry> entries) override {
    QK_RETURN_IF_ERROR(store().writable());
    QK_RETURN_IF_ERROR(check_append(store().path(), loaded_.last + 1, entries));
    if (entries.empty()) return absl::OkStatus();
    QK_RETURN_IF_ERROR(settle(rows_->add(entries)));
    loaded_.last = entries.back().index;
    return absl::OkStatus();
  }

  absl::Status finish() override {
    QK_RETURN_IF_ERROR(store().writable());
    QK_RETURN_IF_ERROR(settle(rows_->finish()));
    log_.range_ = loaded_;
    finished_ = true;
    return absl::OkStatus();
  }

 private:
  RowStore& store() { return log_.store_; }
  // Ends the instance's writing if `status` is an error.
  absl::Status settle(const absl::Status& status) {
    return status.ok() ? status : store().fail_stop(status, "bulk load").status();
  }

  RowLog& log_;
  std::unique_ptr<RowLoader> rows_;
  LogRange loaded_;
  bool finished_ = false;
};

absl::StatusOr<std::unique_ptr<LogLoader>> RowLog::bulk_load(int64_t first) {
  QK_RETURN_IF_ERROR(store_.writable());
  QK_RETURN_IF_ERROR(check_bulk_load(store_.path(), range_, first));
  absl::StatusOr<std::unique_ptr<RowLoader>> rows = store_.start_load(first);
  if (!rows.ok()) return store_.fail_stop(rows.status(), "bulk load").status();
  if (*rows == nullptr) return LogStorage::bulk_load(first);
  return std::make_unique<Loader>(this, *std::move(rows), first);
}

}  // namespace qk::families
