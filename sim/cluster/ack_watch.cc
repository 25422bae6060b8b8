#include "sim/cluster/ack_watch.h"

#include "families/base/strings.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

// Not on one family alone.
bool is_migrating(PhaseCode phase) {
  return phase != PhaseCode::kA && phase != PhaseCode::kB && phase != PhaseCode::kRollback;
}

}  // namespace

std::string to_text(const AckGap& gap) {
  return cat(seconds_text(gap.length(), 2), "s at t=", seconds_text(gap.begin, 3), "s",
             gap.phases.empty() ? std::string() : cat(" (", gap.phases, ")"));
}

void AckWatch::acked(Nanos now) {
  if (!last_) return;
  if (!longest_ || now - *last_ > longest_->length()) {
    longest_ = AckGap{*last_, now, ""};
    for (const std::string& phase : since_) {
      longest_->phases += cat(longest_->phases.empty() ? "" : ", ", phase);
    }
  }
  last_ = now;
  since_.clear();
  for (const auto& [node, phase] : migrating_) since_.push_back(cat(node, " ", to_string(phase)));
}

void AckWatch::phase(const std::string& node, PhaseCode phase) {
  if (is_migrating(phase)) {
    migrating_[node] = phase;
    since_.push_back(cat(node, " ", to_string(phase)));
  } else {
    migrating_.erase(node);
  }
}

void AckWatch::end(Nanos now) {
  acked(now);
  last_.reset();
}

}  // namespace qk::sim
