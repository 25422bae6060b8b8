// conformance and contract as a user meets them: output, exit codes, and the evidence between them.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "conformance/groups.h"
#include "conformance/mutants.h"
#include "families/base/failure_scope.h"
#include "families/base/strings.h"
#include "families/builtin.h"
#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "tools/qksim/conformance_evidence.h"
#include "tools/qksim/conformance_junit.h"
#include "tools/qksim/conformance_verbs.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

using Catch::Contains;
using sim::conformance::CaseEvidence;
using sim::conformance::Evidence;
using sim::conformance::Verdict;

struct Fixture {
  Fixture() {
    environment.out = &out;
    environment.err = &err;
    environment.fs = &fs;
    environment.registry = &registry;
    environment.directory = directory.path();
    environment.build = "b1";
    environment.suite = {conformance_command, contract_command};
    environment.lose_memory = [this] { memory.lose(); };
  }

  // The whole output of the verb, which must end with `code`.
  std::string run(const std::vector<std::string>& words, ExitCode code) {
    out.str("");
    err.str("");
    const ExitCode found = dispatch(words, environment);
    INFO(out.str() << err.str());
    CHECK(to_int(found) == to_int(code));
    return out.str();
  }
  void leave(const Evidence& evidence) { REQUIRE(save_evidence(evidence, environment).ok()); }

  // Every case of every check passed; and so that no requirement is without one, one more of each.
  Evidence complete() const {
    Evidence evidence;
    evidence.build = environment.build;
    auto& check = evidence.checks["G/all"];
    for (const auto& requirement : sim::conformance::requirements()) {
      check.requirements.push_back(requirement.id);
    }
    for (const families::FamilyDescriptor& family : registry.all()) {
      check.cases[cat("G/all/", family.name)] = {Verdict::kPassed, 1, 0, "", {family.name}};
    }
    const auto checks = sim::conformance::all_checks();
    sim::conformance::RunOptions options;
    options.disks = {sim::conformance::DiskKind::kSimulated};
    for (const auto& one : sim::conformance::select_cases(checks, registry, options)) {
      auto& of_check = evidence.checks[cat(one.check->group, "/", one.check->name)];
      of_check.requirements = one.check->requirements;
      std::vector<std::string> names = {one.family->name};
      if (one.is_pair() && one.partner != one.family) names.push_back(one.partner->name);
      of_check.cases[one.id()] = {Verdict::kPassed, 1, 0, "", names};
    }
    return evidence;
  }

  families::TempDirectory directory;
  families::PosixFileSystem fs;
  families::VolatileMemory memory{1};
  families::Registry registry = families::builtin_families(&memory);
  std::string first = registry.all().front().name;
  std::ostringstream out;
  std::ostringstream err;
  Environment environment;
};

TEST_CASE_METHOD(Fixture, "conformance runs what the filter finds and leaves evidence") {
  const std::string text = run({"conformance", first, "--filter", "META/save_vote/.*/sim$",
                                "--seeds", "2", "--junit", "report.xml"},
                               ExitCode::kOk);
  CHECK_THAT(text, Contains("META      4/4\n"));
  CHECK_THAT(text, Contains("PASS  4 cases passed, 0 failed, 0 do not apply; seeds 1..2"));
  const auto evidence = load_evidence(environment);
  REQUIRE(evidence.ok());
  REQUIRE(evidence->has_value());
  CHECK((*evidence)->build == "b1");
  CHECK((*evidence)->checks.at("META/save_vote").cases.size() == 4);
  const auto junit = families::read_file(fs, directory.path() + "/report.xml", 1 << 20);
  REQUIRE(junit.ok());
  CHECK_THAT(*junit, Contains(cat("<testsuite name=\"conformance ", first,
                                  "\" tests=\"4\" failures=\"0\" errors=\"0\" skipped=\"0\">")));
  CHECK_THAT(*junit, Contains("<property name=\"requirement\" value=\"SB-18\"/>"));
  // Another check adds to it; another build replaces it.
  run({"conformance", first, "--filter", "META/term_up/.*/plain/sim$"}, ExitCode::kOk);
  CHECK((*load_evidence(environment))->checks.size() == 2);
  environment.build = "b2";
  run({"conformance", first, "--filter", "META/term_up/.*/plain/sim$"}, ExitCode::kOk);
  CHECK((*load_evidence(environment))->checks.size() == 1);
}

