#include "sim/explore/explanation.h"

#include <algorithm>
#include <deque>
#include <map>
#include <vector>

#include "families/base/check.h"
#include "families/base/status.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

constexpr size_t kMaxChain = 24;  // causes that are told
constexpr size_t kMaxFiles = 12;  // of each list

std::string at(const Event& event) { return cat("t=", seconds_text(event.t, 6), "s #", event.seq); }

std::string plural(uint64_t count, std::string_view what) {
  return cat(count, " ", what, count == 1 ? "" : "s");
}

std::string row(std::string_view label, std::string_view text) {
  std::string out = cat("  ", label);
  out.append(std::max<size_t>(12, out.size() + 1) - out.size(), ' ');
  return cat(out, text, "\n");
}

std::string status_name(uint64_t code) {
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
}

StoreOp store_op(const Event& event) { return static_cast<StoreOp>(event.arg(0)); }
DiskOp disk_op(const Event& event) { return static_cast<DiskOp>(event.arg(0)); }

// Worth a line in a chain of causes: what a reader can picture. The rest (disk operations, draws)
// comes between two of these.
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

// A file that a mutation used, and whether what was written to it is certain to outlive a power cut
// at the time in question.
struct FileUse {
  std::string path;
  uint64_t writes = 0;
  uint64_t bytes = 0;
  uint64_t syncs = 0;
  uint64_t unsynced_since = 0;  // seq of the first write that no returned sync covers; 0: none
};

class Explainer {
 public:
  Explainer(const Trace& trace, const ExplainOptions& options) : trace_(trace), options_(options) {
    QK_CHECK(trace.keeps_all());
  }

  std::string violation(const Violation& violation) {
    const Event& event = trace_.event(violation.seq);
    const std::string where = violation.node.empty() ? "the cluster" : violation.node;
    out_ += cat(violation.oracle, " ", violation.name, " is violated on ", where,
                violation.index > 0 ? cat(" at index ", violation.index) : std::string(), ", ",
                at(event), "\n");
    out_ += row("expected", violation.expected);
    out_ += row("found", violation.actual);
    if (!violation.phase.empty()) out_ += row("phase", violation.phase);
    const Event* const done = event.node == 0 ? nullptr : subject_of(violation, event);
    if (done != nullptr) tell_subject(*done, event, violation.index);
    tell_chain(event);
    tell_lines(event.seq);
    return std::move(out_);
  }

  std::string event(uint64_t seq) {
    const Event& event = trace_.event(seq);
    out_ += cat(sentence(trace_, event), ", ", at(event), "\n");
    tell_chain(event);
    tell_lines(seq);
    return std::move(out_);
  }

 private:
  // The nearest event before `before` that `fits`; or null.
  template <typename Fits>
  const Event* last_before(uint64_t before, const Fits& fits) const {
    for (uint64_t seq = before - 1; seq >= 1; --seq) {
      if (fits(trace_.event(seq))) return &trace_.event(seq);
    }
    return nullptr;
  }
  template <typename Fits>
  const Event* first_after(uint64_t after, uint64_t up_to, const Fits& fits) const {
    for (uint64_t seq = after + 1; seq <= up_to; ++seq) {
      if (fits(trace_.event(seq))) return &trace_.event(seq);
    }
    return nullptr;
  }

  // What the node has said is done and the oracle judges: the append of the index, the vote of a
  // finding about votes, or else the last mutation.
  const Event* subject_of(const Violation& violation, const Event& event) const {
    const auto done = [&](const Event& e) {
      return e.node == event.node && e.kind == EventKind::kStoreDone && e.arg(5) == 0 &&
             e.span != 0;
    };
    const bool of_vote = violation.oracle == "ora.L5" || violation.oracle == "ora.D4" ||
                         violation.oracle == "ora.R2";
    const Event* found = nullptr;
    if (of_vote) {
      found = last_before(
          event.seq, [&](const Event& e) { return done(e) && store_op(e) == StoreOp::kSaveMeta; });
    } else if (violation.index > 0) {
      found = last_before(event.seq, [&](const Event& e) {
        if (!done(e) || store_op(e) != StoreOp::kAppend) return false;
        const Event& issue = trace_.event(e.span);
        return issue.signed_arg(2) <= violation.index && violation.index <= issue.signed_arg(3);
      });
    }
    return found != nullptr ? found : last_before(event.seq, done);
  }

