// The command line: what words become, and what is said about words that are wrong.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <sstream>

#include "families/base/strings.h"
#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "tools/qksim/family_argument.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

using Catch::Contains;
using Catch::StartsWith;

Arguments parsed(const std::vector<std::string>& words) {
  const auto result = parse_arguments(words);
  if (const UsageError* error = std::get_if<UsageError>(&result)) FAIL(error->text);
  return std::get<Arguments>(result);
}

std::string refused(const std::vector<std::string>& words) {
  const auto result = parse_arguments(words);
  const UsageError* error = std::get_if<UsageError>(&result);
  return error == nullptr ? "accepted" : error->text;
}

TEST_CASE("run: every option arrives") {
  const auto run = std::get<RunArguments>(parsed({"run",
                                                  "rolling",
                                                  "--seed",
                                                  "0x5EED",
                                                  "--set",
                                                  "a.b=1",
                                                  "--set=c=2",
                                                  "--until",
                                                  "30s",
                                                  "--out",
                                                  "dir",
                                                  "--artifacts",
                                                  "always",
                                                  "--trace",
                                                  "full",
                                                  "--log",
                                                  "short",
                                                  "--keep-going",
                                                  "--check-determinism",
                                                  "--planted",
                                                  "vote-not-synced"})
                                              .command);
  CHECK(run.scenario == "rolling");
  CHECK(run.seed == 0x5eedu);
  CHECK(run.sets == std::vector<std::string>{"a.b=1", "c=2"});
  CHECK(run.until == 30 * sim::kSecond);
  CHECK(run.out == "dir");
  CHECK(run.artifacts == Artifacts::kAlways);
  CHECK(run.trace == sim::TraceLevel::kFull);
  CHECK(run.log == ShortLog::kShort);
  CHECK(run.keep_going);
  CHECK(run.check_determinism);
  CHECK(run.planted == "vote-not-synced");
}

TEST_CASE("selftest: every option") {
  const auto selftest = std::get<SelftestArguments>(
      parsed({"selftest", "--bug", "DW", "--bug", "ora.D1", "--canary-only", "--seeds", "7",
              "--for", "30s", "--jobs", "3", "--form", "hard"})
          .command);
  CHECK(selftest.bugs == std::vector<std::string>{"DW", "ora.D1"});
  CHECK(selftest.canary_only);
  CHECK_FALSE(selftest.list);
  CHECK(selftest.seeds == 7u);
  CHECK(selftest.budget == 30 * sim::kSecond);
  CHECK(selftest.jobs == 3u);
  CHECK(selftest.forms == Forms::kHard);
  CHECK(std::get<SelftestArguments>(parsed({"selftest", "--list"}).command).list);
}

TEST_CASE("run: defaults") {
  const auto run = std::get<RunArguments>(parsed({"run", "--set", "a=1", "rolling"}).command);
  CHECK(run.scenario == "rolling");  // --set takes one word, not all that follow
  CHECK_FALSE(run.seed.has_value());
  CHECK_FALSE(run.random_seed);
  CHECK(run.artifacts == Artifacts::kFail);
  CHECK(run.trace == sim::TraceLevel::kMarks);
  CHECK(run.log == ShortLog::kOff);
  CHECK(run.planted.empty());
  CHECK(std::get<RunArguments>(parsed({"run", "x", "--seed", "random"}).command).random_seed);
}