TEST_CASE_METHOD(Fixture, "conformance overwrites no file that it was not asked to write") {
  const std::string evidence = families::join_path(directory.path(), kEvidenceFile);
  REQUIRE(families::make_directories(fs, families::parent_path(evidence)).ok());
  const std::vector<std::string> mine = {cat(directory.path(), "/r.xml.tmp"),
                                         cat(evidence, ".tmp")};
  for (const std::string& path : mine) REQUIRE(families::write_file(fs, path, "mine").ok());
  const std::vector<std::string> words = {
      "conformance", first, "--filter", "META/save_vote/.*/plain/sim$", "--junit", "r.xml"};
  // Neither another program's file nor a link.
  const std::string junit = directory.path() + "/r.xml";
  REQUIRE(families::write_file(fs, junit, "<testsuites name=\"another tool's\">").ok());
  run(words, ExitCode::kCannotWrite);
  CHECK_THAT(err.str(), Contains("/r.xml is not a file that qksim wrote here"));
  CHECK_THAT(families::read_file(fs, junit, 100).value(), Contains("another tool's"));
  REQUIRE(fs.unlink(junit).ok());
  REQUIRE(::symlink("nowhere", junit.c_str()) == 0);
  run(words, ExitCode::kCannotWrite);
  CHECK_THAT(err.str(), Contains("/r.xml is not a regular file"));
  REQUIRE(fs.unlink(junit).ok());
  // A report of ours gives way to the next one.
  run(words, ExitCode::kOk);
  run(words, ExitCode::kOk);
  for (const std::string& path : mine) CHECK(families::read_file(fs, path, 100).value() == "mine");
  CHECK_THAT(families::read_file(fs, directory.path() + "/r.xml", 1 << 20).value(),
             Contains("<testsuite"));
  CHECK(fs.list(directory.path()).value() ==
        std::vector<std::string>{".qksim", "r.xml", "r.xml.tmp"});
}

TEST_CASE_METHOD(Fixture, "conformance: real disks on demand, and in the repro line") {
  const std::vector<std::string> words = {"conformance", first, "--filter",
                                          "META/save_vote/.*/plain/"};
  const auto with = [&](const std::string& disk) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"--disk", disk});
    return run(all, ExitCode::kOk);
  };
  CHECK_THAT(run(words, ExitCode::kOk), Contains("PASS  1 cases passed") && Contains("disk sim"));
  CHECK((*load_evidence(environment))->checks.at("META/save_vote").cases.size() == 1);
  CHECK_THAT(with("real"), Contains("PASS  1 cases passed") && Contains("disk real"));
  CHECK_THAT(with("both"), Contains("PASS  2 cases passed") && Contains("disk both"));
  run({"conformance", first, "--disk", "reel"}, ExitCode::kUsage);
  CHECK(sim::conformance::repro_command("A/b/c/plain/real", {"c"}, 1) ==
        "qksim conformance c --filter '^A/b/c/plain/real$' --disk real");
}

TEST_CASE_METHOD(Fixture, "conformance says how far it has come") {
  int64_t now_ms = 0;
  environment.wall_ms = [&] { return now_ms += 2000; };
  run({"conformance", first, "--filter", "META/save_vote/"}, ExitCode::kOk);
  CHECK_THAT(err.str(), Contains(cat(" of 4: META/save_vote/", first, "/")));
}

TEST_CASE_METHOD(Fixture, "conformance: a bug of our own names its case and ends with 70") {
  std::vector<ExitCode> exits;
  environment.exit_now = [&](ExitCode code) { exits.push_back(code); };
  families::Registry broken;
  families::FamilyDescriptor family = registry.all().front();
  family.open =
      [](const families::OpenRequest&) -> absl::StatusOr<std::unique_ptr<families::Family>> {
    FailureScope::failed("x.cc:1: check failed: planted");
    return absl::DataLossError("after it");
  };
  broken.add(family);
  environment.registry = &broken;
  run({"conformance", first, "--filter", "META/save_vote/.*/plain/"}, ExitCode::kViolated);
  CHECK(exits == std::vector<ExitCode>{ExitCode::kInternal});
  CHECK_THAT(out.str(), Contains(cat("ERROR META/save_vote/", first,
                                     "/plain/sim  seed 1\n"
                                     "  x.cc:1: check failed: planted\n"
                                     "  repro         qksim conformance ",
                                     first)));
}

