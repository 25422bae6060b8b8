// Substitutes: in front of every instance, by its root, another one that a check puts there. What
// opened the root reads and writes the substitute from then on, whether it was opened before or is
// opened after. So a family can be made wrong in any way in which an instance can be, at any
// moment, through the contract alone; the real instance stays as it is.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "families/contract/family.h"

namespace qk::sim::conformance {

class Substitutes {
 public:
  // The families of `real`, each with the substitutes in front.
  explicit Substitutes(const families::Registry& real);
  Substitutes(const Substitutes&) = delete;
  Substitutes& operator=(const Substitutes&) = delete;

  // Must not outlive this, nor may instances that it opened.
  const families::Registry& registry() const { return registry_; }

  // `instance` must stay until clear(), and may have no background work.
  void put(std::string root, families::Family* instance);
  // Opening this root fails; what is open stays so.
  void fail_opens(std::string root, absl::Status error);
  // Everything is real again.
  void clear();

 private:
  class Front;

  families::Registry registry_;
  std::map<std::string, families::Family*, std::less<>> instances_;
  std::map<std::string, absl::Status, std::less<>> errors_;
};

}  // namespace qk::sim::conformance
