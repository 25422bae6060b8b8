// replay, diff and explain on runs of a simulator that the test supplies.
#include "tools/qksim/recorded_run.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "families/base/strings.h"
#include "tools/qksim/verb_fixture.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

namespace fs = std::filesystem;

struct RecordedFixture : VerbFixture {
  RecordedFixture() {
    environment.run = [this](const sim::Plan& plan, const sim::RunOptions& options) {
      return simulate(plan, options);
    };
    arguments.scenario = "small.qks.txtpb";
    arguments.seed = 0x5eed;
    arguments.artifacts = Artifacts::kAlways;
  }

  // 3000 commits round three nodes, and a crash at last; event `odd` is another.
  sim::RunResult simulate(const sim::Plan& plan, const sim::RunOptions& options) {
    plans.push_back(plan);
    seen = options;
    sim::Scheduler scheduler;
    auto trace = std::make_shared<sim::Trace>(
        &scheduler, sim::TraceStart{plan.chain_hash, plan.seed, {"n1", "n2", "n3"}}, options.trace);
    for (uint64_t i = 1; i <= 3000; ++i) {
      sim::Event event{.node = static_cast<sim::NodeId>(1 + i % 3),
                       .kind = sim::EventKind::kRaftCommit};
      event.args = {i, i == odd ? 5u : 4u};
      trace->record(event);
    }
    sim::Event crash{.node = 2, .kind = sim::EventKind::kFaultCrash};
    crash.args = {1, 1, 3};
    trace->record(crash);
    sim::RunResult result;
    result.events = trace->events();
    result.chain = trace->chain();
    result.trace = trace;
    if (chance_until) decide(&result, options);
    if (check_fails && !options.turn && options.trace == sim::TraceLevel::kFull) {
      options.internal_error(result);
    }
    return result;
  }
  // A violation at the end of the run, which has a step for each event. Until step `chance_until`
  // has run, chance may still take another way, as every other key does.
  void decide(sim::RunResult* result, const sim::RunOptions& options) const {
    result->steps = result->events;
    if (options.turn) result->turned = {options.turn->after_steps, 7};
    if (options.turn && options.turn->after_steps < *chance_until && options.turn->key % 2 == 0)
      return;
    sim::Violation violation;
    violation.oracle = "ora.L1";
    violation.phase = "CUT";
    violation.node = "n2";
    violation.seq = result->events;
    result->violations.push_back(violation);
    result->verdict = sim::Verdict::kViolation;
  }

  // A run directory, by its name.
  std::string record(const std::string& name, sim::TraceLevel level = sim::TraceLevel::kMarks) {
    RunArguments run = arguments;
    run.out = name;
    run.trace = level;
    REQUIRE(run_command(run, environment) == ExitCode::kOk);
    clear();
    return name;
  }
  void clear() {
    out.str("");
    err.str("");
  }
  ExitCode replay(const std::string& run, std::optional<uint64_t> to = {}) {
    clear();
    return replay_command({run, to}, environment);
  }
  bool says(std::string_view text) const { return out.str().find(text) != std::string::npos; }
  bool warns(std::string_view text) const { return err.str().find(text) != std::string::npos; }

  uint64_t odd = 0;
  std::optional<uint64_t> chance_until;
  bool check_fails = false;
  std::vector<sim::Plan> plans;
  sim::RunOptions seen;
  RunArguments arguments;
};

TEST_CASE_METHOD(RecordedFixture, "a run is found by directory, id and link, and runs as it ran") {
  arguments.until = 30 * sim::kSecond;
  arguments.keep_going = true;
  arguments.planted.clear();
  REQUIRE(run_command(arguments, environment) == ExitCode::kOk);
  const std::string id = fs::read_symlink(directory / ".qksim/runs/latest").string();
  const sim::Plan first = plans[0];
  for (const std::string& run :
       {std::string("latest"), id, cat(".qksim/runs/", id), cat("./.qksim/runs/", id, "/")}) {
    INFO(run);
    plans.clear();
    CHECK(replay(run) == ExitCode::kOk);
    CHECK(says("EQUAL  small  seed 0x5EED  3001 events  chain "));
    REQUIRE(plans.size() == 1);
    CHECK(plans[0].seed == 0x5eed);
    CHECK(plans[0].chain_hash == first.chain_hash);
    CHECK(plans[0].until == 30 * sim::kSecond);
    CHECK(seen.keep_going);
  }
}

