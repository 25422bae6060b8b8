// CatchUp: replays the mutations that queued up behind an export into the new family
// (migration.md 10), while the old one serves.
//
// The disk that it writes is the one on which the node must make durable what it acknowledges, so
// one step is bounded, in bytes and in the time that storage takes: a write of the node waits for
// one step, however much there is to catch up. Consecutive appends become one, with one sync; a
// snapshot is copied in pieces. What remains when little is left is replayed as a whole, under the
// barrier that begins the dual write.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "migration/node_driver.h"

namespace qk::migration {

class CatchUp {
 public:
  // `clock`: nanoseconds, passes while storage works. Both must outlive this.
  CatchUp(NodeDriver* driver, families::Family* target, std::function<int64_t()> clock);

  struct Limits {
    uint64_t bytes = 0;   // of payloads and snapshot files
    int64_t time_ns = 0;  // no piece of work begins later than this after the first one
  };
  // At least one piece: one append of at most `bytes` or of a single entry, one other mutation, or
  // one chunk of a snapshot's file.
  absl::Status step(const Limits& limits);
  // Whether all that is left may be replayed under a barrier: at most `mutations` and `bytes`, and
  // no snapshot.
  bool nearly_done(size_t mutations, uint64_t bytes) const;
  // Everything.
  absl::Status drain();

 private:
  // The snapshot at the front of the queue, as far as it is copied.
  struct Publish {
    std::shared_ptr<families::SnapshotReader> reader;
    std::unique_ptr<families::SnapshotWriter> writer;
    size_t file = 0;  // of reader->files(); the next one, or the one that is open
    std::unique_ptr<families::File> input;
    std::unique_ptr<families::File> output;
    uint64_t offset = 0;
  };

  absl::StatusOr<uint64_t> piece(uint64_t max_bytes);
  absl::StatusOr<uint64_t> append(uint64_t max_bytes);
  absl::StatusOr<uint64_t> publish();

  NodeDriver* driver_;
  families::Family* target_;
  std::function<int64_t()> clock_;
  size_t front_done_ = 0;  // entries of the append at the front that the target has
  std::optional<Publish> publish_;
};

}  // namespace qk::migration
