// `qksim sweep` over processes, with a simulator that the test supplies: what a seed does to its
// process, what is kept, and what a later sweep makes of it.
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "families/base/strings.h"
#include "families/fs/file_util.h"
#include "sim/check/finding.h"
#include "tools/qksim/sweep_directory.h"
#include "tools/qksim/verb_fixture.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

using Catch::Contains;

struct SweepFixture : VerbFixture {
  SweepFixture() {
    environment.wall_ms = [] {
      return std::chrono::duration_cast<std::chrono::milliseconds>(
                 std::chrono::steady_clock::now().time_since_epoch())
          .count();
    };
    environment.run = [this](const sim::Plan& plan, const sim::RunOptions& options) {
      sim::RunResult result;
      result.simulated = sim::kSecond;
      result.events = 100 + plan.seed;
      result.chain = plan.seed;
      for (const sim::OracleInfo& oracle : sim::kOracles) {
        result.evaluated[std::string(oracle.id)] = 1;
      }
      result.reach["crash/leader"] = plan.seed % 2;
      if (act) act(plan.seed, options, &result);
      return result;
    };
    arguments.scenarios = {"small.qks.txtpb"};
    arguments.seeds = {{1, 8}};
    arguments.jobs = 2;
    arguments.seed_limit = 60 * sim::kSecond;
    arguments.out = "sweep";
    arguments.progress = ProgressForm::kNone;
  }

  ExitCode sweep() {
    out.str("");
    err.str("");
    return sweep_command(arguments, environment);
  }
  SweepRecords records() {
    auto read = read_sweep(environment, directory.string() + "/sweep");
    REQUIRE(read.ok());
    return *std::move(read);
  }
  // The only seed with a finding.
  sim::SeedRecord found() {
    sim::SeedRecord result;
    int count = 0;
    for (const auto& [job, record] : records().by_job) {
      if (!sim::is_finding(record.verdict) && record.second != sim::SecondRun::kDiffers) continue;
      result = record;
      ++count;
    }
    CHECK(count == 1);
    return result;
  }
  bool exists(const std::string& path) const {
    return std::filesystem::exists(directory.string() + "/" + path);
  }

  static void violate(sim::RunResult* result, const char* oracle = "ora.L1") {
    result->verdict = sim::Verdict::kViolation;
    sim::Violation violation;
    violation.oracle = oracle;
    violation.name = "some-name";
    violation.node = "n2";
    violation.phase = "CUT";
    violation.last_fault = "fault.crash n2 #7";
    violation.expected = "this";
    violation.actual = "that";
    result->violations.push_back(violation);
  }

  std::function<void(uint64_t seed, const sim::RunOptions&, sim::RunResult*)> act;
  SweepArguments arguments;
};

TEST_CASE_METHOD(SweepFixture, "sweep: a scenario's planted bug is asked for, too") {
  std::ofstream(directory / "small.qks.txtpb", std::ios::app) << "planted: \"vote-not-synced\"\n";
  CHECK(sweep() == ExitCode::kUsage);
  CHECK_THAT(err.str(), Contains("expected --planted vote-not-synced"));
  arguments.planted = "vote-not-synced";
  CHECK(sweep() == ExitCode::kInconclusive);
  CHECK_THAT(out.str(), Contains("nothing noticed the planted bug"));
}

TEST_CASE_METHOD(SweepFixture, "sweep: every seed passes") {
  arguments.again_ppm = 500'000;
  CHECK(sweep() == ExitCode::kOk);
  CHECK_THAT(out.str(), Contains("PASS  sweep of small  seeds 0x1..0x8  8 of 8 runs\n"));
  CHECK_THAT(out.str(), Contains("verdicts  PASS 8; "));
  CHECK(records().by_job.size() == 8);
  CHECK(exists("sweep/report.txt"));
  CHECK_FALSE(exists("sweep/failures"));
  // What these runs cannot reach is told with its reason.
  CHECK_THAT(out.str(), Contains("without a subject here: migration/cut-differs; needs a planted "
                                 "bug, or storage that rots"));
  CHECK_THAT(out.str(), Contains("without a subject here: open/memory-lost; needs a volatile"));
  uint64_t twice = 0;
  for (const auto& [job, record] : records().by_job) {
    twice += record.second == sim::SecondRun::kSame ? 1 : 0;
  }
  CHECK(twice > 0);
  CHECK(twice < 8);
}

