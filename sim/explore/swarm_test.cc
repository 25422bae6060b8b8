#include "sim/explore/swarm.h"

#include <catch2/catch.hpp>
#include <set>

namespace qk::sim {
namespace {

Plan plan_of(uint64_t seed) {
  Plan plan;
  plan.seed = seed;
  plan.random.mean_time_to_crash = 2 * kSecond;
  plan.random.mean_time_to_partition = 6 * kSecond;
  plan.random.quiet_after = 50 * kSecond;
  plan.cluster.link.loss_ppm = 5000;
  plan.cluster.link.reorder_ppm = 10'000;
  return plan;
}

TEST_CASE("a swarm follows from the seed") {
  std::set<std::string> drawn;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const Plan plan = swarm(plan_of(seed));
    CHECK(swarm_text(plan) == swarm_text(swarm(plan_of(seed))));
    drawn.insert(swarm_text(plan));
  }
  CHECK(drawn.size() > 60);
}

TEST_CASE("each kind is off for a part of the seeds, and never are all") {
  int off[4] = {};
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    const Plan plan = swarm(plan_of(seed));
    off[0] += plan.random.mean_time_to_crash == 0 ? 1 : 0;
    off[1] += plan.random.mean_time_to_partition == 0 ? 1 : 0;
    off[2] += plan.cluster.link.loss_ppm == 0 ? 1 : 0;
    off[3] += plan.cluster.link.reorder_ppm == 0 ? 1 : 0;
    CHECK(swarm_text(plan) != "no fault");
    // Nothing comes that the scenario does not have, and nothing else changes.
    CHECK(plan.cluster.link.duplicate_ppm == 0);
    CHECK(plan.random.quiet_after == 50 * kSecond);
  }
  for (const int count : off) {
    CHECK(count > 100);
    CHECK(count < 220);
  }
}

TEST_CASE("what stays is at most two times weaker or stronger") {
  std::set<Nanos> means;
  std::set<uint32_t> losses;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const Plan plan = swarm(plan_of(seed));
    means.insert(plan.random.mean_time_to_crash);
    losses.insert(plan.cluster.link.loss_ppm);
  }
  CHECK(means == std::set<Nanos>{0, kSecond, 2 * kSecond, 4 * kSecond});
  CHECK(losses == std::set<uint32_t>{0, 2500, 5000, 10'000});
}

TEST_CASE("a plan without faults stays as it is") {
  Plan plan;
  CHECK(swarm_text(swarm(plan)) == "no fault");
}

TEST_CASE("links, snapshots and clients that were drawn are overrides of the scenario") {
  Plan drawn = plan_of(1);
  CHECK(swarm_overrides(plan_of(1), drawn).empty());
  drawn.cluster.link.loss_ppm = 2500;
  drawn.cluster.link.reorder_ppm = 0;
  drawn.random.mean_time_to_crash = 0;
  CHECK(swarm_overrides(plan_of(1), drawn) ==
        std::vector<std::string>{"cluster.link.loss=0.002500", "cluster.link.reorder=0.000000"});
  drawn.cluster.link.loss_ppm = 1'000'000;
  CHECK(swarm_overrides(plan_of(1), drawn)[0] == "cluster.link.loss=1.000000");
  drawn = plan_of(1);
  drawn.cluster.snapshot_every_entries = 7;
  drawn.cluster.entries_per_append = 2;
  drawn.workload.clients = 3;
  drawn.workload.rate = 9;
  CHECK(swarm_overrides(plan_of(1), drawn) ==
        std::vector<std::string>{"cluster.snapshot_every_entries=7", "cluster.entries_per_append=2",
                                 "workload.clients=3", "workload.rate=9"});
}

TEST_CASE("snapshots come half or twice as often, and clients share the load differently") {
  std::set<uint32_t> every;
  std::set<uint32_t> batches;
  std::set<std::pair<uint32_t, uint32_t>> clients;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Plan plan = plan_of(seed);
    plan.cluster.snapshot_every_entries = 5;
    plan.workload.clients = 4;
    plan.workload.rate = 6;
    plan = swarm(plan);
    every.insert(plan.cluster.snapshot_every_entries);
    batches.insert(plan.cluster.entries_per_append);
    clients.insert({plan.workload.clients, plan.workload.rate});
    // What the scenario does not have stays off.
    CHECK(swarm(plan_of(seed)).cluster.snapshot_every_entries == 0);
  }
  CHECK(every == std::set<uint32_t>{2, 5, 10});
  CHECK(batches == std::set<uint32_t>{1, 2, 64});
  CHECK(clients == std::set<std::pair<uint32_t, uint32_t>>{{2, 12}, {4, 6}, {8, 3}});
}

}  // namespace
}  // namespace qk::sim
