#include "sim/check/dual_oracle.h"

#include <utility>

namespace qk::sim {
namespace {

bool covers(const families::HardState& state, int64_t term, const std::string& vote) {
  return state.term > term || (state.term == term && (vote.empty() || state.voted_for == vote));
}

}  // namespace

DualOracle::DualOracle(const FindingSink* sink)
    : sink_(sink), floor_(static_cast<size_t>(sink->node_count())) {}

void DualOracle::mirror_probed(int node, const GhostState& ghost, const Probe& durable,
                               bool append_prefix) const {
  if (!durable.ok()) {
    sink_->report("ora.D1", node, 0, "a mirror that opens and reads after a power loss",
                  cat("mirror: ", to_std(durable.status().message())));
    return;
  }
  if (auto complaint = ghost.judge(*durable, append_prefix)) {
    sink_->report("ora.D1", node, complaint->index, std::move(complaint->expected),
                  cat("mirror: ", complaint->actual));
  }
}

void DualOracle::mirror_recovered(int node, const StateImage& authority,
                                  const StateImage& mirror) const {
  if (const auto difference = first_difference(authority, mirror)) {
    sink_->report("ora.D3", node, difference->index, cat("authority: ", difference->a),
                  cat("mirror: ", difference->b));
  }
}

void DualOracle::opened(int node, const families::HardState& a, const families::HardState& b) {
  floor_[static_cast<size_t>(node)] = covers(a, b.term, b.voted_for) ? a : b;
}

void DualOracle::authority_recovered(int node, const families::HardState& recovered,
                                     const std::optional<Vote>& last_vote) {
  auto& floor = floor_[static_cast<size_t>(node)];
  if (floor && !covers(recovered, floor->term, floor->voted_for)) {
    sink_->report("ora.D4", node, 0, cat("at least ", describe(*floor), ", as a family held it"),
                  describe(recovered));
  } else if (last_vote && !covers(recovered, last_vote->term, last_vote->candidate)) {
    sink_->report("ora.D4", node, 0,
                  cat("the granted vote (term ", last_vote->term, ", ", last_vote->candidate, ")"),
                  describe(recovered));
  }
  floor.reset();
}

}  // namespace qk::sim
