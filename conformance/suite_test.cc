// The suite is tested by what it must reject. A mutant is a real family with one small lie about
// the contract; each one must fail at least one check that cites the requirement it breaks, and
// without a lie the same wrapper must pass. Also: evidence survives its file, and the list of
// results is the same every time.
#include <catch2/catch.hpp>
#include <set>

#include "conformance/evidence.h"
#include "conformance/groups.h"
#include "conformance/runner.h"
#include "families/builtin.h"
#include "families/contract/family_wrapper.h"

namespace qk::sim::conformance {
namespace {

using families::Family;
using families::FamilyDescriptor;
using families::HardState;
using families::LogEntry;
using families::LogStorage;
using families::MetaStorage;
using families::Outcome;
using families::SnapshotMeta;
using families::SnapshotReader;
using families::SnapshotStorage;
using families::SnapshotWriter;

struct Built {
  families::VolatileMemory memory{1};
  families::Registry registry = families::builtin_families(&memory);
};

enum class Lie : uint8_t {
  kNone,
  kLastOfBatchDropped,    // append says ok and keeps all but the last entry
  kPayloadTruncated,      // payloads end at 512 bytes
  kTypeForgotten,         // every entry is data
  kGapAccepted,           // a bad append is ok and does nothing
  kReadBeyondLast,        // entry(last + 1) is an empty entry
  kScanShort,             // a scan leaves out its last entry
  kSuffixKeepsOneMore,    // truncate_suffix(n) keeps n + 1
  kPrefixBeyondIgnored,   // truncate_prefix beyond the end stops at the end
  kResetKeepsFirst,       // reset only empties the log
  kRefusesTwice,          // truncate_suffix at the end is refused
  kVoteNotSaved,          // save keeps the term alone
  kVoteChangesInTerm,     // a second vote in a term is ok and ignored
  kOldPeersForgotten,     // of the snapshot's meta
  kFileMetaForgotten,     // of every snapshot file
  kNestedFileForgotten,   // files in directories are not listed
  kPublishAgainCounts,    // already published, but counted as one
  kReadsOldSnapshotMeta,  // current() says one index less
};

class LyingLog final : public families::LogWrapper {
 public:
  LyingLog(LogStorage* inner, Lie lie) : LogWrapper(inner), lie_(lie) {}

  absl::StatusOr<LogEntry> entry(int64_t index) override {
    if (lie_ == Lie::kReadBeyondLast && index == last_index() + 1)
      return qk::sim::conformance::entry(index);
    return inner().entry(index);
  }
  absl::Status scan(int64_t from, int64_t to, const Visitor& visit) override {
    if (lie_ == Lie::kScanShort && from < to) --to;
    return inner().scan(from, to, visit);
  }
  Outcome append(std::span<const LogEntry> entries) override {
    std::vector<LogEntry> kept(entries.begin(), entries.end());
    if (lie_ == Lie::kGapAccepted && !kept.empty() && kept[0].index != last_index() + 1) {
      return Outcome::success(static_cast<int64_t>(kept.size()));
    }
    for (LogEntry& one : kept) {
      if (lie_ == Lie::kPayloadTruncated && one.payload.size() > 512) one.payload.resize(512);
      if (lie_ == Lie::kTypeForgotten) one.type = families::EntryType::kData;
    }
    if (lie_ == Lie::kLastOfBatchDropped && kept.size() > 1) kept.pop_back();
    const Outcome outcome = inner().append(kept);
    return outcome.ok() ? Outcome::success(static_cast<int64_t>(entries.size())) : outcome;
  }
  Outcome truncate_prefix(int64_t first_kept) override {
    if (lie_ == Lie::kPrefixBeyondIgnored) first_kept = std::min(first_kept, last_index() + 1);
    return inner().truncate_prefix(first_kept);
  }
  Outcome truncate_suffix(int64_t last_kept) override {
    if (lie_ == Lie::kSuffixKeepsOneMore && last_kept < last_index()) ++last_kept;
    if (lie_ == Lie::kRefusesTwice && last_kept == last_index()) {
      return Outcome::failed_clean(absl::InvalidArgumentError("nothing to drop"));
    }
    return inner().truncate_suffix(last_kept);
  }
  Outcome reset(int64_t next_index) override {
    if (lie_ == Lie::kResetKeepsFirst && next_index >= 1) {
      return inner().truncate_suffix(first_index() - 1);
    }
    return inner().reset(next_index);
  }

