// What the trace records: one fixed-size Event per thing that happened, of one of a fixed set of
// kinds. The table below is the whole vocabulary; it says what each kind's arguments mean, in
// order, which argument the text form prints how, and which kinds are marks (kept in memory at
// TraceLevel::kMarks, drawn in pictures, printed in the short log).
//
// Kinds and arguments are part of the chain: appending a kind at the end changes no old chain,
// anything else does.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "sim/kernel/time.h"

namespace qk::sim {

using NodeId = uint16_t;  // 1-based, in scenario order; 0 is the simulator itself

// How a run ended; values of the "verdict" argument of run.end.
enum class Verdict : uint8_t {
  kPass,
  kViolation,      // something was violated that is not expected, or not what is expected
  kInconclusive,   // nothing was violated, but the run did not show what the scenario asks for
  kExpected,       // exactly the oracles that the scenario names were violated
  kInternalError,  // a check of our own failed, or an exception was not caught
};
// Values of the "role" argument.
enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };
// Values of the "op" argument of store.*.
enum class StoreOp : uint8_t {
  kAppend,
  kTruncatePrefix,
  kTruncateSuffix,
  kReset,
  kSaveMeta,
  kSaveSnapshot,
};
// Values of the "store" argument of store.*: the source and the target of the node's migration. A
// node without one has A only.
enum class StoreSide : uint8_t { kA, kB };
// Values of the "reason" argument of net.drop.
enum class DropReason : uint8_t { kLoss, kPartition, kPartitionInFlight, kNodeDown, kNoSuchNode };
// What a crash takes with it; values of the "loss" argument of fault.crash. kProcess keeps
// everything issued (level P0); the others lose power (level P2).
enum class CrashLoss : uint8_t { kProcess, kKeepSynced, kKeepAll, kRandomSubset, kTornTail };

// What was sent; values of the "type" argument of net.*: braft's methods, each followed by its
// response.
enum class MessageType : uint8_t {
  kPreVote,
  kPreVoteResponse,
  kRequestVote,
  kRequestVoteResponse,
  kAppendEntries,
  kAppendEntriesResponse,
  kInstallSnapshot,
  kInstallSnapshotResponse,
  kTimeoutNow,
  kTimeoutNowResponse,
  kGetFile,
  kGetFileResponse,
};
// Values of the "timer" argument of raft.timer.
enum class TimerKind : uint8_t { kElection, kHeartbeat, kDownload };
// What a migration does inside a phase; values of the "step" argument of mig.step.
enum class MigStep : uint8_t {
  kStep,       // a bounded piece of work, beside the node's own
  kBarrier,    // the same while no lane has a mutation in flight
  kCut,        // the cut of an export is taken
  kReconcile,  // a start repairs the mirror, or drops what only the primary has
};
// Values of the "op" argument of disk.op.
enum class DiskOp : uint8_t {
  kWrite,
  kTruncate,
  kSync,
  kSyncDir,
  kCreate,
  kUnlink,
  kRename,
  kLink,
  kMkdir,
  kRmdir,
};

// What a faulty disk does; values of the "fault" argument of fault.disk.
enum class DiskFaultKind : uint8_t {
  // To a call, which tells of it.
  kIoError,
  kDiskFull,
  kStall,
  // To a call that returns OK.
  kLostWrite,
  kMisdirected,
  kFsyncLie,
  // To bytes at rest.
  kBitFlip,
  kBadSector,
};
inline constexpr size_t kDiskFaultKinds = 8;
// Damages what a node holds; the fault budget counts these.
inline bool is_damage(DiskFaultKind kind) { return kind >= DiskFaultKind::kLostWrite; }
inline bool is_at_rest(DiskFaultKind kind) { return kind >= DiskFaultKind::kBitFlip; }
// The kind of the call; values of the "access" argument. kName: link, unlink, mkdir, rmdir. A fault
// that asks for kAny means each of them.
enum class DiskAccess : uint8_t { kAny, kRead, kWrite, kSync, kOpen, kRename, kName };
// How much of a call that reports an error has happened; values of the "applied" argument.
enum class DiskApplied : uint8_t { kNothing, kHalf, kAll };

// What a roll waits for; values of the "why" argument of mig.wait.
enum class RollWait : uint8_t {
  kNone,
  // As the plan says.
  kPlanned,  // a time of the plan: dual write, soak
  kWork,     // the node's own export, import, catch-up, validation or restart
  // What a healthy cluster does not make it wait for.
  kNode,      // the node is down, or without a leader
  kGuard,     // the cluster guard
  kTransfer,  // a leadership transfer
  kRequest,   // the node refused the request
};
inline bool is_hindered(RollWait why) { return why > RollWait::kWork; }