TEST_CASE_METHOD(SweepFixture, "sweep: failures are grouped, repeated alone and kept") {
  act = [](uint64_t seed, const sim::RunOptions&, sim::RunResult* result) {
    if (seed == 3 || seed == 6) violate(result);
    if (seed == 6) result->simulated = 5;
    if (seed == 4) violate(result, "ora.D1");
  };
  CHECK(sweep() == ExitCode::kViolated);
  CHECK_THAT(out.str(), Contains("FAIL  sweep of small"));
  CHECK_THAT(out.str(), Contains("FAIL      ora.L1 CUT fault.crash  small  2 seeds\n"
                                 "  shortest  seed 0x6  "));
  CHECK_THAT(out.str(), Contains("  repro     qksim run small.qks.txtpb --seed 0x6\n"));
  CHECK_THAT(out.str(), Contains("  seeds     0x3 0x6\n"));
  CHECK(exists("sweep/failures/ora.L1-CUT-fault.crash-0x6/report.txt"));
  CHECK(exists("sweep/failures/ora.D1-CUT-fault.crash-0x4/report.txt"));
  for (const auto& [job, record] : records().by_job) {
    if (sim::is_failure(record.verdict)) CHECK(record.second == sim::SecondRun::kSame);
  }
}

TEST_CASE_METHOD(SweepFixture, "sweep: a seed that ends its process is a finding of that seed") {
  arguments.jobs = 1;
  act = [](uint64_t seed, const sim::RunOptions&, sim::RunResult*) {
    // Not to the test framework, whose handler the worker has inherited.
    if (seed != 5) return;
    ::signal(SIGILL, SIG_DFL);
    ::raise(SIGILL);
  };
  CHECK(sweep() == ExitCode::kInternal);
  CHECK(found().seed == 5);
  CHECK(found().verdict == sim::SeedVerdict::kDied);
  CHECK(found().second == sim::SecondRun::kSame);
  CHECK_THAT(out.str(), Contains("DIED      process ended with signal 4"));
  CHECK(records().by_job.size() == 8);
}

// What killed the worker, a person or the kernel out of memory, does not come again: its seed runs
// once more.
TEST_CASE_METHOD(SweepFixture, "sweep: a worker killed from outside is no divergence") {
  const std::string flag = directory.string() + "/killed";
  for (const bool in_first : {true, false}) {
    std::filesystem::remove_all(directory / "sweep");
    arguments.again_ppm = 1'000'000;
    act = [&](uint64_t seed, const sim::RunOptions&, sim::RunResult*) {
      if (seed != 5 || std::filesystem::exists(flag + "2")) return;
      // The first of its runs leaves a file, the second one another.
      const bool first = !std::filesystem::exists(flag);
      std::ofstream(first ? flag : flag + "2");
      if (first == in_first) ::raise(SIGKILL);
    };
    CHECK(sweep() == ExitCode::kOk);
    CHECK(records().by_job.size() == 8);
    CHECK_THAT(out.str(), Contains("0 of them differ") && !Contains("DIVERGED"));
    CHECK_THAT(out.str(), !Contains("DIED"));
    CHECK_THAT(err.str(), !Contains("with a full trace"));
    std::filesystem::remove(flag);
    std::filesystem::remove(flag + "2");
  }
}

TEST_CASE_METHOD(SweepFixture, "sweep: what nobody catches ends the worker, and not as a parent") {
  act = [](uint64_t seed, const sim::RunOptions&, sim::RunResult*) {
    if (seed == 5) throw std::runtime_error("planted");
  };
  CHECK(sweep() == ExitCode::kInternal);
  CHECK(found().verdict == sim::SeedVerdict::kDied);
  CHECK_THAT(out.str(), Contains("DIED      process ended with exit code 70"));
}

