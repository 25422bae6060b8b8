// Directories of real braft, opened by the local family: healthy ones, those of a real cluster and
// those that a killed process left. The logical state must be the one that braft read.
#include <catch2/catch.hpp>

#include "families/local/local_family.h"
#include "families/testing/golden_support.h"
#include "families/testing/scratch_disk.h"

namespace qk::families {
namespace {

// No case is excepted. Where braft was killed inside a reset, the directory shows half of it,
// entries that were reset live on, and it says no more to us than to braft; our own reset cannot be
// interrupted like that.
TEST_CASE("every healthy, killed and cluster case opens with the state that braft reads") {
  const std::vector<std::string> names = golden_cases({"h", "k-", "cluster-"});
  REQUIRE(names.size() > 80);
  for (const std::string& name : names) {
    INFO(name);
    const nlohmann::json expected = golden_expectation(name);
    REQUIRE(expected["log"]["ok"].get<bool>());
    ScratchDisk disk;
    REQUIRE(golden_archive().unpack(name, disk.fs(), disk.path()).ok());
    // Twice: what the first open repaired must read the same.
    for (int round = 0; round < 2; ++round) {
      INFO("open " << round);
      const auto family = local_family().open(
          {.fs = &disk.fs(), .root = disk.path(), .create = true, .options = {}});
      INFO(family.status());
      REQUIRE(family.ok());
      CHECK(differences(**family, expected) == std::vector<std::string>{});
    }
  }
}

TEST_CASE("the archive refuses what it does not hold") {
  CHECK(absl::IsNotFound(golden_archive().file("h01-empty", "nothing").status()));
  CHECK(absl::IsNotFound(golden_archive().tree("nothing").status()));
  CHECK_FALSE(GoldenArchive::load("/nonexistent.tar.gz").ok());
  const auto tree = golden_archive().tree("h01-empty");
  REQUIRE(tree.ok());
  CHECK(tree->directories == std::vector<std::string>{"log", "raft_meta", "snapshot"});
  CHECK(tree->files.size() == 1);
}

}  // namespace
}  // namespace qk::families
