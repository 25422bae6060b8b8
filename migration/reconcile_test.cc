// A pair in dual write: what a start makes of a mutation that one side alone has, and what the driver
// refuses.
#include "migration/reconcile.h"

#include <catch2/catch.hpp>
#include <functional>

#include "families/builtin.h"
#include "families/contract/family_wrapper.h"
#include "migration/node_driver.h"
#include "migration/test_util.h"

namespace qk::migration {
namespace {

using families::Family;
using families::HardState;
using families::LogEntry;
using families::Mutation;

// A local primary and a sqlite mirror with equal state: term 2, entries 1..3, snapshot at 2.
struct Pair {
  TempDir dir;
  families::VolatileMemory memory{1};
  families::Registry registry = families::builtin_families(&memory);
  std::unique_ptr<Family> primary = make("local");
  std::unique_ptr<Family> mirror = make("sqlite");
  std::unique_ptr<IntentJournal> journal =
      IntentJournal::open(&dir.fs(), dir.path("migration")).value();

  std::unique_ptr<Family> make(std::string_view name) {
    families::OpenRequest request;
    request.fs = &dir.fs();
    request.root = dir.path(name);
    request.create = true;
    auto family = families::open_family(registry, name, request);
    INFO(family.status());
    REQUIRE(family.ok());
    Family& f = **family;
    REQUIRE(f.meta().save({2, ""}).ok());
    REQUIRE(f.log().append(std::vector<LogEntry>{entry(1), entry(2), entry(3)}).ok());
    publish(f, 2);
    return std::move(*family);
  }

  static LogEntry entry(int64_t index) {
    LogEntry e;
    e.index = index;
    e.term = 2;
    e.payload = cat("payload ", index);
    return e;
  }

  static void publish(Family& family, int64_t index) {
    auto writer = family.snapshot().create();
    REQUIRE(writer.ok());
    REQUIRE((*writer)->create_file("a/b").value()->write_at(0, cat("at ", index)).ok());
    REQUIRE((*writer)->add_file("a/b", {}).ok());
    REQUIRE((*writer)->save_meta({index, 2, {"127.0.0.1:8100:0:0"}, {}}).ok());
    REQUIRE(family.snapshot().publish(std::move(*writer)).ok());
  }

  // The record that the dual driver writes before `mutation`.
  void intend(Mutation mutation) {
    Intent intent;
    intent.seq = 1;
    intent.operation = mutation.operation;
    intent.primary_instance = "p";
    intent.mirror_instance = "m";
    for (const LogEntry& e : mutation.entries) intent.entries.push_back(mark_of(e));
    intent.index = mutation.index;
    intent.hard_state = mutation.hard_state;
    intent.pre_first = primary->log().first_index();
    intent.pre_last = primary->log().last_index();
    intent.pre_hard_state = primary->meta().hard_state();
    intent.pre_snapshot = primary->snapshot().current();
    if (mutation.operation == families::Operation::kPublish) {
      intent.snapshot = {3, 2, {"127.0.0.1:8100:0:0"}, {}};
    }
    REQUIRE(journal->write(intent).ok());
  }

  DualPair dual() {
    DualPair dual;
    dual.mirror = mirror.get();
    dual.journal = journal.get();
    dual.primary_instance = "p";
    dual.mirror_instance = "m";
    return dual;
  }

  absl::StatusOr<ReconcileReport> run() { return reconcile(*journal, *primary, "p", *mirror, "m"); }

