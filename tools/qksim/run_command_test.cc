// `qksim run` with a simulator that the test supplies: what is printed, returned and left on disk.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "families/base/strings.h"
#include "tools/qksim/run_directory.h"
#include "tools/qksim/run_report.h"
#include "tools/qksim/verb_fixture.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

namespace fs = std::filesystem;

struct RunFixture : VerbFixture {
  RunFixture() {
    environment.wall_ms = [this] { return wall += 1400; };
    environment.run = [this](const sim::Plan& plan, const sim::RunOptions& options) {
      plans.push_back(plan);
      seen = options;
      sim::RunResult result = next;
      result.chain += drift * (plans.size() - 1);
      return result;
    };
    arguments.scenario = "small.qks.txtpb";
    arguments.seed = 0x5eed;
    next.simulated = 60 * sim::kSecond;
    next.events = 1498;
    next.chain = 0x5d02c1be77a40123;
    next.digest = "digest";
  }

  void violate() {
    next.verdict = sim::Verdict::kViolation;
    sim::Violation violation;
    violation.oracle = "ora.L1";
    violation.name = "acked-entries-durable";
    violation.node = "n3";
    violation.index = 1303;
    violation.t = 53'800'000'000;
    violation.seq = 1372;
    violation.expected = "(1303, term 4, crc 0b77e1d2)";
    violation.actual = "last index 1302";
    violation.phase = "n3 B";
    violation.last_fault = "crash n3 t=52.000s (#1345, torn tail)";
    violation.chain = 0x6db01e1d78d04567;
    next.violations.push_back(violation);
  }

