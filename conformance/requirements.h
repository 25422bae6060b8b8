// The requirement catalogue: every demand of QuorumKit's public contract pages, by id. Checks cite
// these ids, and `qksim contract` joins them with what the checks have shown.
//
//   SB  storage backend contract          CI  canonical bootstrap image
//   EV  state equivalence and validation  RM  rolling migration
//   WC  wire compatibility                BC  braft compatibility, storage items
//
// Ids with an X are rules that this project adds. Not here: how a requirement is shown; that is
// what the checks' own lists of ids say.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qk::sim::conformance {

enum class Level : uint8_t {
  kMust,
  kShould,
  kMay,
  kNormative,  // normative text without a keyword
  kOwn,        // a rule that this project adds
};
std::string_view to_string(Level level);

struct Requirement {
  std::string id;  // "SB-18"
  Level level = Level::kMust;
  std::string text;
};

// In the order of the contract.
const std::vector<Requirement>& requirements();
const Requirement* find_requirement(std::string_view id);
// "SB-18" -> "SB"
std::string_view section_of(std::string_view id);

}  // namespace qk::sim::conformance
