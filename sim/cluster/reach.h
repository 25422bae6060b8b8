// Reach: which situations of the system under test a run has come to, and how often. A green run
// is worth what it reached: a probe that a thousand seeds never hit says that nobody knows what
// happens there.
//
// Two kinds of probe:
//   named   a row of QK_REACH_PROBES: a situation with a sentence that says what was seen
//   cells   a fault on a node: "fault", its kind, the node's phase, and from which family its
//           migration leads to which ("local->sqlite", "sqlite->-" if the plan moves it no further)
//
// Most are read off the trace's events, in recorded(); the rest the witness of a node reports with
// hit(), from what it learns anyway. Nothing in the product knows of them, and nothing depends on
// them: neither the chain nor what a run does.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/kernel/event.h"
#include "sim/kernel/phase.h"
#include "sim/kernel/trace.h"

namespace qk::sim {

// What a plan must have so that a probe can be reached at all.
enum class ReachNeed : uint8_t {
  kNothing,
  kMigration,
  kVolatileFamily,
  kDuplicates,
  kDefect,  // in no sound run: what it sees is what the dual write and recovery exclude
};
// "a volatile family"; empty: kNothing.
inline std::string_view to_string(ReachNeed need) {
  switch (need) {
    case ReachNeed::kNothing:
      return "";
    case ReachNeed::kMigration:
      return "a migration";
    case ReachNeed::kVolatileFamily:
      return "a volatile family";
    case ReachNeed::kDuplicates:
      return "links that duplicate messages";
    case ReachNeed::kDefect:
      return "a planted bug, or storage that rots: nothing else makes A and B differ";
  }
  return "";
}

// X(identifier, name, need, what was seen)
#define QK_REACH_PROBES(X)                                                                         \
  X(kCrashInRecovery, "crash/in-recovery", kNothing,                                               \
    "a node crashed while it recovered from an earlier end")                                       \
  X(kCrashInSecondRecovery, "crash/in-recovery-of-recovery", kNothing,                             \
    "a node crashed in a recovery that followed a crash in a recovery")                            \
  X(kCrashTwiceInPhase, "crash/twice-in-a-phase", kMigration,                                      \
    "a node crashed twice within one stay in a phase between EXPORT and CUT")                      \
  X(kCrashLeader, "crash/leader", kNothing, "a leader crashed")                                    \
  X(kCrashUncommitted, "crash/leader-uncommitted", kNothing,                                       \
    "a leader crashed with entries in its log that it had not committed")                          \
  X(kCrashMutation, "crash/mutation-in-flight", kNothing,                                          \
    "a node crashed between the issue of a mutation and its completion")                           \
  X(kCrashDualWrite, "crash/dual-write-in-flight", kMigration, "the same, in a dual phase")        \
  X(kCrashBetweenPair, "crash/between-primary-and-mirror", kMigration,                             \
    "a start found a mutation that the primary had, whole or in part, and the mirror lacked")      \
  X(kCrashHalfImport, "crash/half-import", kMigration,                                             \
    "a crash left an import that says itself that it is absent or incomplete")                     \
  X(kCrashLost, "crash/unsynced-lost", kNothing, "a crash took unsynced changes away")             \
  X(kCrashTorn, "crash/write-torn", kNothing, "a crash left a write that is there in part")        \
  X(kTornTailCut, "open/torn-tail-cut", kNothing,                                                  \
    "a start shortened a file after a crash that had torn a write")                                \
  X(kMemoryLost, "open/memory-lost", kVolatileFamily,                                              \
    "a node refused to start because its volatile family was lost (A-11)")                         \
  X(kTwoDown, "down/two-nodes", kNothing, "two nodes were down at once")                           \
  X(kNoQuorum, "down/no-majority", kNothing, "too few nodes were up to elect a leader")            \
  X(kLeaderCutOff, "partition/leader", kNothing, "a leader was cut off from a majority")           \
  X(kLeaderCutOffInCut, "partition/leader-in-CUT", kMigration, "the same, in phase CUT")           \
  X(kCutOffInDual, "partition/in-dual-phase", kMigration,                                          \
    "a node in a dual phase was cut off from a majority")                                          \
  X(kTransferInPhase, "transfer/in-a-phase", kMigration,                                           \
    "leadership was handed over by or to a node between EXPORT and CUT")                           \
  X(kLeaderInDual, "leader/elected-in-dual-phase", kMigration,                                     \
    "a node in a dual phase became leader")                                                        \
  X(kLeaderDeposed, "leader/stepped-down", kNothing, "a leader gave up without a crash")           \
  X(kVoteCaughtUp, "vote/caught-up", kMigration,                                                   \
    "a node voted after the cut of its export, and B got the vote before DUAL")                    \
  X(kVoteLongerOlder, "vote/longer-but-older", kNothing,                                           \
    "a node was asked for its vote, or whether it would, by one whose log is as long or longer, "  \
    "and of an earlier term")                                                                      \
  X(kOldTermConfirmed, "append/old-term-confirmed", kNothing,                                      \
    "a leader heard that a follower holds an entry of an earlier term, not yet committed, and no " \
    "later one")                                                                                   \
  X(kConfirmedBelowTail, "append/confirmed-below-a-tail", kNothing,                                \
    "a follower confirmed an append that ends below its own log's end, of an earlier term")        \
  X(kVoteInDual, "vote/in-DUAL", kMigration, "a node voted in phase DUAL")                         \
  X(kVoteInCut, "vote/in-CUT", kMigration, "a node voted in phase CUT")                            \
  X(kCommitInCut, "commit/in-CUT", kMigration, "the commit index of a node in CUT advanced")       \
  X(kTruncateSuffix, "truncate/suffix", kNothing, "a node dropped a suffix of its log")            \
  X(kTruncateInCatchUp, "truncate/suffix-in-catch-up", kMigration,                                 \
    "a node dropped a suffix of its log in EXPORT, BOOT or V1, while mutations queue up for B")    \
  X(kTruncateInDual, "truncate/suffix-in-dual-phase", kMigration,                                  \
    "a node dropped a suffix of its log in a dual phase")                                          \
  X(kPrefixInDual, "truncate/prefix-in-dual-phase", kMigration,                                    \
    "a node dropped a prefix of its log in a dual phase")                                          \
  X(kResetInDual, "reset/in-dual-phase", kMigration, "a node's log was reset in a dual phase")     \
  X(kSnapshotInExport, "snapshot/published-in-catch-up", kMigration,                               \
    "a node published a snapshot in EXPORT, BOOT or V1")                                           \
  X(kSnapshotInDual, "snapshot/published-in-dual-phase", kMigration,                               \
    "a node published a snapshot in a dual phase")                                                 \
  X(kInstalled, "snapshot/installed", kNothing, "a leader's snapshot became a node's state")       \
  X(kInstalledInExport, "snapshot/installed-in-catch-up", kMigration,                              \
    "the same, in EXPORT, BOOT or V1")                                                             \
  X(kInstalledInDual, "snapshot/installed-in-dual-phase", kMigration, "the same, in a dual phase") \
  X(kTransferBroken, "snapshot/transfer-interrupted", kNothing,                                    \
    "a node that was fetching a snapshot, or the one it fetched from, crashed or was cut off")     \
  X(kLateMessage, "message/from-old-incarnation", kNothing,                                        \
    "a message was delivered that its sender had sent before its last restart")                    \
  X(kMessageToOld, "message/to-old-incarnation", kNothing,                                         \
    "a message was delivered that was meant for the receiver before its last restart")             \
  X(kMessageTwice, "message/duplicate", kDuplicates, "a message was delivered twice")              \
  X(kMessageCut, "message/cut-in-flight", kNothing, "a partition took a message in flight")        \
  X(kRollback, "migration/rollback", kMigration, "a migration was rolled back before DUAL")        \
  X(kRollbackAfterDual, "migration/rollback-after-DUAL", kMigration,                               \
    "a migration was rolled back from DUAL or V2")                                                 \
  X(kExportAgain, "migration/export-again", kMigration,                                            \
    "a node fell back to EXPORT, or began its export again")                                       \
  X(kRetry, "migration/retry", kMigration, "a node began again after a rollback")                  \
  X(kCutDiffers, "migration/cut-differs", kDefect, "a validation found A and B different")         \
  X(kGuardWait, "roll/waited-for-guard", kMigration, "the cluster guard held the roll back")       \
  X(kAskedAgain, "client/asked-again", kNothing,                                                   \
    "a client repeated a request, of which it does not know whether it took effect")               \
  X(kRestartInA, "restart/in-A", kNothing, "a node restarted in phase A")                          \
  X(kRestartInExport, "restart/in-EXPORT", kMigration, "a node restarted in phase EXPORT")         \
  X(kRestartInBoot, "restart/in-BOOT", kMigration, "a node restarted in phase BOOT")               \
  X(kRestartInV1, "restart/in-V1", kMigration, "a node restarted in phase V1")                     \
  X(kRestartInDual, "restart/in-DUAL", kMigration, "a node restarted in phase DUAL")               \
  X(kRestartInV2, "restart/in-V2", kMigration, "a node restarted in phase V2")                     \
  X(kRestartInCut, "restart/in-CUT", kMigration, "a node restarted in phase CUT")                  \
  X(kRestartInB, "restart/in-B", kMigration, "a node restarted in phase B")

enum class ReachProbe : uint8_t {
#define QK_REACH_IDENTIFIER(identifier, ...) identifier,
  QK_REACH_PROBES(QK_REACH_IDENTIFIER)
#undef QK_REACH_IDENTIFIER
};

struct ReachInfo {
  std::string_view name;
  ReachNeed need;
  std::string_view seen;  // a sentence without its full stop
};

inline constexpr ReachInfo kReachProbes[] = {
#define QK_REACH_INFO(identifier, name, need, seen) {name, ReachNeed::need, seen},
    QK_REACH_PROBES(QK_REACH_INFO)
#undef QK_REACH_INFO
};
inline constexpr size_t kReachProbeCount = sizeof kReachProbes / sizeof kReachProbes[0];

// The kinds of a cell, as its name spells them.
enum class ReachFault : uint8_t {
  kCrash,
  kStop,
  kPartition,
  kSlowDisk,
  kTransfer,
  kRollback,
  // In the order of DiskFaultKind.
  kIoError,
  kDiskFull,
  kStall,
  kLostWrite,
  kMisdirected,
  kFsyncLie,
  kBitFlip,
  kBadSector,
};
inline constexpr std::string_view kReachFaults[] = {
    "crash",     "stop",  "partition",  "slow_disk",   "transfer",  "rollback", "io_error",
    "disk_full", "stall", "lost_write", "misdirected", "fsync_lie", "bit_flip", "bad_sector"};
inline constexpr size_t kReachFaultCount = sizeof kReachFaults / sizeof kReachFaults[0];

class Reach final : public TraceObserver {
 public:
  explicit Reach(size_t nodes);

