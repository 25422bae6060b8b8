// Directories that an older version handled wrongly (testdata/braft-directories.tar.gz).
#include <catch2/catch.hpp>

#include "families/local/local_family.h"
#include "families/testing/golden.h"
#include "families/testing/golden_support.h"
#include "families/testing/scratch_disk.h"
#include "families/testing/util.h"

namespace qk::families {
namespace {

class Case {
 public:
  explicit Case(std::string_view name) : name_(name) {
    REQUIRE_OK(archive_);
    REQUIRE_OK(archive_->unpack(name_, disk_.fs(), disk_.path()));
  }
  absl::StatusOr<std::unique_ptr<Family>> open() {
    return local_family().open(
        {.fs = &disk_.fs(), .root = disk_.path(), .create = false, .options = {}});
  }
  std::vector<std::string> changes() {
    return tree_differences(read_tree(disk_.fs(), disk_.path()), *archive_->tree(name_));
  }

 private:
  const std::string name_;
  absl::StatusOr<GoldenArchive> archive_ =
      GoldenArchive::load(cat(QK_SOURCE_DIR, "/families/local/testdata/braft-directories.tar.gz"));
  ScratchDisk disk_;
};

TEST_CASE("zero-payload-flip: 26 acknowledged entries, one bit of entry 6 flipped") {
  Case flipped("zero-payload-flip");
  const absl::Status status = flipped.open().status();
  INFO(status);
  REQUIRE(absl::IsDataLoss(status));
  CHECK_THAT(std::string(status.message()),
             Catch::Contains("index 6: ") &&

                 Catch::Contains("an intact entry follows at offset"));
  CHECK(flipped.changes() == std::vector<std::string>{});
}

TEST_CASE("note-then-braft: what braft wrote after a killed truncation of ours stays") {
  Case noted("note-then-braft");
  for (int round = 0; round < 2; ++round) {
    const auto family = noted.open();
    REQUIRE_OK(family);
    LogStorage& log = (*family)->log();
    CHECK(log.first_index() == 1);
    CHECK(log.last_index() == 20);
    CHECK(log.scan(1, 20, [](const LogEntry&) { return absl::OkStatus(); }).ok());
    CHECK((*family)->meta().hard_state().term == 8);
    CHECK_FALSE((*family)->meta().hard_state().voted_for.empty());
  }
}

// image_families_test carries it through every family and back.
TEST_CASE("leading-slash: a snapshot whose table lists /max_id.json is healthy") {
  Case listed("leading-slash");
  {
    const auto family = listed.open();
    REQUIRE_OK(family);
    const auto reader = (*family)->snapshot().open();
    REQUIRE_OK(reader);
    CHECK((*reader)->files() == std::vector<SnapshotFile>{{"/max_id.json", {}}, {"dir/x", {}}});
    const auto file = (*reader)->open_file("/max_id.json");
    REQUIRE_OK(file);
    CHECK((*file)->size().value() > 0);
    CHECK(absl::IsNotFound((*reader)->open_file("max_id.json").status()));
  }
  CHECK(listed.changes() == std::vector<std::string>{});
}

}  // namespace
}  // namespace qk::families