TEST_CASE_METHOD(SweepFixture, "sweep: a failed check of ours is a finding of that seed") {
  arguments.jobs = 1;
  act = [](uint64_t seed, const sim::RunOptions& options, sim::RunResult* result) {
    if (seed != 5) return;
    result->verdict = sim::Verdict::kInternalError;
    sim::Violation violation;
    violation.oracle = "internal";
    violation.actual = "sim/raft/log.cc:41: check failed: first <= last";
    result->violations.push_back(violation);
    options.internal_error(*result);
  };
  CHECK(sweep() == ExitCode::kInternal);
  CHECK(found().verdict == sim::SeedVerdict::kInternalError);
  CHECK(found().second == sim::SecondRun::kSame);
  CHECK_THAT(out.str(), Contains("check failed: first <= last"));
  CHECK(records().by_job.size() == 8);
}

TEST_CASE_METHOD(SweepFixture, "sweep: a seed that never ends is a finding of that seed") {
  arguments.seed_limit = 50 * sim::kMillisecond;
  act = [](uint64_t seed, const sim::RunOptions&, sim::RunResult*) {
    volatile uint64_t spin = seed;
    while (spin == 2) {
    }
  };
  CHECK(sweep() == ExitCode::kViolated);
  CHECK(found().seed == 2);
  CHECK(found().verdict == sim::SeedVerdict::kStuck);
  CHECK(found().second == sim::SecondRun::kSame);
  CHECK(records().by_job.size() == 8);
}

TEST_CASE_METHOD(SweepFixture, "sweep: two runs of a seed that differ are a divergence") {
  arguments.again_ppm = 1'000'000;
  act = [](uint64_t seed, const sim::RunOptions&, sim::RunResult* result) {
    if (seed == 7) result->chain = static_cast<uint64_t>(::getpid());
  };
  CHECK(sweep() == ExitCode::kDiverged);
  CHECK(found().seed == 7);
  CHECK(found().second == sim::SecondRun::kDiffers);
  CHECK_THAT(out.str(), Contains("DIVERGED  small seed 0x7: chain "));
}

TEST_CASE_METHOD(SweepFixture, "sweep: a failure that another process does not repeat diverges") {
  arguments.jobs = 1;
  int runs = 0;  // of this process
  act = [&](uint64_t seed, const sim::RunOptions&, sim::RunResult* result) {
    ++runs;
    if (seed == 4 && runs > 1) violate(result);
  };
  CHECK(sweep() == ExitCode::kDiverged);
  CHECK(found().seed == 4);
  CHECK_THAT(found().difference, Contains("verdict FAIL, then PASS"));
}

TEST_CASE_METHOD(SweepFixture, "sweep: a resumed one reports what an undisturbed one does") {
  act = [](uint64_t seed, const sim::RunOptions&, sim::RunResult* result) {
    if (seed % 3 == 0) violate(result);
  };
  CHECK(sweep() == ExitCode::kViolated);
  const std::string undisturbed =
      families::read_file(file_system, directory.string() + "/sweep/report.txt", 1 << 20).value();
  const std::string file = directory.string() + "/sweep/records.jsonl";
  const std::string all = families::read_file(file_system, file, 1 << 20).value();
  arguments.out.clear();
  arguments.resume = "sweep";
  arguments.scenarios.clear();
  // Killed at any byte: whole lines stay, the torn one runs again.
  for (const size_t size : {size_t{0}, size_t{1}, all.size() / 2, all.size() - 1, all.size()}) {
    INFO("killed after " << size << " of " << all.size() << " bytes");
    REQUIRE(families::write_file(file_system, file, all.substr(0, size)).ok());
    CHECK(sweep() == ExitCode::kViolated);
    CHECK(families::read_file(file_system, directory.string() + "/sweep/report.txt", 1 << 20)
              .value() == undisturbed);
    CHECK(records().by_job.size() == 8);
  }
  // Damage that no kill leaves is an error, and nothing is changed.
  const std::string damaged = cat("x", all);
  REQUIRE(families::write_file(file_system, file, damaged).ok());
  CHECK(sweep() == ExitCode::kData);
  CHECK_THAT(err.str(), Contains("records.jsonl: line 1: record of a seed: not a JSON object"));
  CHECK(families::read_file(file_system, file, 1 << 20).value() == damaged);
  for (const char* foreign : {"precious", "a file of mine\n"}) {
    INFO(foreign);
    REQUIRE(families::write_file(file_system, file, foreign).ok());
    CHECK(sweep() == ExitCode::kData);
    CHECK(families::read_file(file_system, file, 1 << 20).value() == foreign);
  }
  const std::string twice = cat(all, all);
  REQUIRE(families::write_file(file_system, file, twice).ok());
  CHECK(sweep() == ExitCode::kData);
  CHECK_THAT(err.str(), Contains("is there twice"));
}

