#include "scenarios/plan_builder.h"

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "scenarios/sections.h"

namespace qk::scenarios {
namespace {

constexpr std::string_view kFileSuffix = ".qks.txtpb";

void build_name(Draft& draft) {
  const qksim::Scenario& scenario = draft.scenario();
  draft.plan.name = scenario.name();
  if (!scenario.has_name()) {
    draft.missing(scenario, "name", "it equals the file's name without .qks.txtpb");
    return;
  }
  std::string_view stem = draft.source().file();
  if (!stem.ends_with(kFileSuffix)) return;  // a copy under another name, as in a run directory
  stem.remove_suffix(kFileSuffix.size());
  stem = stem.substr(stem.rfind('/') + 1);
  if (scenario.name() != stem) {
    draft.report(
        scenario, "name", -1, Draft::Point::kValue,
        cat("name ", in_quotes(scenario.name()), " differs from the file's, ", in_quotes(stem)),
        cat("rename the file, or write name: ", in_quotes(stem)));
  }
}

}  // namespace

sim::Plan build_plan(ParsedSource& source, const families::Registry& registry,
                     const TreeResolver& resolve, std::vector<Diagnostic>* diagnostics) {
  Draft draft(source, registry, resolve, diagnostics);
  const qksim::Scenario& scenario = draft.scenario();
  build_name(draft);
  draft.positive_duration(scenario, "run_for", scenario.run_for(), &draft.plan.run_for);
  draft.plan.planted = scenario.planted();
  if (scenario.has_until()) {
    sim::Nanos until = 0;
    draft.positive_duration(scenario, "until", scenario.until(), &until);
    draft.plan.until = until;
  }
  build_stores(draft);
  build_cluster(draft);
  build_migrations(draft);
  build_workload(draft);
  build_faults(draft);
  build_expect(draft);
  return std::move(draft.plan);
}

}  // namespace qk::scenarios
