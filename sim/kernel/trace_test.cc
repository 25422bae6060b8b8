// The chain: sensitive to every field, equal at every level, and able to name the node that parted.
#include "sim/kernel/trace.h"

#include <catch2/catch.hpp>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "families/base/bytes.h"

namespace qk::sim {
namespace {

TraceStart start_of(uint64_t seed) { return {0x1234, seed, {"n1", "n2", "n3"}}; }

Event make(NodeId node, EventKind kind, std::array<uint64_t, kMaxArgs> args = {}) {
  Event event;
  event.node = node;
  event.kind = kind;
  event.args = args;
  return event;
}

// A run of `count` commits round the nodes; `tweak` may change the i-th before it is recorded.
struct Run {
  Scheduler scheduler;
  Trace trace;

  Run(TraceLevel level, uint64_t count, uint64_t seed = 1,
      const std::function<void(uint64_t, Event*)>& tweak = {})
      : trace(&scheduler, start_of(seed), level) {
    for (uint64_t i = 0; i < count; ++i) {
      scheduler.at(static_cast<Nanos>(i * 10), [this, i, &tweak] {
        Event event = make(static_cast<NodeId>(1 + i % 3), EventKind::kRaftCommit, {i, 4});
        if (tweak) tweak(i, &event);
        trace.record(event);
      });
    }
    while (scheduler.run_next()) {
    }
  }
};

TEST_CASE("record numbers, dates and links events") {
  Scheduler scheduler;
  Trace trace(&scheduler, start_of(1), TraceLevel::kFull);
  scheduler.at(100, [&] {
    CHECK(trace.record(make(1, EventKind::kNetSend)) == 1);
    scheduler.after(50, [&] { trace.record(make(2, EventKind::kNetRecv)); });
    trace.record(make(1, EventKind::kRaftCommit));
  });
  scheduler.at(200, [&] {
    trace.record(make(1, EventKind::kFaultCrash));
    trace.record(make(1, EventKind::kFaultRestart));
  });
  while (scheduler.run_next()) {
  }
  REQUIRE(trace.events() == 5);
  CHECK(trace.event(1).cause == 0);
  CHECK(trace.event(2).cause == 1);  // the same step
  CHECK(trace.event(3).cause == 1);  // scheduled after event 1, before event 2
  CHECK(trace.event(3).t == 150);
  CHECK(trace.event(3).lc == 1);
  CHECK(trace.event(4).lc == 3);
  CHECK(trace.event(4).incarnation == 1);
  CHECK(trace.event(5).incarnation == 2);
  CHECK(trace.incarnation(1) == 2);
  CHECK(trace.incarnation(2) == 1);
  CHECK(trace.incarnation(0) == 0);
}

// crash (1), of which two things come: a restart, by way of an event that is no mark (2 -> 3), and
// a commit on another node (4 -> 5 -> 6).
void crash_and_restart(Scheduler* scheduler, Trace* trace) {
  scheduler->at(10, [=] {
    trace->record(make(1, EventKind::kFaultCrash));
    scheduler->after(10, [=] {
      trace->record(make(1, EventKind::kDiskCrash));
      scheduler->after(10, [=] { trace->record(make(1, EventKind::kFaultRestart)); });
    });
  });
  scheduler->at(50, [=] { trace->record(make(2, EventKind::kRaftCommit)); });
  scheduler->at(60, [=] {
    trace->record(make(2, EventKind::kRaftCommit));
    trace->record(make(2, EventKind::kRaftRole));
  });
  while (scheduler->run_next()) {
  }
}

TEST_CASE("a mark names the nearest mark that led to it") {
  Scheduler scheduler;
  Trace trace(&scheduler, start_of(1), TraceLevel::kMarks);
  crash_and_restart(&scheduler, &trace);
  REQUIRE(trace.marks().size() == 3);
  CHECK(trace.marks()[0].cause == 0);
  CHECK(trace.marks()[1].event.cause == 2);  // the chain covers this one
  CHECK(trace.marks()[1].cause == 1);
  CHECK(trace.marks()[2].event.cause == 5);
  CHECK(trace.marks()[2].cause == 0);
}

TEST_CASE("text of an event that is no mark is kept at the full level alone") {
  const auto text = [](TraceLevel level, uint64_t seq) {
    Scheduler scheduler;
    Trace trace(&scheduler, start_of(1), level);
    trace.record(make(1, EventKind::kDiskOp), "/node/a");
    trace.record(make(1, EventKind::kDiskOp));
    trace.record(make(1, EventKind::kNodeStop), "disk full");
    trace.record(make(1, EventKind::kDiskOp), "/node/b");
    return std::string(trace.text(seq));
  };
  CHECK(text(TraceLevel::kFull, 1) == "/node/a");
  CHECK(text(TraceLevel::kFull, 2).empty());
  CHECK(text(TraceLevel::kFull, 3) == "disk full");
  CHECK(text(TraceLevel::kFull, 4) == "/node/b");
  CHECK(text(TraceLevel::kMarks, 1).empty());
  CHECK(text(TraceLevel::kMarks, 3) == "disk full");
  CHECK(text(TraceLevel::kNone, 3).empty());
}

TEST_CASE("the chain is a fixed function of its input") {
  // The same in every compiler and build type; another only if the vocabulary changes.
  Run run(TraceLevel::kNone, 2000);
  CHECK(run.trace.events() == 2000);
  CHECK(to_hex(run.trace.digest()) ==
        "c49bfc6e0e420a4d9e7c73d736cfa5a59d1718d139f70ee49cc3fee583be0972");
  CHECK(run.trace.chain() == 0x1e168b946158c03f);
}

TEST_CASE("the chain does not depend on the level") {
  const Run none(TraceLevel::kNone, 3000);
  const Run marks(TraceLevel::kMarks, 3000);
  const Run full(TraceLevel::kFull, 3000);
  CHECK(none.trace.chain() == full.trace.chain());
  CHECK(marks.trace.digest() == full.trace.digest());
  CHECK(none.trace.marks().empty());
  CHECK(full.trace.event(2999).arg(0) == 2998);
}

TEST_CASE("every field, the seed and the nodes' names change the chain") {
  std::set<uint64_t> chains;
  const auto add = [&](const std::function<void(uint64_t, Event*)>& tweak, uint64_t seed = 1) {
    const Run run(TraceLevel::kNone, 10, seed, tweak);
    CHECK(chains.insert(run.trace.chain()).second);
  };
  add({});
  add({}, 2);
  for (size_t arg = 0; arg < kMaxArgs; ++arg) {
    add([arg](uint64_t i, Event* event) { event->args[arg] += i == 4 ? 1 : 0; });
  }
  add([](uint64_t i, Event* event) { event->msg = i == 4 ? 1 : 0; });
  add([](uint64_t i, Event* event) { event->span = i == 4 ? 1 : 0; });
  add([](uint64_t i, Event* event) { event->node = i == 4 ? 3 : event->node; });
  add([](uint64_t i, Event* event) { event->kind = i == 4 ? EventKind::kTimer : event->kind; });

  // The same two events, the second scheduled by the first or before it.
  const auto caused = [](bool by_first) {
    Scheduler scheduler;
    Trace trace(&scheduler, start_of(1), TraceLevel::kNone);
    const auto second = [&] { trace.record(make(2, EventKind::kNetRecv)); };
    if (!by_first) scheduler.at(10, second);
    trace.record(make(1, EventKind::kNetSend));
    if (by_first) scheduler.at(10, second);
    scheduler.run_next();
    return trace.chain();
  };
  CHECK(caused(true) != caused(false));

  Scheduler scheduler;
  const Trace a(&scheduler, {1, 1, {"n1", "n2"}}, TraceLevel::kNone);
  const Trace b(&scheduler, {1, 1, {"n1", "n3"}}, TraceLevel::kNone);
  const Trace c(&scheduler, {2, 1, {"n1", "n2"}}, TraceLevel::kNone);
  CHECK(a.chain() != b.chain());
  CHECK(a.chain() != c.chain());
}

TEST_CASE("text is outside the chain") {
  Scheduler scheduler_a, scheduler_b;
  Trace a(&scheduler_a, start_of(1), TraceLevel::kMarks);
  Trace b(&scheduler_b, start_of(1), TraceLevel::kMarks);
  const Event event = make(1, EventKind::kNodeStop, {15});
  a.record(event, "log_00001: checksum");
  b.record(event, "another text");
  CHECK(a.chain() == b.chain());
  CHECK(a.marks()[0].text == "log_00001: checksum");
  CHECK(a.marks()[0].chain == a.chain());
}

TEST_CASE("checkpoints and node chains name the node that parted first") {
  const uint64_t count = 5000;
  const Run a(TraceLevel::kNone, count);
  // Node 2 commits something else in event 3001; every node goes on as before.
  const Run b(TraceLevel::kNone, count, 1,
              [](uint64_t i, Event* event) { event->args[1] += i == 3001 ? 1 : 0; });
  REQUIRE(a.trace.checkpoints() == 4);
  CHECK(a.trace.checkpoint_chain(1) == b.trace.checkpoint_chain(1));
  CHECK(a.trace.checkpoint_chain(2) != b.trace.checkpoint_chain(2));
  CHECK(a.trace.checkpoint_node_chain(2, 1) == b.trace.checkpoint_node_chain(2, 1));
  CHECK(a.trace.checkpoint_node_chain(2, 2) != b.trace.checkpoint_node_chain(2, 2));
  CHECK(a.trace.checkpoint_node_chain(2, 3) == b.trace.checkpoint_node_chain(2, 3));
}

TEST_CASE("marks carry the state of their node") {
  Scheduler scheduler;
  Trace trace(&scheduler, start_of(1), TraceLevel::kMarks);
  const auto dual = static_cast<uint64_t>(PhaseCode::kDual);
  const auto leader = static_cast<uint64_t>(Role::kLeader);
  trace.record(make(2, EventKind::kMigPhase, {dual, 3, 0, 40, 39, 38}));
  trace.record(make(2, EventKind::kStoreDone, {0, 1, 40, 41}));  // append to B
  trace.record(make(2, EventKind::kRaftCommit, {41, 5}));
  trace.record(make(1, EventKind::kRaftCommit, {99, 5}));
  trace.record(make(2, EventKind::kRaftRole, {leader, 5, 41, 41, 0}));
  trace.record(make(2, EventKind::kFaultCrash));
  REQUIRE(trace.marks().size() == 3);
  const NodeState& state = trace.marks()[1].state;
  CHECK(state.phase == PhaseCode::kDual);
  CHECK(state.last_a == 40);
  CHECK(state.last_b == 41);
  CHECK(state.commit == 41);
  CHECK(state.term == 5);
  CHECK(state.role == Role::kLeader);
  CHECK(state.up);
  CHECK_FALSE(trace.marks()[2].state.up);
  CHECK(trace.marks()[2].state.role == Role::kFollower);
}

TEST_CASE("names of kinds are dotted and unique") {
  std::set<std::string_view> names;
  for (const KindInfo& kind : kKinds) {
    CHECK(kind.name.find('.') != std::string_view::npos);
    CHECK(names.insert(kind.name).second);
  }
}

}  // namespace
}  // namespace qk::sim
