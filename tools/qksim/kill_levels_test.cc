// The kill curves of `qksim selftest` say of a planted bug that no scenario shows which check of the
// suite, or which unit test, kills it. Here that is held to what there is.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "conformance/mutants.h"
#include "families/base/strings.h"
#include "sim/explore/planted.h"

namespace qk::cli {
namespace {

std::string text_of_test(const std::string& name) {
  const std::filesystem::path root(QK_SOURCE_DIR);
  for (const char* room : {"families", "image", "migration", "sim", "scenarios", "conformance"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / room)) {
      if (entry.path().filename() != cat(name, ".cc")) continue;
      std::ostringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      return text.str();
    }
  }
  return {};
}

TEST_CASE("what no scenario kills is killed where the catalogue says") {
  constexpr std::string_view kConformance = "conformance ";
  constexpr std::string_view kUnit = "unit ";
  uint64_t named = 0;
  for (const sim::PlantedBug& bug : sim::planted_bugs()) {
    if (bug.killed_by.empty()) continue;
    INFO(bug.name << " by " << bug.killed_by);
    ++named;
    CHECK_FALSE(bug.survives.empty());
    std::string_view by = bug.killed_by;
    if (by.starts_with(kConformance)) {
      by.remove_prefix(kConformance.size());
      bool planted = false;
      for (const sim::conformance::Kill& kill : sim::conformance::kills()) {
        planted = planted || (kill.mutant == bug.name && kill.check == by);
      }
      CHECK(planted);
      continue;
    }
    REQUIRE(by.starts_with(kUnit));
    by.remove_prefix(kUnit.size());
    const size_t comma = by.find(", ");
    REQUIRE(comma != std::string_view::npos);
    const std::string text = text_of_test(std::string(by.substr(0, comma)));
    CHECK(text.find(cat("TEST_CASE(", by.substr(comma + 2), ")")) != std::string::npos);
  }
  CHECK(named > 0);
}

}  // namespace
}  // namespace qk::cli
