// The vocabulary of the trace against runs: each kind is recorded by one, and each cause is there.
#include <set>

#include "scenarios/test_support.h"

namespace qk::scenarios {
namespace {

// A node that is away for so long that its leader has dropped what it lacks, rocksdb for the sake
// of its background work, requests that nobody answers, and faults of each kind, one of them
// without effect.
constexpr char kEverything[] = R"(
cluster {
  group: "g" snapshot_every_entries: 40
  link { loss: 0.01 duplicate: 0.01 }
  node { id: "n1" peer: "10.0.0.1:8100" store: "old" }
  node { id: "n2" peer: "10.0.0.2:8100" store: "old" }
  node { id: "n3" peer: "10.0.0.3:8100" store: "old" }
}
store { id: "old" local {} }
store { id: "new" rocksdb {} }
migration { from: "old" to: "new" start: "9s" dual_write_for: "1s" soak: "500ms"
            on_validation_fail: RETRY fresh_mutations: 2000 fresh_time: "20s" }
workload { clients: 3 rate: 40 keys: 5 value_size: "64B..512B" }
at { t: "2s" crash { node: "n3" restart_after: "4s" } }
at { t: "3s" crash { node: "n3" } }
at { t: "n1:DUAL" crash { node: "n1" restart_after: "500ms" } }
at { t: "7s" for: "1s" partition { side { node: "n1" } side { node: "n2" node: "n3" } } }
at { t: "8s" for: "300ms" disk { node: "n2" factor: 4 } }
at { t: "8200ms" disk { node: "n2" kind: STALL operation: SYNC stall: "30ms" } }
at { t: "8500ms" leader_transfer: "n2" }
at { t: "n2:DUAL+200ms" rollback: "n2" }
run_for: "30s"
)";

sim::RunResult full(const sim::Plan& plan) {
  sim::RunOptions options;
  options.trace = sim::TraceLevel::kFull;
  return sim::run(plan, options);
}

void add_kinds(const sim::Trace& trace, std::set<std::string_view>* kinds) {
  for (uint64_t seq = 1; seq <= trace.events(); ++seq) {
    kinds->insert(info(trace.event(seq).kind).name);
  }
}

TEST_CASE("each kind of event is recorded by a run", "[trace]") {
  std::set<std::string_view> recorded;
  const sim::RunResult everything = full(plan_of_text(kEverything));
  INFO(describe(everything));
  add_kinds(*everything.trace, &recorded);
  // A scenario that is violated as it expects.
  add_kinds(*full(plan_of("canary-as-shipped", 1)).trace, &recorded);
  for (const sim::KindInfo& kind : sim::kKinds) {
    INFO(kind.name);
    CHECK(recorded.contains(kind.name));
  }
}

// Families that close write to the disk; that is no longer the run.
TEST_CASE("nothing is recorded after the end of the run", "[trace]") {
  for (const char* name : {"rolling-pair", "canary-as-shipped"}) {
    const sim::RunResult result = full(plan_of(name, 3));
    CHECK(result.trace->events() == result.events);
    CHECK(result.trace->chain() == result.chain);
    CHECK(result.trace->event(result.events).kind == sim::EventKind::kRunEnd);
  }
}

TEST_CASE("each cause is an earlier event that the trace keeps", "[trace]") {
  const sim::Plan plan = plan_of("rolling-pair", 3);
  const sim::RunResult result = full(plan);
  const sim::Trace& all = *result.trace;
  for (uint64_t seq = 1; seq <= all.events(); ++seq) {
    if (all.event(seq).cause >= seq) FAIL("#" << seq << " names #" << all.event(seq).cause);
  }
  const sim::RunResult marks_alone = sim::run(plan, {});
  std::set<uint64_t> marks = {0};
  uint64_t with_cause = 0;
  for (const sim::Mark& mark : marks_alone.trace->marks()) {
    INFO("#" << mark.event.seq);
    CHECK(marks.contains(mark.cause));
    with_cause += mark.cause == 0 ? 0 : 1;
    marks.insert(mark.event.seq);
  }
  CHECK(with_cause > 0);
}

TEST_CASE(
    "a completion names its issue, and an applied entry can be told from its client's request",
    "[trace]") {
  const sim::RunResult result = full(plan_of("rolling-pair", 3));
  const sim::Trace& trace = *result.trace;
  std::set<uint64_t> requested;
  uint64_t completions = 0, applied = 0;
  for (uint64_t seq = 1; seq <= trace.events(); ++seq) {
    const sim::Event& event = trace.event(seq);
    if (event.kind == sim::EventKind::kClientInvoke) requested.insert(event.arg(4));
    if (event.kind == sim::EventKind::kRaftApply) applied += requested.contains(event.arg(2));
    if (event.kind != sim::EventKind::kStoreDone) continue;
    ++completions;
    REQUIRE(event.span != 0);
    const sim::Event& issue = trace.event(event.span);
    CHECK(issue.kind == sim::EventKind::kStoreIssue);
    CHECK(issue.node == event.node);
    CHECK(issue.arg(4) == event.arg(4));
  }
  CHECK(completions > 100);
  // Each by three nodes, reads among them.
  CHECK(applied > 100);
}

}  // namespace
}  // namespace qk::scenarios