TEST_CASE_METHOD(RecordedFixture, "a replay switches the planted bug of the run on") {
  arguments.planted = "vote-not-synced";
  CHECK(run_command(arguments, environment) == ExitCode::kInconclusive);
  plans.clear();
  CHECK(replay("last-failed") == ExitCode::kOk);
  CHECK(plans[0].planted == "vote-not-synced");
  CHECK(warns("planted vote-not-synced"));
}

TEST_CASE_METHOD(RecordedFixture, "a replay that goes another way is exit code 3, and says where") {
  const std::string run = record("marks");
  odd = 1502;
  CHECK(replay(run) == ExitCode::kDiverged);
  CHECK(warns("the run went another way than the recorded one: chain "));
  CHECK(
      says("equal up to event #1024; the first difference is at or before #2048\n"
           "differs on n3\n"));
  CHECK(says("the recorded run has no full trace"));
  CHECK_FALSE(says("recorded by build"));
  environment.build = "0123beef";
  CHECK(replay(run) == ExitCode::kDiverged);
  CHECK(says("recorded by build c0ffee12, run again by build 0123beef"));
}

TEST_CASE_METHOD(RecordedFixture, "with a full trace a replay names the first event that differs") {
  const std::string run = record("full", sim::TraceLevel::kFull);
  CHECK(replay(run) == ExitCode::kOk);
  odd = 1502;
  CHECK(replay(run) == ExitCode::kDiverged);
  CHECK(
      says("first difference: event #1502 of n3 in the recorded run, event #1502 of n3 in this "
           "one\n"));
  CHECK(says(" commit=1502 term=4\n+ "));
}

TEST_CASE_METHOD(RecordedFixture, "run --check-determinism names node and event") {
  arguments.check_determinism = true;
  arguments.artifacts = Artifacts::kNone;
  // Every second run has another event 2000.
  environment.run = [this](const sim::Plan& plan, const sim::RunOptions& options) {
    odd = plans.size() % 2 == 0 ? 0 : 2000;
    return simulate(plan, options);
  };
  CHECK(run_command(arguments, environment) == ExitCode::kDiverged);
  CHECK(warns("the same seed gave two different runs"));
  CHECK(warns("at or before #2048\ndiffers on n3\n"));
  CHECK(warns("first difference: event #2000 of n3 in one run, event #2000 of n3 in the other\n"));
}

TEST_CASE_METHOD(RecordedFixture, "a replay prints the trace up to an event") {
  const std::string run = record("marks");
  CHECK(replay(run, 3) == ExitCode::kOk);
  const std::string text = out.str();
  CHECK(std::count(text.begin(), text.end(), '\n') == 3);
  CHECK(says("commit=3 term=4\n"));
  CHECK(warns("EQUAL  small"));
}

TEST_CASE_METHOD(RecordedFixture, "diff: equal runs, runs that part, runs of two seeds") {
  const std::string a = record("a");
  const std::string b = record("b", sim::TraceLevel::kFull);
  CHECK(diff_command({a, b}, environment) == ExitCode::kOk);
  CHECK(says("EQUAL  small"));
  odd = 2000;
  const std::string c = record("c", sim::TraceLevel::kFull);
  CHECK(diff_command({b, c}, environment) == ExitCode::kViolated);
  CHECK(
      says("equal up to event #1024; the first difference is at or before #2048\ndiffers on n3\n"
           "first difference: event #2000 of n3 in b, event #2000 of n3 in c\n"));
  // What has no full trace is run again, if that gives the recorded chain.
  clear();
  odd = 0;
  CHECK(diff_command({a, c}, environment) == ExitCode::kViolated);
  CHECK(says("event #2000 of n3 in a"));
  clear();
  odd = 7;
  CHECK(diff_command({a, c}, environment) == ExitCode::kViolated);
  CHECK(warns("note: a has no full trace, and this build runs it another way"));
  CHECK_FALSE(says("first difference: "));
  odd = 0;
  arguments.seed = 2;
  const std::string d = record("d");
  CHECK(diff_command({a, d}, environment) == ExitCode::kViolated);
  CHECK(says("the two do not begin alike"));
}