 private:
  const Lie lie_;
};

class LyingMeta final : public families::MetaWrapper {
 public:
  LyingMeta(MetaStorage* inner, Lie lie) : MetaWrapper(inner), lie_(lie) {}

  Outcome save(const HardState& state) override {
    const HardState now = hard_state();
    if (lie_ == Lie::kVoteChangesInTerm && state.term == now.term && !now.voted_for.empty()) {
      return Outcome::success();
    }
    return inner().save(lie_ == Lie::kVoteNotSaved ? HardState{state.term, ""} : state);
  }

 private:
  const Lie lie_;
};

class LyingReader final : public families::SnapshotReaderWrapper {
 public:
  LyingReader(std::shared_ptr<SnapshotReader> inner, Lie lie)
      : SnapshotReaderWrapper(std::move(inner)),
        meta_(SnapshotReaderWrapper::meta()),
        files_(SnapshotReaderWrapper::files()) {
    if (lie == Lie::kOldPeersForgotten) meta_.old_peers.clear();
    for (families::SnapshotFile& file : files_) {
      if (lie == Lie::kFileMetaForgotten) file.meta = {};
    }
    if (lie == Lie::kNestedFileForgotten) {
      std::erase_if(files_, [](const families::SnapshotFile& file) {
        return file.path.find('/') != std::string::npos;
      });
    }
  }

  const SnapshotMeta& meta() const override { return meta_; }
  const std::vector<families::SnapshotFile>& files() const override { return files_; }

 private:
  SnapshotMeta meta_;
  std::vector<families::SnapshotFile> files_;
};

class LyingSnapshot final : public families::SnapshotWrapper {
 public:
  LyingSnapshot(SnapshotStorage* inner, Lie lie) : SnapshotWrapper(inner), lie_(lie) {}

  absl::StatusOr<std::shared_ptr<SnapshotReader>> open() override {
    QK_ASSIGN_OR_RETURN(auto reader, inner().open());
    return std::make_shared<LyingReader>(std::move(reader), lie_);
  }
  std::optional<SnapshotMeta> current() const override {
    auto meta = inner().current();
    if (meta && lie_ == Lie::kOldPeersForgotten) meta->old_peers.clear();
    if (meta && lie_ == Lie::kReadsOldSnapshotMeta) --meta->last_included_index;
    return meta;
  }
  Outcome publish(std::unique_ptr<SnapshotWriter> writer) override {
    Outcome outcome = inner().publish(std::move(writer));
    if (lie_ == Lie::kPublishAgainCounts && outcome.ok()) return Outcome::success(1);
    return outcome;
  }

 private:
  const Lie lie_;
};

class LyingFamily final : public families::FamilyWrapper {
 public:
  LyingFamily(std::unique_ptr<Family> inner, Lie lie)
      : FamilyWrapper(std::move(inner)),
        log_(&FamilyWrapper::log(), lie),
        meta_(&FamilyWrapper::meta(), lie),
        snapshot_(&FamilyWrapper::snapshot(), lie) {}

  LogStorage& log() override { return log_; }
  MetaStorage& meta() override { return meta_; }
  SnapshotStorage& snapshot() override { return snapshot_; }

