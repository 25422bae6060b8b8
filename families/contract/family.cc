#include "families/contract/family.h"

#include <algorithm>

#include "base/check.h"

namespace qk::families {
namespace {

// Edit distance, for "did you mean".
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

void Registry::add(FamilyDescriptor descriptor) {
  QK_CHECK(!descriptor.name.empty());
  QK_CHECK(find(descriptor.name) == nullptr);
  QK_CHECK(!descriptor.format_version.empty());
  QK_CHECK(!descriptor.root_names.empty());
  QK_CHECK(descriptor.partials != nullptr);
  QK_CHECK(descriptor.open != nullptr);
  families_.push_back(std::move(descriptor));
}

const FamilyDescriptor* Registry::find(std::string_view name) const {
  const auto it = std::find_if(families_.begin(), families_.end(),
                               [&](const FamilyDescriptor& f) { return f.name == name; });
  return it == families_.end() ? nullptr : &*it;
}

absl::StatusOr<const FamilyDescriptor*> Registry::get(std::string_view name) const {
  if (const FamilyDescriptor* found = find(name)) return found;
  std::string names;
  const FamilyDescriptor* nearest = nullptr;
  for (const FamilyDescriptor& family : families_) {
    names += cat(names.empty() ? "" : ", ", family.name);
    if (nearest == nullptr || distance(name, family.name) < distance(name, nearest->name)) {
      nearest = &family;
    }
  }
  std::string message = cat("unknown storage family \"", name, "\"; built in: ", names);
  if (nearest != nullptr && distance(name, nearest->name) <= 2) {
    message += cat("; did you mean \"", nearest->name, "\"?");
  }
  return absl::NotFoundError(message);
}

absl::StatusOr<std::unique_ptr<Family>> open_family(const Registry& registry, std::string_view name,
                                                    const OpenRequest& request) {
  QK_ASSIGN_OR_RETURN(const FamilyDescriptor* descriptor, registry.get(name));
  for (const auto& [option, value] : request.options) {
    const bool known = std::any_of(descriptor->options.begin(), descriptor->options.end(),
                                   [&](const OptionDescriptor& o) { return o.name == option; });
    if (known) continue;
    std::string names;
    for (const OptionDescriptor& o : descriptor->options) {
      names += cat(names.empty() ? "" : ", ", o.name);
    }
    return absl::InvalidArgumentError(
        cat("family ", name, " has no option \"", option, "\"; allowed: ", names));
  }
  return descriptor->open(request);
}

}  // namespace qk::families
