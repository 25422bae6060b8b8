// How a simulated node runs the background work of its engines: a cluster of one node on a family
// whose jobs are its test's. Each entry that is appended leaves one job behind, and a job writes to
// the disk.
#include <catch2/catch.hpp>
#include <deque>
#include <map>

#include "families/builtin.h"
#include "families/fs/file_util.h"
#include "sim/cluster/node.h"

namespace qk::sim {
namespace {

using families::Family;
using families::LogEntry;
using families::Outcome;

struct JobRun {
  int instance = 0;  // counted by opening
  int64_t index = 0;
  Nanos time = 0;
  uint64_t event = 0;
  friend bool operator==(const JobRun&, const JobRun&) = default;
};

struct Jobs {
  std::vector<JobRun> runs;
  int opened = 0;
  int64_t failing = 0;  // the job of this index fails
  const Scheduler* scheduler = nullptr;
};

// Passes everything on; what is appended is queued as jobs.
class JobLog final : public families::LogStorage {
 public:
  JobLog(families::LogStorage* log, std::deque<int64_t>* queue) : log_(*log), queue_(*queue) {}

  int64_t first_index() const override { return log_.first_index(); }
  int64_t last_index() const override { return log_.last_index(); }
  absl::StatusOr<LogEntry> entry(int64_t index) override { return log_.entry(index); }
  absl::StatusOr<int64_t> term(int64_t index) override { return log_.term(index); }
  absl::Status scan(int64_t from, int64_t to, const Visitor& visit) override {
    return log_.scan(from, to, visit);
  }
  Outcome append(std::span<const LogEntry> entries) override {
    Outcome outcome = log_.append(entries);
    if (outcome.ok()) {
      for (const LogEntry& entry : entries) queue_.push_back(entry.index);
    }
    return outcome;
  }
  Outcome truncate_prefix(int64_t first_kept) override { return log_.truncate_prefix(first_kept); }
  Outcome truncate_suffix(int64_t last_kept) override { return log_.truncate_suffix(last_kept); }
  Outcome reset(int64_t next_index) override { return log_.reset(next_index); }

 private:
  families::LogStorage& log_;
  std::deque<int64_t>& queue_;
};

class JobFamily final : public Family {
 public:
  JobFamily(std::unique_ptr<Family> inner, Jobs* jobs, families::OpenRequest request)
      : inner_(std::move(inner)),
        log_(&inner_->log(), &queue_),
        jobs_(*jobs),
        instance_(++jobs->opened),
        request_(std::move(request)) {}

  families::LogStorage& log() override { return log_; }
  families::MetaStorage& meta() override { return inner_->meta(); }
  families::SnapshotStorage& snapshot() override { return inner_->snapshot(); }
  size_t pending_work() const override { return queue_.size(); }
  absl::Status run_one() override {
    const int64_t index = queue_.front();
    queue_.pop_front();
    jobs_.runs.push_back({instance_, index, jobs_.scheduler->now(), jobs_.scheduler->executed()});
    if (index == jobs_.failing) return absl::DataLossError("the job failed");
    return families::write_file(*request_.fs, families::join_path(request_.root, "job"), "done");
  }

 private:
  const std::unique_ptr<Family> inner_;
  std::deque<int64_t> queue_;
  JobLog log_;
  Jobs& jobs_;
  const int instance_;
  const families::OpenRequest request_;
};

class OneNode final : private ClusterEvents {
 public:
  ~OneNode() { CHECK(found.empty()); }
  OneNode() : plan_(make_plan()) {
    jobs.scheduler = &scheduler;
    World world;
    world.plan = &plan_;
    world.scheduler = &scheduler;
    world.trace = &trace_;
    world.network = &network_;
    world.checker = &checker_;
    world.events = this;
    world.elections = &elections_;
    world.acks = &acks_;
    world.reach = &reach_;
    checker_.set_peers({plan_.cluster.nodes[0].peer});
    world.registry_of = [this](families::VolatileMemory* memory) {
      families::Registry registry = families::builtin_families(memory);
      families::FamilyDescriptor family = **registry.get("local");
      family.name = "jobs";
      family.open =
          [this, open = family.open](
              const families::OpenRequest& request) -> absl::StatusOr<std::unique_ptr<Family>> {
        QK_ASSIGN_OR_RETURN(auto inner, open(request));
        return std::make_unique<JobFamily>(std::move(inner), &jobs, request);
      };
      registry.add(std::move(family));
      return registry;
    };
    node_ = std::make_unique<SimNode>(world, 1, plan_.cluster.nodes[0]);
    node_->boot_first();
    run_until_leader();
    settle();
    jobs.runs.clear();
  }

  void run_until_leader() {
    while (!node_->leads()) REQUIRE(scheduler.run_next());
  }
  // Long enough for everything that was issued, far too short for a restart.
  void settle() { scheduler.run_until(scheduler.now() + 200 * kMillisecond); }
  // Runs events until so many jobs have run, no two of them in one event, and each when the disk
  // has done what was issued before.
  void run_jobs(size_t count) {
    while (jobs.runs.size() < count) {
      const size_t before = jobs.runs.size();
      const Nanos quiet_at = node_->disk().busy_until();
      REQUIRE(scheduler.run_next());
      if (jobs.runs.size() == before) continue;
      REQUIRE(jobs.runs.size() == before + 1);
      REQUIRE(scheduler.now() >= quiet_at);
      REQUIRE(node_->disk().busy_until() > scheduler.now());  // the job takes its time
    }
  }
  void propose(int count) {
    for (int i = 0; i < count; ++i) node_->propose("payload", [](const auto&) {});
  }
  SimNode& node() { return *node_; }
  std::vector<std::string> stops() const {
    std::vector<std::string> texts;
    for (const Mark& mark : trace_.marks()) {
      if (mark.event.kind == EventKind::kNodeStop) texts.push_back(mark.text);
    }
    return texts;
  }

