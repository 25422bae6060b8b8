// The image between the families of this build, and on directories that real braft wrote: equal
// content bytes from every family, and the same state on the other side, for each ordered pair.
#include <catch2/catch.hpp>

#include "families/builtin.h"
#include "families/local/testdata/golden_support.h"
#include "image/report.h"
#include "image/test_state.h"

namespace qk::image {
namespace {

struct Families : TestDisk {
  families::VolatileMemory memory{1};
  std::vector<std::string> names;

  Families() {
    registry = families::builtin_families(&memory);
    registry.add(toy_family());
    for (const families::FamilyDescriptor& family : registry.all()) names.push_back(family.name);
    REQUIRE(names.size() >= 3);
  }
  std::unique_ptr<Family> open_golden(const std::string& name) {
    REQUIRE(families::golden_archive().unpack(name, fs, path(name)).ok());
    return open("local", name, false);
  }
};

TEST_CASE("content bytes are equal from every family") {
  Families disk;
  std::vector<Exported> images;
  for (const std::string& name : disk.names) {
    auto family = disk.create(name, name);
    fill(*family);
    images.push_back(export_image(*family, name));
    INFO(name);
    REQUIRE(content_of(images.back()) == content_of(images.front()));
    REQUIRE(images.back().totals.state == images.front().totals.state);
  }
}

TEST_CASE("each ordered pair: import of an export gives the state and the content back") {
  Families disk;
  for (const std::string& from : disk.names) {
    auto source = disk.create(cat("from-", from), from);
    fill(*source);
    const Exported image = export_image(*source, from);
    for (const std::string& to : disk.names) {
      INFO(from << " to " << to);
      const std::string name = cat(from, "-", to);
      const absl::Status imported = import_image(disk.import_request(name, to), image.bytes, 333);
      INFO(imported);
      REQUIRE(imported.ok());
      auto copy = disk.open(to, name, false);
      REQUIRE(compare(*source, *copy, 17).equal);
      REQUIRE(content_of(export_image(*copy, to)) == content_of(image));
      // It goes on as an instance of its own.
      append(*copy, 10301, 10302);
      REQUIRE(copy->meta().save({30, ""}).ok());
      REQUIRE(publish(*copy, {10301, 15, {}, {}}, {{"n", "new", {}}}).ok());
    }
  }
}

TEST_CASE("empty logs behind a snapshot, and fresh instances, pass between all families") {
  Families disk;
  for (const std::string& from : disk.names) {
    for (const bool fresh : {true, false}) {
      auto source = disk.create(cat("from-", from, fresh), from);
      if (!fresh) {
        REQUIRE(publish(*source, {8, 2, {"127.0.0.1:1:0:0"}, {}}, {}).ok());
        REQUIRE(source->log().reset(9).ok());
        REQUIRE(source->meta().save({2, ""}).ok());
      }
      const Exported image = export_image(*source, from);
      for (const std::string& to : disk.names) {
        INFO(from << " to " << to << (fresh ? ", fresh" : ""));
        const std::string name = cat(from, "-", to, fresh);
        const absl::Status imported = import_image(disk.import_request(name, to), image.bytes);
        INFO(imported);
        REQUIRE(imported.ok());
        auto copy = disk.open(to, name, false);
        REQUIRE(copy->log().first_index() == (fresh ? 1 : 9));
        REQUIRE(compute_digest(*copy).value() == image.totals.state);
      }
    }
  }
}

// A log whose first entries are nowhere cannot start a node; braft says so, and so does the export.
TEST_CASE("real braft directories go through an image into every family") {
  size_t carried = 0;
  for (const std::string& name : families::golden_cases({"h", "cluster-"})) {
    INFO(name);
    Families disk;
    auto source = disk.open_golden(name);
    const nlohmann::json expected = families::golden_expectation(name);
    auto image = try_export(*source, "local");
    if (!image.ok()) {
      INFO(image.status());
      REQUIRE(to_std(image.status().message()).find("gap") != std::string_view::npos);
      REQUIRE_FALSE(expected["node"]["ok"].get<bool>());
      continue;
    }
    ++carried;
    for (const std::string& to : disk.names) {
      INFO(to);
      const absl::Status imported = import_image(disk.import_request(to, to), image->bytes);
      INFO(imported);
      REQUIRE(imported.ok());
      auto copy = disk.open(to, to, false);
      REQUIRE(content_of(export_image(*copy, to)) == content_of(*image));
      REQUIRE(families::differences(*copy, expected) == std::vector<std::string>{});
    }
  }
  REQUIRE(carried > 20);
}

}  // namespace
}  // namespace qk::image
