// Hand-made traces for the tests of the pictures; no run looks exactly like these.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/kernel/trace.h"
#include "viz/timeline_model.h"

namespace qk::viz {

// Collects events in any order and records them in time order.
class SampleRun {
 public:
  explicit SampleRun(std::vector<std::string> nodes)
      : trace(&scheduler_, {0x5EED, 0x5EED, std::move(nodes)}, sim::TraceLevel::kMarks) {}

  void event(double seconds, sim::NodeId node, sim::EventKind kind,
             std::array<uint64_t, sim::kMaxArgs> args, std::string text = "") {
    const auto t = static_cast<sim::Nanos>(seconds * 1000 + 0.5) * sim::kMillisecond;
    scheduler_.at(t, [this, node, kind, args, text] {
      sim::Event event;
      event.node = node;
      event.kind = kind;
      event.args = args;
      trace.record(event, text);
    });
  }
  void phase(double t, sim::NodeId node, sim::PhaseCode phase, uint64_t index = 0) {
    event(t, node, sim::EventKind::kMigPhase, {static_cast<uint64_t>(phase), 1, index, 0, 0, 0});
  }
  void cut(double t, sim::NodeId node, uint64_t which, uint64_t index, bool equal) {
    event(t, node, sim::EventKind::kMigCut, {which, index, equal, equal ? 0 : index - 8});
  }
  void leader(double from, double to, sim::NodeId node, uint64_t term) {
    constexpr auto kLeader = static_cast<uint64_t>(sim::Role::kLeader);
    event(from, node, sim::EventKind::kRaftRole, {kLeader, term, 0, 0, 0});
    if (to > from) event(to, node, sim::EventKind::kRaftRole, {0, term + 1, 0, 0, kLeader});
  }
  void crash(double from, double to, sim::NodeId node, sim::CrashLoss loss) {
    event(from, node, sim::EventKind::kFaultCrash, {static_cast<uint64_t>(loss), 1, 3});
    event(to, node, sim::EventKind::kFaultRestart, {1});
  }
  // One whole migration without incident: A, EXPORT, BOOT, V1, DUAL, V2, CUT, B at the given times.
  void migrate(sim::NodeId node, const std::array<double, 7>& at, uint64_t cut1, uint64_t cut2) {
    using sim::PhaseCode;
    constexpr PhaseCode kOrder[] = {PhaseCode::kExport, PhaseCode::kBoot, PhaseCode::kV1,
                                    PhaseCode::kDual,   PhaseCode::kV2,   PhaseCode::kCut,
                                    PhaseCode::kB};
    for (size_t i = 0; i < at.size(); ++i) {
      phase(at[i], node, kOrder[i], kOrder[i] == PhaseCode::kCut ? cut2 : 0);
    }
    if (cut1 != 0) cut(at[3], node, 1, cut1, true);
    if (cut2 != 0) cut(at[5], node, 2, cut2, true);
  }
  void run() {
    while (scheduler_.run_next()) {
    }
  }

 private:
  sim::Scheduler scheduler_;

 public:
  sim::Trace trace;
};

// Sixty seconds with everything the timeline can show: crash and restart in export and after
// cutover, a partition, a slow disk, a torn tail, four leaders, a rollback after a
// differing cut, a second attempt, and a violation.
inline std::unique_ptr<SampleRun> eventful_run(size_t nodes) {
  using sim::EventKind;
  using sim::PhaseCode;
  std::vector<std::string> names;
  for (size_t i = 1; i <= nodes; ++i) names.push_back("n" + std::to_string(i));
  auto run = std::make_unique<SampleRun>(names);
  const uint64_t others = ((uint64_t{1} << nodes) - 1) & ~uint64_t{1};

  run->phase(33, 1, PhaseCode::kExport);
  run->phase(35, 1, PhaseCode::kBoot);
  run->phase(36.6, 1, PhaseCode::kV1);
  run->phase(37.1, 1, PhaseCode::kDual);
  run->cut(37.1, 1, 1, 1121, true);
  run->phase(43, 1, PhaseCode::kV2);
  run->cut(43.8, 1, 2, 1192, false);
  run->phase(43.8, 1, PhaseCode::kRollback, 1192);
  run->phase(45, 1, PhaseCode::kA);
  run->migrate(1, {47, 49, 50.6, 51.1, 57, 57.6, 57.8}, 1276, 1401);
  run->leader(0.2, 41.6, 1, 3);
  run->event(38, 0, EventKind::kFaultPartition, {1, 0, 1, others});
  run->event(41.5, 0, EventKind::kFaultHeal, {1});

  run->phase(21, 2, PhaseCode::kExport);
  run->crash(22.8, 24.6, 2, sim::CrashLoss::kRandomSubset);
  run->phase(24.6, 2, PhaseCode::kExport);
  run->migrate(2, {24.6, 26.4, 28, 28.5, 31.5, 32, 32.2}, 877, 968);
  run->leader(52.9, 0, 2, 5);

  run->migrate(3, {6, 9, 12.5, 13.2, 19, 19.6, 19.8}, 402, 611);
  run->leader(38.9, 52, 3, 4);
  run->event(9, 3, EventKind::kFaultSlowDisk, {8});
  run->event(12, 3, EventKind::kFaultSlowDisk, {1});
  run->crash(52, 53.6, 3, sim::CrashLoss::kTornTail);
  run->event(53.8, 3, EventKind::kCheckViolation, {1, 1303}, "ora.L1 acked-entries-durable");

  for (size_t i = 4; i <= nodes; ++i) {
    const double t = 1 + 0.4 * static_cast<double>(i - 4);
    run->migrate(static_cast<sim::NodeId>(i),
                 {t, t + 1.2, t + 2.2, t + 2.4, t + 3.6, t + 3.9, t + 4.1}, 0, 0);
  }
  run->event(60, 0, EventKind::kRunEnd, {1, 1402});
  run->run();
  return run;
}

inline RunSummary summary_of(const SampleRun& run) {
  RunSummary summary;
  summary.scenario = "rolling-local-to-sqlite";
  summary.seed = 0x5EED;
  summary.version = "qksim 0.1.0 (c0ffee12)";
  summary.verdict = sim::Verdict::kViolation;
  summary.verdict_text =
      "FAIL  ora.L1 acked-entries-durable at n3 t=53.800s index 1303: expected (1303, term 4, crc "
      "0b77e1d2) acked at t=51.981s, got last index 1302 after recovery";
  summary.run_id = "9f31c0de";
  summary.events = run.trace.events();
  summary.chain = "299b2a28fcc9";
  summary.repro = "qksim run rolling-local-to-sqlite --seed 0x5EED";
  summary.families.assign(run.trace.nodes(), {"local", "sqlite"});
  return summary;
}

}  // namespace qk::viz
