// Whether the directories that the nodes of a plan begin with are of one cluster: judged before a
// run, because what comes of two clusters on one network is no finding about what runs.
#pragma once

#include <string>
#include <vector>

#include "families/contract/types.h"
#include "sim/check/state_image.h"
#include "sim/cluster/plan.h"

namespace qk::sim {

// What a node that begins with a directory makes of it, alone.
struct InitialState {
  size_t node = 0;  // position in ClusterPlan::nodes
  StateImage state;

  // The last configuration in it; empty: none, so that the node takes the plan's.
  families::Configuration configuration() const;
};

// `states`: of all nodes that begin with a directory and can. Refused: a node that begins fresh
// although a directory names it as a voter, which would have forgotten its log and its vote; two
// configurations of which each can elect a leader without the other; logs that no one cluster can
// have (ora.R4).
std::vector<BadStart> check_one_cluster(const Plan& plan, const std::vector<InitialState>& states);

}  // namespace qk::sim