// How an argument is printed: kUnused ends the list.
enum class ArgForm : uint8_t {
  kUnused,
  kNumber,
  kSigned,
  kHex,
  kNode,
  kNodeMask,  // bit n-1 = node n
  kTime,      // nanoseconds, printed as seconds
  kBool,
  kRole,
  kPhase,
  kStoreOp,
  kStoreSide,
  kDropReason,
  kCrashLoss,
  kRollWait,
  kVerdict,
  kStatus,  // absl::StatusCode
  kMessage,
  kTimer,
  kCommand,  // what a client asks for (client_protocol.h)
  kCut,      // 1 export cut, 2 cutover cut
  kMigStep,
  kDiskOp,
  kDiskFault,
  kDiskAccess,
  kDiskApplied,
};

struct ArgInfo {
  std::string_view name;
  ArgForm form = ArgForm::kUnused;
};

inline constexpr size_t kMaxArgs = 6;

// The kinds. "node" says whose event it is where that is not the node acting.
//
// X(identifier, name, mark, arguments...)
#define QK_EVENT_KINDS(X)                                                                            \
  /* The run is over. verdict: a Verdict. Node 0. */                                                 \
  X(kRunEnd, "run.end", true, {"verdict", ArgForm::kVerdict}, {"committed", ArgForm::kNumber})       \
  /* An invariant did not hold on the node (0: of the whole cluster). Text: the oracle's id and    \
     name. "oracle" is the XXH3 of that text's id. */ \
  X(kCheckViolation, "check.violation", true, {"oracle", ArgForm::kHex},                             \
    {"index", ArgForm::kSigned}, {"expected", ArgForm::kHex}, {"actual", ArgForm::kHex})             \
  /* The process of the node stops: from here to fault.restart the node is down. scheduled: 1 by   \
     the plan, 0 drawn; lost: unsynced changes that did not survive. */ \
  X(kFaultCrash, "fault.crash", true, {"loss", ArgForm::kCrashLoss},                                 \
    {"scheduled", ArgForm::kBool}, {"lost", ArgForm::kNumber})                                       \
  /* The process starts again, as the next incarnation. */                                           \
  X(kFaultRestart, "fault.restart", true, {"scheduled", ArgForm::kBool})                             \
  /* The process ended by itself, on a storage error or, code 0, for a planned restart; down until \
     fault.restart. Text: the error. code: absl::StatusCode. */ \
  X(kNodeStop, "node.stop", true, {"code", ArgForm::kStatus})                                        \
  /* A partition begins. Node 0. Sides without members are absent; more than four sides take more  \
     than one event with the same id. asymmetric: only messages from side 1 to the others. */ \
  X(kFaultPartition, "fault.partition", true, {"id", ArgForm::kNumber},                              \
    {"asymmetric", ArgForm::kBool}, {"side1", ArgForm::kNodeMask}, {"side2", ArgForm::kNodeMask},    \
    {"side3", ArgForm::kNodeMask}, {"side4", ArgForm::kNodeMask})                                    \
  /* A partition ends. Node 0. */                                                                    \
  X(kFaultHeal, "fault.heal", true, {"id", ArgForm::kNumber})                                        \
  /* The node's disk is slower by a factor, until fault.slow_disk with factor 1. */                  \
  X(kFaultSlowDisk, "fault.slow_disk", true, {"factor", ArgForm::kNumber})                           \
  /* The operator asks for a leadership transfer to the node. */                                     \
  X(kFaultTransfer, "fault.transfer", true, {"target", ArgForm::kNode})                              \
  /* A node's role changed. Leadership lasts from role leader to the node's next raft.role, crash  \
     or stop. last: last log index. */ \
  X(kRaftRole, "raft.role", true, {"role", ArgForm::kRole}, {"term", ArgForm::kNumber},              \
    {"last", ArgForm::kSigned}, {"commit", ArgForm::kSigned}, {"previous", ArgForm::kRole})          \
  /* A node entered a phase of its migration; also recorded once per node at time 0 and after each \
     restart, with the phase it starts in. generation: of the manifest. index: of the cut that the \
     phase is based on (V1, V2, CUT, ROLLBACK), else 0. lastA, lastB: last log index of each store,  \
     -1: the store does not exist. commit: the node's commit index. Text: a reason, if any. */ \
  X(kMigPhase, "mig.phase", true, {"phase", ArgForm::kPhase}, {"generation", ArgForm::kNumber},      \
    {"index", ArgForm::kSigned}, {"lastA", ArgForm::kSigned}, {"lastB", ArgForm::kSigned},           \
    {"commit", ArgForm::kSigned})                                                                    \
  /* A validation cut was compared. which: 1 export cut, 2 cutover cut. first_difference: earliest \
     differing index, 0 if equal or not of the log. */ \
  X(kMigCut, "mig.cut", true, {"which", ArgForm::kCut}, {"index", ArgForm::kSigned},                 \
    {"equal", ArgForm::kBool}, {"first_difference", ArgForm::kSigned})                               \
  /* Messages. msg pairs send with recv or drop. type: wire message; hash: XXH3 of its bytes. */     \
  X(kNetSend, "net.send", false, {"to", ArgForm::kNode}, {"type", ArgForm::kMessage},                \
    {"term", ArgForm::kNumber}, {"index", ArgForm::kSigned}, {"bytes", ArgForm::kNumber},            \
    {"hash", ArgForm::kHex})                                                                         \
  /* copy: 1 for the second delivery of a duplicated message. */                                     \
  X(kNetRecv, "net.recv", false, {"from", ArgForm::kNode}, {"type", ArgForm::kMessage},              \
    {"term", ArgForm::kNumber}, {"index", ArgForm::kSigned}, {"bytes", ArgForm::kNumber},            \
    {"copy", ArgForm::kBool})                                                                        \
  /* Node 0: no node learns of it. */                                                                \
  X(kNetDrop, "net.drop", false, {"from", ArgForm::kNode}, {"to", ArgForm::kNode},                   \
    {"type", ArgForm::kMessage}, {"reason", ArgForm::kDropReason}, {"copy", ArgForm::kBool})         \
  /* Durable Raft state and progress. vote: 0 nobody. */                                             \
  X(kRaftTerm, "raft.term", false, {"term", ArgForm::kNumber}, {"vote", ArgForm::kNode})             \
  X(kRaftCommit, "raft.commit", false, {"commit", ArgForm::kSigned}, {"term", ArgForm::kNumber})     \
  /* hash: of the state machine after it; entry: XXH3 of the entry's payload, as in client.invoke. \
   */ \
  X(kRaftApply, "raft.apply", false, {"index", ArgForm::kSigned}, {"hash", ArgForm::kHex},           \
    {"entry", ArgForm::kHex})                                                                        \
  /* A configuration entry was applied. hash: XXH3 of its payload. */                                \
  X(kRaftConfig, "raft.config", false, {"index", ArgForm::kSigned}, {"hash", ArgForm::kHex})         \
  /* A timer ran out. */                                                                             \
  X(kTimer, "raft.timer", false, {"timer", ArgForm::kTimer})                                         \
  /* A mutation handed to a store, and its completion; span pairs them. last: the store's last log \
     index after it. code: absl::StatusCode. */ \
  X(kStoreIssue, "store.issue", false, {"op", ArgForm::kStoreOp}, {"store", ArgForm::kStoreSide},    \
    {"first", ArgForm::kSigned}, {"last", ArgForm::kSigned}, {"sequence", ArgForm::kNumber})         \
  X(kStoreDone, "store.done", false, {"op", ArgForm::kStoreOp}, {"store", ArgForm::kStoreSide},      \
    {"first", ArgForm::kSigned}, {"last", ArgForm::kSigned}, {"sequence", ArgForm::kNumber},         \
    {"code", ArgForm::kStatus})                                                                      \
  /* A snapshot became the node's newest, its own or a fetched one; a fetched one became the state \
     of its state machine. */ \
  X(kSnapPublish, "snap.publish", false, {"index", ArgForm::kSigned}, {"term", ArgForm::kNumber})    \
  X(kSnapInstall, "snap.install", false, {"index", ArgForm::kSigned}, {"term", ArgForm::kNumber},    \
    {"from", ArgForm::kNode})                                                                        \
  /* A step inside a phase begins. index: last log index of the authority; progress: of the phase, \
     in ppm; lag: mutations that the authority has and B does not have yet. Text: what a           \
     reconciliation did. */ \
  X(kMigStep, "mig.step", false, {"step", ArgForm::kMigStep}, {"index", ArgForm::kSigned},           \
    {"progress", ArgForm::kNumber}, {"lag", ArgForm::kNumber})                                       \
  /* An operation of the node's disk was issued; done: when it returns. hash: XXH3 of the bytes,   \
     or of the names. Text: the path as it was opened, or the names. */ \
  X(kDiskOp, "disk.op", false, {"op", ArgForm::kDiskOp}, {"inode", ArgForm::kNumber},                \
    {"offset", ArgForm::kNumber}, {"length", ArgForm::kNumber}, {"hash", ArgForm::kHex},             \
    {"done", ArgForm::kTime})                                                                        \
  /* What a crash left of the disk: of `ops` unsynced changes some kept, some lost in whole or in  \
     part; image: hash over all that is there. */ \
  X(kDiskCrash, "disk.crash", false, {"ops", ArgForm::kNumber}, {"kept", ArgForm::kNumber},          \
    {"lost", ArgForm::kNumber}, {"image", ArgForm::kHex})                                            \
  /* A background job of an engine ran; left: jobs still pending. */                                 \
  X(kEngineJob, "engine.job", false, {"left", ArgForm::kNumber})                                     \
  /* Clients, on node 0. span pairs invoke with its end. hash: XXH3 of the entry's payload, then   \
     of the answer. */ \
  X(kClientInvoke, "client.invoke", false, {"client", ArgForm::kNumber}, {"op", ArgForm::kNumber},   \
    {"kind", ArgForm::kCommand}, {"key", ArgForm::kHex}, {"hash", ArgForm::kHex},                    \
    {"to", ArgForm::kNode})                                                                          \
  X(kClientOk, "client.ok", false, {"client", ArgForm::kNumber}, {"op", ArgForm::kNumber},           \
    {"hash", ArgForm::kHex})                                                                         \
  /* The client asks again, another node, under the same number. code: of the answer that it got;  \
     DEADLINE_EXCEEDED: it got none. */ \
  X(kClientRetry, "client.retry", false, {"client", ArgForm::kNumber}, {"op", ArgForm::kNumber},     \
    {"to", ArgForm::kNode}, {"code", ArgForm::kStatus})                                              \
  /* Draws of a random stream so far, now and then: says which stream parted first. stream: XXH3   \
     of its name. Text: its name. */ \
  X(kRngDraws, "rng.draws", false, {"stream", ArgForm::kHex}, {"draws", ArgForm::kNumber})           \
  /* The roll waits, on the node (0: between two nodes), until its next event of this kind; why:   \
     a RollWait, 0 it goes on. Text: the reason. */ \
  X(kMigWait, "mig.wait", true, {"why", ArgForm::kRollWait})                                         \
  /* A scheduled fault changed nothing when its time came. Node 0. Text: its trigger and why. */     \
  X(kFaultNoEffect, "fault.no_effect", true)                                                         \
  /* The operator asks for a rollback of the node's migration. */                                    \
  X(kFaultRollback, "fault.rollback", true)                                                          \
  /* The node's disk met a fault. place: of what it damaged. Text: the call, or the place. */        \
  X(kFaultDisk, "fault.disk", true, {"fault", ArgForm::kDiskFault},                                  \
    {"access", ArgForm::kDiskAccess}, {"applied", ArgForm::kDiskApplied},                            \
    {"place", ArgForm::kHex})

