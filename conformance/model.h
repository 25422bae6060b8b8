// Model: the storage contract as a small executable specification of one instance. It is written
// from the comments of families/contract alone and shares no code with any family, image or
// migration.
//
// A Change is one mutation as a value (a publish carries its whole tree), so that histories can be
// drawn, kept, replayed and printed. The model says what a change must do to a state, and which
// states a crash inside it may leave.
//
// It judges contents, not time: when something becomes durable is the disk's business.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "families/contract/family.h"

namespace qk::sim::conformance {

struct TreeFile {
  std::string bytes;
  families::FileMeta meta;
  bool unlisted = false;  // in the tree, but not in the table
  friend bool operator==(const TreeFile&, const TreeFile&) = default;
};

struct SnapshotState {
  families::SnapshotMeta meta;
  std::map<std::string, TreeFile> files;  // by relative path
  friend bool operator==(const SnapshotState&, const SnapshotState&) = default;
};

// The whole logical durable state of one instance.
struct State {
  int64_t first = 1;
  std::vector<families::LogEntry> entries;
  families::HardState hard_state;
  std::optional<SnapshotState> snapshot;

  int64_t last() const { return first + static_cast<int64_t>(entries.size()) - 1; }
  friend bool operator==(const State&, const State&) = default;
};

// All retained entries.
absl::StatusOr<std::vector<families::LogEntry>> read_log(families::LogStorage& log);
// Reads everything through the contract, snapshot files included.
absl::StatusOr<State> read_state(families::Family& family);

// "log 3..20, term 4, vote nobody, snapshot 5/3 with 2 files"
std::string describe(const State& state);
// The first thing in which two states differ, with both sides; "" if they are equal.
std::string first_difference(const State& found, const State& expected);

struct Change {
  families::Operation operation = families::Operation::kAppend;
  std::vector<families::LogEntry> entries;  // kAppend
  int64_t index = 0;                        // as in families::Mutation
  families::HardState hard_state;           // kSaveMeta
  SnapshotState snapshot;                   // kPublish
};

Change append(std::vector<families::LogEntry> entries);
Change truncate_prefix(int64_t first_kept);
Change truncate_suffix(int64_t last_kept);
Change reset(int64_t next_index);
Change save_meta(families::HardState state);
Change publish(SnapshotState snapshot);

// "append 4..6", "truncate_suffix 9"
std::string describe(const Change& change);

class Model {
 public:
  enum class Verdict : uint8_t {
    kApplied,           // ok; the state is what the change makes of it
    kAlreadyPublished,  // ok with count 0; the state stays
    kRefused,           // failed-clean InvalidArgument; the state stays
  };

  Model() = default;
  explicit Model(State state) : state_(std::move(state)) {}

  const State& state() const { return state_; }
  Verdict apply(const Change& change);
  // Without doing it.
  Verdict judge(const Change& change) const;
  // How much a family must report as Outcome::count() if it is ok.
  int64_t count(const Change& change) const;

  // What a crash inside `change` may leave, if the family declares `partial` for its operation; the
  // state before comes first, the state after last.
  std::vector<State> after_crash(const Change& change, families::Partial partial) const;

 private:
  State state_;
};

}  // namespace qk::sim::conformance
