#include "sim/explore/futures.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "families/base/check.h"
#include "families/base/strings.h"
#include "sim/explore/sentences.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

constexpr size_t kBar = 20;          // characters
constexpr size_t kEventsShown = 12;  // of the step at the jump

std::string right(uint64_t number, size_t width) {
  std::string out = cat(number);
  out.insert(0, width - std::min(width, out.size()), ' ');
  return out;
}

// Every moment has the same number of futures.
uint64_t rise(const Moment& before, const Moment& after) {
  return after.same > before.same ? after.same - before.same : 0;
}

// What happened in the step of the jump, as far as a reader can picture it, or else all of it.
std::vector<const Event*> events_at(const Curve& curve, const Trace& trace) {
  const uint64_t first = curve.moments[*curve.jump - 1].events + 1;
  const uint64_t last =
      std::min(std::max(first, curve.moments[*curve.jump].events), trace.events());
  std::vector<const Event*> steps, all;
  for (uint64_t seq = first; seq <= last; ++seq) {
    const Event& event = trace.event(seq);
    all.push_back(&event);
    if (is_step(event)) steps.push_back(&event);
  }
  if (steps.empty()) steps = std::move(all);
  if (steps.size() > kEventsShown) steps.resize(kEventsShown);
  return steps;
}

std::string share(const Moment& moment) { return cat(moment.same, " of ", moment.futures()); }

}  // namespace

Future future_of(const Violation& violation, const RunResult& result) {
  if (result.violations.empty()) return Future::kNone;
  const Violation& first = result.violations.front();
  return first.oracle == violation.oracle && first.phase == violation.phase ? Future::kSame
                                                                            : Future::kOther;
}

Curve find_jump(const FailingRun& run, uint64_t points, uint64_t futures,
                const std::function<std::optional<Moment>(uint64_t steps)>& ask) {
  QK_CHECK(points >= 2 && run.steps >= 1);
  Curve curve;
  std::map<uint64_t, Moment> known;
  // At the violation nothing is left to chance.
  known[run.steps] = {run.steps, run.events, run.t, futures, 0, 0};
  const auto know = [&](uint64_t steps) {
    if (known.count(steps) > 0) return true;
    const std::optional<Moment> moment = ask(steps);
    if (moment) known[steps] = *moment;
    curve.complete = moment.has_value();
    return curve.complete;
  };
  for (uint64_t i = 0; i + 1 < points; ++i) {
    if (!know(run.steps * i / (points - 1))) break;
  }
  // Into the gap with the greatest rise, the latest one of several, until it is one step wide.
  uint64_t after = 0;
  while (curve.complete) {
    uint64_t best = 0, low = 0;
    for (auto it = known.begin(), next = std::next(it); next != known.end(); ++it, ++next) {
      if (rise(it->second, next->second) == 0 || rise(it->second, next->second) < best) continue;
      best = rise(it->second, next->second);
      low = it->first;
      after = next->first;
    }
    if (best == 0 || after - low == 1) break;
    know(low + (after - low) / 2);
  }
  for (const auto& [steps, moment] : known) {
    curve.moments.push_back(moment);
    if (curve.complete && after != 0 && steps == after) curve.jump = curve.moments.size() - 1;
  }
  return curve;
}

std::string curve_text(const Curve& curve, const Trace& trace) {
  std::string out =
      "futures that end the same way, by the moment from which on chance is another\n";
  for (size_t i = 0; i < curve.moments.size(); ++i) {
    const Moment& moment = curve.moments[i];
    const size_t full = moment.futures() == 0 ? 0 : kBar * moment.same / moment.futures();
    out += cat("  ", right(moment.events, 9), "  ", seconds_text(moment.t, 6), "s  ",
               std::string(full, '#'), std::string(kBar - full, '.'), "  ", share(moment));
    if (moment.other > 0) out += cat(", ", moment.other, " otherwise");
    if (i + 1 == curve.moments.size()) out += "  the violation";
    if (curve.jump && i == *curve.jump) out += "  <- jump";
    out += "\n";
  }
  if (!curve.complete) return out + "\nstopped early: where the curve rises is not known yet\n";
  if (!curve.jump) {
    return out +
           "\nno jump: it ends this way from the start, whatever chance does; the plan, or a "
           "defect "
           "that needs no chance, leads to it\n";
  }
  const Moment& before = curve.moments[*curve.jump - 1];
  const Moment& after = curve.moments[*curve.jump];
  out += cat("\nthe jump: from ", share(before), " to ", share(after), ", in the step ");
  // A timer of a client or of a fault may only set the next step going.
  out +=
      after.events == before.events
          ? cat("after event #", before.events, ", which recorded nothing itself; the next one:\n")
          : cat("of events #", before.events + 1, " to #", after.events, "\n");
  for (const Event* event : events_at(curve, trace)) {
    out += cat("  ", sentence(trace, *event), ", t=", seconds_text(event->t, 6), "s #", event->seq,
               "\n");
  }
  if (after.same < after.futures()) {
    const auto certain = std::find_if(
        curve.moments.begin() + static_cast<std::ptrdiff_t>(*curve.jump), curve.moments.end(),
        [](const Moment& moment) { return moment.same == moment.futures(); });
    out += cat("inevitable only from event #", certain->events, " on, of the moments tried\n");
  }
  return out;
}

std::string curve_json(const Curve& curve, const Trace& trace, const Violation& violation) {
  using nlohmann::json;
  json moments = json::array();
  for (const Moment& moment : curve.moments) {
    moments.push_back({{"steps", std::to_string(moment.steps)},
                       {"events", std::to_string(moment.events)},
                       {"t_ns", std::to_string(moment.t)},
                       {"same", moment.same},
                       {"other", moment.other},
                       {"none", moment.none}});
  }
  json jump = nullptr;
  if (curve.jump) {
    json events = json::array();
    for (const Event* event : events_at(curve, trace)) {
      events.push_back({{"seq", std::to_string(event->seq)}, {"text", sentence(trace, *event)}});
    }
    jump = {{"moment", *curve.jump}, {"events", std::move(events)}};
  }
  const json document = {{"schema", "qksim.futures/1"},   {"oracle", violation.oracle},
                         {"phase", violation.phase},      {"complete", curve.complete},
                         {"moments", std::move(moments)}, {"jump", std::move(jump)}};
  return document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace qk::sim
