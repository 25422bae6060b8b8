// qksim explore: every crash of a window of a run, each in a copy of this process; of several runs
// and pairs of families, one after the other. What is done is kept, so that another process can go
// on.
#include <algorithm>
#include <iterator>
#include <map>
#include <memory>

#include "families/base/printable.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/fs/file_util.h"
#include "scenarios/values.h"
#include "scenarios/written_plan.h"
#include "sim/explore/crash_exploration.h"
#include "sim/kernel/trace_text.h"
#include "tools/qksim/explore_directory.h"
#include "tools/qksim/explore_report.h"
#include "tools/qksim/forked_worlds.h"
#include "tools/qksim/output_file.h"
#include "tools/qksim/run_directory.h"
#include "tools/qksim/run_report.h"
#include "tools/qksim/scenario_argument.h"
#include "tools/qksim/step_progress.h"
#include "tools/qksim/sweep_directory.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

using sim::CrashFinding;
using sim::CrashLevel;
using sim::ExplorationOptions;

constexpr std::pair<std::string_view, CrashLevel> kLevels[] = {{"P0", CrashLevel::kP0},
                                                               {"P1", CrashLevel::kP1},
                                                               {"P2", CrashLevel::kP2},
                                                               {"P2x", CrashLevel::kP2x}};
constexpr std::string_view kExplorations = ".qksim/explore";
constexpr int64_t kSyncEveryMs = 1000;
constexpr int64_t kRedrawMs = 200;
constexpr int64_t kPlainMs = 10'000;

// One window of one run, loaded.
class Window {
 public:
  Window(const ExploreDefinition& definition, const ExploreVariant& variant,
         const Environment& environment)
      : definition_(definition), variant_(variant), environment_(environment) {}

  // Of a variant that is being defined `seed` may be absent.
  ExitCode load(std::optional<uint64_t> seed) {
    scenarios::ScenarioSource source;
    ExitCode code = find_scenario(environment_, variant_.scenario, &source);
    if (code != ExitCode::kOk) return code;
    code = load_scenario(environment_, source, variant_.sets, seed, &loaded_);
    if (code != ExitCode::kOk) return code;
    directory_ = source.directory;
    if (!definition_.planted.empty()) plan().planted = definition_.planted;
    return check_planted(environment_, plan().planted);
  }

  sim::Plan& plan() { return *loaded_.plan; }

  // "local>sqlite", of the first migration; "local" without one.
  std::string pair() {
    const auto family_of = [this](std::string_view id) {
      const auto& stores = plan().stores;
      const auto store = std::find_if(stores.begin(), stores.end(),
                                      [&](const sim::StorePlan& of) { return of.id == id; });
      return store == stores.end() ? std::string(id) : store->family;
    };
    if (plan().migrations.empty()) return family_of(plan().cluster.nodes.front().store);
    const sim::MigrationPlan& first = plan().migrations.front();
    return cat(family_of(first.from), ">", family_of(first.to));
  }

  // The migration of the first node that migrates; empty: none does.
  std::string default_window() {
    const auto moves = sim::planned_moves(plan());
    if (moves.empty() || moves.front().empty()) return "";
    const std::string& first = plan().cluster.nodes[moves.front().front()].id;
    return cat(first, ":EXPORT..", first, ":B");
  }

