#include "sim/raft/lanes.h"

#include <iterator>

#include "families/base/check.h"

namespace qk::raft {
namespace {

using families::Lane;
using families::LogEntry;
using families::Mutation;
using families::Operation;

// Bounds of one joined batch; a single larger append stays whole.
constexpr size_t kMaxBatchEntries = 1024;

}  // namespace

Lanes::Lanes(families::StorageDriver* driver, Environment* environment, NodeObserver* observer,
             Completed completed)
    : driver_(driver),
      environment_(environment),
      observer_(observer),
      completed_(std::move(completed)) {}

void Lanes::issue(uint64_t token, Mutation mutation) {
  LaneState& lane = lanes_[static_cast<size_t>(lane_of(mutation.operation))];
  QK_CHECK(lane.queue.empty() || lane.queue.back().token < token);
  if (mutation.operation == Operation::kSaveMeta) {
    if (mutation.hard_state.term > term_) term_token_ = token;
    term_ = mutation.hard_state.term;
    lane.queue.push_back({token, std::move(mutation), 0});
  } else {
    lane.queue.push_back({token, std::move(mutation), term_token_});
  }
}

bool Lanes::may_start(const Item& item) const {
  const LaneState& meta = lanes_[static_cast<size_t>(Lane::kMeta)];
  if (meta.in_flight) return item.after_meta < meta.in_flight->token;
  return meta.queue.empty() || item.after_meta < meta.queue.front().token;
}

void Lanes::pump() {
  if (pumping_) return;  // the loop below goes on
  pumping_ = true;
  // Lane by lane in a fixed order; a completion may come at once and refill a lane.
  for (bool again = true; again;) {
    again = false;
    for (int i = 0; i < families::kLaneCount; ++i) {
      const LaneState& lane = lanes_[static_cast<size_t>(i)];
      if (barrier_ || !alive_ || lane.in_flight || lane.queue.empty()) continue;
      if (!may_start(lane.queue.front())) continue;
      start(static_cast<Lane>(i));
      again = true;
    }
  }
  pumping_ = false;
}

void Lanes::start(Lane which) {
  LaneState& lane = lanes_[static_cast<size_t>(which)];
  Item item = std::move(lane.queue.front());
  lane.queue.pop_front();
  if (item.mutation.operation == Operation::kAppend) {
    std::vector<LogEntry>& batch = item.mutation.entries;
    while (!lane.queue.empty() && lane.queue.front().mutation.operation == Operation::kAppend &&
           may_start(lane.queue.front()) &&
           batch.size() + lane.queue.front().mutation.entries.size() <= kMaxBatchEntries) {
      std::vector<LogEntry>& more = lane.queue.front().mutation.entries;
      batch.insert(batch.end(), std::make_move_iterator(more.begin()),
                   std::make_move_iterator(more.end()));
      item.token = lane.queue.front().token;
      lane.queue.pop_front();
    }
  }
  const uint64_t sequence = next_sequence_++;
  observer_->mutation_issued(sequence, item.mutation);
  lane.in_flight = InFlight{item.token, sequence, driver_->apply(std::move(item.mutation))};
  environment_->after_storage([this, which, alive = std::weak_ptr<int>(alive_)] {
    if (!alive.expired()) complete(which);
  });
}

void Lanes::complete(Lane which) {
  LaneState& lane = lanes_[static_cast<size_t>(which)];
  QK_CHECK(lane.in_flight.has_value());
  const InFlight done = std::move(*lane.in_flight);
  lane.in_flight.reset();
  observer_->mutation_completed(done.sequence, done.outcome);
  completed_(which, done.token, done.outcome);
  if (!alive_) return;
  check_barrier();
  pump();
}

void Lanes::request_barrier(std::function<void()> ready) {
  QK_CHECK(!barrier_);
  barrier_ = true;
  barrier_ready_ = std::move(ready);
  check_barrier();
}

void Lanes::check_barrier() {
  if (!barrier_ready_) return;
  for (const LaneState& lane : lanes_) {
    if (lane.in_flight) return;
  }
  const std::function<void()> ready = std::move(barrier_ready_);
  barrier_ready_ = nullptr;
  ready();
}

void Lanes::release_barrier() {
  QK_CHECK(barrier_);
  QK_CHECK(!barrier_ready_);  // released before it was reached
  barrier_ = false;
  pump();
}

std::vector<families::LogEntry> Lanes::queued_entries() const {
  std::vector<families::LogEntry> entries;
  for (const Item& item : lanes_[static_cast<size_t>(families::Lane::kLog)].queue) {
    for (const families::LogEntry& entry : item.mutation.entries) {
      // A truncation in between, or a reset, made room for it.
      while (!entries.empty() && entries.back().index >= entry.index) entries.pop_back();
      entries.push_back(entry);
    }
  }
  return entries;
}

void Lanes::stop() {
  alive_.reset();
  barrier_ready_ = nullptr;
}

}  // namespace qk::raft
