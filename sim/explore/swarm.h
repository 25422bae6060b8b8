// Swarm: each seed draws which kinds of fault are on, and how strong.
//
// A scenario with every fault at one middling rate runs much the same course under every seed: many
// faults mask one another, and what needs none of one kind and many of another never comes. So a
// swarm switches each kind that the scenario has off for about half of the seeds, and makes those
// that stay two times weaker or stronger. One kind always stays.
//
// Kinds: random crashes, partitions, leadership transfers and rollbacks; loss, duplication,
// reordering and late messages on links. What the scenario does not have stays off; scheduled
// faults, and what is expected, stay as they are.
//
// Two things that are no faults are drawn too, half, once or twice what the scenario has: how many
// entries lie between snapshots, and how many clients share the load. In one seed of four, messages
// carry one or two entries at most.
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/plan.h"

namespace qk::sim {

// A function of the plan alone, its seed included; a stream of its own ("swarm") draws, so nothing
// else of the run moves. The hashes stay: they are of the scenario's text.
Plan swarm(Plan plan);

// --set arguments that give a scenario of `plan` what `drawn` has apart from random faults:
// "cluster.link.loss=0.0025".
std::vector<std::string> swarm_overrides(const Plan& plan, const Plan& drawn);

// What is on: "crash every 2000ms, loss 4000 ppm"; "no fault".
std::string swarm_text(const Plan& plan);

}  // namespace qk::sim
