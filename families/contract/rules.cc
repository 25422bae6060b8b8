// Rules that hold in every family and are therefore decided above all of them.
#include "families/contract/meta_storage.h"
#include "families/contract/snapshot_storage.h"

namespace qk::families {
namespace {

std::string describe(const HardState& state) {
  return cat("(term ", state.term, ", vote ", state.voted_for.empty() ? "nobody" : state.voted_for,
             ")");
}

}  // namespace

absl::Status check_hard_state_change(const HardState& from, const HardState& to) {
  if (to.term < from.term) {
    return absl::InvalidArgumentError(
        cat("save_meta: term goes down: found ", describe(to), ", saved ", describe(from)));
  }
  if (to.term == from.term && !from.voted_for.empty() && to.voted_for != from.voted_for) {
    return absl::InvalidArgumentError(cat("save_meta: vote changes within a term: found ",
                                          describe(to), ", saved ", describe(from)));
  }
  return absl::OkStatus();
}

absl::StatusOr<PublishVerdict> judge_publish(const std::optional<SnapshotMeta>& current,
                                             const SnapshotMeta& next) {
  if (next.last_included_index < 1 || next.last_included_term < 1) {
    return absl::InvalidArgumentError(cat("publish: snapshot at index ", next.last_included_index,
                                          ", term ", next.last_included_term,
                                          ": both must be at least 1"));
  }
  if (!current || next.last_included_index > current->last_included_index) {
    return PublishVerdict::kPublish;
  }
  if (next == *current) return PublishVerdict::kAlreadyPublished;
  return absl::InvalidArgumentError(
      cat("publish: snapshot at index ", next.last_included_index, ", term ",
          next.last_included_term, ", but the current one is at index ",
          current->last_included_index, ", term ", current->last_included_term,
          next.last_included_index == current->last_included_index
              ? ": equal index with different term or configuration"
              : ": the index goes down"));
}

}  // namespace qk::families