  void tell_subject(const Event& done, const Event& event, int64_t index) {
    const Event& issue = trace_.event(done.span);
    out_ += "\nwhat was promised\n";
    out_ += row("given", cat(sentence(trace_, issue), ", ", at(issue)));
    out_ += row("done", cat(sentence(trace_, done), ", ", at(done),
                            "; from here on the oracle holds it to that"));
    if (index > 0) tell_entry(index, event);
    const std::vector<FileUse> files = files_of(issue, done);
    out_ += "\nwhat the disk was told for it\n";
    if (files.empty()) out_ += row("", "nothing");
    std::vector<std::string> lacking;
    for (const FileUse& file : files) {
      if (file.unsynced_since != 0)
        lacking.push_back(cat(file.path, " (#", file.unsynced_since, ")"));
      if (static_cast<size_t>(&file - files.data()) >= kMaxFiles) continue;
      out_ += row("", cat(file.path, ": ", plural(file.writes, "change"), ", ",
                          plural(file.bytes, "byte"), ", ", plural(file.syncs, "sync"),
                          file.unsynced_since == 0
                              ? std::string()
                              : cat("; not durable when it was done: #", file.unsynced_since)));
    }
    if (files.size() > kMaxFiles) out_ += row("", cat("and ", files.size() - kMaxFiles, " more"));
    tell_since(done, event, files);
    out_ += "\nfirst faulty step\n";
    if (!lacking.empty()) {
      out_ += row("", cat(trace_.node_name(done.node), " said done at #", done.seq,
                          " while a power cut could still take back what it had written to ",
                          join(lacking)));
    } else if (const Event* crash = last_end(done.seq, event); crash != nullptr) {
      out_ += row("", cat("not found before the end of the process at #", crash->seq,
                          ": all that the mutation wrote was synced. Look at what came after it"));
    } else {
      out_ += row("",
                  "none of the known shapes: all that the mutation wrote was synced, and the "
                  "process did not end since");
    }
  }

  const Event* last_end(uint64_t after, const Event& event) const {
    const Event* const end = last_before(event.seq, [&](const Event& e) {
      return e.node == event.node &&
             (e.kind == EventKind::kFaultCrash || e.kind == EventKind::kNodeStop);
    });
    return end != nullptr && end->seq > after ? end : nullptr;
  }

  // Who committed the entry, who asked for it, and who was told.
  void tell_entry(int64_t index, const Event& event) {
    const Event* const commit = first_after(0, event.seq, [&](const Event& e) {
      return e.kind == EventKind::kRaftCommit && e.signed_arg(0) >= index;
    });
    if (commit != nullptr) {
      out_ += row("committed", cat(trace_.node_name(commit->node), ", ", at(*commit)));
    }
    const Event* const apply = first_after(0, event.seq, [&](const Event& e) {
      return e.kind == EventKind::kRaftApply && e.signed_arg(0) == index;
    });
    if (apply == nullptr) {
      out_ += row("applied", "by no node");
      return;
    }
    out_ += row("applied", cat("first by ", trace_.node_name(apply->node), ", ", at(*apply)));
    const Event* const invoke = first_after(0, event.seq, [&](const Event& e) {
      return e.kind == EventKind::kClientInvoke && e.arg(4) == apply->arg(2);
    });
    if (invoke == nullptr) {
      out_ += row("asked by", "no client: the nodes' own entry, or from before the run");
      return;
    }
    out_ += row("asked by", cat(sentence(trace_, *invoke), ", ", at(*invoke)));
    const Event* const answer = first_after(invoke->seq, event.seq, [&](const Event& e) {
      return e.kind == EventKind::kClientOk && e.span == invoke->seq;
    });
    out_ += row("answered", answer == nullptr ? std::string("not before the violation")
                                              : cat("client ", answer->arg(0), ", ", at(*answer)));
  }

  // The piece of work that an event belongs to: the nearest issue, step or job among its causes.
  uint64_t work_of(const Event& event) const {
    for (uint64_t seq = event.cause; seq != 0; seq = trace_.event(seq).cause) {
      const Event& e = trace_.event(seq);
      if (e.node != event.node) return 0;
      switch (e.kind) {
        case EventKind::kStoreIssue:
        case EventKind::kMigStep:
        case EventKind::kEngineJob:
        case EventKind::kFaultRestart:
          return seq;
        default:
          break;
      }
    }
    return 0;
  }

  // Of the operations that were issued for the mutation. A write is durable if a sync of its file
  // came after it and had returned when the mutation was done. Names are not judged here: what a
  // rename or a creation needs is a sync of the directory, which may come with a later mutation.
  std::vector<FileUse> files_of(const Event& issue, const Event& done) const {
    std::vector<FileUse> files;
    std::map<uint64_t, size_t> by_inode;
    for (uint64_t seq = issue.seq + 1; seq < done.seq; ++seq) {
      const Event& e = trace_.event(seq);
      if (e.node != issue.node || e.kind != EventKind::kDiskOp || work_of(e) != issue.seq) continue;
      const DiskOp op = disk_op(e);
      if (op != DiskOp::kWrite && op != DiskOp::kTruncate && op != DiskOp::kSync) continue;
      const auto [place, is_new] = by_inode.try_emplace(e.arg(1), files.size());
      if (is_new) files.push_back({.path = std::string(trace_.text(seq))});
      FileUse& file = files[place->second];
      if (op == DiskOp::kSync) {
        ++file.syncs;
        if (e.signed_arg(5) <= done.t) file.unsynced_since = 0;
        continue;
      }
      ++file.writes;
      file.bytes += e.arg(3);
      if (file.unsynced_since == 0) file.unsynced_since = seq;
    }
    return files;
  }

