#include "sim/check/dual_oracle.h"

#include <algorithm>
#include <utility>

#include "families/base/strings.h"

namespace qk::sim {
namespace {

bool covers(const families::HardState& state, int64_t term, const std::string& vote) {
  return state.term > term || (state.term == term && (vote.empty() || state.voted_for == vote));
}

}  // namespace

DualOracle::DualOracle(const FindingSink* sink)
    : sink_(sink),
      lanes_(static_cast<size_t>(sink->node_count())),
      floor_(static_cast<size_t>(sink->node_count())) {}

void DualOracle::applied(int node, int side, const Applied& mutation) {
  constexpr size_t kMost = 64;  // of what never leads to an ack, as a replay
  auto& list = lane_of(node, families::lane_of(mutation.operation))[static_cast<size_t>(side)];
  if (list.size() < kMost) list.push_back(mutation);
}

bool DualOracle::acked(int node, families::Lane lane, bool dual) {
  const Sides sides = std::exchange(lane_of(node, lane), {});
  if (!dual) return false;
  const auto& [a, b] = sides;
  if (a.empty() && b.empty()) return false;
  for (const auto* side : {&a, &b}) {
    for (const Applied& mutation : *side) {
      if (mutation.ok) continue;
      sink_->report("ora.D2", node, 0, "no ack of a mutation that a family refused",
                    cat(families::to_string(mutation.operation), " of ", side == &a ? "A" : "B",
                        " failed, and is acknowledged"));
      return true;
    }
  }
  const auto names = [](const std::vector<Applied>& side) {
    std::string text;
    for (const Applied& mutation : side) {
      text += cat(text.empty() ? "" : ", ", families::to_string(mutation.operation), " ",
                  hex16(mutation.digest));
    }
    return text.empty() ? std::string("nothing") : text;
  };
  const bool same =
      std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Applied& x, const Applied& y) {
        return x.operation == y.operation && x.digest == y.digest;
      });
  if (same) return true;
  sink_->report("ora.D5", node, 0, cat("the same in both families; A: ", names(a)),
                cat("B: ", names(b)));
  return true;
}

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