  // What is wrong with it; empty: nothing.
  std::string fill(ExplorationOptions* options) {
    const std::string& window = variant_.window;
    const size_t dots = window.find("..");
    if (dots == std::string::npos) {
      return cat("--window: ", in_quotes(window), " is not of the form FROM..TO");
    }
    std::string wrong = read_edge(window.substr(0, dots), &options->from);
    if (wrong.empty()) wrong = read_edge(window.substr(dots + 2), &options->to);
    if (!wrong.empty()) return wrong;

    for (const std::string& name : definition_.nodes) {
      const sim::NodeId node = node_named(name);
      if (node == 0) {
        return cat("--node: found ", in_quotes(name), ", expected one of ", node_ids());
      }
      options->nodes.push_back(node);
    }
    if (options->nodes.empty() && options->from.node != 0) {
      options->nodes.push_back(options->from.node);
    }
    for (sim::NodeId node = 1; definition_.nodes.empty() && options->from.node == 0 &&
                               node <= plan().cluster.nodes.size();
         ++node) {
      options->nodes.push_back(node);
    }

    options->levels.clear();
    std::string rest = definition_.levels;
    while (!rest.empty()) {
      const size_t comma = std::min(rest.find(','), rest.size());
      const std::string word = rest.substr(0, comma);
      rest.erase(0, std::min(comma + 1, rest.size()));
      const auto level = std::find_if(std::begin(kLevels), std::end(kLevels),
                                      [&](const auto& row) { return row.first == word; });
      if (level == std::end(kLevels)) {
        return cat("--level: ", in_quotes(word),
                   " is not a level; allowed: P0, P1, P2, P2x, or several as P0,P2");
      }
      options->levels.push_back(level->second);
    }
    if (options->levels.empty()) return "--level: names no level";
    options->bounds.omit = definition_.omit;
    options->nested = definition_.nested;
    options->most = definition_.most;
    options->recheck = definition_.recheck;
    options->shard = definition_.shard - 1;
    options->shards = definition_.shards;
    return "";
  }

  std::string write(const std::vector<sim::FaultPlan>& faults,
                    const std::vector<std::string>& oracles) {
    return scenarios::expecting_violations(
        scenarios::written_plan(loaded_.effective, plan().name, plan(), faults), oracles);
  }

  bool reproduces(const CrashFinding& finding, const std::string& name, const std::string& text) {
    const scenarios::LoadResult written = scenarios::load(
        {name + ".qks.txtpb", text, directory_}, {}, std::nullopt, *environment_.simulated,
        scenarios::make_tree_resolver(*environment_.fs, directory_));
    if (!written.plan) return false;
    sim::RunOptions options;
    options.trace = sim::TraceLevel::kNone;
    const sim::RunResult result = environment_.run(*written.plan, options);
    return std::any_of(
        result.violations.begin(), result.violations.end(),
        [&](const sim::Violation& violation) { return violation.oracle == finding.oracle; });
  }

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

  const ExploreDefinition& definition_;
  const ExploreVariant& variant_;
  const Environment& environment_;
  scenarios::LoadResult loaded_;
  std::string directory_;
};

class Exploring {
 public:
  Exploring(const ExploreArguments& arguments, const Environment& environment)
      : arguments_(arguments), environment_(environment) {}

  ExitCode run() {
    for (const auto step : {&Exploring::define, &Exploring::open_directory, &Exploring::scout}) {
      if (const ExitCode code = (this->*step)(); code != ExitCode::kOk) return code;
    }
    const absl::Status status = explore();
    erase_line();
    if (!status.ok()) {
      print_error(environment_, std::string(to_std(status.message())));
      return ExitCode::kCannotWrite;
    }
    return conclude();
  }

 private:
  ExploreDefinition& definition() { return records_.definition; }

  // ---------------------------------------------------------------------------- what is explored

  ExitCode define() {
    if (!arguments_.resume.empty()) return define_from_directory();
    ExploreDefinition& to = definition();
    to.build = environment_.build;
    to.directory = environment_.directory;
    to.nodes = arguments_.nodes;
    to.levels = arguments_.levels;
    to.omit = arguments_.omit;
    to.nested = arguments_.nested;
    to.most = arguments_.most;
    to.recheck = arguments_.recheck;
    to.shard = arguments_.shard;
    to.shards = arguments_.shards;
    to.planted = arguments_.planted;
    for (const std::string& scenario : arguments_.scenarios) {
      if (arguments_.pairs.empty()) {
        if (const ExitCode code = add_variant(scenario, "", ""); code != ExitCode::kOk) return code;
        continue;
      }
      for (const auto& [from, future] : pairs()) {
        if (const ExitCode code = add_variant(scenario, from, future); code != ExitCode::kOk) {
          return code;
        }
      }
    }
    records_.units.resize(to.variants.size());
    return ExitCode::kOk;
  }