  // Ends and faults of the node, and what else changed the same files.
  void tell_since(const Event& done, const Event& event, const std::vector<FileUse>& files) {
    std::vector<std::string> rows;
    for (uint64_t seq = done.seq + 1; seq < event.seq; ++seq) {
      const Event& e = trace_.event(seq);
      if (e.node != event.node) continue;
      bool told = false;
      switch (e.kind) {
        case EventKind::kFaultCrash:
        case EventKind::kFaultRestart:
        case EventKind::kFaultSlowDisk:
        case EventKind::kFaultRollback:
        case EventKind::kNodeStop:
        case EventKind::kDiskCrash:
        case EventKind::kMigPhase:
          told = true;
          break;
        case EventKind::kMigStep:
          told = static_cast<MigStep>(e.arg(0)) == MigStep::kReconcile;
          break;
        case EventKind::kDiskOp: {
          const DiskOp op = disk_op(e);
          const std::string_view path = trace_.text(seq);
          told = (op == DiskOp::kTruncate || op == DiskOp::kUnlink || op == DiskOp::kRename) &&
                 std::any_of(files.begin(), files.end(), [&](const FileUse& file) {
                   return path == file.path || path.starts_with(file.path + " -> ") ||
                          path.ends_with(" -> " + file.path);
                 });
          break;
        }
        default:
          break;
      }
      if (told) rows.push_back(row("", cat(sentence(trace_, e), ", ", at(e))));
    }
    if (rows.empty()) return;
    out_ += "\nsince then on the same node\n";
    const size_t first = rows.size() > kMaxFiles ? rows.size() - kMaxFiles : 0;
    if (first > 0) out_ += row("", cat(first, " more before these"));
    for (size_t i = first; i < rows.size(); ++i) out_ += rows[i];
  }

  void tell_chain(const Event& event) {
    std::deque<const Event*> steps;
    bool more = false;
    for (uint64_t seq = event.cause; seq != 0; seq = trace_.event(seq).cause) {
      if (!is_step(trace_.event(seq))) continue;
      more = steps.size() == kMaxChain;
      if (more) break;
      steps.push_front(&trace_.event(seq));
    }
    out_ += "\nwhat led to it, by causes\n";
    if (more) out_ += row("", "...");
    if (steps.empty()) out_ += row("", "the start of the run");
    for (const Event* step : steps) {
      out_ += row("", cat(sentence(trace_, *step), ", ", at(*step)));
    }
  }

  void tell_lines(uint64_t target) {
    if (options_.radius == 0) return;
    const NodeId node = trace_.event(target).node;
    // Of each node the last event that is known to be in the past; the simulator is no node, its
    // events are in by their effects alone.
    std::vector<bool> in(trace_.nodes() + 1, false);
    std::vector<bool> caused(target + 1, false);
    std::vector<uint64_t> chosen;
    caused[target] = true;
    for (uint64_t seq = target; seq >= 1 && chosen.size() <= options_.radius; --seq) {
      const Event& e = trace_.event(seq);
      const bool past = options_.cone ? caused[seq] || (e.node != 0 && in[e.node])
                                      : seq == target || e.node == node;
      if (!past) continue;
      in[e.node] = true;
      caused[e.cause] = true;
      chosen.push_back(seq);
    }
    out_ += options_.cone ? cat("\nthe last events of its causal past\n")
                          : cat("\nthe last events of ",
                                node == 0 ? std::string("the simulator")
                                          : std::string(trace_.node_name(node)),
                                "\n");
    for (auto seq = chosen.rbegin(); seq != chosen.rend(); ++seq) {
      out_ += text_line(trace_, trace_.event(*seq), trace_.text(*seq));
    }
  }

  const Trace& trace_;
  const ExplainOptions options_;
  std::string out_;
};

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

std::string explain_violation(const Trace& trace, const Violation& violation,
                              const ExplainOptions& options) {
  return Explainer(trace, options).violation(violation);
}

std::string explain_event(const Trace& trace, uint64_t seq, const ExplainOptions& options) {
  return Explainer(trace, options).event(seq);
}

}  // namespace qk::sim
