// Damaged directories and leftovers of crashes: never a crash of ours, never a log that became
// shorter without an error except by a torn end of the open segment. The verdicts are in
// DAMAGED.md, one row per case; here each is held against what happens.
#include <algorithm>
#include <catch2/catch.hpp>
#include <charconv>
#include <fstream>
#include <sstream>

#include "families/local/local_family.h"
#include "families/testing/golden_support.h"
#include "families/testing/scratch_disk.h"

namespace qk::families {
namespace {

struct Row {
  std::string name;
  std::string damage;
  std::string braft;
  std::string here;
  std::string why;
};

std::string trimmed(std::string text) {
  text.erase(0, text.find_first_not_of(' '));
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

// The rows of the table in DAMAGED.md.
std::vector<Row> table() {
  std::ifstream file(QK_SOURCE_DIR "/families/local/DAMAGED.md");
  std::vector<Row> rows;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("| d", 0) != 0) continue;
    std::istringstream cells(line.substr(1));
    Row row;
    for (std::string* cell : {&row.name, &row.damage, &row.braft, &row.here, &row.why}) {
      std::getline(cells, *cell, '|');
      *cell = trimmed(*cell);
    }
    rows.push_back(row);
  }
  return rows;
}

// What the column "braft" must say.
std::string braft_verdict(const nlohmann::json& expected) {
  std::string refused;
  for (const char* part : {"log", "raft_meta", "snapshot"}) {
    if (!expected[part]["ok"].get<bool>()) refused += cat(refused.empty() ? "" : ", ", part);
  }
  if (!refused.empty()) return cat("refuses ", refused);
  const nlohmann::json& log = expected["log"];
  std::string text = cat("log ", log["first_log_index"].get<int64_t>(), "..",
                         log["last_log_index"].get<int64_t>());
  if (const auto unreadable = log.find("unreadable_entries"); unreadable != log.end()) {
    text += cat(", ", unreadable->get<int64_t>(), " unreadable");
  }
  return text;
}

class Opened {
 public:
  explicit Opened(std::string_view name) {
    REQUIRE(golden_archive().unpack(name, disk_.fs(), disk_.path()).ok());
  }
  absl::StatusOr<std::unique_ptr<Family>> open() {
    return local_family().open(
        {.fs = &disk_.fs(), .root = disk_.path(), .create = true, .options = {}});
  }
  GoldenArchive::Tree tree() { return read_tree(disk_.fs(), disk_.path()); }

 private:
  ScratchDisk disk_;
};

// "refuses: `text`" -> text.
std::string refusal(const Row& row) {
  const std::string prefix = "refuses: `";
  if (row.here.rfind(prefix, 0) != 0) return "";
  return row.here.substr(prefix.size(), row.here.size() - prefix.size() - 1);
}

void check_refusal(const Row& row) {
  Opened opened(row.name);
  const absl::Status status = opened.open().status();
  REQUIRE(absl::IsDataLoss(status));
  CHECK_THAT(std::string(status.message()), Catch::Contains(refusal(row)));
  CHECK(tree_differences(opened.tree(), *golden_archive().tree(row.name)) ==
        std::vector<std::string>{});
}

void check_state(const Row& row) {
  const nlohmann::json expected = golden_expectation(row.name);
  Opened opened(row.name);
  for (int round = 0; round < 2; ++round) {
    const auto family = opened.open();
    INFO(family.status());
    REQUIRE(family.ok());
    if (row.here == "as braft") {
      CHECK(differences(**family, expected) == std::vector<std::string>{});
      continue;
    }
    LogStorage& log = (*family)->log();
    CHECK(row.here == cat("log ", log.first_index(), "..", log.last_index()));
    CHECK(log.scan(log.first_index(), log.last_index(),
                   [](const LogEntry&) { return absl::OkStatus(); })
              .ok());
    CHECK(meta_differences((*family)->meta(), expected["raft_meta"]) == std::vector<std::string>{});
  }
}

TEST_CASE("the table names every damaged case and says of each what braft said") {
  std::vector<std::string> names;
  for (const Row& row : table()) {
    INFO(row.name);
    names.push_back(row.name);
    CHECK_FALSE(row.damage.empty());
    CHECK(row.braft == braft_verdict(golden_expectation(row.name)));
    // A deviation has its reason: we refuse or cut what braft opens, or open what it refuses.
    const bool both_refuse = row.braft.rfind("refuses", 0) == 0 && !refusal(row).empty();
    if (row.here != "as braft" && !both_refuse) CHECK_FALSE(row.why.empty());
  }
  CHECK(names == golden_cases({"d"}));
}

TEST_CASE("every damaged case has its verdict") {
  for (const Row& row : table()) {
    INFO(row.name);
    if (refusal(row).empty()) {
      check_state(row);
    } else {
      check_refusal(row);
    }
  }
}

TEST_CASE("a listed snapshot file that is missing can be listed, but not read") {
  Opened opened("d57-snap-file-missing");
  const auto family = opened.open();
  REQUIRE(family.ok());
  const auto reader = (*family)->snapshot().open();
  REQUIRE(reader.ok());
  REQUIRE((*reader)->files().size() == 2);
  CHECK((*reader)->open_file("data").ok());
  CHECK(absl::IsDataLoss((*reader)->open_file("other").status()));
  CHECK(absl::IsNotFound((*reader)->open_file("unlisted").status()));
}

}  // namespace
}  // namespace qk::families
