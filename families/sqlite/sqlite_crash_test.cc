// The sqlite family under a crash at every disk operation of a fixed history: of its creation, of
// each operation of the contract, of checkpoints, of closing and reopening. After each crash (the
// process dies; the power is cut and nothing, everything, or some of what was not synced survives,
// torn) the store opens, holds the state before or after the operation that was running, and holds
// it still after it is reopened, after another power cut, and after a crash in the recovery itself.
#include <catch2/catch.hpp>
#include <functional>

#include "families/sqlite/engine.h"
#include "families/sqlite/test_util.h"
#include "families/testing/points.h"
#include "sim/disk/crash_sweep.h"
#include "sim/disk/sync_dropping.h"

namespace qk::sim {
namespace {

using families::data_entries;
using families::describe;
using families::Family;
using families::FamilyOptions;
using families::FileSystem;
using families::open_sqlite;
using families::Outcome;
using families::publish_snapshot;
using families::sqlite_reset_for_run;

constexpr char kRoot[] = "/node/root";
constexpr DiskOptions kDisk = {.latency = {10, 10, 100, 100, 1}};

// A machine with one store. Virtual time passes between operations, never inside one.
struct Machine {
  explicit Machine(FamilyOptions options)
      : disk(kDisk, RandomStream(1, "disk")), fs(disk.mount()), options(std::move(options)) {}
  explicit Machine(SimDisk survivor, FamilyOptions options)
      : disk(std::move(survivor)), fs(disk.mount()), options(std::move(options)) {}

  absl::Status open(bool create) {
    family.reset();
    absl::StatusOr<std::unique_ptr<Family>> opened = open_sqlite(*fs, kRoot, create, options);
    QK_RETURN_IF_ERROR(opened.status());
    family = std::move(*opened);
    return absl::OkStatus();
  }
  void settle() { disk.set_now(disk.busy_until()); }
  std::unique_ptr<Machine> fork() const { return std::make_unique<Machine>(disk.fork(), options); }

  SimDisk disk;
  std::unique_ptr<FileSystem> fs;
  FamilyOptions options;
  std::unique_ptr<Family> family;
};
SimDisk& disk_of(Machine& m) { return m.disk; }
CrashReport lose(Machine& m, const Loss& loss, Nanos at) {
  const std::unique_ptr<Choice> choice = loss.choice();
  CrashReport report = m.disk.crash(loss.level, at, *choice);
  m.fs = m.disk.mount();
  return report;
}

struct Step {
  const char* name;
  std::function<absl::Status(Machine&)> run;
};

Step mutation(const char* name, std::function<Outcome(Family&)> run) {
  return {name, [run](Machine& m) { return run(*m.family).status(); }};
}

std::vector<Step> history() {
  std::vector<Step> steps;
  steps.push_back({"create", [](Machine& m) { return m.open(true); }});
  steps.push_back(
      mutation("append 1", [](Family& f) { return f.log().append(data_entries(1, 1, 1)); }));
  steps.push_back(mutation("append 2..9",
                           [](Family& f) { return f.log().append(data_entries(2, 9, 1, 300)); }));
  steps.push_back(mutation("vote", [](Family& f) {
    return f.meta().save({2, "127.0.0.1:8100:0:0"});
  }));
  steps.push_back(mutation(
      "append 10", [](Family& f) { return f.log().append(data_entries(10, 10, 2, 9000)); }));
  steps.push_back(mutation("publish 8", [](Family& f) {
    return publish_snapshot(f, 8, 1, {{"data", "eight"}, {"nested/deep", std::string(5000, 'd')}});
  }));
  steps.push_back(
      mutation("truncate prefix", [](Family& f) { return f.log().truncate_prefix(5); }));
  steps.push_back({"reopen", [](Machine& m) { return m.open(false); }});
  steps.push_back(
      mutation("truncate suffix", [](Family& f) { return f.log().truncate_suffix(8); }));
  steps.push_back(
      mutation("append 9..10", [](Family& f) { return f.log().append(data_entries(9, 10, 3)); }));
  steps.push_back(mutation("publish 9", [](Family& f) {
    return publish_snapshot(f, 9, 3, {{"data", "nine"}});
  }));
  steps.push_back(mutation("term", [](Family& f) { return f.meta().save({7, ""}); }));
  steps.push_back(mutation("reset", [](Family& f) { return f.log().reset(20); }));
  for (int64_t i = 20; i < 24; ++i) {
    steps.push_back(mutation("append to the reset log",
                             [i](Family& f) { return f.log().append(data_entries(i, i, 7)); }));
  }
  steps.push_back({"close", [](Machine& m) { return m.family.reset(), absl::OkStatus(); }});
  steps.push_back({"open again", [](Machine& m) { return m.open(false); }});
  return steps;
}

constexpr char kAbsent[] = "absent";

// The state that the store in `m` recovers to; a store in creation may be absent. Errors fail.
std::string recover(Machine& m) {
  const absl::Status status = m.open(false);
  if (absl::IsNotFound(status)) return kAbsent;
  REQUIRE_OK(status);
  const absl::StatusOr<std::string> state = describe(*m.family);
  REQUIRE_OK(state);
  return *state;
}

struct Expected {
  std::string before;
  std::string after;
  bool allows(const std::string& state) const { return state == before || state == after; }
};

// What was written survives, but files keep the size that was synced, and directories the names.
class WritesOnly final : public Choice {
 public:
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override {
    std::vector<Fate> fates;
    for (const PendingOperation& p : pending) {
      fates.push_back(p.kind == PendingOperation::Kind::kWrite ? Fate::keep() : Fate::drop());
    }
    return fates;
  }
  uint32_t pick(uint32_t n) override { return n - 1; }
};

std::vector<Loss> fixed_power_cuts() {
  return {nothing_survives(), power_cut<KeepAll>("everything survives"),
          power_cut<TornTail>("torn tail"), power_cut<WritesOnly>("writes alone")};
}

// What must hold from a crash on.
class Judge {
 public:
  Judge(Expected expected, bool deep) : expected_(std::move(expected)), deep_(deep) {}

