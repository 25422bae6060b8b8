// A family on a key-value engine, for what is of the engine's store: its root, its bulk loads, its
// errors, its background work. The contract's general rules are conformance's, on the engines of
// this build. Damage: kv_damage_test.cc; failing calls:
// kv_fault_test.cc; crashes: conformance/crash_checks.cc, with the engines of this build.
#include "families/engine/test_util.h"

namespace qk::families {
namespace {

using Kind = Outcome::Kind;

constexpr char kFresh[] = "log 1..0\nterm 1 vote \nno snapshot\n";

TEST_CASE("an absent instance is made only on demand, an unfinished one is absent") {
  KvInstance instance;
  instance.close();
  REQUIRE_OK(remove_tree(instance.fs, instance.root));
  CHECK(absl::IsNotFound(instance.open()));
  CHECK_FALSE(*exists(instance.fs, instance.root));
  for (const char* left : {"/db.new/FORMAT", "/db.new/other/file"}) {
    const std::string path = cat(instance.root, left);
    REQUIRE_OK(make_directories(instance.fs, parent_path(path)));
    REQUIRE_OK(write_file(instance.fs, path, "x"));
  }
  CHECK(absl::IsNotFound(instance.open()));
  REQUIRE_OK(instance.open(true));
  CHECK(instance.state() == kFresh);
  const FamilyDescriptor descriptor = kv_family_descriptor("test");
  const std::vector<std::string> names = *instance.fs.list(instance.root);
  CHECK(names == std::vector<std::string>{"db", "db.lock", "db.mark", "snapshot"});
  for (const std::string& name : names) {
    CHECK(std::count(descriptor.root_names.begin(), descriptor.root_names.end(), name) == 1);
  }
}

TEST_CASE("one instance at a time") {
  KvInstance instance;
  const auto second =
      open_kv_family({.fs = &instance.fs, .root = instance.root, .create = true, .options = {}},
                     "test", TestKvEngine::opener(&instance.control));
  CHECK(absl::IsUnavailable(second.status()));
}

TEST_CASE("entries of every kind and size come back as they went in") {
  KvInstance instance;
  REQUIRE_OK(instance.log().reset((int64_t{1} << 40) - 2));
  LogEntry no_op;
  no_op.index = instance.log().first_index();
  no_op.term = 1;
  no_op.type = EntryType::kNoOp;
  LogEntry configuration;
  configuration.index = no_op.index + 1;
  configuration.term = 1;
  configuration.type = EntryType::kConfiguration;
  configuration.payload = encode_configuration({{"127.0.0.1:8100:0:0"}, {"127.0.0.1:8101:0:0"}});
  const int64_t term = int64_t{1} << 62;
  const std::vector<LogEntry> all = {no_op, configuration,
                                     data_entry(no_op.index + 2, term, std::string(5000, '\0')),
                                     data_entry(no_op.index + 3, term, std::string(3'000'000, 'z')),
                                     data_entry(no_op.index + 4, term, "")};
  REQUIRE_OK(instance.log().append(all));
  REQUIRE_OK(instance.open());
  std::vector<LogEntry> found;
  REQUIRE_OK(instance.log().scan(no_op.index, no_op.index + 4, [&](const LogEntry& e) {
    CHECK(*instance.log().entry(e.index) == e);
    found.push_back(e);
    return absl::OkStatus();
  }));
  CHECK(found == all);
}

TEST_CASE("a snapshot is published, replaced, and held by its reader") {
  KvInstance instance;
  REQUIRE_OK(publish_snapshot(*instance, 5, 2, {{"data", "five"}, {"d/e", ""}}));
  CHECK(instance.state() ==
        "log 1..0\nterm 1 vote \nsnapshot 5 2 127.0.0.1:8100:0:0 / \n"
        "d/e [-|-1|-] \ndata [-|-1|-] five\n");
  CHECK(publish_snapshot(*instance, 5, 2, {{"data", "other"}}).count() == 0);
  CHECK(publish_snapshot(*instance, 4, 2, {}).kind() == Kind::kFailedClean);
  std::shared_ptr<SnapshotReader> held = *instance->snapshot().open();
  REQUIRE_OK(publish_snapshot(*instance, 6, 2, {{"data", "six"}}));
  CHECK(*read_file(instance.fs, cat(held->get_path(), "/data"), 100) == "five");
  held.reset();
  CHECK(instance.fs.list(cat(instance.root, "/snapshot"))->size() == 1);
  CHECK(instance.state().find("six") != std::string::npos);
}

TEST_CASE("a bulk load fills a fresh log through the engine's loader") {
  KvInstance appended;
  REQUIRE_OK(appended.log().reset(1000));
  REQUIRE_OK(appended.log().append(data_entries(1000, 1999, 7)));
  KvInstance loaded;
  {
    absl::StatusOr<std::unique_ptr<LogLoader>> loader = loaded.log().bulk_load(1000);
    REQUIRE_OK(loader);
    for (int64_t i = 1000; i < 2000; i += 100) {
      REQUIRE_OK((*loader)->append(data_entries(i, i + 99, 7)));
    }
    CHECK(absl::IsInvalidArgument((*loader)->append(data_entries(1999, 1999, 7))));
    REQUIRE_OK((*loader)->finish());
  }
  CHECK(loaded.control.loads == 1);
  CHECK(loaded.log().last_index() == 1999);
  CHECK(loaded.state() == appended.state());
  REQUIRE_OK(loaded.log().append(data_entries(2000, 2000, 7)));
  CHECK(loaded.log().bulk_load(1).status().code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("a load that fails ends the instance's mutations") {
  KvInstance instance;
  absl::StatusOr<std::unique_ptr<LogLoader>> loader = instance.log().bulk_load(1);
  REQUIRE_OK(loader);
  REQUIRE_OK((*loader)->append(data_entries(1, 3, 1)));
  instance.control.load_error = absl::DataLossError("torn");
  CHECK(absl::IsDataLoss((*loader)->finish()));
  instance.control.load_error = absl::OkStatus();
  CHECK_FALSE((*loader)->finish().ok());
  CHECK_FALSE((*loader)->append(data_entries(4, 4, 1)).ok());
  CHECK(instance.log().last_index() == 0);
  CHECK(instance.log().append(data_entries(1, 1, 1)).kind() == Kind::kFailedClean);
}

TEST_CASE("a load that is not finished ends the instance's mutations") {
  KvInstance instance;
  absl::StatusOr<std::unique_ptr<LogLoader>> loader = instance.log().bulk_load(1);
  REQUIRE_OK(loader);
  REQUIRE_OK((*loader)->append(data_entries(1, 3, 1)));
  loader->reset();
  CHECK(instance.log().append(data_entries(1, 1, 1)).kind() == Kind::kFailedClean);
  CHECK(instance->meta().save({9, ""}).kind() == Kind::kFailedClean);
}

TEST_CASE("any error of the engine ends the instance's mutations, and reads go on") {
  KvInstance instance;
  REQUIRE_OK(instance.log().append(data_entries(1, 3, 2)));
  const std::string before = *describe(*instance);
  TestKvControl& control = instance.control;
  SECTION("of a commit") {
    control.commit_error = absl::DataLossError("no disk");
    CHECK(instance.log().append(data_entries(4, 4, 2)).kind() == Kind::kIndeterminate);
  }
  SECTION("of a commit of meta") {
    control.commit_error = absl::DataLossError("no disk");
    CHECK(instance->meta().save({9, ""}).kind() == Kind::kIndeterminate);
  }
  SECTION("of a commit of a snapshot") {
    control.commit_error = absl::DataLossError("no disk");
    CHECK(publish_snapshot(*instance, 1, 1, {{"a", "b"}}).kind() == Kind::kIndeterminate);
  }
  SECTION("of the read in a truncation") {
    control.read_error = absl::DataLossError("no disk");
    CHECK(instance.log().truncate_prefix(2).kind() == Kind::kIndeterminate);
    control.read_error = absl::OkStatus();
  }
  SECTION("of background work") {
    control.pending = 2;
    control.work_error = absl::DataLossError("no disk");
    CHECK(absl::IsDataLoss(instance->run_one()));
  }
  control.commit_error = absl::OkStatus();
  CHECK(*describe(*instance) == before);
  CHECK(instance.log().append(data_entries(4, 4, 2)).kind() == Kind::kFailedClean);
  CHECK(instance.log().truncate_suffix(2).kind() == Kind::kFailedClean);
  CHECK(instance.log().truncate_prefix(2).kind() == Kind::kFailedClean);
  CHECK(instance.log().reset(2).kind() == Kind::kFailedClean);
  CHECK(instance->meta().save({9, ""}).kind() == Kind::kFailedClean);
  CHECK_FALSE(instance->snapshot().create().ok());
  REQUIRE_OK(instance.open());
  REQUIRE_OK(instance.log().append(data_entries(4, 4, 2)));
}

TEST_CASE("an error of reading is that error, never a missing row") {
  KvInstance instance;
  REQUIRE_OK(instance.log().append(data_entries(1, 3, 2)));
  instance.control.read_error = absl::AbortedError("off");
  CHECK(absl::IsAborted(instance.log().entry(2).status()));
  CHECK(absl::IsAborted(instance.log().term(2).status()));
  CHECK(
      absl::IsAborted(instance.log().scan(1, 3, [](const LogEntry&) { return absl::OkStatus(); })));
  CHECK(absl::IsAborted(instance.open()));
}

TEST_CASE("background work is the engine's") {
  KvInstance instance;
  CHECK(instance->pending_work() == 0);
  instance.control.pending = 2;
  CHECK(instance->pending_work() == 2);
  REQUIRE_OK(instance->run_one());
  CHECK(instance->pending_work() == 1);
}

}  // namespace
}  // namespace qk::families
