// Rule mutants: for each rule of Raft a core that does not follow it, made by a CoreTap around the
// real one. raft_walk_test.cc says which invariant each of them dies by; some are rows of the
// catalogue of planted bugs as well.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "sim/raft/core_tap.h"

namespace qk::raft {

struct RuleMutant {
  std::string_view name;
  std::string_view what;  // is wrong
  // Storage must carry out a mutation of token 0, which nobody waits for; Node has no such thing.
  bool needs_bare_mutations = false;
};

std::span<const RuleMutant> rule_mutants();

// One for each life of a node. `acts` is asked at each occasion. Null: no such mutant.
std::unique_ptr<CoreTap> make_rule_mutant(std::string_view name, std::function<bool()> acts);

}  // namespace qk::raft
