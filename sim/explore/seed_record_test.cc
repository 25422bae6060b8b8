#include "sim/explore/seed_record.h"

#include <catch2/catch.hpp>

namespace qk::sim {
namespace {

Plan three_nodes() {
  Plan plan;
  for (const char* id : {"n1", "n2", "n3"}) plan.cluster.nodes.push_back({id, "", "s", {}, {}});
  return plan;
}

RunResult violation(std::string oracle, std::string phase, std::string fault) {
  RunResult result;
  result.verdict = Verdict::kViolation;
  Violation found;
  found.oracle = std::move(oracle);
  found.name = "some-name";
  found.node = "n3";
  found.index = 1303;
  found.expected = "(1303, term 4)";
  found.actual = "last index 1302";
  found.phase = std::move(phase);
  found.last_fault = std::move(fault);
  result.violations.push_back(found);
  return result;
}

SeedRecord whole_record() {
  SeedRecord record;
  record.variant = 3;
  record.seed = UINT64_MAX;
  record.verdict = SeedVerdict::kViolation;
  record.signature = "ora.L1 CUT fault.crash";
  record.lines = {"expected  \"a\"\\b", "actual    \xc3\xa9"};
  record.simulated = 12'345'678'901;
  record.events = 1498;
  record.chain = 0xffffffffffffff01;
  record.digest = "abc";
  record.evaluated = {{"ora.L1", 7}, {"ora.L2", 0}};
  record.reach = {{"fault/crash/DUAL/local->sqlite", 2}};
  record.second = SecondRun::kDiffers;
  record.difference = "events 1498, then 1499";
  record.cpu_ns = 77;
  return record;
}

TEST_CASE("a signature is oracle, phase and kind of the last fault, without node and number") {
  const Plan plan = three_nodes();
  CHECK(signature_of(plan, violation("ora.L1", "CUT", "fault.crash n3 #1345")) ==
        "ora.L1 CUT fault.crash");
  CHECK(signature_of(plan, violation("ora.L1", "CUT", "fault.crash n1 #7")) ==
        "ora.L1 CUT fault.crash");
  CHECK(signature_of(plan, violation("ora.C1", "", "none")) == "ora.C1 - none");
  CHECK(signature_of(plan, RunResult{}).empty());
}

TEST_CASE("the signature of what is inconclusive leaves nodes and numbers out") {
  RunResult result;
  result.verdict = Verdict::kInconclusive;
  const auto of = [&](std::string reason) {
    result.inconclusive = {std::move(reason)};
    return signature_of(three_nodes(), result);
  };
  CHECK(of("n3 ended in phase V1 on store \"b\"") == of("n1 ended in phase V1 on store \"b\""));
  CHECK(of("n3 ended in phase V1") != of("n3 ended in phase V2"));
  CHECK(of("no answer for 12.5s, expected 3s") == of("no answer for 7.25s, expected 3s"));
  CHECK(of("ora.L14 was never evaluated") != of("ora.L9 was never evaluated"));
}

TEST_CASE("an expectation that is not met names a failure before its violations do") {
  RunResult result = violation("ora.L1", "A", "none");
  result.unmet = {"expected a violation of ora.L5, found ora.L1"};
  CHECK(signature_of(three_nodes(), result) == "expected a violation of ora.L5, found ora.L1");
}

TEST_CASE("one seed that drew no fault is not inconclusive, with another reason it is") {
  RunResult result;
  result.verdict = Verdict::kInconclusive;
  result.no_random_fault = true;
  result.inconclusive = {"random faults are asked for, and none was injected: crash"};
  CHECK(record_of(three_nodes(), result, 0, 1).verdict == SeedVerdict::kNoFault);
  result.inconclusive.emplace_back("12 entries were committed, expected 100 at least");
  CHECK(record_of(three_nodes(), result, 0, 1).verdict == SeedVerdict::kInconclusive);
}

TEST_CASE("a record is the same after its way through text") {
  const SeedRecord record = whole_record();
  const std::string line = to_line(record);
  CHECK(line.find('\n') == line.size() - 1);
  const auto again = parse_record(line.substr(0, line.size() - 1));
  REQUIRE(again.ok());
  CHECK(to_line(*again) == line);
  CHECK(again->seed == record.seed);
  CHECK(again->chain == record.chain);
  CHECK(again->evaluated == record.evaluated);
  CHECK(again->cpu_ns == record.cpu_ns);
  CHECK(difference_of(*again, record).empty());
}

TEST_CASE("each part of a record that two runs must share is compared") {
  const SeedRecord record = whole_record();
  const auto differs = [&](auto change) {
    SeedRecord other = record;
    change(other);
    return !difference_of(record, other).empty();
  };
  CHECK(differs([](SeedRecord& r) { r.verdict = SeedVerdict::kPass; }));
  CHECK(differs([](SeedRecord& r) { r.signature = "x"; }));
  CHECK(differs([](SeedRecord& r) { ++r.events; }));
  CHECK(differs([](SeedRecord& r) { ++r.chain; }));
  CHECK(differs([](SeedRecord& r) { r.digest = "x"; }));
  CHECK(differs([](SeedRecord& r) { r.lines.pop_back(); }));
  CHECK(differs([](SeedRecord& r) { r.evaluated["ora.L2"] = 1; }));
  CHECK(differs([](SeedRecord& r) { r.reach.clear(); }));
  CHECK_FALSE(differs([](SeedRecord& r) { r.cpu_ns = 1; }));
}

TEST_CASE("what is not a record is refused, and says why") {
  const std::string line = to_line(whole_record());
  const auto refused = [](const std::string& text) {
    const auto record = parse_record(text);
    return record.ok() ? std::string("accepted") : std::string(to_std(record.status().message()));
  };
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = line;
    const size_t at = changed.find(from);
    REQUIRE(at != std::string::npos);
    return refused(changed.replace(at, from.size(), to));
  };
  CHECK(refused("") == "record of a seed: not a JSON object");
  CHECK(refused("[]") == "record of a seed: not a JSON object");
  CHECK(refused(line.substr(0, line.size() / 2)) == "record of a seed: not a JSON object");
  CHECK(with("\"seed\"", "\"sead\"") == "record of a seed: seed: missing");
  CHECK(with("\"3\"", "\"-3\"") == "record of a seed: variant: \"-3\", expected a decimal number");
  CHECK(with("\"3\"", "\"4294967296\"") == "record of a seed: variant 4294967296 is too large");
  CHECK(with("\"FAIL\"", "\"fail\"") == "record of a seed: verdict: \"fail\" is not known");
  CHECK(with("\"FAIL\"", "7") == "record of a seed: verdict: not a string");
  CHECK(with("{\"ora.L1\":7", "{\"ora.L1\":-7") ==
        "record of a seed: evaluated: holds something that is not a number");
  CHECK(with("ora.L1 CUT fault.crash", "") == "record of a seed: verdict FAIL without a signature");
  CHECK(refused(std::string(kMaxRecordLine + 1, ' ')).find("expected at most") !=
        std::string::npos);
  CHECK(refused(std::string(200'000, '[')) == "record of a seed: not a JSON object");
}

}  // namespace
}  // namespace qk::sim
