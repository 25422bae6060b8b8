#include "families/memory/log.h"

#include "families/contract/rules.h"

namespace qk::families {
absl::Status MemoryLog::check_index(int64_t index) const {
  if (index >= first_index() && index <= last_index()) return absl::OkStatus();
  return absl::OutOfRangeError(cat(store_.root(), ": log index ", index, ", expected one in ",
                                   first_index(), "..", last_index()));
}

const LogEntry& MemoryLog::at(int64_t index) const {
  return store_.state().entries[static_cast<size_t>(index - first_index())];
}

absl::StatusOr<LogEntry> MemoryLog::entry(int64_t index) {
  QK_RETURN_IF_ERROR(check_index(index));
  return at(index);
}

absl::StatusOr<int64_t> MemoryLog::term(int64_t index) {
  QK_RETURN_IF_ERROR(check_index(index));
  return at(index).term;
}

absl::Status MemoryLog::scan(int64_t from, int64_t to, const Visitor& visit) {
  if (from > to) {
    return absl::InvalidArgumentError(
        cat(store_.root(), ": scan of ", from, "..", to, ": the range is empty"));
  }
  QK_RETURN_IF_ERROR(check_index(from));
  QK_RETURN_IF_ERROR(check_index(to));
  for (int64_t index = from; index <= to; ++index) QK_RETURN_IF_ERROR(visit(at(index)));
  return absl::OkStatus();
}

Outcome MemoryLog::append(std::span<const LogEntry> entries) {
  if (absl::Status status = store_.writable(); !status.ok()) return Outcome::failed_clean(status);
  if (absl::Status status = check_append(store_.root(), last_index() + 1, entries); !status.ok()) {
    return Outcome::failed_clean(status);
  }
  auto& log = store_.state().entries;
  log.insert(log.end(), entries.begin(), entries.end());
  return Outcome::success(static_cast<int64_t>(entries.size()));
}

Outcome MemoryLog::truncate_prefix(int64_t first_kept) {
  if (absl::Status status = store_.writable(); !status.ok()) return Outcome::failed_clean(status);
  if (first_kept <= first_index()) return Outcome::success();
  MemoryState& state = store_.state();
  if (first_kept > last_index()) {
    state.entries.clear();
  } else {
    state.entries.erase(state.entries.begin(), state.entries.begin() + (first_kept - state.first));
  }
  state.first = first_kept;
  return Outcome::success();
}

Outcome MemoryLog::truncate_suffix(int64_t last_kept) {
  if (absl::Status status = store_.writable(); !status.ok()) return Outcome::failed_clean(status);
  if (last_kept >= last_index()) return Outcome::success();
  if (last_kept < first_index() - 1) {
    return Outcome::failed_clean(
        absl::InvalidArgumentError(cat(store_.root(), ": truncate_suffix: found last kept index ",
                                       last_kept, ", expected at least ", first_index() - 1)));
  }
  auto& log = store_.state().entries;
  log.erase(log.begin() + (last_kept - first_index() + 1), log.end());
  return Outcome::success();
}

Outcome MemoryLog::reset(int64_t next_index) {
  if (absl::Status status = store_.writable(); !status.ok()) return Outcome::failed_clean(status);
  if (next_index < 1) {
    return Outcome::failed_clean(absl::InvalidArgumentError(
        cat(store_.root(), ": reset: found next index ", next_index, ", expected at least 1")));
  }
  store_.state().entries.clear();
  store_.state().first = next_index;
  return Outcome::success();
}

}  // namespace qk::families