 private:
  LyingLog log_;
  LyingMeta meta_;
  LyingSnapshot snapshot_;
};

FamilyDescriptor mutant_of(const FamilyDescriptor& original, Lie lie) {
  FamilyDescriptor mutant = original;
  mutant.name = "mutant";
  mutant.open =
      [original,
       lie](const families::OpenRequest& request) -> absl::StatusOr<std::unique_ptr<Family>> {
    QK_ASSIGN_OR_RETURN(auto inner, original.open(request));
    return std::make_unique<LyingFamily>(std::move(inner), lie);
  };
  return mutant;
}

// What breaks the disk repeats every operation many times; planted_bugs_test.cc is about that.
constexpr const char* kDiskStaysWhole = "^(?!CRASH/|FAULT/|TAIL/)";

// The instance checks on a simulated disk, in the plain role; a lie shows there or nowhere.
Report run_plain(const families::Registry& registry, const std::string& family,
                 std::vector<Check>* checks) {
  for (Check& check : all_checks()) {
    if (check.instance == nullptr) continue;
    check.roles = kPlainOnly;
    check.disks = kSimulatedOnly;
    checks->push_back(std::move(check));
  }
  Host host;
  host.registry = &registry;
  RunOptions options;
  options.families = {family};
  options.filter = kDiskStaysWhole;
  return run_conformance(*checks, host, options);
}

struct Mutant {
  Lie lie;
  const char* requirement;  // one of those that a failing check must cite
};

TEST_CASE("every mutant of a family fails a check of the requirement that it breaks") {
  const Mutant mutants[] = {
      {Lie::kLastOfBatchDropped, "SB-30"},  {Lie::kPayloadTruncated, "EV-11"},
      {Lie::kTypeForgotten, "EV-10"},       {Lie::kGapAccepted, "SB-17"},
      {Lie::kReadBeyondLast, "SB-16"},      {Lie::kScanShort, "SB-17"},
      {Lie::kSuffixKeepsOneMore, "SB-31"},  {Lie::kPrefixBeyondIgnored, "SB-16"},
      {Lie::kResetKeepsFirst, "SB-31"},     {Lie::kRefusesTwice, "SB-25"},
      {Lie::kVoteNotSaved, "SB-18"},        {Lie::kVoteChangesInTerm, "SB-32"},
      {Lie::kOldPeersForgotten, "SB-21"},   {Lie::kFileMetaForgotten, "SB-33"},
      {Lie::kNestedFileForgotten, "SB-33"}, {Lie::kPublishAgainCounts, "SB-33"},
      {Lie::kReadsOldSnapshotMeta, "SB-33"}};
  Built built;
  for (const Mutant& mutant : mutants) {
    families::Registry registry;
    registry.add(mutant_of(built.registry.all().front(), mutant.lie));
    std::vector<Check> checks;
    const Report report = run_plain(registry, "mutant", &checks);
    std::set<std::string> broken;
    for (const CaseResult& result : report.results) {
      if (result.verdict != Verdict::kFailed) continue;
      broken.insert(result.what.check->requirements.begin(), result.what.check->requirements.end());
    }
    INFO("mutant " << static_cast<int>(mutant.lie) << ", " << report.count(Verdict::kFailed)
                   << " checks failed");
    CHECK(broken.contains(mutant.requirement));
  }
}

TEST_CASE("a wrapper that does not lie passes") {
  Built built;
  families::Registry registry;
  registry.add(mutant_of(built.registry.all().front(), Lie::kNone));
  std::vector<Check> checks;
  const Report report = run_plain(registry, "mutant", &checks);
  for (const CaseResult& result : report.results) {
    INFO(result.what.id() << ": " << result.message);
    CHECK(result.verdict != Verdict::kFailed);
  }
}

TEST_CASE("a lying mirror fails in the role of the mirror, and a lying primary in its own") {
  Built built;
  for (const Lie lie : {Lie::kSuffixKeepsOneMore, Lie::kVoteNotSaved, Lie::kFileMetaForgotten}) {
    families::Registry registry;
    registry.add(mutant_of(built.registry.all().front(), lie));
    registry.add(built.registry.all().front());
    Host host;
    host.registry = &registry;
    for (const Role role : {Role::kPrimary, Role::kMirror}) {
      std::vector<Check> checks;
      for (Check& check : restart_checks()) {
        check.roles = {role};
        check.disks = kSimulatedOnly;
        checks.push_back(std::move(check));
      }
      RunOptions options;
      options.families = {"mutant"};
      const Report report = run_conformance(checks, host, options);
      INFO("lie " << static_cast<int>(lie) << " as " << to_string(role));
      CHECK(report.count(Verdict::kFailed) > 0);
    }
  }
}

TEST_CASE("a check that expects nothing fails, and one that does not apply says why") {
  Built built;
  const families::Registry& registry = built.registry;
  Host host;
  host.registry = &registry;
  const std::vector<Check> checks = {
      instance_check("TEST", "idle", {"SB-1"}, [](InstanceContext&) {}),
      instance_check("TEST", "apart", {"SB-1"}, [](InstanceContext& c) { c.not_applicable("so"); }),
      instance_check("TEST", "wrong", {"SB-1"},
                     [](InstanceContext& c) { c.expect_equal("one", 1, 2); }),
      pair_check("TEST", "idle pair", {"SB-1"}, [](PairContext&) {})};
  const Report report = run_conformance(checks, host, {});
  CHECK(report.count(Verdict::kPassed) == 0);
  for (const CaseResult& result : report.results) {
    const std::string& name = result.what.check->name;
    if (name == "apart") {
      CHECK(result.verdict == Verdict::kNotApplicable);
      CHECK(result.message == "so");
      continue;
    }
    CHECK(result.verdict == Verdict::kFailed);
    CHECK(result.message ==
          (name == "wrong" ? "one: found 1, expected 2" : "the check evaluated no expectation"));
    CHECK(result.seed == 1);
  }
}

// A family of another name that nobody but this test knows: memory in a wrapper.
TEST_CASE("a family joins with its registration alone") {
  Built built;
  families::Registry registry;
  registry.add(built.registry.all().front());
  FamilyDescriptor toy = mutant_of(*built.registry.find("memory"), Lie::kNone);
  toy.name = "toy";
  registry.add(toy);
  std::vector<Check> checks;
  for (Check& check : all_checks()) {
    check.disks = kSimulatedOnly;
    checks.push_back(std::move(check));
  }
  Host host;
  host.registry = &registry;
  host.lose_memory = [&built] { built.memory.lose(); };
  RunOptions options;
  options.families = {"toy"};
  const Report report = run_conformance(checks, host, options);
  CHECK(report.results.size() > 400);
  CHECK(report.count(Verdict::kPassed) > 300);
  for (const CaseResult& result : report.results) {
    INFO(result.what.id() << ": " << result.message);
    CHECK(result.verdict != Verdict::kFailed);
  }
}

TEST_CASE("the same cases in the same order, alone or among others") {
  Built built;
  const families::Registry& registry = built.registry;
  const std::vector<Check> checks = meta_checks();
  const auto ids = [&](const RunOptions& options) {
    std::vector<std::string> out;
    for (const Case& one : select_cases(checks, registry, options)) out.push_back(one.id());
    return out;
  };
  const std::vector<std::string> all = ids({});
  CHECK(all == ids({}));
  CHECK(all.size() == checks.size() * registry.all().size() * 4 * 2);
  CHECK(std::set<std::string>(all.begin(), all.end()).size() == all.size());
  RunOptions one;
  one.filter = cat("^", all[17], "$");
  CHECK(ids(one) == std::vector<std::string>{all[17]});
  CHECK(check_filter("(").code() == absl::StatusCode::kInvalidArgument);
}

// ---- Evidence

Evidence sample() {
  Evidence evidence;
  evidence.build = "b1";
  CheckEvidence& check = evidence.checks["G/one"];
  check.requirements = {"SB-3", "SB-5"};
  check.cases["G/one/x/plain/sim"] = {Verdict::kPassed, 3, 0, "", {"x"}};
  check.cases["G/one/x-y/sim"] = {Verdict::kPassed, 3, 0, "", {"x", "y"}};
  check.cases["G/one/y/plain/sim"] = {Verdict::kNotApplicable, 3, 0, "why", {"y"}};
  return evidence;
}

TEST_CASE("evidence comes back from its file; damage is an error") {
  Evidence evidence = sample();
  evidence.checks["G/two"].requirements = {"SB-4"};
  evidence.checks["G/two"].cases["G/two/x/plain/sim"] = {
      Verdict::kFailed, 3, UINT64_MAX, "found \"\xff\n\"", {"x"}};
  const std::string text = to_json(evidence);
  const auto parsed = parse_evidence(text);
  INFO(parsed.status());
  REQUIRE(parsed.ok());
  evidence.checks["G/two"].cases["G/two/x/plain/sim"].message = "found \"\xef\xbf\xbd\n\"";
  CHECK(*parsed == evidence);
  for (size_t length = 0; length + 2 < text.size(); length += 7) {
    CHECK(absl::IsDataLoss(parse_evidence(text.substr(0, length)).status()));
  }
  for (const char* other :
       {"[]", "{}", "{\"schema\":\"qksim.conformance/2\"}",
        "{\"schema\":\"qksim.conformance/1\",\"build\":3,\"checks\":{}}",
        "{\"schema\":\"qksim.conformance/1\",\"build\":\"b\",\"checks\":[1]}"}) {
    CHECK(absl::IsDataLoss(parse_evidence(other).status()));
  }
}

TEST_CASE("evidence of one build adds up; another build starts over") {
  Evidence newer;
  newer.build = "b1";
  newer.checks["G/one"].requirements = {"SB-3"};
  newer.checks["G/one"].cases["G/one/x/plain/sim"] = {Verdict::kFailed, 1, 1, "no", {"x"}};
  const Evidence merged = merge(sample(), newer);
  CHECK(merged.checks.at("G/one").cases.size() == 3);
  CHECK(merged.checks.at("G/one").cases.at("G/one/x/plain/sim").verdict == Verdict::kFailed);
  CHECK(merged.checks.at("G/one").requirements == std::vector<std::string>{"SB-3"});
  newer.build = "b2";
  CHECK(merge(sample(), newer) == newer);
}

TEST_CASE("a requirement holds only if every family shows it") {
  Evidence evidence = sample();
  CHECK(support_of(evidence, "SB-3", "x", {}).passed == 2);
  CHECK(support_of(evidence, "SB-3", "y", {}).passed == 1);
  CHECK(support_of(evidence, "SB-3", "y", {}).not_applicable == 1);
  CHECK(support_of(evidence, "SB-3", "z", {}).none());
  CHECK(standing_of(evidence, "SB-3", {"x", "y"}, {}) == Standing::kHolds);
  CHECK(standing_of(evidence, "SB-3", {"x", "z"}, {}) == Standing::kMissing);
  CHECK(standing_of(evidence, "SB-3", {}, {}) == Standing::kMissing);
  CHECK(standing_of(evidence, "SB-4", {"x"}, {}) == Standing::kMissing);
  evidence.checks["G/one"].cases.erase("G/one/x-y/sim");
  CHECK(standing_of(evidence, "SB-3", {"y"}, {}) == Standing::kMissing);  // nothing but n/a
  CHECK(standing_of(evidence, "SB-3", {"x", "y"}, {}) == Standing::kHolds);
  evidence.checks["G/one"].cases["G/one/x/plain/sim"].verdict = Verdict::kFailed;
  CHECK(standing_of(evidence, "SB-3", {"x", "z"}, {}) == Standing::kFailed);
}

}  // namespace
}  // namespace qk::sim::conformance
