#include "sim/explore/sweep_summary.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "sim/check/finding.h"

namespace qk::sim {
namespace {

using nlohmann::json;

constexpr std::string_view kFindingsSchema = "qksim.findings/1";

FindingKey key_of(const SweepDefinition& definition, const SweepFinding& finding) {
  return {definition.variants[finding.variant].name, finding.signature};
}

bool is_shorter(const SeedRecord& a, const SeedRecord& b) {
  return std::tie(a.simulated, a.events, a.seed) < std::tie(b.simulated, b.events, b.seed);
}

// The probes that the run reached and the finding that it made: what the residual risk counts.
std::vector<std::string> classes_of(const SeedRecord& record) {
  std::vector<std::string> out;
  for (const auto& [probe, times] : record.reach) {
    if (times > 0) out.push_back(probe);
  }
  if (is_finding(record.verdict)) out.push_back(cat("finding/", record.signature));
  return out;
}

class Summarizer {
 public:
  Summarizer(const SweepDefinition& definition, const std::map<uint64_t, SeedRecord>& records)
      : definition_(definition), records_(records) {}

  SweepSummary run(const EarlierSweep* earlier) {
    summary_.jobs = definition_.my_job_count();
    const std::optional<uint64_t> cut = failure_cut(definition_, records_);
    summary_.cut = cut.has_value();
    for (const OracleInfo& oracle : kOracles) {
      summary_.oracles.push_back({std::string(oracle.id), 0, 0, has_subject(oracle.id)});
    }
    std::vector<std::vector<std::string>> shown;
    for (const auto& [job, record] : records_) {
      if (cut && job >= *cut) break;
      count(record);
      shown.push_back(classes_of(record));
    }
    summary_.not_run = summary_.jobs - summary_.ran;
    summary_.risk = residual_risk(shown);
    order_findings();
    if (earlier != nullptr) compare(*earlier);
    judge();
    return std::move(summary_);
  }

 private:
  bool has_subject(std::string_view oracle) const {
    return std::any_of(definition_.variants.begin(), definition_.variants.end(),
                       [&](const SweepVariant& variant) {
                         return std::find(variant.oracles.begin(), variant.oracles.end(), oracle) !=
                                variant.oracles.end();
                       });
  }

  void count(const SeedRecord& record) {
    ++summary_.ran;
    ++summary_.verdicts[record.verdict];
    ran_.insert({record.variant, record.seed});
    summary_.simulated += record.simulated;
    summary_.events += record.events;
    summary_.cpu_ns += record.cpu_ns;
    if (record.second != SecondRun::kNone) ++summary_.again;
    if (record.second == SecondRun::kDiffers) {
      summary_.divergences.push_back({record.variant, record.seed, record.difference, record.near});
    }
    if (record.verdict != SeedVerdict::kNoFault) drew_.insert(record.variant);
    for (OracleCount& oracle : summary_.oracles) {
      const auto found = record.evaluated.find(oracle.oracle);
      if (found == record.evaluated.end() || found->second == 0) continue;
      oracle.times += found->second;
      ++oracle.seeds;
    }
    for (const auto& [probe, times] : record.reach) {
      ProbeCount& count = summary_.probes[probe];
      count.times += times;
      count.seeds += times > 0 ? 1 : 0;
    }
    if (is_finding(record.verdict)) add_finding(record);
  }

  void add_finding(const SeedRecord& record) {
    const auto [place, fresh] = by_key_.try_emplace({record.variant, record.signature});
    SweepFinding& finding = place->second;
    if (fresh) {
      finding.variant = record.variant;
      finding.signature = record.signature;
    }
    finding.verdict = std::max(finding.verdict, record.verdict);
    finding.seeds.push_back(record.seed);
    if (fresh || is_shorter(record, finding.shortest)) finding.shortest = record;
  }

  void order_findings() {
    for (auto& [key, finding] : by_key_) {
      std::sort(finding.seeds.begin(), finding.seeds.end());
      summary_.findings.push_back(std::move(finding));
    }
    // The map had them by variant and signature.
    std::stable_partition(summary_.findings.begin(), summary_.findings.end(),
                          [](const SweepFinding& one) { return is_failure(one.verdict); });
  }

  void compare(const EarlierSweep& earlier) {
    std::set<FindingKey> now;
    for (SweepFinding& finding : summary_.findings) {
      const FindingKey key = key_of(definition_, finding);
      now.insert(key);
      finding.state = earlier.found.count(key) > 0      ? FindingState::kOngoing
                      : earlier.resolved.count(key) > 0 ? FindingState::kRegressed
                                                        : FindingState::kNew;
    }
    for (const FindingKey& key : earlier.found) {
      if (now.count(key) > 0) continue;
      const auto seeds = earlier.seeds.find(key);
      const bool repeated = seeds != earlier.seeds.end() && all_ran(key.first, seeds->second);
      (repeated ? summary_.resolved : summary_.not_repeated).push_back(key);
    }
  }

  bool all_ran(const std::string& name, const std::vector<uint64_t>& seeds) const {
    for (uint32_t variant = 0; variant < definition_.variants.size(); ++variant) {
      if (definition_.variants[variant].name != name) continue;
      return std::all_of(seeds.begin(), seeds.end(), [&](uint64_t seed) {
        return ran_.count({variant, seed}) > 0;
      });
    }
    return false;
  }

