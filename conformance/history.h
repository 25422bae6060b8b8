// Histories: lists of changes that lead to states from which a node can start (no gap between
// snapshot and log, terms that never go down), as images and pairs need them.
#pragma once

#include <vector>

#include "conformance/bench.h"

namespace qk::sim::conformance {

// Leaves state in every domain, with everything in it that is easily forgotten: a log that does not
// begin at 1, with a no-op, a configuration with old peers, an empty payload and two terms; a vote;
// a snapshot with peers and old peers, nested, empty and non-ASCII files, and file metas with each
// field present, absent and empty.
std::vector<Change> full_history();

// A change that a node could make to `state` next.
Change random_change(RandomStream& random, const State& state);
// `count` of them, from a fresh instance.
std::vector<Change> random_history(RandomStream& random, size_t count);

// Of an instance with this history.
State state_after(const std::vector<Change>& history);

// A history that leads to `state`.
std::vector<Change> history_of(const State& state);

// `count` entries after the log of `state`, of a term that may follow.
Change more_entries(const State& state, int64_t count);

// One change of each operation, in an order in which each one changes `state`, which must hold a
// log of at least three entries.
std::vector<Change> one_of_each(const State& state);

}  // namespace qk::sim::conformance
