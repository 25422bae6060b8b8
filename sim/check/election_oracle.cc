#include "sim/check/election_oracle.h"

namespace qk::sim {

ElectionOracle::ElectionOracle(const FindingSink* sink)
    : sink_(sink), nodes_(static_cast<size_t>(sink->node_count())) {}

void ElectionOracle::seed(int node, const families::HardState& state) {
  term_observed(node, state.term);
  if (!state.voted_for.empty()) vote_granted(node, state.term, state.voted_for);
}

void ElectionOracle::leader_elected(int node, int64_t term) {
  const auto [found, inserted] = leaders_.try_emplace(term, node);
  if (!inserted && found->second != node) {
    sink_->report("ora.R1", node, 0,
                  cat("one leader of term ", term, ": ", sink_->node_name(found->second)),
                  cat("a second one: ", sink_->node_name(node)));
  }
}

void ElectionOracle::vote_granted(int node, int64_t term, const std::string& candidate) {
  Node& of = nodes_[static_cast<size_t>(node)];
  const auto [found, inserted] = of.votes.try_emplace(term, candidate);
  if (!inserted && found->second != candidate) {
    sink_->report("ora.R2", node, 0,
                  cat("one vote in term ", term, ", already granted to ", found->second),
                  cat("vote for ", candidate));
  }
  if (!of.last_vote || of.last_vote->term <= term) of.last_vote = Vote{term, found->second};
}

void ElectionOracle::term_observed(int node, int64_t term) {
  Node& of = nodes_[static_cast<size_t>(node)];
  if (term < of.term) {
    sink_->report("ora.R3", node, 0, cat("term at least ", of.term), cat("term ", term));
  }
  of.term = std::max(of.term, term);
}

const std::optional<Vote>& ElectionOracle::last_vote(int node) const {
  return nodes_[static_cast<size_t>(node)].last_vote;
}

}  // namespace qk::sim