TEST_CASE("the other verbs") {
  const auto migrate = std::get<MigrateArguments>(
      parsed({"migrate", "sqlite://b", "--group", "g", "--peer", "1.2.3.4:1", "--src-log-uri",
              "local://l", "--src-raft-meta-uri", "local://m", "--src-snapshot-uri", "local://s",
              "--fence-source", "--resume"})
          .command);
  CHECK(migrate.from.empty());
  CHECK(migrate.from_uris.raft_meta_uri == "local://m");
  CHECK(migrate.to == "sqlite://b");
  CHECK(migrate.fence_source);
  CHECK(migrate.resume);
  CHECK(migrate.action == MigrateAction::kMigrate);
  const auto status =
      std::get<MigrateArguments>(parsed({"migrate", "--status", "sqlite://b"}).command);
  CHECK(status.action == MigrateAction::kStatus);
  CHECK(status.to == "sqlite://b");
  const auto exported = std::get<ImageExportArguments>(
      parsed({"image", "export", "--from", "d", "--family", "local", "--group", "g", "--peer",
              "127.0.0.1:1:0:0", "-o", "x.qki"})
          .command);
  CHECK(exported.from == "d");
  CHECK(exported.output == "x.qki");
  const auto imported =
      std::get<ImageImportArguments>(parsed({"image", "import", "x.qki", "--family", "sqlite", "-d",
                                             "e", "--group", "g", "--peer", "p"})
                                         .command);
  CHECK(imported.image == "x.qki");
  CHECK(imported.directory == "e");
  CHECK(std::get<ImageVerifyArguments>(parsed({"image", "verify", "i"}).command).image == "i");
  CHECK(std::get<ImageInspectArguments>(parsed({"image", "inspect", "i"}).command).image == "i");
  CHECK(std::get<FamiliesArguments>(parsed({"families", "list"}).command).show.empty());
  CHECK(std::get<FamiliesArguments>(parsed({"families", "show", "local"}).command).show == "local");
  CHECK(std::get<ScenariosListArguments>(parsed({"scenarios", "list", "--tag", "x"}).command).tag ==
        "x");
  CHECK(std::get<ScenariosValidateArguments>(parsed({"scenarios", "validate", "a", "b"}).command)
            .files.size() == 2);
  const auto conformance = std::get<ConformanceArguments>(
      parsed({"conformance", "all", "--filter", "META/", "--seeds", "0x10", "--junit", "j.xml"})
          .command);
  CHECK(conformance.family == "all");
  CHECK(conformance.filter == "META/");
  CHECK(conformance.seeds == 16);
  CHECK(conformance.junit == "j.xml");
  CHECK_FALSE(conformance.list);
  CHECK(std::get<ConformanceArguments>(parsed({"conformance", "x", "--list"}).command).list);
  const auto generated = std::get<ConformanceArguments>(
      parsed({"conformance", "x", "--generated", "release", "--shard", "2/5", "--resume", "d"})
          .command);
  CHECK(generated.generated == "release");
  CHECK(generated.shard == 2);
  CHECK(generated.shards == 5);
  CHECK(generated.resume == "d");
  const auto contract = std::get<ContractArguments>(
      parsed({"contract", "show", "SB-3", "--family", "a", "--family", "b", "--format", "json"})
          .command);
  CHECK(contract.show == "SB-3");
  CHECK(contract.families == std::vector<std::string>{"a", "b"});
  CHECK(contract.format == TableFormat::kJson);
  CHECK(std::get<ContractArguments>(parsed({"contract", "--missing"}).command).missing);
  CHECK(std::get<ContractArguments>(parsed({"contract", "list"}).command).show.empty());
  CHECK(std::holds_alternative<VersionArguments>(parsed({"version"}).command));
  CHECK(std::holds_alternative<VersionArguments>(parsed({"--version"}).command));
  CHECK(parsed({"--color", "never", "version"}).colour == Colour::kNever);
  CHECK(parsed({"version", "--color=always"}).colour == Colour::kAlways);
}

