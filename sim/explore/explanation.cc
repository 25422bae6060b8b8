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

// A file that a mutation used, and whether what was done to it is certain to outlive a power cut at
// the time in question.
struct FileUse {
  std::string path;
  uint64_t writes = 0;
  uint64_t bytes = 0;
  uint64_t syncs = 0;
  uint64_t unsynced_since = 0;  // seq of the first write that no returned sync covers; 0: none
  uint64_t unnamed_since = 0;   // of what gave it its name, which no returned sync of its directory
                                // covers; 0: nothing
  bool synced = false;          // a sync of it had returned, whatever was written after that
  // Of the mutations before this one, on any node, that changed the file of this name, numbers
  // apart: all, and those that left it as undurable.
  uint64_t before = 0;
  uint64_t before_alike = 0;

  uint64_t since() const { return unsynced_since != 0 ? unsynced_since : unnamed_since; }
};

// How much what is not durable deserves suspicion. Families leave some on purpose: marks that only
// say that there is nothing to repair, padding that follows a synced commit.
enum class Doubt : uint8_t {
  kNone,   // all is durable
  kAfter,  // all was synced, and then changed again
  kUsual,  // it was left so by mutations before this one, of which no oracle complained
  kNew,    // it was not
};

Doubt doubt_of(const FileUse& file) {
  constexpr uint64_t kHabit = 3;  // one or two times may be the bug itself, not seen yet
  if (file.since() == 0) return Doubt::kNone;
  if (file.unnamed_since == 0 && file.synced) return Doubt::kAfter;
  return file.before_alike >= kHabit && 2 * file.before_alike >= file.before ? Doubt::kUsual
                                                                             : Doubt::kNew;
}

// "/node/local/log/log_17" -> "/node/local/log/log_#"
std::string without_numbers(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) out += c;
    if (digit && !out.ends_with('#')) out += '#';
  }
  return out;
}

