// What a disk must keep and may forget, as a few small programs: run against the disk of a run with
// a planted bug of the simulation, which no oracle of a run can see (ora.S2). litmus_test.cc of
// sim/disk has the whole suite for the disk without one.
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/mutant.h"

namespace qk::sim {

// The programs that a disk with this mutant (null: none) answers wrongly, each as a sentence.
std::vector<std::string> broken_litmus(Mutant* mutant);

}  // namespace qk::sim
