// Plan: everything a run does, spelled out. A seed and a scenario expand into a plan; a run
// executes a plan and draws nothing that the plan could have said. So a failure can be replayed by
// seed, written out as a scenario, edited by hand and shrunk by removing parts. Random faults are
// drawn before the run (expand_random()); what a crash left is decided in the run, told by it
// (RunResult::injected), and can be given to another one.
//
// Probabilities are parts per million; durations are nanoseconds of virtual time. A plan has no
// defaults: what a scenario leaves out has the default that the schema gives it (scenario.proto).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "families/contract/uri.h"
#include "sim/disk/choice.h"
#include "sim/disk/crash_level.h"
#include "sim/disk/disk_faults.h"
#include "sim/kernel/event.h"
#include "sim/kernel/phase.h"
#include "sim/kernel/time.h"

namespace qk::sim {

struct DurationRange {
  Nanos low = 0;
  Nanos high = 0;
};

// A directory tree that a node's disk starts with: files with bytes, and directories (which may be
// empty). Paths are relative to the node's family root, in byte order.
struct DirectoryTree {
  struct Item {
    std::string path;
    bool directory = false;
    std::string bytes;
  };
  std::vector<Item> items;
};

struct DiskPlan {
  DurationRange write_latency;
  DurationRange sync_latency;
  JournalOptions journal = {};  // of crashes at P1
};

struct StorePlan {
  std::string id;
  std::string family;  // registered name
  families::FamilyOptions options;
};

struct NodePlan {
  std::string id;     // "n1"
  std::string peer;   // PeerId text, "127.0.0.1:8300:0:0"
  std::string store;  // StorePlan::id
  // Where the node's own instance lies on its disk, as braft's NodeOptions say it; absent: in
  // FAMILY/ beside the node's other files.
  std::optional<families::StorageLocation> place;
  std::optional<DirectoryTree> initial;  // absent: a fresh instance
};

struct LinkPlan {
  DurationRange latency;
  uint32_t loss_ppm = 0;
  uint32_t duplicate_ppm = 0;
  uint32_t reorder_ppm = 0;  // a message gets up to 10x the latency, so that later ones overtake it
  uint32_t late_ppm = 0;     // a message arrives so much later that its sender may have restarted
  DurationRange late_by = {};
};

struct ClusterPlan {
  std::string group;
  std::vector<NodePlan> nodes;
  DurationRange election_timeout;
  Nanos heartbeat = 0;
  LinkPlan link;
  DiskPlan disk;
  uint32_t snapshot_every_entries = 0;  // 0: never
  uint32_t entries_per_append = 64;     // at most, in one message
  Nanos operator_restart_after = 0;     // a node that stopped on a storage error comes back
};

struct MigrationPlan {
  enum class OnFail : uint8_t { kRollback, kHalt, kRetry };
  std::string from;  // StorePlan::id
  std::string to;
  std::vector<std::string> nodes;  // in this order; empty: followers first, leader last
  Nanos start = 0;
  Nanos dual_write_for = 0;
  Nanos soak = 0;  // between cut-over and acceptance, and between nodes
  OnFail on_validation_fail = OnFail::kRollback;
  uint32_t max_retries = 0;
  bool transfer_leadership_first = false;
  uint64_t fresh_mutations = 0;  // both are mandatory and at least 1
  Nanos fresh_time = 0;
  bool accept_weak_durability = false;
  bool allow_unavailability = false;    // the cluster may stop while one of its nodes is down
};

struct WorkloadPlan {
  uint32_t clients = 0;
  uint32_t rate = 1;  // operations per second and client
  uint32_t keys = 1;
  uint32_t value_size_low = 0;
  uint32_t value_size_high = 0;
  uint32_t read_ppm = 0;
  uint32_t cas_ppm = 0;
  uint32_t counter_ppm = 0;  // increments of braft's example counter
  uint64_t operations = 0;   // of all clients together, then they stop; 0: no limit
};

struct Trigger {
  enum class Kind : uint8_t {
    kTime,
    kPhaseEnter,
    kPhaseExit,
    kPhasePercent,
    kPhaseOperation,
    kIndex
  };
  Kind kind = Kind::kTime;
  Nanos time = 0;    // kTime: when; kPhaseEnter, kPhaseExit: offset after it
  std::string node;  // id or "@leader", "@follower", "@migrating"
  PhaseCode phase = PhaseCode::kA;
  uint32_t occurrence = 1;  // the n-th entry of the phase
  uint32_t percent = 0;     // kPhasePercent: of the phase's own progress
  uint64_t operation = 0;   // kPhaseOperation: the n-th disk operation of the node in the phase
  int64_t index = 0;        // kIndex: commit index on any node
  std::string text;         // as written, for messages
};

struct CrashFault {
  using Loss = CrashLoss;
  std::string node;
  Nanos restart_after = 0;
  Loss loss = Loss::kKeepSynced;
  CrashLevel level = CrashLevel::kP2;  // of a power loss
  // What survives, instead of what `loss` would draw.
  std::optional<Decision> decided = {};
  // It happens only while fewer other nodes are down.
  std::optional<uint32_t> max_others_down = {};
};
struct PartitionFault {
  std::vector<std::vector<std::string>> sides;
  bool asymmetric = false;  // only messages from the first side to the others are lost
};
struct SlowDiskFault {
  std::string node;
  uint32_t factor = 1;
};
// Calls of a node to its disk that fail, are late or are lied to: the fault has happened when it hits
// one. Or damage to bytes at rest; without an offset, to some of a file whose path has `path` in it.
struct DiskErrorFault {
  std::string node;
  DiskFault fault;
  // It begins only while fewer other nodes are down.
  std::optional<uint32_t> max_others_down = {};
};
struct TransferFault {
  std::string node;  // who becomes leader
};
struct HealFault {};
// The operator takes the node's migration back (RB1).
struct RollbackFault {
  std::string node;
};

struct FaultPlan {
  Trigger at;
  std::optional<Nanos> duration;  // absent: instantaneous, or until healed
  std::variant<CrashFault, PartitionFault, SlowDiskFault, TransferFault, HealFault, RollbackFault,
               DiskErrorFault>
      what;
  std::string where;  // "file:line" of the scenario, for messages
  bool drawn =
      false;  // by RandomFaultPlan, in this run or in the one that the scenario was written by
  bool may_miss =
      false;  // of expand_random(): not reported if it has no effect when its time comes
};

// Faults drawn by the seed, each kind from a stream of its own. 0 switches a kind off.
struct RandomFaultPlan {
  Nanos mean_time_to_crash = 0;
  DurationRange restart_after;
  Nanos mean_time_to_partition = 0;
  DurationRange partition_for;
  uint32_t max_concurrent_down = 0;
  Nanos quiet_after = 0;  // from then on no new fault; 0: never quiet
  // What an operator does at an unlucky moment.
  Nanos mean_time_to_transfer = 0;
  Nanos mean_time_to_rollback = 0;
  uint32_t crash_again_ppm = 0;  // share of crashes whose node crashes again as it starts
  uint32_t aimed_ppm = 0;  // share of crashes and partitions that hit the leader or who migrates

