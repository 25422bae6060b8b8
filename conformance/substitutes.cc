#include "conformance/substitutes.h"

#include <memory>
#include <utility>

#include "families/contract/family_wrapper.h"

namespace qk::sim::conformance {

using families::Family;

class Substitutes::Front final : public families::FamilyWrapper {
 public:
  Front(Substitutes* owner, std::string root, std::unique_ptr<Family> real)
      : FamilyWrapper(std::move(real)), owner_(*owner), root_(std::move(root)) {}

  families::LogStorage& log() override { return now().log(); }
  families::MetaStorage& meta() override { return now().meta(); }
  families::SnapshotStorage& snapshot() override { return now().snapshot(); }

 private:
  Family& now() {
    const auto found = owner_.instances_.find(root_);
    return found == owner_.instances_.end() ? inner() : *found->second;
  }

  const Substitutes& owner_;
  const std::string root_;
};

Substitutes::Substitutes(const families::Registry& real) {
  for (families::FamilyDescriptor descriptor : real.all()) {
    descriptor.open =
        [this, open = std::move(descriptor.open)](
            const families::OpenRequest& request) -> absl::StatusOr<std::unique_ptr<Family>> {
      const auto error = errors_.find(request.root);
      if (error != errors_.end()) return error->second;
      QK_ASSIGN_OR_RETURN(auto opened, open(request));
      return std::make_unique<Front>(this, request.root, std::move(opened));
    };
    registry_.add(std::move(descriptor));
  }
}

void Substitutes::put(std::string root, Family* instance) {
  instances_[std::move(root)] = instance;
}

void Substitutes::fail_opens(std::string root, absl::Status error) {
  errors_[std::move(root)] = std::move(error);
}

void Substitutes::clear() {
  instances_.clear();
  errors_.clear();
}

}  // namespace qk::sim::conformance
