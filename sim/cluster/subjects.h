// What an oracle needs of a run to have something to judge. One rule for a single run, which is
// inconclusive without what it must judge, and for a sweep, whose runs together must judge all that
// any of them has a subject for.
#pragma once

#include <string_view>

#include "sim/cluster/plan.h"

namespace qk::sim {

// `id`: of kOracles. Runs of this plan have something for it to judge; some only by chance: a crash
// must come at the right moment.
bool has_subject(std::string_view id, const Plan& plan);

// Each run of this plan that goes to its end judges it.
bool must_judge(std::string_view id, const Plan& plan);

// It judges migrations only.
bool is_of_migration(std::string_view id);

}  // namespace qk::sim
