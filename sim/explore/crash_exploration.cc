#include "sim/explore/crash_exploration.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "families/base/strings.h"
#include "sim/cluster/node.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

using Json = nlohmann::json;

constexpr Nanos kRestartAfter = kMillisecond;
// A start is over by then: it reads and repairs two stores of some megabytes.
constexpr Nanos kStartLimit = 20 * kSecond;

CrashLoss loss_of(CrashLevel level) {
  return level == CrashLevel::kP0 ? CrashLoss::kProcess : CrashLoss::kRandomSubset;
}

// What a node owes: it grows with each of these.
uint64_t owed_by(const ClusterView& view, const SimNode& node) {
  return view.checker().ghost(node.id() - 1).acked_count() + (node.phase_entries() << 32);
}

FaultPlan fault_of(const CrashFault& crash, Nanos at) {
  FaultPlan fault;
  fault.at.kind = Trigger::Kind::kTime;
  fault.at.time = at;
  fault.at.text = cat(seconds_text(at, 9), "s");
  fault.what = crash;
  fault.where = "explored";
  return fault;
}

}  // namespace

void ExplorationCounts::add(const ExplorationCounts& other) {
  instants += other.instants;
  states += other.states;
  distinct += other.distinct;
  recoveries += other.recoveries;
  stayed_down += other.stayed_down;
  unfinished += other.unfinished;
  died += other.died;
  violations += other.violations;
}

CrashExploration::CrashExploration(ExplorationOptions options, Worlds* worlds, Write write)
    : options_(std::move(options)), worlds_(*worlds), write_(std::move(write)) {}

bool CrashExploration::reached(const ExplorationOptions::Edge& edge, ClusterView& view) {
  if (edge.node == 0) return view.now() >= edge.time;
  return view.nodes()[edge.node - 1]->phase_code() == edge.phase;
}

bool CrashExploration::in_window(ClusterView& view) {
  if (left_ || stopped_) return false;
  if (!entered_) entered_ = reached(options_.from, view);
  if (entered_) left_ = reached(options_.to, view);
  return entered_ && !left_;
}

void CrashExploration::between_events(ClusterView& view) {
  if (!in_window(view)) {
    if (left_) view.end();
    return;
  }
  stopped_ = stop();
  if (stopped_) return view.end();
  for (const NodeId id : options_.nodes) explore_node(view, *view.nodes()[id - 1]);
}

void CrashExploration::explore_node(ClusterView& view, SimNode& node) {
  if (!node.up()) return;
  const Nanos next = view.next_time();
  const uint64_t owed = owed_by(view, node);
  Watched& watched = watched_[node.id()];
  if (watched.owed != owed && next > view.now() + 1) {
    watched.owed = owed;
    watched.seen.clear();
    explore_instant(view, node, view.now() + 1, LastOperation::kAny);
  }
  for (const Nanos at : node.disk().moments(view.now(), next + 1)) {
    if (at == next) {
      ++passed_over_;
    } else {
      explore_instant(view, node, at, LastOperation::kExecuting);
    }
  }
}

void CrashExploration::explore_instant(ClusterView& view, SimNode& node, Nanos at,
                                       LastOperation last) {
  if (next_instant_++ % options_.shards != options_.shard) {
    ++passed_over_;
    return;
  }
  const PhaseCode phase = node.phase_code();
  ExplorationCounts& counts = counts_[phase];
  ++counts.instants;
  for (const CrashLevel level : options_.levels) {
    for (const CrashState& state : crash_states(node.disk(), at, level, last, options_.bounds)) {
      ++counts.states;
      SimDisk crashed = node.disk().fork();
      Exactly choice(&state);
      const CrashReport report = crashed.crash(level, at, choice);
      // After a process crash what is pending stays so: the same bytes, another state.
      const uint64_t image = crashed.image_hash() + (level == CrashLevel::kP0 ? 1 : 0);
      if (!watched_[node.id()].seen.insert(image).second) continue;
      ++counts.distinct;
      const uint64_t number = next_state_++;
      worlds_.copy(
          [&, level] { return to_text(crash_here(view, node, at, level, report.decision, 0)); },
          [this, phase, number](std::optional<std::string> text) {
            take(phase, number, std::move(text));
          });
    }
  }
}

CrashExploration::Answer CrashExploration::crash_here(ClusterView& view, SimNode& node, Nanos at,
                                                      CrashLevel level, const Decision& decision,
                                                      uint32_t depth) {
  Answer answer;
  if (!crash_and_start(view, node, at, level, decision, depth, &answer)) return answer;
  // What it serves now must survive a power cut right away (ora.L10).
  crash_and_start(view, node, view.now() + 1, CrashLevel::kP2, std::nullopt, options_.nested,
                  &answer);
  return answer;
}

