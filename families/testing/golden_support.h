// What the golden tests share: the archive, loaded once, and the comparison of a family with what
// braft said about the same directory.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "families/contract/family.h"
#include "families/testing/golden.h"
#include "nlohmann/json.hpp"

namespace qk::families {

const GoldenArchive& golden_archive();

// Cases whose names begin with one of the prefixes.
std::vector<std::string> golden_cases(const std::vector<std::string_view>& prefixes);

// What braft said, by default where errno was 0 before.
nlohmann::json golden_expectation(std::string_view name, std::string_view file = "expected.json");

// What lies below `root`.
GoldenArchive::Tree read_tree(FileSystem& fs, const std::string& root);
std::vector<std::string> tree_differences(const GoldenArchive::Tree& found,
                                          const GoldenArchive::Tree& expected);

// Everything in which `family` differs from expected.json, one line each.
std::vector<std::string> differences(Family& family, const nlohmann::json& expected);
std::vector<std::string> log_differences(LogStorage& log, const nlohmann::json& expected);
std::vector<std::string> meta_differences(const MetaStorage& meta, const nlohmann::json& expected);
std::vector<std::string> snapshot_differences(SnapshotStorage& snapshot,
                                              const nlohmann::json& expected);

}  // namespace qk::families