  void judge(const Machine& survivor) const {
    const std::unique_ptr<Machine> m = survivor.fork();
    const std::string state = recover(*m);
    CHECK(expected_.allows(state));
    CHECK(recover(*m) == state);
    m->settle();
    power_cut(*m, state);
    if (!deep_) return;
    serve(survivor, state);
    crash_recovery(survivor);
  }

 private:
  // What was served after an open survives a power cut (ora.L10).
  void power_cut(const Machine& m, const std::string& state) const {
    const std::unique_ptr<Machine> after = m.fork();
    lose(*after, nothing_survives(), after->disk.now());
    CHECK(recover(*after) == state);
  }

  // A recovered store, or one created where there was none, goes on: what it acknowledges is
  // durable.
  void serve(const Machine& survivor, const std::string& state) const {
    const std::unique_ptr<Machine> m = survivor.fork();
    REQUIRE_OK(m->open(state == kAbsent));
    const int64_t next = m->family->log().last_index() + 1;
    REQUIRE_OK(m->family->log().append(data_entries(next, next, 8)));
    const absl::StatusOr<std::string> served = describe(*m->family);
    REQUIRE_OK(served);
    m->settle();
    power_cut(*m, *served);
  }

  void crash_recovery(const Machine& survivor) const {
    CrashSweep<Machine> again;
    again.stops = stops_inside<Machine>([&] { return survivor.fork(); }, recover);
    again.losses = always(fixed_power_cuts());
    again.judge = [&](Machine& left, const CrashPoint& point) {
      INFO("in recovery: " << point.text());
      CHECK(expected_.allows(recover(left)));
    };
    sweep_crashes(again);
  }

