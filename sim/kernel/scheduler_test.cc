// The scheduler against a sorted list as its model, and the promises that runs rely on: equal times
// in order of scheduling, cancellation, causes, no allocation for small captures.
#include "sim/kernel/scheduler.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <memory>
#include <tuple>
#include <vector>

#include "sim/kernel/random.h"

namespace qk::sim {
namespace {

TEST_CASE("events run by time, then by order of scheduling") {
  Scheduler scheduler;
  std::vector<int> ran;
  scheduler.at(20, [&] { ran.push_back(3); });
  scheduler.at(10, [&] { ran.push_back(1); });
  scheduler.at(10, [&] { ran.push_back(2); });
  scheduler.at(20, [&] { ran.push_back(4); });
  while (scheduler.run_next()) {
  }
  CHECK(ran == std::vector<int>{1, 2, 3, 4});
  CHECK(scheduler.now() == 20);
  CHECK(scheduler.executed() == 4);
}

TEST_CASE("an event scheduled for now runs after those already waiting for now") {
  Scheduler scheduler;
  std::vector<int> ran;
  scheduler.at(5, [&] {
    ran.push_back(1);
    scheduler.after(0, [&] { ran.push_back(3); });
  });
  scheduler.at(5, [&] { ran.push_back(2); });
  while (scheduler.run_next()) {
  }
  CHECK(ran == std::vector<int>{1, 2, 3});
}

TEST_CASE("run_until stops between events and moves the clock") {
  Scheduler scheduler;
  int ran = 0;
  scheduler.at(10, [&] { ++ran; });
  scheduler.at(20, [&] { ++ran; });
  scheduler.at(21, [&] { ++ran; });
  scheduler.run_until(20);
  CHECK(ran == 2);
  CHECK(scheduler.now() == 20);
  CHECK(scheduler.pending() == 1);
  scheduler.run_until(100);
  CHECK(ran == 3);
  CHECK(scheduler.now() == 100);
}

TEST_CASE("random schedules and cancellations run as a sorted list would") {
  Scheduler scheduler;
  RandomStream random(1, "scheduler");
  using Entry = std::tuple<Nanos, uint64_t>;  // time, order
  std::vector<Entry> expected;
  std::vector<Entry> ran;
  std::vector<std::pair<EventId, Entry>> ids;
  for (int i = 0; i < 20'000; ++i) {
    const auto t = static_cast<Nanos>(random.below(1'000));
    const EventId probe = scheduler.at(t, [] {});
    const Entry entry{t, probe.order + 1};
    scheduler.cancel(probe);
    const EventId id = scheduler.at(t, [&ran, entry] { ran.push_back(entry); });
    REQUIRE(id.order == std::get<1>(entry));
    ids.emplace_back(id, entry);
    expected.push_back(entry);
    if (random.chance_ppm(400'000)) {
      const auto& [victim, victim_entry] = ids[random.below(ids.size())];
      const auto it = std::find(expected.begin(), expected.end(), victim_entry);
      CHECK(scheduler.cancel(victim) == (it != expected.end()));
      if (it != expected.end()) expected.erase(it);
    }
  }
  CHECK(scheduler.pending() == expected.size());
  std::sort(expected.begin(), expected.end());
  while (scheduler.run_next()) {
  }
  CHECK(ran == expected);
  CHECK(scheduler.pending() == 0);
}

TEST_CASE("cancel destroys the captures and knows what it no longer can") {
  Scheduler scheduler;
  auto held = std::make_shared<int>(1);
  const EventId id = scheduler.at(5, [held] {});
  CHECK(held.use_count() == 2);
  CHECK(scheduler.cancel(id));
  CHECK(held.use_count() == 1);
  CHECK_FALSE(scheduler.cancel(id));
  CHECK_FALSE(scheduler.cancel(EventId{}));

  EventId self;
  bool cancelled = true;
  self = scheduler.at(6, [&] { cancelled = scheduler.cancel(self); });
  CHECK(scheduler.run_next());
  CHECK_FALSE(cancelled);
  // The slot is used again; the old id must not reach the new event.
  bool ran = false;
  scheduler.at(7, [&] { ran = true; });
  CHECK_FALSE(scheduler.cancel(self));
  CHECK_FALSE(scheduler.cancel(id));
  while (scheduler.run_next()) {
  }
  CHECK(ran);
}

TEST_CASE("timers that are reset forever do not fill the queue") {
  Scheduler scheduler;
  EventId timer;
  bool fired = false;
  for (int i = 0; i < 100'000; ++i) {
    scheduler.cancel(timer);
    timer = scheduler.after(kSecond, [&] { fired = true; });
    scheduler.run_until(scheduler.now() + 1);
  }
  CHECK(scheduler.pending() == 1);
  CHECK_FALSE(fired);
  CHECK(scheduler.run_next());
  CHECK(fired);
  CHECK_FALSE(scheduler.run_next());
}

TEST_CASE("an event carries the cause current when it was scheduled") {
  Scheduler scheduler;
  std::vector<uint64_t> causes;
  scheduler.set_current_cause(7, false);
  scheduler.at(10, [&] {
    causes.push_back(scheduler.current_cause());
    scheduler.set_current_cause(8, false);
    scheduler.after(5, [&] { causes.push_back(scheduler.current_cause()); });
    scheduler.set_current_cause(9, false);
  });
  scheduler.set_current_cause(1, false);
  scheduler.at(12, [&] { causes.push_back(scheduler.current_cause()); });
  while (scheduler.run_next()) {
  }
  CHECK(causes == std::vector<uint64_t>{7, 1, 8});
}

TEST_CASE("a callback keeps large captures, and moves without copying") {
  std::array<uint64_t, 8> fits{};
  std::array<uint64_t, 16> spills{};
  fits[7] = 1;
  spills[15] = 2;
  uint64_t sum = 0;
  const auto small = [fits] { return fits[7]; };
  CHECK(Callback::kFitsInline<decltype(small)>);
  auto counter = std::make_shared<int>(0);
  {
    Callback a([spills, counter, &sum] { sum += spills[15]; });
    Callback b(std::move(a));
    CHECK_FALSE(static_cast<bool>(a));
    Callback c([counter] {});
    c = std::move(b);
    CHECK(counter.use_count() == 2);
    c();
    c();
    auto unique = std::make_unique<int>(5);
    Callback d([value = std::move(unique), &sum] { sum += static_cast<uint64_t>(*value); });
    d();
  }
  CHECK(sum == 9);
  CHECK(counter.use_count() == 1);
}

TEST_CASE("a callback may schedule many others while it runs") {
  Scheduler scheduler;
  std::array<uint64_t, 6> capture{1, 2, 3, 4, 5, 6};
  uint64_t ran = 0;
  scheduler.at(1, [&scheduler, &ran, capture] {
    for (int i = 0; i < 5000; ++i) scheduler.after(i, [&ran] { ++ran; });
    ran += capture[5];
  });
  while (scheduler.run_next()) {
  }
  CHECK(ran == 5006);
}

}  // namespace
}  // namespace qk::sim