  std::string file(const fs::path& path) const {
    std::ifstream in(directory / path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }

  int64_t wall = 0;
  uint64_t drift = 0;
  std::vector<sim::Plan> plans;
  sim::RunOptions seen;
  sim::RunResult next;
  RunArguments arguments;
};

TEST_CASE_METHOD(RunFixture, "a pass is one line and leaves nothing") {
  CHECK(run_command(arguments, environment) == ExitCode::kOk);
  CHECK(out.str() ==
        "PASS  small  seed 0x5EED  60.0s sim in 1.4s  1498 events  chain 5d02c1be77a4\n");
  CHECK(err.str() == "run small seed 0x5EED\n");
  CHECK_FALSE(fs::exists(directory / ".qksim"));
  REQUIRE(plans.size() == 1);
  CHECK(plans[0].seed == 0x5eed);
}

TEST_CASE_METHOD(RunFixture, "a failure prints the whole block and leaves a directory") {
  violate();
  arguments.sets = {"cluster.link.loss=0.01", "summary=it's odd"};
  arguments.until = 30 * sim::kSecond;
  CHECK(run_command(arguments, environment) == ExitCode::kViolated);
  const std::string id = fs::read_symlink(directory / ".qksim/runs/latest").string();
  CHECK(id.size() == 8);
  const std::string block =
      "FAIL  small  seed 0x5EED  ora.L1 acked-entries-durable  n3 index 1303  t=53.800s  event "
      "#1372\n"
      "  expected  (1303, term 4, crc 0b77e1d2)\n"
      "  actual    last index 1302\n"
      "  phase     n3 B    last fault: crash n3 t=52.000s (#1345, torn tail)\n"
      "  repro     qksim run small.qks.txtpb --seed 0x5EED --set cluster.link.loss=0.01 --set "
      "'summary=it'\\''s odd' --until 30s    # chain 6db01e1d78d0 at #1372, build c0ffee12\n";
  CHECK(out.str() ==
        cat(block, "  artifacts .qksim/runs/", id, "/  scenario.txtpb  plan.txtpb  report.txt\n",
            "  next      qksim explain last-failed    |    qksim shrink last-failed\n"));
  CHECK(file(".qksim/runs/latest/report.txt") == block);
  CHECK(file(".qksim/runs/last-failed/scenario.txtpb").find("loss: 0.01") != std::string::npos);

  // The same run again takes the same directory; another seed another one.
  run_command(arguments, environment);
  CHECK(fs::read_symlink(directory / ".qksim/runs/latest").string() == id);
  arguments.seed = 2;
  run_command(arguments, environment);
  CHECK(fs::read_symlink(directory / ".qksim/runs/latest").string() != id);
}

TEST_CASE_METHOD(RunFixture, "a pass does not move last-failed") {
  violate();
  run_command(arguments, environment);
  const std::string failed = fs::read_symlink(directory / ".qksim/runs/last-failed").string();
  next.verdict = sim::Verdict::kPass;
  next.violations.clear();
  arguments.artifacts = Artifacts::kAlways;
  arguments.seed = 3;
  CHECK(run_command(arguments, environment) == ExitCode::kOk);
  CHECK(fs::read_symlink(directory / ".qksim/runs/last-failed").string() == failed);
  CHECK(fs::read_symlink(directory / ".qksim/runs/latest").string() != failed);
  CHECK(file(".qksim/runs/latest/report.txt") ==
        "PASS  small  seed 0x3  60.0s sim  1498 events  chain 5d02c1be77a4\n");
}

TEST_CASE_METHOD(RunFixture, "after a pass without a directory, latest shows no earlier run") {
  violate();
  run_command(arguments, environment);
  const std::string failed = fs::read_symlink(directory / ".qksim/runs/latest").string();
  next.verdict = sim::Verdict::kPass;
  next.violations.clear();
  CHECK(run_command(arguments, environment) == ExitCode::kOk);
  CHECK_FALSE(fs::exists(fs::symlink_status(directory / ".qksim/runs/latest")));
  CHECK(fs::read_symlink(directory / ".qksim/runs/last-failed").string() == failed);
  CHECK(fs::exists(directory / ".qksim/runs" / failed / "report.txt"));

  // Nor after a run whose directory lies elsewhere, or that leaves none although it failed.
  for (const bool elsewhere : {true, false}) {
    violate();
    arguments.out.clear();
    arguments.artifacts = Artifacts::kFail;
    run_command(arguments, environment);
    REQUIRE(fs::exists(fs::symlink_status(directory / ".qksim/runs/latest")));
    if (elsewhere) {
      arguments.out = "elsewhere";
    } else {
      arguments.artifacts = Artifacts::kNone;
    }
    CHECK(run_command(arguments, environment) == ExitCode::kViolated);
    CHECK_FALSE(fs::exists(fs::symlink_status(directory / ".qksim/runs/latest")));
  }
}

TEST_CASE_METHOD(RunFixture, "a pass in a directory elsewhere leaves latest as it is") {
  violate();
  run_command(arguments, environment);
  const std::string failed = fs::read_symlink(directory / ".qksim/runs/latest").string();
  next.verdict = sim::Verdict::kPass;
  next.violations.clear();
  arguments.out = "elsewhere";
  CHECK(run_command(arguments, environment) == ExitCode::kOk);
  CHECK(fs::read_symlink(directory / ".qksim/runs/latest").string() == failed);
}

TEST_CASE_METHOD(RunFixture, "a run directory that a user changed is not replaced") {
  violate();
  REQUIRE(run_command(arguments, environment) == ExitCode::kViolated);
  const fs::path runs = directory / ".qksim/runs";
  const std::string id = fs::read_symlink(runs / "latest").string();
  const auto refused = [&](const std::string& name) {
    err.str("");
    plans.clear();
    CHECK(run_command(arguments, environment) == ExitCode::kCannotWrite);
    CHECK(err.str().find(name) != std::string::npos);
    CHECK(plans.empty());  // before anything runs
  };
  SECTION("a file of the user's") {
    std::ofstream(runs / id / "notes.txt") << "mine";
    refused("notes.txt was added or changed");
    CHECK(file(cat(".qksim/runs/", id, "/notes.txt")) == "mine");
    fs::remove(runs / id / "notes.txt");
    CHECK(run_command(arguments, environment) == ExitCode::kViolated);
  }
  SECTION("a file of ours that was edited") {
    std::ofstream(runs / id / "report.txt", std::ios::app) << "mine";
    refused("report.txt was added or changed");
  }
  SECTION("a directory that qksim did not make") {
    fs::remove_all(runs / id);
    fs::create_directory(runs / id);
    std::ofstream(runs / id / "data") << "mine";
    refused("is not replaced: it holds no .qksim-run, ");
    CHECK(file(cat(".qksim/runs/", id, "/data")) == "mine");
  }
  SECTION("a run directory of a version that left no list") {
    fs::remove(runs / id / ".qksim-run");
    const std::string report = file(cat(".qksim/runs/", id, "/report.txt"));
    refused(
        "qksim did not make it, or an older version did; move it away or remove it to run this "
        "again, or give --out");
    CHECK(file(cat(".qksim/runs/", id, "/report.txt")) == report);
    // As the message says.
    fs::rename(runs / id, runs / "kept");
    CHECK(run_command(arguments, environment) == ExitCode::kViolated);
    CHECK(fs::exists(runs / id / ".qksim-run"));
    CHECK(file(".qksim/runs/kept/report.txt") == report);
  }
  SECTION("an earlier one of another outcome is replaced, as before") {
    next.violations[0].actual = "another";
    CHECK(run_command(arguments, environment) == ExitCode::kViolated);
    CHECK(file(".qksim/runs/latest/report.txt").find("another") != std::string::npos);
  }
  for (const char* name : {"latest", "last-failed"}) {
    SECTION(cat("a regular file called ", name)) {
      fs::remove(runs / name);
      std::ofstream(runs / name) << "mine";
      refused(cat(name, " is not a link that qksim made"));
      // Nor does a run that leaves nothing remove it.
      arguments.artifacts = Artifacts::kNone;
      CHECK(run_command(arguments, environment) == ExitCode::kViolated);
      CHECK(file(cat(".qksim/runs/", name)) == "mine");
    }
    SECTION(cat("a link of the user's called ", name)) {
      fs::remove(runs / name);
      fs::create_symlink("../elsewhere", runs / name);
      refused(cat(name, " is not a link that qksim made"));
      CHECK(fs::read_symlink(runs / name) == "../elsewhere");
    }
  }
}

TEST_CASE_METHOD(RunFixture, "the short log is a result, and comes before the verdict") {
  sim::Scheduler scheduler;
  auto trace = std::make_shared<sim::Trace>(&scheduler, sim::TraceStart{1, 2, {"n1"}},
                                            sim::TraceLevel::kMarks);
  sim::Event stop{.node = 1, .kind = sim::EventKind::kNodeStop};
  trace->record(stop, "planned");
  next.trace = trace;
  arguments.log = ShortLog::kShort;
  CHECK(run_command(arguments, environment) == ExitCode::kOk);
  const size_t verdict = out.str().find("PASS  small");
  REQUIRE(verdict != std::string::npos);
  CHECK(out.str().find("phase role term") < verdict);
  CHECK(err.str() == "run small seed 0x5EED\n");
}

TEST_CASE_METHOD(RunFixture, "--artifacts none leaves nothing even after a failure") {
  violate();
  arguments.artifacts = Artifacts::kNone;
  CHECK(run_command(arguments, environment) == ExitCode::kViolated);
  CHECK_FALSE(fs::exists(directory / ".qksim"));
}

TEST_CASE_METHOD(RunFixture, "trace and timeline are written from the result") {
  sim::Scheduler scheduler;
  auto trace = std::make_shared<sim::Trace>(&scheduler, sim::TraceStart{1, 2, {"n1", "n2", "n3"}},
                                            sim::TraceLevel::kMarks);
  next.trace = trace;
  arguments.artifacts = Artifacts::kAlways;
  arguments.out = "elsewhere";
  CHECK(run_command(arguments, environment) == ExitCode::kOk);
  CHECK(out.str().find(
            "  artifacts elsewhere/  scenario.txtpb  plan.txtpb  report.txt  chain.txt  trace.txt  "
            "timeline.dot  timeline.svg\n") != std::string::npos);
  CHECK(fs::exists(directory / "elsewhere/trace.txt"));
  CHECK(file("elsewhere/timeline.svg").find("<svg") != std::string::npos);
  CHECK_FALSE(fs::exists(directory / ".qksim"));

  // --out is never written over.
  out.str("");
  err.str("");
  plans.clear();
  CHECK(run_command(arguments, environment) == ExitCode::kCannotWrite);
  CHECK(err.str().starts_with("error: directory elsewhere (--out) is not empty: it holds "));
  CHECK(plans.empty());
}

TEST_CASE_METHOD(RunFixture, "an unwritable place is found out and said") {
  violate();
  std::ofstream(directory / ".qksim") << "a file in the way";
  CHECK(run_command(arguments, environment) == ExitCode::kViolated);  // the worse of 1 and 73
  CHECK(err.str().find("error: run directory .qksim/runs/") != std::string::npos);
  next.violations.clear();
  next.verdict = sim::Verdict::kPass;
  arguments.artifacts = Artifacts::kAlways;
  CHECK(run_command(arguments, environment) == ExitCode::kCannotWrite);
}

TEST_CASE_METHOD(RunFixture, "inconclusive says why, and how to see it again") {
  next.verdict = sim::Verdict::kInconclusive;
  next.inconclusive = {"small.qks.txtpb:7: n1:DUAL never fired"};
  arguments.artifacts = Artifacts::kNone;
  CHECK(run_command(arguments, environment) == ExitCode::kInconclusive);
  CHECK(out.str() ==
        "?     small  seed 0x5EED  60.0s sim in 1.4s  1498 events  chain 5d02c1be77a4\n"
        "  because   small.qks.txtpb:7: n1:DUAL never fired\n"
        "  repro     qksim run small.qks.txtpb --seed 0x5EED    # chain 5d02c1be77a4 at #1498, "
        "build c0ffee12\n");
}

TEST_CASE_METHOD(RunFixture, "an unknown planted bug is a usage error") {
  arguments.planted = "vote-not-syncd:hard";
  CHECK(run_command(arguments, environment) == ExitCode::kUsage);
  CHECK(
      err.str().starts_with("error: there is no planted bug \"vote-not-syncd:hard\"\n"
                            "hint: did you mean \"vote-not-synced\"? "));
  CHECK(plans.empty());
}

TEST_CASE_METHOD(RunFixture, "a scenario that names no planted bug of the catalogue is bad input") {
  std::ofstream(directory / "small.qks.txtpb", std::ios::app) << "planted: \"vote-not-syncd\"\n";
  CHECK(run_command(arguments, environment) == ExitCode::kData);
  CHECK_THAT(
      err.str(),
      Catch::Contains("small.qks.txtpb:4:10: error: there is no planted bug \"vote-not-syncd\""));
  CHECK_THAT(err.str(), Catch::Contains("did you mean \"vote-not-synced\"? "));
  CHECK(plans.empty());
}

TEST_CASE_METHOD(RunFixture, "a planted run says so everywhere and never passes") {
  arguments.planted = "vote-not-synced";
  arguments.artifacts = Artifacts::kNone;
  CHECK(run_command(arguments, environment) == ExitCode::kInconclusive);
  CHECK(plans[0].planted == "vote-not-synced");
  CHECK(out.str().starts_with("?     small  seed 0x5EED  planted vote-not-synced  "));
  CHECK(out.str().find("PASS") == std::string::npos);
  CHECK(out.str().find("--planted vote-not-synced    #") != std::string::npos);

  out.str("");
  violate();
  CHECK(run_command(arguments, environment) == ExitCode::kViolated);
  CHECK(out.str().starts_with("FAIL  small  seed 0x5EED  planted vote-not-synced  ora.L1 "));
  CHECK(out.str().find("--seed 0x5EED --planted vote-not-synced    #") != std::string::npos);
}

TEST_CASE_METHOD(RunFixture, "an expected violation is shown and is not a failure") {
  violate();
  next.verdict = sim::Verdict::kExpected;
  CHECK(run_command(arguments, environment) == ExitCode::kOk);
  CHECK(out.str().starts_with(
      "EXPECTED ora.L1  small  seed 0x5EED  60.0s sim in 1.4s  1498 events  chain 5d02c1be77a4\n"
      "  found     ora.L1 acked-entries-durable  n3 index 1303  t=53.800s  event #1372\n"
      "  expected  (1303, term 4, crc 0b77e1d2)\n"));
  CHECK_FALSE(fs::exists(directory / ".qksim"));

  // A planted run may show what it was expected to show.
  out.str("");
  arguments.planted = "vote-not-synced";
  CHECK(run_command(arguments, environment) == ExitCode::kOk);
  CHECK(out.str().starts_with(
      "EXPECTED ora.L1  small  seed 0x5EED  planted vote-not-synced  60.0s sim"));
}

TEST_CASE_METHOD(RunFixture, "a violation that is expected and absent is a failure") {
  next.verdict = sim::Verdict::kViolation;
  next.unmet = {"expected a violation of ora.D1, found none"};
  arguments.artifacts = Artifacts::kNone;
  CHECK(run_command(arguments, environment) == ExitCode::kViolated);
  CHECK(out.str() ==
        "FAIL  small  seed 0x5EED  60.0s sim in 1.4s  1498 events  chain 5d02c1be77a4\n"
        "  because   expected a violation of ora.D1, found none\n"
        "  repro     qksim run small.qks.txtpb --seed 0x5EED    # chain 5d02c1be77a4 at #1498, "
        "build c0ffee12\n");
}

TEST_CASE_METHOD(RunFixture, "--check-determinism runs twice and compares") {
  arguments.check_determinism = true;
  CHECK(run_command(arguments, environment) == ExitCode::kOk);
  CHECK(plans.size() == 2);
  drift = 1;
  plans.clear();
  CHECK(run_command(arguments, environment) == ExitCode::kDiverged);
  CHECK(err.str().find("error: the same seed gave two different runs") != std::string::npos);
}

TEST_CASE_METHOD(RunFixture, "a random seed is drawn, printed and in the repro line") {
  arguments.random_seed = true;
  violate();
  arguments.artifacts = Artifacts::kNone;
  CHECK(run_command(arguments, environment) == ExitCode::kViolated);
  CHECK(err.str() == "run small seed 0x4D\n");
  CHECK(out.str().find("qksim run small.qks.txtpb --seed 0x4D ") != std::string::npos);
}

TEST_CASE_METHOD(RunFixture, "--write-plan replaces a plan that was written, and no other file") {
  arguments.write_plan = "plans.qks.txtpb";
  next.injected.push_back({});
  next.injected.back().at.text = "1.5s";
  next.injected.back().what = sim::CrashFault{"n2", sim::kSecond, sim::CrashLoss::kTornTail};
  CHECK(run_command(arguments, environment) == ExitCode::kOk);
  const std::string text = file("plans.qks.txtpb");
  CHECK(text.find("name: \"plans\"") != std::string::npos);
  CHECK(text.find("seed: 24301") != std::string::npos);
  CHECK(text.find("t: \"1.5s\"") != std::string::npos);
  arguments.seed = 7;
  CHECK(run_command(arguments, environment) == ExitCode::kOk);
  CHECK(file("plans.qks.txtpb").find("seed: 7") != std::string::npos);

  // Its own seed, unless another is given.
  arguments = {};
  arguments.scenario = "plans.qks.txtpb";
  arguments.artifacts = Artifacts::kNone;
  CHECK(run_command(arguments, environment) == ExitCode::kOk);
  CHECK(plans.back().seed == 7);
  CHECK(plans.back().faults.size() == 1);

  plans.clear();
  arguments.write_plan = "small.qks.txtpb";
  CHECK(run_command(arguments, environment) == ExitCode::kCannotWrite);
  CHECK(plans.empty());
}

TEST_CASE_METHOD(RunFixture, "--swarm changes links in the text, faults in the plan, and is told") {
  std::ofstream(directory / "small.qks.txtpb", std::ios::app)
      << "random { mean_time_to_crash: \"2s\" mean_time_to_partition: \"6s\" }\n";
  arguments.sets = {"cluster.link.loss=0.004", "cluster.link.reorder=0.01"};
  arguments.swarm = true;
  arguments.artifacts = Artifacts::kNone;
  violate();
  std::set<std::string> told;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    arguments.seed = seed;
    out.str("");
    err.str("");
    run_command(arguments, environment);
    told.insert(err.str().substr(err.str().find('\n')));
    CHECK(out.str().find(" --set cluster.link.reorder=0.01 --swarm    # chain") !=
          std::string::npos);
  }
  CHECK(told.size() > 10);
  std::set<sim::Nanos> means;
  std::set<uint32_t> losses;
  std::set<uint64_t> chains;
  for (const sim::Plan& plan : plans) {
    means.insert(plan.random.mean_time_to_crash);
    losses.insert(plan.cluster.link.loss_ppm);
    chains.insert(plan.chain_hash);
  }
  CHECK(means == std::set<sim::Nanos>{0, sim::kSecond, 2 * sim::kSecond, 4 * sim::kSecond});
  CHECK(losses == std::set<uint32_t>{0, 2000, 4000, 8000});
  CHECK(chains.size() > losses.size());
}

