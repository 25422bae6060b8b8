#include "conformance/fault_judge.h"

#include <algorithm>

#include "conformance/crash_explorer.h"
#include "conformance/history.h"
#include "conformance/served.h"

namespace qk::sim::conformance {

using families::Outcome;

namespace {

// Nothing is accepted in any lane before the instance is opened again.
void expect_stopped(InstanceContext& m) {
  const State& state = m.model().state();
  for (const Change& change :
       {save_meta({state.hard_state.term + 100, ""}), append({entry(state.last() + 1, 100)}),
        truncate_prefix(state.first + 1), truncate_suffix(state.last() - 1), reset(700),
        publish(snapshot(600, 100))}) {
    const Outcome outcome = m.try_apply(change);
    m.expect(m.dual() ? !outcome.ok() : outcome.kind() == Outcome::Kind::kFailedClean,
             cat("after an indeterminate outcome, ", describe(change), ": found ", to_text(outcome),
                 ", expected failed-clean"));
  }
}

}  // namespace

std::string_view to_text(const Outcome& outcome) {
  switch (outcome.kind()) {
    case Outcome::Kind::kOk:
      return "ok";
    case Outcome::Kind::kFailedClean:
      return "failed-clean";
    case Outcome::Kind::kIndeterminate:
      return "indeterminate";
  }
  return "?";
}

std::vector<State> promised_states(const InstanceContext& m, const Change& change,
                                   const Outcome& outcome) {
  const std::vector<State> all = m.model().after_crash(
      change, m.dual() ? families::Partial::kNone : m.family().partials(change.operation));
  switch (outcome.kind()) {
    case Outcome::Kind::kOk:
      return {all.back()};
    case Outcome::Kind::kFailedClean:
      return {all.front()};
    case Outcome::Kind::kIndeterminate:
      break;
  }
  return all;
}

void expect_among(InstanceContext& m, std::string_view what, const State& state,
                  const std::vector<State>& promised) {
  m.expect(std::find(promised.begin(), promised.end(), state) != promised.end(),
           cat(what, ": found ", describe(state), ", expected ", describe(promised.front()),
               promised.size() == 1 ? std::string() : cat(" to ", describe(promised.back()))));
}

void go_on(InstanceContext& m) {
  const State& state = m.model().state();
  const int64_t term = state.hard_state.term + 1;
  m.apply(save_meta({term, std::string(kThirdPeer)}));
  m.apply(append(entries(state.last() + 1, state.last() + 3, term)));
  m.reopen();
}

void expect_served(InstanceContext& m, const Change& change, const Outcome& outcome) {
  const families::Partial partial = m.family().partials(change.operation);
  std::vector<State> states = m.model().after_crash(change, partial);
  if (outcome.ok()) states = {states.back()};
  if (outcome.kind() == Outcome::Kind::kFailedClean && !m.dual()) states = {states.front()};
  const std::string wrong = misfit(m.subject(), states);
  m.expect(wrong.empty(), wrong);
}

void judge(InstanceContext& m, const Change& change, const Outcome& outcome) {
  m.count(cat("outcomes ", to_text(outcome)));
  const std::vector<State> promised = promised_states(m, change, outcome);
  if (outcome.kind() != Outcome::Kind::kIndeterminate) {
    const auto served = read_state(m.subject());
    m.expect_ok("read", served.status());
    expect_among(m, "the instance itself", *served, promised);
  } else {
    expect_served(m, change, outcome);
  }

  const auto restarted = m.fork();
  restarted->expect_ok("open after a restart", restarted->open());
  const State state = restarted->state();
  expect_among(*restarted, "after a restart", state, promised);
  restarted->adopt(state);
  go_on(*restarted);

  for (const Loss& loss : all_or_nothing(0, 0)) {
    const auto crashed = m.fork();
    crash_and_open(*crashed, loss);
    const State left = crashed->state();
    expect_among(*crashed, loss.name, left, promised);
    const int64_t before = crashed->model().state().last();
    crashed->expect(
        change.operation != families::Operation::kAppend || left.last() - before >= outcome.count(),
        cat(loss.name, ": found ", left.last() - before, " entries of the batch, but ",
            outcome.count(), " were reported durable"));
    crashed->adopt(left);
    crashed->expect_state();
  }

  if (outcome.kind() == Outcome::Kind::kIndeterminate) {
    expect_stopped(m);
    // What is tidied away when it ends is nothing that may still be needed.
    m.close();
    const auto ended = m.fork();
    ended->expect_ok("open after a close", ended->open());
    return expect_among(*ended, "after a close", ended->state(), promised);
  }
  // It goes on as if nothing had happened, and what it acknowledges now is durable. After an ok it
  // may also have stopped, for what came after the mutation (a checkpoint, say).
  if (outcome.ok()) {
    m.adopt(promised.front());
  } else {
    m.apply(change);
  }
  const int64_t term = m.model().state().hard_state.term + 1;
  const int64_t last = m.model().state().last();
  for (const Change& next :
       {save_meta({term, std::string(kThirdPeer)}), append(entries(last + 1, last + 2, term))}) {
    const Outcome more = m.try_apply(next);
    if (!more.ok()) {
      m.expect(outcome.ok() && (m.dual() || more.kind() == Outcome::Kind::kFailedClean),
               cat(describe(next), ": found ", to_text(more), ", ", more.status().ToString()));
      break;
    }
    Model model = m.model();
    model.apply(next);
    m.adopt(model.state());
  }
  const auto crashed = m.fork();
  crash_and_open(*crashed, all_or_nothing(0, 0).front());
  crashed->expect_state();
}

bool fail_call(InstanceContext& base, const Change& change, uint64_t n,
               const families::Fault& fault, CallKind kind) {
  const auto m = base.fork();
  families::FaultFileSystem& faults = m->faults();
  m->expect_ok("open", m->open());
  kind == CallKind::kLook ? faults.fail_look_at(n, fault) : faults.fail_at(n, fault);
  const Outcome outcome = m->try_apply(change);
  if (!faults.failed()) return false;
  faults.fail_at(0);
  faults.fail_look_at(0);
  base.count("failed calls");
  at(cat(describe(change), " with a failed ", faults.failed_call(), ", ", to_text(outcome), " (",
         outcome.status().message(), ")"),
     [&] { judge(*m, change, outcome); });
  return true;
}

}  // namespace qk::sim::conformance
