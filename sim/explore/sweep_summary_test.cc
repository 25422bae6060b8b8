#include "sim/explore/sweep_summary.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "families/base/strings.h"

namespace qk::sim {
namespace {

SweepDefinition sweep_of(uint64_t seeds) {
  SweepDefinition definition;
  definition.variants = {{"s", "s", {}, 1, {"ora.L1"}, false}};
  definition.seeds = {{1, seeds}};
  return definition;
}

SeedRecord pass(uint64_t seed) {
  SeedRecord record;
  record.seed = seed;
  record.simulated = kSecond;
  record.events = 100;
  record.evaluated = {{"ora.L1", 3}};
  record.reach = {{"crash/leader", 1}, {"truncate/suffix", 0}};
  return record;
}

SeedRecord finding(uint64_t seed, SeedVerdict verdict, std::string signature, Nanos simulated) {
  SeedRecord record = pass(seed);
  record.verdict = verdict;
  record.signature = std::move(signature);
  record.simulated = simulated;
  return record;
}

using Records = std::map<uint64_t, SeedRecord>;
Records by_job(const SweepDefinition& definition, const std::vector<SeedRecord>& records) {
  Records out;
  for (const SeedRecord& record : records) {
    out[*definition.job_of(record.variant, record.seed)] = record;
  }
  return out;
}

bool says(const std::vector<std::string>& reasons, const std::string& text) {
  return std::any_of(reasons.begin(), reasons.end(), [&](const std::string& reason) {
    return reason.find(text) != std::string::npos;
  });
}

TEST_CASE("a sweep that showed everything has no reason to doubt it") {
  const SweepDefinition definition = sweep_of(3);
  const SweepSummary summary =
      summarize(definition, by_job(definition, {pass(1), pass(2), pass(3)}));
  CHECK(summary.ran == 3);
  CHECK(summary.inconclusive.empty());
  CHECK_FALSE(summary.failed);
  CHECK(summary.verdicts.at(SeedVerdict::kPass) == 3);
  CHECK(summary.probes.at("crash/leader").seeds == 3);
  CHECK(summary.probes.at("truncate/suffix").times == 0);
}

TEST_CASE("findings are grouped by signature, and the shortest run is their example") {
  const SweepDefinition definition = sweep_of(6);
  const SweepSummary summary = summarize(
      definition,
      by_job(definition, {finding(1, SeedVerdict::kInconclusive, "a reason", kSecond),
                          finding(2, SeedVerdict::kViolation, "ora.L1 CUT x", 9),
                          finding(3, SeedVerdict::kViolation, "ora.L1 CUT x", 5),
                          finding(4, SeedVerdict::kViolation, "ora.L1 CUT x", 5),
                          finding(5, SeedVerdict::kViolation, "ora.D1 CUT x", 1), pass(6)}));
  REQUIRE(summary.findings.size() == 3);
  // Failures come first.
  CHECK(summary.findings[0].signature == "ora.D1 CUT x");
  CHECK(summary.findings[1].signature == "ora.L1 CUT x");
  CHECK(summary.findings[1].seeds == std::vector<uint64_t>{2, 3, 4});
  CHECK(summary.findings[1].shortest.seed == 3);
  CHECK(summary.findings[2].signature == "a reason");
  CHECK(summary.failed);
  CHECK_FALSE(summary.error);
}

TEST_CASE("what was not shown is not green") {
  SweepDefinition definition = sweep_of(2);
  const auto reasons = [&](const std::vector<SeedRecord>& records) {
    return summarize(definition, by_job(definition, records)).inconclusive;
  };
  CHECK(says(reasons({}), "nothing ran"));
  CHECK(says(reasons({pass(1)}), "1 of 2 runs are left"));
  SeedRecord blind = pass(2);
  blind.evaluated["ora.L1"] = 0;
  CHECK(reasons({pass(1), blind}).empty());
  blind.seed = 1;
  SeedRecord other = blind;
  other.seed = 2;
  CHECK(says(reasons({blind, other}), "ora.L1 was never evaluated"));
  definition.sometimes = {"truncate/suffix"};
  CHECK(says(reasons({pass(1), pass(2)}), "probe truncate/suffix was never reached"));
  definition.sometimes = {"crash/leader"};
  CHECK(reasons({pass(1), pass(2)}).empty());
  definition.sometimes = {"every"};
  CHECK(reasons({pass(1), pass(2)}) ==
        std::vector<std::string>{"probe truncate/suffix was never reached"});
  SeedRecord reached = pass(2);
  reached.reach["truncate/suffix"] = 1;
  CHECK(reasons({pass(1), reached}).empty());
  definition.sometimes.clear();
  CHECK(reasons({pass(1), pass(2)}).empty());
  definition.planted = "vote-not-synced";
  CHECK(says(reasons({pass(1), pass(2)}), "nothing noticed the planted bug"));
}

TEST_CASE("seeds that drew no fault count only if no seed drew any") {
  SweepDefinition definition = sweep_of(2);
  definition.variants[0].random_faults = true;
  SeedRecord idle = pass(1);
  idle.verdict = SeedVerdict::kNoFault;
  SeedRecord idle_too = idle;
  idle_too.seed = 2;
  CHECK(summarize(definition, by_job(definition, {idle, pass(2)})).inconclusive.empty());
  CHECK(says(summarize(definition, by_job(definition, {idle, idle_too})).inconclusive,
             "no seed drew any"));
}

TEST_CASE("two runs of one seed that differ are a divergence, whatever their verdict") {
  const SweepDefinition definition = sweep_of(1);
  SeedRecord record = pass(1);
  record.second = SecondRun::kDiffers;
  record.difference = "events 1, then 2";
  const SweepSummary summary = summarize(definition, by_job(definition, {record}));
  REQUIRE(summary.divergences.size() == 1);
  CHECK(summary.divergences[0].difference == "events 1, then 2");
  CHECK(summary.again == 1);
}

TEST_CASE("a sweep ends after so many different failures, by the order of its jobs") {
  SweepDefinition definition = sweep_of(10);
  definition.max_failures = 2;
  const auto fail = [](uint64_t seed, std::string signature) {
    return finding(seed, SeedVerdict::kViolation, std::move(signature), 1);
  };
  // Seed 9 was done while others were still running; the order of jobs decides.
  const Records records = by_job(
      definition, {pass(1), fail(2, "a"), fail(3, "a"), fail(4, "b"), pass(5), fail(9, "c")});
  CHECK(failure_cut(definition, records) == 4);
  const SweepSummary summary = summarize(definition, records);
  CHECK(summary.cut);
  CHECK(summary.ran == 4);
  CHECK(summary.findings.size() == 2);
  definition.max_failures = 0;
  CHECK_FALSE(failure_cut(definition, records).has_value());
}

TEST_CASE("shards that end early hold together what the whole sweep holds") {
  SweepDefinition definition = sweep_of(40);
  definition.max_failures = 3;
  const auto record = [&](uint64_t seed) {
    return seed % 7 == 0 ? finding(seed, SeedVerdict::kViolation, cat("bug ", seed % 5), 1)
                         : pass(seed);
  };
  const auto run = [&](const SweepDefinition& part) {
    Records records;
    for (uint64_t job = 0; job < part.job_count(); ++job) {
      if (!part.is_mine(job)) continue;
      records[job] = record(part.seed_of(job));
      if (failure_cut(part, records)) break;
    }
    return records;
  };
  const SweepSummary whole = summarize(definition, run(definition));
  Records merged;
  SweepDefinition part = definition;
  part.shards = 3;
  for (part.shard = 1; part.shard <= 3; ++part.shard) merged.merge(run(part));
  const SweepSummary again = summarize(definition, merged);
  CHECK(whole.cut);
  CHECK(again.ran == whole.ran);
  CHECK(again.events == whole.events);
  CHECK(findings_text(definition, again, nullptr) == findings_text(definition, whole, nullptr));
}

TEST_CASE("against an earlier sweep findings are new, ongoing, resolved or regressed") {
  const SweepDefinition definition = sweep_of(3);
  const auto summary_of = [&](const std::vector<SeedRecord>& records,
                              const EarlierSweep* earlier = nullptr) {
    return summarize(definition, by_job(definition, records), earlier);
  };
  const auto fail = [](uint64_t seed, const char* signature) {
    return finding(seed, SeedVerdict::kViolation, signature, 1);
  };
  const SweepSummary first = summary_of({fail(1, "a"), fail(2, "b"), pass(3)});
  CHECK(first.findings[0].state == FindingState::kNone);
  const EarlierSweep after_first = *earlier_sweep(definition, first, "");

  const SweepSummary second = summary_of({pass(1), fail(2, "b"), fail(3, "c")}, &after_first);
  REQUIRE(second.findings.size() == 2);
  CHECK(second.findings[0].state == FindingState::kOngoing);
  CHECK(second.findings[1].state == FindingState::kNew);
  CHECK(second.resolved == std::vector<FindingKey>{{"s", "a"}});
  const auto after_second =
      earlier_sweep(definition, second, findings_text(definition, second, &after_first));
  REQUIRE(after_second.ok());

  // What was resolved stays so as long as nothing shows it, and is then regressed.
  const SweepSummary third = summary_of({pass(1), pass(2), pass(3)}, &*after_second);
  CHECK(third.resolved == std::vector<FindingKey>{{"s", "b"}, {"s", "c"}});
  const auto after_third =
      earlier_sweep(definition, third, findings_text(definition, third, &*after_second));
  REQUIRE(after_third.ok());
  CHECK(after_third->resolved.size() == 3);
  const SweepSummary fourth = summary_of({fail(1, "a"), pass(2), pass(3)}, &*after_third);
  CHECK(fourth.findings[0].state == FindingState::kRegressed);

  // What did not run again is not resolved.
  const SweepSummary part = summary_of({pass(2), pass(3)}, &after_first);
  CHECK(part.resolved == std::vector<FindingKey>{{"s", "b"}});
  CHECK(part.not_repeated == std::vector<FindingKey>{{"s", "a"}});
  CHECK_FALSE(earlier_sweep(definition, first, "{}").ok());
  CHECK_FALSE(earlier_sweep(definition, first, "[").ok());
}

TEST_CASE("cells of the matrix") {
  const auto cell = fault_cell("fault/crash/DUAL/local->sqlite");
  REQUIRE(cell.has_value());
  CHECK(cell->kind == "crash");
  CHECK(cell->phase == "DUAL");
  CHECK(cell->pair == "local->sqlite");
  CHECK_FALSE(fault_cell("crash/leader").has_value());
  CHECK_FALSE(fault_cell("fault/crash").has_value());
}

}  // namespace
}  // namespace qk::sim
