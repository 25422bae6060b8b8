// What an open instance answers when the fate of a mutation is unknown: until it is opened
// again, everything that it says fits one of the states that the mutation may have left, the same
// one throughout. An answer may be an error instead, as long as it does not read as "there is
// none".
//
// It asks for every entry and term by itself, for all entries at once, for what lies beside the
// log, for the hard state, and for the snapshot with its files.
#pragma once

#include <string>
#include <vector>

#include "conformance/model.h"

namespace qk::sim::conformance {

// "" if the answers fit one of `states`; otherwise how they miss the first and the last.
std::string misfit(families::Family& family, const std::vector<State>& states);

}  // namespace qk::sim::conformance
