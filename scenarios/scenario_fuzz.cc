// Target: the text of a scenario, and --set arguments (scenarios/loader.h).
//
// Input: the text; leading lines that begin with "--set " are overrides. What loads has an
// effective text that loads to the same plan; what does not has diagnostics with places in the
// text.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "families/base/check.h"
#include "scenarios/loader.h"
#include "sim/legacy/legacy_family.h"
#include "tools/fuzz/target.h"

namespace qk::fuzz {
namespace {

using scenarios::LoadResult;
using scenarios::ScenarioSource;

constexpr std::string_view kSet = "--set ";
constexpr uint64_t kSeed = 7;
constexpr const char* kFile = "/scenario.qks.txtpb";

absl::StatusOr<scenarios::InitialDirectory> resolve(const std::string& name) {
  if (name.rfind("braft:", 0) != 0) return absl::NotFoundError(cat("no directory ", name));
  scenarios::InitialDirectory directory;
  directory.identity = name;
  directory.tree.items.push_back({"log", true, ""});
  directory.tree.items.push_back({"log/log_meta", false, std::string("\0\0\0\2\x08\1", 6)});
  return directory;
}

LoadResult load(std::string text, const std::vector<std::string>& overrides) {
  families::VolatileMemory memory(0);
  return scenarios::load({kFile, std::move(text), "/"}, overrides, kSeed,
                         sim::simulated_families(&memory), resolve);
}

void check_diagnostics(const LoadResult& result, std::string_view text) {
  QK_CHECK(!result.diagnostics.empty());
  QK_CHECK(result.diagnostics.size() <= scenarios::kMaxDiagnostics);
  const auto lines = 1 + std::count(text.begin(), text.end(), '\n');
  for (const scenarios::Diagnostic& diagnostic : result.diagnostics) {
    QK_CHECK(!diagnostic.message.empty());
    QK_CHECK(diagnostic.line >= 0 && diagnostic.line <= lines);
    QK_CHECK(diagnostic.line == 0 || diagnostic.column >= 1);
  }
  QK_CHECK(!to_string(result.diagnostics).empty());
}

}  // namespace

std::vector<std::string> seeds() {
  std::vector<std::string> inputs;
  for (const ScenarioSource& source : scenarios::builtin_scenarios()) {
    inputs.push_back(source.text);
    inputs.push_back(cat("--set run_for=20s\n--set cluster.link.loss=0.1\n", source.text));
  }
  const std::filesystem::path folder = QK_SOURCE_DIR "/scenarios/testdata";
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".txtpb") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

void run(std::string_view input) {
  std::vector<std::string> overrides;
  while (input.substr(0, kSet.size()) == kSet) {
    const size_t end = std::min(input.find('\n'), input.size());
    overrides.emplace_back(input.substr(kSet.size(), end - kSet.size()));
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  const std::string text(input);
  scenarios::head_of({kFile, text, "/"});
  const LoadResult result = load(text, overrides);
  if (!result.plan) return check_diagnostics(result, text);
  QK_CHECK(result.diagnostics.empty());
  const LoadResult again = load(result.effective, {});
  QK_CHECK(again.plan.has_value());
  QK_CHECK(again.plan->scenario_hash == result.plan->scenario_hash);
  QK_CHECK(again.effective == result.effective);
}

}  // namespace qk::fuzz