enum class EventKind : uint16_t {
#define QK_KIND_IDENTIFIER(identifier, ...) identifier,
  QK_EVENT_KINDS(QK_KIND_IDENTIFIER)
#undef QK_KIND_IDENTIFIER
};

struct KindInfo {
  std::string_view name;  // dotted
  bool mark;
  std::array<ArgInfo, kMaxArgs> args;
};

inline constexpr KindInfo kKinds[] = {
#define QK_KIND_INFO(identifier, name, mark, ...) {name, mark, {{__VA_ARGS__}}},
    QK_EVENT_KINDS(QK_KIND_INFO)
#undef QK_KIND_INFO
};

inline constexpr size_t kKindCount = sizeof kKinds / sizeof kKinds[0];

inline const KindInfo& info(EventKind kind) { return kKinds[static_cast<size_t>(kind)]; }

// One record. The caller sets node, kind, args and, where they apply, msg and span; Trace::record
// fills the rest.
struct Event {
  uint64_t seq = 0;    // total order of the run, dense from 1
  uint64_t cause = 0;  // seq of the event that led to this one; 0: the start of the run
  uint64_t msg = 0;    // pairs net.send with net.recv or net.drop
  uint64_t span = 0;   // on an end: the seq of the event that began it
  int64_t t = 0;       // virtual nanoseconds
  uint64_t lc = 0;     // events of this node so far, restarts do not reset it
  std::array<uint64_t, kMaxArgs> args{};
  uint32_t incarnation = 0;  // starts of the node's process, 1 from the beginning; 0 on node 0
  NodeId node = 0;
  EventKind kind = EventKind::kRunEnd;

  uint64_t arg(size_t i) const { return args[i]; }
  int64_t signed_arg(size_t i) const { return static_cast<int64_t>(args[i]); }

  friend bool operator==(const Event&, const Event&) = default;
};

// Of a node.stop.
inline bool is_planned_stop(const Event& event) { return event.arg(0) == 0; }

}  // namespace qk::sim
