// qksim explore: every crash of a window of a run, each in a copy of this process.
#include <algorithm>
#include <iterator>
#include <map>

#include "families/base/printable.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/fs/file_util.h"
#include "scenarios/values.h"
#include "scenarios/written_plan.h"
#include "sim/explore/crash_exploration.h"
#include "sim/kernel/trace_text.h"
#include "tools/qksim/forked_worlds.h"
#include "tools/qksim/output_file.h"
#include "tools/qksim/padded.h"
#include "tools/qksim/run_directory.h"
#include "tools/qksim/run_report.h"
#include "tools/qksim/scenario_argument.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

using sim::CrashFinding;
using sim::CrashLevel;
using sim::ExplorationCounts;
using sim::ExplorationOptions;

constexpr std::pair<std::string_view, CrashLevel> kLevels[] = {{"P0", CrashLevel::kP0},
                                                               {"P2", CrashLevel::kP2}};
constexpr size_t kNumberWidth = 11;

std::string_view name_of(CrashLevel level) {
  return std::find_if(std::begin(kLevels), std::end(kLevels),
                      [level](const auto& row) { return row.second == level; })
      ->first;
}

class Exploring {
 public:
  Exploring(const ExploreArguments& arguments, const Environment& environment)
      : arguments_(arguments), environment_(environment) {}

  ExitCode run() {
    scenarios::ScenarioSource source;
    ExitCode code = find_scenario(environment_, arguments_.scenario, &source);
    if (code != ExitCode::kOk) return code;
    code = load_scenario(environment_, source, arguments_.sets, arguments_.seed, &loaded_);
    if (code != ExitCode::kOk) return code;
    directory_ = source.directory;
    if (!arguments_.planted.empty()) plan().planted = arguments_.planted;
    code = check_planted(environment_, plan().planted);
    if (code != ExitCode::kOk) return code;
    ExplorationOptions options;
    if (const std::string wrong = fill(&options); !wrong.empty()) {
      print_error(environment_, wrong);
      return ExitCode::kUsage;
    }
    return explore(options);
  }

 private:
  sim::Plan& plan() { return *loaded_.plan; }

  // 0: there is no such node.
  sim::NodeId node_named(const std::string& name) {
    const auto& nodes = plan().cluster.nodes;
    const auto it = std::find_if(nodes.begin(), nodes.end(),
                                 [&](const sim::NodePlan& node) { return node.id == name; });
    return it == nodes.end() ? 0 : static_cast<sim::NodeId>(it - nodes.begin() + 1);
  }

  std::string node_ids() {
    std::vector<std::string> ids;
    for (const sim::NodePlan& node : plan().cluster.nodes) ids.push_back(node.id);
    return join(ids);
  }

  // What is wrong with it; empty: nothing.
  std::string read_edge(const std::string& text, ExplorationOptions::Edge* edge) {
    const auto trigger = scenarios::parse_trigger(text);
    const std::string allowed = "a phase of a node (n1:DUAL) or a time (6s)";
    if (!trigger.ok()) return cat("--window: ", in_quotes(text), " is not ", allowed);
    const sim::Trigger& at = trigger.value();
    if (at.kind == sim::Trigger::Kind::kTime) {
      edge->time = at.time;
      return "";
    }
    if (at.kind != sim::Trigger::Kind::kPhaseEnter || at.time != 0 || at.occurrence != 1) {
      return cat("--window: ", in_quotes(text), " is not ", allowed);
    }
    edge->node = node_named(at.node);
    edge->phase = at.phase;
    if (edge->node != 0) return "";
    return cat("--window: found node ", in_quotes(at.node), ", expected one of ", node_ids());
  }

