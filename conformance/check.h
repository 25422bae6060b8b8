// Check: one executable statement about a storage family, with the ids of the requirements that it
// shows (requirements.h).
//
// Two scopes. An *instance check* runs for every family, in every role that it names, on a
// simulated disk and in a real directory. The context hides the role: the check makes a history,
// applies changes and reads the subject; whether a second family is written along, or whether the
// instance came out of an image, is not its business. A *pair check* runs for every ordered pair
// of families (a family with itself included, with two roots) on both disks.
//
// Everything is driven by the registry: a new family joins without an edit here.
//
// How a group is added. Write `NAME_checks.cc` with one function `std::vector<Check>
// name_checks()`, declare it in groups.h and call it in groups.cc (nothing registers itself). A
// check is a name from the contract's list, its requirement ids, and a function:
//
//   void append_one(InstanceContext& c) {
//     c.begin();                                     // a fresh instance, in whatever role
//     c.apply(append({entry(1)}));                   // must do what the model says
//     c.expect_equal("last index", c.log().last_index(), int64_t{1});
//   }
//   ... checks.push_back(instance_check("BASIC", "append_one", {"SB-17", "SB-30"}, append_one));
//
// begin(), apply() and reopen() compare the subject (and in a dual role both families) with the
// model by themselves; a check adds what is its own point. The first expectation that does not hold
// ends the check. A check that evaluated no expectation at all counts as failed. Do not expect
// anything inside a visitor that a family calls: the check ends by an exception, which must not
// pass through a family.
//
// A check that makes no sense for a family says c.not_applicable(why); that counts apart and is
// printed. One that does not depend on role or disk names fewer of them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "conformance/context.h"
#include "conformance/pair_context.h"

namespace qk::sim::conformance {

inline constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

inline const std::vector<Role> kAllRoles = {Role::kPlain, Role::kPrimary, Role::kMirror,
                                            Role::kImported};
inline const std::vector<Role> kPlainOnly = {Role::kPlain};
inline const std::vector<DiskKind> kBothDisks = {DiskKind::kSimulated, DiskKind::kReal};
inline const std::vector<DiskKind> kSimulatedOnly = {DiskKind::kSimulated};

struct Check {
  std::string group;  // "BASIC"
  std::string name;   // "append_one"
  std::vector<std::string> requirements;
  std::vector<Role> roles = kAllRoles;  // instance checks only
  std::vector<DiskKind> disks = kBothDisks;
  // Exactly one of the two.
  std::function<void(InstanceContext&)> instance;
  std::function<void(PairContext&)> pair;

  Check on(std::vector<DiskKind> where) && {
    disks = std::move(where);
    return std::move(*this);
  }
  Check in(std::vector<Role> which) && {
    roles = std::move(which);
    return std::move(*this);
  }
};

inline Check instance_check(std::string group, std::string name,
                            std::vector<std::string> requirements,
                            std::function<void(InstanceContext&)> run) {
  Check check;
  check.group = std::move(group);
  check.name = std::move(name);
  check.requirements = std::move(requirements);
  check.instance = std::move(run);
  return check;
}

inline Check pair_check(std::string group, std::string name, std::vector<std::string> requirements,
                        std::function<void(PairContext&)> run) {
  Check check;
  check.group = std::move(group);
  check.name = std::move(name);
  check.requirements = std::move(requirements);
  check.pair = std::move(run);
  return check;
}

}  // namespace qk::sim::conformance
