#include "sim/explore/sweep_definition.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "families/base/hash.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/base/units.h"
#include "sim/check/finding.h"
#include "sim/cluster/reach.h"
#include "sim/cluster/subjects.h"
#include "sim/kernel/phase.h"
#include "sim/kernel/random.h"

namespace qk::sim {
namespace {

using nlohmann::json;

constexpr std::string_view kSchema = "qksim.sweep/1";
constexpr size_t kMaxVariants = 10'000;

absl::Status malformed_sweep(std::string_view what) {
  return absl::DataLossError(cat("definition of a sweep: ", what));
}

uint64_t size_of(const SeedRange& range) { return range.last - range.first + 1; }

json variant_to_json(const SweepVariant& variant) {
  return {{"scenario", variant.scenario}, {"name", variant.name},
          {"sets", variant.sets},         {"scenario_hash", std::to_string(variant.scenario_hash)},
          {"oracles", variant.oracles},   {"random_faults", variant.random_faults}};
}

// These two throw json::exception for what is missing or of another type.
uint64_t number_of(const json& in, const char* member) {
  const std::string digits = in.at(member).get<std::string>();
  const auto value = whole_number(digits);
  if (!value) throw std::invalid_argument(cat(member, ": \"", digits, "\" is not a number"));
  return *value;
}

uint32_t small_number_of(const json& in, const char* member) {
  const json& value = in.at(member);
  if (value.is_number_unsigned() && value.get<uint64_t>() <= UINT32_MAX) {
    return value.get<uint32_t>();
  }
  throw std::invalid_argument(
      cat(member, ": ", value.dump(), ", expected a whole number up to ", UINT32_MAX));
}

SweepVariant variant_from_json(const json& in) {
  SweepVariant variant;
  variant.scenario = in.at("scenario").get<std::string>();
  variant.name = in.at("name").get<std::string>();
  variant.sets = in.at("sets").get<std::vector<std::string>>();
  variant.scenario_hash = number_of(in, "scenario_hash");
  variant.oracles = in.at("oracles").get<std::vector<std::string>>();
  variant.random_faults = in.at("random_faults").get<bool>();
  return variant;
}

SweepDefinition definition_from_json(const json& in) {
  SweepDefinition out;
  out.build = in.at("build").get<std::string>();
  if (in.contains("directory")) out.directory = in.at("directory").get<std::string>();
  for (const json& variant : in.at("variants")) out.variants.push_back(variant_from_json(variant));
  for (const json& range : in.at("seeds")) {
    out.seeds.push_back({number_of(range, "first"), number_of(range, "last")});
  }
  out.open_ended = in.at("open_ended").get<bool>();
  out.swarm = in.at("swarm").get<bool>();
  out.feedback = in.contains("feedback") && in.at("feedback").get<bool>();
  out.planted = in.at("planted").get<std::string>();
  out.again_ppm = small_number_of(in, "again_ppm");
  out.max_failures = small_number_of(in, "max_failures");
  out.seed_limit =
      static_cast<Nanos>(std::min<uint64_t>(number_of(in, "seed_limit_ns"), INT64_MAX));
  out.sometimes = in.at("sometimes").get<std::vector<std::string>>();
  out.shard = small_number_of(in, "shard");
  out.shards = small_number_of(in, "shards");
  return out;
}

}  // namespace

uint64_t SweepDefinition::seed_count() const {
  uint64_t count = 0;
  for (const SeedRange& range : seeds) count += size_of(range);
  return count;
}

uint64_t SweepDefinition::seed_at(uint64_t position) const {
  for (const SeedRange& range : seeds) {
    if (position < size_of(range)) return range.first + position;
    position -= size_of(range);
  }
  QK_CHECK(false);
}

std::optional<uint64_t> SweepDefinition::job_of(uint32_t variant, uint64_t seed) const {
  if (variant >= variants.size()) return std::nullopt;
  uint64_t before = 0;
  for (const SeedRange& range : seeds) {
    if (seed >= range.first && seed <= range.last) {
      return (before + seed - range.first) * variants.size() + variant;
    }
    before += size_of(range);
  }
  return std::nullopt;
}

uint64_t SweepDefinition::my_job_count() const {
  const uint64_t all = seed_count();
  return (all / shards + (all % shards >= shard ? 1 : 0)) * variants.size();
}

bool SweepDefinition::runs_twice(uint64_t seed) const {
  return RandomStream(seed, "sweep.again").chance_ppm(again_ppm);
}

absl::Status check(const SweepDefinition& definition) {
  const auto bad = [](std::string_view what) { return absl::InvalidArgumentError(to_absl(what)); };
  if (definition.variants.empty()) return bad("a sweep without a scenario runs nothing");
  if (definition.variants.size() > kMaxVariants) {
    return bad(cat(definition.variants.size(),
                   " combinations of scenarios and axes, expected at most ", kMaxVariants));
  }
  if (definition.seeds.empty()) return bad("a sweep without seeds runs nothing");
  uint64_t seeds = 0;
  for (size_t i = 0; i < definition.seeds.size(); ++i) {
    const auto& [first, last] = definition.seeds[i];
    if (first > last) return bad(cat("seeds ", first, "..", last, " hold nothing"));
    if (i > 0 && first <= definition.seeds[i - 1].last) return bad("ranges of seeds overlap");
    if (last - first >= kMaxSweepJobs - seeds)
      return bad(cat("more than ", kMaxSweepJobs, " seeds"));
    seeds += last - first + 1;
  }
  if (seeds > kMaxSweepJobs / definition.variants.size()) {
    return bad(cat("more than ", kMaxSweepJobs, " runs"));
  }
  if (definition.shard < 1 || definition.shard > definition.shards) {
    return bad(cat("shard ", definition.shard, "/", definition.shards,
                   ", expected K/N with K from 1 to N"));
  }
  if (definition.my_job_count() == 0) {
    return bad(cat("shard ", definition.shard, "/", definition.shards, " of ",
                   definition.seed_count(), " seeds holds nothing"));
  }
  return absl::OkStatus();
}

std::vector<std::string> oracles_with_subject(const Plan& plan) {
  std::vector<std::string> out;
  if (plan.expect.verdict == ExpectPlan::Verdict::kViolation) return out;
  for (const OracleInfo& oracle : kOracles) {
    if (has_subject(oracle.id, plan)) out.emplace_back(oracle.id);
  }
  return out;
}

std::optional<FaultCell> fault_cell(std::string_view probe) {
  constexpr std::string_view kPrefix = "fault/";
  if (!probe.starts_with(kPrefix)) return std::nullopt;
  probe.remove_prefix(kPrefix.size());
  const size_t first = probe.find('/');
  if (first == std::string_view::npos) return std::nullopt;
  const size_t second = probe.find('/', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  return FaultCell{std::string(probe.substr(0, first)),
                   std::string(probe.substr(first + 1, second - first - 1)),
                   std::string(probe.substr(second + 1))};
}

absl::Status check_probe(const std::string& name) {
  if (const auto cell = fault_cell(name)) {
    bool is_phase = false;
    for (int phase = 0; phase < kPhaseCount; ++phase) {
      is_phase = is_phase || to_string(static_cast<PhaseCode>(phase)) == cell->phase;
    }
    const bool is_fault = std::find(std::begin(kReachFaults), std::end(kReachFaults), cell->kind) !=
                          std::end(kReachFaults);
    if (is_phase && is_fault && !cell->pair.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        cat(in_quotes(name),
            " is not a probe; expected a kind of fault, a phase and two families, as in "
            "fault/crash/DUAL/local->sqlite"));
  }
  std::vector<std::string> names = {std::string(kEveryProbe)};
  for (const ReachInfo& probe : kReachProbes) names.emplace_back(probe.name);
  if (std::find(names.begin(), names.end(), name) != names.end()) return absl::OkStatus();
  const std::string_view near = nearest(name, names);
  return absl::InvalidArgumentError(
      cat(in_quotes(name), " is not a probe",
          near.empty() ? std::string("; the report of a sweep lists them, reached or not")
                       : cat(", did you mean ", in_quotes(near), "?")));
}

std::string hex_seed(uint64_t seed) {
  std::string digits = cat(absl::Hex(seed));
  for (char& c : digits) {
    if (c >= 'a' && c <= 'f') c = static_cast<char>(c - 'a' + 'A');
  }
  return cat("0x", digits);
}

std::string seeds_text(const std::vector<SeedRange>& seeds) {
  constexpr size_t kShown = 8;
  std::string out;
  for (size_t i = 0; i < seeds.size(); ++i) {
    if (i == kShown) return cat(out, ", ...");
    const auto& [first, last] = seeds[i];
    out += cat(i == 0 ? "" : ", ", hex_seed(first),
               first == last ? std::string() : cat("..", hex_seed(last)));
  }
  return out;
}

std::vector<SeedRange> ranges_of(std::vector<uint64_t> seeds) {
  std::sort(seeds.begin(), seeds.end());
  std::vector<SeedRange> out;
  for (const uint64_t seed : seeds) {
    if (!out.empty() && seed == out.back().last) continue;
    if (!out.empty() && seed == out.back().last + 1) {
      out.back().last = seed;
    } else {
      out.push_back({seed, seed});
    }
  }
  return out;
}

absl::StatusOr<std::vector<std::vector<std::string>>> combinations(
    const std::vector<std::string>& axes) {
  std::vector<std::vector<std::string>> out = {{}};
  for (const std::string& axis : axes) {
    const size_t equals = axis.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(cat("\"", axis, "\", expected PATH=VALUE,VALUE..."));
    }
    std::vector<std::vector<std::string>> longer;
    for (const auto& before : out) {
      for (size_t begin = equals + 1; begin <= axis.size();) {
        const size_t end = std::min(axis.find(',', begin), axis.size());
        if (end == begin) {
          return absl::InvalidArgumentError(cat("\"", axis, "\" has an empty value"));
        }
        longer.push_back(before);
        longer.back().push_back(cat(axis.substr(0, equals + 1), axis.substr(begin, end - begin)));
        begin = end + 1;
      }
    }
    if (longer.empty()) return absl::InvalidArgumentError(cat("\"", axis, "\" has no value"));
    if (longer.size() > kMaxVariants) {
      return absl::InvalidArgumentError(cat("more than ", kMaxVariants, " combinations"));
    }
    out = std::move(longer);
  }
  return out;
}

std::string to_text(const SweepDefinition& definition) {
  json variants = json::array();
  for (const SweepVariant& variant : definition.variants) {
    variants.push_back(variant_to_json(variant));
  }
  json seeds = json::array();
  for (const auto& [first, last] : definition.seeds) {
    seeds.push_back({{"first", std::to_string(first)}, {"last", std::to_string(last)}});
  }
  const json document = {{"schema", std::string(kSchema)},
                         {"build", definition.build},
                         {"directory", definition.directory},
                         {"variants", std::move(variants)},
                         {"seeds", std::move(seeds)},
                         {"open_ended", definition.open_ended},
                         {"swarm", definition.swarm},
                         {"feedback", definition.feedback},
                         {"planted", definition.planted},
                         {"again_ppm", definition.again_ppm},
                         {"max_failures", definition.max_failures},
                         {"seed_limit_ns", std::to_string(definition.seed_limit)},
                         {"sometimes", definition.sometimes},
                         {"shard", definition.shard},
                         {"shards", definition.shards}};
  return document.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<SweepDefinition> parse_definition(std::string_view text) {
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return malformed_sweep("not a JSON object");
  SweepDefinition definition;
  try {
    if (document.at("schema") != std::string(kSchema)) {
      return malformed_sweep(
          cat("schema ", document.at("schema").dump(), ", expected \"", kSchema, "\""));
    }
    definition = definition_from_json(document);
  } catch (const std::exception& error) {
    return malformed_sweep(error.what());
  }
  if (const absl::Status status = check(definition); !status.ok()) {
    return malformed_sweep(to_std(status.message()));
  }
  return definition;
}

std::string unsharded_text(SweepDefinition definition) {
  definition.directory.clear();
  definition.shard = 1;
  definition.shards = 1;
  return to_text(definition);
}

}  // namespace qk::sim