TEST_CASE_METHOD(SweepFixture, "sweep: a resumed one finds its scenario from another directory") {
  CHECK(sweep() == ExitCode::kOk);
  arguments.out.clear();
  arguments.resume = (directory / "sweep").string();
  arguments.scenarios.clear();
  std::filesystem::create_directory(directory / "elsewhere");
  const std::string here = environment.directory;
  environment.directory = (directory / "elsewhere").string();
  CHECK(sweep() == ExitCode::kOk);
  CHECK(err.str().find("error:") == std::string::npos);
  // Where the file went along with its user, it is found there.
  std::filesystem::rename(here + "/small.qks.txtpb", environment.directory + "/small.qks.txtpb");
  CHECK(sweep() == ExitCode::kOk);
  environment.directory = here;
  CHECK(sweep() == ExitCode::kNoInput);
}

TEST_CASE_METHOD(SweepFixture, "sweep: records of another build or scenario are not added to") {
  CHECK(sweep() == ExitCode::kOk);
  arguments.out.clear();
  arguments.resume = "sweep";
  arguments.scenarios.clear();
  environment.build = "other";
  CHECK(sweep() == ExitCode::kData);
  CHECK_THAT(err.str(), Contains("build c0ffee12, this is other"));
  environment.build = "c0ffee12";
  std::ofstream(directory.string() + "/small.qks.txtpb", std::ios::app) << "run_for: \"7s\"\n";
  CHECK(sweep() == ExitCode::kData);
  CHECK_THAT(err.str(), Contains("another text of scenario small.qks.txtpb"));
  arguments.resume = "nowhere";
  CHECK(sweep() == ExitCode::kNoInput);
}

TEST_CASE_METHOD(SweepFixture, "sweep: a place that is taken is refused") {
  CHECK(sweep() == ExitCode::kOk);
  CHECK(sweep() == ExitCode::kCannotWrite);
  CHECK_THAT(err.str(), Contains("go on with it by --resume"));
}

TEST_CASE_METHOD(SweepFixture, "sweep: axes, and findings against an earlier sweep") {
  arguments.axes = {"run_for=5s,6s"};
  act = [](uint64_t seed, const sim::RunOptions&, sim::RunResult* result) {
    if (seed == 3) violate(result);
  };
  CHECK(sweep() == ExitCode::kViolated);
  CHECK_THAT(out.str(), Contains("16 of 16 runs"));
  CHECK_THAT(out.str(),
             Contains("  repro     qksim run small.qks.txtpb --seed 0x3 --set run_for=6s\n"));
  act = nullptr;
  arguments.out = "later";
  arguments.against = "sweep";
  CHECK(sweep() == ExitCode::kOk);
  CHECK_THAT(out.str(), Contains("resolved  ora.L1 CUT fault.crash  small run_for=5s\n"));
  act = [](uint64_t seed, const sim::RunOptions&, sim::RunResult* result) {
    if (seed == 5) violate(result);
  };
  arguments.out = "latest";
  arguments.against = "later";
  CHECK(sweep() == ExitCode::kViolated);
  CHECK_THAT(out.str(), Contains("small run_for=5s  1 seed  regressed\n"));
}

