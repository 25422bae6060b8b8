// Scenes: one change each, and the instances on which they happen; what crash and fault checks
// repeat with another crash or fault each time.
#pragma once

#include <memory>
#include <vector>

#include "conformance/context.h"

namespace qk::sim::conformance {

struct Scene {
  bool fresh = false;  // on a fresh instance instead of the prepared one
  Change change;
};

// The prepared instance holds entries 3..20, term 4 with a vote, and a snapshot at 5.
std::vector<Change> prepared_history();

std::vector<Scene> append_scenes();
// Every operation in each of its forms.
std::vector<Scene> all_scenes();
// One of each operation: for combinations that are many.
std::vector<Scene> few_scenes();

// The two instances that scenes begin with, closed and durable. Not for volatile families.
class Bases {
 public:
  // `c` has not begun; it stays so.
  Bases(InstanceContext& c, const families::FamilyOptions& options);
  // To be forked.
  InstanceContext& of(const Scene& scene) const { return scene.fresh ? *fresh_ : *prepared_; }

 private:
  std::unique_ptr<InstanceContext> fresh_;
  std::unique_ptr<InstanceContext> prepared_;
};

}  // namespace qk::sim::conformance
