// `qksim selftest`: hunts each planted bug in a process of its own, because some end their process.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <map>

#include "families/base/printable.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "sim/explore/selftest.h"
#include "tools/qksim/padded.h"
#include "tools/qksim/scenario_argument.h"
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
        // A disk either keeps what it should, or not.
        if (hard && bug->judge == sim::Judge::kLitmus) continue;
        cases_.push_back({{bug, hard}, {}, 0, false});
      }
    }
    const uint64_t jobs =
        arguments_.jobs > 0 ? arguments_.jobs : std::max(1U, environment_.processors);
    std::map<pid_t, Child> children;
    size_t next = 0;
    while (next < cases_.size() || !children.empty()) {
      while (next < cases_.size() && children.size() < jobs && !over()) {
        if (!start(next, &children)) return ExitCode::kInternal;
        ++next;
      }
      if (children.empty()) break;
      int status = 0;
      struct rusage usage = {};
      const pid_t ended = ::wait4(-1, &status, 0, &usage);
      const auto it = children.find(ended);
      if (it == children.end()) {
        if (ended < 0 && errno != EINTR) return ExitCode::kInternal;
        continue;
      }
      finish(it->second, usage);
      children.erase(it);
    }
    return conclude();
  }

  bool start(size_t number, std::map<pid_t, Child>* children) {
    int ends[2];
    if (::pipe(ends) != 0) return false;
    environment_.out->flush();
    const pid_t pid = ::fork();
    if (pid < 0) return false;
    if (pid == 0) {
      ::close(ends[0]);
      hunt_here(cases_[number].hunt, ends[1]);
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

  void finish(const Child& child, const struct rusage& usage) {
    Case& of = cases_[child.of];
    of.ran = true;
    of.seconds = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    std::string line(4096, '\0');
    const ssize_t size = ::read(child.pipe, line.data(), line.size());
    ::close(child.pipe);
    line.resize(size < 0 ? 0 : static_cast<size_t>(size));
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
      out << "known     " << padded(hunt.planted(), 34) << hunt.bug->survives << "\n";
    }
    if (!survivors.empty()) out << "survived  " << join(survivors) << "\n";
    out << (survivors.empty() ? complete ? "PASS" : "?" : "FAIL") << "  selftest  " << cases_.size()
        << " hunts of " << bugs_.size() << " planted bugs\n";
    if (environment_.interrupted()) return ExitCode::kInterrupted;
    if (!survivors.empty()) return ExitCode::kViolated;
    return complete ? ExitCode::kOk : ExitCode::kInconclusive;
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
