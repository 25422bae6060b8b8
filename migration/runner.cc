#include "migration/runner.h"

#include "families/base/check.h"

namespace qk::migration {

absl::StatusOr<std::unique_ptr<Runner>> Runner::open(ControllerOptions options, RunnerHost* host,
                                                     RunnerObserver* observer) {
  QK_CHECK(options.observer == nullptr);
  auto runner = std::unique_ptr<Runner>(new Runner(host, observer));
  options.observer = runner.get();
  QK_ASSIGN_OR_RETURN(runner->controller_, Controller::open(std::move(options)));
  return runner;
}

void Runner::start() {
  QK_CHECK(!started_);
  started_ = true;
  tell_marks(marks_due_ = marks_written_);
}

void Runner::pump() {
  pump_background();
  if (!started_ || stopped_) return;
  tell_when_durable();  // a request may have marked something
  pump_migration();
}

void Runner::fail(const absl::Status& why) {
  stop();
  host_.stop(why);
}

// ------------------------------------------------------------------------------ the next step

void Runner::pump_migration() {
  if (step_due_) return;
  // Of a request, which has been told of it too.
  if (!controller_->failure().ok()) return fail(controller_->failure());
  const Need need = controller_->need();
  if (need == Need::kNothing) return;
  step_due_ = true;
  if (need == Need::kBarrier) {
    return host_.at_barrier([this] {
      if (!stopped_) take_step(true);
    });
  }
  host_.after(controller_->pause_ns(), [this] {
    if (stopped_) return;
    if (controller_->need() == Need::kStep) return take_step(false);
    // A request came in the pause, and its step needs a barrier.
    step_due_ = false;
    pump_migration();
  });
}

// Under a barrier a step is right whatever is needed by now: a catch-up that was nearly done may
// have fallen back, and goes on then.
void Runner::take_step(bool at_barrier) {
  ++steps_;
  if (observer_ != nullptr) observer_->step_begins(at_barrier);
  const absl::Status status = controller_->step();
  storage_used();
  host_.after_storage([this, status, at_barrier, up_to = marks_due_ = marks_written_] {
    if (!status.ok()) return fail(status);
    tell_marks(up_to);
    if (observer_ != nullptr) observer_->step_complete();
    if (at_barrier) host_.release_barrier();
    step_due_ = false;
    pump();
  });
}

void Runner::storage_used() {
  if (observer_ != nullptr) observer_->storage_used();
  pump_background();
}

// ---------------------------------------------------------------------------- background work

void Runner::pump_background() {
  if (background_due_ || stopped_ || controller_->busy_family() == nullptr) return;
  background_due_ = true;
  host_.when_idle([this] { run_background(); });
}

void Runner::run_background() {
  background_due_ = false;
  if (stopped_) return;
  // A step may have closed it in the meantime.
  families::Family* const family = controller_->busy_family();
  if (family == nullptr) return;
  if (const absl::Status status = family->run_one(); !status.ok()) return fail(status);
  if (observer_ != nullptr) observer_->background_done(*family);
  storage_used();
}

// -------------------------------------------------------------------------- what is told when

void Runner::tell_when_durable() {
  if (marks_due_ == marks_written_) return;
  marks_due_ = marks_written_;
  host_.after_storage([this, up_to = marks_due_] { tell_marks(up_to); });
}

// A mark written in the meantime, by a request during the last step, waits for its own turn.
void Runner::tell_marks(uint64_t up_to) {
  while (marks_written_ - marks_.size() < up_to) {
    const auto [from, to] = std::move(marks_.front());
    marks_.pop_front();
    if (observer_ != nullptr) observer_->mark_durable(from, to);
  }
}

void Runner::mark_begun(Phase from, const Manifest& to) {
  if (observer_ != nullptr) observer_->mark_begun(from, to);
}

void Runner::phase_changed(Phase from, const Manifest& to) {
  marks_.emplace_back(from, to);
  ++marks_written_;
  if (observer_ != nullptr) observer_->phase_changed(from, to);
}

void Runner::cut_compared(int which, const CutRecord& a, const Digest& b) {
  if (observer_ != nullptr) observer_->cut_compared(which, a, b);
}

void Runner::export_begun() {
  if (observer_ != nullptr) observer_->export_begun();
}

void Runner::reconciled(const std::string& action) {
  if (observer_ != nullptr) observer_->reconciled(action);
}

}  // namespace qk::migration
