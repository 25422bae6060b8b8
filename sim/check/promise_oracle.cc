#include "sim/check/promise_oracle.h"

#include "families/base/strings.h"

namespace qk::sim {
namespace {

bool covers_entry(const StateImage& state, int64_t index, int64_t term) {
  return index == 0 || state.holds(index, term);
}

std::string log_of(const StateImage& state) {
  return cat("log [", state.first, ", ", state.last, "], ", describe(state.snapshot));
}

}  // namespace

void PromiseOracle::speaks_of_term(int node, int64_t term, const GhostState& ghost) const {
  if (ghost.acked().hard_state.term >= term) return;
  sink_->report("ora.R13", node, 0, cat("a message of at most the saved term: ", term),
                describe(ghost.acked().hard_state));
}

void PromiseOracle::grants(int node, int64_t term, const std::string& candidate,
                           const GhostState& ghost) const {
  const families::HardState& saved = ghost.acked().hard_state;
  if (saved.term > term || (saved.term == term && saved.voted_for == candidate)) return;
  sink_->report("ora.R13", node, 0,
                cat("the vote for ", candidate, " in term ", term, " saved before it is granted"),
                describe(saved));
}

void PromiseOracle::confirms(int node, int64_t index, int64_t term, const GhostState& ghost) const {
  if (covers_entry(ghost.acked(), index, term)) return;
  sink_->report("ora.R13", node, index,
                cat("index ", index, ", term ", term,
                    " acknowledged by storage before an append is "
                    "answered with success"),
                log_of(ghost.acked()));
}

void PromiseOracle::counted(int follower, int64_t leader_term, int64_t index, int64_t term,
                            const GhostState& ghost) const {
  if (ghost.acked().hard_state.term > leader_term) return;
  if (covers_entry(ghost.acked(), index, term)) return;
  sink_->report("ora.R12", follower, index,
                cat("index ", index, ", term ", term, ", which the leader of term ", leader_term,
                    " counts for this follower"),
                log_of(ghost.acked()));
}

}  // namespace qk::sim
