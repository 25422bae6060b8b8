// `qksim selftest`: hunts each planted bug in a process of its own, because some end their process.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <map>

#include "families/base/printable.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/fs/file_util.h"
#include "sim/explore/selftest.h"
#include "tools/qksim/padded.h"
#include "tools/qksim/scenario_argument.h"
#include "tools/qksim/shrunk_files.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

using How = sim::Catch::How;

// A hunt ends after so much processor time at the latest.
constexpr double kHuntSeconds = 60;
constexpr uint64_t kCleanSeeds = 5;
// Around each of the first multiples of kCanaryEvery so many seeds on each side are run, too.
constexpr uint64_t kCanaryEvery = 100;
constexpr uint64_t kCanaryMultiples = 2;
constexpr uint64_t kCanaryBeside = 5;
constexpr std::string_view kCanary = "canary";

double processor_seconds() {
  return static_cast<double>(std::clock()) / static_cast<double>(CLOCKS_PER_SEC);
}

// "NAME FIELD=VALUE ...".
std::vector<std::string> words_of(std::string_view scenario) {
  std::vector<std::string> words;
  while (!scenario.empty()) {
    const size_t space = std::min(scenario.find(' '), scenario.size());
    words.emplace_back(scenario.substr(0, space));
    scenario.remove_prefix(std::min(space + 1, scenario.size()));
  }
  return words;
}

class Selftest {
 public:
  Selftest(const SelftestArguments& arguments, const Environment& environment)
      : arguments_(arguments), environment_(environment), start_ms_(environment.wall_ms()) {}

  ExitCode run() {
    for (const sim::PlantedBug& bug : environment_.planted) {
      if (chosen(bug)) bugs_.push_back(&bug);
    }
    if (bugs_.empty()) {
      print_error(environment_, cat("--bug: nothing is called ", join(arguments_.bugs)));
      *environment_.err << "hint: qksim selftest --list names the bugs; a component, a level, an "
                           "oracle or the id of a known bug selects several\n";
      return ExitCode::kUsage;
    }
    if (arguments_.list) return list();
    environment_.catch_signals();
    if (arguments_.bugs.empty() || arguments_.canary_only) {
      if (!canary()) return ExitCode::kViolated;
      if (arguments_.canary_only) return ExitCode::kOk;
    }
    if (!clean()) return ExitCode::kViolated;
    return hunt_all();
  }

 private:
  struct Case {
    sim::Hunt hunt;
    sim::Catch found;
    double seconds = 0;
    bool ran = false;
  };
  // A killed bug, made small.
  struct Small {
    const Case* of = nullptr;
    std::string file;
    bool written = false;
    bool complete = false;  // nothing more can be taken away
    bool same = false;      // the file fails by the same oracle
    bool passes = false;    // so does its sibling not
    uint64_t runs = 0;
    uint64_t operations = 0;  // of clients and of the operator
    uint64_t crashes = 0;
    uint64_t faults = 0;  // the others
    uint64_t nodes = 0;
    int64_t wall_ms = 0;
  };
  struct Child {
    size_t of = 0;
    int pipe = -1;
  };

  // One that selftest runs and that the words name; without any, all but the canary.
  bool chosen(const sim::PlantedBug& bug) const {
    if (!arguments_.list && (bug.oracles == "internal" || bug.name == kCanary)) return false;
    if (arguments_.bugs.empty()) return true;
    return std::any_of(arguments_.bugs.begin(), arguments_.bugs.end(), [&](const auto& word) {
      return word == bug.name || word == bug.known_as || word == bug.component ||
             word == bug.level || sim::is_meant(bug, word);
    });
  }

  ExitCode list() const {
    std::ostream& out = *environment_.out;
    for (const sim::PlantedBug* bug : bugs_) {
      out << padded(bug->name, 30) << padded(bug->known_as, 7) << padded(bug->component, 5)
          << padded(bug->level, 5) << bug->oracles << "\n      " << bug->what << "\n";
    }
    out << bugs_.size() << " planted bugs\n";
    return ExitCode::kOk;
  }

