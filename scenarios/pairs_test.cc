// rolling-pair for every ordered pair of the families of this build, the same one twice included.
//
// A volatile family is lost with its machine, so a pair that holds one is spared the crashes
// that would take a node's only state; what those do is told by the last tests.
//
// QKSIM_TEST_SEEDS / 100 seeds per pair (at least one); the first is always seed 1.
#include <algorithm>
#include <map>
#include <set>

#include "families/builtin.h"
#include "scenarios/test_support.h"

namespace qk::scenarios {
namespace {

constexpr char kScenario[] = "rolling-pair";

struct Families {
  families::VolatileMemory memory{1};
  families::Registry registry = families::builtin_families(&memory);

  bool is_volatile(const std::string& name) const {
    return registry.find(name)->volatility == families::Volatility::kVolatile;
  }
  std::string a_volatile_one() const { return one(true); }
  std::string a_durable_one() const { return one(false); }

 private:
  std::string one(bool is_volatile_one) const {
    for (const families::FamilyDescriptor& family : registry.all()) {
      if (is_volatile(family.name) == is_volatile_one) return family.name;
    }
    FAIL("no such family");
    return "";
  }
};

sim::Plan plan_of_pair(const Families& families, const std::string& from, const std::string& to,
                       uint64_t seed) {
  std::vector<std::string> set = {cat("store[from].family=", from), cat("store[to].family=", to)};
  if (families.is_volatile(from) || families.is_volatile(to)) {
    set.emplace_back("migration[0].accept_weak_durability=true");
  }
  return plan_of(kScenario, seed, set);
}

// Leaves only crashes in these phases.
void keep_crashes(sim::Plan* plan, const std::set<sim::PhaseCode>& phases) {
  std::erase_if(plan->faults, [&](const sim::FaultPlan& fault) {
    return std::holds_alternative<sim::CrashFault>(fault.what) && phases.count(fault.at.phase) == 0;
  });
}

// The phases in which a crash costs a node of the pair nothing that it needs: the source is the
// truth until the cut-over, and a lost mirror only means another attempt; from then on it is the
// target, and the source is still needed until the acceptance.
std::set<sim::PhaseCode> survivable(const Families& families, const std::string& from,
                                    const std::string& to) {
  using sim::PhaseCode;
  std::set<PhaseCode> phases;
  if (!families.is_volatile(from)) {
    phases = {PhaseCode::kExport, PhaseCode::kBoot, PhaseCode::kV1, PhaseCode::kDual,
              PhaseCode::kV2};
  }
  if (!families.is_volatile(to)) phases.insert(PhaseCode::kB);
  if (!families.is_volatile(from) && !families.is_volatile(to)) phases.insert(PhaseCode::kCut);
  return phases;
}

TEST_CASE("a rolling migration passes between every ordered pair of families") {
  const Families families;
  const uint64_t seeds = std::max<uint64_t>(1, seed_count(400) / 100);
  for (const families::FamilyDescriptor& from : families.registry.all()) {
    for (const families::FamilyDescriptor& to : families.registry.all()) {
      DYNAMIC_SECTION(from.name << " to " << to.name) {
        for (uint64_t seed = 1; seed <= seeds; ++seed) {
          sim::Plan plan = plan_of_pair(families, from.name, to.name, seed);
          keep_crashes(&plan, survivable(families, from.name, to.name));
          const sim::RunResult result = sim::run(plan, {});
          INFO("rolling-pair with seed " << seed << "\n" << describe(result));
          CHECK(result.verdict == sim::Verdict::kPass);
        }
      }
    }
  }
}

// Nothing that engines share within a process may reach a run: not what earlier runs drew, and not
// what the probes of this one draw, which open copies of its disks.
TEST_CASE("a pair's chain does not depend on what ran in the process before it") {
  const Families families;
  const auto chain = [&](const std::string& from, const std::string& to) {
    sim::Plan plan = plan_of_pair(families, from, to, 1);
    keep_crashes(&plan, survivable(families, from, to));
    return sim::run(plan, {}).chain;
  };
  std::vector<std::string> names;
  for (const families::FamilyDescriptor& family : families.registry.all()) {
    names.push_back(family.name);
  }
  std::map<std::pair<std::string, std::string>, uint64_t> first;
  for (const std::string& from : names) {
    for (const std::string& to : names) first[{from, to}] = chain(from, to);
  }
  for (auto pair = first.rbegin(); pair != first.rend(); ++pair) {
    INFO(pair->first.first << " to " << pair->first.second);
    CHECK(chain(pair->first.first, pair->first.second) == pair->second);
  }
}

bool tells(const sim::RunResult& result, sim::EventKind kind, std::string_view words) {
  const std::vector<sim::Mark>& marks = result.trace->marks();
  return std::any_of(marks.begin(), marks.end(), [&](const sim::Mark& mark) {
    return mark.event.kind == kind && mark.text.find(words) != std::string::npos;
  });
}

TEST_CASE("a volatile mirror that a crash took ends the migration, and the next one succeeds") {
  const Families families;
  sim::Plan plan = plan_of_pair(families, families.a_durable_one(), families.a_volatile_one(), 1);
  keep_crashes(&plan, {sim::PhaseCode::kDual});
  REQUIRE(plan.faults.size() == 1);
  const sim::RunResult result = sim::run(plan, {});
  INFO(describe(result));
  CHECK(result.verdict == sim::Verdict::kPass);
  CHECK(tells(result, sim::EventKind::kMigPhase, "mirror-detached"));

  // Without retries the node stays where it was, with nothing lost.
  plan.migrations[0].on_validation_fail = sim::MigrationPlan::OnFail::kHalt;
  const sim::RunResult halted = sim::run(plan, {});
  INFO(describe(halted));
  CHECK(halted.violations.empty());
  CHECK(halted.verdict == sim::Verdict::kInconclusive);
  CHECK_FALSE(halted.notes.empty());
}

// The volatile state that a node needs is lost: it stays down, the others go on, no oracle fires.
void check_node_lost(sim::Plan plan, sim::PhaseCode phase) {
  keep_crashes(&plan, {phase});
  REQUIRE(plan.faults.size() == 1);
  const sim::RunResult result = sim::run(plan, {});
  INFO(sim::to_string(phase) << "\n" << describe(result));
  CHECK(result.violations.empty());
  CHECK(result.verdict == sim::Verdict::kInconclusive);
  CHECK(result.committed >= plan.expect.min_committed);
  CHECK(tells(result, sim::EventKind::kNodeStop, "lost in a crash"));
}

TEST_CASE("a node that lost a volatile family which it needs stays down") {
  const Families families;
  const std::string lost = families.a_volatile_one();
  const std::string kept = families.a_durable_one();
  for (const sim::PhaseCode phase : {sim::PhaseCode::kExport, sim::PhaseCode::kDual}) {
    check_node_lost(plan_of_pair(families, lost, kept, 1), phase);
  }
  check_node_lost(plan_of_pair(families, kept, lost, 1), sim::PhaseCode::kCut);
  check_node_lost(plan_of_pair(families, kept, lost, 1), sim::PhaseCode::kB);
  // The old family is the rollback target until the acceptance.
  check_node_lost(plan_of_pair(families, lost, kept, 1), sim::PhaseCode::kCut);
}

TEST_CASE("a migration with a volatile side is refused unless the scenario states it") {
  const Families families;
  for (const bool to_volatile : {true, false}) {
    const std::string from = to_volatile ? families.a_durable_one() : families.a_volatile_one();
    const std::string to = to_volatile ? families.a_volatile_one() : families.a_durable_one();
    sim::Plan plan = plan_of_pair(families, from, to, 1);
    plan.migrations[0].accept_weak_durability = false;
    keep_crashes(&plan, {});
    const sim::RunResult result = sim::run(plan, {});
    INFO(describe(result));
    CHECK(result.verdict == sim::Verdict::kInconclusive);
    const std::vector<std::string>& why = result.inconclusive;
    CHECK(std::any_of(why.begin(), why.end(), [](const std::string& line) {
      return line.find("n1: not started: ") == 0 && line.find("A-1") != std::string::npos;
    }));
  }
}

}  // namespace
}  // namespace qk::scenarios
