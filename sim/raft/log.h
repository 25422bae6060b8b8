// RaftLog: the log as the core sees it: what storage holds, plus a tail in memory of entries whose
// append may still be in flight.
//
// The tail always covers everything above durable(), so a read never depends on how far storage is
// with the mutations that were issued. Mutations of the log are issued in order through `Persist`
// tokens (1, 2, ...); durable() is the index up to which the appends have completed. After a crash
// the tail is gone and storage alone speaks, through LogView.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "families/contract/mutation.h"

namespace qk::raft {

// The log in storage. Reads may fail; the node that gets an error stops.
class LogView {
 public:
  virtual ~LogView() = default;
  virtual int64_t first() const = 0;
  virtual int64_t last() const = 0;
  virtual absl::StatusOr<int64_t> term(int64_t index) = 0;
  // [from, to] in order, cut after the entry that reaches `max_bytes` of payload; at least one.
  virtual absl::StatusOr<std::vector<families::LogEntry>> entries(int64_t from, int64_t to,
                                                                  size_t max_bytes) = 0;
};

class RaftLog {
 public:
  explicit RaftLog(LogView* view) : view_(view) {}

  // Takes over what storage holds. `configurations`: every configuration entry of the log.
  absl::Status open(const std::optional<families::SnapshotMeta>& snapshot,
                    std::vector<std::pair<int64_t, families::Configuration>> configurations,
                    families::Configuration initial);

  int64_t first() const { return first_; }
  families::LogId last() const { return last_; }
  int64_t durable() const { return durable_; }
  const families::SnapshotMeta& snapshot() const { return snapshot_; }  // index 0: none

  // The term is known for 0, the snapshot's index and [first, last].
  bool knows_term(int64_t index) const;
  absl::StatusOr<int64_t> term(int64_t index);
  // As LogView::entries; [from, to] must lie in [first, last].
  absl::StatusOr<std::vector<families::LogEntry>> entries(int64_t from, int64_t to,
                                                          size_t max_bytes);
  // The entry if it is in memory, else nullptr.
  const families::LogEntry* find(int64_t index) const;

  // The configuration in force: that of the last configuration entry, committed or not.
  const families::Configuration& configuration() const { return configuration_at(last_.index); }
  const families::Configuration& configuration_at(int64_t index) const;

  // Each returns the mutation to issue under `token`.
  families::Mutation append(std::vector<families::LogEntry> entries, uint64_t token);
  families::Mutation truncate_suffix(int64_t last_kept, int64_t last_term);
  // The rules of braft's LogManager::set_snapshot: term at the snapshot's index unknown -> the log
  // starts after it; equal -> one snapshot's worth of log is kept; different -> everything goes.
  absl::StatusOr<std::optional<families::Mutation>> set_snapshot(
      const families::SnapshotMeta& snapshot);

  // Everything issued under tokens <= `token` is durable.
  void persisted(uint64_t token);
  // The token that must be durable before index `index` is, 0 if it already is.
  uint64_t token_for(int64_t index) const;
  // Entries up to `applied` are no longer needed by the state machine; durable ones among them may
  // leave memory, except a recent few that followers are likely to ask for.
  void release(int64_t applied);

 private:
  struct Append {
    uint64_t token = 0;
    int64_t last = 0;
  };
  void clear(families::LogId end);
  void drop_configurations_below(int64_t first);

  LogView* view_;
  int64_t first_ = 1;
  families::LogId last_;
  int64_t durable_ = 0;
  families::SnapshotMeta snapshot_;
  families::Configuration snapshot_configuration_;
  families::Configuration initial_;
  std::deque<families::LogEntry> tail_;  // ends at last_
  std::deque<Append> in_flight_;
  std::deque<std::pair<int64_t, families::Configuration>> configurations_;
};

}  // namespace qk::raft
