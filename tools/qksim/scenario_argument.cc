#include "tools/qksim/scenario_argument.h"

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "sim/explore/swarm.h"
#include "tools/qksim/family_argument.h"

namespace qk::cli {

ExitCode find_scenario(const Environment& environment, const std::string& argument,
                       scenarios::ScenarioSource* source) {
  absl::StatusOr<scenarios::ScenarioSource> found =
      scenarios::find_scenario(*environment.fs, environment.directory, argument);
  if (!found.ok() && found.status().code() == absl::StatusCode::kNotFound && !argument.empty()) {
    // "../x" and "./x" are fine on a command line; FileSystem takes normalised paths alone.
    absl::StatusOr<scenarios::ScenarioSource> normalised = scenarios::find_scenario(
        *environment.fs, environment.directory, absolute_path(environment, argument));
    if (normalised.ok()) {
      found = std::move(normalised);
      found->file = argument;
    }
  }
  if (!found.ok()) {
    print_error(environment, std::string(to_std(found.status().message())));
    return ExitCode::kNoInput;
  }
  *source = *std::move(found);
  return ExitCode::kOk;
}

ExitCode load_scenario(const Environment& environment, const scenarios::ScenarioSource& source,
                       const std::vector<std::string>& sets, std::optional<uint64_t> seed,
                       scenarios::LoadResult* result) {
  *result = scenarios::load(source, sets, seed, *environment.simulated,
                            scenarios::make_tree_resolver(*environment.fs, source.directory),
                            environment.check_initial);
  if (!result->plan.has_value()) {
    *environment.err << to_string(result->diagnostics, environment.colour_err);
    return result->bad_override ? ExitCode::kUsage : ExitCode::kData;
  }
  if (check_planted(environment, result->plan->planted) != ExitCode::kOk) return ExitCode::kData;
  for (const sim::StorePlan& store : result->plan->stores) {
    const families::FamilyDescriptor* family = nullptr;
    const ExitCode code = find_family(environment, store.family, cat("store ", store.id), &family,
                                      Families::kSimulated);
    if (code != ExitCode::kOk) return code;
  }
  return ExitCode::kOk;
}

ExitCode check_planted(const Environment& environment, const std::string& planted) {
  if (planted.empty()) return ExitCode::kOk;
  constexpr std::string_view kHard = ":hard";
  std::string_view name = planted;
  if (name.ends_with(kHard)) name.remove_suffix(kHard.size());
  std::vector<std::string> names;
  for (const sim::PlantedBug& bug : environment.planted) {
    if (bug.name == name) return ExitCode::kOk;
    names.emplace_back(bug.name);
  }
  const std::string_view near = nearest(name, names);
  print_error(environment, cat("there is no planted bug ", in_quotes(planted)));
  *environment.err
      << "hint: " << (near.empty() ? std::string() : cat("did you mean ", in_quotes(near), "? "))
      << "qksim selftest --list names them all; NAME:hard is the form that acts seldom\n";
  return ExitCode::kUsage;
}

void load_swarm(const Environment& environment, const scenarios::ScenarioSource& source,
                const std::vector<std::string>& sets, scenarios::LoadResult* result) {
  const sim::Plan drawn = sim::swarm(*result->plan);
  std::vector<std::string> all = sets;
  for (std::string& set : sim::swarm_overrides(*result->plan, drawn)) all.push_back(std::move(set));
  *result = scenarios::load(source, all, drawn.seed, *environment.simulated,
                            scenarios::make_tree_resolver(*environment.fs, source.directory));
  QK_CHECK(result->plan.has_value());  // it has without the swarm
  result->plan->random = drawn.random;
}

}  // namespace qk::cli
