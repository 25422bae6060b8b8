#include "sim/explore/explanation.h"

#include <algorithm>
#include <deque>
#include <vector>

#include "families/base/check.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "sim/explore/disk_use.h"
#include "sim/explore/family_sides.h"
#include "sim/explore/sentences.h"
#include "sim/explore/suspect.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

constexpr size_t kMaxChain = 24;  // causes that are told
constexpr size_t kMaxFiles = 12;  // of each list
constexpr size_t kMaxOperations = 24;

std::string row(std::string_view label, std::string_view text) {
  std::string out = cat("  ", label);
  out.append(std::max<size_t>(12, out.size() + 1) - out.size(), ' ');
  return cat(out, text, "\n");
}

// Of many mutations of one kind.
std::string_view mutations_name(StoreOp op) {
  switch (op) {
    case StoreOp::kAppend:
      return "appends";
    case StoreOp::kTruncatePrefix:
    case StoreOp::kTruncateSuffix:
      return "truncations";
    case StoreOp::kReset:
      return "resets";
    case StoreOp::kSaveMeta:
      return "saves of term and vote";
    case StoreOp::kSaveSnapshot:
      return "snapshots";
  }
  return "mutations";
}

std::string_view directory_of(std::string_view path) {
  return path.substr(0, std::max<size_t>(1, path.rfind('/')));
}

bool is_of_storage(std::string_view oracle) {
  return oracle.starts_with("ora.L") || oracle.starts_with("ora.D") || oracle.starts_with("ora.I");
}

class Explainer {
 public:
  Explainer(const Trace& trace, const ExplainOptions& options)
      : trace_(trace), options_(options), disk_(trace) {
    QK_CHECK(trace.keeps_all());
  }

  std::string violation(const Violation& violation) {
    const Event& event = trace_.event(violation.seq);
    const std::string where = violation.node.empty() ? "the cluster" : violation.node;
    out_ += cat(violation.oracle, " ", violation.name, " is violated on ", where,
                violation.index > 0 ? cat(" at index ", violation.index) : std::string(), ", ",
                at_text(event), "\n");
    out_ += row("expected", violation.expected);
    out_ += row("found", violation.actual);
    if (!violation.phase.empty()) out_ += row("phase", violation.phase);
    const Suspect suspect = suspect_of(trace_, violation);
    if (suspect.issue != nullptr) {
      tell_suspect(suspect, violation, event);
    } else if (event.node != 0) {
      tell_migration_cut(violation, event);
    }
    if (event.node == 0 && violation.index > 0) tell_holders(violation.index, event);
    tell_chain(event, is_of_storage(violation.oracle));
    tell_lines(event.seq);
    return std::move(out_);
  }

