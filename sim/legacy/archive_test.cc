// Braft as shipped beside real braft: every directory of the archive, the damaged ones included, is read
// as real braft read it, refused where it was refused, and left as it was left; with errno 0 when a
// storage is opened, and with a stale ENOENT.
#include <algorithm>
#include <catch2/catch.hpp>

#include "families/fs/file_util.h"
#include "families/testing/golden_script.h"
#include "families/testing/golden_support.h"
#include "families/testing/scratch_disk.h"
#include "sim/legacy/legacy_family.h"

namespace qk::sim {
namespace {

using nlohmann::json;

// "name size" of each name in a directory, -1 for a directory.
std::vector<std::string> listing(const json& files) {
  std::vector<std::string> lines;
  for (const json& file : files) {
    lines.push_back(cat(file["name"].get<std::string>(), " ", file["size"].get<int64_t>()));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::vector<std::string> listing(families::FileSystem& fs, const std::string& directory) {
  std::vector<std::string> lines;
  const auto names = fs.list(directory);
  REQUIRE(names.ok());
  for (const std::string& name : *names) {
    const auto stat = fs.stat(families::join_path(directory, name));
    REQUIRE(stat.ok());
    const bool file = stat->kind == families::FileKind::kFile;
    lines.push_back(cat(name, " ", file ? static_cast<int64_t>(stat->size) : -1));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

void check_case(const std::string& name, const char* stale_errno, const json& expected) {
  INFO(name << ", errno " << stale_errno);
  families::ScratchDisk disk;
  REQUIRE(families::golden_archive().unpack(name, disk.fs(), disk.path()).ok());
  const auto family = legacy_family().open({.fs = &disk.fs(),
                                            .root = disk.path(),
                                            .create = true,
                                            .options = {{"stale_errno", stale_errno}}});
  INFO(family.status());
  const bool log_opens = expected["log"]["ok"].get<bool>();
  CHECK(family.ok() == (log_opens && expected["raft_meta"]["ok"].get<bool>()));
  // A part that braft tries after one that it refused is not opened here.
  for (const char* part : {"log", "snapshot", "raft_meta"}) {
    INFO(part);
    CHECK(listing(disk.fs(), families::join_path(disk.path(), part)) ==
          listing(expected[part]["files_after"]));
    if (!log_opens) return;
  }
  if (!family.ok()) return;
  CHECK(families::differences(**family, expected) == std::vector<std::string>{});
}

TEST_CASE("every directory of the archive is read, refused and left as real braft does") {
  const std::vector<std::string> names = families::golden_cases({"h", "d", "k-", "cluster-"});
  REQUIRE(names.size() == 136);
  for (const std::string& name : names) {
    check_case(name, "NONE", families::golden_expectation(name));
  }
}

TEST_CASE("a stale errno makes of a short record a missing one, as in real braft") {
  size_t cases = 0;
  for (const std::string& name : families::golden_cases({"h", "d", "k-", "cluster-"})) {
    const std::string_view file = "expected_stale_enoent.json";
    if (!families::golden_archive().file(name, file).ok()) continue;
    ++cases;
    check_case(name, "ENOENT", families::golden_expectation(name, file));
  }
  CHECK(cases == 4);
}

TEST_CASE("the same mutations give the same bytes as real braft's") {
  for (const std::string& name : families::golden_cases({"h"})) {
    INFO(name);
    CHECK(families::script_differences(legacy_family(), name) == std::vector<std::string>{});
  }
}

}  // namespace
}  // namespace qk::sim
