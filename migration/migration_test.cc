// Manifest, intent journal, reconciliation and cluster guard, each against damage of its own files.
#include <stdlib.h>

#include <catch2/catch.hpp>

#include "families/builtin.h"
#include "families/contract/family_wrapper.h"
#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "migration/cluster_guard.h"
#include "migration/controller.h"
#include "migration/fence.h"
#include "migration/reconcile.h"
#include "migration/test_util.h"

namespace qk::migration {
namespace {

using families::Family;
using families::HardState;
using families::LogEntry;
using families::Mutation;

class TempDir {
 public:
  families::FileSystem& fs() { return fs_; }
  const std::string& root() const { return directory_.path(); }
  std::string path(std::string_view name) const {
    return families::join_path(directory_.path(), name);
  }

  void flip_byte(std::string_view name, uint64_t offset) {
    auto file = fs_.open(path(name), {});
    REQUIRE(file.ok());
    char byte = 0;
    REQUIRE((*file)->read_at(offset, {&byte, 1}).value() == 1);
    byte ^= 1;
    REQUIRE((*file)->write_at(offset, {&byte, 1}).ok());
  }

 private:
  families::PosixFileSystem fs_;
  families::TempDirectory directory_;
};

Manifest sample(uint64_t generation) {
  Manifest manifest;
  manifest.group_id = "g";
  manifest.peer_id = "127.0.0.1:8100:0:0";
  manifest.lineage = "abc";
  manifest.generation = generation;
  manifest.phase = Phase::kDualWrite;
  manifest.authoritative = Side::kB;
  manifest.a = {
      "local", "/n/local", {{"segment_size", "1MiB"}}, "i1", image::InstanceState::kCurrent};
  manifest.b = {"sqlite", "/n/sqlite-g1", {}, "i2", image::InstanceState::kCatchingUp};
  CutRecord cut;
  cut.seq = 17;
  cut.last_index = 12;
  cut.digest[5] = 9;
  cut.proof_kind = "full";
  cut.time_ns = 5;
  manifest.export_cut = cut;
  manifest.cutover_cut = cut;
  manifest.reason = "why";
  return manifest;
}

void flip_both_copies(TempDir& dir, const std::string& slot, uint64_t offset) {
  const uint64_t size = dir.fs().stat(dir.path(slot))->size;
  dir.flip_byte(slot, offset);
  dir.flip_byte(slot, size / 2 + offset);
}

TEST_CASE("a manifest comes back as it was saved, and the newest wins") {
  TempDir dir;
  {
    ManifestStore store(&dir.fs(), dir.path("migration"));
    CHECK_FALSE(store.load().value().has_value());
    for (uint64_t g = 1; g <= 5; ++g) REQUIRE(store.save(sample(g)).ok());
  }
  ManifestStore store(&dir.fs(), dir.path("migration"));
  const auto loaded = store.load();
  REQUIRE(loaded.ok());
  REQUIRE(loaded->has_value());
  CHECK(**loaded == sample(5));
  REQUIRE(store.save(sample(6)).ok());
  CHECK(**store.load() == sample(6));
}

// Rot of one sector: the mark that the node relied on must not be taken for a torn one.
TEST_CASE("damage to one copy in the newest slot is survived and repaired") {
  for (const uint64_t copy : {0u, 1u}) {
    TempDir dir;
    ManifestStore store(&dir.fs(), dir.path("migration"));
    REQUIRE(store.save(sample(1)).ok());
    REQUIRE(store.save(sample(2)).ok());
    const std::string path = dir.path("migration/manifest-1");
    const std::string before = families::read_file(dir.fs(), path, 1 << 20).value();
    dir.flip_byte("migration/manifest-1", copy * before.size() / 2 + 30);
    CHECK(**store.load() == sample(2));
    REQUIRE(store.make_durable().ok());
    CHECK(families::read_file(dir.fs(), path, 1 << 20).value() == before);
    CHECK(**store.load() == sample(2));
  }
}

TEST_CASE("a slot of one copy, as they were, is read") {
  TempDir dir;
  ManifestStore store(&dir.fs(), dir.path("migration"));
  REQUIRE(store.save(sample(1)).ok());
  const std::string path = dir.path("migration/manifest-0");
  std::string bytes = families::read_file(dir.fs(), path, 1 << 20).value();
  bytes.resize(bytes.size() / 2);
  bytes.resize(bytes.find_last_not_of('\0') + 1);
  REQUIRE(families::write_file(dir.fs(), path, bytes).ok());
  CHECK(**store.load() == sample(1));
}

TEST_CASE("a damaged slot leaves the manifest before it; two damaged slots are never idle") {
  TempDir dir;
  ManifestStore store(&dir.fs(), dir.path("migration"));
  REQUIRE(store.save(sample(1)).ok());  // slot 0
  REQUIRE(store.save(sample(2)).ok());  // slot 1
  flip_both_copies(dir, "migration/manifest-1", 30);
  CHECK(**store.load() == sample(1));
  // The next save must not overwrite the only valid slot.
  REQUIRE(store.save(sample(3)).ok());
  CHECK(**store.load() == sample(3));
  flip_both_copies(dir, "migration/manifest-0", 30);
  CHECK(**store.load() == sample(3));
  flip_both_copies(dir, "migration/manifest-1", 30);
  CHECK(store.load().status().code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("every flipped byte of a manifest slot is noticed") {
  TempDir dir;
  ManifestStore store(&dir.fs(), dir.path("migration"));
  REQUIRE(store.save(sample(1)).ok());
  const std::string bytes =
      families::read_file(dir.fs(), dir.path("migration/manifest-0"), 1 << 20).value();
  const uint64_t size = bytes.size() / 2;
  for (uint64_t offset = 0; offset < size; ++offset) {
    INFO("offset " << offset);
    if (bytes[offset] == 0 && bytes.find_first_not_of('\0', offset) >= size) break;  // filling
    flip_both_copies(dir, "migration/manifest-0", offset);
    CHECK(store.load().status().code() == absl::StatusCode::kDataLoss);
    flip_both_copies(dir, "migration/manifest-0", offset);
  }
  CHECK(**store.load() == sample(1));
}

TEST_CASE("the phase automaton allows the edges of the transition table and no other") {
  const auto legal = [](Phase from, Phase to) { return is_legal_transition(from, to); };
  CHECK(legal(Phase::kIdle, Phase::kExporting));
  CHECK(legal(Phase::kValidated, Phase::kExporting));
  CHECK(legal(Phase::kCutoverValidated, Phase::kDualWrite));
  CHECK(legal(Phase::kCutOver, Phase::kAccepted));
  CHECK(legal(Phase::kDualWrite, Phase::kRolledBack));
  CHECK_FALSE(legal(Phase::kIdle, Phase::kDualWrite));
  CHECK_FALSE(legal(Phase::kDualWrite, Phase::kCutOver));
  CHECK_FALSE(legal(Phase::kDualWrite, Phase::kExporting));
  CHECK_FALSE(legal(Phase::kAccepted, Phase::kRolledBack));
  CHECK_FALSE(legal(Phase::kCutOver, Phase::kRolledBack));  // RB2 is not in this build
  CHECK_FALSE(legal(Phase::kIdle, Phase::kRolledBack));
}

Intent sample_intent(uint64_t seq) {
  Intent intent;
  intent.seq = seq;
  intent.operation = families::Operation::kAppend;
  intent.primary_instance = "p";
  intent.mirror_instance = "m";
  intent.entries = {{3, 77}, {4, 78}};
  intent.pre_first = 2;
  intent.pre_last = 9;
  intent.pre_hard_state = {4, "127.0.0.1:8100:0:0"};
  intent.pre_snapshot = families::SnapshotMeta{5, 2, {"a"}, {"b"}};
  return intent;
}

TEST_CASE("the journal keeps the newest record of each lane; a torn one never began") {
  TempDir dir;
  {
    auto journal = IntentJournal::open(&dir.fs(), dir.path("migration"));
    REQUIRE(journal.ok());
    for (uint64_t seq = 1; seq <= 4; ++seq) REQUIRE((*journal)->write(sample_intent(seq)).ok());
  }
  {
    auto journal = IntentJournal::open(&dir.fs(), dir.path("migration"));
    REQUIRE(journal.ok());
    CHECK((*journal)->newest(families::Lane::kLog) == sample_intent(4));
    CHECK_FALSE((*journal)->newest(families::Lane::kMeta).has_value());
  }
  dir.flip_byte("migration/journal-log", 64 * 1024 + 20);  // record 4 is in the second slot
  {
    auto journal = IntentJournal::open(&dir.fs(), dir.path("migration"));
    REQUIRE(journal.ok());
    CHECK((*journal)->newest(families::Lane::kLog) == sample_intent(3));
    // The next record goes to the damaged slot, not over the valid one.
    REQUIRE((*journal)->write(sample_intent(5)).ok());
    dir.flip_byte("migration/journal-log", 64 * 1024 + 20);
  }
  auto journal = IntentJournal::open(&dir.fs(), dir.path("migration"));
  REQUIRE(journal.ok());
  CHECK((*journal)->newest(families::Lane::kLog) == sample_intent(3));
  REQUIRE(IntentJournal::remove(&dir.fs(), dir.path("migration")).ok());
  CHECK(dir.fs().list(dir.path("migration"))->empty());
}

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
  DualPair dual;
  dual.mirror = pair.mirror.get();
  dual.journal = pair.journal.get();
  driver.set_dual(pair.primary.get(), dual);
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
  DualPair dual;
  dual.mirror = pair.mirror.get();
  dual.journal = pair.journal.get();
  driver.set_dual(pair.primary.get(), dual);
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
    DualPair dual;
    dual.mirror = pair.mirror.get();
    dual.journal = pair.journal.get();
    dual.primary_instance = "p";
    dual.mirror_instance = "m";
    driver.set_dual(pair.primary.get(), dual);
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
  DualPair dual;
  dual.mirror = pair.mirror.get();
  dual.journal = pair.journal.get();
  driver.set_dual(pair.primary.get(), dual);
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
  DualPair dual;
  dual.mirror = pair.mirror.get();
  dual.journal = pair.journal.get();
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

NodeStatus status_of(const char* id, Phase phase, bool healthy) {
  NodeStatus status;
  status.id = id;
  status.peer = cat(id, ":1:0:0");
  status.phase = phase;
  status.healthy = healthy;
  return status;
}

families::Configuration voters(const std::vector<std::string>& ids,
                               const std::vector<std::string>& old_ids = {}) {
  families::Configuration configuration;
  for (const std::string& id : ids) configuration.peers.push_back(cat(id, ":1:0:0"));
  for (const std::string& id : old_ids) configuration.old_peers.push_back(cat(id, ":1:0:0"));
  return configuration;
}

TEST_CASE("the cluster guard lets one node at a time be at risk, and never breaks a majority") {
  const NodeStatus a = status_of("a", Phase::kIdle, true);
  const NodeStatus b = status_of("b", Phase::kIdle, true);
  const NodeStatus c = status_of("c", Phase::kAccepted, true);
  const auto guard = [](const std::vector<NodeStatus>& cluster,
                        const families::Configuration& configuration, std::string_view id,
                        bool allow_unavailability = false) {
    return may_proceed(cluster, configuration, id, allow_unavailability);
  };
  const families::Configuration abc = voters({"a", "b", "c"});
  CHECK(guard({a, b, c}, abc, "a").ok());
  CHECK(guard({a, status_of("b", Phase::kExporting, true), c}, abc, "a").message() ==
        "cluster guard: b is in phase exporting; one node at a time may be outside idle, "
        "dual-write, accepted and rolled-back");
  CHECK(absl::IsInvalidArgument(guard({a}, abc, "z")));
  CHECK(absl::IsFailedPrecondition(guard({a, b, c}, {}, "a")));

  const NodeStatus b_down = status_of("b", Phase::kIdle, false);
  CHECK(guard({a, b_down, c}, abc, "a") ==
        absl::FailedPreconditionError("cluster guard: healthy without a: 1 of 3 voters (c), a "
                                      "majority is 2"));
  // allow_unavailability lets a cluster stop that has to; it does not lift the guard for one that
  // need not stop.
  CHECK(absl::IsFailedPrecondition(guard({a, b_down, c}, abc, "a", true)));

  SECTION("machines without a vote do not count") {
    const NodeStatus spare = status_of("d", Phase::kIdle, true);
    CHECK(guard({a, b, c, spare}, abc, "a").ok());
    CHECK(guard({a, b, c, status_of("d", Phase::kIdle, false)}, abc, "a").ok());
    CHECK_FALSE(guard({a, b_down, c, spare}, abc, "a").ok());
    // The spare machine itself is at nobody's risk, as long as the voters have a majority.
    CHECK(guard({a, b_down, c, spare}, abc, "d").ok());
    CHECK_FALSE(guard({a, b_down, status_of("c", Phase::kIdle, false), spare}, abc, "d").ok());
    // One at a time all the same.
    CHECK_FALSE(guard({a, b, c, status_of("d", Phase::kExporting, true)}, abc, "a").ok());
  }
  SECTION("one voter or two") {
    for (const families::Configuration& few : {voters({"a"}), voters({"a", "b"})}) {
      const absl::Status refused = guard({a, b, c}, few, "a");
      CHECK(absl::IsPermissionDenied(refused));
      CHECK(refused.message().find("allow_unavailability") != std::string_view::npos);
      CHECK(guard({a, b, c}, few, "a", true).ok());
    }
    CHECK(guard({a, b, c}, voters({"a"}), "b").ok());
    CHECK(guard({a, b_down, c}, voters({"a", "b"}), "a", true) ==
          absl::FailedPreconditionError(
              "cluster guard: healthy: 1 of 2 voters (a), a majority is 2"));
    CHECK_FALSE(guard({status_of("a", Phase::kIdle, false), b}, voters({"a"}), "a", true).ok());
  }
  SECTION("a joint configuration asks for a majority of each half") {
    const NodeStatus d = status_of("d", Phase::kIdle, true);
    CHECK(guard({a, b, c, d}, voters({"b", "c", "d"}, {"a", "b", "c"}), "a").ok());
    CHECK(guard({a, b_down, c, d}, voters({"a", "c", "d"}, {"a", "b", "c"}), "d").ok());
    CHECK(guard({a, b_down, c, d}, voters({"b", "c", "d"}, {"a", "b", "c"}), "c") ==
          absl::FailedPreconditionError(
              "cluster guard: healthy without c: 1 of 3 new voters (d), a majority is 2; 1 of 3 "
              "old voters (a), a majority is 2"));
    CHECK(absl::IsPermissionDenied(guard({a, b, c, d}, voters({"b", "c", "d"}, {"a"}), "a")));
  }
}

TEST_CASE("a fence can be repeated, and takes the old name") {
  TempDir dir;
  const std::string root = dir.path("local");
  REQUIRE(families::make_directories(dir.fs(), root).ok());
  REQUIRE(families::write_file(dir.fs(), families::join_path(root, "x"), "1").ok());
  for (int i = 0; i < 2; ++i) {
    REQUIRE(fence_root(dir.fs(), root, 4).ok());
    CHECK(dir.fs().stat(root)->kind == families::FileKind::kFile);
    CHECK(families::read_file(dir.fs(), dir.path("local.fenced-4/x"), 10).value() == "1");
  }
}

TEST_CASE("a migration is refused without both freshness bounds, and to an unknown family") {
  TempDir dir;
  families::VolatileMemory memory(1);
  const families::Registry registry = families::builtin_families(&memory);
  ControllerOptions options = test_options(&dir.fs(), &registry, dir.root());
  auto controller = Controller::open(options);
  INFO(controller.status());
  REQUIRE(controller.ok());
  MigrationRequest request;
  request.family = "sqlite";
  request.fresh_mutations = 1;
  CHECK((*controller)->request_start(request).code() == absl::StatusCode::kInvalidArgument);
  request.fresh_time_ns = 1;
  request.family = "sqlight";
  CHECK((*controller)->request_start(request).code() == absl::StatusCode::kNotFound);
  CHECK((*controller)->request_cutover().code() == absl::StatusCode::kFailedPrecondition);
  CHECK((*controller)->request_accept().code() == absl::StatusCode::kFailedPrecondition);
  CHECK((*controller)->request_rollback("x").code() == absl::StatusCode::kFailedPrecondition);
  CHECK((*controller)->phase() == Phase::kIdle);
  request.family = "sqlite";
  REQUIRE((*controller)->request_start(request).ok());
  CHECK((*controller)->phase() == Phase::kExporting);
  // Roll back and start over with a new generation.
  REQUIRE((*controller)->request_rollback(std::string(1 << 20, '!')).ok());
  REQUIRE((*controller)->step().ok());
  CHECK((*controller)->phase() == Phase::kRolledBack);
  REQUIRE((*controller)->request_start(request).ok());
  CHECK((*controller)->manifest().generation == 2);

  // A sidecar of a migration without its manifest is never taken for idle.
  controller->reset();
  REQUIRE(families::remove_tree(dir.fs(), dir.path("migration")).ok());
  CHECK(Controller::open(options).status().code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE(
    "a pair with a side that may lose what it acknowledged is refused unless that is stated") {
  for (const bool weak_source : {true, false}) {
    TempDir dir;
    families::VolatileMemory memory(1);
    const families::Registry builtin = families::builtin_families(&memory);
    families::Registry registry;
    for (families::FamilyDescriptor family : builtin.all()) {
      if (family.name == "local") {
        family.weakness = [](const families::FamilyOptions&) { return "syncs no names"; };
      }
      registry.add(std::move(family));
    }
    ControllerOptions options =
        test_options(&dir.fs(), &registry, dir.root(), weak_source ? "local" : "sqlite");
    auto controller = Controller::open(options);
    INFO(controller.status());
    REQUIRE(controller.ok());
    MigrationRequest request;
    request.family = weak_source ? "sqlite" : "local";
    request.fresh_mutations = 1;
    request.fresh_time_ns = 1;
    const absl::Status refused = (*controller)->request_start(request);
    CHECK(refused.code() == absl::StatusCode::kFailedPrecondition);
    CHECK_THAT(std::string(refused.message()), Catch::Contains("syncs no names"));
    CHECK((*controller)->phase() == Phase::kIdle);
    request.accept_weak_durability = true;
    CHECK((*controller)->request_start(request).ok());
  }
}

// A node on the real disk whose memory can be lost, from idle up to a phase of its migration.
struct MachineWithMemory {
  TempDir dir;
  families::VolatileMemory memory{1};
  families::Registry registry = families::builtin_families(&memory);
  uint64_t ids = 0;
  std::string from;
  std::unique_ptr<Controller> controller;

  explicit MachineWithMemory(std::string source) : from(std::move(source)) {}

  absl::Status open(bool create = false) {
    controller.reset();
    ControllerOptions options = test_options(&dir.fs(), &registry, dir.root(), from);
    options.create = create;
    options.random = [this] { return ++ids; };
    QK_ASSIGN_OR_RETURN(controller, Controller::open(options));
    return absl::OkStatus();
  }

  void migrate(const std::string& to, Phase until) {
    REQUIRE(open(true).ok());
    REQUIRE(append().ok());
    MigrationRequest request;
    request.family = to;
    request.fresh_mutations = 10;
    request.fresh_time_ns = 10;
    request.accept_weak_durability = true;
    REQUIRE(controller->request_start(request).ok());
    while (controller->phase() != until) {
      if (controller->phase() == Phase::kDualWrite && controller->need() == Need::kNothing) {
        REQUIRE(controller->request_validation().ok());
      } else if (controller->phase() == Phase::kCutoverValidated) {
        REQUIRE(controller->request_cutover().ok());
      }
      const absl::Status status = controller->step();
      INFO(status);
      REQUIRE(status.ok());
    }
    REQUIRE(append().ok());
  }

  families::Outcome append() {
    const int64_t next = controller->driver().authority().log().last_index() + 1;
    return controller->driver().apply(
        Mutation::append({{next, 1, families::EntryType::kData, "payload"}}));
  }
  int64_t last() { return controller->driver().authority().log().last_index(); }
};

TEST_CASE("a lost mirror ends the migration on the primary, durably, and another one may start") {
  for (const Phase phase : {Phase::kDualWrite, Phase::kCutoverValidated}) {
    INFO(to_string(phase));
    MachineWithMemory machine("local");
    machine.migrate("memory", phase);
    machine.controller.reset();
    machine.memory.lose();
    const absl::Status opened = machine.open();
    INFO(opened);
    REQUIRE(opened.ok());
    CHECK(machine.controller->phase() == Phase::kRolledBack);
    CHECK_THAT(machine.controller->manifest().reason, Catch::Contains("mirror-detached"));
    CHECK(machine.controller->family(Side::kB) == nullptr);
    CHECK(machine.last() == 2);
    CHECK_FALSE(families::exists(machine.dir.fs(), machine.dir.path("memory-g1")).value());
    REQUIRE(machine.append().ok());
    REQUIRE(machine.open().ok());
    CHECK(machine.controller->phase() == Phase::kRolledBack);
    CHECK(machine.last() == 3);
    machine.migrate("memory", Phase::kCutOver);
    CHECK(machine.controller->manifest().generation == 2);
    CHECK(machine.last() == 5);
  }
}

TEST_CASE("a planned restart keeps a volatile family in every role") {
  for (const bool is_target : {true, false}) {
    for (const Phase phase : {Phase::kDualWrite, Phase::kCutOver}) {
      INFO(to_string(phase) << (is_target ? ", target" : ", source"));
      MachineWithMemory machine(is_target ? "local" : "memory");
      machine.migrate(is_target ? "memory" : "local", phase);
      REQUIRE(machine.open().ok());
      CHECK(machine.controller->phase() == phase);
      CHECK(machine.last() == 2);
    }
  }
}

TEST_CASE("a node does not start without its volatile authority, nor without its rollback target") {
  const auto check_refused = [](MachineWithMemory& machine) {
    machine.controller.reset();
    machine.memory.lose();
    for (const bool create : {false, true}) {
      const absl::Status refused = machine.open(create);
      INFO(refused);
      CHECK(absl::IsNotFound(refused));
      CHECK_THAT(std::string(refused.message()), Catch::Contains("lost in a crash"));
    }
  };
  MachineWithMemory plain("memory");
  REQUIRE(plain.open(true).ok());
  check_refused(plain);
  for (const Phase phase : {Phase::kExporting, Phase::kDualWrite, Phase::kCutOver}) {
    INFO(to_string(phase));
    MachineWithMemory source("memory");
    source.migrate("local", phase);
    check_refused(source);
  }
  MachineWithMemory target("local");
  target.migrate("memory", Phase::kCutOver);
  check_refused(target);
}

}  // namespace
}  // namespace qk::migration
