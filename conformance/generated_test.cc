// The generated suite: that its graph is the one that it says, that its walks take every edge, that it
// notices planted bugs, gives each of its cases the same result alone, and a small shard of it for
// every family and pair of this build.
#include "conformance/generated.h"

#include <catch2/catch.hpp>
#include <iostream>
#include <map>
#include <set>

#include "families/builtin.h"
#include "families/contract/family_wrapper.h"
#include "families/testing/points.h"
#include "sim/disk/sync_dropping.h"

namespace qk::sim::conformance {
namespace {

using families::Family;
using families::FamilyDescriptor;
using families::FileSystem;
using families::OpenRequest;
using families::Outcome;
using families::Registry;

TEST_CASE("the graph has every state within its bounds, and every call in each") {
  const StateGraph graph(GraphBounds{2, 2, 2});
  // A log begins at 1, 2 or 3 and ends at 2 at the latest; terms do not go down: 6 + 3 + 1. Term and
  // vote: terms 1 and 2, each with no vote and two. A snapshot: none, 1 and 2.
  CHECK(graph.states().size() == 10 * 6 * 3);
  std::set<std::string> names;
  std::set<std::string> calls;
  size_t from_states = 0;
  for (size_t number = 0; number < graph.states().size(); ++number) {
    const GraphState& state = graph.states()[number];
    CHECK(names.insert(state.name).second);
    from_states += state.edges.size();
    Model model;
    for (const size_t edge : graph.path_to(number)) model.apply(graph.edges()[edge].change);
    CHECK(model.state() == state.state);
  }
  CHECK(from_states == graph.edges().size());
  uint64_t refused = 0;
  uint64_t unchanged = 0;
  for (const GraphEdge& edge : graph.edges()) {
    CHECK(calls.insert(cat(graph.states()[edge.from].name, " ", edge.name)).second);
    if (edge.verdict == Model::Verdict::kRefused) ++refused;
    if (edge.from == edge.to) ++unchanged;
    if (edge.verdict != Model::Verdict::kApplied) CHECK(edge.from == edge.to);
  }
  CHECK(refused > 0);
  CHECK(unchanged > refused);
  CHECK(unchanged < graph.edges().size());
}

TEST_CASE("walks take every edge, each from a fresh instance on") {
  const StateGraph graph(GraphBounds{2, 2, 1});
  std::vector<uint64_t> taken(graph.edges().size());
  for (const auto& walk : graph.walks(100)) {
    size_t state = 0;
    for (const StateGraph::Step& step : walk) {
      CHECK(graph.edges()[step.edge].from == state);
      state = graph.edges()[step.edge].to;
      if (step.is_new) CHECK(taken[step.edge]++ == 0);
    }
  }
  for (const uint64_t times : taken) CHECK(times == 1);
}

TEST_CASE("by domain there is every call in every state of the domain") {
  const StateGraph graph(GraphBounds{2, 2, 2});
  const std::vector<size_t> picked = graph.edges_by_domain();
  CHECK(std::is_sorted(picked.begin(), picked.end()));
  std::set<std::string> votes;
  std::set<std::string> states;
  for (const size_t number : picked) {
    const GraphEdge& edge = graph.edges()[number];
    if (edge.change.operation == families::Operation::kSaveMeta) {
      votes.insert(cat(graph.states()[edge.from].state.hard_state.term, " ",
                       graph.states()[edge.from].state.hard_state.voted_for, " ", edge.name));
    }
    states.insert(graph.states()[edge.from].name);
  }
  CHECK(votes.size() == 6 * 7);
  CHECK(states.size() > graph.states().size() / 2);
}

// ---- Planted bugs

class LyingMeta final : public families::MetaWrapper {
 public:
  using MetaWrapper::MetaWrapper;
  Outcome save(const families::HardState& state) override {
    const Outcome outcome = inner().save(state);
    return absl::IsInvalidArgument(outcome.status()) ? outcome : Outcome::success();
  }
};
// Takes back more of the log than it is told to, in one state alone.
class GreedyLog final : public families::LogWrapper {
 public:
  using LogWrapper::LogWrapper;
  Outcome truncate_suffix(int64_t last_kept) override {
    const bool here = inner().first_index() == 2 && inner().last_index() == 2 && last_kept == 2;
    return inner().truncate_suffix(here ? 1 : last_kept);
  }
};
struct KeptFileSystem {
  std::unique_ptr<FileSystem> fs;
};
class Planted final : private KeptFileSystem, public families::FamilyWrapper {
 public:
  Planted(std::unique_ptr<FileSystem> fs, std::unique_ptr<Family> inner, bool lies, bool greedy)
      : KeptFileSystem{std::move(fs)},
        FamilyWrapper(std::move(inner)),
        meta_(&FamilyWrapper::meta()),
        log_(&FamilyWrapper::log()),
        lies_(lies),
        greedy_(greedy) {}
  families::MetaStorage& meta() override { return lies_ ? meta_ : FamilyWrapper::meta(); }
  families::LogStorage& log() override { return greedy_ ? log_ : FamilyWrapper::log(); }

