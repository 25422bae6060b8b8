// The suite itself, for the families of this build, with one seed; and what holds of its list of
// checks. Split by scope and disk, so that ctest can run the parts side by side.
#include <catch2/catch.hpp>
#include <iostream>
#include <set>

#include "conformance/groups.h"
#include "conformance/requirements.h"
#include "conformance/runner.h"
#include "families/builtin.h"
#include "families/testing/points.h"

namespace qk::sim::conformance {
namespace {

// `filter` as in RunOptions.
void run_all(bool pairs, DiskKind disk, const std::string& filter) {
  families::VolatileMemory memory(1);
  const families::Registry registry = families::builtin_families(&memory);
  std::vector<Check> checks;
  for (Check& check : all_checks()) {
    if ((check.pair != nullptr) != pairs) continue;
    std::erase_if(check.disks, [&](DiskKind one) { return one != disk; });
    checks.push_back(std::move(check));
  }
  Host host;
  host.registry = &registry;
  host.lose_memory = [&memory] { memory.lose(); };
  host.one_point_in = families::one_point_in();
  std::cout << "of the places where a machine may stop or a call may fail, one in "
            << host.one_point_in << "\n";
  RunOptions options;
  options.filter = filter;
  const Report report = run_conformance(checks, host, options);
  for (const CaseResult& result : report.results) {
    INFO(result.what.id() << ": " << result.message);
    CHECK(result.verdict != Verdict::kFailed);
  }
  std::cout << report.count(Verdict::kPassed) << " cases passed, "
            << report.count(Verdict::kNotApplicable) << " do not apply\n";
  CHECK(report.count(Verdict::kPassed) > 0);
  for (const std::string& line : report.counts()) std::cout << line << "\n";
}

// The crash exploration takes as long as all other groups together.
constexpr const char* kCrash = "^CRASH/";
constexpr const char* kNotCrash = "^(?!CRASH/)";

TEST_CASE("instances, simulated disk", "[instances-sim]") {
  run_all(false, DiskKind::kSimulated, kNotCrash);
}
TEST_CASE("crashes", "[crashes]") { run_all(false, DiskKind::kSimulated, kCrash); }
TEST_CASE("instances, real directory", "[instances-real]") { run_all(false, DiskKind::kReal, ""); }
TEST_CASE("pairs, simulated disk", "[pairs-sim]") { run_all(true, DiskKind::kSimulated, ""); }
TEST_CASE("pairs, real directory", "[pairs-real]") { run_all(true, DiskKind::kReal, ""); }

TEST_CASE("each check has a name of its own and cites known requirements", "[list]") {
  std::set<std::string> names;
  for (const Check& check : all_checks()) {
    const std::string name = cat(check.group, "/", check.name);
    INFO(name);
    CHECK(names.insert(name).second);
    CHECK((check.instance != nullptr) != (check.pair != nullptr));
    CHECK_FALSE(check.requirements.empty());
    std::set<std::string> ids;
    for (const std::string& id : check.requirements) {
      INFO(id);
      CHECK(find_requirement(id) != nullptr);
      CHECK(ids.insert(id).second);
    }
  }
}

}  // namespace
}  // namespace qk::sim::conformance
