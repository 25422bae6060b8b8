// EndState: in what state a run leaves its cluster. Clients go quiet before the end, so what they
// saw says nothing about it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "families/contract/types.h"
#include "sim/cluster/node.h"

namespace qk::sim {

// Why nobody would be answered now: no node leads, or the one that does is followed by fewer voters
// of its configuration than a majority, itself included. nullopt: there is such a leader.
std::optional<std::string> leaderless(const std::vector<SimNode*>& nodes);

// Why a committed entry may be lost: no quorum of `configuration` has it, on a disk or, of a
// volatile family, in memory. nullopt: one has.
std::optional<std::string> lost_commit(const std::vector<SimNode*>& nodes,
                                       const families::Configuration& configuration, int64_t index,
                                       int64_t term);

}  // namespace qk::sim
