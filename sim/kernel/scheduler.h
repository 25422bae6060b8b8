// Scheduler: virtual time and the one queue of events that a run consists of. Time stands still
// while a callback runs and jumps to the next event's time between callbacks; events of equal time
// run in the order in which they were scheduled.
//
// Each event remembers its cause: the latest trace event at the moment of scheduling. Trace::record
// keeps current_cause() up to date, so send -> receive, timer set -> fire and issue -> completion
// are linked in the trace without help from the callers.
//
// The queue is a 4-ary heap of 24-byte keys beside a slab of callbacks: keys move, callbacks stay.
// Not thread-safe, and there is no other thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sim/kernel/callback.h"
#include "sim/kernel/time.h"

namespace qk::sim {

// Names one scheduled event for cancel(); a default-made one names none. Never reused.
struct EventId {
  uint64_t order = 0;  // position in the order of scheduling, from 1
  uint32_t slot = 0;
  explicit operator bool() const { return order != 0; }
  friend bool operator==(const EventId&, const EventId&) = default;
};

class Scheduler {
 public:
  Scheduler() = default;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // The time of the running (or last run) event.
  Nanos now() const { return now_; }

  // Schedules `callback` for time `t`, which must not lie in the past.
  EventId at(Nanos t, Callback callback);
  EventId after(Nanos delay, Callback callback) { return at(now_ + delay, std::move(callback)); }
  // Forgets an event and destroys its captures. Returns false if it has run, runs right now, was
  // cancelled before, or never existed.
  bool cancel(EventId id);

  // Of the next event; nothing if there is none.
  std::optional<Nanos> next_time();
  // Runs the next event; false if there is none.
  bool run_next();
  // Runs every event up to and including time `t`, then sets now() to `t`.
  void run_until(Nanos t);

  size_t pending() const { return heap_.size() - cancelled_; }
  // Events run so far.
  uint64_t executed() const { return executed_; }

  // Trace seq of the latest event of the running callback or, before its first, of the event that
  // scheduled it; 0 before any.
  uint64_t current_cause() const { return cause_.event; }
  // The nearest mark among that event and what led to it; 0: none. A trace that keeps marks alone
  // names it instead.
  uint64_t current_mark() const { return cause_.mark; }
  void set_current_cause(uint64_t seq, bool is_mark) {
    cause_.event = seq;
    if (is_mark) cause_.mark = seq;
  }

 private:
  struct Cause {
    uint64_t event = 0;
    uint64_t mark = 0;
  };
  struct Key {
    Nanos time;
    uint64_t order;
    uint32_t slot;
  };
  struct Slot {
    Callback callback;
    uint64_t order = 0;  // 0: free, or cancelled with its key still in the heap
    Cause cause;
  };
  static constexpr uint32_t kChunkBits = 8;
  static constexpr uint32_t kChunk = 1U << kChunkBits;

  static bool before(const Key& a, const Key& b) {
    return a.time != b.time ? a.time < b.time : a.order < b.order;
  }
  // Slots never move, so a callback may schedule others while it runs.
  Slot& slot(uint32_t index) { return slab_[index >> kChunkBits][index & (kChunk - 1)]; }
  uint32_t allocate_slot();
  void sift_up(size_t position);
  void sift_down(size_t position);
  void pop();
  // Drops keys of cancelled events from the top; false if the heap is empty then.
  bool settle();
  void drop_cancelled();

  Nanos now_ = 0;
  uint64_t next_order_ = 1;
  uint64_t executed_ = 0;
  Cause cause_;
  size_t cancelled_ = 0;
  std::vector<Key> heap_;
  std::vector<std::unique_ptr<Slot[]>> slab_;
  std::vector<uint32_t> free_;
};

}  // namespace qk::sim
