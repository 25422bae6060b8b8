// Builds the plan that a scenario means, and says everything that is wrong with it: all semantic
// errors of one pass, up to kMaxDiagnostics.
#pragma once

#include <vector>

#include "families/contract/family.h"
#include "scenarios/diagnostic.h"
#include "scenarios/initial_tree.h"
#include "scenarios/source.h"
#include "sim/cluster/plan.h"

namespace qk::scenarios {

// The plan is complete but for seed and hashes, and only meaningful if nothing was appended
// to `diagnostics`.
sim::Plan build_plan(ParsedSource& source, const families::Registry& registry,
                     const TreeResolver& resolve, std::vector<Diagnostic>* diagnostics);

}  // namespace qk::scenarios
