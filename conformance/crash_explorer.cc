#include "conformance/crash_explorer.h"

#include <algorithm>

namespace qk::sim::conformance {
namespace {

constexpr std::array<Stage, 4> kStages = {Stage::kOpen, Stage::kChange, Stage::kBackground,
                                          Stage::kClose};

}  // namespace

SimDisk& disk_of(InstanceContext& c) { return *c.disk(); }
CrashReport lose(InstanceContext& c, const Loss& loss, Nanos) {
  const auto choice = loss.choice();
  return c.crash(loss.level, *choice);
}

std::string_view to_string(Stage stage) {
  switch (stage) {
    case Stage::kOpen:
      return "open";
    case Stage::kChange:
      return "change";
    case Stage::kBackground:
      return "background";
    case Stage::kClose:
      return "close";
  }
  return "?";
}

bool is_declared_refusal(const families::FamilyDescriptor& family, families::Operation operation,
                         const absl::Status& status) {
  return absl::IsDataLoss(status) &&
         std::any_of(
             family.refusals.begin(), family.refusals.end(), [&](const families::Refusal& refusal) {
               return refusal.operation == operation &&
                      to_std(status.message()).find(refusal.message) != std::string_view::npos;
             });
}

void crash_and_open(InstanceContext& c, const Loss& loss) {
  const CrashReport report = lose(c, loss, 0);
  at(cat(loss.name, ": ", report.text), [&] { c.expect_ok("open", c.open()); });
}

void crash_and_expect_absent(InstanceContext& c, const Loss& loss) {
  lose(c, loss, 0);
  const absl::Status found = c.open();
  if (c.role() == Role::kPlain) {
    c.expect_code(cat(loss.name, ": open"), found, absl::StatusCode::kNotFound);
  } else {
    c.expect(!found.ok(), cat(loss.name, ": found an instance, expected none"));
  }
  if (c.family().volatility != families::Volatility::kVolatile) return;
  c.expect(!c.family().open(c.bare_request(true)).ok(),
           cat(loss.name, ": open with create: found a fresh instance in place of a lost one"));
}

CrashExplorer::CrashExplorer(InstanceContext* base, Change change, CrashCases cases)
    : base_(*base), change_(std::move(change)), cases_(std::move(cases)) {
  const auto machine = base_.fork();
  ends_[0] = machine->disk()->operation_count();
  for (const Stage stage : kStages) {
    run(*machine, stage);
    ends_[static_cast<size_t>(stage) + 1] = machine->disk()->operation_count();
  }
  Model model = base_.model();
  model.apply(change_);
  machine->expect(model.state() == base_.model().state() || has_operations(Stage::kChange),
                  cat(describe(change_), ": found no disk operation, expected some"));
}

// One stage; those before it are done.
void CrashExplorer::run(InstanceContext& machine, Stage last) {
  switch (last) {
    case Stage::kOpen:
      return machine.expect_ok("open", machine.open());
    case Stage::kChange: {
      const families::Outcome outcome = machine.try_apply(change_);
      if (base_.model().judge(change_) == Model::Verdict::kRefused) {
        return machine.expect_failed_clean(describe(change_), outcome,
                                           absl::StatusCode::kInvalidArgument);
      }
      return machine.expect_ok(describe(change_), outcome);
    }
    case Stage::kBackground:
      return machine.drain();
    case Stage::kClose:
      return machine.close();
  }
}

std::vector<State> CrashExplorer::legal_states(Stage stage) const {
  const families::Partial partial =
      base_.dual() ? families::Partial::kNone : base_.family().partials(change_.operation);
  std::vector<State> states = base_.model().after_crash(change_, partial);
  if (stage == Stage::kOpen) return {states.front()};
  if (stage == Stage::kChange) return states;
  return {states.back()};
}

// Judges what is left of a stop; where it stops, and that it is called `point` then, is for the
// caller.
CrashSweep<InstanceContext> CrashExplorer::sweep(const std::string& point, const LossSource& losses,
                                                 const std::vector<State>& legal,
                                                 Aftermath aftermath, std::set<uint64_t>* seen) {
  CrashSweep<InstanceContext> sweep;
  sweep.losses = [this, &losses, &point](size_t pending, uint64_t) {
    std::vector<Loss> all = losses(pending, base_.seed());
    if (cases_.wants) {
      std::erase_if(all, [&](const Loss& loss) { return !cases_.wants({point, &loss}); });
    }
    base_.count("images", all.size());
    return all;
  };
  sweep.judge = [this, &legal, &point, aftermath](InstanceContext& left, const CrashPoint& crash) {
    base_.count("distinct");
    const auto judged = [&] {
      at(cat(describe(change_), ", ", point, ", ", crash.loss.name, ": ", crash.report.text),
         [&] { judge(left, crash.loss, legal, aftermath); });
    };
    cases_.run ? cases_.run({point, &crash.loss}, judged) : judged();
  };
  sweep.seen = seen;
  return sweep;
}

void CrashExplorer::crash_inside(Stage stage, const LossSource& losses, Aftermath aftermath) {
  const std::vector<State> legal = legal_states(stage);
  std::set<uint64_t> seen;
  std::string point;
  CrashSweep<InstanceContext> crashes = sweep(point, losses, legal, aftermath, &seen);
  const CrashStops<InstanceContext> stops =
      stops_inside<InstanceContext>([this] { return base_.fork(); },
                                    [this, stage](InstanceContext& machine) {
                                      for (const Stage one : kStages) {
                                        run(machine, one);
                                        if (one == stage) break;
                                      }
                                    });
  const auto name = [&](uint64_t number) {
    return cat(to_string(stage), "-", number + ends_[0] - begin(stage));
  };
  crashes.stops = [&](uint64_t number) {
    base_.count("crash points");
    point = name(number);
    auto stop = stops(number);
    base_.expect(stop.has_value(),
                 cat(describe(change_), ", ", point, ": not reached, though an equal run had one"));
    return stop;
  };
  crashes.tries = [&](uint64_t number) {
    return base_.tries_point(number + ends_[0]) &&
           (!cases_.wants || cases_.wants({name(number), nullptr}));
  };
  crashes.first = begin(stage) + 1 - ends_[0];
  crashes.last = end(stage) - ends_[0];
  sweep_crashes(crashes);
}

void CrashExplorer::crash_afterwards(const LossSource& losses) {
  const std::vector<State> legal = legal_states(Stage::kClose);
  const auto machine = base_.fork();
  std::set<uint64_t> seen;
  CrashCounts counts;
  const auto stop_after = [&](const std::string& point, std::initializer_list<Stage> stages) {
    for (const Stage stage : stages) run(*machine, stage);
    CrashStop<InstanceContext> stop{machine->fork()};
    judge_stop(sweep(point, losses, legal, {}, &seen), stop, 1, &counts);
  };
  // It may not be closed for a long time.
  stop_after("acknowledged", {Stage::kOpen, Stage::kChange});
  stop_after("closed", {Stage::kBackground, Stage::kClose});
}

void CrashExplorer::judge(InstanceContext& crashed, const Loss& loss,
                          const std::vector<State>& legal, Aftermath aftermath) {
  const auto image = aftermath.crash_recovery ? crashed.fork() : nullptr;
  const uint64_t first = crashed.disk()->operation_count();
  const absl::Status opened = crashed.open();
  if (!opened.ok()) {
    // With one legal state nothing was in flight.
    const bool declared =
        legal.size() > 1 && is_declared_refusal(crashed.family(), change_.operation, opened);
    crashed.expect(declared && loss.garbage,
                   cat("open: found ", opened.ToString(), ", expected OK",
                       declared ? ": nothing is there that nobody wrote" : ""));
    base_.count("refused");
    return;
  }
  const uint64_t operations = crashed.disk()->operation_count() - first;
  const State recovered = crashed.state();
  const auto found = std::find(legal.begin(), legal.end(), recovered);
  crashed.expect(found != legal.end(),
                 cat("found ", describe(recovered), ", expected one of ", legal.size(),
                     " states from ", describe(legal.front()), " to ", describe(legal.back())));
  if (found != legal.begin() && found + 1 != legal.end()) {
    ++partial_;
    base_.count("partial");
  }
  crashed.adopt(recovered);
  crashed.expect_state();
  const auto goes_on = aftermath.go_on ? crashed.fork() : nullptr;

  crash_and_open(crashed, nothing_survives());
  crashed.expect_state();
  crashed.reopen();
  if (aftermath.fill_gap) fill_gap(crashed);
  if (image != nullptr) crash_recovery(*image, operations, legal);
  if (goes_on != nullptr) go_on(*goes_on);
}

void CrashExplorer::crash_recovery(InstanceContext& image, uint64_t operations,
                                   const std::vector<State>& legal) {
  CrashSweep<InstanceContext> again;
  const CrashStops<InstanceContext> stops = stops_inside<InstanceContext>(
      [&] { return image.fork(); }, [](InstanceContext& c) { c.expect_ok("open", c.open()); });
  again.stops = [&](uint64_t number) {
    auto stop = stops(number);
    image.expect(stop.has_value(),
                 cat("recovery's disk operation ", number, ": not reached, as it was before"));
    return stop;
  };
  again.last = operations;
  again.losses = all_or_nothing;
  again.judge = [&](InstanceContext& left, const CrashPoint& point) {
    base_.count("crashes in recovery");
    at(cat("then recovery's disk operation ", point.number, ", ", point.loss.name, ": ",
           point.report.text),
       [&] {
         left.expect_ok("open", left.open());
         const State state = left.state();
         left.expect(std::find(legal.begin(), legal.end(), state) != legal.end(),
                     cat("found ", describe(state), ", expected one of ", legal.size(),
                         " states from ", describe(legal.front()), " to ", describe(legal.back())));
       });
  };
  sweep_crashes(again);
}

void CrashExplorer::fill_gap(InstanceContext& recovered) {
  const int64_t next = recovered.model().state().last() + 1;
  const auto missing =
      std::find_if(change_.entries.begin(), change_.entries.end(),
                   [&](const families::LogEntry& entry) { return entry.index == next; });
  if (missing == change_.entries.end()) return;
  base_.count("gaps filled");
  at("the gap filled", [&] {
    families::LogEntry other = *missing;
    other.term += 1;
    std::reverse(other.payload.begin(), other.payload.end());
    recovered.apply(append({other}));
    recovered.reopen();
  });
}

void CrashExplorer::go_on(InstanceContext& recovered) {
  at("going on", [&] {
    recovered.expect_ok("open", recovered.open());
    const State& state = recovered.model().state();
    const int64_t term = state.hard_state.term + 1;
    recovered.apply(save_meta({term, std::string(kOtherPeer)}));
    recovered.apply(append(entries(state.last() + 1, state.last() + 2, term)));
    const auto stopped = recovered.fork();
    for (const Loss& loss : few_losses(0, base_.seed())) {
      const auto machine = stopped->fork();
      crash_and_open(*machine, loss);
      at(loss.name, [&] { machine->expect_state(); });
    }
  });
}

}  // namespace qk::sim::conformance
