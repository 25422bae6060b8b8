// `qksim explain --when`: the run up to many moments, each with many other futures, over processes.
#include <unistd.h>

#include <algorithm>

#include "families/base/printable.h"
#include "families/base/strings.h"
#include "families/base/units.h"
#include "sim/explore/futures.h"
#include "tools/qksim/recorded_run.h"
#include "tools/qksim/verbs.h"
#include "tools/qksim/worker_pool.h"

namespace qk::cli {
namespace {

constexpr int kPollMs = 200;
// A future may take longer than the run that fails early, but not without end.
constexpr int64_t kFutureLimitMs = 120'000;

// A future is watched for a while after the time of the violation, not to the end of the plan: a bug
// that is still there would come again in each of them. The clients' last two seconds, in which they
// ask nothing, lie behind the violation.
sim::Nanos end_of_future(sim::Nanos violation) {
  return violation + sim::kClientQuiet + std::max(sim::kSecond, violation / 4);
}

class When {
 public:
  When(const ExplainArguments& arguments, const Environment& environment, const RecordedRun& run,
       const sim::RunResult& failing)
      : arguments_(arguments),
        environment_(environment),
        plan_(run.plan),
        failing_(failing),
        begin_ms_(environment.wall_ms()),
        pool_(
            {.workers = std::max<uint64_t>(
                 1, arguments.jobs > 0 ? arguments.jobs : environment.processors),
             .cpu_limit_ms = kFutureLimitMs,
             .wall_ms = environment.wall_ms},
            [this](const WorkerPool::Job& job, const WorkerPool::Send& send) { work(job, send); }) {
    const sim::Nanos end = end_of_future(failing.violations.front().t);
    plan_.until = std::min(end, plan_.until.value_or(end));
  }

  sim::Curve curve() {
    const sim::Violation& violation = failing_.violations.front();
    return sim::find_jump({failing_.steps, violation.seq, violation.t}, arguments_.moments,
                          arguments_.futures, [this](uint64_t steps) { return ask(steps); });
  }
  const absl::Status& status() const { return status_; }

 private:
  bool over() const {
    const int64_t spent = environment_.wall_ms() - begin_ms_;
    return environment_.interrupted() ||
           (arguments_.time_limit && spent * sim::kMillisecond >= *arguments_.time_limit);
  }

  std::optional<sim::Moment> ask(uint64_t steps) {
    sim::Moment moment;
    moment.steps = steps;
    uint64_t started = 0;
    while (moment.futures() < arguments_.futures) {
      if (over() || !status_.ok()) return std::nullopt;
      for (; started < arguments_.futures && pool_.idle() > 0; ++started) {
        status_ = pool_.start({.number = steps * arguments_.futures + started});
        if (!status_.ok()) return std::nullopt;
      }
      for (const WorkerPool::Outcome& outcome : pool_.wait(kPollMs)) take(outcome, &moment);
    }
    return moment;
  }

  // "0 1234 500000": how it ended, and the run's events and time when it turned.
  static void take(const WorkerPool::Outcome& outcome, sim::Moment* moment) {
    const std::string& message = outcome.message;
    const size_t first = std::min(message.find(' '), message.size());
    const size_t second = std::min(message.find(' ', first + 1), message.size());
    const auto ended = whole_number(message.substr(0, first));
    const auto events =
        whole_number(message.substr(std::min(first + 1, second), second - first - 1));
    const auto time = whole_number(message.substr(std::min(second + 1, message.size())));
    // A future that ends its process is another way to fail.
    if (!outcome.answered || !ended || !events || !time) {
      ++moment->other;
      return;
    }
    moment->events = *events;
    moment->t = static_cast<sim::Nanos>(*time);
    switch (static_cast<sim::Future>(*ended)) {
      case sim::Future::kSame:
        ++moment->same;
        return;
      case sim::Future::kOther:
        ++moment->other;
        return;
      case sim::Future::kNone:
        ++moment->none;
        return;
    }
  }

  // In the worker.
  void work(const WorkerPool::Job& job, const WorkerPool::Send& send) {
    sim::RunOptions options;
    options.trace = sim::TraceLevel::kNone;
    options.turn = {job.number / arguments_.futures, 1 + job.number % arguments_.futures};
    const auto answer = [&](const sim::RunResult& result) {
      const auto how = static_cast<int>(sim::future_of(failing_.violations.front(), result));
      const auto turned = result.turned.value_or(sim::RunResult::Turned{});
      send(cat(how, " ", turned.events, " ", turned.t));
    };
    options.internal_error = [&](const sim::RunResult& result) {
      answer(result);
      ::_exit(to_int(ExitCode::kInternal));
    };
    answer(environment_.run(plan_, options));
  }

  const ExplainArguments& arguments_;
  const Environment& environment_;
  sim::Plan plan_;
  const sim::RunResult& failing_;
  const int64_t begin_ms_;
  absl::Status status_;
  WorkerPool pool_;
};

}  // namespace

ExitCode explain_when(const ExplainArguments& arguments, const Environment& environment,
                      RecordedRun run) {
  run.options.keep_going = false;
  environment.catch_signals();
  const auto tell = [&](const sim::RunResult& failing) {
    if (failing.violations.empty()) {
      print_error(environment,
                  cat(run.shown, ": the run violates nothing, expected one that fails"));
      return ExitCode::kInconclusive;
    }
    const sim::Violation& violation = failing.violations.front();
    When when(arguments, environment, run, failing);
    const sim::Curve curve = when.curve();
    if (!when.status().ok()) {
      print_error(environment, std::string(to_std(when.status().message())));
      return ExitCode::kInternal;
    }
    if (arguments.json) {
      *environment.out << sim::curve_json(curve, *failing.trace, violation);
    } else {
      const std::string head =
          cat(violation.oracle, " ", violation.name, " in phase ",
              violation.phase.empty() ? "-" : violation.phase, " at event #", violation.seq, "; ",
              arguments.futures, " futures from each moment\n");
      *environment.out << printable(head + sim::curve_text(curve, *failing.trace), "\n");
    }
    if (environment.interrupted()) return ExitCode::kInterrupted;
    return curve.complete ? ExitCode::kOk : ExitCode::kInconclusive;
  };
  run.options.internal_error = [&](const sim::RunResult& failing) {
    environment.exit_now(tell(failing));
  };
  return tell(run_again(environment, run, sim::TraceLevel::kFull));
}

}  // namespace qk::cli