TEST_CASE("sweep: every option arrives") {
  const auto sweep = std::get<SweepArguments>(parsed({"sweep",
                                                      "a",
                                                      "b",
                                                      "--seeds",
                                                      "5..0x10",
                                                      "--seeds-from",
                                                      "list",
                                                      "--for",
                                                      "10m",
                                                      "--jobs",
                                                      "3",
                                                      "--swarm",
                                                      "--axis",
                                                      "p=1,2",
                                                      "--axis=q=3",
                                                      "--set",
                                                      "x.y=1",
                                                      "--det-ratio",
                                                      "0.25",
                                                      "--max-failures",
                                                      "7",
                                                      "--junit",
                                                      "j.xml",
                                                      "--out",
                                                      "dir",
                                                      "--against",
                                                      "old",
                                                      "--shard",
                                                      "2/8",
                                                      "--seed-limit",
                                                      "5s",
                                                      "--sometimes",
                                                      "crash/leader",
                                                      "--json",
                                                      "--progress",
                                                      "plain",
                                                      "--planted",
                                                      "vote-not-synced"})
                                                  .command);
  CHECK(sweep.scenarios == std::vector<std::string>{"a", "b"});
  REQUIRE(sweep.seeds.size() == 1);
  CHECK(sweep.seeds[0].first == 5);
  CHECK(sweep.seeds[0].last == 16);
  CHECK(sweep.seeds_from == "list");
  CHECK(sweep.time == 600 * sim::kSecond);
  CHECK(sweep.jobs == 3);
  CHECK(sweep.swarm);
  CHECK(sweep.axes == std::vector<std::string>{"p=1,2", "q=3"});
  CHECK(sweep.sets == std::vector<std::string>{"x.y=1"});
  CHECK(sweep.again_ppm == 250'000);
  CHECK(sweep.max_failures == 7);
  CHECK(sweep.junit == "j.xml");
  CHECK(sweep.out == "dir");
  CHECK(sweep.against == "old");
  CHECK(sweep.shard == 2);
  CHECK(sweep.shards == 8);
  CHECK(sweep.seed_limit == 5 * sim::kSecond);
  CHECK(sweep.sometimes == std::vector<std::string>{"crash/leader"});
  CHECK(sweep.json);
  CHECK(sweep.progress == ProgressForm::kPlain);
  CHECK(sweep.planted == "vote-not-synced");
}

TEST_CASE("sweep: defaults, resumption and merging") {
  const auto sweep = std::get<SweepArguments>(parsed({"sweep", "a", "--seeds", "20"}).command);
  CHECK(sweep.seeds[0].first == 1);
  CHECK(sweep.seeds[0].last == 20);
  CHECK(sweep.again_ppm == 50'000);
  CHECK(sweep.max_failures == 5);
  CHECK(sweep.seed_limit == 60 * sim::kSecond);
  CHECK(sweep.jobs == 0);
  const auto resumed = std::get<SweepArguments>(
      parsed({"sweep", "--resume", "dir", "--jobs", "1", "--for", "1s"}).command);
  CHECK(resumed.resume == "dir");
  const auto merge = std::get<SweepMergeArguments>(
      parsed({"sweep", "merge", "one", "two", "--out", "whole"}).command);
  CHECK(merge.directories == std::vector<std::string>{"one", "two"});
  CHECK(merge.out == "whole");
  CHECK(std::get<RunArguments>(parsed({"run", "a", "--swarm"}).command).swarm);
}

TEST_CASE("sweep: bad words") {
  CHECK_THAT(refused({"sweep"}), StartsWith("error: sweep needs one of: SCENARIO, --resume DIR\n"));
  CHECK_THAT(refused({"sweep", "a", "--resume", "b"}), StartsWith("error: sweep needs one of"));
  for (const char* option :
       {"--seeds", "--seeds-from", "--axis", "--set", "--out", "--shard", "--planted"}) {
    CHECK_THAT(refused({"sweep", "--resume", "d", option, "1/1=1"}),
               Contains(option) && !Contains("accepted"));
  }
  CHECK_THAT(refused({"sweep", "--resume", "d", "--swarm"}),
             StartsWith("error: --swarm cannot be given with --resume\n"));
  CHECK_THAT(refused({"sweep", "a", "--seeds", "1..x"}), Contains("\"x\" is not a seed"));
  CHECK_THAT(refused({"sweep", "a", "--det-ratio", "1.01"}), Contains("\"1.01\" is not a share"));
  CHECK_THAT(refused({"sweep", "a", "--shard", "0/2"}),
             Contains("allowed: K/N with K from 1 to N"));
  CHECK_THAT(refused({"sweep", "a", "--shard", "3/2"}),
             Contains("allowed: K/N with K from 1 to N"));
  CHECK_THAT(refused({"sweep", "a", "--shard", "2"}), Contains("allowed: K/N with K from 1 to N"));
  CHECK_THAT(refused({"sweep", "a", "--seed-limit", "0s"}), Contains("--seed-limit: too short"));
  CHECK_THAT(refused({"sweep", "a", "--progress", "plane"}), Contains("did you mean \"plain\"?"));
  CHECK_THAT(refused({"sweep", "a", "--jobs", "-2"}), Contains("\"-2\" is not allowed"));
}

TEST_CASE("a number that is no seed is not called one") {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"replay", "r", "--to", "random"},
           {"explain", "r", "--at", "0x"},
           {"explain", "r", "--radius", "-1"},
           {"explain", "r", "--violation", "99999999999999999999"},
           {"explain", "r", "--when", "--futures", "0"},
           {"explain", "r", "--when", "--moments", "1"},
           {"explain", "r", "--when", "--jobs", "99999"},
           {"selftest", "--seeds", "x"},
           {"selftest", "--jobs", "18446744073709551615"},
           {"conformance", "local", "--seeds", "random"}}) {
    INFO(words[words.size() - 2]);
    CHECK_THAT(refused(words), Contains(words[words.size() - 2] + ": \"" + words.back() +
                                        "\" is not allowed\nhint: allowed: ") &&
                                   !Contains("a seed"));
  }
  CHECK_THAT(refused({"shrink", "a", "--seed", "random"}),
             Contains("\"random\" is not a seed") && !Contains("or \"random\""));
  CHECK_THAT(refused({"run", "a", "--near", "1,x"}), Contains("--near: \"x\""));
  CHECK_THAT(refused({"run", "a", "--near", "1,2,3,4,5,6,7"}), Contains("--near: 7 seeds"));
  CHECK_THAT(refused({"sweep", "a", "--feedback", "--shard", "1/2"}), Contains("with --feedback"));
}