TEST_CASE_METHOD(Fixture, "conformance: what is refused, and what proves nothing") {
  run({"conformance", "lokal"}, ExitCode::kUsage);
  run({"conformance", first, "--filter", "("}, ExitCode::kUsage);
  CHECK_THAT(err.str(), Contains("\"(\" is not a regular expression"));
  run({"conformance", first, "--seeds", "0"}, ExitCode::kUsage);
  CHECK_THAT(run({"conformance", first, "--filter", "no such check"}, ExitCode::kInconclusive),
             Contains("?  0 cases passed"));
  CHECK_THAT(err.str(), Contains("no case matches --filter"));
  CHECK_THAT(run({"conformance", "all", "--list", "--filter", "META/"}, ExitCode::kOk),
             Contains("META/save_vote") && Contains("SB-18, SB-32") && !Contains("BASIC/"));
}

TEST_CASE_METHOD(Fixture, "conformance: a failure is printed with its repro line") {
  // A family that forgets its vote.
  families::Registry broken;
  families::FamilyDescriptor family = registry.all().front();
  family.open = [](const families::OpenRequest&) {
    return absl::StatusOr<std::unique_ptr<families::Family>>(absl::DataLossError("gone & lost"));
  };
  broken.add(family);
  environment.registry = &broken;
  const std::string text =
      run({"conformance", first, "--filter", "META/save_vote/.*/plain/sim", "--junit", "j.xml"},
          ExitCode::kViolated);
  CHECK_THAT(text, Contains(cat("FAIL  META/save_vote/", first, "/plain/sim  seed 1\n")));
  CHECK_THAT(text, Contains("create: found DATA_LOSS: gone & lost, expected OK\n"));
  CHECK_THAT(text, Contains("requirements  SB-18, SB-32\n"));
  CHECK_THAT(text, Contains(cat("repro         qksim conformance ", first,
                                " --filter '^META/save_vote/", first, "/plain/sim$'\n")));
  CHECK_THAT(text, Contains("META      0/1 !\n"));
  CHECK_THAT(*families::read_file(fs, directory.path() + "/j.xml", 1 << 20),
             Contains("<failure type=\"conformance\" message=\"create: found DATA_LOSS: gone &amp; "
                      "lost, expected OK\">"));
  // The contract says so too.
  CHECK_THAT(run({"contract", "show", "SB-18"}, ExitCode::kViolated),
             Contains("FAIL META/save_vote/") && Contains("repro  qksim conformance "));
  CHECK_THAT(run({"contract"}, ExitCode::kViolated), Contains("0/1 !"));
}

TEST_CASE_METHOD(Fixture, "contract: every id is printed, with evidence or without") {
  const std::string none = run({"contract", "list"}, ExitCode::kInconclusive);
  CHECK_THAT(err.str(), Contains("no evidence yet"));
  for (const char* id : {"SB-1 ", "SB-43", "CI-30", "CI-X1", "EV-30", "RM-34", "WC-23", "BC-11"}) {
    CHECK_THAT(none, Contains(cat("\n", id)));
  }
  // Nothing was run; that is told from what nothing tests.
  CHECK_THAT(none, Contains("\nSB-18   M      not run     ") && Contains(" without a test\n"));

  leave(complete());
  const std::string all = run({"contract"}, ExitCode::kOk);
  CHECK_THAT(all, !Contains("not run "));
  CHECK_THAT(all, Contains(" M rows of SB, CI, EV and BC hold for every judged family; 0 failed, 0 "
                           "partly run, 0 not run, 0 without a test"));
  CHECK_THAT(run({"contract", "--missing"}, ExitCode::kOk), !Contains("SB-1"));

  // The same evidence from another build proves nothing about this one.
  environment.build = "b2";
  run({"contract"}, ExitCode::kInconclusive);
  CHECK_THAT(err.str(), Contains("the evidence is of build b1, this is b2"));
}