  // As they were named; "all": each two families that keep what is synced.
  std::vector<std::pair<std::string, std::string>> pairs() {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const std::string& word : arguments_.pairs) {
      if (word != "all") {
        const size_t mark = word.find('>');
        pairs.emplace_back(word.substr(0, mark), word.substr(mark + 1));
        continue;
      }
      for (const families::FamilyDescriptor& from : environment_.registry->all()) {
        for (const families::FamilyDescriptor& to : environment_.registry->all()) {
          if (from.volatility == families::Volatility::kVolatile ||
              to.volatility == families::Volatility::kVolatile || from.name == to.name) {
            continue;
          }
          pairs.emplace_back(from.name, to.name);
        }
      }
    }
    return pairs;
  }

  ExitCode add_variant(const std::string& scenario, const std::string& from,
                       const std::string& to) {
    ExploreVariant variant;
    variant.scenario = scenario;
    variant.sets = arguments_.sets;
    if (!from.empty()) {
      // The stores of its migration get these families.
      Window plain(definition(), variant, environment_);
      if (const ExitCode code = plain.load(arguments_.seed); code != ExitCode::kOk) return code;
      if (plain.plan().migrations.empty()) {
        print_error(environment_,
                    cat("--pair is not possible: no node of ", plain.plan().name, " migrates"));
        return ExitCode::kUsage;
      }
      const sim::MigrationPlan& first = plain.plan().migrations.front();
      variant.sets.push_back(cat("store[", first.from, "].family=", from));
      variant.sets.push_back(cat("store[", first.to, "].family=", to));
    }
    Window window(definition(), variant, environment_);
    if (const ExitCode code = window.load(arguments_.seed); code != ExitCode::kOk) return code;
    variant.name = window.plan().name;
    variant.pair = window.pair();
    variant.seed = window.plan().seed;
    variant.scenario_hash = window.plan().scenario_hash;
    variant.window = arguments_.window.empty() ? window.default_window() : arguments_.window;
    ExplorationOptions options;
    const std::string wrong =
        variant.window.empty() ? cat("--window is needed: no node of ", variant.name, " migrates")
                               : window.fill(&options);
    if (!wrong.empty()) {
      print_error(environment_, wrong);
      return ExitCode::kUsage;
    }
    definition().variants.push_back(std::move(variant));
    return ExitCode::kOk;
  }

  ExitCode define_from_directory() {
    shown_ = arguments_.resume;
    const std::string path = absolute_path(environment_, shown_);
    auto locked = RecordDirectory::lock(environment_, path, kExploreNames);
    if (!locked.ok()) return sweep_error(environment_, locked.status());
    uint64_t whole = 0;
    auto found = read_exploration(*environment_.fs, path, &whole);
    if (!found.ok()) return sweep_input_error(environment_, found.status());
    records_ = *std::move(found);
    if (definition().build != environment_.build) {
      print_error(environment_, cat(shown_, ": explored by build ", definition().build,
                                    ", expected this one, ", environment_.build));
      return ExitCode::kData;
    }
    directory_ = *std::move(locked);
    if (const absl::Status status = directory_->go_on(whole); !status.ok()) {
      return sweep_error(environment_, status);
    }
    for (const ExploreVariant& variant : definition().variants) {
      Window window(definition(), variant, environment_);
      if (const ExitCode code = window.load(variant.seed); code != ExitCode::kOk) return code;
      if (window.plan().scenario_hash != variant.scenario_hash) {
        print_error(environment_, cat(shown_, ": explored another text of scenario ",
                                      variant.scenario, "; expected the same"));
        return ExitCode::kData;
      }
    }
    return ExitCode::kOk;
  }

  ExitCode open_directory() {
    if (directory_ != nullptr) return ExitCode::kOk;
    shown_ = arguments_.out;
    if (shown_.empty()) {
      shown_ = cat(kExplorations, "/", hex8(static_cast<uint32_t>(environment_.random_seed())));
    }
    auto created = RecordDirectory::create(environment_, absolute_path(environment_, shown_),
                                           kExploreNames, to_text(definition()));
    if (!created.ok()) {
      print_error(environment_, std::string(to_std(created.status().message())));
      return ExitCode::kCannotWrite;
    }
    directory_ = *std::move(created);
    return ExitCode::kOk;
  }

  // ------------------------------------------------------------------------------------ exploring

  // How much there is to do.
  ExitCode scout() {
    environment_.catch_signals();
    begin_ms_ = environment_.wall_ms();
    for (const ExploreVariant& variant : definition().variants) {
      if (environment_.interrupted()) break;
      Window window(definition(), variant, environment_);
      if (const ExitCode code = window.load(variant.seed); code != ExitCode::kOk) return code;
      ExplorationOptions options;
      if (const std::string wrong = window.fill(&options); !wrong.empty()) {
        print_error(environment_, wrong);
        return ExitCode::kData;
      }
      sim::CrashExploration counting(options, nullptr, {});
      walk(window, &counting);
      units_all_ += counting.units();
    }
    for (const auto& units : records_.units) units_before_ += units.size();
    units_done_ = units_before_;
    return ExitCode::kOk;
  }

  sim::RunResult walk(Window& window, sim::CrashExploration* exploration) {
    sim::RunOptions options;
    options.trace = sim::TraceLevel::kNone;
    options.keep_going = false;
    options.between_events = [&](sim::ClusterView& view) { exploration->between_events(view); };
    // What comes after the window says nothing about it.
    return environment_.run(window.plan(), options);
  }

  absl::Status explore() {
    int64_t synced_ms = begin_ms_;
    for (size_t i = 0; i < definition().variants.size() && !stopped_; ++i) {
      const ExploreVariant& variant = definition().variants[i];
      if (arguments_.progress != ProgressForm::kNone) tell_start(variant);
      Window window(definition(), variant, environment_);
      if (window.load(variant.seed) != ExitCode::kOk)
        return absl::InternalError("not loaded twice");
      ExplorationOptions options;
      window.fill(&options);
      auto& units = records_.units[i];
      absl::Status status;
      ForkedWorlds worlds(arguments_.jobs == 0 ? environment_.processors : arguments_.jobs, [&] {
        draw(/*now=*/false);
        return !status.ok() || environment_.interrupted() ||
               (arguments_.time && spent() >= *arguments_.time);
      });
      sim::CrashExploration exploration(
          options, &worlds,
          [&](const auto& faults, const auto& oracles) { return window.write(faults, oracles); });
      exploration.known = [&](uint64_t number) { return units.count(number) > 0; };
      exploration.explored = [&](uint64_t number, std::optional<sim::ExploredUnit> unit) {
        ++units_done_;
        if (!unit) {
          ++died_;
          return;
        }
        unit->variant = static_cast<uint32_t>(i);
        if (status.ok()) status = directory_->append(sim::to_line(*unit));
        if (status.ok() && environment_.wall_ms() - synced_ms >= kSyncEveryMs) {
          status = directory_->sync();
          synced_ms = environment_.wall_ms();
        }
        states_ += unit->counts.distinct;
        units.emplace(number, *std::move(unit));
      };
      const sim::RunResult result = walk(window, &exploration);
      exploration.finish();
      QK_RETURN_IF_ERROR(status);
      stopped_ = worlds.stopped();
      note_gaps(variant, exploration, result);
      passed_over_ += exploration.passed_over();
    }
    return directory_->sync();
  }

  // Why not all of the window was explored.
  void note_gaps(const ExploreVariant& variant, const sim::CrashExploration& exploration,
                 const sim::RunResult& result) {
    const std::string of = definition().variants.size() > 1 ? cat(variant.pair, ": ") : "";
    if (stopped_) return;
    if (!exploration.entered()) {
      unsure_.push_back(cat(of, "the run never came to ", variant.window));
    } else if (!exploration.left() && result.violations.empty()) {
      unsure_.push_back(cat(of, "the run ended inside ", variant.window));
    }
    if (!result.violations.empty() && !exploration.left()) {
      unsure_.push_back(cat(of, "the run itself ends with a violation of ",
                            result.violations.front().oracle, " at ",
                            sim::seconds_text(result.violations.front().t, 3), "s"));
    }
  }

  sim::Nanos spent() const { return (environment_.wall_ms() - begin_ms_) * sim::kMillisecond; }

  // ------------------------------------------------------------------------------------- progress

  void tell_start(const ExploreVariant& variant) {
    erase_line();
    std::ostream& err = *environment_.err;
    err << "explore   " << printable(variant.name) << " " << printable(variant.pair) << "  seed "
        << seed_text(variant.seed) << "  window " << printable(variant.window) << "  "
        << printable(definition().levels) << "  omit " << definition().omit << "  nested "
        << definition().nested;
    if (definition().shards > 1) {
      err << "  shard " << definition().shard << "/" << definition().shards;
    }
    err << std::endl;
  }

  void draw(bool now) {
    if (arguments_.progress == ProgressForm::kNone) return;
    const bool redraws = redraws_line(arguments_.progress, environment_.terminal_err);
    const int64_t wall_ms = environment_.wall_ms();
    if (!now && wall_ms - drawn_ms_ < (redraws ? kRedrawMs : kPlainMs)) return;
    if (drawn_ms_ == 0 && !redraws) {
      drawn_ms_ = wall_ms;  // nothing to tell yet
      return;
    }
    drawn_ms_ = wall_ms;
    const auto ms = static_cast<uint64_t>(std::max<int64_t>(1, wall_ms - begin_ms_));
    const uint64_t done = units_done_ - units_before_;
    std::string line = cat("explore ", units_done_, "/", units_all_, " units  ", states_,
                           " states | ", states_ * 1000 / ms, " states/s");
    if (done > 0) {
      const uint64_t left = units_all_ - std::min(units_all_, units_done_);
      line += cat(" | ETA ", eta_text(left * ms / done / 1000));
    }
    *environment_.err << (redraws ? "\r\x1b[K" : "") << line << (redraws ? "" : "\n") << std::flush;
    drawn_ = redraws;
  }

  void erase_line() {
    if (!drawn_) return;
    *environment_.err << "\r\x1b[K" << std::flush;
    drawn_ = false;
  }

  // ---------------------------------------------------------------------------------- the verdict

  ExitCode conclude() {
    const sim::ExplorationCounts all = total_of(records_);
    std::string report = explored_text(records_);
    if (all.capped > 0) {
      report += cat("  note      ", all.capped, " distinct states were not tried: more than ",
                    definition().most, " of their instant\n");
    }
    if (all.stayed_down > 0) {
      report += cat("  note      ", all.stayed_down,
                    " starts were refused, and an oracle knows why: a volatile family was lost "
                    "(A-11), or a disk fault\n");
    }
    if (all.rechecked > 0) {
      report += cat("  note      ", all.rechecked,
                    " states or starts ran although an earlier one showed the same\n");
    }
    ExitCode code = ExitCode::kOk;
    size_t signatures = 0;
    const absl::Status found = write_findings(&report, &signatures);
    if (signatures > 0) code = ExitCode::kViolated;
    if (stopped_) {
      unsure_.emplace_back("stopped early; what is above was explored");
    } else if (passed_over_ > 0) {
      report += cat("  note      ", passed_over_,
                    " instants were passed over: of other shards, or with an event of the run\n");
    }
    if (all.recoveries == 0) unsure_.emplace_back("nothing was recovered");
    if (all.died + died_ > 0) {
      unsure_.push_back(
          cat(all.died + died_, " starts ended in a failed check of this program, see above"));
    }
    if (all.differed > 0) {
      unsure_.push_back(cat(all.differed, " of ", all.rechecked,
                            " states or starts that an earlier one had shown the same were judged "
                            "in another way: a bug of this program"));
    }
    if (all.unfinished > 0) {
      unsure_.push_back(cat(all.unfinished, " starts did not come to an end"));
    }
    if (code == ExitCode::kOk && !unsure_.empty()) code = ExitCode::kInconclusive;
    if (all.died + died_ + all.differed > 0) code = worst(code, ExitCode::kInternal);
    for (const std::string& reason : unsure_) report += cat("  ?         ", reason, "\n");
    report += cat(code == ExitCode::kOk         ? "PASS"
                  : code == ExitCode::kViolated ? "FAIL"
                  : code == ExitCode::kInternal ? "ERROR"
                                                : "INCONCLUSIVE",
                  "  ", signatures, " signatures, ", all.violations, " violations, ", all.distinct,
                  " distinct states\n");
    absl::Status status = found;
    if (status.ok()) status = directory_->replace("report.txt", report);
    *environment_.out << report << "took      " << sim::seconds_text(spent(), 1) << "s, " << states_
                      << " states here, "
                      << states_ * 1000 /
                             static_cast<uint64_t>(
                                 std::max<int64_t>(1, environment_.wall_ms() - begin_ms_))
                      << "/s\n"
                      << "kept      " << printable(shown_) << "/\n";
    if (!status.ok()) {
      print_error(environment_, std::string(to_std(status.message())));
      code = worst(code, ExitCode::kCannotWrite);
    }
    if (stopped_ || environment_.interrupted()) {
      *environment_.err << "go on with: qksim explore --resume " << printable(shell_quoted(shown_))
                        << "\n";
    }
    return environment_.interrupted() ? worst(code, ExitCode::kInterrupted) : code;
  }

  // found-N.qks.txtpb, and what is to be told of each.
  absl::Status write_findings(std::string* report, size_t* signatures) {
    absl::Status status;
    for (size_t i = 0; i < records_.units.size(); ++i) {
      const sim::ExplorationSummary summary = sim::summarize(records_.units[i]);
      if (summary.findings.empty()) continue;
      Window window(definition(), definition().variants[i], environment_);
      if (window.load(definition().variants[i].seed) != ExitCode::kOk) continue;  // it was told
      for (const CrashFinding& finding : summary.findings) {
        const std::string name = cat("found-", ++*signatures);
        const std::string file = cat(name, ".qks.txtpb");
        const std::string text = scenarios::renamed(finding.scenario, name);
        if (status.ok()) status = directory_->replace(file, text);
        *report += printable(cat("  found     ", finding.oracle, " ", finding.name, " in phase ",
                                 finding.phase, " at ", sim::to_string(finding.level), ", by ",
                                 finding.times, " states"));
        *report += cat("\n    expected  ", printable(finding.expected), "\n    actual    ",
                       printable(finding.actual), "\n    ",
                       window.reproduces(finding, name, text) ? "next" : "not shown by",
                       "      qksim run ", file, "\n");
      }
    }
    return status;
  }

  const ExploreArguments& arguments_;
  const Environment& environment_;
  ExploreRecords records_;
  std::unique_ptr<RecordDirectory> directory_;
  std::string shown_;  // the directory, as messages name it
  std::vector<std::string> unsure_;
  int64_t begin_ms_ = 0;
  int64_t drawn_ms_ = 0;
  bool drawn_ = false;
  bool stopped_ = false;
  uint64_t units_all_ = 0;
  uint64_t units_before_ = 0;  // done by an earlier process
  uint64_t units_done_ = 0;
  uint64_t states_ = 0;  // of this process
  uint64_t passed_over_ = 0;
  uint64_t died_ = 0;
};

}  // namespace

ExitCode explore_command(const ExploreArguments& arguments, const Environment& environment) {
  return Exploring(arguments, environment).run();
}

}  // namespace qk::cli