  sim::Plan plan(std::string_view scenario, uint64_t seed) const {
    std::vector<std::string> words = words_of(scenario);
    scenarios::ScenarioSource source;
    scenarios::LoadResult loaded;
    const std::string name = words.front();
    words.erase(words.begin());
    const bool found = find_scenario(environment_, name, &source) == ExitCode::kOk &&
                       load_scenario(environment_, source, words, seed, &loaded) == ExitCode::kOk;
    QK_CHECK(found && "the scenario of a planted bug does not load");
    return *loaded.plan;
  }

  sim::RunResult run_plan(const sim::Plan& plan) const {
    sim::RunOptions options;
    options.trace = sim::TraceLevel::kNone;
    return environment_.run(plan, options);
  }

  // The canary must be found for the multiples of 100, and for no other seed.
  bool canary() const {
    const auto* bug = std::find_if(environment_.planted.begin(), environment_.planted.end(),
                                   [](const auto& other) { return other.name == kCanary; })
                          .
                          operator->();
    uint64_t ran = 0;
    for (uint64_t multiple = 1; multiple <= kCanaryMultiples; ++multiple) {
      const uint64_t at = multiple * kCanaryEvery;
      for (uint64_t seed = at - kCanaryBeside; seed <= at + kCanaryBeside; ++seed, ++ran) {
        sim::Plan plan = this->plan(bug->scenario, seed);
        plan.planted = bug->name;
        const sim::Catch found = sim::judge(*bug, run_plan(plan));
        const bool right =
            seed % kCanaryEvery == 0 ? found.how == How::kByMeant : found.how == How::kSurvived;
        if (right) continue;
        *environment_.out << "FAIL  canary  seed " << seed << ": "
                          << (found.oracle.empty() ? "nothing" : found.oracle)
                          << " noticed, expected "
                          << (seed % kCanaryEvery == 0 ? bug->oracles : "nothing") << "\n";
        return false;
      }
    }
    *environment_.out << "canary    found for the " << kCanaryMultiples << " seeds of " << ran
                      << " that are multiples of " << kCanaryEvery << ", for no other\n";
    return true;
  }

  // Without a bug the same scenarios pass.
  bool clean() const {
    std::vector<std::string_view> scenarios;
    for (const sim::PlantedBug* bug : bugs_) {
      if (bug->scenario.empty()) continue;
      if (std::find(scenarios.begin(), scenarios.end(), bug->scenario) == scenarios.end()) {
        scenarios.push_back(bug->scenario);
      }
    }
    for (const std::string_view scenario : scenarios) {
      for (uint64_t seed = 1; seed <= std::min(kCleanSeeds, arguments_.seeds); ++seed) {
        const sim::RunResult result = run_plan(plan(scenario, seed));
        if (result.verdict == sim::Verdict::kPass) continue;
        *environment_.out << "FAIL  " << scenario << "  seed " << seed
                          << ": does not pass without a planted bug\n";
        return false;
      }
    }
    *environment_.out << "clean     " << scenarios.size() << " scenarios pass without a bug\n";
    environment_.out->flush();
    return true;
  }

  bool over() const {
    return environment_.interrupted() ||
           (arguments_.budget &&
            (environment_.wall_ms() - start_ms_) * sim::kMillisecond >= *arguments_.budget);
  }

  ExitCode hunt_all() {
    for (const sim::PlantedBug* bug : bugs_) {
      for (const bool hard : {false, true}) {
        if (arguments_.forms == (hard ? Forms::kEasy : Forms::kHard)) continue;
        if (hard && !bug->has_hard_form) continue;
        cases_.push_back({{bug, hard}, {}, 0, false});
      }
    }
    const bool ran = in_children(
        cases_.size(), [this](size_t i, int pipe) { hunt_here(cases_[i].hunt, pipe); },
        [this](size_t i, const std::string& answer, double seconds) {
          finish(&cases_[i], answer, seconds);
        });
    if (!ran) return ExitCode::kInternal;
    const ExitCode code = conclude();
    return arguments_.shrink_into.empty() ? code : worst(code, shrink_all());
  }

