// StepwiseRunner: a Runner whose owner is one thread that says when: it mutates through the
// controller's driver, takes a step, mutates again. Nothing is in flight between two calls, so a
// barrier holds by itself, and pauses are the owner's business. For checks, and for a tool that
// migrates a node that is not serving.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "migration/runner.h"

namespace qk::migration {

class StepwiseRunner final : private RunnerHost {
 public:
  // Waits until all that was issued to the disk is complete; false if the node did not live to see
  // it.
  using Settle = std::function<bool()>;

  static absl::StatusOr<std::unique_ptr<StepwiseRunner>> open(
      ControllerOptions options, RunnerObserver* observer = nullptr,
      Settle settle = [] { return true; });

  Controller& controller() { return runner_->controller(); }
  const Controller& controller() const { return runner_->controller(); }

  // Takes the next step; false if none is needed. After an error the node must be closed, and
  // nothing more is done.
  absl::StatusOr<bool> step();
  // Runs one piece of background work; false if there is none.
  absl::StatusOr<bool> run_background();
  const absl::Status& failure() const { return stopped_; }

 private:
  explicit StepwiseRunner(Settle settle) : settle_(std::move(settle)) {}

  // RunnerHost
  void after(int64_t, std::function<void()> then) override { step_ = std::move(then); }
  void at_barrier(std::function<void()> then) override { step_ = std::move(then); }
  void release_barrier() override {}
  void after_storage(std::function<void()> then) override {
    if (settle_()) then();
  }
  void when_idle(std::function<void()> then) override { piece_ = std::move(then); }
  void stop(const absl::Status& why) override { stopped_ = why; }

  absl::StatusOr<bool> run(std::function<void()>* what);

  const Settle settle_;
  std::function<void()> step_;
  std::function<void()> piece_;
  absl::Status stopped_;
  std::unique_ptr<Runner> runner_;
};

}  // namespace qk::migration