TEST_CASE_METHOD(RunFixture, "options reach the simulator") {
  arguments.keep_going = true;
  arguments.until = 5;
  arguments.trace = sim::TraceLevel::kFull;
  run_command(arguments, environment);
  CHECK(seen.keep_going);
  CHECK(plans.back().until == 5);
  CHECK(seen.trace == sim::TraceLevel::kFull);
}

TEST_CASE_METHOD(RunFixture, "bad input never reaches the simulator") {
  const auto code = [&] {
    err.str("");
    return run_command(arguments, environment);
  };
  arguments.scenario = "nowhere.qks.txtpb";
  CHECK(code() == ExitCode::kNoInput);
  CHECK(err.str().starts_with("error: there is no file \"nowhere.qks.txtpb\"\nhint: "));
  arguments.scenario = "\x1b[2J\x9b.qks.txtpb";
  CHECK(code() == ExitCode::kNoInput);
  CHECK(err.str().starts_with("error: there is no file \"\\x1b[2J\\x9b.qks.txtpb\"\nhint: "));
  arguments.scenario = "small.qks.txtpb";
  arguments.sets = {"cluster.lnk.loss=1"};
  CHECK(code() == ExitCode::kUsage);
  arguments.sets = {"run_for=soon"};
  CHECK(code() == ExitCode::kUsage);
  arguments.sets.clear();
  std::ofstream(directory / "small.qks.txtpb", std::ios::app) << "nonsense: 1\n";
  CHECK(code() == ExitCode::kData);
  CHECK(err.str().starts_with("small.qks.txtpb:4:1: error: scenario has no field \"nonsense\"\n"));
  std::ofstream(directory / "small.qks.txtpb") << "\tname: \"\x1b]0;x\x07\" \xc2\x9b"
                                                  "2J: 1\n";
  CHECK(code() == ExitCode::kData);
  CHECK(err.str().find_first_of("\x1b\x07\x9b") == std::string::npos);
  CHECK(err.str().find(" | \tname: \"\\x1b]0;x\\x07\" \\xc2\\x9b2J: 1\n") != std::string::npos);
  CHECK(plans.empty());
  CHECK(out.str().empty());
}