  const Expected expected_;
  const bool deep_;
};

// The states between the steps, when nothing crashes. `absent` before the first.
std::vector<std::string> clean_states(const FamilyOptions& options) {
  sqlite_reset_for_run(1);
  Machine m(options);
  std::vector<std::string> states = {kAbsent};
  for (const Step& step : history()) {
    CAPTURE(step.name);
    REQUIRE_OK(step.run(m));
    const absl::StatusOr<std::string> state =
        m.family == nullptr ? states.back() : describe(*m.family);
    REQUIRE_OK(state);
    states.push_back(*state);
    m.settle();
  }
  return states;
}

// Runs the history until the pinned operation was issued; returns the number of the step in which
// it was.
size_t run_history(Machine& m, const std::vector<Step>& steps) {
  for (size_t i = 0; i < steps.size(); ++i) {
    REQUIRE_OK(steps[i].run(m));
    if (m.disk.pinned_crash()) return i;
    m.settle();
  }
  return steps.size();
}

TEST_CASE("sqlite: a crash at every disk operation leaves the state before or after") {
  const FamilyOptions options =
      GENERATE(values<FamilyOptions>({{{"checkpoint_frames", "12"}},
                                      {{"page_size", "1024"}, {"checkpoint_frames", "20"}},
                                      {{"journal", "DELETE"}},
                                      {{"journal", "TRUNCATE"}, {"synchronous", "EXTRA"}}}));
  CAPTURE(options);
  const std::vector<Step> steps = history();
  const std::vector<std::string> states = clean_states(options);
  size_t step = 0;
  CrashSweep<Machine> sweep;
  sweep.stops = stops_inside<Machine>(
      [&] {
        sqlite_reset_for_run(1);
        return std::make_unique<Machine>(options);
      },
      [&](Machine& m) { step = run_history(m, steps); });
  sweep.tries = one_stop_in(families::one_point_in());
  const auto drawn = [](uint64_t n) { return RandomStream(n, "crash"); };
  sweep.losses = [&](size_t, uint64_t n) {
    std::vector<Loss> losses = fixed_power_cuts();
    losses.push_back(drawn_power_cut(drawn(n)));
    losses.push_back(drawn_process_death(drawn(n)));
    return losses;
  };
  sweep.judge = [&](Machine& left, const CrashPoint& point) {
    CAPTURE(point.text(), steps[step].name);
    const Judge judge({states[step], states[step + 1]}, point.number % 12 == 1);
    judge.judge(left);
    if (point.loss.level == CrashLevel::kP2) return;
    // The power is cut as well, before anything was recovered.
    for (const Loss& loss : {nothing_survives(), power_cut<WritesOnly>("writes alone"),
                             drawn_power_cut(RandomStream(point.number, "cut"))}) {
      const std::unique_ptr<Machine> cut = left.fork();
      const CrashReport report = lose(*cut, loss, point.at);
      CAPTURE(loss.name, report.text);
      judge.judge(*cut);
    }
  };
  // A process that dies takes its handles with it; that they are torn down later changes nothing.
  sweep.afterwards = [&](Machine& stopped, Nanos at) {
    KeepAll all;
    stopped.disk.crash(CrashLevel::kP0, at, all);
    const uint64_t image = stopped.disk.image_hash();
    stopped.family.reset();
    CHECK(stopped.disk.image_hash() == image);
  };
  const CrashCounts counts = sweep_crashes(sweep);
  CHECK(counts.stops > 150 / families::one_point_in());
}

// Without the sync of the WAL, acknowledged entries are lost, which the mark of the WAL tells: the
// test above would see it.
TEST_CASE("sqlite: a family that forgets a sync loses what it acknowledged, and says so") {
  const std::string forgotten = GENERATE("/node/root/db-wal", "/node/root");
  CAPTURE(forgotten);
  SimDisk disk(kDisk, RandomStream(1, "disk"));
  {
    Machine m(disk.fork(), {});
    REQUIRE_OK(m.open(true));
    m.settle();
    m.family.reset();
    disk = m.disk.fork();
  }
  Machine m(disk.fork(), {});
  m.fs = std::make_unique<SyncDroppingFileSystem>(
      std::move(m.fs), [&](std::string_view path) { return path == forgotten; });
  REQUIRE_OK(m.open(false));
  REQUIRE_OK(m.family->log().append(data_entries(1, 1, 1)));
  m.settle();
  DropAll nothing;
  m.disk.crash(CrashLevel::kP2, m.disk.now(), nothing);
  Machine after(m.disk.fork(), {});
  const absl::Status status = after.open(false);
  INFO(status);
  CHECK(absl::IsDataLoss(status));
}

}  // namespace
}  // namespace qk::sim
