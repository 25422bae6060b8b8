// The same mutations, the same bytes: each healthy case comes with the script that drove real
// braft; here it drives the local family on a fresh directory, and both trees must be identical.
#include "families/testing/golden_script.h"

#include <catch2/catch.hpp>

#include "families/local/local_family.h"
#include "families/testing/golden_support.h"

namespace qk::families {
namespace {

// braft removes segments in the background; none of the healthy cases was taken before that had
// ended, so there is no exception.
TEST_CASE("the scripts of all healthy cases give braft's bytes") {
  const std::vector<std::string> names = golden_cases({"h"});
  REQUIRE(names.size() > 30);
  for (const std::string& name : names) {
    INFO(name);
    CHECK(script_differences(local_family(), name) == std::vector<std::string>{});
  }
}

}  // namespace
}  // namespace qk::families
