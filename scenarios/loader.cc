#include "scenarios/loader.h"

#include <algorithm>

#include "families/base/printable.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/fs/file_util.h"
#include "scenarios/effective.h"
#include "scenarios/embedded.h"
#include "scenarios/override.h"
#include "scenarios/plan_builder.h"
#include "scenarios/source.h"

namespace qk::scenarios {
namespace {

constexpr std::string_view kSuffix = ".qks.txtpb";
constexpr uint64_t kMaxScenarioBytes = 1 << 20;
constexpr uint64_t kDefaultSeed = 1;

bool stands_before(const Diagnostic& a, const Diagnostic& b) {
  return std::pair(a.line, a.column) < std::pair(b.line, b.column);
}

bool is_from_override(const Diagnostic& diagnostic) {
  return diagnostic.file.starts_with("--set ");
}

// Only nodes that are spelled out begin with a directory, so the plan's are the message's.
void report_bad_starts(ParsedSource& parsed, const std::vector<sim::BadStart>& starts,
                       std::vector<Diagnostic>* diagnostics) {
  for (const sim::BadStart& bad : starts) {
    if (diagnostics->size() == kMaxDiagnostics) return;
    const qksim::Node& node = parsed.message().cluster().node(static_cast<int>(bad.node));
    const bool tree = node.has_initial_dir();
    const bool fresh = !tree && !node.has_log_uri();
    Diagnostic out = parsed.at(node,
                               tree    ? "initial_dir"
                               : fresh ? "id"
                                       : "log_uri",
                               -1, ParsedSource::Point::kValue);
    out.message = cat("node ", in_quotes(node.id()), " cannot begin ",
                      fresh ? std::string("fresh")
                            : cat("with ", in_quotes(tree ? node.initial_dir() : node.log_uri())),
                      ": ", bad.reason);
    out.hint = tree    ? "a directory of this node, as it was left when the node stopped"
               : fresh ? "an initial_dir that this node left, or one for no node"
                       : "log_uri, raft_meta_uri and snapshot_uri as the family can have them";
    diagnostics->push_back(std::move(out));
  }
}

void report_planted(ParsedSource& parsed, const std::optional<Complaint>& complaint,
                    std::vector<Diagnostic>* diagnostics) {
  if (!complaint || diagnostics->size() == kMaxDiagnostics) return;
  Diagnostic out = parsed.at(parsed.message(), "planted", -1, ParsedSource::Point::kValue);
  out.message = complaint->message;
  out.hint = complaint->hint;
  diagnostics->push_back(std::move(out));
}

}  // namespace

LoadResult load(const ScenarioSource& source, const std::vector<std::string>& overrides,
                std::optional<uint64_t> seed, const families::Registry& registry,
                const TreeResolver& resolve, const StartCheck& check, const PlantedCheck& planted) {
  LoadResult result;
  ParsedSource parsed(source.file, source.text);
  if (std::optional<Diagnostic> error = parsed.parse()) {
    result.diagnostics.push_back(*std::move(error));
    return result;
  }
  for (const std::string& assignment : overrides) {
    if (std::optional<Diagnostic> error = apply_override(parsed, assignment)) {
      result.diagnostics.push_back(*std::move(error));
      if (result.diagnostics.size() == kMaxDiagnostics) break;
    }
  }
  // A scenario with half of its overrides is not what was asked for; its errors would mislead.
  if (result.diagnostics.empty()) {
    sim::Plan plan = build_plan(parsed, registry, resolve, &result.diagnostics);
    if (result.diagnostics.empty()) {
      fill_defaults(&parsed.message());
      const qksim::Scenario& scenario = parsed.message();
      plan.seed = seed.value_or(scenario.has_seed() ? scenario.seed() : kDefaultSeed);
      plan.scenario_hash = scenario_hash(scenario, plan);
      plan.chain_hash = chain_hash(scenario, plan);
      if (check) report_bad_starts(parsed, check(plan), &result.diagnostics);
      if (planted && scenario.has_planted()) {
        report_planted(parsed, planted(scenario.planted()), &result.diagnostics);
      }
      result.effective = effective_text(parsed.message(), source.directory);
      if (result.diagnostics.empty()) result.plan = std::move(plan);
    }
  }
  std::stable_sort(result.diagnostics.begin(), result.diagnostics.end(), stands_before);
  result.bad_override =
      std::any_of(result.diagnostics.begin(), result.diagnostics.end(), is_from_override);
  return result;
}

ScenarioHead head_of(const ScenarioSource& source) {
  ParsedSource parsed(source.file, source.text);
  // What was read up to an error is still worth showing; `validate` shows the error.
  static_cast<void>(parsed.parse());
  const qksim::Scenario& scenario = parsed.message();
  return {std::string(scenario_stem(source.file)),
          scenario.summary(),
          {scenario.tag().begin(), scenario.tag().end()}};
}

std::string_view scenario_stem(std::string_view file) {
  file = file.substr(file.rfind('/') + 1);
  if (file.ends_with(kSuffix)) file.remove_suffix(kSuffix.size());
  return file;
}

std::vector<ScenarioSource> builtin_scenarios() {
  std::vector<ScenarioSource> out;
  for (const EmbeddedFile& file : embedded_files()) {
    if (!file.name.ends_with(kSuffix)) continue;
    out.push_back({std::string(file.name), std::string(file.bytes), "/"});
  }
  return out;
}

absl::StatusOr<ScenarioSource> find_scenario(families::FileSystem& fs, std::string_view directory,
                                             const std::string& argument) {
  std::vector<std::string> names;
  for (ScenarioSource& source : builtin_scenarios()) {
    names.emplace_back(scenario_stem(source.file));
    if (names.back() == argument) return source;
  }
  const std::string near(nearest(argument, names));
  const std::string allowed =
      cat(near.empty() ? std::string() : cat("did you mean \"", near, "\"? "),
          "a file, or a built-in scenario: ", join(names));
  const std::string path =
      argument.starts_with('/') ? argument : families::join_path(directory, argument);
  const absl::StatusOr<families::FileStat> stat = fs.stat(path);
  if (argument.empty() || !stat.ok() || stat->kind != families::FileKind::kFile) {
    const bool is_path = argument.find('/') != std::string::npos || argument.ends_with(".txtpb");
    return absl::NotFoundError(cat("there is no ", is_path ? "file" : "scenario", " \"",
                                   printable(argument), "\"\nhint: ", allowed));
  }
  QK_ASSIGN_OR_RETURN(std::string text, families::read_file(fs, path, kMaxScenarioBytes));
  return ScenarioSource{argument, std::move(text), std::string(families::parent_path(path))};
}

}  // namespace qk::scenarios