  // `work` in a process of its own for each number below `count`, some at a time, which writes its
  // answer into the pipe and ends; then `done` here, with the processor time that it took.
  bool in_children(size_t count, const std::function<void(size_t, int pipe)>& work,
                   const std::function<void(size_t, const std::string&, double)>& done) const {
    const uint64_t jobs =
        arguments_.jobs > 0 ? arguments_.jobs : std::max(1U, environment_.processors);
    std::map<pid_t, Child> children;
    size_t next = 0;
    while (next < count || !children.empty()) {
      while (next < count && children.size() < jobs && !over()) {
        if (!start(next, work, &children)) return false;
        ++next;
      }
      if (children.empty()) break;
      int status = 0;
      struct rusage usage = {};
      const pid_t ended = ::wait4(-1, &status, 0, &usage);
      const auto it = children.find(ended);
      if (it == children.end()) {
        if (ended < 0 && errno != EINTR) return false;
        continue;
      }
      std::string answer(4096, '\0');
      const ssize_t size = ::read(it->second.pipe, answer.data(), answer.size());
      ::close(it->second.pipe);
      answer.resize(size < 0 ? 0 : static_cast<size_t>(size));
      done(it->second.of, answer,
           static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
      children.erase(it);
    }
    return true;
  }

  bool start(size_t number, const std::function<void(size_t, int pipe)>& work,
             std::map<pid_t, Child>* children) const {
    int ends[2];
    if (::pipe(ends) != 0) return false;
    environment_.out->flush();
    const pid_t pid = ::fork();
    if (pid < 0) return false;
    if (pid == 0) {
      ::close(ends[0]);
      work(number, ends[1]);
      std::_Exit(1);
    }
    ::close(ends[1]);
    (*children)[pid] = {number, ends[0]};
    return true;
  }

  // In the child: the answer is one line, shorter than a pipe holds.
  [[noreturn]] void hunt_here(const sim::Hunt& hunt, int pipe) const {
    sim::HuntTools tools;
    uint64_t seed_now = 0;
    const auto answer = [&](const sim::Catch& found) {
      const std::string line = cat(static_cast<int>(found.how), " ", found.seed, " ", found.seeds,
                                   " ", found.events, " ", found.oracle);
      const ssize_t written = ::write(pipe, line.data(), line.size());
      std::_Exit(written == static_cast<ssize_t>(line.size()) ? 0 : 1);
    };
    tools.plan = [&](std::string_view scenario, uint64_t seed) {
      seed_now = seed;
      return plan(scenario, seed);
    };
    tools.run = [&](const sim::Plan& plan) {
      sim::RunOptions options;
      options.trace = sim::TraceLevel::kNone;
      options.internal_error = [&](const sim::RunResult& result) {
        sim::Catch found = sim::judge(*hunt.bug, result);
        found.seed = found.seeds = seed_now;
        answer(found);
      };
      return environment_.run(plan, options);
    };
    const double start = processor_seconds();
    tools.spent = [&] { return processor_seconds() - start > kHuntSeconds; };
    answer(sim::hunt(hunt, arguments_.seeds, tools));
    std::_Exit(1);
  }

  void finish(Case* hunted, const std::string& line, double seconds) {
    Case& of = *hunted;
    of.ran = true;
    of.seconds = seconds;
    const std::vector<std::string> words = words_of(line);
    if (words.size() < 4) {
      of.found.how = How::kByAnother;
      of.found.oracle = "crash";
    } else {
      of.found.how = static_cast<How>(std::stoi(words[0]));
      of.found.seed = std::stoull(words[1]);
      of.found.seeds = std::stoull(words[2]);
      of.found.events = std::stoull(words[3]);
      if (words.size() > 4) of.found.oracle = words[4];
    }
    tell(of);
  }

  void tell(const Case& of) const {
    static constexpr std::string_view kWords[] = {"SURVIVED", "other", "killed"};
    const sim::Catch& found = of.found;
    std::ostream& out = *environment_.out;
    out << padded(kWords[static_cast<int>(found.how)], 10) << padded(of.hunt.planted(), 34)
        << padded(of.hunt.bug->level, 5);
    if (found.oracle.empty()) {
      out << "nothing noticed in " << found.seeds << " seeds";
    } else {
      out << padded(found.oracle, 10) << "seed " << padded(cat(found.seed), 4);
    }
    out << "  " << seconds_of(of.seconds) << " CPU  " << found.events << " events";
    if (found.how == How::kByAnother) out << "  expected " << of.hunt.bug->oracles;
    out << std::endl;
  }

  static std::string seconds_of(double seconds) {
    const auto tenths = static_cast<uint64_t>(seconds * 10 + 0.5);
    return cat(tenths / 10, ".", tenths % 10, "s");
  }

  // How many bugs each level kills that the levels before it leave alive.
  void tell_curve(bool hard) const {
    struct Level {
      std::string_view name;
      std::string_view prefix;  // of PlantedBug::killed_by
      std::string killed = {};
      size_t count = 0;
    };
    Level levels[] = {{"with conformance", "conformance "}, {"with unit tests", "unit "}};
    size_t all = 0;
    size_t scenarios = 0;
    for (const Case& of : cases_) {
      if (of.hunt.hard != hard || !of.ran) continue;
      ++all;
      if (of.found.how != How::kSurvived) ++scenarios;
      for (Level& level : levels) {
        if (of.found.how != How::kSurvived || !of.hunt.bug->killed_by.starts_with(level.prefix)) {
          continue;
        }
        level.killed += cat(level.killed.empty() ? ": " : ", ", of.hunt.bug->name, " (",
                            of.hunt.bug->killed_by.substr(level.prefix.size()), ")");
        ++level.count;
      }
    }
    if (all == 0) return;
    std::ostream& out = *environment_.out;
    const auto line = [&](std::string_view name, size_t killed, const std::string& which) {
      out << "curve     " << padded(hard ? "hard" : "easy", 6) << padded(name, 18) << killed
          << " of " << all << " killed, " << killed * 100 / all << " %" << which << "\n";
    };
    line("scenarios alone", scenarios, "");
    for (const Level& level : levels) {
      scenarios += level.count;
      line(level.name, scenarios, level.killed);
    }
  }

  ExitCode conclude() const {
    struct Count {
      size_t by[3] = {0, 0, 0};
      size_t expectations = 0;
      std::vector<double> seconds;
      size_t not_run = 0;
    };
    std::map<std::string, Count> levels;
    std::vector<std::string> survivors;
    std::vector<sim::Hunt> known;
    for (const Case& of : cases_) {
      Count& count = levels[cat(of.hunt.bug->level, of.hunt.hard ? " hard" : "")];
      if (!of.ran) {
        ++count.not_run;
        continue;
      }
      ++count.by[static_cast<int>(of.found.how)];
      if (of.found.oracle == "expect") ++count.expectations;
      count.seconds.push_back(of.seconds);
      if (of.found.how != How::kSurvived) continue;
      if (of.hunt.bug->survives.empty()) {
        survivors.push_back(of.hunt.planted());
      } else {
        known.push_back(of.hunt);
      }
    }
    std::ostream& out = *environment_.out;
    bool complete = true;
    for (auto& [level, count] : levels) {
      std::sort(count.seconds.begin(), count.seconds.end());
      out << "level     " << padded(level, 10) << count.by[2] << " killed, " << count.by[1]
          << " by another oracle, " << count.by[0] << " survived";
      if (count.expectations > 0) out << "; " << count.expectations << " by an expectation alone";
      if (!count.seconds.empty()) {
        out << "; median " << seconds_of(count.seconds[count.seconds.size() / 2]) << " CPU";
      }
      if (count.not_run > 0) out << "; " << count.not_run << " not run";
      complete = complete && count.not_run == 0;
      out << "\n";
    }
    for (const sim::Hunt& hunt : known) {
      out << "known     " << padded(hunt.planted(), 34) << hunt.bug->survives
          << (hunt.bug->killed_by.empty() ? std::string("; nothing kills it")
                                          : cat("; killed by ", hunt.bug->killed_by))
          << "\n";
    }
    for (const bool hard : {false, true}) tell_curve(hard);
    if (!survivors.empty()) out << "survived  " << join(survivors) << "\n";
    out << (survivors.empty() ? complete ? "PASS" : "?" : "FAIL") << "  selftest  " << cases_.size()
        << " hunts of " << bugs_.size() << " planted bugs\n";
    if (environment_.interrupted()) return ExitCode::kInterrupted;
    if (!survivors.empty()) return ExitCode::kViolated;
    return complete ? ExitCode::kOk : ExitCode::kInconclusive;
  }

  // --- What was killed, made small.

  // A run that violates something can be made small; one that ended its process, or that had to be
  // compared with another, cannot.
  static bool can_shrink(const Case& of) {
    return of.ran && of.hunt.bug->judge == sim::Judge::kRun && of.found.how != How::kSurvived &&
           of.found.oracle.starts_with("ora.");
  }

  ExitCode shrink_all() {
    const absl::Status made = families::make_directories(
        *environment_.fs, absolute_path(environment_, arguments_.shrink_into));
    if (!made.ok()) {
      print_error(environment_, std::string(to_std(made.message())));
      return ExitCode::kCannotWrite;
    }
    std::vector<Small> all;
    for (const Case& of : cases_) {
      if (!can_shrink(of)) continue;
      Small small;
      small.of = &of;
      small.file =
          families::join_path(arguments_.shrink_into,
                              cat(of.hunt.bug->name, of.hunt.hard ? "-hard" : "", ".qks.txtpb"));
      const ExitCode code = check_shrunk_files(environment_, small.file);
      if (code != ExitCode::kOk) return code;
      all.push_back(std::move(small));
    }
    const bool ran = in_children(
        all.size(), [&](size_t i, int pipe) { shrink_here(all[i], pipe); },
        [&](size_t i, const std::string& answer, double) { finish_shrink(&all[i], answer); });
    if (!ran) return ExitCode::kInternal;
    return conclude_shrink(all);
  }

  void shrink_here(const Small& small, int pipe) const {
    const sim::Hunt& hunt = small.of->hunt;
    std::vector<std::string> words = words_of(hunt.bug->scenario);
    scenarios::ScenarioSource source;
    scenarios::LoadResult loaded;
    const std::string name = words.front();
    words.erase(words.begin());
    if (find_scenario(environment_, name, &source) != ExitCode::kOk ||
        load_scenario(environment_, source, words, small.of->found.seed, &loaded) !=
            ExitCode::kOk) {
      return;
    }
    loaded.plan->planted = hunt.planted();
    const int64_t begin = environment_.wall_ms();
    ShrinkJob job;
    job.loaded = &loaded;
    job.failing = small.file;
    // One bug was planted, so there is one to be found, in whatever phase.
    job.any_phase = true;
    job.spent = [&] {
      return (environment_.wall_ms() - begin) * sim::kMillisecond /
             std::max<int64_t>(1, arguments_.shrink_for / kWholeTime);
    };
    const ShrunkFiles files = shrink_into_files(environment_, job);
    if (files.code != ExitCode::kOk) return;
    const int64_t took = environment_.wall_ms() - begin;
    // The files as a user runs them.
    const auto run_file = [&](const std::string& file) {
      scenarios::ScenarioSource written;
      scenarios::LoadResult again;
      if (find_scenario(environment_, file, &written) != ExitCode::kOk ||
          load_scenario(environment_, written, {}, std::nullopt, &again) != ExitCode::kOk) {
        return sim::RunResult();
      }
      return run_plan(*again.plan);
    };
    const sim::RunResult fails = run_file(small.file);
    const bool same =
        !fails.violations.empty() && fails.violations.front().oracle == files.shrunk.failure.oracle;
    const bool passes = !files.shrunk.sibling.empty() &&
                        run_file(passing_file(small.file)).verdict == sim::Verdict::kPass;
    scenarios::ScenarioSource written;
    scenarios::LoadResult again;
    if (find_scenario(environment_, small.file, &written) != ExitCode::kOk ||
        load_scenario(environment_, written, {}, std::nullopt, &again) != ExitCode::kOk) {
      return;
    }
    const sim::Plan& plan = *again.plan;
    uint64_t operations = plan.migrations.size();
    if (plan.workload.clients > 0) {
      operations += plan.workload.operations > 0 ? plan.workload.operations : fails.committed;
    }
    uint64_t crashes = 0;
    uint64_t faults = 0;
    for (const sim::FaultPlan& fault : plan.faults) {
      if (std::holds_alternative<sim::CrashFault>(fault.what)) {
        ++crashes;
      } else if (std::holds_alternative<sim::TransferFault>(fault.what) ||
                 std::holds_alternative<sim::RollbackFault>(fault.what)) {
        ++operations;
      } else {
        ++faults;
      }
    }
    const std::string line = cat(files.shrunk.complete ? 1 : 0, " ", same ? 1 : 0, " ",
                                 passes ? 1 : 0, " ", files.shrunk.runs, " ", operations, " ",
                                 crashes, " ", faults, " ", plan.cluster.nodes.size(), " ", took);
    const ssize_t sent = ::write(pipe, line.data(), line.size());
    std::_Exit(sent == static_cast<ssize_t>(line.size()) ? 0 : 1);
  }

  void finish_shrink(Small* small, const std::string& answer) const {
    const std::vector<std::string> words = words_of(answer);
    std::ostream& out = *environment_.out;
    const std::string name = small->of->hunt.planted();
    if (words.size() < 9) {
      out << "FAILED    " << padded(name, 34) << "not shrunk" << std::endl;
      return;
    }
    small->written = true;
    small->complete = words[0] == "1";
    small->same = words[1] == "1";
    small->passes = words[2] == "1";
    small->runs = std::stoull(words[3]);
    small->operations = std::stoull(words[4]);
    small->crashes = std::stoull(words[5]);
    small->faults = std::stoull(words[6]);
    small->nodes = std::stoull(words[7]);
    small->wall_ms = static_cast<int64_t>(std::stoull(words[8]));
    out << padded(small->same && small->passes ? "shrunk" : "FAILED", 10) << padded(name, 34)
        << padded(small->of->found.oracle, 10) << small->operations << " operations, "
        << small->crashes << " crashes, " << small->faults << " other faults, " << small->nodes
        << " nodes; " << small->runs << " runs in "
        << seconds_of(static_cast<double>(small->wall_ms) / 1000)
        << (small->complete ? "" : ", stopped early")
        << (small->same ? "" : "; the file does not fail in the same way")
        << (small->passes ? "" : "; no run near it passes") << std::endl;
  }

  ExitCode conclude_shrink(const std::vector<Small>& all) const {
    constexpr uint64_t kFewOperations = 3;
    size_t small = 0;
    size_t early = 0;
    size_t wrong = 0;
    size_t not_run = 0;
    for (const Small& one : all) {
      if (one.written) {
        small += one.operations <= kFewOperations && one.crashes + one.faults <= 1 ? 1 : 0;
        early += one.complete ? 0 : 1;
        wrong += one.same && one.passes ? 0 : 1;
      } else {
        ++(over() ? not_run : wrong);
      }
    }
    *environment_.out << (wrong > 0     ? "FAIL"
                          : not_run > 0 ? "?"
                                        : "PASS")
                      << "  shrink  " << all.size() << " killed bugs: " << small << " with at most "
                      << kFewOperations << " operations and one fault, " << early
                      << " stopped early, " << wrong << " that do not fail or pass as they should"
                      << (not_run > 0 ? cat(", ", not_run, " not run") : std::string()) << "\n";
    if (environment_.interrupted()) return ExitCode::kInterrupted;
    return wrong > 0 ? ExitCode::kViolated : not_run > 0 ? ExitCode::kInconclusive : ExitCode::kOk;
  }

  const SelftestArguments& arguments_;
  const Environment& environment_;
  const int64_t start_ms_;
  std::vector<const sim::PlantedBug*> bugs_;
  std::vector<Case> cases_;
};

}  // namespace

ExitCode selftest_command(const SelftestArguments& arguments, const Environment& environment) {
  return Selftest(arguments, environment).run();
}

}  // namespace qk::cli