  // From which family the node moves to which, from now on; an empty `to`: to none.
  void set_families(NodeId node, std::string_view from, std::string_view to);
  void hit(ReachProbe probe) { ++counts_[static_cast<size_t>(probe)]; }
  void recorded(const Event& event) override;

  // Each named probe that `subjects` lets a run reach, 0 included, each other one that was reached
  // all the same, and each cell that was.
  struct Subjects {
    bool migration = false;
    bool volatile_family = false;
    bool duplicates = false;
    bool defect = false;
  };
  std::map<std::string, uint64_t> counts(const Subjects& subjects) const;

  // What a sweep with feedback tells runs apart by: each probe and each fault that a node came to, with
  // its phase, its role and the families of its migration: "crash/leader DUAL leader local->sqlite".
  // Sorted. A probe that a witness reports has none of these.
  std::vector<std::string> tuples() const;

 private:
  struct Node {
    PhaseCode phase = PhaseCode::kA;
    Role role = Role::kFollower;
    bool up = true;
    bool recovering = false;
    uint32_t recoveries_cut = 0;  // crashes in a recovery since the last start that succeeded
    uint32_t crashes_in_phase = 0;
    uint32_t open_mutations = 0;
    int64_t last = 0;        // of its log, issued
    int64_t commit = 0;      // as it knows
    uint64_t first_msg = 0;  // of its present incarnation
    bool dual = false;       // has been in DUAL since it began to export
    bool rolled_back = false;
    NodeId fetches_from = 0;
    Nanos fetched_at = 0;
    size_t families = 0;  // in families_
  };
  using Cells = std::array<std::array<uint64_t, kPhaseCount>, kReachFaultCount>;
  static constexpr size_t kRoleCount = static_cast<size_t>(Role::kLeader) + 1;
  using Seen = std::array<std::array<std::bitset<kReachProbeCount + kReachFaultCount>, kRoleCount>,
                          kPhaseCount>;