TEST_CASE_METHOD(Fixture, "contract: one M row without evidence is enough for exit 2") {
  Evidence evidence = complete();
  for (auto& [name, check] : evidence.checks) std::erase(check.requirements, "SB-18");
  leave(evidence);
  const std::string text = run({"contract", "--missing"}, ExitCode::kInconclusive);
  CHECK_THAT(text, Contains("\nSB-18 ") && !Contains("\nSB-17 "));
  CHECK_THAT(text, Contains("0 failed, 0 partly run, 1 not run, 0 without a test"));
  CHECK_THAT(run({"contract", "show", "SB-18"}, ExitCode::kInconclusive),
             Contains("no evidence: not run: ") && Contains("META/save_vote"));
  run({"contract", "show", "SB-17"}, ExitCode::kOk);
}

TEST_CASE_METHOD(Fixture, "contract: a family that was not run does not hold") {
  Evidence evidence = complete();
  for (auto& [name, check] : evidence.checks) {
    std::erase_if(check.cases, [&](const auto& one) {
      return one.second.families == std::vector<std::string>{registry.all().back().name};
    });
  }
  leave(evidence);
  run({"contract"}, ExitCode::kInconclusive);
  run({"contract", "--family", first}, ExitCode::kOk);
  run({"contract", "--family", registry.all().back().name}, ExitCode::kInconclusive);
  run({"contract", "--family", "lokal"}, ExitCode::kUsage);
}

TEST_CASE_METHOD(Fixture, "contract: a row of which some cases did not run does not hold") {
  Evidence evidence = complete();
  auto& cases = evidence.checks.at("META/save_vote").cases;
  const size_t all = cases.size();
  std::erase_if(cases,
                [&](const auto& one) { return one.first.find("/plain/") != std::string::npos; });
  REQUIRE((!cases.empty() && cases.size() < all));
  leave(evidence);
  const std::string text = run({"contract", "--missing"}, ExitCode::kInconclusive);
  CHECK_THAT(text, Contains("\nSB-18 ") && !Contains("\nSB-17 "));
  CHECK_THAT(text, Contains(" partly run, 0 not run, 0 without a test"));
  CHECK_THAT(run({"contract", "show", "SB-18"}, ExitCode::kInconclusive),
             Contains(cat("  ", first, ": partly: ")) && Contains(" cases ran, none failed\n"));
  const auto json =
      nlohmann::json::parse(run({"contract", "--format", "json"}, ExitCode::kInconclusive));
  for (const auto& row : json["requirements"]) {
    if (row["id"] != "SB-18") continue;
    CHECK_THAT(row["standing"].get<std::string>(), Contains("partly: "));
  }
  // What was run alone says nothing of the rest.
  REQUIRE(fs.unlink(families::join_path(directory.path(), kEvidenceFile)).ok());
  run({"conformance", first, "--filter", "META/save_vote/.*/plain/sim"}, ExitCode::kOk);
  CHECK_THAT(run({"contract", "--family", first}, ExitCode::kInconclusive),
             Contains("\nSB-18 ") && Contains("1 of "));
}

TEST_CASE_METHOD(Fixture, "contract: json, markdown, unknown ids, damaged evidence") {
  leave(complete());
  const auto json = nlohmann::json::parse(run({"contract", "--format", "json"}, ExitCode::kOk));
  CHECK(json["schema"] == "qksim.contract/1");
  CHECK(json["requirements"].size() == sim::conformance::requirements().size());
  CHECK(json["requirements"][0]["id"] == "SB-1");
  CHECK_THAT(json["requirements"][0]["families"][first].get<std::string>(), Contains("/"));
  CHECK_THAT(run({"contract", "--format", "markdown"}, ExitCode::kOk), Contains("| SB-3 | M | "));
  run({"contract", "show", "SB-99"}, ExitCode::kUsage);
  CHECK_THAT(err.str(), Contains("there is no requirement \"SB-99\""));
  const std::string path = absolute_path(environment, std::string(kEvidenceFile));
  REQUIRE(families::write_file(fs, path, "{").ok());
  run({"contract"}, ExitCode::kData);
  CHECK_THAT(err.str(), Contains(".qksim/conformance.json: "));
  REQUIRE(fs.unlink(path).ok());
  REQUIRE(families::make_directories(fs, path).ok());
  run({"contract"}, ExitCode::kNoInput);
}