  std::string fill(ExplorationOptions* options) {
    std::string window = arguments_.window;
    if (window.empty()) {
      const auto moves = sim::planned_moves(plan());
      if (moves.empty() || moves.front().empty()) {
        return cat("--window is needed: no node of ", plan().name, " migrates");
      }
      const std::string& first = plan().cluster.nodes[moves.front().front()].id;
      window = cat(first, ":EXPORT..", first, ":B");
    }
    const size_t dots = window.find("..");
    if (dots == std::string::npos) {
      return cat("--window: ", in_quotes(window), " is not of the form FROM..TO");
    }
    std::string wrong = read_edge(window.substr(0, dots), &options->from);
    if (wrong.empty()) wrong = read_edge(window.substr(dots + 2), &options->to);
    if (!wrong.empty()) return wrong;
    window_ = window;

    for (const std::string& name : arguments_.nodes) {
      const sim::NodeId node = node_named(name);
      if (node == 0) {
        return cat("--node: found ", in_quotes(name), ", expected one of ", node_ids());
      }
      options->nodes.push_back(node);
    }
    if (options->nodes.empty() && options->from.node != 0) {
      options->nodes.push_back(options->from.node);
    }
    for (sim::NodeId node = 1;
         arguments_.nodes.empty() && options->from.node == 0 && node <= plan().cluster.nodes.size();
         ++node) {
      options->nodes.push_back(node);
    }

    options->levels.clear();
    std::string rest = arguments_.levels;
    while (!rest.empty()) {
      const size_t comma = std::min(rest.find(','), rest.size());
      const std::string word = rest.substr(0, comma);
      rest.erase(0, std::min(comma + 1, rest.size()));
      const auto level = std::find_if(std::begin(kLevels), std::end(kLevels),
                                      [&](const auto& row) { return row.first == word; });
      if (level == std::end(kLevels)) {
        return cat("--level: ", in_quotes(word),
                   " is not a level; allowed: P0, P2, or both as "
                   "P0,P2");
      }
      options->levels.push_back(level->second);
    }
    if (options->levels.empty()) return "--level: names no level";
    options->bounds.omit = arguments_.omit;
    options->nested = arguments_.nested;
    options->shard = arguments_.shard - 1;
    options->shards = arguments_.shards;
    return "";
  }

  std::string write(const std::vector<sim::FaultPlan>& faults, const std::string& oracle) {
    return scenarios::expecting_violation(
        scenarios::written_plan(loaded_.effective, plan().name, plan(), faults), oracle);
  }

  ExitCode explore(const ExplorationOptions& options) {
    environment_.catch_signals();
    begin_ms_ = environment_.wall_ms();
    std::ostream& err = *environment_.err;
    err << "explore   " << printable(plan().name) << "  seed " << seed_text(plan().seed)
        << "  window " << printable(window_) << "  " << printable(arguments_.levels) << "  omit "
        << arguments_.omit << "  nested " << arguments_.nested;
    if (options.shards > 1) err << "  shard " << arguments_.shard << "/" << options.shards;
    err << std::endl;
    ForkedWorlds worlds(arguments_.jobs == 0 ? environment_.processors : arguments_.jobs, [this] {
      return environment_.interrupted() || (arguments_.time && spent() >= *arguments_.time);
    });
    sim::CrashExploration exploration(
        options, &worlds,
        [this](const auto& faults, const auto& oracle) { return write(faults, oracle); });
    exploration.explored = [this](uint64_t number, std::optional<sim::ExploredUnit> unit) {
      if (!unit) {
        unit.emplace();
        unit->number = number;
        unit->counts.died = 1;
      }
      units_[number] = *std::move(unit);
    };
    sim::RunOptions run_options;
    run_options.trace = sim::TraceLevel::kNone;
    run_options.keep_going = false;
    run_options.between_events = [&](sim::ClusterView& view) { exploration.between_events(view); };
    // What comes after the window says nothing about it.
    const sim::RunResult result = environment_.run(plan(), run_options);
    exploration.finish();
    stopped_ = worlds.stopped();
    return report(exploration, sim::summarize(units_), result);
  }

  sim::Nanos spent() const { return (environment_.wall_ms() - begin_ms_) * sim::kMillisecond; }

  void print_row(std::string_view name, const ExplorationCounts& row) {
    std::ostream& out = *environment_.out;
    out << "  " << padded(name, 10);
    for (const uint64_t number :
         {row.instants, row.states, row.distinct, row.alike, row.recoveries, row.violations}) {
      const std::string text = cat(number);
      out << std::string(kNumberWidth - std::min(text.size(), kNumberWidth - 1), ' ') << text;
    }
    out << "\n";
  }

