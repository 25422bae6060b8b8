#include "families/contract/family.h"

#include <algorithm>

#include "families/base/check.h"
#include "families/base/suggest.h"
#include "families/contract/uri.h"

namespace qk::families {

bool PartPaths::split() const {
  return log.starts_with('/') || raft_meta.starts_with('/') || snapshot.starts_with('/');
}

absl::Status check_synchronous(const FamilyDescriptor& family, const FamilyOptions& options) {
  std::string reason;
  if (family.volatility == Volatility::kVolatile) {
    reason = "nothing of it survives a crash";
  } else if (family.weakness != nullptr) {
    reason = family.weakness(options);
  }
  if (reason.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      cat("family ", family.name, " may lose what it acknowledged: ", reason, " (A-1)"));
}

void Registry::add(FamilyDescriptor descriptor) {
  QK_CHECK(!descriptor.name.empty());
  QK_CHECK(find(descriptor.name) == nullptr);
  QK_CHECK(!descriptor.format_version.empty());
  QK_CHECK(!descriptor.root_names.empty());
  QK_CHECK(descriptor.partials != nullptr);
  QK_CHECK(descriptor.open != nullptr);
  // The defaults are legal.
  QK_CHECK(read_options(descriptor.name, descriptor.options, {}).ok());
  families_.push_back(std::move(descriptor));
}

const FamilyDescriptor* Registry::find(std::string_view name) const {
  const auto it = std::find_if(families_.begin(), families_.end(),
                               [&](const FamilyDescriptor& f) { return f.name == name; });
  return it == families_.end() ? nullptr : &*it;
}

absl::StatusOr<const FamilyDescriptor*> Registry::get(std::string_view name) const {
  if (const FamilyDescriptor* found = find(name)) return found;
  std::vector<std::string> names;
  for (const FamilyDescriptor& family : families_) names.push_back(family.name);
  std::string message = cat("unknown storage family \"", name, "\"; built in: ", join(names));
  if (const std::string_view near = nearest(name, names); !near.empty()) {
    message += cat("; did you mean \"", near, "\"?");
  }
  return absl::NotFoundError(message);
}

absl::StatusOr<std::unique_ptr<Family>> open_family(const Registry& registry, std::string_view name,
                                                    const OpenRequest& request) {
  QK_ASSIGN_OR_RETURN(const FamilyDescriptor* descriptor, registry.get(name));
  QK_RETURN_IF_ERROR(read_options(name, descriptor->options, request.options).status());
  QK_RETURN_IF_ERROR(check_part_paths(*descriptor, request.root, request.parts));
  return descriptor->open(request);
}

}  // namespace qk::families
