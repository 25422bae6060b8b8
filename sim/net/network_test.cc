// The network's model, rule by rule: order, faults, partitions, crashes, and independence of links.
#include "sim/net/network.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

namespace qk::sim {
namespace {

struct Received {
  Nanos t;
  NodeId from;
  NodeId to;
  std::string bytes;
  friend bool operator==(const Received&, const Received&) = default;
};

struct World {
  Scheduler scheduler;
  Trace trace;
  Network network;
  std::vector<Received> received;

  explicit World(const LinkOptions& options, uint64_t seed = 1)
      : trace(&scheduler, {1, seed, {"n1", "n2", "n3"}}, TraceLevel::kFull),
        network(&scheduler, &trace, seed, options) {
    for (NodeId node = 1; node <= 3; ++node) {
      network.attach(node, [this, node](NodeId from, const NetMessage& message) {
        received.push_back({scheduler.now(), from, node, message.bytes});
      });
    }
  }
  void send(NodeId from, NodeId to, std::string bytes) {
    network.send(from, to, {1, 2, 3, std::move(bytes)});
  }
  void run() {
    while (scheduler.run_next()) {
    }
  }
  uint64_t count(EventKind kind) const {
    uint64_t n = 0;
    for (uint64_t seq = 1; seq <= trace.events(); ++seq) n += trace.event(seq).kind == kind;
    return n;
  }
  uint64_t drops(DropReason reason) const {
    uint64_t n = 0;
    for (uint64_t seq = 1; seq <= trace.events(); ++seq) {
      const Event& event = trace.event(seq);
      n += event.kind == EventKind::kNetDrop && event.arg(3) == static_cast<uint64_t>(reason);
    }
    return n;
  }
};

TEST_CASE("messages arrive within the latency, in order, linked to their send") {
  World world(LinkOptions{});
  for (int i = 0; i < 100; ++i) world.send(1, 2, std::to_string(i));
  CHECK(world.network.in_flight() == 100);
  world.run();
  REQUIRE(world.received.size() == 100);
  for (int i = 0; i < 100; ++i) {
    CHECK(world.received[i].bytes == std::to_string(i));
    CHECK(world.received[i].t >= kMillisecond);
    CHECK(world.received[i].t <= 10 * kMillisecond);
  }
  CHECK(world.network.in_flight() == 0);
  for (uint64_t seq = 101; seq <= 200; ++seq) {
    const Event& recv = world.trace.event(seq);
    REQUIRE(recv.kind == EventKind::kNetRecv);
    CHECK(recv.msg == world.trace.event(recv.cause).msg);
    CHECK(world.trace.event(recv.cause).kind == EventKind::kNetSend);
  }
}

TEST_CASE("reordered messages are overtaken, and only they") {
  LinkOptions options;
  options.reorder_ppm = 100'000;
  World world(options);
  for (int i = 0; i < 300; ++i) {
    world.scheduler.at(i * kMillisecond, [&world, i] { world.send(1, 2, std::string(i, 'x')); });
  }
  world.run();
  REQUIRE(world.received.size() == 300);
  size_t late = 0;
  size_t highest = 0;
  for (const Received& r : world.received) {
    late += r.bytes.size() < highest;
    highest = std::max(highest, r.bytes.size());
    CHECK(r.t <= static_cast<Nanos>(r.bytes.size()) * kMillisecond + 100 * kMillisecond);
  }
  CHECK(late >= 10);
  CHECK(late <= 60);
}

TEST_CASE("a late message arrives so much later, and nothing waits for it") {
  LinkOptions options;
  options.late_ppm = 100'000;
  options.late_low = 100 * kMillisecond;
  options.late_high = 500 * kMillisecond;
  World world(options);
  for (int i = 0; i < 1000; ++i) world.send(1, 2, std::to_string(i));
  world.run();
  REQUIRE(world.received.size() == 1000);
  int late = 0;
  int last = -1;
  for (const Received& one : world.received) {
    if (one.t > options.latency_high) {
      ++late;
      CHECK(one.t >= options.latency_low + options.late_low);
      CHECK(one.t <= options.latency_high + options.late_high);
    } else {
      CHECK(std::stoi(one.bytes) > last);
      last = std::stoi(one.bytes);
    }
  }
  CHECK(late > 60);
  CHECK(late < 140);
  // Without late messages a link draws as many numbers as it always did.
  World plain(LinkOptions{});
  plain.send(1, 2, "one");
  CHECK(plain.network.draws(1) == 5);
}

TEST_CASE("loss and duplication") {
  LinkOptions options;
  options.loss_ppm = 200'000;
  options.duplicate_ppm = 300'000;
  World world(options);
  for (int i = 0; i < 1000; ++i) world.send(1, 2, std::to_string(i));
  world.run();
  const uint64_t lost = world.drops(DropReason::kLoss);
  CHECK(lost > 150);
  CHECK(lost < 250);
  CHECK(world.received.size() > 1000 - lost + 180);
  CHECK(world.received.size() < 1000 - lost + 300);
  uint64_t copies = 0;
  for (uint64_t seq = 1; seq <= world.trace.events(); ++seq) {
    const Event& event = world.trace.event(seq);
    copies += event.kind == EventKind::kNetRecv && event.arg(5) == 1;
  }
  CHECK(world.received.size() == 1000 - lost + copies);
}

TEST_CASE("a partition cuts what is sent and what is in flight, until healed") {
  World world(LinkOptions{});
  world.send(1, 2, "in flight");
  const auto id = world.network.partition({{1}, {2, 3}}, false);
  CHECK_FALSE(world.network.is_open(1, 2));
  CHECK_FALSE(world.network.is_open(3, 1));
  CHECK(world.network.is_open(2, 3));
  world.send(1, 3, "cut");
  world.send(3, 1, "cut back");
  world.send(2, 3, "same side");
  world.run();
  REQUIRE(world.received.size() == 1);
  CHECK(world.received[0].bytes == "same side");
  CHECK(world.drops(DropReason::kPartition) == 2);
  CHECK(world.drops(DropReason::kPartitionInFlight) == 1);
  world.network.heal(id);
  world.network.heal(id);
  CHECK(world.count(EventKind::kFaultHeal) == 1);
  world.send(1, 2, "healed");
  world.run();
  CHECK(world.received.back().bytes == "healed");
}

TEST_CASE("a message sent in a partition is lost even if healed before it would arrive") {
  World world(LinkOptions{});
  world.network.partition({{1}, {2}}, false);
  world.send(1, 2, "lost");
  world.network.heal_all();
  world.run();
  CHECK(world.received.empty());
}

TEST_CASE("an asymmetric partition cuts one direction; partitions add up") {
  World world(LinkOptions{});
  world.network.partition({{1}, {2, 3}}, true);
  CHECK_FALSE(world.network.is_open(1, 2));
  CHECK(world.network.is_open(2, 1));
  const auto second = world.network.partition({{1}, {2}}, false);
  CHECK_FALSE(world.network.is_open(2, 1));
  world.network.heal(second);
  CHECK_FALSE(world.network.is_open(1, 2));
  CHECK(world.network.is_open(2, 1));
  world.network.heal_all();
  CHECK(world.network.is_open(1, 2));
  CHECK(world.network.is_open(1, 3));
  const Event& event = world.trace.event(1);
  CHECK(event.kind == EventKind::kFaultPartition);
  CHECK(event.arg(1) == 1);
  CHECK(event.arg(2) == 0b001);
  CHECK(event.arg(3) == 0b110);
}

TEST_CASE("a node that is down receives nothing; what a crashed node sent still arrives") {
  World world(LinkOptions{});
  world.send(1, 2, "to the dead");
  world.send(2, 3, "from the dead");
  world.network.set_node_up(2, false);
  world.run();
  REQUIRE(world.received.size() == 1);
  CHECK(world.received[0].bytes == "from the dead");
  CHECK(world.drops(DropReason::kNodeDown) == 1);
  // In flight over the restart: up again at delivery.
  world.send(1, 2, "early");
  world.network.set_node_up(2, true);
  world.run();
  CHECK(world.received.back().bytes == "early");
  world.network.attach(2, {});
  world.send(1, 2, "nobody");
  world.run();
  CHECK(world.drops(DropReason::kNoSuchNode) == 1);
}

TEST_CASE("a handler may send and may detach itself") {
  World world(LinkOptions{});
  std::vector<std::string> heard;
  auto guard = std::make_shared<int>(0);
  world.network.attach(2, [&world, &heard, guard](NodeId from, const NetMessage& message) {
    world.network.attach(2, {});
    for (int i = 0; i < 100; ++i) world.send(2, from, "reply");
    heard.push_back(message.bytes);
    CHECK(guard.use_count() >= 2);
  });
  world.send(1, 2, "question, longer than the small string buffer");
  world.run();
  CHECK(heard == std::vector<std::string>{"question, longer than the small string buffer"});
  CHECK(world.received.size() == 100);
  CHECK(guard.use_count() == 1);
}

TEST_CASE("one more message on one link changes nothing on another") {
  LinkOptions options;
  options.loss_ppm = options.duplicate_ppm = options.reorder_ppm = 200'000;
  const auto heard_by_3 = [&](bool extra) {
    World world(options);
    for (int i = 0; i < 200; ++i) {
      world.send(2, 3, std::to_string(i));
      if (extra) world.send(1, 2, "extra");
    }
    world.run();
    std::vector<Received> result;
    for (const Received& r : world.received) {
      if (r.to == 3) result.push_back(r);
    }
    return result;
  };
  const std::vector<Received> without = heard_by_3(false);
  CHECK(without.size() > 100);
  CHECK(without == heard_by_3(true));
}

TEST_CASE("the same seed gives the same chain, another seed another one") {
  const auto chain = [](uint64_t seed) {
    LinkOptions options;
    options.loss_ppm = options.duplicate_ppm = options.reorder_ppm = 100'000;
    World world(options, seed);
    for (int i = 0; i < 200; ++i) world.send(1, 2, std::to_string(i));
    world.run();
    return world.trace.chain();
  };
  CHECK(chain(1) == chain(1));
  CHECK(chain(1) != chain(2));
}

}  // namespace
}  // namespace qk::sim
