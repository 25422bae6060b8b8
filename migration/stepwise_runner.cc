#include "migration/stepwise_runner.h"

namespace qk::migration {

absl::StatusOr<std::unique_ptr<StepwiseRunner>> StepwiseRunner::open(ControllerOptions options,
                                                                     RunnerObserver* observer,
                                                                     Settle settle) {
  auto stepwise = std::unique_ptr<StepwiseRunner>(new StepwiseRunner(std::move(settle)));
  auto opened = Runner::open(std::move(options), stepwise.get(), observer);
  const bool lives = stepwise->settle_();
  QK_RETURN_IF_ERROR(opened.status());
  stepwise->runner_ = *std::move(opened);
  if (lives) stepwise->runner_->start();
  return stepwise;
}

absl::StatusOr<bool> StepwiseRunner::step() {
  runner_->pump();
  // What was due may give way to a request that came since, whose step needs a barrier.
  for (const uint64_t before = runner_->steps(); runner_->steps() == before;) {
    QK_ASSIGN_OR_RETURN(const bool due, run(&step_));
    if (!due) return false;
  }
  return true;
}

absl::StatusOr<bool> StepwiseRunner::run_background() {
  runner_->pump();
  return run(&piece_);
}

absl::StatusOr<bool> StepwiseRunner::run(std::function<void()>* what) {
  QK_RETURN_IF_ERROR(stopped_);
  const std::function<void()> now = std::exchange(*what, nullptr);
  if (now == nullptr) return false;
  now();
  QK_RETURN_IF_ERROR(stopped_);
  return true;
}

}  // namespace qk::migration