  Jobs jobs;
  Scheduler scheduler;
  std::vector<Finding> found;

 private:
  static Plan make_plan() {
    Plan plan;
    plan.seed = 7;
    plan.stores = {{"s", "jobs", {}}};
    ClusterPlan& cluster = plan.cluster;
    cluster.group = "qksim";
    cluster.nodes = {{"n1", "127.0.0.1:8300:0:0", "s", std::nullopt, std::nullopt}};
    cluster.election_timeout = {150 * kMillisecond, 300 * kMillisecond};
    cluster.heartbeat = 50 * kMillisecond;
    cluster.disk.write_latency = {50 * kMicrosecond, 500 * kMicrosecond};
    cluster.disk.sync_latency = {200 * kMicrosecond, 5 * kMillisecond};
    cluster.operator_restart_after = kSecond;
    return plan;
  }

  void phase_entered(SimNode&, PhaseCode, PhaseCode) override {}
  void migration_progressed(SimNode&) override {}
  void disk_advanced(SimNode&) override {}
  void commit_advanced(SimNode&, int64_t, int64_t) override {}

  const Plan plan_;
  Trace trace_{&scheduler, {0, 7, {"n1"}}, TraceLevel::kMarks};
  Network network_{&scheduler, &trace_, 7, {}};
  ElectionWatch elections_;
  AckWatch acks_;
  Reach reach_{1};
  Checker checker_{{"n1"}, [this](const Finding& finding) { found.push_back(finding); }};
  std::unique_ptr<SimNode> node_;
};

TEST_CASE("background: one job per event, in order, each when the disk has done what came before") {
  OneNode one;
  one.propose(5);
  one.run_jobs(5);
  for (size_t i = 1; i < one.jobs.runs.size(); ++i) {
    CHECK(one.jobs.runs[i].index == one.jobs.runs[i - 1].index + 1);
    CHECK(one.jobs.runs[i].event > one.jobs.runs[i - 1].event);
  }
  one.settle();
  CHECK(one.jobs.runs.size() == 5);
  CHECK(one.stops().empty());
}

TEST_CASE("background: the same run twice has the same jobs at the same times") {
  const auto run = [] {
    OneNode one;
    one.propose(3);
    one.settle();
    one.propose(2);
    one.settle();
    return one.jobs.runs;
  };
  const std::vector<JobRun> first = run();
  CHECK(first.size() == 5);
  CHECK(run() == first);
}

TEST_CASE("background: a crash takes the jobs that were due, and the next process runs its own") {
  OneNode one;
  one.propose(5);
  one.run_jobs(2);
  const std::vector<JobRun> before = one.jobs.runs;
  one.node().crash({"n1", 300 * kMillisecond, CrashLoss::kKeepAll}, false, [](const auto&) {});
  one.settle();
  CHECK(one.jobs.runs == before);
  one.run_until_leader();
  one.propose(1);
  one.settle();
  REQUIRE(one.jobs.runs.size() > before.size());
  for (size_t i = before.size(); i < one.jobs.runs.size(); ++i) {
    CHECK(one.jobs.runs[i].instance > before.back().instance);
    CHECK(one.jobs.runs[i].index > before.back().index + 3);  // entries of before leave no new job
  }
}

TEST_CASE("background: what was due when the process died does not hurry the next one") {
  constexpr uint32_t kSlow = 2000;
  OneNode one;
  one.node().slow_disk(kSlow);
  one.propose(3);
  one.run_jobs(2);
  REQUIRE(one.node().controller()->busy_family() != nullptr);
  const Nanos due = one.node().disk().busy_until();
  one.node().crash({"n1", 10 * kMillisecond, CrashLoss::kKeepAll}, false, [](const auto&) {});
  one.node().slow_disk(1);
  one.settle();
  one.run_until_leader();
  REQUIRE(one.scheduler.now() < due);
  one.scheduler.run_until(due - 1);
  const size_t before = one.jobs.runs.size();
  one.node().slow_disk(kSlow);
  one.propose(2);
  REQUIRE(one.node().disk().busy_until() > due);
  one.run_jobs(before + 2);
}

TEST_CASE("background: nothing runs from a planned stop on") {
  OneNode one;
  one.propose(5);
  one.run_jobs(1);
  const std::vector<JobRun> before = one.jobs.runs;
  one.node().planned_restart(300 * kMillisecond);
  one.settle();
  CHECK(one.jobs.runs == before);
  one.run_until_leader();
  CHECK(one.node().up());
}

TEST_CASE("background: a job that fails stops the node, which the operator starts again") {
  OneNode one;
  one.propose(5);
  one.run_jobs(1);
  one.jobs.failing = one.jobs.runs.front().index + 1;
  one.settle();
  CHECK(one.jobs.runs.size() == 2);
  CHECK_FALSE(one.node().running());
  CHECK(one.stops() == std::vector<std::string>{"the job failed"});
  REQUIRE(one.found.size() == 1);
  CHECK(one.found[0].oracle == "ora.L12");
  CHECK(one.found[0].actual == "stopped by itself: the job failed");
  one.found.clear();
  one.run_until_leader();
  CHECK(one.node().up());
  CHECK(one.stops().size() == 1);
}

}  // namespace
}  // namespace qk::sim