  void judge() {
    for (const auto& [verdict, count] : summary_.verdicts) {
      summary_.failed = summary_.failed || is_failure(verdict);
      summary_.error =
          summary_.error || verdict == SeedVerdict::kInternalError || verdict == SeedVerdict::kDied;
    }
    const auto reason = [&](std::string text) { summary_.inconclusive.push_back(std::move(text)); };
    if (summary_.ran == 0) return reason("nothing ran");
    if (summary_.not_run > 0 && !summary_.cut && !definition_.open_ended) {
      reason(cat(summary_.not_run, " of ", summary_.jobs, " runs are left"));
    }
    // What did not run to its end says little of what would have been evaluated.
    for (const OracleCount& oracle : summary_.oracles) {
      if (!oracle.subject || oracle.times > 0 || summary_.failed) continue;
      reason(cat(oracle.oracle, " was never evaluated"));
    }
    for (const std::string& probe : definition_.sometimes) {
      if (probe == kEveryProbe) {
        for (const auto& [name, count] : summary_.probes) {
          if (count.times == 0) reason(cat("probe ", name, " was never reached"));
        }
        continue;
      }
      const auto found = summary_.probes.find(probe);
      if (found == summary_.probes.end() || found->second.times == 0)
        reason(cat("probe ", probe, " was never reached"));
    }
    for (uint32_t i = 0; i < definition_.variants.size(); ++i) {
      if (!definition_.variants[i].random_faults || drew_.count(i) > 0) continue;
      reason(
          cat(definition_.variants[i].name, ": random faults are asked for, and no seed drew any"));
    }
    if (!definition_.planted.empty() && !summary_.failed) {
      reason("nothing noticed the planted bug");
    }
  }

  const SweepDefinition& definition_;
  const std::map<uint64_t, SeedRecord>& records_;
  SweepSummary summary_;
  std::map<std::pair<uint32_t, std::string>, SweepFinding> by_key_;
  std::set<std::pair<uint32_t, uint64_t>> ran_;
  std::set<uint32_t> drew_;  // variants of which a seed drew a random fault, or might have
};

}  // namespace

std::string_view to_string(FindingState state) {
  switch (state) {
    case FindingState::kNone:
      return "";
    case FindingState::kNew:
      return "new";
    case FindingState::kOngoing:
      return "ongoing";
    case FindingState::kResolved:
      return "resolved";
    case FindingState::kRegressed:
      return "regressed";
  }
  QK_CHECK(false);
}

std::optional<uint64_t> failure_cut(const SweepDefinition& definition,
                                    const std::map<uint64_t, SeedRecord>& records) {
  if (definition.max_failures == 0) return std::nullopt;
  std::set<std::pair<uint32_t, std::string_view>> different;
  for (const auto& [job, record] : records) {
    if (!is_failure(record.verdict)) continue;
    different.insert({record.variant, record.signature});
    if (different.size() >= definition.max_failures) return job + 1;
  }
  return std::nullopt;
}

SweepSummary summarize(const SweepDefinition& definition,
                       const std::map<uint64_t, SeedRecord>& records, const EarlierSweep* earlier) {
  return Summarizer(definition, records).run(earlier);
}

std::string findings_text(const SweepDefinition& definition, const SweepSummary& summary,
                          const EarlierSweep* earlier) {
  json findings = json::array();
  const auto add = [&](const FindingKey& key, FindingState state) {
    findings.push_back({{"variant", key.first},
                        {"signature", key.second},
                        {"state", std::string(to_string(state))}});
  };
  std::set<FindingKey> now;
  for (const SweepFinding& finding : summary.findings) {
    now.insert(key_of(definition, finding));
    add(key_of(definition, finding), finding.state);
  }
  std::set<FindingKey> resolved(summary.resolved.begin(), summary.resolved.end());
  if (earlier != nullptr) {
    for (const FindingKey& key : earlier->resolved) {
      if (now.count(key) == 0) resolved.insert(key);
    }
  }
  for (const FindingKey& key : resolved) add(key, FindingState::kResolved);
  const json document = {{"schema", std::string(kFindingsSchema)},
                         {"findings", std::move(findings)}};
  return document.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<EarlierSweep> earlier_sweep(const SweepDefinition& definition,
                                           const SweepSummary& summary, std::string_view findings) {
  EarlierSweep earlier;
  for (const SweepFinding& finding : summary.findings) {
    const FindingKey key = key_of(definition, finding);
    earlier.found.insert(key);
    earlier.seeds[key] = finding.seeds;
  }
  if (findings.empty()) return earlier;
  const json document = json::parse(findings, nullptr, /*allow_exceptions=*/false);
  try {
    if (document.at("schema") != std::string(kFindingsSchema)) {
      return absl::DataLossError(cat("findings of a sweep: schema ", document.at("schema").dump(),
                                     ", expected \"", kFindingsSchema, "\""));
    }
    for (const json& one : document.at("findings")) {
      if (one.at("state") != std::string(to_string(FindingState::kResolved))) continue;
      earlier.resolved.insert(
          {one.at("variant").get<std::string>(), one.at("signature").get<std::string>()});
    }
  } catch (const json::exception& error) {
    return absl::DataLossError(cat("findings of a sweep: ", error.what()));
  }
  return earlier;
}

}  // namespace qk::sim