TEST_CASE("explain --when has options of its own") {
  const auto explain =
      std::get<ExplainArguments>(parsed({"explain", "r", "--when", "--futures", "20", "--moments",
                                         "5", "--jobs", "3", "--for", "10s", "--json"})
                                     .command);
  CHECK(explain.when);
  CHECK(explain.futures == 20);
  CHECK(explain.moments == 5);
  CHECK(explain.jobs == 3);
  CHECK(explain.time_limit == 10 * sim::kSecond);
  CHECK(explain.json);
  for (const char* option : {"--violation", "--at", "--radius"}) {
    CHECK_THAT(refused({"explain", "r", "--when", option, "1"}),
               StartsWith(cat("error: ", option, " cannot be given with --when\n")));
  }
  for (const char* option : {"--futures", "--moments", "--jobs", "--for"}) {
    CHECK_THAT(refused({"explain", "r", option, option == std::string_view("--for") ? "2s" : "2"}),
               StartsWith(cat("error: ", option, " cannot be given without --when\n")));
  }
}

TEST_CASE("help") {
  const auto text = [](const std::vector<std::string>& words) {
    return std::get<HelpArguments>(parsed(words).command).text;
  };
  CHECK(text({"help"}).find("scenarios") != std::string::npos);
  CHECK(text({"--help"}).find("scenarios") != std::string::npos);
  CHECK(text({"run", "--help"}).find("--check-determinism") != std::string::npos);
  CHECK(text({"help", "run"}) == text({"run", "-h"}));
  CHECK(text({"help", "run"}).find("planted") == std::string::npos);  // for tests only
  const std::string codes = text({"help", "exit-codes"});
  for (const ExitCodeText& row : kExitCodes) {
    CHECK(codes.find(cat("  ", row.meaning, "\n")) != std::string::npos);
  }
}