// Whether the node is up again and nothing was violated.
bool CrashExploration::crash_and_start(ClusterView& view, SimNode& node, Nanos at, CrashLevel level,
                                       const std::optional<Decision>& decision, uint32_t depth,
                                       Answer* answer) {
  CrashFault crash{.node = node.name(), .restart_after = kRestartAfter};
  crash.loss = decision ? loss_of(level) : CrashLoss::kKeepSynced;
  crash.decided = decision;
  bool down = false;
  view.at(at, [&node, &crash, &down, this, at] {
    node.crash(crash, true, [&crash, &down, this, at](const CrashReport& report) {
      down = true;
      crash.decided = report.decision;
      crashes_.push_back(fault_of(crash, at));
    });
  });
  std::set<uint64_t> seen;
  const auto give_up = [&] {
    return view.now() >= at + kStartLimit ||
           (down && !node.running() && view.now() > at + 2 * kRestartAfter);
  };
  bool going = true;
  while (going && !(down && node.up()) && !give_up()) {
    if (down && depth < options_.nested) explore_recovery(view, node, depth, &seen, answer);
    going = view.run_next();
  }
  if (!view.violations().empty()) {
    ++answer->counts.recoveries;
    ++answer->counts.violations;
    const Violation& violation = view.violations().front();
    std::vector<FaultPlan> faults = view.injected();
    faults.insert(faults.end(), crashes_.begin(), crashes_.end());
    CrashFinding finding;
    finding.oracle = violation.oracle;
    finding.name = violation.name;
    finding.phase = violation.phase;
    finding.level = level;
    finding.expected = violation.expected;
    finding.actual = violation.actual;
    finding.scenario = write_(faults, violation.oracle);
    finding.times = 1;
    answer->findings.push_back(std::move(finding));
    return false;
  }
  if (down && node.up()) {
    ++answer->counts.recoveries;
    return true;
  }
  ++(down && !node.running() ? answer->counts.stayed_down : answer->counts.unfinished);
  return false;
}

void CrashExploration::explore_recovery(ClusterView& view, SimNode& node, uint32_t depth,
                                        std::set<uint64_t>* seen, Answer* answer) {
  if (!node.running()) return;
  const CrashBounds prefixes{.omit = 0};
  for (const Nanos at : node.disk().moments(view.now(), view.next_time())) {
    for (const CrashLevel level : options_.levels) {
      for (const CrashState& state :
           crash_states(node.disk(), at, level, LastOperation::kExecuting, prefixes)) {
        ++answer->counts.states;
        SimDisk crashed = node.disk().fork();
        Exactly choice(&state);
        const CrashReport report = crashed.crash(level, at, choice);
        const uint64_t image = crashed.image_hash() + (level == CrashLevel::kP0 ? 1 : 0);
        if (!seen->insert(image).second) continue;
        if (stop()) {
          answer->stopped = true;
          return;
        }
        ++answer->counts.distinct;
        worlds_.copy(
            [&] { return to_text(crash_here(view, node, at, level, report.decision, depth + 1)); },
            [&](std::optional<std::string> text) {
              const std::optional<Answer> nested = text ? parse(*text) : std::nullopt;
              if (!nested) {
                ++answer->counts.died;
                return;
              }
              answer->counts.add(nested->counts);
              answer->stopped |= nested->stopped;
              for (const CrashFinding& finding : nested->findings) {
                merge(&answer->findings, finding);
              }
            });
        worlds_.wait();
      }
    }
  }
}

void CrashExploration::take(PhaseCode phase, uint64_t number, std::optional<std::string> text) {
  const std::optional<Answer> answer = text ? parse(*text) : std::nullopt;
  if (!answer) {
    ++counts_[phase].died;
    return;
  }
  counts_[phase].add(answer->counts);
  stopped_ |= answer->stopped;
  if (!answer->findings.empty()) found_[number] = answer->findings;
}

void CrashExploration::merge(std::vector<CrashFinding>* into, const CrashFinding& finding) {
  for (CrashFinding& known : *into) {
    if (known.oracle != finding.oracle || known.phase != finding.phase ||
        known.level != finding.level) {
      continue;
    }
    known.times += finding.times;
    return;
  }
  into->push_back(finding);
}

// Answers come in any order; what is kept does not depend on it.
void CrashExploration::finish() {
  worlds_.wait();
  for (const auto& [number, found] : found_) {
    for (const CrashFinding& finding : found) merge(&findings_, finding);
  }
  found_.clear();
}

std::string CrashExploration::to_text(const Answer& answer) {
  const ExplorationCounts& c = answer.counts;
  Json json;
  json["counts"] = {c.states,     c.distinct,   c.recoveries, c.stayed_down,
                    c.unfinished, c.violations, c.died};
  json["stopped"] = answer.stopped;
  json["findings"] = Json::array();
  for (const CrashFinding& finding : answer.findings) {
    json["findings"].push_back({finding.oracle, finding.name, finding.phase,
                                static_cast<int>(finding.level), finding.expected, finding.actual,
                                finding.scenario, finding.times});
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Of a copy of this process, so of the right shape if it is whole.
std::optional<CrashExploration::Answer> CrashExploration::parse(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return std::nullopt;
  Answer answer;
  const Json& counts = json["counts"];
  answer.counts.states = counts[0];
  answer.counts.distinct = counts[1];
  answer.counts.recoveries = counts[2];
  answer.counts.stayed_down = counts[3];
  answer.counts.unfinished = counts[4];
  answer.counts.violations = counts[5];
  answer.counts.died = counts[6];
  answer.stopped = json["stopped"];
  for (const Json& row : json["findings"]) {
    CrashFinding finding;
    finding.oracle = row[0];
    finding.name = row[1];
    finding.phase = row[2];
    finding.level = static_cast<CrashLevel>(row[3].get<int>());
    finding.expected = row[4];
    finding.actual = row[5];
    finding.scenario = row[6];
    finding.times = row[7];
    answer.findings.push_back(std::move(finding));
  }
  return answer;
}

}  // namespace qk::sim
