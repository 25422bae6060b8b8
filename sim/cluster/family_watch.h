// What each family of a node is really asked to change, told to the oracles (ora.D2, ora.D5): a
// wrapper between a family and its user, below everything that a planted bug may change.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "families/contract/family.h"

namespace qk::sim {

struct AppliedMutation {
  families::Operation operation = families::Operation::kAppend;
  uint64_t digest = 0;  // of what it does
  bool ok = false;
  bool given_up = false;  // a publish that failed and changed nothing
};

// The same families; each mutation of an instance is told, by the root of the instance, when it has
// returned. Bulk loads are not. `opening` is told before an instance is opened.
using ToldOfMutation = std::function<void(const std::string& root, const AppliedMutation&)>;
using ToldOfOpening = std::function<void(const std::string& root)>;
families::Registry watched(const families::Registry& families, const ToldOfMutation& told,
                           const ToldOfOpening& opening);

}  // namespace qk::sim