TEST_CASE_METHOD(SweepFixture, "sweep: a JUnit report folds what found nothing") {
  arguments.junit = "sweep.xml";
  act = [](uint64_t seed, const sim::RunOptions&, sim::RunResult* result) {
    if (seed == 3) violate(result);
  };
  CHECK(sweep() == ExitCode::kViolated);
  const std::string text =
      families::read_file(file_system, directory.string() + "/sweep.xml", 1 << 20).value();
  CHECK_THAT(text, Contains("<testsuite name=\"sweep small\" tests=\"2\" failures=\"1\" "
                            "errors=\"0\" skipped=\"0\">"));
  CHECK_THAT(text, Contains("name=\"7 seeds without a finding\""));
  CHECK_THAT(text, Contains("<failure type=\"ora.L1\" message=\"ora.L1 CUT fault.crash\">"));
  // An earlier report of its own is replaced, another file is not.
  arguments.out = "again";
  CHECK(sweep() == ExitCode::kViolated);
  std::ofstream(directory.string() + "/sweep.xml") << "<testsuites name=\"another tool's\">";
  arguments.out = "third";
  CHECK(sweep() == ExitCode::kCannotWrite);
}

TEST_CASE_METHOD(SweepFixture, "sweep: where no report can be written is found out before a run") {
  for (const char* junit : {"nowhere/sweep.xml", "small.qks.txtpb/sweep.xml", "."}) {
    INFO(junit);
    arguments.junit = junit;
    CHECK(sweep() == ExitCode::kCannotWrite);
    CHECK_FALSE(exists("sweep"));
  }
}

TEST_CASE_METHOD(SweepFixture, "sweep: a report does not replace what the sweep itself wrote") {
  // Before the sweep nothing lies there, and its directory does.
  std::filesystem::create_directory(directory / "sweep");
  for (const char* name : {"records.jsonl", "report.txt", "sweep.json", "findings.json"}) {
    INFO(name);
    std::filesystem::remove_all(directory / "sweep");
    std::filesystem::create_directory(directory / "sweep");
    arguments.junit = cat("sweep/", name);
    CHECK(sweep() == ExitCode::kCannotWrite);
    CHECK(records().by_job.size() == 8);
    CHECK(exists("sweep/report.txt"));
  }
}

TEST_CASE_METHOD(SweepFixture, "sweep: what it reads and cannot read is missing input") {
  arguments.seeds.clear();
  for (const char* file : {"nowhere", "/dev/null", "."}) {
    INFO(file);
    arguments.seeds_from = file;
    CHECK(sweep() == ExitCode::kNoInput);
  }
  arguments.seeds = {{1, 2}};
  arguments.seeds_from.clear();
  for (const char* against : {"nowhere", "small.qks.txtpb"}) {
    INFO(against);
    arguments.against = against;
    CHECK(sweep() == ExitCode::kNoInput);
  }
  CHECK_FALSE(exists("sweep"));
}

TEST_CASE_METHOD(SweepFixture, "sweep: a probe that no run can reach is a slip, not a result") {
  arguments.sometimes = {"crash/leder"};
  CHECK(sweep() == ExitCode::kUsage);
  CHECK_THAT(err.str(), Contains("did you mean \"crash/leader\"?"));
  CHECK_FALSE(exists("sweep"));
  arguments.sometimes = {"crash/leader"};
  CHECK(sweep() == ExitCode::kOk);
}

TEST_CASE_METHOD(SweepFixture, "sweep: a seed whose process is killed from outside runs again") {
  arguments.jobs = 1;
  const std::string mark = directory.string() + "/killed";
  act = [&](uint64_t seed, const sim::RunOptions&, sim::RunResult*) {
    if (seed != 5 || std::filesystem::exists(mark)) return;
    std::ofstream(mark) << "once";
    ::raise(SIGKILL);
  };
  CHECK(sweep() == ExitCode::kOk);
  CHECK(std::filesystem::exists(mark));
  CHECK(records().by_job.size() == 8);
  // One that is killed each time is a finding.
  act = [](uint64_t seed, const sim::RunOptions&, sim::RunResult*) {
    if (seed == 5) ::raise(SIGKILL);
  };
  arguments.out = "later";
  CHECK(sweep() == ExitCode::kInternal);
  CHECK_THAT(out.str(), Contains("DIED      process ended with signal 9"));
  CHECK_THAT(out.str(), !Contains("DIVERGED"));
}

