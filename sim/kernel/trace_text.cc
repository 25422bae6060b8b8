#include "sim/kernel/trace_text.h"

#include <bit>
#include <vector>

#include "families/base/check.h"
#include "families/base/status.h"
#include "families/base/strings.h"

namespace qk::sim {
namespace {

constexpr std::string_view kRoleNames[] = {"follower", "pre-candidate", "candidate", "leader"};
constexpr std::string_view kRoleLetters[] = {"F", "P", "C", "L"};
constexpr std::string_view kStoreOps[] = {"append", "truncate-prefix", "truncate-suffix", "reset",
                                          "meta",   "snapshot"};
constexpr std::string_view kStoreSides[] = {"A", "B"};
constexpr std::string_view kDropReasons[] = {"loss", "partition", "partition-in-flight",
                                             "node-down", "no-such-node"};
constexpr std::string_view kCrashLosses[] = {"process", "keep-synced", "keep-all", "random-subset",
                                             "torn-tail"};
constexpr std::string_view kRollWaits[] = {"none",  "planned",  "work",   "node",
                                           "guard", "transfer", "request"};
constexpr std::string_view kVerdicts[] = {"pass", "violation", "inconclusive", "expected",
                                          "internal-error"};
constexpr std::string_view kMessages[] = {
    "PreVote",       "PreVoteResponse",       "RequestVote",     "RequestVoteResponse",
    "AppendEntries", "AppendEntriesResponse", "InstallSnapshot", "InstallSnapshotResponse",
    "TimeoutNow",    "TimeoutNowResponse",    "GetFile",         "GetFileResponse"};
constexpr std::string_view kTimers[] = {"election", "heartbeat", "download"};
constexpr std::string_view kCommands[] = {"none", "read", "write", "cas", "append", "add"};
constexpr std::string_view kCuts[] = {"none", "export", "cutover"};
constexpr std::string_view kMigSteps[] = {"step", "barrier", "cut", "reconcile"};
constexpr std::string_view kDiskOps[] = {"write",  "truncate", "sync", "sync-dir", "create",
                                         "unlink", "rename",   "link", "mkdir",    "rmdir"};

constexpr std::string_view kDiskFaults[] = {"io-error",    "disk-full", "stall",    "lost-write",
                                            "misdirected", "fsync-lie", "bit-flip", "bad-sector"};
constexpr std::string_view kDiskAccesses[] = {"any",  "read",   "write", "sync",
                                              "open", "rename", "name"};
constexpr std::string_view kDiskApplied[] = {"nothing", "half", "all"};

// An argument comes from code that may be newer than its names; a number is still of use.
template <size_t N>
std::string name_of(const std::string_view (&names)[N], uint64_t value) {
  return value < N ? std::string(names[value]) : cat(value);
}

std::string node_set(const Trace& trace, uint64_t mask) {
  std::string out = "{";
  for (; mask != 0; mask &= mask - 1) {
    if (out.size() > 1) out += ',';
    const auto node = static_cast<NodeId>(std::countr_zero(mask) + 1);
    out += node <= trace.nodes() ? std::string(trace.node_name(node)) : cat("#", node);
  }
  return out + "}";
}

std::string node_text(const Trace& trace, uint64_t node) {
  return node <= trace.nodes() ? std::string(trace.node_name(static_cast<NodeId>(node)))
                               : cat("#", node);
}

std::string arg_text(const Trace& trace, ArgForm form, uint64_t value) {
  switch (form) {
    case ArgForm::kUnused:
      return "";
    case ArgForm::kNumber:
      return cat(value);
    case ArgForm::kSigned:
      return cat(static_cast<int64_t>(value));
    case ArgForm::kHex:
      return cat(hex16(value));
    case ArgForm::kNode:
      return node_text(trace, value);
    case ArgForm::kNodeMask:
      return node_set(trace, value);
    case ArgForm::kTime:
      return seconds_text(static_cast<Nanos>(value), 9);
    case ArgForm::kBool:
      return value != 0 ? "yes" : "no";
    case ArgForm::kRole:
      return name_of(kRoleNames, value);
    case ArgForm::kPhase:
      return value < kPhaseCount ? std::string(to_string(static_cast<PhaseCode>(value)))
                                 : cat(value);
    case ArgForm::kStoreOp:
      return name_of(kStoreOps, value);
    case ArgForm::kStoreSide:
      return name_of(kStoreSides, value);
    case ArgForm::kDropReason:
      return name_of(kDropReasons, value);
    case ArgForm::kCrashLoss:
      return name_of(kCrashLosses, value);
    case ArgForm::kRollWait:
      return name_of(kRollWaits, value);
    case ArgForm::kVerdict:
      return name_of(kVerdicts, value);
    case ArgForm::kStatus: {
      const std::string name = absl::StatusCodeToString(static_cast<absl::StatusCode>(value));
      return name.empty() ? cat(value) : name;
    }
    case ArgForm::kMessage:
      return name_of(kMessages, value);
    case ArgForm::kTimer:
      return name_of(kTimers, value);
    case ArgForm::kCommand:
      return name_of(kCommands, value);
    case ArgForm::kCut:
      return name_of(kCuts, value);
    case ArgForm::kMigStep:
      return name_of(kMigSteps, value);
    case ArgForm::kDiskOp:
      return name_of(kDiskOps, value);
    case ArgForm::kDiskFault:
      return name_of(kDiskFaults, value);
    case ArgForm::kDiskAccess:
      return name_of(kDiskAccesses, value);
    case ArgForm::kDiskApplied:
      return name_of(kDiskApplied, value);
  }
  QK_CHECK(false);
}

void pad_left(std::string* line, std::string_view text, size_t width) {
  if (text.size() < width) line->append(width - text.size(), ' ');
  line->append(text);
}

// At least one blank follows, so that a value wider than its column stays readable.
void pad_right(std::string* line, std::string_view text, size_t width) {
  line->append(text);
  line->append(text.size() < width ? width - text.size() : 1, ' ');
}

// Free text of a mark on one line.
std::string one_line(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return out;
}

std::string with_text(std::string what, std::string_view text) {
  return text.empty() ? what : cat(what, ": ", one_line(text));
}

std::string describe_phase(const Mark& mark) {
  const auto phase = static_cast<PhaseCode>(mark.event.arg(0));
  const int64_t index = mark.event.signed_arg(2);
  if (phase == PhaseCode::kCut) return with_text(cat("cutover @", index), mark.text);
  if (phase == PhaseCode::kRollback) return with_text("rollback", mark.text);
  return with_text(cat("phase ", to_string(phase)), mark.text);
}

char mark_letter(const Mark& mark) {
  switch (mark.event.kind) {
    case EventKind::kCheckViolation:
      return 'X';
    case EventKind::kNodeStop:
      return is_planned_stop(mark.event) ? '~' : '!';
    case EventKind::kFaultCrash:
      return '!';
    case EventKind::kFaultRestart:
      return '^';
    case EventKind::kRaftRole:
      return '*';
    case EventKind::kMigCut:
      return mark.event.arg(2) != 0 ? '=' : '#';
    case EventKind::kMigPhase:
      switch (static_cast<PhaseCode>(mark.event.arg(0))) {
        case PhaseCode::kCut:
          return '>';
        case PhaseCode::kRollback:
          return '<';
        default:
          return '[';
      }
    default:
      return '~';
  }
}

// Bit n-1 = node n, of nodes that a mark concerns.
uint64_t concerned(const Mark& mark) {
  const Event& event = mark.event;
  if (event.kind == EventKind::kFaultPartition) return event.arg(2);
  if (event.kind == EventKind::kFaultTransfer) {
    return event.arg(0) == 0 ? 0 : uint64_t{1} << ((event.arg(0) - 1) % 64);
  }
  return event.node == 0 || event.node > 64 ? 0 : uint64_t{1} << (event.node - 1);
}

std::string nodes_column(const Trace& trace, const Mark& mark) {
  std::string column(trace.nodes(), '.');
  const uint64_t mask = concerned(mark);
  for (size_t i = 0; i < column.size() && i < 64; ++i) {
    if ((mask >> i & 1) != 0) column[i] = mark_letter(mark);
  }
  return column;
}

std::string last_text(char store, int64_t last) {
  return last < 0 ? cat(std::string(1, store), "-") : cat(std::string(1, store), last);
}

void append_state(const Mark& mark, std::string* line) {
  if (mark.event.node == 0) {
    for (const size_t width : {6, 5, 5, 8, 7, 7}) pad_right(line, "-", width);
    return;
  }
  const NodeState& state = mark.state;
  pad_right(line, short_name(state.phase), 6);
  pad_right(line, state.up ? kRoleLetters[static_cast<size_t>(state.role)] : "-", 5);
  pad_right(line, cat("t", state.term), 5);
  pad_right(line, cat("c", state.commit), 8);
  pad_right(line, last_text('A', state.last_a), 7);
  pad_right(line, last_text('B', state.last_b), 7);
}

// Elections that come to nothing and phases that a restart repeats are not changes of state.
class Filter {
 public:
  explicit Filter(size_t nodes) : phases_(nodes + 1, -1) {}

