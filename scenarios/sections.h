// The sections of a scenario, each in a file of its own: what it says becomes a part of the plan,
// what is wrong with it a complaint. They are built in this order, because later ones name what
// earlier ones made.
#pragma once

#include <string>
#include <vector>

#include "scenarios/draft.h"

namespace qk::scenarios {

void build_stores(Draft& draft);
void build_cluster(Draft& draft);
void build_migrations(Draft& draft);
void build_workload(Draft& draft);
void build_faults(Draft& draft);
void build_expect(Draft& draft);

// A part of build_cluster().
void build_nodes(Draft& draft, const qksim::Cluster& cluster);
// Those that the schema has a store of.
std::vector<std::string> family_names();
// The name of the family that a field of Store stands for.
std::string registered_name(std::string field);

}  // namespace qk::scenarios
