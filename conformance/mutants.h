// Mutants: the product made wrong in one thing, and for each requirement of level M the check that
// then fails. So a check that passes is known to say something: it would not have passed without
// what the requirement demands.
//
// This is the catalogue alone, as `qksim contract` prints it. How each mutant is made is in
// mutants_test.cc, which plants every one of them, around the families, the images and the
// migration of this build, and holds the catalogue to what it sees: the check named here fails, with
// a message that says what is wrong, and without the mutant it passes.
#pragma once

#include <span>
#include <string_view>

namespace qk::sim::conformance {

struct ProductMutant {
  std::string_view name;
  std::string_view what;
};
std::span<const ProductMutant> product_mutants();

// A requirement, a mutant that breaks it, and a check of the requirement which that mutant fails.
struct Kill {
  std::string_view requirement;
  std::string_view mutant;
  std::string_view check;  // "EXPORT/copy_basic"
  std::string_view found;  // a part of its message
};
std::span<const Kill> kills();
// The first one; null: no mutant.
const Kill* kill_of(std::string_view requirement);

}  // namespace qk::sim::conformance
