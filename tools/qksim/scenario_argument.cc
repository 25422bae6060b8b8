#include "tools/qksim/scenario_argument.h"

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "sim/explore/feedback.h"
#include "sim/explore/swarm.h"
#include "tools/qksim/family_argument.h"

namespace qk::cli {
namespace {

// An empty name is none.
std::optional<scenarios::Complaint> planted_complaint(const Environment& environment,
                                                      const std::string& planted) {
  if (planted.empty()) return std::nullopt;
  constexpr std::string_view kHard = ":hard";
  std::string_view name = planted;
  const bool hard = name.ends_with(kHard);
  if (hard) name.remove_suffix(kHard.size());
  std::vector<std::string> names;
  for (const sim::PlantedBug& bug : environment.planted) {
    if (bug.name == name && hard && !bug.has_hard_form) {
      return scenarios::Complaint{cat("the planted bug ", in_quotes(name), " has no hard form"),
                                  cat("write ", in_quotes(name))};
    }
    if (bug.name == name) return std::nullopt;
    names.emplace_back(bug.name);
  }
  const std::string_view near = nearest(name, names);
  return scenarios::Complaint{
      cat("there is no planted bug ", in_quotes(planted)),
      cat(near.empty() ? std::string() : cat("did you mean ", in_quotes(near), "? "),
          "qksim selftest --list names them all; NAME:hard is the form that acts seldom")};
}

}  // namespace

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
  *result = scenarios::load(
      source, sets, seed, *environment.simulated,
      scenarios::make_tree_resolver(*environment.fs, source.directory), environment.check_initial,
      [&](const std::string& planted) { return planted_complaint(environment, planted); });
  if (!result->plan.has_value()) {
    *environment.err << to_string(result->diagnostics, environment.colour_err);
    return result->bad_override ? ExitCode::kUsage : ExitCode::kData;
  }
  for (const sim::StorePlan& store : result->plan->stores) {
    const families::FamilyDescriptor* family = nullptr;
    const ExitCode code = find_family(environment, store.family, cat("store ", store.id), &family,
                                      Families::kSimulated);
    if (code != ExitCode::kOk) return code;
  }
  return ExitCode::kOk;
}

ExitCode check_planted(const Environment& environment, const std::string& planted) {
  const auto complaint = planted_complaint(environment, planted);
  if (!complaint) return ExitCode::kOk;
  print_error(environment, complaint->message);
  *environment.err << "hint: " << complaint->hint << "\n";
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

void load_near(const Environment& environment, const scenarios::ScenarioSource& source,
               const std::vector<std::string>& sets, bool swarm,
               const std::vector<uint64_t>& ancestors, uint64_t seed,
               scenarios::LoadResult* result) {
  sim::Plan plan = sim::plan_after(ancestors, seed, [&](uint64_t drawn) {
    *result = scenarios::load(source, sets, drawn, *environment.simulated,
                              scenarios::make_tree_resolver(*environment.fs, source.directory));
    QK_CHECK(result->plan.has_value());  // it has for another seed
    if (swarm) load_swarm(environment, source, sets, result);
    return *result->plan;
  });
  result->plan = std::move(plan);
}

}  // namespace qk::cli