TEST_CASE_METHOD(RecordedFixture, "explain: an event, and what there is nothing to say of") {
  const std::string run = record("marks");
  CHECK(explain_command({run, 1, 3001, 2, false}, environment) == ExitCode::kOk);
  CHECK(says("n2: crash (scheduled, keep-synced), 3 unsynced changes lost, t=0.000000s #3001\n"));
  CHECK(seen.trace == sim::TraceLevel::kFull);
  clear();
  CHECK(explain_command({run, 1, 3002, 2, false}, environment) == ExitCode::kUsage);
  CHECK(warns("--at 3002: the run has 3001 events"));
  CHECK(explain_command({run, 1, {}, 2, false}, environment) == ExitCode::kUsage);
  CHECK(warns("the run violates nothing; --at SEQ explains any event"));
  CHECK(out.str().empty());
  odd = 5;
  CHECK(explain_command({run, 1, 3001, 2, false}, environment) == ExitCode::kDiverged);
  CHECK(warns("this build runs it another way"));
}

TEST_CASE_METHOD(RecordedFixture, "a run that is not there, or damaged") {
  CHECK(replay("nowhere") == ExitCode::kNoInput);
  CHECK(warns("run \"nowhere\": "));
  CHECK(replay("latest") == ExitCode::kNoInput);
  const std::string run = record("marks");
  std::ofstream(directory / "marks/chain.txt", std::ios::app) << "more\n";
  CHECK(replay(run) == ExitCode::kData);
  CHECK(warns("marks/chain.txt: line "));
  CHECK(out.str().empty());
}

TEST_CASE_METHOD(RecordedFixture, "explain --when finds the event from which a run is lost") {
  chance_until = 1234;
  RunArguments run = arguments;
  run.out = "failed";
  REQUIRE(run_command(run, environment) == ExitCode::kViolated);
  environment.wall_ms = [] { return int64_t{0}; };
  environment.processors = 2;
  ExplainArguments when;
  when.run = "failed";
  when.when = true;
  when.futures = 6;
  std::string first;
  for (const uint64_t jobs : {1u, 3u}) {
    clear();
    when.jobs = jobs;
    CHECK(explain_command(when, environment) == ExitCode::kOk);
    CHECK(says("ora.L1  in phase CUT at event #3001; 6 futures from each moment\n"));
    CHECK(
        says("\nthe jump: from 3 of 6 to 6 of 6, in the step of events #1234 to #1234\n"
             "  n2 commits up to 1234, t=0.000000s #1234\n"));
    if (jobs == 1) first = out.str();
    CHECK(out.str() == first);
  }
  clear();
  when.json = true;
  CHECK(explain_command(when, environment) == ExitCode::kOk);
  CHECK(says("\"complete\":true"));
  CHECK(says("{\"events\":[{\"seq\":\"1234\","));
  // Without time nothing is known, and nothing is claimed.
  clear();
  when.json = false;
  when.time_limit = 0;
  CHECK(explain_command(when, environment) == ExitCode::kInconclusive);
  CHECK(says("stopped early"));
  chance_until.reset();
  clear();
  CHECK(explain_command(when, environment) == ExitCode::kInconclusive);
  CHECK(warns("the run violates nothing, expected one that fails"));
}

TEST_CASE_METHOD(RecordedFixture,
                 "explain: a failed check of ours is told before the process ends") {
  chance_until = 1234;
  RunArguments run = arguments;
  run.out = "failed";
  REQUIRE(run_command(run, environment) == ExitCode::kViolated);
  check_fails = true;
  environment.wall_ms = [] { return int64_t{0}; };
  environment.exit_now = [](ExitCode code) { throw code; };
  ExplainArguments explain;
  explain.run = "failed";
  clear();
  CHECK_THROWS_AS(explain_command(explain, environment), ExitCode);
  CHECK(says("ora.L1  is violated on n2, t=0.000000s #3001\n"));
  clear();
  explain.when = true;
  explain.futures = 2;
  explain.moments = 2;
  explain.jobs = 1;
  CHECK_THROWS_AS(explain_command(explain, environment), ExitCode);
  CHECK(says("the jump: from 1 of 2 to 2 of 2"));
}

}  // namespace
}  // namespace qk::cli
