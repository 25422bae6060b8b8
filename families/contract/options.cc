#include "families/contract/options.h"

#include <algorithm>

#include "families/base/check.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/base/units.h"

namespace qk::families {

std::string OptionDescriptor::allowed() const {
  switch (kind) {
    case OptionKind::kWord:
      return join(words);
    case OptionKind::kNumber:
      return cat(power_of_two ? "a power of two in " : "", min, "..", max);
    case OptionKind::kSize:
      return cat(power_of_two ? "a power of two in " : "", size_text(min), "..", size_text(max));
  }
  QK_CHECK(false);
}

std::optional<std::string> OptionDescriptor::normal(std::string_view text) const {
  if (kind == OptionKind::kWord) {
    if (std::find(words.begin(), words.end(), text) == words.end()) return std::nullopt;
    return std::string(text);
  }
  std::optional<uint64_t> value = whole_number(text);
  if (!value && kind == OptionKind::kSize) value = with_unit(text, kSizeUnits, max);
  if (!value || *value < min || *value > max) return std::nullopt;
  if (power_of_two && (*value & (*value - 1)) != 0) return std::nullopt;
  return cat(*value);
}

OptionDescriptor word_option(std::string_view name, std::vector<std::string> words) {
  QK_CHECK(!words.empty());
  OptionDescriptor option;
  option.name = name;
  option.default_value = words.front();
  option.words = std::move(words);
  return option;
}

OptionDescriptor number_option(std::string_view name, uint64_t value, uint64_t min, uint64_t max) {
  return {.name = std::string(name),
          .kind = OptionKind::kNumber,
          .default_value = cat(value),
          .min = min,
          .max = max};
}

OptionDescriptor size_option(std::string_view name, uint64_t bytes, uint64_t min, uint64_t max) {
  return {.name = std::string(name),
          .kind = OptionKind::kSize,
          .default_value = size_text(bytes),
          .min = min,
          .max = max};
}

const std::string& OptionValues::word(std::string_view name) const {
  const auto it = words_.find(name);
  QK_CHECK(it != words_.end());
  return it->second;
}

uint64_t OptionValues::number(std::string_view name) const {
  const auto it = numbers_.find(name);
  QK_CHECK(it != numbers_.end());
  return it->second;
}

absl::StatusOr<OptionValues> read_options(std::string_view family,
                                          const std::vector<OptionDescriptor>& options,
                                          const FamilyOptions& given) {
  for (const auto& one : given) {
    const std::string& name = one.first;
    if (std::any_of(options.begin(), options.end(),
                    [&](const OptionDescriptor& option) { return option.name == name; })) {
      continue;
    }
    std::vector<std::string> names;
    for (const OptionDescriptor& option : options) names.push_back(option.name);
    return absl::InvalidArgumentError(
        cat("family ", family, " has no option \"", name,
            "\"; allowed: ", names.empty() ? std::string("none") : join(names)));
  }
  OptionValues values;
  for (const OptionDescriptor& option : options) {
    const auto it = given.find(option.name);
    const std::string& text = it == given.end() ? option.default_value : it->second;
    const std::optional<std::string> value = option.normal(text);
    if (!value) {
      return absl::InvalidArgumentError(cat("family ", family, ": option ", option.name,
                                            ": found \"", text, "\", expected ", option.allowed()));
    }
    if (option.kind == OptionKind::kWord) {
      values.words_.emplace(option.name, *value);
    } else {
      values.numbers_.emplace(option.name, *whole_number(*value));
    }
  }
  return values;
}

}  // namespace qk::families
