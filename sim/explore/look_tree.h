// LookTree: states of a disk by what a start looked at of them. A state that shows the same as an
// earlier one at every look of that one's start would go the same way: it has the same answer.
//
// A start is deterministic: what it looks at next depends on what it has seen. So starts from the
// states of one instant are the paths of a tree. From states of two instants they may part without
// having seen anything different, because the world around the disk is another one; then a place in
// the tree has two continuations, and a state is compared with both.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sim/disk/sim_disk.h"

namespace qk::sim {

class LookTree {
 public:
  // The number that add() was given with a state that showed the same; nullopt: there is none.
  std::optional<size_t> find(const SimDisk& state) const;
  void add(const SimDisk& state, std::span<const DiskLook> looks, size_t answer);

 private:
  struct Place;
  struct Continuation {
    DiskLook look;
    std::map<uint64_t, std::unique_ptr<Place>> by_shown;
  };
  struct Place {
    std::optional<size_t> answer;  // somebody's looks end here
    std::vector<Continuation> next;
  };

  static std::optional<size_t> find(const Place& place, const SimDisk& state);

  Place root_;
};

}  // namespace qk::sim