TEST_CASE_METHOD(Fixture, "contract: each row says which mutant its check fails for") {
  leave(complete());
  const auto json = nlohmann::json::parse(run({"contract", "--format", "json"}, ExitCode::kOk));
  uint64_t with = 0;
  for (const auto& row : json["requirements"]) {
    const sim::conformance::Kill* kill = sim::conformance::kill_of(row["id"].get<std::string>());
    INFO(row.dump());
    CHECK(row["mutant"].is_null() == (kill == nullptr));
    if (kill == nullptr) continue;
    ++with;
    CHECK(row["mutant"]["name"] == std::string(kill->mutant));
    CHECK(row["mutant"]["fails"] == std::string(kill->check));
  }
  CHECK(with >= 80);
  const std::string table = run({"contract"}, ExitCode::kOk);
  CHECK_THAT(table, Contains("export-without-vote, EXPORT/term_and_vote"));
  CHECK_THAT(table, Contains("no mutant"));
  CHECK_THAT(table, Contains(" M rows that a check cites name a mutant"));
  CHECK_THAT(run({"contract", "show", "SB-18"}, ExitCode::kOk),
             Contains("  mutant  export-without-vote: an image has the term without its vote\n"
                      "          fails EXPORT/term_and_vote\n"));
  CHECK_THAT(run({"contract", "show", "SB-1"}, ExitCode::kOk), Contains("  no mutant\n"));
}

TEST_CASE_METHOD(Fixture, "conformance replaces no evidence that it cannot read") {
  const std::string path = absolute_path(environment, std::string(kEvidenceFile));
  const std::vector<std::string> words = {"conformance", first, "--filter",
                                          "META/save_vote/.*/plain/sim"};
  leave(complete());
  const std::string good = families::read_file(fs, path, 1 << 20).value();
  std::string newer = good;
  newer.replace(newer.find("qksim.conformance/1"), 19, "qksim.conformance/2");
  for (const std::string& bytes : {std::string("{"), std::string(), std::string("mine"),
                                   good.substr(0, good.size() / 2), newer}) {
    REQUIRE(families::write_file(fs, path, bytes).ok());
    CHECK(run(words, ExitCode::kCannotWrite) == "");  // before anything runs
    CHECK_THAT(err.str(), Contains(std::string(kEvidenceFile)) && Contains("not replaced") &&
                              Contains("move it away"));
    CHECK(families::read_file(fs, path, 1 << 20).value() == bytes);
  }
  CHECK_THAT(err.str(), Contains("schema \"qksim.conformance/2\""));
  REQUIRE(fs.unlink(path).ok());
  REQUIRE(::symlink("elsewhere", path.c_str()) == 0);
  run(words, ExitCode::kCannotWrite);
  CHECK_THAT(err.str(), Contains("conformance.json is not a regular file"));
  REQUIRE(fs.unlink(path).ok());
  run(words, ExitCode::kOk);
  CHECK(load_evidence(environment).value().has_value());
}

