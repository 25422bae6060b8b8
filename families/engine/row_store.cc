#include "families/engine/row_store.h"

namespace qk::families {

absl::Status RowStore::writable() const { return annotate(fail_stop_.check(), path_); }

Outcome RowStore::commit(std::string_view what, const RowChange& change, int64_t count) {
  if (const absl::Status status = write(change); !status.ok()) return fail_stop(status, what);
  return Outcome::success(count);
}

Outcome RowStore::fail_stop(const absl::Status& cause, std::string_view what) {
  stop_writing();
  return fail_stop_.fail(annotate(cause, what));
}

absl::StatusOr<std::unique_ptr<RowLoader>> RowStore::start_load(int64_t) { return nullptr; }

absl::Status RowStore::missing_row(int64_t index) const {
  return absl::DataLossError(
      cat(path_, ": log row ", index, " is missing, expected one for every index of the log"));
}

absl::Status RowStore::missing_state(StateRow row) const {
  return absl::DataLossError(cat(path_, ": state row \"", to_string(row), "\" is missing"));
}

}  // namespace qk::families