  void fault(ReachFault kind, const Node& node) {
    ++cells_[node.families][static_cast<size_t>(kind)][static_cast<size_t>(node.phase)];
    seen(node).set(kReachProbeCount + static_cast<size_t>(kind));
  }
  void hit(ReachProbe probe, const Node& node) {
    hit(probe);
    seen(node).set(static_cast<size_t>(probe));
  }
  std::bitset<kReachProbeCount + kReachFaultCount>& seen(const Node& node) {
    return seen_[node.families][static_cast<size_t>(node.phase)][static_cast<size_t>(node.role)];
  }
  void ended(NodeId id, const Event& event);
  void crashed(NodeId id, const Event& event);
  void restarted(Node& node);
  void entered(Node& node, const Event& event);
  void partitioned(const Event& event);
  void transferred(const Node& from, const Node& to);
  void issued(Node& node, const Event& event);
  void sent(Node& node, const Event& event);
  void received(Node& node, const Event& event);
  void transfers_cut(NodeId id, Nanos now);

  std::array<uint64_t, kReachProbeCount> counts_{};
  std::vector<Node> nodes_;            // by NodeId; [0] is unused
  std::vector<std::string> families_;  // "local->sqlite"
  std::vector<Cells> cells_;           // for each of families_
  std::vector<Seen> seen_;             // the same
  uint64_t last_msg_ = 0;
};

}  // namespace qk::sim
