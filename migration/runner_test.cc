// A runner and its host: who is asked for what, and in which order. The host of these tests writes
// down every call, and what it was handed runs when the test says so.
#include "migration/runner.h"

#include <catch2/catch.hpp>

#include "families/builtin.h"
#include "families/contract/family_wrapper.h"
#include "families/fs/fault_file_system.h"
#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/testing/util.h"
#include "migration/stepwise_runner.h"
#include "migration/test_util.h"

namespace qk::migration {
namespace {

using Calls = std::vector<std::string>;

struct Engine {
  size_t pending = 0;  // pieces of background work
  absl::Status result;
};

// SQLite with background work as the test says.
class BusyFamily final : public families::FamilyWrapper {
 public:
  BusyFamily(std::unique_ptr<families::Family> inner, Engine* engine)
      : FamilyWrapper(std::move(inner)), engine_(*engine) {}
  size_t pending_work() const override { return engine_.pending; }
  absl::Status run_one() override {
    --engine_.pending;
    return engine_.result;
  }

 private:
  Engine& engine_;
};

class Host final : public RunnerHost, public RunnerObserver {
 public:
  Calls take_calls() { return std::exchange(calls_, {}); }

  // Runs what was handed over first, or nothing.
  void run_after() { run(&after_); }
  void grant_barrier() { run(&barrier_); }
  void complete() { run(&storage_); }
  void idle() { run(&idle_); }

 private:
  using Callbacks = std::deque<std::function<void()>>;

  static void run(Callbacks* callbacks) {
    REQUIRE_FALSE(callbacks->empty());
    const auto next = std::move(callbacks->front());
    callbacks->pop_front();
    next();
  }
  void note(std::string call, Callbacks* callbacks, std::function<void()> then) {
    calls_.push_back(std::move(call));
    callbacks->push_back(std::move(then));
  }

  void after(int64_t ns, std::function<void()> then) override {
    note(cat("after ", ns), &after_, std::move(then));
  }
  void at_barrier(std::function<void()> then) override {
    note("at_barrier", &barrier_, std::move(then));
  }
  void release_barrier() override { calls_.push_back("release_barrier"); }
  void after_storage(std::function<void()> then) override {
    note("after_storage", &storage_, std::move(then));
  }
  void when_idle(std::function<void()> then) override {
    note("when_idle", &idle_, std::move(then));
  }
  void stop(const absl::Status& why) override {
    calls_.push_back(cat("stop: ", to_std(why.message())));
  }
  void phase_changed(Phase, const Manifest& to) override {
    calls_.push_back(cat("written: ", to_string(to.phase)));
  }
  void cut_compared(int which, const CutRecord&, const Digest&) override {
    calls_.push_back(cat("cut_compared ", which));
  }
  void reconciled(const std::string&) override { calls_.push_back("reconciled"); }
  void export_begun() override { calls_.push_back("export_begun"); }
  void mark_durable(Phase, const Manifest& to) override {
    calls_.push_back(cat("durable: ", to_string(to.phase)));
  }
  void step_begins(bool at_barrier) override {
    calls_.push_back(at_barrier ? "step_begins at_barrier" : "step_begins");
  }
  void background_done(const families::Family&) override { calls_.push_back("background_done"); }
  void step_complete() override { calls_.push_back("step_complete"); }
  void storage_used() override { calls_.push_back("storage_used"); }

  Calls calls_;
  Callbacks after_;
  Callbacks barrier_;
  Callbacks storage_;
  Callbacks idle_;
};

struct Node {
  families::PosixFileSystem disk;
  families::FaultFileSystem fs{&disk};
  families::TempDirectory directory;
  families::VolatileMemory memory{1};
  Engine engine;
  families::Registry registry = families::builtin_families(&memory);
  uint64_t ids = 0;
  int64_t clock = 0;
  int64_t tick = 1;  // what each look at the clock takes
  Host host;
  std::unique_ptr<Runner> runner;