TEST_CASE_METHOD(Fixture, "conformance --generated: a case alone, and all names") {
  const std::string one =
      run({"conformance", "local", "--generated", "commit", "--filter",
           "^GEN/local/small/1:1.t1p.s0/save:t2q/(step|crash-change-1/P2-nothing-survives)$"},
          ExitCode::kOk);
  CHECK_THAT(one, Contains("graph of commit: 180 states, ") &&
                      Contains("local/small        1 crashes, 1 steps\n") &&
                      Contains("PASS  2 cases, 0 failed; shard 1/1, build b1\n"));
  CHECK_THAT(run({"conformance", "local", "--generated", "commit", "--list"}, ExitCode::kOk),
             Contains("\nlocal/small/walk-0\n") && Contains("\nlocal/small/1:12.t2p.s1\n") &&
                 Contains("\nsqlite-local/primary/images\n") && !Contains("\nsqlite/small/"));
  CHECK_THAT(run({"conformance", "local", "--generated", "commit", "--filter", "^GEN/none/"},
                 ExitCode::kInconclusive),
             Contains("?  0 cases"));
  run({"conformance", "local", "--generated", "nightly"}, ExitCode::kUsage);
  CHECK_THAT(err.str(), Contains("--generated: \"nightly\" is not allowed") && Contains("commit") &&
                            Contains("release"));
  run({"conformance", "local", "--generated", "commit", "--seeds", "2"}, ExitCode::kUsage);
  CHECK_THAT(err.str(), Contains("--seeds cannot be given with --generated"));
  run({"conformance", "local", "--shard", "1/2"}, ExitCode::kUsage);
  CHECK_THAT(err.str(), Contains("--shard cannot be given without --generated"));
}

TEST_CASE_METHOD(Fixture, "conformance --generated: what is done is not done again") {
  const auto words = [](const std::string& shard, const std::string& directory) {
    return std::vector<std::string>{
        "conformance", "memory", "--generated", "commit", "--filter", "^GEN/memory/usual/.*/step$",
        "--shard",     shard,    "--resume",    directory};
  };
  const std::string whole = run(words("1/10", "whole"), ExitCode::kOk);
  CHECK_THAT(whole, !Contains("done before"));
  const std::string again = run(words("1/10", "whole"), ExitCode::kOk);
  CHECK_THAT(again, Contains(" units of it done before"));
  const std::string cases =
      whole.substr(whole.find("PASS"), whole.find(" cases") - whole.find("PASS"));
  CHECK_THAT(again, Contains(cases));

  // A writer that was stopped inside a line, some units earlier.
  const std::string path = directory.path() + "/whole/units.jsonl";
  const std::string all = families::read_file(fs, path, 1 << 26).value();
  REQUIRE(families::write_file(fs, path, all.substr(0, all.size() / 2)).ok());
  CHECK_THAT(run(words("1/10", "whole"), ExitCode::kOk), Contains(cases));
  CHECK(families::read_file(fs, path, 1 << 26).value() == all);

  // Another run's, and one that cannot be read.
  run(words("2/10", "whole"), ExitCode::kCannotWrite);
  CHECK_THAT(err.str(), Contains("--resume: ") && Contains("units.jsonl: line 1: found "));
  CHECK(families::read_file(fs, path, 1 << 26).value() == all);
  REQUIRE(families::write_file(fs, path, all.substr(0, all.find('\n') + 1) + "{}\n").ok());
  run(words("1/10", "whole"), ExitCode::kCannotWrite);
  CHECK_THAT(err.str(), Contains("line 2: not a unit's result"));
}

TEST_CASE_METHOD(Fixture, "conformance --generated: a failure is printed, kept and repeated") {
  families::Registry broken;
  families::FamilyDescriptor family = **registry.get("local");
  family.open = [open = family.open](const families::OpenRequest& request) {
    if (!request.create) {
      return absl::StatusOr<std::unique_ptr<families::Family>>(absl::DataLossError("gone"));
    }
    return open(request);
  };
  broken.add(family);
  environment.registry = &broken;
  const std::vector<std::string> words = {"conformance", "local",    "--generated",
                                          "commit",      "--filter", "^GEN/local/small/1:-.t1-.s0/",
                                          "--resume",    "kept"};
  const std::string text = run(words, ExitCode::kViolated);
  CHECK_THAT(text, Contains("FAIL  GEN/local/small/1:-.t1-.s0/") && Contains("DATA_LOSS: gone") &&
                       Contains("repro         qksim conformance local --generated commit --filter "
                                "'^GEN/local/small/1:-.t1-.s0/"));
  // What failed before still fails the run.
  CHECK_THAT(run(words, ExitCode::kViolated),
             Contains("DATA_LOSS: gone") && Contains("done before"));
}

TEST_CASE("XML has no place for some characters") {
  CHECK(xml_escaped("a<b>&\"c\"\n\x01") == "a&lt;b&gt;&amp;&quot;c&quot;\n?");
}

}  // namespace
}  // namespace qk::cli
