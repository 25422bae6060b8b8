#include "conformance/dual_run.h"

#include "conformance/history.h"

namespace qk::sim::conformance {

using families::Outcome;
using enum PairContext::Side;

DualRun::DualRun(PairContext* c) : c_(*c), model_(state_after(full_history())) {
  c_.create(kA);
  c_.apply(kA, full_history());
  c_.expect_ok("bootstrap B", c_.import_into(kB, c_.export_from(kA)));
  c_.close(kA);
}

absl::Status DualRun::open(Interposer* around) {
  for (const auto side : {kA, kB}) {
    if (around == nullptr || around->root != c_.root(side)) {
      QK_RETURN_IF_ERROR(c_.open(side).status());
      continue;
    }
    const families::Registry interposed =
        interpose(c_.registry(), c_.descriptor(side).name, around);
    families::OpenRequest request;
    request.fs = &c_.fs();
    request.root = c_.root(side);
    QK_ASSIGN_OR_RETURN(own_[side],
                        image::open_instance(interposed, request, c_.descriptor(side).name,
                                             side == kA ? image::Identity() : transfer_identity()));
  }
  QK_ASSIGN_OR_RETURN(
      stack_, DualStack::open(&c_.fs(), c_.path("migration"), {&at(kA), "a"}, {&at(kB), "b"}));
  c_.settle();
  return absl::OkStatus();
}

void DualRun::must_open(Interposer* around) { c_.expect_ok("open the pair", open(around)); }

void DualRun::close() {
  stack_.reset();
  for (const auto side : {kA, kB}) {
    if (own_[side] != nullptr) {
      c_.expect_ok("close", close_instance(std::move(own_[side])));
    } else {
      c_.close(side);
    }
  }
  c_.settle();
}

CrashReport DualRun::crash(CrashLevel level, Choice& choice) {
  return c_.crash(level, choice, [this] {
    stack_.reset();
    for (auto& own : own_) own.reset();
  });
}

Outcome DualRun::try_apply(const Change& change) {
  auto mutation =
      c_.expect_value(cat("prepare ", describe(change)), to_mutation(stack_->driver(), change));
  return stack_->driver().apply(std::move(mutation));
}

void DualRun::apply(const Change& change) {
  const int64_t count = model_.count(change);
  QK_CHECK(model_.apply(change) == Model::Verdict::kApplied);
  const Outcome outcome = try_apply(change);
  c_.expect_ok(describe(change), outcome);
  c_.expect_equal(cat(describe(change), ": count"), outcome.count(), count);
  c_.settle();
  expect_state();
}

void DualRun::expect_state() {
  for (const auto side : {kA, kB}) {
    c_.expect_same_state(side == kA ? "A" : "B", c_.expect_value("read", read_state(at(side))),
                         model_.state());
  }
  const auto a = c_.expect_value("digest of A", image::compute_digest(at(kA)));
  const auto b = c_.expect_value("digest of B", image::compute_digest(at(kB)));
  c_.expect_equal("digest of B", image::to_hex(b), image::to_hex(a));
}

void DualRun::expect_before_or_after(std::string_view what, const Change& change) {
  const State found = c_.expect_value("read", read_state(at(kA)));
  Model after = model_;
  after.apply(change);
  c_.expect(found == model_.state() || found == after.state(),
            cat(what, ": found ", describe(found), ", expected ", describe(model_.state()), " or ",
                describe(after.state())));
  adopt(found);
  expect_state();
}

}  // namespace qk::sim::conformance
