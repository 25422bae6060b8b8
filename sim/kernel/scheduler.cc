#include "sim/kernel/scheduler.h"

#include <algorithm>

#include "families/base/check.h"

namespace qk::sim {
namespace {

constexpr size_t kArity = 4;
// Cancelled keys stay in the heap until they surface; below this many it is not worth looking.
constexpr size_t kCancelledKept = 1024;

}  // namespace

EventId Scheduler::at(Nanos t, Callback callback) {
  QK_CHECK(t >= now_);
  QK_CHECK(static_cast<bool>(callback));
  const uint32_t index = allocate_slot();
  const uint64_t order = next_order_++;
  Slot& entry = slot(index);
  entry.callback = std::move(callback);
  entry.order = order;
  entry.cause = cause_;
  heap_.push_back({t, order, index});
  sift_up(heap_.size() - 1);
  return {order, index};
}

bool Scheduler::cancel(EventId id) {
  if (id.order == 0 || id.slot >= slab_.size() * kChunk) return false;
  Slot& entry = slot(id.slot);
  if (entry.order != id.order) return false;
  entry.order = 0;
  entry.callback.reset();
  ++cancelled_;
  // Timers that are set far ahead and reset often would otherwise fill the heap.
  if (cancelled_ > kCancelledKept && cancelled_ > heap_.size() / 2) drop_cancelled();
  return true;
}

std::optional<Nanos> Scheduler::next_time() {
  if (!settle()) return std::nullopt;
  return heap_.front().time;
}

bool Scheduler::run_next() {
  if (!settle()) return false;
  const Key key = heap_.front();
  pop();
  Slot& entry = slot(key.slot);
  now_ = key.time;
  cause_ = entry.cause;
  entry.order = 0;
  ++executed_;
  entry.callback();
  entry.callback.reset();
  free_.push_back(key.slot);
  return true;
}

void Scheduler::run_until(Nanos t) {
  QK_CHECK(t >= now_);
  while (settle() && heap_.front().time <= t) run_next();
  now_ = t;
}

uint32_t Scheduler::allocate_slot() {
  if (free_.empty()) {
    const auto first = static_cast<uint32_t>(slab_.size() * kChunk);
    slab_.push_back(std::make_unique<Slot[]>(kChunk));
    for (uint32_t i = kChunk; i-- > 0;) free_.push_back(first + i);
  }
  const uint32_t index = free_.back();
  free_.pop_back();
  return index;
}

void Scheduler::sift_up(size_t position) {
  const Key key = heap_[position];
  while (position > 0) {
    const size_t parent = (position - 1) / kArity;
    if (!before(key, heap_[parent])) break;
    heap_[position] = heap_[parent];
    position = parent;
  }
  heap_[position] = key;
}

void Scheduler::sift_down(size_t position) {
  const Key key = heap_[position];
  const size_t size = heap_.size();
  for (;;) {
    const size_t first = position * kArity + 1;
    if (first >= size) break;
    size_t smallest = first;
    const size_t end = std::min(first + kArity, size);
    for (size_t child = first + 1; child < end; ++child) {
      if (before(heap_[child], heap_[smallest])) smallest = child;
    }
    if (!before(heap_[smallest], key)) break;
    heap_[position] = heap_[smallest];
    position = smallest;
  }
  heap_[position] = key;
}

void Scheduler::pop() {
  heap_.front() = heap_.back();
  heap_.pop_back();
  if (!heap_.empty()) sift_down(0);
}

bool Scheduler::settle() {
  while (!heap_.empty()) {
    const Key& top = heap_.front();
    if (slot(top.slot).order == top.order) return true;
    free_.push_back(top.slot);
    --cancelled_;
    pop();
  }
  return false;
}

void Scheduler::drop_cancelled() {
  // The order of keys is total, so how the heap happens to be laid out never shows.
  const auto dead = [this](const Key& key) {
    if (slot(key.slot).order == key.order) return false;
    free_.push_back(key.slot);
    return true;
  };
  heap_.erase(std::remove_if(heap_.begin(), heap_.end(), dead), heap_.end());
  cancelled_ = 0;
  for (size_t i = heap_.size() / kArity + 1; i-- > 0;) {
    if (i < heap_.size()) sift_down(i);
  }
}

}  // namespace qk::sim
