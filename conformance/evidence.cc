#include "conformance/evidence.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace qk::sim::conformance {
namespace {

using nlohmann::json;

constexpr std::string_view kSchema = "qksim.conformance/1";

absl::Status malformed(std::string_view what) {
  return absl::DataLossError(cat("conformance evidence: ", what));
}

json case_to_json(const CaseEvidence& one) {
  json out = {{"families", one.families}, {"seeds", std::to_string(one.seeds)}};
  out["verdict"] = std::string(to_string(one.verdict));
  if (one.verdict == Verdict::kFailed) out["seed"] = std::to_string(one.seed);
  if (!one.message.empty()) out["message"] = one.message;
  return out;
}

// Throws json::exception, or std::exception for an invalid number.
CaseEvidence case_from_json(const json& in) {
  CaseEvidence one;
  one.families = in.at("families").get<std::vector<std::string>>();
  one.seeds = std::stoull(in.at("seeds").get<std::string>());
  one.message = in.value("message", "");
  one.seed = std::stoull(in.value("seed", "0"));
  const std::string verdict = in.at("verdict").get<std::string>();
  one.verdict = Verdict::kFailed;  // whatever it says that is not one of ours
  for (const Verdict known : {Verdict::kPassed, Verdict::kNotApplicable}) {
    if (verdict == to_string(known)) one.verdict = known;
  }
  return one;
}

}  // namespace

Evidence evidence_of(const Report& report, uint64_t seeds, std::string build) {
  Evidence evidence;
  evidence.build = std::move(build);
  for (const CaseResult& result : report.results) {
    const Check& check = *result.what.check;
    CheckEvidence& entry = evidence.checks[cat(check.group, "/", check.name)];
    entry.requirements = check.requirements;
    CaseEvidence& one = entry.cases[result.what.id()];
    one.verdict = result.verdict;
    one.seeds = seeds;
    one.seed = result.seed;
    one.message = result.message;
    one.families = {result.what.family->name};
    if (result.what.is_pair() && result.what.partner != result.what.family) {
      one.families.push_back(result.what.partner->name);
    }
  }
  return evidence;
}

Evidence merge(Evidence older, const Evidence& newer) {
  if (older.build != newer.build) return newer;
  for (const auto& [name, check] : newer.checks) {
    CheckEvidence& entry = older.checks[name];
    entry.requirements = check.requirements;
    for (const auto& [id, one] : check.cases) entry.cases[id] = one;
  }
  return older;
}

std::string to_json(const Evidence& evidence) {
  json checks = json::object();
  for (const auto& [name, check] : evidence.checks) {
    json cases = json::object();
    for (const auto& [id, one] : check.cases) cases[id] = case_to_json(one);
    checks[name] = {{"requirements", check.requirements}, {"cases", std::move(cases)}};
  }
  const json document = {
      {"schema", std::string(kSchema)}, {"build", evidence.build}, {"checks", std::move(checks)}};
  // A message may quote any bytes.
  return document.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<Evidence> parse_evidence(std::string_view text) {
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) return malformed("not a JSON document");
  try {
    if (document.at("schema") != std::string(kSchema)) {
      return malformed(
          cat("schema ", document.at("schema").dump(), ", expected \"", kSchema, "\""));
    }
    Evidence evidence;
    evidence.build = document.at("build").get<std::string>();
    for (const auto& [name, check] : document.at("checks").items()) {
      CheckEvidence& entry = evidence.checks[name];
      entry.requirements = check.at("requirements").get<std::vector<std::string>>();
      for (const auto& [id, one] : check.at("cases").items()) {
        entry.cases[id] = case_from_json(one);
      }
    }
    return evidence;
  } catch (const std::exception& error) {
    return malformed(error.what());
  }
}

ExpectedCases expected_cases(const std::vector<Check>& checks, const families::Registry& registry) {
  ExpectedCases expected;
  for (const Case& one : select_cases(checks, registry, RunOptions{})) {
    const std::vector<DiskKind>& disks = one.check->disks;
    const bool simulated =
        std::find(disks.begin(), disks.end(), DiskKind::kSimulated) != disks.end();
    if (simulated && one.disk != DiskKind::kSimulated) continue;
    for (const std::string& requirement : one.check->requirements) {
      auto& by_family = expected[requirement];
      by_family[one.family->name].insert(one.id());
      if (one.is_pair()) by_family[one.partner->name].insert(one.id());
    }
  }
  return expected;
}

Support support_of(const Evidence& evidence, std::string_view requirement, std::string_view family,
                   const ExpectedCases& expected) {
  Support support;
  std::set<std::string> awaited;
  if (const auto by_family = expected.find(requirement); by_family != expected.end()) {
    if (const auto ids = by_family->second.find(std::string(family));
        ids != by_family->second.end()) {
      awaited = ids->second;
    }
  }
  support.expected = awaited.size();
  for (const auto& [name, check] : evidence.checks) {
    const std::vector<std::string>& ids = check.requirements;
    if (std::find(ids.begin(), ids.end(), requirement) == ids.end()) continue;
    for (const auto& [id, one] : check.cases) {
      if (std::find(one.families.begin(), one.families.end(), family) == one.families.end()) {
        continue;
      }
      support.ran += awaited.erase(id);
      if (one.verdict == Verdict::kPassed) ++support.passed;
      if (one.verdict == Verdict::kFailed) ++support.failed;
      if (one.verdict == Verdict::kNotApplicable) ++support.not_applicable;
    }
  }
  return support;
}

Standing standing_of(const Evidence& evidence, std::string_view requirement,
                     const std::vector<std::string>& families, const ExpectedCases& expected) {
  bool missing = false;
  bool passed = false;
  bool whole = true;
  for (const std::string& family : families) {
    const Support support = support_of(evidence, requirement, family, expected);
    if (support.failed > 0) return Standing::kFailed;
    missing = missing || support.none();
    passed = passed || support.passed > 0;
    whole = whole && support.ran == support.expected;
  }
  if (!passed || missing) return Standing::kMissing;
  return whole ? Standing::kHolds : Standing::kPartly;
}

std::string repro_command(std::string_view case_id, const std::vector<std::string>& families,
                          uint64_t seed) {
  const std::string seeds = seed > 1 ? cat(" --seeds ", seed) : std::string();
  // Cases on a real disk run on demand only.
  const bool real = case_id.ends_with(cat("/", to_string(DiskKind::kReal)));
  return cat("qksim conformance ", families.empty() ? std::string("all") : families.front(),
             " --filter '^", case_id, "$'", real ? " --disk real" : "", seeds);
}

}  // namespace qk::sim::conformance