  bool shows(const Event& event) {
    if (event.kind == EventKind::kRaftRole) {
      constexpr auto kLeader = static_cast<uint64_t>(Role::kLeader);
      return event.arg(0) == kLeader || event.arg(4) == kLeader;
    }
    // Waits as planned are not news.
    if (event.kind == EventKind::kMigWait) {
      const bool hindered = is_hindered(static_cast<RollWait>(event.arg(0)));
      return std::exchange(hindered_, hindered) || hindered;
    }
    if (event.kind == EventKind::kMigPhase) {
      const auto phase = static_cast<int64_t>(event.arg(0));
      return std::exchange(phases_[event.node], phase) != phase;
    }
    return true;
  }

 private:
  std::vector<int64_t> phases_;
  bool hindered_ = false;  // the roll
};

}  // namespace

std::string seconds_text(Nanos t, int decimals) {
  QK_CHECK(t >= 0 && decimals >= 0 && decimals <= 9);
  std::string fraction = cat(t % kSecond);
  fraction.insert(0, 9 - fraction.size(), '0');
  fraction.resize(static_cast<size_t>(decimals));
  return decimals == 0 ? cat(t / kSecond) : cat(t / kSecond, ".", fraction);
}

std::string_view to_string(DiskFaultKind kind) { return kDiskFaults[static_cast<size_t>(kind)]; }

std::string partition_sides(const Trace& trace, const Event& event) {
  std::string out;
  for (size_t i = 2; i < kMaxArgs; ++i) {
    if (event.arg(i) == 0) continue;
    if (!out.empty()) out += event.arg(1) != 0 ? " > " : " | ";
    out += node_set(trace, event.arg(i));
  }
  return out;
}

std::string describe(const Trace& trace, const Mark& mark) {
  const Event& event = mark.event;
  switch (event.kind) {
    case EventKind::kRunEnd:
      return with_text("end of the run", mark.text);
    case EventKind::kCheckViolation:
      return with_text("violation", mark.text);
    case EventKind::kFaultCrash:
      return cat("crash (", event.arg(1) != 0 ? "scheduled" : "random", ", ",
                 name_of(kCrashLosses, event.arg(0)), "), ", event.arg(2),
                 event.arg(2) == 1 ? " unsynced change lost" : " unsynced changes lost");
    case EventKind::kFaultRestart:
      return cat("restart as incarnation ", event.incarnation);
    case EventKind::kNodeStop:
      return is_planned_stop(event) ? "stopped for a planned restart"
                                    : with_text("stopped on a storage error", mark.text);
    case EventKind::kFaultPartition:
      return cat("partition ", partition_sides(trace, event));
    case EventKind::kFaultHeal:
      return cat("partition ", event.arg(0), " healed");
    case EventKind::kFaultSlowDisk:
      return event.arg(0) <= 1 ? "disk at full speed" : cat("disk ", event.arg(0), "x slower");
    case EventKind::kFaultTransfer:
      return cat("leadership transfer to ", node_text(trace, event.arg(0)));
    case EventKind::kFaultRollback:
      return "asked to roll its migration back";
    case EventKind::kFaultNoEffect:
      return with_text("a fault without effect", mark.text);
    case EventKind::kFaultDisk:
      return with_text(cat("disk fault (", name_of(kDiskFaults, event.arg(0)), ")"), mark.text);
    case EventKind::kRaftRole:
      return cat(name_of(kRoleNames, event.arg(0)), " in term ", event.arg(1));
    case EventKind::kMigPhase:
      return describe_phase(mark);
    case EventKind::kMigCut: {
      const std::string head = cat("V", event.arg(0), "@", event.signed_arg(1));
      if (event.arg(2) != 0) return cat(head, " equal");
      return with_text(cat(head, " differs at ", event.signed_arg(3)), mark.text);
    }
    case EventKind::kMigWait:
      if (event.arg(0) == 0) return "the roll goes on";
      return with_text(cat("the roll waits (", name_of(kRollWaits, event.arg(0)), ")"), mark.text);
    default:
      return with_text(std::string(info(event.kind).name), mark.text);
  }
}

std::string text_line(const Trace& trace, const Event& event, std::string_view text) {
  const KindInfo& kind = info(event.kind);
  std::string line;
  pad_left(&line, cat(event.seq), 8);
  pad_left(&line, seconds_text(event.t, 9), 16);
  line += "  ";
  pad_right(&line, cat(trace.node_name(event.node), ".", event.incarnation), 7);
  pad_right(&line, cat("#", event.lc), 8);
  pad_right(&line, cat("<", event.cause), 9);
  pad_right(&line, kind.name, 16);
  if (event.msg != 0) line += cat(" msg=", event.msg);
  if (event.span != 0) line += cat(" span=", event.span);
  for (size_t i = 0; i < kMaxArgs && kind.args[i].form != ArgForm::kUnused; ++i) {
    line += cat(" ", kind.args[i].name, "=", arg_text(trace, kind.args[i].form, event.arg(i)));
  }
  if (!text.empty()) line += cat(" ; ", one_line(text));
  line += '\n';
  return line;
}

void write_text(const Trace& trace, const LineSink& sink) {
  if (trace.level() != TraceLevel::kFull) {
    for (const Mark& mark : trace.marks()) {
      Event event = mark.event;
      event.cause = mark.cause;
      sink(text_line(trace, event, mark.text));
    }
    return;
  }
  for (uint64_t seq = 1; seq <= trace.events(); ++seq) {
    sink(text_line(trace, trace.event(seq), trace.text(seq)));
  }
}

void write_short_log(const Trace& trace, const LineSink& sink) {
  const size_t width = std::max<size_t>(trace.nodes(), 5) + 1;
  std::string line = "     seq          t  ";
  pad_right(&line, "nodes", width);
  sink(line + "phase role term commit  lastA  lastB\n");
  Filter filter(trace.nodes());
  for (const Mark& mark : trace.marks()) {
    if (!filter.shows(mark.event)) continue;
    line.clear();
    pad_left(&line, cat(mark.event.seq), 8);
    pad_left(&line, seconds_text(mark.event.t, 6), 11);
    line += "  ";
    pad_right(&line, nodes_column(trace, mark), width);
    append_state(mark, &line);
    sink(cat(line, describe(trace, mark), "\n"));
  }
}

}  // namespace qk::sim
