#include "migration/reconcile.h"

#include <algorithm>

#include "migration/node_driver.h"

namespace qk::migration {
namespace {

using families::Family;
using families::Lane;
using families::Mutation;
using families::Operation;

enum class LaneState : uint8_t { kBefore, kPartial, kAfter };

std::string describe(Family& family) {
  std::string text = cat("log ", family.log().first_index(), "..", family.log().last_index(),
                         ", term ", family.meta().hard_state().term, ", snapshot ");
  const auto snapshot = family.snapshot().current();
  return text + (snapshot ? cat(snapshot->last_included_index) : "none");
}

absl::Status unexplained(Family& family, const Intent& intent) {
  return absl::DataLossError(cat("no crash of ", to_string(intent.operation), " seq ", intent.seq,
                                 " over log ", intent.pre_first, "..", intent.pre_last,
                                 " leaves what is there: ", describe(family)));
}

absl::StatusOr<LaneState> append_state(Family& family, const Intent& intent) {
  families::LogStorage& log = family.log();
  const int64_t last = log.last_index();
  const int64_t after = intent.pre_last + static_cast<int64_t>(intent.entries.size());
  if (log.first_index() != intent.pre_first || last < intent.pre_last || last > after) {
    return unexplained(family, intent);
  }
  for (int64_t index = intent.pre_last + 1; index <= last; ++index) {
    QK_ASSIGN_OR_RETURN(const families::LogEntry entry, log.entry(index));
    if (mark_of(entry) != intent.entries[index - intent.pre_last - 1]) {
      return unexplained(family, intent);
    }
  }
  if (last == after) return LaneState::kAfter;
  return last == intent.pre_last ? LaneState::kBefore : LaneState::kPartial;
}

struct LogRange {
  int64_t first;
  int64_t last;
  friend bool operator==(const LogRange&, const LogRange&) = default;
};

LogRange range_after(const Intent& intent) {
  switch (intent.operation) {
    case Operation::kTruncatePrefix:
      return {std::max(intent.pre_first, intent.index),
              std::max(intent.pre_last, intent.index - 1)};
    case Operation::kTruncateSuffix:
      return {intent.pre_first, std::min(intent.pre_last, intent.index)};
    default:
      return {intent.index, intent.index - 1};
  }
}

absl::StatusOr<LaneState> lane_state(Family& family, const Intent& intent) {
  switch (intent.operation) {
    case Operation::kAppend:
      return append_state(family, intent);
    case Operation::kSaveMeta: {
      const families::HardState found = family.meta().hard_state();
      if (found == intent.hard_state) return LaneState::kAfter;
      if (found == intent.pre_hard_state) return LaneState::kBefore;
      return unexplained(family, intent);
    }
    case Operation::kPublish: {
      const auto found = family.snapshot().current();
      if (found && *found == intent.snapshot) return LaneState::kAfter;
      if (found == intent.pre_snapshot) return LaneState::kBefore;
      return unexplained(family, intent);
    }
    default: {
      const LogRange found{family.log().first_index(), family.log().last_index()};
      if (found == range_after(intent)) return LaneState::kAfter;
      if (found == LogRange{intent.pre_first, intent.pre_last}) return LaneState::kBefore;
      return unexplained(family, intent);
    }
  }
}

// lane_state(); an error says where.
absl::StatusOr<LaneState> look(std::string_view role, Family& family, const Intent& intent) {
  absl::StatusOr<LaneState> state = lane_state(family, intent);
  if (state.ok()) return state;
  return annotate(state.status(),
                  cat("reconcile: the ", role, "'s ", to_string(lane_of(intent.operation))));
}

class Reconciler {
 public:
  Reconciler(Family& primary, Family& mirror) : primary_(primary), mirror_(mirror) {}