TEST_CASE_METHOD(RunFixture,
                 "a directory that a node cannot begin with is bad input, with its place") {
  std::ofstream(directory / "small.qks.txtpb")
      << "name: \"small\"\n"
         "cluster {\n"
         "  node { id: \"n1\" store: \"old\" initial_dir: \"braft:cluster-b-node0-all-killed\" }\n"
         "}\n"
         "store { id: \"old\" local {} }\n";
  environment.check_initial = [](const sim::Plan&) {
    return std::vector<sim::BadStart>{{0, "log_meta: damaged"}};
  };
  CHECK(run_command(arguments, environment) == ExitCode::kData);
  CHECK(
      err.str().starts_with("small.qks.txtpb:3:45: error: node \"n1\" cannot begin with "
                            "\"braft:cluster-b-node0-all-killed\": log_meta: damaged\n"));
  CHECK(plans.empty());
  CHECK(out.str().empty());
}

TEST_CASE_METHOD(RunFixture, "an internal error leaves everything, and ends the process with 70") {
  std::vector<ExitCode> exits;
  environment.exit_now = [&](ExitCode code) { exits.push_back(code); };
  environment.run = [&](const sim::Plan&, const sim::RunOptions& options) {
    violate();
    next.verdict = sim::Verdict::kInternalError;
    next.violations[0].oracle = "internal";
    options.internal_error(next);
    return next;
  };
  CHECK(run_command(arguments, environment) == ExitCode::kInternal);
  CHECK(exits == std::vector<ExitCode>{ExitCode::kInternal});
  CHECK(out.str().starts_with("ERROR small  seed 0x5EED  internal acked-entries-durable  n3"));
  CHECK(out.str().find("  repro     qksim run small.qks.txtpb --seed 0x5EED ") !=
        std::string::npos);
  CHECK(fs::exists(directory / ".qksim/runs/latest/report.txt"));
  CHECK(fs::exists(directory / ".qksim/runs/last-failed/scenario.txtpb"));
}

TEST_CASE_METHOD(RunFixture, "colour paints the verdict alone") {
  environment.colour_out = true;
  run_command(arguments, environment);
  CHECK(out.str().starts_with("\x1b[32mPASS\x1b[0m  small  seed "));
}

}  // namespace
}  // namespace qk::cli
