#include "sim/explore/sentences.h"

#include "families/base/status.h"
#include "families/base/strings.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

std::string status_name(uint64_t code) {
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
}

std::string disk_sentence(const Trace& trace, const Event& event) {
  const std::string path(trace.text(event.seq));
  switch (disk_op(event)) {
    case DiskOp::kWrite:
      return cat("writes ", plural(event.arg(3), "byte"), " at ", event.arg(2), " of ", path);
    case DiskOp::kTruncate:
      return cat("sets the size of ", path, " to ", event.arg(2));
    case DiskOp::kSync:
    case DiskOp::kSyncDir:
      return cat("syncs ", path);
    case DiskOp::kCreate:
    case DiskOp::kMkdir:
      return cat("creates ", path);
    case DiskOp::kUnlink:
    case DiskOp::kRmdir:
      return cat("removes ", path);
    case DiskOp::kRename:
      return cat("renames ", path);
    case DiskOp::kLink:
      return cat("links ", path);
  }
  return cat("uses ", path);
}

// Of a line of the trace what follows the columns.
std::string bare(const Trace& trace, const Event& event) {
  const std::string line = text_line(trace, event, trace.text(event.seq));
  const size_t kind = line.find(info(event.kind).name);
  return line.substr(kind, line.size() - kind - 1);
}

// "AppendEntries", as the trace spells it.
std::string argument(const Trace& trace, const Event& event, std::string_view name) {
  const std::string line = text_line(trace, event);
  const size_t begin = line.find(cat(" ", name, "=")) + name.size() + 2;
  return line.substr(begin, line.find_first_of(" \n", begin) - begin);
}

}  // namespace

std::string at_text(const Event& event) {
  return cat("t=", seconds_text(event.t, 6), "s #", event.seq);
}

std::string plural(uint64_t count, std::string_view what) {
  return cat(count, " ", what, count == 1 ? "" : "s");
}

std::string mutation_name(const Event& issue) {
  switch (store_op(issue)) {
    case StoreOp::kAppend:
      return cat("an append of ", issue.signed_arg(2), "..", issue.signed_arg(3));
    case StoreOp::kTruncatePrefix:
      return cat("a truncation to the entries from ", issue.signed_arg(2), " on");
    case StoreOp::kTruncateSuffix:
      return cat("a truncation to the entries up to ", issue.signed_arg(2));
    case StoreOp::kReset:
      return cat("a reset of the log to ", issue.signed_arg(2));
    case StoreOp::kSaveMeta:
      return cat("a term and vote to save, term ", issue.signed_arg(2));
    case StoreOp::kSaveSnapshot:
      return cat("a snapshot to publish, index ", issue.signed_arg(2));
  }
  return "a mutation";
}

bool is_step(const Event& event) {
  if (info(event.kind).mark) return true;
  switch (event.kind) {
    case EventKind::kNetSend:
    case EventKind::kNetRecv:
    case EventKind::kTimer:
    case EventKind::kStoreIssue:
    case EventKind::kStoreDone:
    case EventKind::kSnapPublish:
    case EventKind::kSnapInstall:
    case EventKind::kRaftTerm:
    case EventKind::kRaftCommit:
    case EventKind::kMigStep:
    case EventKind::kClientInvoke:
    case EventKind::kClientRetry:
    case EventKind::kDiskCrash:
      return true;
    default:
      return false;
  }
}

std::string sentence(const Trace& trace, const Event& event) {
  const std::string who = event.node == 0 ? std::string() : cat(trace.node_name(event.node), " ");
  if (info(event.kind).mark) {
    const Mark mark{event, 0, {}, std::string(trace.text(event.seq))};
    return event.node == 0 ? describe(trace, mark)
                           : cat(trace.node_name(event.node), ": ", describe(trace, mark));
  }
  const auto node = [&](uint64_t id) {
    return id <= trace.nodes() ? std::string(trace.node_name(static_cast<NodeId>(id)))
                               : cat("#", id);
  };
  switch (event.kind) {
    case EventKind::kDiskOp:
      return cat(who, disk_sentence(trace, event));
    case EventKind::kDiskCrash:
      return cat(who, "keeps ", event.arg(1), " of ", plural(event.arg(0), "unsynced change"));
    case EventKind::kStoreIssue:
      return cat(who, "is given ", mutation_name(event), " (mutation ", event.arg(4), ")");
    case EventKind::kStoreDone:
      return event.arg(5) == 0 ? cat(who, "says that mutation ", event.arg(4), " is done")
                               : cat(who, "says that mutation ", event.arg(4),
                                     " failed: ", status_name(event.arg(5)));
    case EventKind::kNetSend:
      return cat(who, "sends ", argument(trace, event, "type"), " of term ", event.arg(2), " to ",
                 node(event.arg(0)));
    case EventKind::kNetRecv:
      return cat(who, "receives ", argument(trace, event, "type"), " of term ", event.arg(2),
                 " from ", node(event.arg(0)));
    case EventKind::kTimer:
      return cat(trace.node_name(event.node), "'s ", argument(trace, event, "timer"),
                 " timer runs out");
    case EventKind::kRaftTerm:
      return event.arg(1) == 0
                 ? cat(who, "goes on to term ", event.arg(0))
                 : cat(who, "votes for ", node(event.arg(1)), " in term ", event.arg(0));
    case EventKind::kRaftCommit:
      return cat(who, "commits up to ", event.signed_arg(0));
    case EventKind::kRaftApply:
      return cat(who, "applies ", event.signed_arg(0));
    case EventKind::kSnapPublish:
      return cat(who, "has published a snapshot at index ", event.signed_arg(0));
    case EventKind::kSnapInstall:
      return cat(who, "takes the state of ", node(event.arg(2)), "'s snapshot at index ",
                 event.signed_arg(0));
    case EventKind::kClientInvoke:
      return cat("client ", event.arg(0), " asks ", node(event.arg(5)), " for operation ",
                 event.arg(1), " (", argument(trace, event, "kind"), ")");
    case EventKind::kClientOk:
      return cat("client ", event.arg(0), " is answered operation ", event.arg(1));
    case EventKind::kClientRetry:
      return cat("client ", event.arg(0), " asks ", node(event.arg(2)), " again for operation ",
                 event.arg(1));
    case EventKind::kMigStep:
      return cat(who, "takes a migration step: ", argument(trace, event, "step"), ", ",
                 event.arg(2) / 10'000, "% of the phase, B lacks ",
                 plural(event.arg(3), "mutation"),
                 trace.text(event.seq).empty() ? std::string() : cat("; ", trace.text(event.seq)));
    case EventKind::kEngineJob:
      return cat(who, "has run a background job");
    default:
      return cat(who, bare(trace, event));
  }
}

}  // namespace qk::sim
