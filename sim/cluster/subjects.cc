#include "sim/cluster/subjects.h"

#include <algorithm>
#include <iterator>

#include "sim/check/finding.h"

namespace qk::sim {
namespace {

enum class Subject : uint8_t {
  kRun,        // any run
  kPeers,      // messages between nodes
  kSnapshots,  // taken, or part of what a node starts with
  kClients,
  kMigration,
  kCrashInMigration,
  kFailedSync,
};
enum class Judged : uint8_t { kAlways, kByChance };

struct Row {
  size_t oracle;
  Subject subject;
  Judged judged = Judged::kAlways;
};

// An oracle that is not here has its subject in any run, by chance.
constexpr Row kRows[] = {
    {oracle("ora.L1"), Subject::kRun},
    {oracle("ora.L2"), Subject::kRun},
    {oracle("ora.L4"), Subject::kRun},
    {oracle("ora.L5"), Subject::kRun},
    {oracle("ora.L9"), Subject::kRun},
    {oracle("ora.L10"), Subject::kRun},
    {oracle("ora.L11"), Subject::kFailedSync, Judged::kByChance},
    {oracle("ora.L12"), Subject::kRun},
    {oracle("ora.L13"), Subject::kRun},
    {oracle("ora.L14"), Subject::kCrashInMigration, Judged::kByChance},
    {oracle("ora.I1"), Subject::kMigration},
    {oracle("ora.I3"), Subject::kMigration},
    {oracle("ora.D1"), Subject::kMigration},
    {oracle("ora.D2"), Subject::kMigration},
    {oracle("ora.D3"), Subject::kCrashInMigration, Judged::kByChance},
    {oracle("ora.D4"), Subject::kCrashInMigration, Judged::kByChance},
    {oracle("ora.D5"), Subject::kMigration},
    {oracle("ora.M1"), Subject::kRun},
    {oracle("ora.M2"), Subject::kMigration},
    {oracle("ora.M3"), Subject::kMigration},
    {oracle("ora.M8"), Subject::kMigration},
    {oracle("ora.M11"), Subject::kMigration},
    {oracle("ora.R1"), Subject::kRun},
    {oracle("ora.R2"), Subject::kRun},
    {oracle("ora.R3"), Subject::kRun},
    {oracle("ora.R4"), Subject::kRun},
    {oracle("ora.R5"), Subject::kRun},
    {oracle("ora.R6"), Subject::kRun},
    {oracle("ora.R7"), Subject::kRun},
    {oracle("ora.R9"), Subject::kSnapshots, Judged::kByChance},
    {oracle("ora.R11"), Subject::kRun},
    {oracle("ora.R12"), Subject::kPeers, Judged::kByChance},
    {oracle("ora.R13"), Subject::kPeers},
    {oracle("ora.C1"), Subject::kClients},
    {oracle("ora.C2"), Subject::kClients},
    {oracle("ora.C5"), Subject::kClients},
};

Row row_of(std::string_view id) {
  const auto row = std::find_if(std::begin(kRows), std::end(kRows),
                                [&](const Row& one) { return kOracles[one.oracle].id == id; });
  return row != std::end(kRows) ? *row : Row{0, Subject::kRun, Judged::kByChance};
}

bool has_snapshots(const Plan& plan) {
  return plan.cluster.snapshot_every_entries > 0 ||
         std::any_of(plan.cluster.nodes.begin(), plan.cluster.nodes.end(),
                     [](const NodePlan& node) { return node.initial || node.place; });
}

bool crashes(const Plan& plan) {
  return plan.random.mean_time_to_crash > 0 ||
         std::any_of(plan.faults.begin(), plan.faults.end(), [](const FaultPlan& fault) {
           return std::holds_alternative<CrashFault>(fault.what);
         });
}

bool syncs_fail(const Plan& plan) {
  return plan.random.mean_time_to_disk_error > 0 ||
         std::any_of(plan.faults.begin(), plan.faults.end(), [](const FaultPlan& fault) {
           const auto* error = std::get_if<DiskErrorFault>(&fault.what);
           return error != nullptr && !is_damage(error->fault.kind);
         });
}

bool has(Subject subject, const Plan& plan) {
  switch (subject) {
    case Subject::kRun:
      return true;
    case Subject::kPeers:
      return plan.cluster.nodes.size() > 1;  // alone, a node sends nothing
    case Subject::kSnapshots:
      return has_snapshots(plan);
    case Subject::kClients:
      return plan.workload.clients > 0;
    case Subject::kMigration:
      return !plan.migrations.empty();
    case Subject::kCrashInMigration:
      return !plan.migrations.empty() && crashes(plan);
    case Subject::kFailedSync:
      return syncs_fail(plan);
  }
  QK_CHECK(false);
}

}  // namespace

bool has_subject(std::string_view id, const Plan& plan) { return has(row_of(id).subject, plan); }

bool is_of_migration(std::string_view id) { return row_of(id).subject == Subject::kMigration; }

bool must_judge(std::string_view id, const Plan& plan) {
  const Row row = row_of(id);
  return row.judged == Judged::kAlways && has(row.subject, plan);
}

}  // namespace qk::sim
