// Loader: the text of a scenario in, a plan or diagnostics with places out.
//
// Nothing here executes anything, except through the caller's StartCheck, and nothing depends on
// the machine: the same text, overrides and initial directories give the same plan, scenario_hash
// included.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "families/base/status.h"
#include "scenarios/diagnostic.h"
#include "scenarios/initial_tree.h"
#include "scenarios/values.h"
#include "sim/cluster/plan.h"

namespace qk::scenarios {

// Where a scenario's text comes from.
struct ScenarioSource {
  std::string file;  // as messages name it; ends in .qks.txtpb where the name rule applies
  std::string text;
  std::string directory;  // absolute; what a relative initial_dir is relative to
};

struct LoadResult {
  // Set if and only if there are no diagnostics.
  std::optional<sim::Plan> plan;
  std::vector<Diagnostic> diagnostics;  // at most kMaxDiagnostics
  // A diagnostic comes from a --set argument, not from the file.
  bool bad_override = false;
  // The scenario with overrides applied and defaults filled in; loads to the same plan.
  std::string effective;
};

// Which nodes of a plan cannot begin with the directory that it gives them (sim::check_initial).
using StartCheck = std::function<std::vector<sim::BadStart>(const sim::Plan&)>;
// What is wrong with the planted bug that a scenario names; the catalogue is the caller's.
using PlantedCheck = std::function<std::optional<Complaint>(const std::string& planted)>;

// `overrides` are --set arguments, PATH=VALUE, applied in order. `registry` has the families whose
// options the stores may have; the options of one that it does not have are not read. Without
// `check` the initial directories are only read, without `planted` any bug may be named. Without
// `seed` it is the scenario's own, or 1.
LoadResult load(const ScenarioSource& source, const std::vector<std::string>& overrides,
                std::optional<uint64_t> seed, const families::Registry& registry,
                const TreeResolver& resolve, const StartCheck& check = {},
                const PlantedCheck& planted = {});

// What `scenarios list` shows; empty strings where the text says nothing.
struct ScenarioHead {
  std::string name;
  std::string summary;
  std::vector<std::string> tags;
};
ScenarioHead head_of(const ScenarioSource& source);

// The scenarios inside this program, in byte order of their names.
std::vector<ScenarioSource> builtin_scenarios();
// "rolling-local-to-sqlite" for ".../rolling-local-to-sqlite.qks.txtpb".
std::string_view scenario_stem(std::string_view file);

// `argument` is the name of a built-in scenario, or else a file: relative to `directory`
// (absolute) unless absolute. NotFound names what was looked for, and the nearest built-in one.
absl::StatusOr<ScenarioSource> find_scenario(families::FileSystem& fs, std::string_view directory,
                                             const std::string& argument);

}  // namespace qk::scenarios
