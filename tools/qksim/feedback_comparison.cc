// feedback_comparison FIRST LAST: hunts the eight bugs of docs/feedback.md with and without feedback, for
// the repetitions FIRST to LAST, and prints a line for each hunt.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <iostream>

#include "families/fs/posix_file_system.h"
#include "scenarios/initial_tree.h"
#include "scenarios/loader.h"
#include "sim/cluster/run.h"
#include "sim/explore/feedback.h"
#include "sim/explore/planted.h"

namespace qk::cli {
namespace {

constexpr std::string_view kBugs[] = {
    "rocksdb-manifest-not-synced", "append-ack-before-synced", "vote-log-ignored",
    "vote-terms-ignored",          "mirror-cut-short",         "reset-one-more",
    "segment-not-synced",          "import-loses-file"};
constexpr double kLimit = 40;
constexpr uint64_t kSeedsApart = 100'000;

double cpu_seconds() {
  return static_cast<double>(std::clock()) / static_cast<double>(CLOCKS_PER_SEC);
}

sim::Plan plan_of_bug(const sim::PlantedBug& bug, uint64_t seed) {
  std::vector<std::string> words;
  for (std::string_view rest = bug.scenario; !rest.empty();) {
    const size_t space = std::min(rest.find(' '), rest.size());
    words.emplace_back(rest.substr(0, space));
    rest.remove_prefix(std::min(space + 1, rest.size()));
  }
  const std::string name = words.front();
  words.erase(words.begin());
  families::PosixFileSystem fs;
  families::VolatileMemory memory(0);
  for (const scenarios::ScenarioSource& source : scenarios::builtin_scenarios()) {
    if (scenarios::scenario_stem(source.file) != name) continue;
    scenarios::LoadResult loaded =
        scenarios::load(source, words, seed, sim::simulated_families(&memory),
                        scenarios::make_tree_resolver(fs, source.directory));
    QK_CHECK(loaded.plan.has_value());
    loaded.plan->planted = cat(bug.name, ":hard");
    return *std::move(loaded.plan);
  }
  QK_CHECK(false && "the scenario of a planted bug is not there");
  return {};
}

// In a process of its own: some bugs end theirs. Says what was found, with which seed.
void hunt(const sim::PlantedBug& bug, uint64_t repetition, bool feedback) {
  const double begin = cpu_seconds();
  const auto say = [&](std::string_view what, uint64_t seeds, const sim::Feedback& kept) {
    const auto ms = static_cast<uint64_t>(1000 * (cpu_seconds() - begin));
    std::cout << bug.name << " " << repetition << " " << (feedback ? "feedback" : "plain") << " "
              << what << " seeds " << seeds << " tuples " << kept.tuples() << " kept "
              << kept.kept() << " ms " << ms << std::endl;
    std::_Exit(0);
  };
  sim::Feedback kept;
  const uint64_t first = 1 + kSeedsApart * repetition;
  uint64_t seed = first;
  sim::RunOptions options;
  options.trace = sim::TraceLevel::kNone;
  options.mutant_of = sim::make_mutant;
  options.tuples = feedback;
  options.internal_error = [&](const sim::RunResult&) { say("internal", seed - first + 1, kept); };
  for (; cpu_seconds() - begin < kLimit; ++seed) {
    const auto ancestors = feedback ? kept.ancestors(seed) : std::vector<uint64_t>();
    const sim::RunResult result = sim::run(
        sim::plan_after(ancestors, seed, [&](uint64_t of) { return plan_of_bug(bug, of); }),
        options);
    if (!result.violations.empty()) say(result.violations.front().oracle, seed - first + 1, kept);
    if (feedback) kept.ran(seed, ancestors, result.tuples);
  }
  say("limit", seed - first, kept);
}

int compare(uint64_t first, uint64_t last) {
  for (uint64_t repetition = first; repetition <= last; ++repetition) {
    for (const std::string_view name : kBugs) {
      for (const bool feedback : {false, true}) {
        std::cout.flush();
        const pid_t child = ::fork();
        if (child == 0) hunt(*sim::find_planted(name), repetition, feedback);
        int status = 0;
        if (child < 0 || ::waitpid(child, &status, 0) != child) return 1;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
          std::cout << name << " " << repetition << " died" << std::endl;
        }
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace qk::cli

int main(int count, char** words) {
  if (count != 3) {
    std::cerr << "feedback_comparison FIRST LAST: repetitions, from 0\n";
    return 64;
  }
  return qk::cli::compare(std::strtoull(words[1], nullptr, 10),
                          std::strtoull(words[2], nullptr, 10));
}