  ExitCode report(const sim::CrashExploration& exploration,
                  const sim::ExplorationSummary& summary, const sim::RunResult& result) {
    std::ostream& out = *environment_.out;
    out << "  phase        instants     states   distinct      alike recoveries violations\n";
    ExplorationCounts all;
    for (const auto& [phase, counts] : summary.counts) {
      print_row(to_string(phase), counts);
      all.add(counts);
    }
    if (summary.counts.size() > 1) print_row("all", all);

    std::vector<std::string> unsure;
    if (!exploration.entered()) {
      unsure.push_back(cat("the run never came to ", window_));
    } else if (!exploration.left() && !stopped_ && result.violations.empty()) {
      unsure.push_back(cat("the run ended inside ", window_));
    }
    if (!result.violations.empty()) {
      unsure.push_back(cat("the run itself ends with a violation of ",
                           result.violations.front().oracle, " at ",
                           sim::seconds_text(result.violations.front().t, 3), "s"));
    }
    if (stopped_) unsure.emplace_back("stopped early; what is above was explored");
    if (exploration.entered() && all.recoveries == 0) unsure.emplace_back("nothing was recovered");
    if (all.died > 0) {
      unsure.push_back(cat(all.died, " starts ended in a failed check of this program, see above"));
    }
    if (all.differed > 0) {
      unsure.push_back(cat(all.differed, " of ", all.rechecked,
                           " states that had shown a start the same as another one were judged in "
                           "another way: a bug of this program"));
    }
    if (all.unfinished > 0) {
      unsure.push_back(cat(all.unfinished, " starts did not come to an end"));
    }
    if (all.stayed_down > 0) {
      out << "  note      " << all.stayed_down
          << " starts were refused, and an oracle knows why: a volatile family was lost (A-11), or "
             "a "
             "disk fault\n";
    }
    if (exploration.passed_over() > 0) {
      out << "  note      " << exploration.passed_over()
          << " instants were passed over: of other shards, or with an event of the run\n";
    }
    ExitCode code = ExitCode::kOk;
    if (!summary.findings.empty()) {
      code = write_findings(summary.findings);
    } else if (!unsure.empty()) {
      code = ExitCode::kInconclusive;
    }
    if (all.died + all.differed > 0) code = worst(code, ExitCode::kInternal);
    if (environment_.interrupted()) code = worst(code, ExitCode::kInterrupted);
    for (const std::string& reason : unsure) out << "  ?         " << printable(reason) << "\n";
    const double seconds = std::max(0.001, static_cast<double>(spent()) / 1e9);
    out << (code == ExitCode::kOk         ? "PASS"
            : code == ExitCode::kViolated ? "FAIL"
            : code == ExitCode::kInternal ? "ERROR"
                                          : "INCONCLUSIVE")
        << "  " << summary.findings.size() << " signatures, " << all.violations
        << " violations, " << all.distinct << " distinct states in "
        << sim::seconds_text(spent(), 1) << "s, "
        << static_cast<uint64_t>(static_cast<double>(all.distinct) / seconds) << "/s\n";
    return code;
  }

  ExitCode write_findings(const std::vector<CrashFinding>& findings) {
    const std::string named = arguments_.out.empty()
                                  ? cat(".qksim/explore/", plan().name, "-", seed_text(plan().seed))
                                  : arguments_.out;
    const std::string directory = absolute_path(environment_, named);
    std::ostream& out = *environment_.out;
    absl::Status status = families::make_directories(*environment_.fs, directory);
    for (size_t i = 0; status.ok() && i < findings.size(); ++i) {
      const CrashFinding& finding = findings[i];
      const std::string name = cat("found-", i + 1);
      const std::string file = cat(name, ".qks.txtpb");
      const std::string path = families::join_path(directory, file);
      const std::string text = scenarios::renamed(finding.scenario, name);
      status = check_replaceable(path, {scenarios::written_plan_head()});
      if (status.ok()) status = replace_output(environment_, path, text);
      if (!status.ok()) break;
      out << "  found     " << finding.oracle << " " << finding.name << " in phase "
          << finding.phase << " at " << name_of(finding.level) << ", by " << finding.times
          << " states\n    expected  " << printable(finding.expected) << "\n    actual    "
          << printable(finding.actual) << "\n    "
          << (reproduces(finding, name, text) ? "next" : "not shown by") << "      qksim run "
          << printable(shell_quoted(families::join_path(named, file))) << "\n";
    }
    if (status.ok()) return ExitCode::kViolated;
    print_error(environment_, std::string(to_std(status.message())));
    return ExitCode::kCannotWrite;
  }

  bool reproduces(const CrashFinding& finding, const std::string& name, const std::string& text) {
    const scenarios::LoadResult written = scenarios::load(
        {name + ".qks.txtpb", text, directory_}, {}, std::nullopt, *environment_.simulated,
        scenarios::make_tree_resolver(*environment_.fs, directory_));
    if (!written.plan) return false;
    sim::RunOptions options;
    options.trace = sim::TraceLevel::kNone;
    const sim::RunResult result = environment_.run(*written.plan, options);
    return !result.violations.empty() && result.violations.front().oracle == finding.oracle;
  }

  const ExploreArguments& arguments_;
  const Environment& environment_;
  scenarios::LoadResult loaded_;
  std::string directory_;
  std::string window_;
  int64_t begin_ms_ = 0;
  bool stopped_ = false;
  std::map<uint64_t, sim::ExploredUnit> units_;
};

}  // namespace

ExitCode explore_command(const ExploreArguments& arguments, const Environment& environment) {
  return Exploring(arguments, environment).run();
}

}  // namespace qk::cli
