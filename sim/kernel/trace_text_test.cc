// The text forms are stable: golden narratives.
#include "sim/kernel/trace_text.h"

#include <catch2/catch.hpp>
#include <set>
#include <sstream>
#include <string>

namespace qk::sim {
namespace {

void record(Trace* trace, NodeId node, EventKind kind, std::array<uint64_t, kMaxArgs> args,
            std::string_view text = {}) {
  Event event;
  event.node = node;
  event.kind = kind;
  event.args = args;
  trace->record(event, text);
}

uint64_t phase(PhaseCode code) { return static_cast<uint64_t>(code); }

constexpr auto kNone = static_cast<uint64_t>(-1);
constexpr auto kLeader = static_cast<uint64_t>(Role::kLeader);
constexpr auto kCandidate = static_cast<uint64_t>(Role::kCandidate);

constexpr std::string_view kShortLog =
    R"(     seq          t  nodes phase role term commit  lastA  lastB
       1   0.000000  [..   A     F    t0   c700    A700   B-     phase A
       3   1.000000  ..*   A     L    t3   c700    A0     B-     leader in term 3
       5  20.000000  .[.   EXP   F    t0   c731    A734   B-     phase EXPORT
       6  22.800000  .!.   EXP   -    t0   c731    A734   B-     crash (scheduled, random-subset), 3 unsynced changes lost
       7  23.000000  ~..   -     -    -    -       -      -      partition {n1} | {n2,n3}
       8  23.000000  .^.   EXP   F    t0   c731    A734   B-     restart as incarnation 2
      10  43.800000  .#.   EXP   F    t0   c731    A731   B-     V2@1192 differs at 1184: entry hash
      11  43.800000  .<.   RB    F    t0   c1192   A1192  B1192  rollback: V2 differs at 1184
      12  43.800000  ..X   A     L    t3   c731    A0     B-     violation: ora.L1 acked-entries-durable
)";

constexpr std::string_view kText =
    R"(       1     0.000000000  n1.1   #1      <0       mig.phase        phase=A generation=0 index=0 lastA=700 lastB=-1 commit=700
       2     1.000000000  n3.1   #1      <1       raft.role        role=candidate term=3 last=700 commit=700 previous=follower
       3     1.000000000  n3.1   #2      <2       raft.role        role=leader term=3 last=700 commit=700 previous=candidate
       4     1.000000000  n3.1   #3      <3       raft.commit      commit=731 term=3
       5    20.000000001  n2.1   #1      <4       mig.phase        phase=EXPORT generation=1 index=0 lastA=734 lastB=-1 commit=731
       6    22.800000000  n2.1   #2      <5       fault.crash      loss=random-subset scheduled=yes lost=3
       7    23.000000000  -.0    #1      <6       fault.partition  id=1 asymmetric=no side1={n1} side2={n2,n3} side3={} side4={}
       8    23.000000000  n2.2   #3      <7       fault.restart    scheduled=yes
       9    23.000000000  n2.2   #4      <8       mig.phase        phase=EXPORT generation=1 index=0 lastA=731 lastB=-1 commit=731
      10    43.800000000  n2.2   #5      <9       mig.cut          which=cutover index=1192 equal=no first_difference=1184 ; entry hash
      11    43.800000000  n2.2   #6      <10      mig.phase        phase=ROLLBACK generation=2 index=1192 lastA=1192 lastB=1192 commit=1192 ; V2 differs at 1184
      12    43.800000000  n3.1   #4      <11      check.violation  oracle=0000000000000007 index=1303 expected=0000000000000001 actual=0000000000000002 ; ora.L1 acked-entries-durable
      13    43.800000000  n1.1   #2      <12      net.send         msg=9 to=n2 type=AppendEntries term=3 index=731 bytes=120 hash=0000000000000abc
      14    43.800000000  n1.1   #3      <13      disk.op          op=sync inode=7 offset=0 length=0 hash=0000000000000000 done=43.900000000 ; /node/db
      15    43.800000000  n1.1   #4      <14      store.done       op=meta store=A first=1 last=731 sequence=5 code=DATA_LOSS
      16    43.800000000  n1.1   #5      <15      store.done       op=meta store=A first=1 last=731 sequence=6 code=99
)";

void story(Scheduler* scheduler, Trace* trace) {
  const auto at = [&](Nanos t) { scheduler->run_until(t); };
  record(trace, 1, EventKind::kMigPhase, {phase(PhaseCode::kA), 0, 0, 700, kNone, 700});
  at(kSecond);
  record(trace, 3, EventKind::kRaftRole, {kCandidate, 3, 700, 700, 0});
  record(trace, 3, EventKind::kRaftRole, {kLeader, 3, 700, 700, kCandidate});
  record(trace, 3, EventKind::kRaftCommit, {731, 3});
  at(20 * kSecond + 1);
  record(trace, 2, EventKind::kMigPhase, {phase(PhaseCode::kExport), 1, 0, 734, kNone, 731});
  at(22 * kSecond + 800 * kMillisecond);
  record(trace, 2, EventKind::kFaultCrash, {3, 1, 3});
  at(23 * kSecond);
  record(trace, 0, EventKind::kFaultPartition, {1, 0, 0b001, 0b110});
  record(trace, 2, EventKind::kFaultRestart, {1});
  record(trace, 2, EventKind::kMigPhase, {phase(PhaseCode::kExport), 1, 0, 731, kNone, 731});
  at(43 * kSecond + 800 * kMillisecond);
  record(trace, 2, EventKind::kMigCut, {2, 1192, 0, 1184}, "entry hash");
  record(trace, 2, EventKind::kMigPhase, {phase(PhaseCode::kRollback), 2, 1192, 1192, 1192, 1192},
         "V2 differs at 1184");
  record(trace, 3, EventKind::kCheckViolation, {7, 1303, 1, 2}, "ora.L1 acked-entries-durable");
}

std::string lines(const std::function<void(const LineSink&)>& writer) {
  std::string out;
  writer([&out](std::string_view line) { out += line; });
  return out;
}

TEST_CASE("short log") {
  Scheduler scheduler;
  Trace trace(&scheduler, {1, 1, {"n1", "n2", "n3"}}, TraceLevel::kMarks);
  story(&scheduler, &trace);
  CHECK(lines([&](const LineSink& sink) { write_short_log(trace, sink); }) == kShortLog);
}

TEST_CASE("the short log shows what hinders a roll, until it goes on") {
  Scheduler scheduler;
  Trace trace(&scheduler, {1, 1, {"n1", "n2"}}, TraceLevel::kMarks);
  const auto wait = [&](NodeId node, RollWait why, std::string_view reason) {
    record(&trace, node, EventKind::kMigWait, {static_cast<uint64_t>(why)}, reason);
  };
  wait(1, RollWait::kPlanned, "dual write");
  wait(1, RollWait::kGuard, "n2 is in phase exporting");
  wait(1, RollWait::kNode, "n1 is down");
  wait(1, RollWait::kWork, "export");
  wait(1, RollWait::kNone, "");
  wait(2, RollWait::kRequest, "busy");
  wait(2, RollWait::kNone, "");
  std::string said;
  write_short_log(trace, [&](std::string_view line) {
    const size_t at = line.find("the roll");
    if (at != std::string_view::npos) said += line.substr(at);
  });
  CHECK(said ==
        "the roll waits (guard): n2 is in phase exporting\n"
        "the roll waits (node): n1 is down\n"
        "the roll waits (work): export\n"
        "the roll waits (request): busy\n"
        "the roll goes on\n");
}

TEST_CASE("text trace") {
  Scheduler scheduler;
  Trace trace(&scheduler, {1, 1, {"n1", "n2", "n3"}}, TraceLevel::kFull);
  story(&scheduler, &trace);
  Event send;
  send.node = 1;
  send.kind = EventKind::kNetSend;
  send.msg = 9;
  send.args = {2, 4, 3, 731, 120, 0xabc};
  trace.record(send);
  record(&trace, 1, EventKind::kDiskOp,
         {static_cast<uint64_t>(DiskOp::kSync), 7, 0, 0, 0,
          static_cast<uint64_t>(43 * kSecond + 900 * kMillisecond)},
         "/node/db");
  record(&trace, 1, EventKind::kStoreDone, {4, 0, 1, 731, 5, 15});
  record(&trace, 1, EventKind::kStoreDone, {4, 0, 1, 731, 6, 99});
  CHECK(lines([&](const LineSink& sink) { write_text(trace, sink); }) == kText);
}

TEST_CASE("at the level of marks a line names no event that is not there") {
  Scheduler scheduler;
  Trace trace(&scheduler, {1, 1, {"n1", "n2", "n3"}}, TraceLevel::kMarks);
  story(&scheduler, &trace);
  std::set<std::string> there = {"<0"};
  write_text(trace, [&](std::string_view line) {
    std::istringstream words{std::string(line)};
    std::string seq, time, node, number, cause;
    words >> seq >> time >> node >> number >> cause;
    INFO(line);
    CHECK(there.contains(cause));
    there.insert("<" + seq);
  });
  CHECK(there.size() == 1 + trace.marks().size());
}

TEST_CASE("seconds are cut to the digits asked for") {
  CHECK(seconds_text(0, 9) == "0.000000000");
  CHECK(seconds_text(22'800'000'999, 6) == "22.800000");
  CHECK(seconds_text(1'999'999'999, 0) == "1");
  CHECK(seconds_text(59'000'000'001, 3) == "59.000");
}

TEST_CASE("unknown codes print as numbers, and text stays on its line") {
  Scheduler scheduler;
  Trace trace(&scheduler, {1, 1, {"n1"}}, TraceLevel::kMarks);
  record(&trace, 1, EventKind::kFaultCrash, {99, 1, 0});
  record(&trace, 1, EventKind::kNodeStop, {13}, "two\nlines");
  CHECK(describe(trace, trace.marks()[0]) == "crash (scheduled, 99), 0 unsynced changes lost");
  CHECK(describe(trace, trace.marks()[1]) == "stopped on a storage error: two lines");
}

}  // namespace
}  // namespace qk::sim