  Nanos mean_time_to_disk_error = 0;
  uint32_t failed_sync_evicts_ppm = 0;  // share of failed syncs whose bytes are dropped later
  // Of each kind of damage (is_damage()), from kLostWrite on.
  std::array<Nanos, kDiskFaultKinds> mean_time_to_damage = {};

  bool damages() const {
    return std::any_of(mean_time_to_damage.begin(), mean_time_to_damage.end(),
                       [](Nanos mean) { return mean > 0; });
  }
  bool any() const {
    return mean_time_to_crash > 0 || mean_time_to_partition > 0 || mean_time_to_transfer > 0 ||
           mean_time_to_rollback > 0 || mean_time_to_disk_error > 0 || damages();
  }
};

// Defects of the simulation itself that a plan may ask for, half way through the run. All others
// are made by RunOptions::mutant_of.
inline constexpr std::string_view kCheckFails = "check-fails";          // a QK_CHECK fails
inline constexpr std::string_view kException = "exception";             // one that nobody catches
inline constexpr std::string_view kGarbledAnswers = "garbled-answers";  // clients get invalid ones

struct ExpectPlan {
  enum class Verdict : uint8_t { kPass, kViolation };
  Verdict verdict = Verdict::kPass;
  std::vector<std::string> violates;  // kViolation: exactly these oracles
  // Node ids; each must have accepted the last migration that moves it.
  std::vector<std::string> migrated;
  uint64_t min_committed = 0;        // entries committed during the run
  std::optional<Nanos> max_ack_gap;  // the longest time without an answer to any client
  bool unavailable_at_end = false;   // otherwise a leader that a majority follows, nothing lost
};

struct Plan {
  std::string name;
  uint64_t seed = 0;
  Nanos run_for = 0;
  ClusterPlan cluster;
  std::vector<StorePlan> stores;
  std::vector<MigrationPlan> migrations;
  WorkloadPlan workload;
  std::vector<FaultPlan> faults;
  RandomFaultPlan random;
  ExpectPlan expect;
  // A defect switched on to see that an oracle notices: "NAME" or, where it acts seldom,
  // "NAME:hard". Empty: none. A planted run says so in its output, and never prints PASS.
  std::string planted;
  std::optional<Nanos> until = {};  // stop earlier
  // Over the effective scenario: what names a run. And over the part of it that says what runs,
  // without the faults, which are events themselves, and what is expected: the chain starts from
  // it and the seed, so a run has one chain, whether its faults are drawn or written down.
  uint64_t scenario_hash = 0;
  uint64_t chain_hash = 0;
};

// The fault budget: so many nodes of a cluster may hold damage of their disks, or have lost what a
// volatile family kept, over the whole run. A node that was damaged may forget what it acknowledged
// and nothing can show it; so it may never be needed for a majority again.
inline size_t damage_budget(size_t nodes) { return (nodes - 1) / 2; }

// Draws the faults of plan->random that would begin before `end`, and appends them to plan->faults.
// `random` itself stays: a run says of which kind none came.
void expand_random(Plan* plan, Nanos end);

// How often the operator looks, and for how long at a validated cut before the switch: a cut that
// may not be as old as both together can never lead to a cut-over.
inline constexpr Nanos kLook = 20 * kMillisecond;
inline constexpr Nanos kInspectCut = 300 * kMillisecond;

// Which nodes each migration moves, by position in ClusterPlan::nodes, if all before it succeed.
std::vector<std::vector<size_t>> planned_moves(const Plan& plan);

// A node that cannot begin with the directory that the plan gives it.
struct BadStart {
  size_t node = 0;  // position in ClusterPlan::nodes
  std::string reason;
};

}  // namespace qk::sim
