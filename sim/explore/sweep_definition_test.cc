#include "sim/explore/sweep_definition.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <set>

#include "families/base/strings.h"
#include "sim/check/finding.h"
#include "sim/cluster/subjects.h"

namespace qk::sim {
namespace {

SweepDefinition two_variants() {
  SweepDefinition definition;
  definition.build = "c0ffee12";
  definition.variants = {{"a", "a", {"x=1"}, 17, {"ora.L1"}, true}, {"b", "b", {}, 18, {}, false}};
  definition.seeds = {{3, 5}, {UINT64_MAX, UINT64_MAX}};
  definition.again_ppm = 50'000;
  definition.max_failures = 5;
  definition.seed_limit = 60 * kSecond;
  definition.sometimes = {"crash/leader"};
  return definition;
}

TEST_CASE("jobs go seed by seed, and each knows its seed and variant") {
  const SweepDefinition definition = two_variants();
  CHECK(definition.job_count() == 8);
  std::vector<std::pair<uint64_t, uint32_t>> order;
  for (uint64_t job = 0; job < definition.job_count(); ++job) {
    order.emplace_back(definition.seed_of(job), definition.variant_of(job));
    CHECK(definition.job_of(definition.variant_of(job), definition.seed_of(job)) == job);
  }
  CHECK(order[0] == std::pair<uint64_t, uint32_t>{3, 0});
  CHECK(order[1] == std::pair<uint64_t, uint32_t>{3, 1});
  CHECK(order[7] == std::pair<uint64_t, uint32_t>{UINT64_MAX, 1});
  CHECK_FALSE(definition.job_of(0, 6).has_value());
  CHECK_FALSE(definition.job_of(2, 3).has_value());
}

TEST_CASE("shards divide the jobs") {
  SweepDefinition definition = two_variants();
  definition.shards = 3;
  std::vector<uint64_t> owners(definition.job_count());
  for (definition.shard = 1; definition.shard <= 3; ++definition.shard) {
    uint64_t mine = 0;
    for (uint64_t job = 0; job < definition.job_count(); ++job) {
      if (!definition.is_mine(job)) continue;
      ++mine;
      ++owners[job];
    }
    CHECK(mine == definition.my_job_count());
  }
  CHECK(owners == std::vector<uint64_t>(8, 1));
}

TEST_CASE("the seeds that run twice are a share of all, and always the same") {
  SweepDefinition definition = two_variants();
  uint64_t twice = 0;
  for (uint64_t seed = 1; seed <= 10'000; ++seed) {
    twice += definition.runs_twice(seed) ? 1 : 0;
    CHECK(definition.runs_twice(seed) == two_variants().runs_twice(seed));
  }
  CHECK(twice > 400);
  CHECK(twice < 600);
  definition.again_ppm = 0;
  CHECK_FALSE(definition.runs_twice(1));
  definition.again_ppm = 1'000'000;
  CHECK(definition.runs_twice(1));
}

TEST_CASE("a definition is the same after its way through text") {
  SweepDefinition definition = two_variants();
  definition.shard = 2;
  definition.shards = 4;
  const auto again = parse_definition(to_text(definition));
  REQUIRE(again.ok());
  CHECK(to_text(*again) == to_text(definition));
  CHECK(again->seeds[1].last == UINT64_MAX);
  CHECK(unsharded_text(*again) == to_text(two_variants()));
}

TEST_CASE("what is not a definition is refused") {
  const auto refused = [](std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    const auto parsed = parse_definition(text.replace(at, from.size(), to));
    return parsed.ok() ? std::string("accepted") : std::string(to_std(parsed.status().message()));
  };
  const std::string text = to_text(two_variants());
  CHECK(parse_definition("").status().message() == "definition of a sweep: not a JSON object");
  CHECK(refused(text, "qksim.sweep/1", "qksim.sweep/2") ==
        "definition of a sweep: schema \"qksim.sweep/2\", expected \"qksim.sweep/1\"");
  CHECK(refused(text, "\"build\"", "\"bild\"").find("'build' not found") != std::string::npos);
  CHECK(refused(text, "\"last\": \"5\"", "\"last\": \"2\"") ==
        "definition of a sweep: seeds 3..2 hold nothing");
  CHECK(refused(text, "\"shard\": 1", "\"shard\": 2") ==
        "definition of a sweep: shard 2/1, expected K/N with K from 1 to N");
  CHECK(refused(text, "\"first\": \"3\"", "\"first\": \"x\"").find("is not a number") !=
        std::string::npos);
  for (const char* bad : {"-1", "4294967296", "0.5", "\"5\""}) {
    INFO(bad);
    CHECK(refused(text, "\"max_failures\": 5", cat("\"max_failures\": ", bad)) ==
          cat("definition of a sweep: max_failures: ", bad,
              ", expected a whole number up to 4294967295"));
  }
}

TEST_CASE("a probe that no run can count is refused") {
  CHECK(check_probe("crash/leader").ok());
  CHECK(check_probe(std::string(kEveryProbe)).ok());
  CHECK(check_probe("fault/crash/DUAL/local->sqlite").ok());
  CHECK(check_probe("crash/leder").message() ==
        "\"crash/leder\" is not a probe, did you mean \"crash/leader\"?");
  for (const char* bad : {"", "something", "fault/", "fault/crash/DUEL/local->sqlite",
                          "fault/local->sqlite/DUAL/crash", "fault/crash/DUAL/"}) {
    INFO(bad);
    CHECK_FALSE(check_probe(bad).ok());
  }
}

TEST_CASE("a sweep has a bounded number of runs") {
  SweepDefinition definition = two_variants();
  definition.seeds = {{0, UINT64_MAX}};
  CHECK_FALSE(check(definition).ok());
  definition.seeds = {{1, kMaxSweepJobs}};
  CHECK_FALSE(check(definition).ok());
  definition.seeds = {{1, kMaxSweepJobs / 2}};
  CHECK(check(definition).ok());
  // As with the whole range, the sum must not pass for a small one.
  definition.variants.resize(1);
  for (const uint64_t last : {UINT64_MAX - 1, UINT64_MAX}) {
    definition.seeds = {{1, last}};
    CHECK_FALSE(check(definition).ok());
    definition.seeds = {{1, 7}, {9, last}};
    CHECK_FALSE(check(definition).ok());
  }
  definition.seeds = {{1, 5}, {5, 6}};
  CHECK(check(definition).message() == "ranges of seeds overlap");
}

TEST_CASE("axes multiply") {
  const auto all = combinations({"a=1,2", "b.c=x,y,z"});
  REQUIRE(all.ok());
  CHECK(all->size() == 6);
  CHECK((*all)[0] == std::vector<std::string>{"a=1", "b.c=x"});
  CHECK((*all)[5] == std::vector<std::string>{"a=2", "b.c=z"});
  CHECK(combinations({})->size() == 1);
  for (const char* bad : {"a", "=1", "a=", "a=1,,2", "a=1,"}) {
    INFO(bad);
    CHECK_FALSE(combinations({bad}).ok());
  }
}

TEST_CASE("seeds as text, and lists of them as ranges") {
  CHECK(seeds_text({{1, 1000}, {0x5eed, 0x5eed}}) == "0x1..0x3E8, 0x5EED");
  const auto ranges = ranges_of({7, 5, 6, 5, 9});
  CHECK(seeds_text(ranges) == "0x5..0x7, 0x9");
  CHECK(seeds_text(ranges_of({UINT64_MAX, UINT64_MAX, 0})) == "0x0, 0xFFFFFFFFFFFFFFFF");
}

TEST_CASE("an oracle has a subject where the plan has one") {
  Plan plan;
  const auto has = [&](const char* id) {
    const auto ids = oracles_with_subject(plan);
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  CHECK(has("ora.L1"));
  CHECK_FALSE(has("ora.D1"));
  CHECK_FALSE(has("ora.C1"));
  plan.migrations.emplace_back();
  plan.workload.clients = 1;
  CHECK(has("ora.D1"));
  CHECK(has("ora.M3"));
  CHECK(has("ora.C1"));
  CHECK_FALSE(has("ora.D3"));
  plan.random.mean_time_to_crash = kSecond;
  CHECK(has("ora.D3"));
  CHECK(has("ora.L14"));
  CHECK_FALSE(has("ora.R9"));
  plan.cluster.snapshot_every_entries = 10;
  CHECK(has("ora.R9"));
  plan.cluster.nodes.resize(1);
  CHECK_FALSE(has("ora.R13"));
  plan.cluster.nodes.resize(2);
  CHECK(has("ora.R12"));
  plan.expect.verdict = ExpectPlan::Verdict::kViolation;
  CHECK(oracles_with_subject(plan).empty());
}

TEST_CASE("what one run must judge is a part of what a sweep must") {
  std::vector<Plan> plans(1);
  const auto twice = [&](const std::function<void(Plan*)>& change) {
    const size_t size = plans.size();
    for (size_t i = 0; i < size; ++i) {
      plans.push_back(plans[i]);
      change(&plans.back());
    }
  };
  twice([](Plan* plan) { plan->migrations.emplace_back(); });
  twice([](Plan* plan) { plan->workload.clients = 1; });
  twice([](Plan* plan) { plan->cluster.nodes.resize(3); });
  twice([](Plan* plan) { plan->random.mean_time_to_crash = kSecond; });
  size_t by_chance = 0;
  for (const Plan& plan : plans) {
    const auto sweep = oracles_with_subject(plan);
    for (const OracleInfo& oracle : kOracles) {
      const bool among = std::find(sweep.begin(), sweep.end(), oracle.id) != sweep.end();
      CHECK(among >= must_judge(oracle.id, plan));
      by_chance += among && !must_judge(oracle.id, plan) ? 1 : 0;
    }
  }
  CHECK(by_chance > 0);
  CHECK(must_judge("ora.R13", plans.back()));
  CHECK_FALSE(must_judge("ora.R13", plans.front()));
  CHECK_FALSE(must_judge("ora.D3", plans.back()));
}

}  // namespace
}  // namespace qk::sim