  void check_equal() {
    const auto report = image::compare(*primary, *mirror, 1);
    INFO(image::to_text(report));
    CHECK(report.equal);
  }
};

TEST_CASE("an append that reached the primary alone is completed on the mirror") {
  Pair pair;
  const std::vector<LogEntry> batch = {Pair::entry(4), Pair::entry(5)};
  pair.intend(Mutation::append(batch));
  REQUIRE(pair.primary->log().append(batch).ok());
  const auto report = pair.run();
  INFO(report.status());
  REQUIRE(report.ok());
  CHECK(report->actions.size() == 1);
  CHECK(pair.mirror->log().last_index() == 5);
  pair.check_equal();
  CHECK(pair.run()->actions.empty());
}

TEST_CASE("a batch that the primary holds in part goes back to before") {
  Pair pair;
  pair.intend(Mutation::append({Pair::entry(4), Pair::entry(5)}));
  REQUIRE(pair.primary->log().append(std::vector<LogEntry>{Pair::entry(4)}).ok());
  REQUIRE(pair.run().ok());
  CHECK(pair.primary->log().last_index() == 3);
  pair.check_equal();
}

TEST_CASE("operations whose arguments are in the record reach the mirror if the primary has them") {
  for (const bool primary_has_it : {false, true}) {
    INFO("primary has it: " << primary_has_it);
    const std::vector<std::function<Mutation()>> mutations = {
        [] { return Mutation::truncate_prefix(3); }, [] { return Mutation::truncate_suffix(2); },
        [] { return Mutation::reset(9); },
        [] {
          return Mutation::save_meta({3, "127.0.0.1:8100:0:0"});
        }};
    for (const auto& make : mutations) {
      Pair pair;
      Mutation mutation = make();
      INFO(to_string(mutation.operation));
      pair.intend(make());
      if (primary_has_it) REQUIRE(families::apply(*pair.primary, mutation).ok());
      REQUIRE(pair.run().ok());
      pair.check_equal();
      Pair wanted;
      Mutation again = make();
      if (primary_has_it) REQUIRE(families::apply(*wanted.primary, again).ok());
      CHECK(image::compare(*wanted.primary, *pair.primary, 1).equal);
    }
  }
}

TEST_CASE("a publish that reached the primary alone is published on the mirror, files included") {
  Pair pair;
  Mutation publish;
  publish.operation = families::Operation::kPublish;
  pair.intend(std::move(publish));
  Pair::publish(*pair.primary, 3);
  REQUIRE(pair.run().ok());
  REQUIRE(pair.mirror->snapshot().current().has_value());
  CHECK(pair.mirror->snapshot().current()->last_included_index == 3);
  pair.check_equal();
}

TEST_CASE("a state that no crash explains is reported and left alone") {
  SECTION("the mirror is ahead") {
    Pair pair;
    pair.intend(Mutation::append({Pair::entry(4)}));
    REQUIRE(pair.mirror->log().append(std::vector<LogEntry>{Pair::entry(4)}).ok());
    CHECK(pair.run().status().code() == absl::StatusCode::kDataLoss);
    CHECK(pair.mirror->log().last_index() == 4);
    CHECK(pair.primary->log().last_index() == 3);
  }
  SECTION("the primary holds another entry than the record says") {
    Pair pair;
    pair.intend(Mutation::append({Pair::entry(4)}));
    LogEntry other = Pair::entry(4);
    other.payload = "other";
    REQUIRE(pair.primary->log().append(std::vector<LogEntry>{other}).ok());
    CHECK(pair.run().status().code() == absl::StatusCode::kDataLoss);
    CHECK(pair.mirror->log().last_index() == 3);
  }
  SECTION("the mirror lost an entry that was there before") {
    Pair pair;
    pair.intend(Mutation::append({Pair::entry(4)}));
    REQUIRE(pair.mirror->log().truncate_suffix(2).ok());
    CHECK(pair.run().status().code() == absl::StatusCode::kDataLoss);
  }
}

TEST_CASE("records of another attempt are ignored") {
  Pair pair;
  pair.intend(Mutation::append({Pair::entry(4)}));
  REQUIRE(pair.primary->log().append(std::vector<LogEntry>{Pair::entry(4)}).ok());
  const auto report = reconcile(*pair.journal, *pair.primary, "p", *pair.mirror, "other");
  REQUIRE(report.ok());
  CHECK(report->actions.empty());
  CHECK(pair.mirror->log().last_index() == 3);
}

TEST_CASE("the dual driver refuses everything after the mirror failed") {
  Pair pair;
  NodeDriver driver(pair.primary.get(), 0);
  driver.set_dual(pair.primary.get(), pair.dual());
  REQUIRE(driver.apply(Mutation::append({Pair::entry(4)})).ok());
  pair.check_equal();
  // A mirror that went its own way refuses the next entry: the pair is indeterminate.
  REQUIRE(pair.mirror->log().truncate_suffix(2).ok());
  const auto outcome = driver.apply(Mutation::append({Pair::entry(5)}));
  CHECK(outcome.kind() == families::Outcome::Kind::kIndeterminate);
  CHECK(driver.apply(Mutation::save_meta({9, ""})).kind() == families::Outcome::Kind::kFailedClean);
  CHECK(pair.primary->meta().hard_state().term == 2);
}

TEST_CASE("arguments that the contract forbids leave no record to redo") {
  Pair pair;
  NodeDriver driver(pair.primary.get(), 0);
  driver.set_dual(pair.primary.get(), pair.dual());
  CHECK(driver.apply(Mutation::save_meta({1, ""})).kind() == families::Outcome::Kind::kFailedClean);
  CHECK(driver.apply(Mutation::append({Pair::entry(7)})).kind() ==
        families::Outcome::Kind::kFailedClean);
  CHECK_FALSE(pair.journal->newest(families::Lane::kMeta).has_value());
  CHECK_FALSE(pair.journal->newest(families::Lane::kLog).has_value());
}

// Refuses every mutation while it is told to.
class Refusing final : public families::FamilyWrapper {
 public:
  explicit Refusing(std::unique_ptr<Family> inner) : FamilyWrapper(std::move(inner)) {}
  families::LogStorage& log() override { return log_; }
  families::MetaStorage& meta() override { return meta_; }
  families::SnapshotStorage& snapshot() override { return snapshot_; }
  bool refuses = false;

