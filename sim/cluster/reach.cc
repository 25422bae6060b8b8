#include "sim/cluster/reach.h"

#include <algorithm>
#include <bit>

#include "families/base/check.h"
#include "families/base/strings.h"

namespace qk::sim {
namespace {

static_assert(static_cast<int>(ReachProbe::kRestartInA) + static_cast<int>(PhaseCode::kB) ==
              static_cast<int>(ReachProbe::kRestartInB));

constexpr auto kFetch = static_cast<uint64_t>(MessageType::kGetFile);
// A fetch that is older than this has been given up or is complete (Process: kRpcTimeout).
constexpr Nanos kFetchLasts = 400 * kMillisecond;

bool is_dual(PhaseCode phase) {
  return phase == PhaseCode::kDual || phase == PhaseCode::kV2 || phase == PhaseCode::kCut;
}
// The old family serves, and what it is given queues up for the new one.
bool catches_up(PhaseCode phase) {
  return phase == PhaseCode::kExport || phase == PhaseCode::kBoot || phase == PhaseCode::kV1;
}
bool is_migrating(PhaseCode phase) {
  return phase != PhaseCode::kA && phase != PhaseCode::kB && phase != PhaseCode::kRollback;
}

}  // namespace

Reach::Reach(size_t nodes) : nodes_(nodes + 1), families_{"-"}, cells_(1), seen_(1) {}

void Reach::set_families(NodeId node, std::string_view from, std::string_view to) {
  const std::string pair = cat(from, "->", to.empty() ? std::string_view("-") : to);
  const auto it = std::find(families_.begin(), families_.end(), pair);
  nodes_[node].families = static_cast<size_t>(it - families_.begin());
  if (it != families_.end()) return;
  families_.push_back(pair);
  cells_.emplace_back();
  seen_.emplace_back();
}

void Reach::recorded(const Event& event) {
  Node& node = nodes_[event.node];
  switch (event.kind) {
    case EventKind::kFaultCrash:
      return crashed(event.node, event);
    case EventKind::kNodeStop:
      if (!is_planned_stop(event)) fault(ReachFault::kStop, node);
      return ended(event.node, event);
    case EventKind::kFaultRestart:
      return restarted(node);
    case EventKind::kFaultPartition:
      return partitioned(event);
    case EventKind::kFaultSlowDisk:
      if (event.arg(0) > 1) fault(ReachFault::kSlowDisk, node);
      return;
    case EventKind::kFaultDisk:
      return fault(
          static_cast<ReachFault>(static_cast<uint64_t>(ReachFault::kIoError) + event.arg(0)),
          node);
    case EventKind::kFaultTransfer:
      return transferred(node, nodes_[event.arg(0)]);
    case EventKind::kFaultRollback:
      return fault(ReachFault::kRollback, node);
    case EventKind::kRaftRole: {
      const Role before = std::exchange(node.role, static_cast<Role>(event.arg(0)));
      node.last = event.signed_arg(2);
      if (node.role == Role::kLeader && is_dual(node.phase)) hit(ReachProbe::kLeaderInDual, node);
      if (before == Role::kLeader && node.role != Role::kLeader)
        hit(ReachProbe::kLeaderDeposed, node);
      return;
    }
    case EventKind::kRaftTerm:
      if (event.arg(1) != 0 && node.phase == PhaseCode::kDual) hit(ReachProbe::kVoteInDual, node);
      if (event.arg(1) != 0 && node.phase == PhaseCode::kCut) hit(ReachProbe::kVoteInCut, node);
      return;
    case EventKind::kRaftCommit:
      node.commit = event.signed_arg(0);
      if (node.phase == PhaseCode::kCut) hit(ReachProbe::kCommitInCut, node);
      return;
    case EventKind::kMigPhase:
      return entered(node, event);
    case EventKind::kMigCut:
      if (event.arg(2) == 0) hit(ReachProbe::kCutDiffers, node);
      return;
    case EventKind::kMigWait:
      if (static_cast<RollWait>(event.arg(0)) == RollWait::kGuard)
        hit(ReachProbe::kGuardWait, node);
      return;
    case EventKind::kStoreIssue:
      return issued(node, event);
    case EventKind::kStoreDone:
      QK_CHECK(node.open_mutations > 0);
      --node.open_mutations;
      return;
    case EventKind::kSnapPublish:
      node.fetches_from = 0;
      if (catches_up(node.phase)) hit(ReachProbe::kSnapshotInExport, node);
      if (is_dual(node.phase)) hit(ReachProbe::kSnapshotInDual, node);
      return;
    case EventKind::kSnapInstall:
      hit(ReachProbe::kInstalled, node);
      if (catches_up(node.phase)) hit(ReachProbe::kInstalledInExport, node);
      if (is_dual(node.phase)) hit(ReachProbe::kInstalledInDual, node);
      return;
    case EventKind::kNetSend:
      return sent(node, event);
    case EventKind::kNetRecv:
      return received(node, event);
    case EventKind::kNetDrop:
      if (static_cast<DropReason>(event.arg(3)) == DropReason::kPartitionInFlight) {
        hit(ReachProbe::kMessageCut, node);
      }
      return;
    case EventKind::kClientRetry:
      hit(ReachProbe::kAskedAgain, node);
      return;
    default:
      return;
  }
}

// A process ends, in whatever way.
void Reach::ended(NodeId id, const Event& event) {
  transfers_cut(id, event.t);
  Node& node = nodes_[id];
  node.up = false;
  node.recovering = false;
  node.role = Role::kFollower;
  node.open_mutations = 0;
  node.fetches_from = 0;
  const auto down =
      std::count_if(nodes_.begin() + 1, nodes_.end(), [](const Node& other) { return !other.up; });
  if (down >= 2) hit(ReachProbe::kTwoDown, node);
  if (2 * static_cast<size_t>(down) >= nodes_.size() - 1) hit(ReachProbe::kNoQuorum, node);
}

void Reach::crashed(NodeId id, const Event& event) {
  Node& node = nodes_[id];
  fault(ReachFault::kCrash, node);
  if (node.recovering) {
    hit(node.recoveries_cut++ == 0 ? ReachProbe::kCrashInRecovery
                                   : ReachProbe::kCrashInSecondRecovery,
        node);
  }
  if (is_migrating(node.phase) && ++node.crashes_in_phase == 2) {
    hit(ReachProbe::kCrashTwiceInPhase, node);
  }
  if (node.role == Role::kLeader) {
    hit(ReachProbe::kCrashLeader, node);
    if (node.last > node.commit) hit(ReachProbe::kCrashUncommitted, node);
  }
  if (node.open_mutations > 0) {
    hit(ReachProbe::kCrashMutation, node);
    if (is_dual(node.phase)) hit(ReachProbe::kCrashDualWrite, node);
  }
  if (event.arg(2) > 0) hit(ReachProbe::kCrashLost, node);
  ended(id, event);
}

void Reach::restarted(Node& node) {
  node.up = true;
  node.recovering = true;
  node.first_msg = last_msg_ + 1;
  // A node rests in no ROLLBACK: it is back in A at the same instant.
  if (node.phase == PhaseCode::kRollback) return;
  hit(static_cast<ReachProbe>(static_cast<int>(ReachProbe::kRestartInA) +
                              static_cast<int>(node.phase)),
      node);
}

// A phase is told when it begins, and when a start has succeeded in it.
void Reach::entered(Node& node, const Event& event) {
  const auto phase = static_cast<PhaseCode>(event.arg(0));
  const PhaseCode before = std::exchange(node.phase, phase);
  const bool after_restart = std::exchange(node.recovering, false);
  node.recoveries_cut = 0;
  node.commit = event.signed_arg(5);
  if (phase != before) node.crashes_in_phase = 0;
  switch (phase) {
    case PhaseCode::kExport:
      // What a start says first is where it is.
      if (before == PhaseCode::kBoot || before == PhaseCode::kV1 ||
          (before == PhaseCode::kExport && !after_restart)) {
        hit(ReachProbe::kExportAgain, node);
      }
      if (std::exchange(node.rolled_back, false)) hit(ReachProbe::kRetry, node);
      node.dual = false;
      return;
    case PhaseCode::kDual:
      node.dual = true;
      return;
    case PhaseCode::kRollback:
      hit(node.dual ? ReachProbe::kRollbackAfterDual : ReachProbe::kRollback, node);
      node.rolled_back = true;
      node.dual = false;
      return;
    default:
      return;
  }
}

// Counts nodes that are on no side with a majority; the others go on as before.
void Reach::partitioned(const Event& event) {
  for (size_t i = 2; i < kMaxArgs; ++i) {
    const uint64_t side = event.arg(i);
    if (2 * static_cast<size_t>(std::popcount(side)) > nodes_.size() - 1) continue;
    for (NodeId id = 1; id < nodes_.size(); ++id) {
      const Node& node = nodes_[id];
      if ((side >> (id - 1) & 1) == 0 || !node.up) continue;
      fault(ReachFault::kPartition, node);
      transfers_cut(id, event.t);
      if (is_dual(node.phase)) hit(ReachProbe::kCutOffInDual, node);
      if (node.role != Role::kLeader) continue;
      hit(ReachProbe::kLeaderCutOff, node);
      if (node.phase == PhaseCode::kCut) hit(ReachProbe::kLeaderCutOffInCut, node);
    }
  }
}

void Reach::transferred(const Node& from, const Node& to) {
  fault(ReachFault::kTransfer, from);
  if (is_migrating(from.phase) || is_migrating(to.phase)) hit(ReachProbe::kTransferInPhase, from);
}

void Reach::issued(Node& node, const Event& event) {
  ++node.open_mutations;
  switch (static_cast<StoreOp>(event.arg(0))) {
    case StoreOp::kAppend:
      node.last = event.signed_arg(3);
      return;
    case StoreOp::kTruncateSuffix:
      hit(ReachProbe::kTruncateSuffix, node);
      if (catches_up(node.phase)) hit(ReachProbe::kTruncateInCatchUp, node);
      if (is_dual(node.phase)) hit(ReachProbe::kTruncateInDual, node);
      return;
    case StoreOp::kTruncatePrefix:
      if (is_dual(node.phase)) hit(ReachProbe::kPrefixInDual, node);
      return;
    case StoreOp::kReset:
      if (is_dual(node.phase)) hit(ReachProbe::kResetInDual, node);
      return;
    default:
      return;
  }
}

void Reach::sent(Node& node, const Event& event) {
  last_msg_ = std::max(last_msg_, event.msg);
  if (event.arg(1) != kFetch) return;
  node.fetches_from = static_cast<NodeId>(event.arg(0));
  node.fetched_at = event.t;
}

void Reach::received(Node& node, const Event& event) {
  if (event.msg < nodes_[event.arg(0)].first_msg) hit(ReachProbe::kLateMessage, node);
  if (event.msg < node.first_msg) hit(ReachProbe::kMessageToOld, node);
  if (event.arg(5) != 0) hit(ReachProbe::kMessageTwice, node);
}

// Of snapshots that the node fetches, and that others fetch from it.
void Reach::transfers_cut(NodeId id, Nanos now) {
  for (NodeId other = 1; other < nodes_.size(); ++other) {
    Node& node = nodes_[other];
    if (node.fetches_from == 0 || (other != id && node.fetches_from != id)) continue;
    if (now - node.fetched_at <= kFetchLasts) hit(ReachProbe::kTransferBroken, node);
    node.fetches_from = 0;
  }
}

std::map<std::string, uint64_t> Reach::counts(const Subjects& subjects) const {
  std::map<std::string, uint64_t> result;
  const auto has_subject = [&](ReachNeed need) {
    switch (need) {
      case ReachNeed::kNothing:
        return true;
      case ReachNeed::kMigration:
        return subjects.migration;
      case ReachNeed::kVolatileFamily:
        return subjects.volatile_family;
      case ReachNeed::kDuplicates:
        return subjects.duplicates;
      case ReachNeed::kDefect:
        return subjects.defect;
    }
    return true;
  };
  for (size_t i = 0; i < kReachProbeCount; ++i) {
    if (counts_[i] == 0 && !has_subject(kReachProbes[i].need)) continue;
    result[std::string(kReachProbes[i].name)] = counts_[i];
  }
  for (size_t pair = 0; pair < families_.size(); ++pair) {
    for (size_t kind = 0; kind < kReachFaultCount; ++kind) {
      for (size_t phase = 0; phase < kPhaseCount; ++phase) {
        const uint64_t count = cells_[pair][kind][phase];
        if (count == 0) continue;
        result[cat("fault/", kReachFaults[kind], "/", to_string(static_cast<PhaseCode>(phase)), "/",
                   families_[pair])] = count;
      }
    }
  }
  return result;
}

std::vector<std::string> Reach::tuples() const {
  static constexpr std::string_view kRoles[] = {"follower", "pre-candidate", "candidate", "leader"};
  std::vector<std::string> result;
  for (size_t i = 0; i < kReachProbeCount; ++i) {
    if (counts_[i] > 0) result.emplace_back(kReachProbes[i].name);
  }
  for (size_t pair = 0; pair < families_.size(); ++pair) {
    for (size_t phase = 0; phase < kPhaseCount; ++phase) {
      for (size_t role = 0; role < kRoleCount; ++role) {
        const auto& seen = seen_[pair][phase][role];
        for (size_t i = 0; i < seen.size(); ++i) {
          if (!seen[i]) continue;
          const std::string what = i < kReachProbeCount
                                       ? std::string(kReachProbes[i].name)
                                       : cat("fault/", kReachFaults[i - kReachProbeCount]);
          result.push_back(cat(what, " ", to_string(static_cast<PhaseCode>(phase)), " ",
                               kRoles[role], " ", families_[pair]));
        }
      }
    }
  }
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace qk::sim