std::string_view parent_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string mutation_name(const Event& issue);

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
    if (event.node == 0 && violation.index > 0) tell_holders(violation.index, event);
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

  // What the node has said is done and the oracle judges: where an acknowledged entry is lost the
  // append of its index, or else the mutation at whose end the oracle spoke, the append of the index,
  // the vote of a finding about votes, or the last mutation.
  const Event* subject_of(const Violation& violation, const Event& event) const {
    const auto done = [&](const Event& e) {
      return e.node == event.node && e.kind == EventKind::kStoreDone && e.arg(5) == 0 &&
             e.span != 0;
    };
    const bool of_entry = violation.oracle == "ora.L1" && violation.index > 0;
    if (!of_entry && event.cause != 0 && done(trace_.event(event.cause)))
      return &trace_.event(event.cause);
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
    const std::vector<FileUse> files = judged_files_of(issue, done);
    out_ += "\nwhat the disk was told for it\n";
    if (files.empty()) out_ += row("", "nothing");
    for (size_t i = 0; i < std::min(files.size(), kMaxFiles); ++i)
      out_ += row("", use_text(files[i]));
    if (files.size() > kMaxFiles) out_ += row("", cat("and ", files.size() - kMaxFiles, " more"));
    tell_since(done, event, index, files);
    out_ += "\nfirst faulty step\n";
    tell_faulty_step(done, event, index, files);
  }

  static std::string use_text(const FileUse& file) {
    std::string out = cat(file.path, ": ", plural(file.writes, "change"), ", ",
                          plural(file.bytes, "byte"), ", ", plural(file.syncs, "sync"));
    if (file.unsynced_since != 0) {
      out += cat("; not durable when it was done: #", file.unsynced_since);
    }
    if (file.unnamed_since != 0) {
      out += cat("; its name not durable when it was done: #", file.unnamed_since);
    }
    if (doubt_of(file) == Doubt::kAfter) out += ", which came after a sync";
    if (doubt_of(file) == Doubt::kUsual) {
      out += cat(", as with ", file.before_alike, " of ", file.before, " mutations before");
    }
    return out;
  }

  void tell_faulty_step(const Event& done, const Event& event, int64_t index,
                        const std::vector<FileUse>& files) {
    std::vector<std::string> lacking[4];
    for (const FileUse& file : files) {
      lacking[static_cast<size_t>(doubt_of(file))].push_back(
          cat(file.unsynced_since == 0 ? "the name of " : "", file.path, " (#", file.since(), ")"));
    }
    const auto of = [&](Doubt doubt) -> const std::vector<std::string>& {
      return lacking[static_cast<size_t>(doubt)];
    };
    const std::string said = cat(trace_.node_name(done.node), " said done at #", done.seq);
    constexpr std::string_view kCould = " while a power cut could still take back ";
    if (!of(Doubt::kNew).empty()) {
      out_ += row("", cat(said, kCould, "what it had written to ", join(of(Doubt::kNew))));
    } else if (const Event* cut = last_cut(done, event, index); cut != nullptr) {
      const Event* const trigger = trigger_of(*cut);
      out_ += row("", cat(trace_.node_name(cut->node),
                          " cut the entry off itself: ", sentence(trace_, *cut), ", ", at(*cut),
                          trigger == nullptr
                              ? std::string()
                              : cat(", because ", sentence(trace_, *trigger), ", ", at(*trigger))));
    } else if (!of(Doubt::kUsual).empty()) {
      out_ +=
          row("", cat(said, kCould, "what it had written to ", join(of(Doubt::kUsual)),
                      "; so it was before, without a finding: left on purpose, or never judged"));
    } else if (const Event* crash = last_end(done.seq, event); crash != nullptr) {
      out_ += row("", cat("not found before the end of the process at #", crash->seq,
                          ": all that the mutation wrote was synced. Look at what came after it"));
    } else {
      out_ += row("",
                  "none of the known shapes: all that the mutation wrote was synced, and the "
                  "process did not end since");
    }
    if (!of(Doubt::kAfter).empty()) {
      out_ += row("", cat("only what came after a sync was not: ", join(of(Doubt::kAfter))));
    }
  }

  // The mutation by which the node's log lost the entry, if one came after it was done.
  const Event* last_cut(const Event& done, const Event& event, int64_t index) const {
    if (index <= 0 || store_op(trace_.event(done.span)) != StoreOp::kAppend) return nullptr;
    const Event* const cut = last_before(
        event.seq, [&](const Event& e) { return e.node == done.node && cuts_off(e, index); });
    return cut != nullptr && cut->seq > done.seq ? cut : nullptr;
  }

  const Event* last_end(uint64_t after, const Event& event) const {
    const Event* const end = last_before(event.seq, [&](const Event& e) {
      return e.node == event.node &&
             (e.kind == EventKind::kFaultCrash || e.kind == EventKind::kNodeStop);
    });
    return end != nullptr && end->seq > after ? end : nullptr;
  }

  bool appends(const Event& issue, int64_t index) const {
    return issue.kind == EventKind::kStoreIssue && store_op(issue) == StoreOp::kAppend &&
           issue.signed_arg(2) <= index && index <= issue.signed_arg(3);
  }
  // A mutation by which the node's log loses what it has at the index.
  bool cuts_off(const Event& issue, int64_t index) const {
    return issue.kind == EventKind::kStoreIssue &&
           (store_op(issue) == StoreOp::kReset ||
            (store_op(issue) == StoreOp::kTruncateSuffix && issue.signed_arg(2) < index));
  }

  // What each node was given of the entry, and what became of it.
  void tell_holders(int64_t index, const Event& event) {
    out_ += cat("\nwhat each node has of index ", index, "\n");
    for (NodeId node = 1; node <= trace_.nodes(); ++node) {
      std::string what = "was never given it";
      uint64_t issue = 0;
      for (uint64_t seq = 1; seq < event.seq; ++seq) {
        const Event& e = trace_.event(seq);
        if (e.node != node) continue;
        if (appends(e, index)) {
          issue = seq;
          what = cat("is given it, ", at(e), ", and has not said that it is done");
        } else if (e.kind == EventKind::kStoreDone && issue != 0 && e.span == issue) {
          what = cat(e.arg(5) == 0 ? "says that it is done, " : "says that it failed, ", at(e));
        } else if (issue != 0 && cuts_off(e, index)) {
          what = cat("has it, and is given ", mutation_name(e), ", ", at(e));
        } else if (issue != 0 &&
                   (e.kind == EventKind::kFaultCrash || e.kind == EventKind::kNodeStop)) {
          what += cat("; then its process ends, ", at(e));
        }
      }
      out_ += row("", cat(trace_.node_name(node), " ", what));
    }
  }

  // What made a node do something: the nearest message, timer, request or start among its causes.
  const Event* trigger_of(const Event& event) const {
    for (uint64_t seq = event.cause; seq != 0; seq = trace_.event(seq).cause) {
      const EventKind kind = trace_.event(seq).kind;
      if (kind == EventKind::kNetRecv || kind == EventKind::kTimer ||
          kind == EventKind::kClientInvoke || kind == EventKind::kFaultRestart ||
          kind == EventKind::kMigStep) {
        return &trace_.event(seq);
      }
    }
    return nullptr;
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

  // The mutation that an operation on the disk was issued for, or 0: a storage call issues all of its
  // operations at once, so no other event comes between.
  uint64_t mutation_of(uint64_t seq) const {
    const NodeId node = trace_.event(seq).node;
    while (seq != 0 && trace_.event(seq).kind == EventKind::kDiskOp) seq = trace_.event(seq).cause;
    if (seq == 0) return 0;
    const Event& event = trace_.event(seq);
    return event.kind == EventKind::kStoreIssue && event.node == node ? seq : 0;
  }

  // A write is durable if a sync of its file came after it and had returned when the mutation was
  // done; a name that was created, linked or renamed to, if a sync of its directory had. That a name
  // is gone is no promise to anybody.
  std::vector<FileUse> files_of(const Event& issue, const Event& done) const {
    std::vector<FileUse> files;
    std::map<uint64_t, size_t> by_inode;
    std::map<std::string, size_t, std::less<>> by_path;
    const auto at_path = [&](std::string_view path) -> FileUse& {
      const auto [place, is_new] = by_path.try_emplace(std::string(path), files.size());
      if (is_new) files.push_back({.path = std::string(path)});
      return files[place->second];
    };
    for (uint64_t seq = issue.seq + 1; seq < done.seq; ++seq) {
      const Event& e = trace_.event(seq);
      // They follow one another; another node's may come between.
      if (e.node != issue.node) continue;
      if (e.kind != EventKind::kDiskOp || mutation_of(seq) != issue.seq) break;
      const bool returned = e.signed_arg(5) <= done.t;
      const std::string_view path = trace_.text(seq);
      switch (disk_op(e)) {
        case DiskOp::kWrite:
        case DiskOp::kTruncate:
        case DiskOp::kSync: {
          const auto known = by_inode.find(e.arg(1));
          FileUse& file = known == by_inode.end() ? at_path(path) : files[known->second];
          by_inode.emplace(e.arg(1), static_cast<size_t>(&file - files.data()));
          if (disk_op(e) == DiskOp::kSync) {
            ++file.syncs;
            if (returned) file.unsynced_since = 0;
            file.synced = file.synced || returned;
            break;
          }
          ++file.writes;
          file.bytes += e.arg(3);
          if (file.unsynced_since == 0) file.unsynced_since = seq;
          break;
        }
        case DiskOp::kCreate:
        case DiskOp::kMkdir:
          at_path(path).unnamed_since = seq;
          break;
        case DiskOp::kRename:
        case DiskOp::kLink: {
          const size_t arrow = std::min(path.find(" -> "), path.size());
          const std::string from(path.substr(0, arrow));
          const std::string to(path.substr(std::min(arrow + 4, path.size())));
          if (disk_op(e) == DiskOp::kRename) {
            FileUse& file = at_path(from);
            const size_t position = static_cast<size_t>(&file - files.data());
            file.path = to;
            file.unnamed_since = seq;
            by_path.erase(from);
            by_path[to] = position;
          } else {
            at_path(to).unnamed_since = seq;
          }
          break;
        }
        case DiskOp::kSyncDir:
          for (FileUse& file : files) {
            if (returned && parent_of(file.path) == path) file.unnamed_since = 0;
          }
          break;
        case DiskOp::kUnlink:
        case DiskOp::kRmdir:
          if (const auto known = by_path.find(path); known != by_path.end()) {
            files[known->second].unnamed_since = 0;
            files[known->second].unsynced_since = 0;
          }
          break;
      }
    }
    // What was only looked at or removed says nothing.
    files.erase(std::remove_if(files.begin(), files.end(),
                               [](const FileUse& file) {
                                 return file.writes == 0 && file.unnamed_since == 0;
                               }),
                files.end());
    return files;
  }

  // With what mutations before it did.
  std::vector<FileUse> judged_files_of(const Event& issue, const Event& done) const {
    std::vector<FileUse> files = files_of(issue, done);
    if (std::none_of(files.begin(), files.end(), [](const auto& f) { return f.since() != 0; })) {
      return files;
    }
    for (uint64_t seq = 1; seq < done.seq; ++seq) {
      const Event& e = trace_.event(seq);
      if (e.kind != EventKind::kStoreDone || e.arg(5) != 0 || e.span == 0) continue;
      for (const FileUse& earlier : files_of(trace_.event(e.span), e)) {
        const std::string name = without_numbers(earlier.path);
        for (FileUse& file : files) {
          if (file.since() == 0 || without_numbers(file.path) != name) continue;
          ++file.before;
          const bool alike = (file.unsynced_since == 0 || earlier.unsynced_since != 0) &&
                             (file.unnamed_since == 0 || earlier.unnamed_since != 0) &&
                             (file.synced || !earlier.synced);
          file.before_alike += alike ? 1 : 0;
        }
      }
    }
    return files;
  }

  // Ends and faults of the node, and what else changed the same files.
  void tell_since(const Event& done, const Event& event, int64_t index,
                  const std::vector<FileUse>& files) {
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
        case EventKind::kFaultDisk:
        case EventKind::kNodeStop:
        case EventKind::kDiskCrash:
        case EventKind::kMigPhase:
          told = true;
          break;
        case EventKind::kStoreIssue:
          told = index > 0 && cuts_off(e, index);
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
      const Event& e = trace_.event(seq);
      if (!is_step(e)) continue;
      // A timer that set itself again and again: the last time is the one that counts.
      const bool again = !steps.empty() && e.kind == EventKind::kTimer &&
                         steps.front()->kind == EventKind::kTimer &&
                         steps.front()->node == e.node && steps.front()->arg(0) == e.arg(0);
      if (again) continue;
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

std::string explain_violation(const Trace& trace, const Violation& violation,
                              const ExplainOptions& options) {
  return Explainer(trace, options).violation(violation);
}

std::string explain_event(const Trace& trace, uint64_t seq, const ExplainOptions& options) {
  return Explainer(trace, options).event(seq);
}

}  // namespace qk::sim
