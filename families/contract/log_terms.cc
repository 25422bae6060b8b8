#include "families/contract/log_terms.h"

#include <algorithm>

#include "families/base/check.h"

namespace qk::families {

absl::Status LogTerms::add(int64_t index, int64_t term) {
  if (!runs_.empty() && term < runs_.back().term) {
    return absl::InvalidArgumentError(cat("entry ", index, ": term ", term, ", expected at least ",
                                          runs_.back().term, ", that of entry ", last_));
  }
  if (runs_.empty() || term > runs_.back().term) runs_.push_back({index, term});
  last_ = index;
  return absl::OkStatus();
}

int64_t LogTerms::term_at(int64_t index) const {
  QK_CHECK(!runs_.empty() && index >= runs_.front().first && index <= last_);
  const auto after = std::partition_point(runs_.begin(), runs_.end(),
                                          [&](const Run& run) { return run.first <= index; });
  return std::prev(after)->term;
}

absl::Status LogTerms::check_snapshot(const SnapshotMeta& meta) const {
  if (runs_.empty()) return absl::OkStatus();
  const int64_t index = meta.last_included_index;
  const auto wrong = [&](int64_t entry, std::string_view expected) {
    return absl::InvalidArgumentError(cat("the snapshot at index ", index, " has term ",
                                          meta.last_included_term, ", but log entry ", entry,
                                          " has term ", term_at(entry), ", expected ", expected));
  };
  if (index >= runs_.front().first) {
    const int64_t before = std::min(index, last_);
    const int64_t term = term_at(before);
    if (before == index && term != meta.last_included_term) return wrong(index, "the same");
    if (term > meta.last_included_term) return wrong(before, "at most the snapshot's before it");
  }
  const int64_t after = index + 1;
  if (after < runs_.front().first || after > last_) return absl::OkStatus();
  if (term_at(after) >= meta.last_included_term) return absl::OkStatus();
  return wrong(after, "at least the snapshot's after it");
}

bool LogTerms::dropped_at_start(const SnapshotMeta& meta) const {
  if (runs_.empty()) return false;
  const int64_t index = meta.last_included_index;
  if (index > last_) return true;
  return index >= runs_.front().first && term_at(index) != meta.last_included_term;
}

}  // namespace qk::families