  // Idle, with one entry on family "busy".
  Node() {
    families::FamilyDescriptor busy = **registry.get("sqlite");
    busy.name = "busy";
    busy.open = [this, open = busy.open](const families::OpenRequest& request)
        -> absl::StatusOr<std::unique_ptr<families::Family>> {
      QK_ASSIGN_OR_RETURN(auto inner, open(request));
      return std::make_unique<BusyFamily>(std::move(inner), &engine);
    };
    registry.add(std::move(busy));
    open(true);
    runner->start();
    append();
    CHECK(host.take_calls().empty());
  }

  ControllerOptions options(bool create) {
    ControllerOptions options = test_options(&fs, &registry, directory.path(), "busy");
    options.create = create;
    options.now = [this] { return clock += tick; };
    options.random = [this] { return ++ids; };
    options.max_queued = 2;
    options.max_attempts = 2;
    return options;
  }
  void open(bool create) {
    runner.reset();
    auto opened = Runner::open(options(create), &host, &host);
    REQUIRE_OK(opened);
    runner = *std::move(opened);
  }
  void append() {
    auto& driver = runner->controller().driver();
    const int64_t next = driver.authority().log().last_index() + 1;
    REQUIRE_OK(driver.apply(families::Mutation::append({families::data_entry(next, 1, "x")})));
  }
  MigrationRequest request() {
    MigrationRequest request;
    request.family = "local";
    request.fresh_mutations = 10;
    request.fresh_time_ns = 1'000'000;
    return request;
  }
  void request_start() { REQUIRE_OK(runner->controller().request_start(request())); }
  // Up to the first pause: the cut of the export is taken.
  void begin() {
    request_start();
    runner->pump();
    host.complete();
    host.grant_barrier();
    host.complete();
    host.take_calls();
  }
  std::string pause() { return cat("after ", runner->controller().pause_ns()); }
};

TEST_CASE(
    "runner: the mark of a request is told when it is durable; the first step has a barrier") {
  Node node;
  node.request_start();
  node.runner->pump();
  CHECK(node.host.take_calls() == Calls{"written: exporting", "after_storage", "at_barrier"});
  node.runner->pump();
  CHECK(node.host.take_calls().empty());
  node.host.complete();
  CHECK(node.host.take_calls() == Calls{"durable: exporting"});
  node.host.grant_barrier();
  CHECK(node.host.take_calls() ==
        Calls{"step_begins at_barrier", "export_begun", "storage_used", "after_storage"});
  node.runner->pump();
  CHECK(node.host.take_calls().empty());
  node.host.complete();
  CHECK(node.host.take_calls() == Calls{"step_complete", "release_barrier", node.pause()});
}

TEST_CASE("runner: a step is followed by what it marked, then by a pause as long as it took") {
  Node node;
  node.begin();
  node.tick = 1000;
  node.host.run_after();
  CHECK(node.host.take_calls() ==
        Calls{"step_begins", "written: bootstrapping", "storage_used", "after_storage"});
  node.host.complete();
  CHECK(node.runner->controller().pause_ns() >= 1000);
  CHECK(node.host.take_calls() == Calls{"durable: bootstrapping", "step_complete", node.pause()});
}

TEST_CASE("runner: a migration ends where it needs nothing, and goes on with the next request") {
  Node node;
  node.begin();
  while (node.runner->controller().phase() < Phase::kValidated) {
    node.host.take_calls();
    node.host.run_after();
    node.host.complete();
  }
  CHECK(node.host.take_calls() == Calls{"step_begins", "cut_compared 1", "written: validated",
                                        "storage_used", "after_storage", "durable: validated",
                                        "step_complete", "at_barrier"});
  node.host.grant_barrier();
  node.host.complete();
  CHECK(node.host.take_calls() == Calls{"step_begins at_barrier", "written: dual-write",
                                        "storage_used", "after_storage", "durable: dual-write",
                                        "step_complete", "release_barrier"});
  node.runner->pump();
  CHECK(node.host.take_calls().empty());
  REQUIRE_OK(node.runner->controller().request_validation());
  node.runner->pump();
  CHECK(node.host.take_calls() == Calls{"at_barrier"});
}

TEST_CASE("runner: what a start reconciled is told") {
  Node node;
  node.begin();
  while (node.runner->controller().phase() < Phase::kValidated) {
    node.host.run_after();
    node.host.complete();
  }
  node.host.grant_barrier();
  // Sooner or later the disk fails between the primary and the mirror.
  Calls calls;
  for (uint64_t call = 1; calls.empty(); ++call) {
    REQUIRE(call < 100);
    node.open(false);
    auto& driver = node.runner->controller().driver();
    const int64_t next = driver.authority().log().last_index() + 1;
    node.fs.fail_at(call, {.lasts = true});
    (void)driver.apply(families::Mutation::append({families::data_entry(next, 1, "x")}));
    node.fs.fail_at(0);
    node.host.take_calls();
    node.open(false);
    calls = node.host.take_calls();
  }
  CHECK(calls == Calls{"reconciled"});
}

TEST_CASE("runner: an error of a step stops the node when the step is complete, and nothing more") {
  for (const bool at_barrier : {true, false}) {
    CAPTURE(at_barrier);
    Node node;
    node.begin();
    if (at_barrier) {
      REQUIRE_OK(node.runner->controller().request_rollback("changed our mind"));
      node.host.run_after();
      CHECK(node.host.take_calls() == Calls{"at_barrier"});
    }
    node.engine.pending = 1;
    node.fs.fail_at(1, {.lasts = true});
    at_barrier ? node.host.grant_barrier() : node.host.run_after();
    CHECK(node.host.take_calls() == Calls{at_barrier ? "step_begins at_barrier" : "step_begins",
                                          "storage_used", "when_idle", "after_storage"});
    node.host.complete();
    const Calls stop = node.host.take_calls();
    REQUIRE(stop.size() == 1);
    CHECK_THAT(stop[0], Catch::StartsWith("stop: ") && Catch::Contains("injected"));
    node.host.idle();
    node.runner->pump();
    CHECK(node.host.take_calls().empty());
    CHECK(node.engine.pending == 1);
  }
}

TEST_CASE("runner: a request that fails in its mark stops the node") {
  Node node;
  node.fs.fail_at(1);
  CHECK_FALSE(node.runner->controller().request_start(node.request()).ok());
  node.runner->pump();
  const Calls calls = node.host.take_calls();
  REQUIRE(calls.size() == 1);
  CHECK_THAT(calls[0], Catch::StartsWith("stop: ") && Catch::Contains("injected"));
  node.runner->pump();
  CHECK(node.host.take_calls().empty());
}

TEST_CASE("runner: background work goes on one piece at a time, also while a step is under way") {
  Node node;
  node.begin();
  node.engine.pending = 3;
  node.runner->pump();
  node.runner->pump();
  CHECK(node.host.take_calls() == Calls{"when_idle"});
  node.host.idle();
  CHECK(node.engine.pending == 2);
  CHECK(node.host.take_calls() == Calls{"background_done", "storage_used", "when_idle"});
  node.host.run_after();
  node.host.take_calls();
  node.host.idle();
  CHECK(node.engine.pending == 1);
  CHECK(node.host.take_calls() == Calls{"background_done", "storage_used", "when_idle"});
  // Somebody else did it, or its family was closed.
  node.engine.pending = 0;
  node.host.idle();
  CHECK(node.engine.pending == 0);
  CHECK(node.host.take_calls().empty());
}

TEST_CASE("runner: an error of background work stops the node at once") {
  Node node;
  node.engine = {2, absl::DataLossError("a page is damaged")};
  node.runner->pump();
  node.host.idle();
  CHECK(node.host.take_calls() == Calls{"when_idle", "stop: a page is damaged"});
  node.runner->pump();
  CHECK(node.host.take_calls().empty());
}

TEST_CASE("runner: a request in a pause gets the barrier that its step needs") {
  Node node;
  node.begin();
  REQUIRE_OK(node.runner->controller().request_rollback("changed our mind"));
  node.runner->pump();
  CHECK(node.host.take_calls().empty());
  node.host.run_after();
  CHECK(node.host.take_calls() == Calls{"at_barrier"});
  node.host.grant_barrier();
  node.host.complete();
  CHECK(node.host.take_calls() == Calls{"step_begins at_barrier", "written: rolled-back",
                                        "storage_used", "after_storage", "durable: rolled-back",
                                        "step_complete", "release_barrier"});
}

TEST_CASE("runner: a mark written while a step completes waits for its own turn") {
  Node node;
  node.begin();
  // The queue overflows twice: the second time the step gives up, without a barrier.
  while (node.runner->controller().phase() != Phase::kRolledBack) {
    for (int i = 0; i < 3; ++i) node.append();
    node.host.run_after();
    if (node.runner->controller().phase() == Phase::kRolledBack) break;
    node.host.complete();
    node.host.grant_barrier();
    node.host.complete();
  }
  node.host.take_calls();
  node.request_start();
  node.runner->pump();
  CHECK(node.host.take_calls() == Calls{"written: exporting", "after_storage"});
  node.host.complete();
  CHECK(node.host.take_calls() == Calls{"durable: rolled-back", "step_complete", "at_barrier"});
  node.host.complete();
  CHECK(node.host.take_calls() == Calls{"durable: exporting"});
}

TEST_CASE("runner: nothing begins after a stop; what is complete is still told") {
  Node node;
  node.begin();
  node.host.run_after();
  node.host.take_calls();
  node.engine.pending = 1;
  node.runner->stop();
  node.host.complete();
  CHECK(node.host.take_calls() == Calls{"durable: bootstrapping", "step_complete"});

  for (const bool at_barrier : {true, false}) {
    CAPTURE(at_barrier);
    Node waiting;
    waiting.request_start();
    waiting.runner->pump();
    waiting.host.complete();
    if (!at_barrier) {
      waiting.host.grant_barrier();
      waiting.host.complete();
    }
    waiting.host.take_calls();
    waiting.runner->stop();
    at_barrier ? waiting.host.grant_barrier() : waiting.host.run_after();
    CHECK(waiting.host.take_calls().empty());
  }
}

TEST_CASE("runner: between open and start there is background work alone") {
  Node node;
  node.begin();
  node.open(false);
  CHECK(node.host.take_calls() == Calls{"written: exporting"});
  node.engine.pending = 1;
  node.runner->pump();
  CHECK(node.host.take_calls() == Calls{"when_idle"});
  node.host.idle();
  CHECK(node.engine.pending == 0);
  CHECK(node.host.take_calls() == Calls{"background_done", "storage_used"});
  node.runner->start();
  CHECK(node.host.take_calls() == Calls{"durable: exporting"});
  node.runner->pump();
  CHECK(node.host.take_calls() == Calls{"at_barrier"});
}

TEST_CASE("stepwise runner: the next step is the one that the last request asks for") {
  Node node;
  node.runner.reset();
  auto opened = StepwiseRunner::open(node.options(false));
  REQUIRE_OK(opened);
  StepwiseRunner& stepwise = **opened;
  CHECK_FALSE(stepwise.step().value());
  REQUIRE_OK(stepwise.controller().request_start(node.request()));
  CHECK(stepwise.step().value());
  CHECK(stepwise.controller().phase() == Phase::kExporting);
  REQUIRE_OK(stepwise.controller().request_rollback("changed our mind"));
  CHECK(stepwise.step().value());
  CHECK(stepwise.controller().phase() == Phase::kRolledBack);
  CHECK_FALSE(stepwise.step().value());
}

TEST_CASE("stepwise runner: errors come back from the call, and last") {
  Node node;
  node.runner.reset();
  auto opened = StepwiseRunner::open(node.options(false));
  REQUIRE_OK(opened);
  StepwiseRunner& stepwise = **opened;
  node.engine.pending = 2;
  CHECK(stepwise.run_background().value());
  CHECK(stepwise.run_background().value());
  CHECK_FALSE(stepwise.run_background().value());
  CHECK(stepwise.failure().ok());
  node.engine = {2, absl::DataLossError("a page is damaged")};
  CHECK(absl::IsDataLoss(stepwise.run_background().status()));
  CHECK(node.engine.pending == 1);
  CHECK(absl::IsDataLoss(stepwise.run_background().status()));
  CHECK(absl::IsDataLoss(stepwise.step().status()));
  CHECK(absl::IsDataLoss(stepwise.failure()));
  CHECK(node.engine.pending == 1);
}

}  // namespace
}  // namespace qk::migration