TEST_CASE("wrong words: what was found, what is allowed, the nearest") {
  const std::pair<std::vector<std::string>, const char*> kCases[] = {
      {{},
       "error: no command\nhint: commands: run, shrink, sweep, replay, diff, explain, image, "
       "migrate, families, scenarios, "
       "conformance, contract, "
       "selftest, explore, version, help\n"},
      {{"rnu", "x"},
       "error: there is no command \"rnu\"\n"
       "hint: did you mean \"run\"? commands: run, shrink, sweep, replay, diff, explain, image, "
       "migrate, families, scenarios, "
       "conformance, "
       "contract, selftest, explore, version, help\n"},
      {{"image", "exprot"},
       "error: there is no image command \"exprot\"\n"
       "hint: did you mean \"export\"? commands: export, import, inspect, verify\n"},
      {{"run", "x", "--sede", "3"},
       "error: there is no option \"--sede\"\n"
       "hint: did you mean \"--seed\"? options: --help, --seed, --set, --until, --out, "
       "--write-plan, "
       "--artifacts, --trace, --log, --keep-going, --check-determinism, --swarm, --near, --color, "
       "--version\n"},
      {{"run", "x", "--seed", "-1"},
       "error: --seed: \"-1\" is not a seed\n"
       "hint: allowed: 0 to 18446744073709551615, decimal or hexadecimal with 0x, or \"random\"\n"},
      {{"run", "x", "--seed="}, "error: --seed needs a value\nhint: qksim help run\n"},
      {{"run", "x", "--seed=-1"},
       "error: --seed: \"-1\" is not a seed\n"
       "hint: allowed: 0 to 18446744073709551615, decimal or hexadecimal with 0x, or \"random\"\n"},
      {{"run", "x", "--seed", "18446744073709551616"},
       "error: --seed: \"18446744073709551616\" is too large for a seed\n"
       "hint: allowed: 0 to 18446744073709551615, decimal or hexadecimal with 0x, or \"random\"\n"},
      {{"run", "x", "--until", "5"},
       "error: --until: \"5\" is not a duration\n"
       "hint: allowed: a number and ns, us, ms, s, m or h, as in \"250ms\" or \"1.5s\"; at most "
       "1000h\n"},
      {{"run", "x", "--trace", "ful"},
       "error: --trace: \"ful\" is not allowed\n"
       "hint: did you mean \"full\"? allowed: none, marks, full\n"},
      {{"--color", "red", "version"},
       "error: --color: \"red\" is not allowed\nhint: allowed: auto, always, never\n"},
      {{"run"}, "error: SCENARIO is required\nhint: qksim help run\n"},
      {{"migrate", "local://a"},
       "error: migrate: found 1 URIs, expected 2: from where and to where\n"
       "hint: as in qksim migrate local:///srv/g1 sqlite:///srv/g1-sqlite --group G --peer P\n"},
      {{"migrate", "local://a", "sqlite://b", "--peer", "1.2.3.4:1"},
       "error: --group is required\nhint: qksim help migrate\n"},
      {{"migrate", "sqlite://b", "--abort", "--resume"},
       "error: --abort takes the destination alone\nhint: qksim help migrate\n"},
      {{"migrate", "sqlite://b", "--abort", "--status"},
       "error: of --dry-run, --status and --abort more than one is given\n"
       "hint: qksim help migrate\n"},
      {{"help", "exit-code"},
       "error: there is no topic \"exit-code\"\n"
       "hint: did you mean \"exit-codes\"? topics: run, shrink, sweep, replay, diff, explain, "
       "image, migrate, families, scenarios, "
       "conformance, "
       "contract, selftest, explore, version, help, "
       "exit-codes\n"},
  };
  for (const auto& [words, expected] : kCases) {
    CHECK(refused(words) == expected);
  }
  // An unset shell variable is not an option that was left out.
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"run", "x", "--until", ""},
                                             {"sweep", "x", "--jobs", ""},
                                             {"explain", "x", "--at", ""}}) {
    CHECK_THAT(refused(words), Contains("expected a value, found \"\""));
  }
  // Whatever else CLI11 says, it is an error and not an exception or a run.
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"run", "x", "y"},
                                             {"run", "x", "--seed"},
                                             {"image"},
                                             {"image", "verify"},
                                             {"run", "x", "--set"},
                                             {"version", "x"},
                                             {"run", "x", "--seed", "1", "--seed", "2"}}) {
    CHECK(refused(words).starts_with("error: "));
  }
}

TEST_CASE("colour: the option, NO_COLOR, CLICOLOR_FORCE, the terminal, in this order") {
  CHECK(use_colour(Colour::kAlways, {"1", "", "", false}));
  CHECK_FALSE(use_colour(Colour::kNever, {"", "1", "xterm", true}));
  CHECK_FALSE(use_colour(Colour::kAuto, {"1", "1", "xterm", true}));
  CHECK(use_colour(Colour::kAuto, {"", "1", "dumb", false}));
  CHECK(use_colour(Colour::kAuto, {"", "", "xterm", true}));
  CHECK_FALSE(use_colour(Colour::kAuto, {"", "", "dumb", true}));
  CHECK_FALSE(use_colour(Colour::kAuto, {"", "", "xterm", false}));
}

TEST_CASE("the worst exit code wins, in the order 70, 3, 1, 2, 0") {
  CHECK(worst(ExitCode::kDiverged, ExitCode::kInternal) == ExitCode::kInternal);
  CHECK(worst(ExitCode::kDiverged, ExitCode::kViolated) == ExitCode::kDiverged);
  CHECK(worst(ExitCode::kViolated, ExitCode::kCannotWrite) == ExitCode::kViolated);
  CHECK(worst(ExitCode::kInconclusive, ExitCode::kData) == ExitCode::kData);
  CHECK(worst(ExitCode::kInconclusive, ExitCode::kOk) == ExitCode::kInconclusive);
  CHECK(worst(ExitCode::kOk, ExitCode::kOk) == ExitCode::kOk);
}

