#include <algorithm>

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "scenarios/sections.h"
#include "sim/check/finding.h"

namespace qk::scenarios {

void build_expect(Draft& draft) {
  const qksim::Expect& expect = draft.scenario().expect();
  sim::ExpectPlan& out = draft.plan.expect;
  const bool violation = expect.verdict() == qksim::Expect::VIOLATION;
  out.verdict = violation ? sim::ExpectPlan::Verdict::kViolation : sim::ExpectPlan::Verdict::kPass;
  out.violates.assign(expect.violates().begin(), expect.violates().end());
  if (!violation && !out.violates.empty()) {
    draft.report(expect, "violates", 0, Draft::Point::kName, "violates without verdict: VIOLATION",
                 "a run that passes violates nothing");
  }
  std::vector<std::string> oracles;
  for (const sim::OracleInfo& oracle : sim::kOracles) oracles.emplace_back(oracle.id);
  if (violation && out.violates.empty()) {
    draft.missing(expect, "violates",
                  "which oracles the run must violate, as in "
                  "verdict: VIOLATION violates: \"ora.L1\"");
  }
  for (int i = 0; i < expect.violates_size(); ++i) {
    const std::string& id = expect.violates(i);
    if (!contains(oracles, id)) {
      draft.report(expect, "violates", i, Draft::Point::kValue,
                   cat("there is no oracle ", in_quotes(id)), suggestion(id, "oracles", oracles));
    } else if (std::find(out.violates.begin(), out.violates.begin() + i, id) !=
               out.violates.begin() + i) {
      draft.report(expect, "violates", i, Draft::Point::kValue,
                   cat("oracle ", in_quotes(id), " is given twice"), "each oracle once");
    }
  }
  out.migrated.assign(expect.migrated().begin(), expect.migrated().end());
  for (int i = 0; i < expect.migrated_size(); ++i) {
    const std::string& id = expect.migrated(i);
    if (!draft.known_node(expect, "migrated", i, id, Draft::Selectors::kNo) ||
        contains(draft.moved, id))
      continue;
    draft.report(expect, "migrated", i, Draft::Point::kValue,
                 cat("no migration moves node ", in_quotes(id)),
                 cat("moved: ", draft.moved.empty() ? std::string("none") : join(draft.moved)));
  }
  out.min_committed = expect.min_committed();
  out.unavailable_at_end = expect.unavailable_at_end();
  if (!expect.has_max_ack_gap()) return;
  sim::Nanos longest = 0;
  draft.positive_duration(expect, "max_ack_gap", expect.max_ack_gap(), &longest);
  if (draft.plan.workload.clients == 0) {
    draft.report(expect, "max_ack_gap", -1, Draft::Point::kName, "max_ack_gap without clients",
                 "workload { clients: N } with N of at least 1");
  }
  out.max_ack_gap = longest;
}

}  // namespace qk::scenarios
