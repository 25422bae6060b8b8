// Options of a family: kind, bounds and default of each, written once, in the family's descriptor.
// From there come the check of what is given, the values that a family opens with, what `families
// show` prints, and the limits of a store in a scenario.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "families/base/status.h"

namespace qk::families {

// What is given: text by the option's name. An option that is left out has its default.
using FamilyOptions = std::map<std::string, std::string, std::less<>>;

enum class OptionKind : uint8_t {
  kWord,    // one of a list
  kNumber,  // a whole number
  kSize,    // bytes: "65536" or "64KiB"
};

struct OptionDescriptor {
  std::string name;
  OptionKind kind = OptionKind::kWord;
  std::string default_value;
  std::vector<std::string> words = {};  // kWord only
  // Of the others, both included.
  uint64_t min = 0;
  uint64_t max = 0;
  bool power_of_two = false;

  // What is allowed, for messages: "WAL, DELETE, TRUNCATE", "1..64", "64KiB..256MiB".
  std::string allowed() const;
  // The one form in which an allowed value is kept: a word as it is, a number and a size in digits.
  // nullopt: not allowed.
  std::optional<std::string> normal(std::string_view text) const;
};

// The first word is the default.
OptionDescriptor word_option(std::string_view name, std::vector<std::string> words);
OptionDescriptor number_option(std::string_view name, uint64_t value, uint64_t min, uint64_t max);
OptionDescriptor size_option(std::string_view name, uint64_t bytes, uint64_t min, uint64_t max);

// The value of every option of a family. Asking for an option that it does not have, or for one of
// another kind, is a bug.
class OptionValues {
 public:
  const std::string& word(std::string_view name) const;
  uint64_t number(std::string_view name) const;  // bytes, of a size

 private:
  friend absl::StatusOr<OptionValues> read_options(std::string_view,
                                                   const std::vector<OptionDescriptor>&,
                                                   const FamilyOptions&);
  std::map<std::string, std::string, std::less<>> words_;
  std::map<std::string, uint64_t, std::less<>> numbers_;
};

// What is given, and the defaults of the rest. InvalidArgument names the family, the option, what
// was found and what is allowed.
absl::StatusOr<OptionValues> read_options(std::string_view family,
                                          const std::vector<OptionDescriptor>& options,
                                          const FamilyOptions& given);

}  // namespace qk::families