 private:
  LyingMeta meta_;
  GreedyLog log_;
  const bool lies_;
  const bool greedy_;
};

enum class Bug : uint8_t { kNone, kNoSyncs, kLies, kGreedy };

Registry local_with(const Registry& all, Bug bug) {
  FamilyDescriptor family = **all.get("local");
  const auto open = family.open;
  family.open = [=](const OpenRequest& request) -> absl::StatusOr<std::unique_ptr<Family>> {
    auto fs = std::make_unique<SyncDroppingFileSystem>(
        std::make_unique<families::FileSystemWrapper>(request.fs),
        [=](std::string_view) { return bug == Bug::kNoSyncs; });
    OpenRequest below = request;
    below.fs = fs.get();
    QK_ASSIGN_OR_RETURN(auto inner, open(below));
    return std::make_unique<Planted>(std::move(fs), std::move(inner), bug == Bug::kLies,
                                     bug == Bug::kGreedy);
  };
  Registry registry;
  registry.add(std::move(family));
  return registry;
}

Host host_of(const Registry& registry) {
  Host host;
  host.registry = &registry;
  return host;
}

UnitResult run_all(GeneratedSuite& suite, const Host& host, const std::string& filter) {
  UnitResult total;
  for (size_t unit = 0; unit < suite.units(); ++unit) total.add(suite.run(unit, host, filter));
  return total;
}

TEST_CASE("a planted bug fails a case, and the case alone fails in the same way") {
  families::VolatileMemory memory(1);
  const Registry all = families::builtin_families(&memory);
  struct Row {
    Bug bug;
    std::string filter;  // some of the cases that meet it
    std::string kind;
  };
  const std::vector<Row> rows = {
      {Bug::kNone, "^GEN/local/small/1:-.t1-.s0/(append:1|save:t2p)/", ""},
      {Bug::kNoSyncs, "^GEN/local/small/1:-.t1-.s0/append:1/", "/crash-acknowledged/"},
      {Bug::kLies, "^GEN/local/small/1:-.t1-.s0/save:t2p/", "/fail-1/EIO-nothing"},
      {Bug::kGreedy, "^GEN/local/small/2:[12].t1-.s0/suffix:2/step", "/suffix:2/step"},
  };
  for (const Row& row : rows) {
    const Registry registry = local_with(all, row.bug);
    GeneratedSuite suite(generated_setting("commit"), &registry, {"local"});
    const UnitResult found = run_all(suite, host_of(registry), row.filter);
    INFO(row.filter << " " << row.kind);
    CHECK(found.cases() > 0);
    if (row.bug == Bug::kNone) {
      CHECK(found.failed == 0);
      continue;
    }
    REQUIRE(found.failed > 0);
    REQUIRE_FALSE(found.failures.empty());
    const GeneratedFailure* first = nullptr;
    for (const GeneratedFailure& one : found.failures) {
      if (first == nullptr && one.id.find(row.kind) != std::string::npos) first = &one;
    }
    REQUIRE(first != nullptr);
    INFO(first->id << ": " << first->message);
    GeneratedSuite again(generated_setting("commit"), &registry, {"local"});
    const UnitResult alone = run_all(again, host_of(registry), cat("^", first->id, "$"));
    CHECK(alone.cases() == 1);
    REQUIRE(alone.failures.size() == 1);
    CHECK(alone.failures.front().id == first->id);
    CHECK(alone.failures.front().message == first->message);
  }
}

// ---- A shard

TEST_CASE("a shard of the generated suite holds for every family and pair") {
  families::VolatileMemory memory(1);
  const Registry registry = families::builtin_families(&memory);
  Host host = host_of(registry);
  host.lose_memory = [&memory] { memory.lose(); };
  GeneratedSuite suite(generated_setting("commit"), &registry, {});
  // Of each family and pair one unit in so many, and at least one; each begins elsewhere.
  const size_t one_in = 149 * families::one_point_in();
  std::map<std::string, std::vector<size_t>> units;
  for (size_t unit = 0; unit < suite.units(); ++unit) {
    units[suite.subject_name(unit)].push_back(unit);
  }
  std::vector<size_t> taken;
  size_t begin = 0;
  for (const auto& [subject, all_of_it] : units) {
    begin += 37;
    for (size_t i = begin % std::min(one_in, all_of_it.size()); i < all_of_it.size(); i += one_in) {
      taken.push_back(all_of_it[i]);
    }
  }
  UnitResult total;
  std::set<std::string> subjects;
  for (const size_t unit : taken) {
    const UnitResult result = suite.run(unit, host);
    for (const GeneratedFailure& one : result.failures) {
      INFO(one.id << ": " << one.message);
      CHECK(false);
    }
    CHECK(result.failed == 0);
    if (result.cases() > 0) subjects.insert(suite.subject_name(unit));
    total.add(result);
  }
  std::cout << total.cases() << " generated cases of " << subjects.size()
            << " families and pairs\n";
  CHECK(total.cases() > 0);
  for (const char* kind : {"steps", "crashes", "failing calls"}) {
    INFO(kind);
    CHECK(total.counts[kind] > 0);
  }
}

}  // namespace
}  // namespace qk::sim::conformance