TEST_CASE("paths are normalised, and resolved as the kernel does") {
  families::TempDirectory temporary;
  families::PosixFileSystem fs;
  const std::string top = temporary.path();
  REQUIRE(families::make_directories(fs, top + "/a/b").ok());
  REQUIRE(families::make_directories(fs, top + "/far/away").ok());
  REQUIRE(::symlink("../../far/away", (top + "/a/b/link").c_str()) == 0);
  Environment environment;
  environment.fs = &fs;
  environment.directory = top + "/a/b";
  CHECK(absolute_path(environment, "c") == top + "/a/b/c");
  CHECK(absolute_path(environment, "./../c//d/") == top + "/a/c/d");
  CHECK(absolute_path(environment, "/x/./y") == "/x/y");
  CHECK(absolute_path(environment, "/../..") == "/");
  CHECK(absolute_path(environment, ".") == top + "/a/b");
  CHECK(absolute_path(environment, "..x/...") == top + "/a/b/..x/...");
  // The parent of what the link leads to, not of the link.
  CHECK(absolute_path(environment, "link/../db") == top + "/far/db");
  CHECK(absolute_path(environment, "link/db") == top + "/a/b/link/db");
  // The kernel finds nothing there either.
  CHECK_FALSE(fs.stat(absolute_path(environment, "missing/../link")).ok());
}

struct Fixture {
  Fixture() {
    families::FamilyDescriptor local;
    local.name = "local";
    local.format_version = "1";
    local.options = {families::size_option("segment_size", 8 << 20, 1, 1 << 30)};
    local.root_names = {"log", "raft_meta", "snapshot"};
    local.partials = [](families::Operation) { return families::Partial::kNone; };
    local.open = [](const families::OpenRequest&) {
      return absl::UnimplementedError("no such thing in this test");
    };
    registry.add(local);
    environment.out = &out;
    environment.err = &err;
    environment.fs = &fs;
    environment.registry = &registry;
    environment.simulated = &registry;
    environment.directory = QK_SOURCE_DIR;
  }

  families::PosixFileSystem fs;
  families::Registry registry;
  std::ostringstream out;
  std::ostringstream err;
  Environment environment;
};

TEST_CASE_METHOD(Fixture, "families list and show") {
  CHECK(families_command({""}, environment) == ExitCode::kOk);
  CHECK(out.str() == "local      format 1        durable\n");
  out.str("");
  CHECK(families_command({"local"}, environment) == ExitCode::kOk);
  CHECK(out.str() ==
        "family   local\nformat   1\nstorage  durable\nroot     log, raft_meta, snapshot\n"
        "option   segment_size         default 8MiB, allowed: 1B..1GiB\n");
}

TEST_CASE_METHOD(Fixture, "a family that is unknown, and one that is not in this build") {
  CHECK(families_command({"lokal"}, environment) == ExitCode::kUsage);
  CHECK(err.str() ==
        "error: unknown storage family \"lokal\" (families show)\n"
        "  built in: local     known but not in this build: leveldb, memory, rocksdb, sqlite\n"
        "hint: did you mean \"local\"?\n");
  err.str("");
  CHECK(families_command({"rocksdb"}, environment) == ExitCode::kUnavailable);
  CHECK(err.str() ==
        "error: storage family \"rocksdb\" (families show) is not in this build\n"
        "  built in: local     known but not in this build: leveldb, memory, rocksdb, sqlite\n");
}

TEST_CASE_METHOD(Fixture, "scenarios list, show, validate") {
  CHECK(scenarios_list({""}, environment) == ExitCode::kOk);
  CHECK(out.str().find("rolling-local-to-sqlite  Rolling migration") != std::string::npos);
  out.str("");
  CHECK(scenarios_list({"no such tag"}, environment) == ExitCode::kOk);
  CHECK(out.str().empty());
  CHECK(scenarios_show({"rolling-local-to-sqlite"}, environment) == ExitCode::kOk);
  CHECK(out.str().find("name: \"rolling-local-to-sqlite\"") != std::string::npos);
  CHECK(scenarios_show({"nothing"}, environment) == ExitCode::kNoInput);

  err.str("");
  const std::string bad = "scenarios/testdata/unknown-field.bad.qks.txtpb";
  CHECK(scenarios_validate({{bad}}, environment) == ExitCode::kData);
  CHECK(err.str().starts_with(
      cat(bad, ":4:24: error: sqlite store has no field \"synchronus\"\n    4 | ")));
  // A path with ".." reaches the same file, and messages name what was given.
  err.str("");
  CHECK(scenarios_validate({{"image/../" + bad}}, environment) == ExitCode::kData);
  CHECK(err.str().starts_with(cat("image/../", bad, ":4:24: error: ")));
  CHECK(scenarios_validate({{bad, "nothing"}}, environment) == ExitCode::kNoInput);
  // sqlite is not in this registry.
  CHECK(scenarios_validate({{"rolling-local-to-sqlite"}}, environment) == ExitCode::kUnavailable);
}

}  // namespace
}  // namespace qk::cli
