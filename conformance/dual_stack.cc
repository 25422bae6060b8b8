#include "conformance/dual_stack.h"

#include <algorithm>

#include "conformance/planting.h"
#include "migration/reconcile.h"

namespace qk::sim::conformance {

using families::Lane;

absl::StatusOr<std::unique_ptr<DualStack>> DualStack::open(families::FileSystem* fs,
                                                           std::string directory, Side primary,
                                                           Side mirror) {
  auto stack = std::unique_ptr<DualStack>(new DualStack);
  if (planting().driven) {
    for (Side* side : {&primary, &mirror}) {
      stack->planted_.push_back(planting().driven(side->family, side == &mirror));
      side->family = stack->planted_.back().get();
    }
  }
  QK_ASSIGN_OR_RETURN(stack->journal_, migration::IntentJournal::open(fs, std::move(directory)));
  QK_ASSIGN_OR_RETURN(migration::ReconcileReport report,
                      migration::reconcile(*stack->journal_, *primary.family, primary.instance,
                                           *mirror.family, mirror.instance));
  stack->reconciled_ = std::move(report.actions);
  uint64_t last_seq = 0;
  for (const Lane lane : {Lane::kLog, Lane::kMeta, Lane::kSnapshot}) {
    if (const auto& intent = stack->journal_->newest(lane)) {
      last_seq = std::max(last_seq, intent->seq);
    }
  }
  stack->driver_ = std::make_unique<migration::NodeDriver>(primary.family, last_seq);
  stack->primary_ = std::move(primary);
  stack->mirror_ = std::move(mirror);
  stack->engage();
  return stack;
}

void DualStack::engage() {
  migration::DualPair pair;
  pair.mirror = mirror_.family;
  pair.journal = journal_.get();
  pair.primary_instance = primary_.instance;
  pair.mirror_instance = mirror_.instance;
  driver_->set_dual(primary_.family, std::move(pair));
}

void DualStack::swap_roles() {
  std::swap(primary_, mirror_);
  engage();
}

}  // namespace qk::sim::conformance