  absl::Status run(const Intent& intent) {
    QK_ASSIGN_OR_RETURN(const LaneState primary, look("primary", primary_, intent));
    QK_ASSIGN_OR_RETURN(const LaneState mirror, look("mirror", mirror_, intent));
    if (primary == LaneState::kAfter && mirror == LaneState::kAfter) return absl::OkStatus();
    // The intent is durable before the primary begins, and the primary before the mirror.
    if (primary != LaneState::kAfter && mirror != LaneState::kBefore) {
      return absl::DataLossError(
          cat("reconcile: the mirror's ", to_string(lane_of(intent.operation)),
              " is ahead of the primary's at ", to_string(intent.operation), " seq ", intent.seq,
              ": primary ", describe(primary_), "; mirror ", describe(mirror_)));
    }
    // What the primary does not have was never answered with ok, and it may have refused it: the
    // caller was told then that it did not happen.
    if (primary == LaneState::kBefore) return absl::OkStatus();
    if (primary == LaneState::kPartial) return drop_partial(intent);
    switch (intent.operation) {
      case Operation::kAppend:
        return append_missing(intent);
      case Operation::kPublish:
        return publish_again(intent);
      default:
        return apply_to_mirror(intent);
    }
  }

  ReconcileReport take_report() { return std::move(report_); }

 private:
  void note(const Intent& intent, std::string_view what) {
    report_.actions.push_back(cat(to_string(intent.operation), " seq ", intent.seq, ": ", what));
  }

  absl::Status append_missing(const Intent& intent) {
    std::vector<families::LogEntry> missing;
    QK_RETURN_IF_ERROR(primary_.log().scan(mirror_.log().last_index() + 1,
                                           primary_.log().last_index(),
                                           [&](const families::LogEntry& entry) {
                                             missing.push_back(entry);
                                             return absl::OkStatus();
                                           }));
    note(intent, cat("appended ", missing.size(), " entries to the mirror from the primary"));
    return mirror_.log().append(missing).status();
  }

  // The payload is gone with the crash, so the batch goes back to where the mirror is. It was never
  // acknowledged.
  absl::Status drop_partial(const Intent& intent) {
    note(intent, cat("dropped a partial batch above ", intent.pre_last, " from the primary"));
    return primary_.log().truncate_suffix(intent.pre_last).status();
  }

  absl::Status publish_again(const Intent& intent) {
    QK_ASSIGN_OR_RETURN(const auto reader, primary_.snapshot().open());
    QK_ASSIGN_OR_RETURN(auto writer, mirror_.snapshot().create());
    QK_RETURN_IF_ERROR(copy_snapshot(*reader, *writer));
    note(intent, cat("published snapshot ", intent.snapshot.last_included_index,
                     " on the mirror from the primary"));
    return mirror_.snapshot().publish(std::move(writer)).status();
  }

  absl::Status apply_to_mirror(const Intent& intent) {
    Mutation mutation;
    mutation.operation = intent.operation;
    mutation.index = intent.index;
    mutation.hard_state = intent.hard_state;
    note(intent, "applied again to the mirror");
    return families::apply(mirror_, mutation).status();
  }

  Family& primary_;
  Family& mirror_;
  ReconcileReport report_;
};

}  // namespace

absl::StatusOr<ReconcileReport> reconcile(const IntentJournal& journal, Family& primary,
                                          std::string_view primary_instance, Family& mirror,
                                          std::string_view mirror_instance) {
  Reconciler reconciler(primary, mirror);
  // Snapshot before log: what a truncation drops is covered by a snapshot on both sides.
  for (const Lane lane : {Lane::kMeta, Lane::kSnapshot, Lane::kLog}) {
    const std::optional<Intent>& intent = journal.newest(lane);
    if (!intent || intent->primary_instance != primary_instance ||
        intent->mirror_instance != mirror_instance) {
      continue;
    }
    QK_RETURN_IF_ERROR(reconciler.run(*intent));
  }
  return reconciler.take_report();
}

}  // namespace qk::migration
