// The cluster guard, the fence, and what a controller refuses: requests, weak pairs, a node whose
// memory is gone.
#include <catch2/catch.hpp>

#include "families/builtin.h"
#include "families/fs/file_util.h"
#include "migration/cluster_guard.h"
#include "migration/controller.h"
#include "migration/fence.h"
#include "migration/test_util.h"

namespace qk::migration {
namespace {

using families::Mutation;

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