 private:
  families::Outcome judge(const std::function<families::Outcome()>& apply) const {
    return refuses ? families::Outcome::failed_clean(absl::UnavailableError("refused")) : apply();
  }
  struct Log final : families::LogWrapper {
    explicit Log(Refusing* of) : LogWrapper(&of->inner().log()), owner(*of) {}
    families::Outcome append(std::span<const LogEntry> entries) override {
      return owner.judge([&] { return inner().append(entries); });
    }
    families::Outcome truncate_prefix(int64_t first_kept) override {
      return owner.judge([&] { return inner().truncate_prefix(first_kept); });
    }
    families::Outcome truncate_suffix(int64_t last_kept) override {
      return owner.judge([&] { return inner().truncate_suffix(last_kept); });
    }
    families::Outcome reset(int64_t next_index) override {
      return owner.judge([&] { return inner().reset(next_index); });
    }
    const Refusing& owner;
  };
  struct Meta final : families::MetaWrapper {
    explicit Meta(Refusing* of) : MetaWrapper(&of->inner().meta()), owner(*of) {}
    families::Outcome save(const HardState& state) override {
      return owner.judge([&] { return inner().save(state); });
    }
    const Refusing& owner;
  };
  struct Snapshot final : families::SnapshotWrapper {
    explicit Snapshot(Refusing* of) : SnapshotWrapper(&of->inner().snapshot()), owner(*of) {}
    families::Outcome publish(std::unique_ptr<families::SnapshotWriter> writer) override {
      return owner.judge([&] { return inner().publish(std::move(writer)); });
    }
    const Refusing& owner;
  };

  Log log_{this};
  Meta meta_{this};
  Snapshot snapshot_{this};
};

// The record of it stays in the journal, and stays the newest if the next one is torn.
TEST_CASE("what the primary refused does not appear at a later start") {
  const auto snapshot_at_3 = [](NodeDriver& driver) {
    auto writer = driver.create_snapshot();
    REQUIRE(writer.ok());
    REQUIRE((*writer)->save_meta({3, 2, {"127.0.0.1:8100:0:0"}, {}}).ok());
    return Mutation::publish(std::move(*writer));
  };
  const std::vector<std::function<Mutation(NodeDriver&)>> mutations = {
      [](NodeDriver&) { return Mutation::append({Pair::entry(4)}); },
      [](NodeDriver&) { return Mutation::truncate_prefix(3); },
      [](NodeDriver&) { return Mutation::truncate_suffix(2); },
      [](NodeDriver&) { return Mutation::reset(9); },
      [](NodeDriver&) {
        return Mutation::save_meta({3, "127.0.0.1:8100:0:0"});
      },
      snapshot_at_3};
  for (const auto& make : mutations) {
    Pair pair;
    auto refusing = std::make_unique<Refusing>(std::move(pair.primary));
    Refusing& primary = *refusing;
    pair.primary = std::move(refusing);
    NodeDriver driver(pair.primary.get(), 0);
    driver.set_dual(pair.primary.get(), pair.dual());
    Mutation mutation = make(driver);
    INFO(to_string(mutation.operation));
    primary.refuses = true;
    REQUIRE(driver.apply(std::move(mutation)).kind() == families::Outcome::Kind::kFailedClean);
    primary.refuses = false;

    pair.journal = IntentJournal::open(&pair.dir.fs(), pair.dir.path("migration")).value();
    const auto report = pair.run();
    INFO(report.status());
    REQUIRE(report.ok());
    CHECK(report->actions.empty());
    pair.check_equal();
    Pair wanted;
    CHECK(image::compare(*wanted.primary, *pair.primary, 1).equal);
  }
}

TEST_CASE("a batch longer than a record is several mutations and one acknowledgement") {
  Pair pair;
  NodeDriver driver(pair.primary.get(), 0);
  driver.set_dual(pair.primary.get(), pair.dual());
  std::vector<LogEntry> entries;
  for (int64_t index = 4; index < 4 + 2500; ++index) entries.push_back(Pair::entry(index));
  const auto outcome = driver.apply(Mutation::append(entries));
  REQUIRE(outcome.ok());
  CHECK(outcome.count() == 2500);
  CHECK(driver.seq() == 3);
  pair.check_equal();
}

TEST_CASE("a snapshot begun before the roles changed is published on both after it") {
  Pair pair;
  NodeDriver driver(pair.primary.get(), 0);
  DualPair dual = pair.dual();
  driver.set_dual(pair.primary.get(), dual);
  auto writer = driver.create_snapshot();
  REQUIRE(writer.ok());
  REQUIRE((*writer)->create_file("a/b").value()->write_at(0, "at 3").ok());
  REQUIRE((*writer)->add_file("a/b", {}).ok());
  REQUIRE((*writer)->save_meta({3, 2, {"127.0.0.1:8100:0:0"}, {}}).ok());
  dual.mirror = pair.primary.get();
  driver.set_dual(pair.mirror.get(), dual);
  const auto outcome = driver.apply(Mutation::publish(std::move(*writer)));
  INFO(outcome.status());
  REQUIRE(outcome.ok());
  CHECK(outcome.count() == 1);
  CHECK(pair.mirror->snapshot().current()->last_included_index == 3);
  pair.check_equal();
}

}  // namespace
}  // namespace qk::migration
