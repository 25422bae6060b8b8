// DualRun: a pair in dual write. A, the primary, has full_history(), and B was bootstrapped from
// it; a model keeps what was acknowledged.
#pragma once

#include <array>
#include <memory>
#include <string_view>

#include "conformance/dual_stack.h"
#include "conformance/interposer.h"
#include "conformance/pair_context.h"

namespace qk::sim::conformance {

class DualRun {
 public:
  // Makes both; then they are closed.
  explicit DualRun(PairContext* c);

  // Opens both and reconciles them; with an interposer around the side whose root it names.
  absl::Status open(Interposer* around = nullptr);
  void must_open(Interposer* around = nullptr);
  void close();
  // Simulated disks only.
  CrashReport crash(CrashLevel level, Choice& choice);

  families::Family& at(PairContext::Side side) { return own_[side] ? *own_[side] : c_.at(side); }
  DualStack& stack() { return *stack_; }
  const Model& model() const { return model_; }
  void adopt(State state) { model_ = Model(std::move(state)); }

  // Without judging it, and before anything is waited for.
  families::Outcome try_apply(const Change& change);
  // Must be acknowledged, and be in both then.
  void apply(const Change& change);

  // Both hold what the model does.
  void expect_state();
  // The state after a crash or an error inside `change`: before or after, on both sides, never
  // behind what was acknowledged. The model follows.
  void expect_before_or_after(std::string_view what, const Change& change);

 private:
  PairContext& c_;
  Model model_;
  std::array<std::unique_ptr<families::Family>, 2> own_;  // behind an interposer
  std::unique_ptr<DualStack> stack_;
};

}  // namespace qk::sim::conformance
