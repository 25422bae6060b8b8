// The pages of docs/ that repeat what code lists: the same ids, in the same order, with the same
// words. What leads from a citation to a page is tools/cmake/check_citations.cmake's business.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <sstream>

#include "conformance/groups.h"
#include "conformance/requirements.h"
#include "sim/check/finding.h"

namespace qk::sim::conformance {
namespace {

using Row = std::vector<std::string>;

std::string trimmed(std::string text) {
  text.erase(0, text.find_first_not_of(' '));
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

// The rows of all tables in one numbered section of a page.
std::vector<Row> rows_of(const std::string& page, const std::string& section) {
  std::ifstream file(QK_SOURCE_DIR "/docs/" + page);
  REQUIRE(file.good());
  std::vector<Row> rows;
  bool in_section = false;
  bool in_rows = false;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("## ", 0) == 0) in_section = line.rfind("## " + section + ".", 0) == 0;
    if (line.rfind("|", 0) != 0) {
      in_rows = false;
    } else if (line.rfind("|---", 0) == 0) {
      in_rows = true;
    } else if (in_section && in_rows) {
      std::istringstream cells(line.substr(1));
      Row& row = rows.emplace_back();
      for (std::string cell; std::getline(cells, cell, '|');) row.push_back(trimmed(cell));
    }
  }
  return rows;
}

std::vector<std::string> first_cells(const std::vector<Row>& rows) {
  std::vector<std::string> cells;
  for (const Row& row : rows) cells.push_back(row[0]);
  return cells;
}

TEST_CASE("contract.md has the requirements of the catalogue, with their levels and words") {
  std::vector<Row> found;
  for (const char* section : {"1", "2", "3", "4", "5", "6"}) {
    for (const Row& row : rows_of("contract.md", section)) {
      if (row.size() == 3) found.push_back(row);
    }
  }
  std::vector<Row> expected;
  for (const Requirement& requirement : requirements()) {
    expected.push_back(
        {requirement.id, std::string(to_string(requirement.level)), requirement.text});
  }
  // One by one first: a difference in two hundred rows is hard to see.
  for (size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
    CHECK(found[i] == expected[i]);
  }
  CHECK(found.size() == expected.size());
}

TEST_CASE("contract.md has the groups of the suite, in the order in which they first run") {
  std::vector<std::string> groups;
  for (const Check& check : all_checks()) {
    if (std::find(groups.begin(), groups.end(), check.group) == groups.end()) {
      groups.push_back(check.group);
    }
  }
  CHECK(first_cells(rows_of("contract.md", "8")) == groups);
}

TEST_CASE("contract.md says what holds each requirement that no check cites") {
  std::set<std::string> cited;
  for (const Check& check : all_checks()) {
    cited.insert(check.requirements.begin(), check.requirements.end());
  }
  std::vector<std::string> uncited;
  for (const Requirement& requirement : requirements()) {
    if (cited.count(requirement.id) == 0) uncited.push_back(requirement.id);
  }
  CHECK(first_cells(rows_of("contract.md", "9")) == uncited);
}

TEST_CASE("oracles.md has the oracles of this build, with their names and definitions") {
  std::vector<Row> found = rows_of("oracles.md", "2");
  std::vector<Row> expected;
  for (const OracleInfo& oracle : kOracles) {
    expected.push_back(
        {std::string(oracle.id), std::string(oracle.name), std::string(oracle.definition)});
  }
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    REQUIRE(found[i].size() == 4);  // and when it is judged
    found[i].pop_back();
    CHECK(found[i] == expected[i]);
  }
}

}  // namespace
}  // namespace qk::sim::conformance