TEST_CASE_METHOD(SweepFixture, "sweep: merged without some of its shards it shows less") {
  arguments.seeds.clear();
  arguments.time = 50 * sim::kMillisecond;
  arguments.shards = 3;
  for (arguments.shard = 1; arguments.shard <= 3; ++arguments.shard) {
    arguments.out = cat("part", arguments.shard);
    REQUIRE(sweep() == ExitCode::kOk);
  }
  const auto merge = [&](std::vector<std::string> parts, const std::string& to) {
    out.str("");
    SweepMergeArguments merging;
    merging.directories = std::move(parts);
    merging.out = to;
    return sweep_merge(merging, environment);
  };
  CHECK(merge({"part1", "part3"}, "two") == ExitCode::kInconclusive);
  CHECK_THAT(out.str(), Contains("1 of 3 shards are not among what is merged"));
  CHECK(merge({"part2", "part1", "part3"}, "all") == ExitCode::kOk);
}

TEST_CASE_METHOD(SweepFixture, "sweep: only what was kept is listed as kept") {
  act = [](uint64_t seed, const sim::RunOptions&, sim::RunResult* result) {
    if (seed == 3) violate(result);
  };
  // In the way of the directory of failures.
  std::filesystem::create_directory(directory / "sweep");
  const auto keep = [&] { return out.str().find("failures/ora.L1-CUT") != std::string::npos; };
  std::filesystem::remove(directory / "sweep");
  CHECK(sweep() == ExitCode::kViolated);
  CHECK(keep());
  std::filesystem::remove_all(directory / "sweep/failures");
  std::ofstream(directory / "sweep/failures") << "a file";
  arguments.out.clear();
  arguments.resume = "sweep";
  arguments.scenarios.clear();
  sweep();
  CHECK_FALSE(keep());
}

TEST_CASE_METHOD(SweepFixture, "sweep: one line of JSON for each seed, and one for all") {
  arguments.json = true;
  CHECK(sweep() == ExitCode::kOk);
  const std::string text = out.str();
  CHECK(std::count(text.begin(), text.end(), '\n') == 9);
  CHECK_THAT(text, Contains("\"schema\":\"qksim.sweep-summary/1\""));
}

TEST_CASE_METHOD(SweepFixture,
                 "a sweep with feedback makes the same plans whichever job ends first") {
  act = [](uint64_t seed, const sim::RunOptions& options, sim::RunResult* result) {
    CHECK(options.tuples);
    // Ever fewer seeds come to something new.
    result->tuples = {cat("tuple ", seed % 17, " A leader -")};
    if (seed == 190) violate(result);
  };
  arguments.seeds = {{1, 200}};
  arguments.feedback = true;
  std::map<uint64_t, std::vector<uint64_t>> lines[2];
  for (const uint32_t jobs : {1, 3}) {
    arguments.jobs = jobs;
    arguments.out = cat("feedback-", jobs);
    CHECK(sweep() == ExitCode::kViolated);
    auto read = read_sweep(environment, cat(directory.string(), "/feedback-", jobs));
    REQUIRE(read.ok());
    for (const auto& [job, record] : read->by_job) lines[jobs / 2][record.seed] = record.near;
  }
  CHECK(lines[0].size() == 200);
  CHECK(lines[0] == lines[1]);
  size_t near = 0;
  for (const auto& [seed, line] : lines[0]) {
    near += line.empty() ? 0 : 1;
    if (seed <= 65) CHECK(line.empty());  // nothing is settled
    // Only what was settled by then, and was new.
    for (const uint64_t ancestor : line) CHECK(ancestor + 64 < seed);
  }
  CHECK(near > 40);
  CHECK(near < 100);

  arguments.scenarios.clear();
  arguments.resume = "feedback-3";
  CHECK(sweep() == ExitCode::kUsage);
  CHECK_THAT(err.str(), Contains("cannot be resumed"));
}

}  // namespace
}  // namespace qk::cli
