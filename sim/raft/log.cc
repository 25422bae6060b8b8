#include "sim/raft/log.h"

#include <algorithm>

#include "families/base/check.h"

namespace qk::raft {
namespace {

using families::Configuration;
using families::EntryType;
using families::LogEntry;
using families::Mutation;
using families::SnapshotMeta;

constexpr size_t kRecentEntries = 256;

}  // namespace

absl::Status RaftLog::open(const std::optional<SnapshotMeta>& snapshot,
                           std::vector<std::pair<int64_t, Configuration>> configurations,
                           Configuration initial) {
  first_ = view_->first();
  last_.index = view_->last();
  QK_CHECK(first_ >= 1 && first_ <= last_.index + 1);
  if (!snapshot && first_ != 1) {
    return absl::FailedPreconditionError(cat("node start: no snapshot, but the log is ", first_,
                                             "..", last_.index, ": entries 1..", first_ - 1,
                                             " are missing"));
  }
  if (snapshot && snapshot->last_included_index < first_ - 1) {
    return absl::FailedPreconditionError(
        cat("node start: snapshot at index ", snapshot->last_included_index, ", but the log is ",
            first_, "..", last_.index, ": entries ", snapshot->last_included_index + 1, "..",
            first_ - 1, " are missing"));
  }
  if (last_.index >= first_) {
    QK_ASSIGN_OR_RETURN(last_.term, view_->term(last_.index));
  }
  durable_ = last_.index;
  configurations_.assign(std::make_move_iterator(configurations.begin()),
                         std::make_move_iterator(configurations.end()));
  initial_ = std::move(initial);
  return absl::OkStatus();
}

bool RaftLog::knows_term(int64_t index) const {
  return index == 0 || index == snapshot_.last_included_index ||
         (index >= first_ && index <= last_.index);
}

absl::StatusOr<int64_t> RaftLog::term(int64_t index) {
  QK_CHECK(knows_term(index));
  if (index == 0) return 0;
  if (index == snapshot_.last_included_index) return snapshot_.last_included_term;
  if (index == last_.index) return last_.term;
  if (const LogEntry* entry = find(index)) return entry->term;
  return view_->term(index);
}

const LogEntry* RaftLog::find(int64_t index) const {
  const int64_t tail_first = last_.index - static_cast<int64_t>(tail_.size()) + 1;
  if (index < tail_first || index > last_.index) return nullptr;
  return &tail_[static_cast<size_t>(index - tail_first)];
}

absl::StatusOr<std::vector<LogEntry>> RaftLog::entries(int64_t from, int64_t to, size_t max_bytes) {
  QK_CHECK(from >= first_ && from <= to && to <= last_.index);
  const int64_t tail_first = last_.index - static_cast<int64_t>(tail_.size()) + 1;
  if (from < tail_first) return view_->entries(from, std::min(to, tail_first - 1), max_bytes);
  std::vector<LogEntry> out;
  out.reserve(static_cast<size_t>(to - from + 1));
  size_t bytes = 0;
  for (int64_t index = from; index <= to; ++index) {
    const LogEntry& entry = tail_[static_cast<size_t>(index - tail_first)];
    out.push_back(entry);
    bytes += entry.payload.size();
    if (bytes >= max_bytes) break;
  }
  return out;
}

const Configuration& RaftLog::configuration_at(int64_t index) const {
  const auto after = std::partition_point(configurations_.begin(), configurations_.end(),
                                          [&](const auto& c) { return c.first <= index; });
  const int64_t in_log = after == configurations_.begin() ? 0 : std::prev(after)->first;
  const int64_t in_snapshot = snapshot_.last_included_index;
  if (in_snapshot > 0 && in_snapshot <= index && in_snapshot > in_log) {
    return snapshot_configuration_;
  }
  return in_log > 0 ? std::prev(after)->second : initial_;
}

Mutation RaftLog::append(std::vector<LogEntry> entries, uint64_t token) {
  QK_CHECK(!entries.empty());
  for (const LogEntry& entry : entries) {
    QK_CHECK(entry.index == last_.index + 1);
    QK_CHECK(entry.term >= last_.term && entry.term >= 1);
    last_ = {entry.index, entry.term};
    if (entry.type == EntryType::kConfiguration) {
      auto configuration = families::decode_configuration(entry.payload);
      QK_CHECK(configuration.ok());
      configurations_.emplace_back(entry.index, std::move(*configuration));
    }
    tail_.push_back(entry);
  }
  QK_CHECK(in_flight_.empty() || in_flight_.back().token < token);
  in_flight_.push_back({token, last_.index});
  return Mutation::append(std::move(entries));
}

Mutation RaftLog::truncate_suffix(int64_t last_kept, int64_t last_term) {
  QK_CHECK(last_kept >= first_ - 1 && last_kept < last_.index);
  const size_t dropped = static_cast<size_t>(last_.index - last_kept);
  tail_.erase(tail_.end() - static_cast<std::ptrdiff_t>(std::min(dropped, tail_.size())),
              tail_.end());
  last_ = {last_kept, last_term};
  durable_ = std::min(durable_, last_kept);
  for (Append& append : in_flight_) append.last = std::min(append.last, last_kept);
  while (!configurations_.empty() && configurations_.back().first > last_kept) {
    configurations_.pop_back();
  }
  return Mutation::truncate_suffix(last_kept);
}

void RaftLog::clear(families::LogId end) {
  tail_.clear();
  in_flight_.clear();
  configurations_.clear();
  first_ = end.index + 1;
  last_ = end;
  durable_ = end.index;  // durable in the snapshot that ends here
}

void RaftLog::drop_configurations_below(int64_t first) {
  while (!configurations_.empty() && configurations_.front().first < first) {
    configurations_.pop_front();
  }
}

absl::StatusOr<std::optional<Mutation>> RaftLog::set_snapshot(const SnapshotMeta& snapshot) {
  const int64_t index = snapshot.last_included_index;
  QK_CHECK(index > snapshot_.last_included_index);
  QK_CHECK(index >= first_ - 1);
  const int64_t previous = snapshot_.last_included_index;
  const bool in_log = index >= first_ && index <= last_.index;
  int64_t term_in_log = 0;
  if (in_log) {
    QK_ASSIGN_OR_RETURN(term_in_log, term(index));
  }
  snapshot_ = snapshot;
  snapshot_configuration_ = {snapshot.peers, snapshot.old_peers};
  const families::LogId end{index, snapshot.last_included_term};

  if (in_log && term_in_log != snapshot.last_included_term) {
    clear(end);
    return Mutation::reset(index + 1);
  }
  if (index > last_.index) {
    clear(end);
    return Mutation::truncate_prefix(index + 1);
  }
  if (index == first_ - 1) {
    if (last_.index == index) last_ = end;  // an empty log that starts right after the snapshot
    return std::optional<Mutation>();
  }
  if (previous + 1 <= first_) return std::optional<Mutation>();
  first_ = previous + 1;
  const size_t kept = static_cast<size_t>(last_.index - first_ + 1);
  while (tail_.size() > kept) tail_.pop_front();
  drop_configurations_below(first_);
  return Mutation::truncate_prefix(first_);
}

void RaftLog::persisted(uint64_t token) {
  while (!in_flight_.empty() && in_flight_.front().token <= token) {
    durable_ = std::max(durable_, in_flight_.front().last);
    in_flight_.pop_front();
  }
  QK_CHECK(durable_ <= last_.index);
}

uint64_t RaftLog::token_for(int64_t index) const {
  if (index <= durable_) return 0;
  for (const Append& append : in_flight_) {
    if (append.last >= index) return append.token;
  }
  QK_CHECK(!"an entry that is neither durable nor in flight");
  return 0;
}

void RaftLog::release(int64_t applied) {
  const int64_t upto = std::min(applied, durable_);
  while (tail_.size() > kRecentEntries && tail_.front().index <= upto) tail_.pop_front();
}

}  // namespace qk::raft