  std::string event(uint64_t seq) {
    const Event& event = trace_.event(seq);
    out_ += cat(sentence(trace_, event), ", ", at_text(event), "\n");
    if (event.kind == EventKind::kStoreDone && event.span != 0) {
      const Event& issue = trace_.event(event.span);
      out_ += "\n";
      out_ += row("given", cat(sentence(trace_, issue), ", ", at_text(issue)));
      tell_files(disk_.judged(issue, event), event);
    }
    tell_chain(event, false);
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

  // The mutation that the finding is about, what the disk has of it, and where it went wrong.
  void tell_suspect(const Suspect& suspect, const Violation& violation, const Event& event) {
    const Event& issue = *suspect.issue;
    const Topic topic = topic_of(violation);
    const int64_t index = topic.kind == Topic::Kind::kLog ? topic.index.value_or(0) : 0;
    const Event* const end = end_judged(trace_, violation);
    out_ += suspect.done != nullptr ? "\nwhat was promised\n" : "\nwhat was under way\n";
    out_ += row("given", cat(sentence(trace_, issue), ", ", at_text(issue)));
    if (suspect.done != nullptr) {
      out_ += row("done", cat(sentence(trace_, *suspect.done), ", ", at_text(*suspect.done),
                              "; from here on the oracle holds it to that"));
    } else {
      out_ += row("ended", cat(sentence(trace_, *suspect.end), ", ", at_text(*suspect.end)));
    }
    if (index > 0 && suspect.done != nullptr) tell_entry(index, event);
    const std::vector<FileUse> files = disk_.judged(issue, *suspect.end);
    tell_files(files, *suspect.end);
    if (suspect.done == nullptr) tell_operations(issue, *suspect.end);
    if (end != nullptr) tell_in_flight(*end, issue);
    const std::vector<FamilySide> sides = sides_of(trace_, violation);
    tell_sides(sides, end != nullptr ? *end : event);
    tell_since(*suspect.end, event, index, files);
    out_ += "\nfirst faulty step\n";
    if (suspect.done == nullptr) {
      tell_half_done(suspect);
    } else {
      tell_faulty_step(*suspect.done, violation, event, index, files, sides);
    }
  }

  void tell_files(const std::vector<FileUse>& files, const Event& end) {
    out_ += "\nwhat the disk was told for it\n";
    if (files.empty()) out_ += row("", "nothing");
    const std::string when =
        end.kind == EventKind::kStoreDone ? "when it was done" : "when the process ended";
    for (size_t i = 0; i < std::min(files.size(), kMaxFiles); ++i)
      out_ += row("", use_text(files[i], when));
    if (files.size() > kMaxFiles) out_ += row("", cat("and ", files.size() - kMaxFiles, " more"));
  }

  // In their order: what of a mutation is not one step, a crash may divide.
  void tell_operations(const Event& issue, const Event& end) {
    const std::vector<const Event*> all = disk_.operations(issue, end);
    if (all.empty()) return;
    out_ += "\nin this order\n";
    for (size_t i = 0; i < std::min(all.size(), kMaxOperations); ++i) {
      const bool late = all[i]->signed_arg(5) > end.t;
      out_ += row("", cat(sentence(trace_, *all[i]), ", #", all[i]->seq,
                          late ? ", which had not returned" : ""));
    }
    if (all.size() > kMaxOperations)
      out_ += row("", cat("and ", all.size() - kMaxOperations, " more"));
  }

  void tell_in_flight(const Event& end, const Event& told) {
    std::vector<const Event*> open = in_flight_at(trace_, end);
    std::erase_if(open, [&](const Event* issue) { return issue->seq == told.seq; });
    if (open.empty()) return;
    out_ += cat("\nalso in flight when the process ended at #", end.seq, "\n");
    for (const Event* issue : open)
      out_ += row("", cat(sentence(trace_, *issue), ", ", at_text(*issue)));
  }

  void tell_sides(const std::vector<FamilySide>& sides, const Event& when) {
    if (sides.empty()) return;
    out_ += cat("\nwhat a power cut could take of both families at #", when.seq, "\n");
    for (const FamilySide& side : sides) {
      if (side.pending.empty()) {
        out_ +=
            row("", cat(side.label, " ", side.root, ": nothing; last sync at #", side.last_sync));
      }
      for (size_t i = 0; i < std::min(side.pending.size(), kMaxFiles); ++i)
        out_ += row("", cat(side.label, " ", pending_text(side.pending[i])));
    }
  }

  static std::string use_text(const FileUse& file, const std::string& when) {
    std::string out = cat(file.path, ": ", plural(file.writes, "change"), ", ",
                          plural(file.bytes, "byte"), ", ", plural(file.syncs, "sync"));
    if (file.unsynced_since != 0) {
      out += cat("; not durable ", when, ": #", file.unsynced_since);
    }
    if (file.unnamed_since != 0) {
      out += cat("; its name not durable ", when, ": #", file.unnamed_since);
    }
    if (doubt_of(file) == Doubt::kAfter) out += ", which came after a sync";
    if (doubt_of(file) == Doubt::kUsual) {
      out += cat(", as with ", file.before_alike, " of ", file.before, " mutations before");
    }
    return out;
  }

  // What follows the same step elsewhere, and did not here.
  std::string habit_text(const FileUse& file, const Event& issue, const Event& event) const {
    const bool name = file.unsynced_since == 0;
    std::string out;
    if (name && file.renamed) {
      out += cat("; a rename into ", directory_of(file.path), " with no sync-dir after it");
    }
    const std::string of = cat(mutations_name(store_op(issue)), " that changed ",
                               name ? "the name of " : "", without_numbers(file.path));
    const std::string_view sync = name ? "a sync of its directory" : "a sync";
    if (file.others > 0 && file.others_durable == file.others) {
      out += cat("; every other of ", file.others + 1, " ", of, " was followed by ", sync, ", #",
                 file.since(), " was not");
    } else if (file.others > 0 && file.others_durable > 0) {
      out += cat("; ", file.others_durable, " of ", file.others, " other ", of,
                 " were followed by ", sync, ", #", file.since(), " was not");
    } else if (file.others > 0) {
      out += cat("; of ", file.others, " other ", of, " none was followed by ", sync);
    }
    if (!name && !synced_later(file, event)) out += "; no sync of it came before the finding";
    return out;
  }

  bool synced_later(const FileUse& file, const Event& event) const {
    const Event& write = trace_.event(file.unsynced_since);
    return first_after(write.seq, event.seq, [&](const Event& e) {
             return e.node == write.node && e.kind == EventKind::kDiskOp &&
                    disk_op(e) == DiskOp::kSync && e.arg(1) == write.arg(1) &&
                    e.signed_arg(5) <= event.t;
           }) != nullptr;
  }

  void tell_half_done(const Suspect& suspect) {
    const std::vector<const Event*> all = disk_.operations(*suspect.issue, *suspect.end);
    const auto returned = std::count_if(
        all.begin(), all.end(), [&](const Event* e) { return e->signed_arg(5) <= suspect.end->t; });
    out_ += row(
        "", cat("the process ended at #", suspect.end->seq, " within ",
                mutation_name(*suspect.issue), " (mutation ", suspect.issue->arg(4), ", #",
                suspect.issue->seq, "): ", returned, " of its ", plural(all.size(), "operation"),
                " on the disk had returned. Whatever part of it a crash leaves must open "
                "and read"));
  }

  void tell_faulty_step(const Event& done, const Violation& violation, const Event& event,
                        int64_t index, const std::vector<FileUse>& files,
                        const std::vector<FamilySide>& sides) {
    const Event& issue = trace_.event(done.span);
    std::vector<std::string> lacking[4];
    for (const FileUse& file : files) {
      const Doubt doubt = doubt_of(file);
      lacking[static_cast<size_t>(doubt)].push_back(
          cat(file.unsynced_since == 0 ? "the name of " : "", file.path, " (#", file.since(), ")",
              doubt == Doubt::kNew ? habit_text(file, issue, event) : std::string()));
    }
    const auto of = [&](Doubt doubt) -> const std::vector<std::string>& {
      return lacking[static_cast<size_t>(doubt)];
    };
    const std::string said = cat(trace_.node_name(done.node), " said done at #", done.seq);
    constexpr std::string_view kCould = " while a power cut could still take back ";
    const bool of_mirror = violation.oracle == "ora.D1" || violation.oracle == "ora.D3" ||
                           violation.oracle == "ora.M3";
    const PendingFile* const mirror = of_mirror ? never_durable(sides) : nullptr;
    if (!of(Doubt::kNew).empty()) {
      out_ += row("", cat(said, kCould, "what it had written to ", join(of(Doubt::kNew))));
    } else if (mirror != nullptr) {
      out_ += row("", cat(said, kCould, "the mirror's ", pending_text(*mirror), ", the first at #",
                          mirror->first));
    } else if (const std::string step = step_of_rule(done, violation, event); !step.empty()) {
      out_ += row("", step);
    } else if (const Event* cut = last_cut(done, event, index); cut != nullptr) {
      const Event* const trigger = trigger_of(*cut);
      out_ += row("", cat(trace_.node_name(cut->node), " cut the entry off itself: ",
                          sentence(trace_, *cut), ", ", at_text(*cut), snapshot_text(*cut),
                          trigger == nullptr ? std::string()
                                             : cat(", because ", sentence(trace_, *trigger), ", ",
                                                   at_text(*trigger))));
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

  // A log is reset above a snapshot that does not continue it.
  std::string snapshot_text(const Event& cut) const {
    if (store_op(cut) != StoreOp::kReset) return "";
    const Event* const snapshot = last_before(cut.seq, [&](const Event& e) {
      return e.node == cut.node &&
             (e.kind == EventKind::kSnapPublish || e.kind == EventKind::kSnapInstall);
    });
    if (snapshot == nullptr || snapshot->signed_arg(0) + 1 != cut.signed_arg(2)) return "";
    return cat(", as ", sentence(trace_, *snapshot), " of term ", snapshot->signed_arg(1), ", ",
               at_text(*snapshot), ", a term that its log does not have there");
  }

  // Where what is wrong was durable, and the step is a rule that was not kept; "": none is known.
  std::string step_of_rule(const Event& done, const Violation& violation,
                           const Event& event) const {
    const Event& issue = trace_.event(done.span);
    const std::string mutation = cat("mutation ", issue.arg(4));
    const bool of_commit = violation.oracle == "ora.R6" || violation.oracle == "ora.R7";
    const Event* const cause =
        !of_commit || violation.index <= 0 ? nullptr : last_before(event.seq, [&](const Event& e) {
          return e.node == event.node && e.kind == EventKind::kRaftCommit &&
                 e.signed_arg(0) >= violation.index;
        });
    if (cause != nullptr && cause->seq > done.seq) {
      const Event* const trigger = trigger_of(*cause);
      const Event* const term = last_before(issue.seq, [&](const Event& e) {
        return e.node == issue.node && e.kind == EventKind::kRaftTerm;
      });
      return cat(sentence(trace_, *cause), ", ", at_text(*cause),
                 trigger == nullptr
                     ? std::string()
                     : cat(", because ", sentence(trace_, *trigger), ", ", at_text(*trigger)),
                 "; what it has at ", violation.index, " it was given as ", mutation, ", #",
                 issue.seq, term == nullptr ? std::string() : cat(", in term ", term->arg(0)));
    }
    const Event* const cut = last_before(event.seq, [&](const Event& e) {
      return e.node == event.node && e.kind == EventKind::kMigStep &&
             static_cast<MigStep>(e.arg(0)) == MigStep::kCut;
    });
    if (violation.oracle == "ora.I1" && cut != nullptr && done.seq > cut->seq) {
      return cat("the image holds what came after its cut: ", mutation, " was done at #", done.seq,
                 ", the cut was taken at #", cut->seq);
    }
    if (violation.oracle == "ora.M3") {
      const Event* const caught_up = first_after(done.seq, event.seq, [&](const Event& e) {
        return e.node == event.node && e.kind == EventKind::kMigStep && e.arg(3) > 0;
      });
      return cat(mutation, " is durable in A, and B is not as it left A: ",
                 caught_up == nullptr ? std::string("no step of the catch-up came between")
                                      : cat("the catch-up from #", caught_up->seq,
                                            " on lost it, or wrote it wrong"));
    }
    return "";
  }

  // Of a finding about a cut and no mutation: which cut it was, and what the node made of it.
  void tell_migration_cut(const Violation& violation, const Event& event) {
    const auto find = [&](EventKind kind, uint64_t before) {
      return last_before(before,
                         [&](const Event& e) { return e.node == event.node && e.kind == kind; });
    };
    const Event* const cut = find(EventKind::kMigCut, event.seq);
    const Event* const phase = find(EventKind::kMigPhase, event.seq);
    if (cut == nullptr || phase == nullptr) return;
    out_ += "\nfirst faulty step\n";
    const std::string phase_text =
        violation.phase.empty() ? std::string() : cat(" in phase ", violation.phase);
    out_ +=
        row("", cat("what the node did at #", event.seq, phase_text, ", ",
                    seconds_text(event.t - cut->t, 3),
                    "s after what was compared: ", sentence(trace_, *cut), ", ", at_text(*cut)));
    out_ += row("", cat("the last phase that it entered: ", sentence(trace_, *phase), ", ",
                        at_text(*phase)));
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
          what = cat("is given it, ", at_text(e), ", and has not said that it is done");
        } else if (e.kind == EventKind::kStoreDone && issue != 0 && e.span == issue) {
          what =
              cat(e.arg(5) == 0 ? "says that it is done, " : "says that it failed, ", at_text(e));
        } else if (issue != 0 && cuts_off(e, index)) {
          what = cat("has it, and is given ", mutation_name(e), ", ", at_text(e));
        } else if (issue != 0 &&
                   (e.kind == EventKind::kFaultCrash || e.kind == EventKind::kNodeStop)) {
          what += cat("; then its process ends, ", at_text(e));
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
      out_ += row("committed", cat(trace_.node_name(commit->node), ", ", at_text(*commit)));
    }
    const Event* const apply = first_after(0, event.seq, [&](const Event& e) {
      return e.kind == EventKind::kRaftApply && e.signed_arg(0) == index;
    });
    if (apply == nullptr) {
      out_ += row("applied", "by no node");
      return;
    }
    out_ += row("applied", cat("first by ", trace_.node_name(apply->node), ", ", at_text(*apply)));
    const Event* const invoke = first_after(0, event.seq, [&](const Event& e) {
      return e.kind == EventKind::kClientInvoke && e.arg(4) == apply->arg(2);
    });
    if (invoke == nullptr) {
      out_ += row("asked by", "no client: the nodes' own entry, or from before the run");
      return;
    }
    out_ += row("asked by", cat(sentence(trace_, *invoke), ", ", at_text(*invoke)));
    const Event* const answer = first_after(invoke->seq, event.seq, [&](const Event& e) {
      return e.kind == EventKind::kClientOk && e.span == invoke->seq;
    });
    out_ +=
        row("answered", answer == nullptr ? std::string("not before the violation")
                                          : cat("client ", answer->arg(0), ", ", at_text(*answer)));
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
      if (told) rows.push_back(row("", cat(sentence(trace_, e), ", ", at_text(e))));
    }
    if (rows.empty()) return;
    out_ += "\nsince then on the same node\n";
    const size_t first = rows.size() > kMaxFiles ? rows.size() - kMaxFiles : 0;
    if (first > 0) out_ += row("", cat(first, " more before these"));
    for (size_t i = first; i < rows.size(); ++i) out_ += rows[i];
  }

  // A finding of storage is explained by what its mutation did; what led to that is another question.
  void tell_chain(const Event& event, bool to_issue) {
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
      if (to_issue && e.kind == EventKind::kStoreIssue) {
        more = e.cause != 0;
        break;
      }
    }
    out_ += "\nwhat led to it, by causes\n";
    if (more) out_ += row("", "...");
    if (steps.empty()) out_ += row("", "the start of the run");
    for (const Event* step : steps) {
      out_ += row("", cat(sentence(trace_, *step), ", ", at_text(*step)));
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
  const DiskUse disk_;
  std::string out_;
};

}  // namespace

std::string explain_violation(const Trace& trace, const Violation& violation,
                              const ExplainOptions& options) {
  return Explainer(trace, options).violation(violation);
}

std::string explain_event(const Trace& trace, uint64_t seq, const ExplainOptions& options) {
  return Explainer(trace, options).event(seq);
}

}  // namespace qk::sim
