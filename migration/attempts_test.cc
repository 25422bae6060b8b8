// How often a migration is tried: an attempt that can never succeed ends rolled back, whether it
// ends its process every time or not (mig.I14), and the node serves from A all along.
#include <catch2/catch.hpp>

#include "families/builtin.h"
#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "migration/stepwise_runner.h"
#include "migration/test_util.h"

namespace qk::migration {
namespace {

using families::Mutation;

constexpr uint64_t kAttempts = 3;

// "broken" is made like sqlite, but nothing in it ever opens again.
families::Registry with_a_broken_family(families::VolatileMemory* memory) {
  families::Registry registry = families::builtin_families(memory);
  families::FamilyDescriptor broken = **registry.get("sqlite");
  broken.name = "broken";
  broken.open = [](const families::OpenRequest& request)
      -> absl::StatusOr<std::unique_ptr<families::Family>> {
    return absl::DataLossError(cat(request.root, ": damaged"));
  };
  registry.add(std::move(broken));
  return registry;
}

struct Node {
  families::PosixFileSystem fs;
  families::TempDirectory directory;
  families::VolatileMemory memory{1};
  families::Registry registry = with_a_broken_family(&memory);
  uint64_t ids = 0;
  std::unique_ptr<StepwiseRunner> runner;
  Controller* controller = nullptr;

  Node() {
    open(true);
    append();
  }

  void open(bool create = false) {
    runner.reset();
    ControllerOptions options = test_options(&fs, &registry, directory.path());
    options.create = create;
    options.random = [this] { return ++ids; };
    options.max_attempts = kAttempts;
    auto opened = StepwiseRunner::open(options);
    INFO(opened.status());
    REQUIRE(opened.ok());
    runner = *std::move(opened);
    controller = &runner->controller();
  }

  std::string path(std::string_view name) const {
    return families::join_path(directory.path(), name);
  }
  void append() {
    const auto outcome = controller->driver().apply(
        Mutation::append({{last() + 1, 1, families::EntryType::kData, "payload"}}));
    REQUIRE(outcome.ok());
  }
  int64_t last() { return controller->driver().authority().log().last_index(); }

  void start(const std::string& to) {
    MigrationRequest request;
    request.family = to;
    request.fresh_mutations = 10;
    request.fresh_time_ns = 10;
    REQUIRE(controller->request_start(request).ok());
  }
  // Until it needs nothing; the error of a step, which ends the process.
  absl::Status run() {
    absl::StatusOr<bool> stepped = true;
    while (stepped.ok() && *stepped) stepped = runner->step();
    return stepped.status();
  }
  void expect_rolled_back() {
    CHECK(controller->phase() == Phase::kRolledBack);
    CHECK_THAT(controller->manifest().reason, Catch::Contains("gave up after 3 exports"));
    CHECK_FALSE(families::exists(fs, controller->manifest().b.root).value());
    CHECK_FALSE(families::exists(fs, controller->image_file()).value());
  }
};

TEST_CASE("a target that never opens is given up after so many processes") {
  Node node;
  node.start("broken");
  uint64_t processes = 0;
  while (node.controller->phase() != Phase::kRolledBack) {
    ++processes;
    REQUIRE(processes <= kAttempts);
    const absl::Status failed = node.run();
    CHECK_FALSE(failed.ok());
    node.open();
    node.append();
  }
  CHECK(processes == kAttempts);
  node.expect_rolled_back();
  CHECK(node.last() == 1 + static_cast<int64_t>(kAttempts));

  // For good; and the way to another family is open.
  node.open();
  node.expect_rolled_back();
  node.start("sqlite");
  CHECK(node.controller->manifest().attempts == 0);
  REQUIRE(node.run().ok());
  CHECK(node.controller->phase() == Phase::kDualWrite);
}

TEST_CASE("restarts before the dual write count, wherever they come") {
  for (const Phase phase : {Phase::kExporting, Phase::kBootstrapping, Phase::kValidated}) {
    INFO(to_string(phase));
    Node node;
    node.start("sqlite");
    for (uint64_t restart = 1; restart <= kAttempts; ++restart) {
      while (node.controller->phase() != phase) REQUIRE(node.runner->step().value());
      node.open();
      CHECK((node.controller->phase() == Phase::kRolledBack) == (restart == kAttempts));
    }
    node.expect_rolled_back();
    CHECK(node.last() == 1);
  }
}

// An installed snapshot is published before the log that it contradicts is dropped, and a barrier
// may come in between.
TEST_CASE("a cut between an install's snapshot and its reset is taken again") {
  Node node;
  auto writer = node.controller->driver().create_snapshot();
  REQUIRE(writer.ok());
  REQUIRE((*writer)->save_meta({1, 4, {}, {}}).ok());
  REQUIRE(node.controller->driver().apply(Mutation::save_meta({4, ""})).ok());
  REQUIRE(node.controller->driver().apply(Mutation::publish(std::move(*writer))).ok());
  node.start("sqlite");
  while (node.controller->manifest().attempts == 0) {
    REQUIRE(node.controller->phase() == Phase::kExporting);
    REQUIRE(node.runner->step().value());
  }
  CHECK(node.controller->phase() == Phase::kExporting);
  REQUIRE(node.controller->driver().apply(Mutation::reset(2)).ok());
  REQUIRE(node.run().ok());
  CHECK(node.controller->phase() == Phase::kDualWrite);
  CHECK(node.controller->manifest().attempts == 1);
}

TEST_CASE("the last attempt may still succeed") {
  Node node;
  node.start("sqlite");
  for (uint64_t restart = 1; restart < kAttempts; ++restart) node.open();
  REQUIRE(node.run().ok());
  CHECK(node.controller->phase() == Phase::kDualWrite);
}

}  // namespace
}  // namespace qk::migration
