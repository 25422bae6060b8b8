// Target: what a sweep reads of an earlier one (sweep_definition.h, seed_record.h,
// sweep_summary.h): sweep.json, a line of records.jsonl, findings.json. The input is tried as each.
// What parses is written again, and parses as the same.
#include "families/base/check.h"
#include "sim/explore/seed_record.h"
#include "sim/explore/sweep_definition.h"
#include "sim/explore/sweep_summary.h"
#include "tools/fuzz/target.h"

namespace qk::fuzz {
namespace {

sim::SweepDefinition small_sweep() {
  sim::SweepDefinition definition;
  definition.build = "c0ffee12";
  definition.variants = {{"a", "a x=1", {"x=1"}, 17, {"ora.L1"}, true}};
  definition.seeds = {{1, 8}};
  definition.max_failures = 5;
  definition.sometimes = {"crash/leader"};
  return definition;
}

sim::SeedRecord finding() {
  sim::SeedRecord record;
  record.seed = 3;
  record.verdict = sim::SeedVerdict::kViolation;
  record.signature = "ora.L1 CUT fault.crash";
  record.lines = {"expected  this", "actual    that"};
  record.evaluated = {{"ora.L1", 7}};
  record.reach = {{"fault/crash/DUAL/local->sqlite", 2}};
  record.second = sim::SecondRun::kSame;
  return record;
}

// Numbers that the summary adds up: any of them may be as large as it fits.
void use(const sim::SweepDefinition& definition, const sim::SeedRecord& record) {
  const auto job = definition.job_of(record.variant, record.seed);
  if (!job || !definition.is_mine(*job)) return;
  QK_CHECK(definition.seed_of(*job) == record.seed);
  QK_CHECK(definition.variant_of(*job) == record.variant);
  const sim::SweepSummary summary = sim::summarize(definition, {{*job, record}});
  QK_CHECK(summary.ran == 1);
}

}  // namespace

std::vector<std::string> seeds() {
  sim::SweepDefinition open = small_sweep();
  open.open_ended = true;
  open.shard = 2;
  open.shards = 3;
  const auto summary = sim::summarize(small_sweep(), {{2, finding()}});
  return {sim::to_text(small_sweep()),
          sim::to_text(open),
          sim::to_line(finding()),
          sim::to_line(sim::record_of_stuck(0, 1, 5)),
          sim::to_line(sim::record_of_death(0, 2, "signal 9")),
          sim::findings_text(small_sweep(), summary, nullptr)};
}

void run(std::string_view input) {
  if (const auto definition = sim::parse_definition(input); definition.ok()) {
    const std::string text = sim::to_text(*definition);
    const auto again = sim::parse_definition(text);
    QK_CHECK(again.ok() && sim::to_text(*again) == text);
    QK_CHECK(definition->my_job_count() >= 1);
    use(*definition, finding());
  }
  if (const auto record = sim::parse_record(input); record.ok()) {
    const std::string line = sim::to_line(*record);
    const auto again = sim::parse_record(std::string_view(line).substr(0, line.size() - 1));
    QK_CHECK(again.ok() && sim::to_line(*again) == line);
    use(small_sweep(), *record);
  }
  const auto earlier = sim::earlier_sweep(small_sweep(), {}, input);
  if (!earlier.ok()) return;
  const auto summary = sim::summarize(small_sweep(), {{2, finding()}}, &*earlier);
  QK_CHECK(summary.findings.size() == 1);
}

}  // namespace qk::fuzz
