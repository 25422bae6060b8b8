#include "sim/explore/crash_exploration.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "families/base/hash.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
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

// Of a unit's line; findings carry whole scenarios.
constexpr size_t kMaxUnitLine = size_t{64} << 20;

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

// The fields of ExplorationCounts, for what treats all alike.
constexpr uint64_t ExplorationCounts::*kCounts[] = {
    &ExplorationCounts::instants,   &ExplorationCounts::states,     &ExplorationCounts::distinct,
    &ExplorationCounts::capped,     &ExplorationCounts::alike,      &ExplorationCounts::rechecked,
    &ExplorationCounts::differed,   &ExplorationCounts::recoveries, &ExplorationCounts::stayed_down,
    &ExplorationCounts::unfinished, &ExplorationCounts::died,       &ExplorationCounts::violations};

void merge_finding(std::vector<CrashFinding>* into, const CrashFinding& finding) {
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

void merge_findings(std::vector<CrashFinding>* into, const std::vector<CrashFinding>& findings) {
  for (const CrashFinding& finding : findings) merge_finding(into, finding);
}

// How a state ended, without what two starts that are judged alike may differ in.
std::vector<std::string> ends_of(const ExplorationCounts& counts,
                                 const std::vector<CrashFinding>& findings) {
  std::vector<std::string> ends = {
      cat(counts.violations, " ", counts.stayed_down, " ", counts.unfinished, " ", counts.died)};
  for (const CrashFinding& finding : findings)
    ends.push_back(cat(finding.oracle, " ", finding.phase));
  return ends;
}

Json json_of(const ExplorationCounts& counts) {
  Json row = Json::array();
  for (const auto field : kCounts) row.push_back(counts.*field);
  return row;
}

Json json_of(const std::vector<CrashFinding>& findings) {
  Json rows = Json::array();
  for (const CrashFinding& finding : findings) {
    rows.push_back({finding.oracle, finding.name, finding.phase, static_cast<int>(finding.level),
                    finding.expected, finding.actual, finding.scenario, finding.times});
  }
  return rows;
}

bool is_count(const Json& value) { return value.is_number_unsigned(); }

bool read_counts(const Json& row, ExplorationCounts* counts) {
  if (!row.is_array() || row.size() != std::size(kCounts)) return false;
  for (size_t i = 0; i < row.size(); ++i) {
    if (!is_count(row[i])) return false;
    counts->*kCounts[i] = row[i];
  }
  return true;
}

bool read_faults(const Json& rows, std::map<std::string, uint64_t>* faults) {
  if (!rows.is_object()) return false;
  for (const auto& [name, count] : rows.items()) {
    if (!is_count(count)) return false;
    (*faults)[name] = count;
  }
  return true;
}

bool read_findings(const Json& rows, std::vector<CrashFinding>* findings) {
  if (!rows.is_array()) return false;
  for (const Json& row : rows) {
    if (!row.is_array() || row.size() != 8 || !is_count(row[3]) || !is_count(row[7])) return false;
    for (const size_t text : {0, 1, 2, 4, 5, 6}) {
      if (!row[text].is_string()) return false;
    }
    const uint64_t number = row[3].get<uint64_t>();
    if (number > static_cast<uint64_t>(CrashLevel::kP2x)) return false;
    const auto level = static_cast<CrashLevel>(number);
    findings->push_back({.oracle = row[0],
                         .name = row[1],
                         .phase = row[2],
                         .level = level,
                         .expected = row[4],
                         .actual = row[5],
                         .scenario = row[6],
                         .times = row[7]});
  }
  return true;
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Looks as text, each part followed by a NUL: there are many, and no path holds one.
void add_look(const DiskLook& look, std::string* text) {
  for (const uint64_t number :
       {static_cast<uint64_t>(look.kind), look.inode, uint64_t{look.page}}) {
    *text += cat(number);
    *text += '\0';
  }
  *text += look.name;
  *text += '\0';
}

std::string_view take_word(std::string_view* rest) {
  const size_t end = std::min(rest->find('\0'), rest->size());
  const std::string_view word = rest->substr(0, end);
  rest->remove_prefix(std::min(end + 1, rest->size()));
  return word;
}

uint64_t take_number(std::string_view* rest) {
  const std::string_view word = take_word(rest);
  uint64_t number = 0;
  std::from_chars(word.data(), word.data() + word.size(), number);
  return number;
}

DiskLook take_look(std::string_view* rest) {
  DiskLook look;
  look.kind = static_cast<DiskLook::Kind>(take_number(rest));
  look.inode = take_number(rest);
  look.page = static_cast<uint32_t>(take_number(rest));
  look.name = take_word(rest);
  return look;
}

std::string fault_name(CrashLevel level, uint32_t depth) {
  return cat(depth > 0 ? "nested " : "", to_string(level));
}

}  // namespace

void ExplorationCounts::add(const ExplorationCounts& other) {
  for (const auto field : kCounts) this->*field += other.*field;
}

// ---------------------------------------------------------------------------------- units as text

std::string to_line(const ExploredUnit& unit) {
  Json json;
  json["variant"] = unit.variant;
  json["unit"] = unit.number;
  json["phase"] = static_cast<uint64_t>(unit.phase);
  json["counts"] = json_of(unit.counts);
  json["faults"] = unit.faults;
  json["findings"] = json_of(unit.findings);
  return text_of(json) + "\n";
}

absl::StatusOr<ExploredUnit> parse_unit(std::string_view line) {
  const auto malformed = [](const std::string& what) {
    return absl::DataLossError(cat("not the record of a unit: ", what));
  };
  if (line.size() > kMaxUnitLine) {
    return malformed(cat(line.size(), " bytes, expected at most ", kMaxUnitLine));
  }
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return malformed("not a JSON object");
  for (const char* field : {"variant", "unit", "phase", "counts", "faults", "findings"}) {
    if (!json.contains(field)) return malformed(cat("no field ", in_quotes(field)));
  }
  ExploredUnit unit;
  if (!is_count(json["variant"]) || json["variant"].get<uint64_t>() > UINT32_MAX) {
    return malformed("its variant is not a number");
  }
  unit.variant = json["variant"];
  if (!is_count(json["unit"])) return malformed("its number is not a number");
  unit.number = json["unit"];
  if (!is_count(json["phase"]) || json["phase"].get<uint64_t>() >= kPhaseCount) {
    return malformed(cat("a phase that is not below ", kPhaseCount));
  }
  unit.phase = static_cast<PhaseCode>(json["phase"].get<uint64_t>());
  if (!read_counts(json["counts"], &unit.counts)) {
    return malformed(cat("counts that are not ", std::size(kCounts), " numbers"));
  }
  if (!read_faults(json["faults"], &unit.faults)) return malformed("faults without their counts");
  if (!read_findings(json["findings"], &unit.findings)) {
    return malformed("a finding of another shape");
  }
  return unit;
}

ExplorationSummary summarize(const std::map<uint64_t, ExploredUnit>& units) {
  ExplorationSummary summary;
  for (const auto& [number, unit] : units) {
    summary.counts[unit.phase].add(unit.counts);
    for (const auto& [fault, count] : unit.faults) summary.faults[unit.phase][fault] += count;
    merge_findings(&summary.findings, unit.findings);
  }
  return summary;
}

// --------------------------------------------------------------------------------------- the run

CrashExploration::CrashExploration(ExplorationOptions options, Worlds* worlds, Write write)
    : options_(std::move(options)), worlds_(worlds), write_(std::move(write)) {}

bool CrashExploration::reached(const ExplorationOptions::Edge& edge, ClusterView& view) {
  if (edge.node == 0) return view.now() >= edge.time;
  return view.nodes()[edge.node - 1]->phase_code() == edge.phase;
}

bool CrashExploration::in_window(ClusterView& view) {
  if (left_) return false;
  if (!entered_) entered_ = reached(options_.from, view);
  if (entered_) left_ = reached(options_.to, view);
  return entered_ && !left_;
}

void CrashExploration::between_events(ClusterView& view) {
  if (worlds_ != nullptr && worlds_->stopped()) return view.end();
  if (!in_window(view)) {
    if (left_) view.end();
    return;
  }
  for (const NodeId id : options_.nodes) watch(view, *view.nodes()[id - 1]);
}

// An instant after the news is possible: nothing else happens there.
bool CrashExploration::owes_more(ClusterView& view, SimNode& node) const {
  return node.up() && view.next_time() > view.now() + 1 &&
         watched_.at(node.id()).owed != owed_by(view, node);
}

std::vector<CrashExploration::Instant> CrashExploration::instants_of(ClusterView& view,
                                                                     SimNode& node, bool begins) {
  std::vector<Instant> instants;
  if (!node.up()) return instants;
  uint64_t& number = watched_[node.id()].instants;
  const auto take = [&](const Instant& instant) {
    if (number++ % options_.shards == options_.shard) {
      ++instants_;
      instants.push_back(instant);
    } else {
      ++passed_over_;
    }
  };
  if (begins) take({view.now() + 1, LastOperation::kAny});
  const Nanos next = view.next_time();
  for (const Nanos at : node.disk().moments(view.now(), next + 1)) {
    if (at == next) {
      ++passed_over_;
    } else {
      take({at, LastOperation::kExecuting});
    }
  }
  return instants;
}

// In the first process: what belongs to a unit that has begun is that unit's, and is only counted.
void CrashExploration::watch(ClusterView& view, SimNode& node) {
  watched_.try_emplace(node.id());
  const bool begins = owes_more(view, node);
  if (begins) watched_[node.id()].owed = owed_by(view, node);
  std::vector<Instant> instants = instants_of(view, node, begins);
  if (!begins) return;
  const uint64_t number = next_unit_++;
  if (worlds_ == nullptr || known(number)) return;
  const PhaseCode phase = node.phase_code();
  worlds_->copy([&] { return to_text(explore_unit(view, node, std::move(instants))); },
                [this, phase, number](std::optional<std::string> text) {
                  const std::optional<Answer> answer = text ? parse(*text) : std::nullopt;
                  if (!answer) return explored(number, std::nullopt);
                  explored(number, ExploredUnit{0, number, phase, answer->counts, answer->faults,
                                                answer->findings});
                });
}

void CrashExploration::finish() {
  if (worlds_ != nullptr) worlds_->wait();
}

// ------------------------------------------------------------------------------------- in a copy

CrashExploration::Answer CrashExploration::explore_unit(ClusterView& view, SimNode& node,
                                                        std::vector<Instant> instants) {
  Answer answer;
  Tried tried;
  // What its forks share they need not work out again.
  node.disk().collect_garbage();
  node.disk().image_hash();
  while (true) {
    for (const Violation& violation : view.violations()) shown_.insert(violation.oracle);
    for (const Instant& instant : instants) {
      ++answer.counts.instants;
      try_states(view, node, instant, options_.bounds, 0, &tried, &answer);
    }
    if (!view.run_next() || reached(options_.to, view) || owes_more(view, node)) break;
    instants = instants_of(view, node, false);
  }
  return answer;
}

void CrashExploration::try_states(ClusterView& view, SimNode& node, const Instant& instant,
                                  const CrashBounds& bounds, uint32_t depth, Tried* tried,
                                  Answer* answer) {
  uint64_t tried_here = 0;
  for (const CrashLevel level : options_.levels) {
    // A fault of the disk counts calls and bytes, and a crash of recovery enumerates what a process
    // crash left pending: no look tells either.
    const bool compares =
        !node.disk().has_faults() && (level != CrashLevel::kP0 || depth >= options_.nested);
    for (const CrashState& state :
         crash_states(node.disk(), instant.at, level, instant.last, bounds)) {
      ++answer->counts.states;
      SimDisk crashed = node.disk().fork();
      crashed.note_looks(nullptr);
      Exactly choice(&state);
      const CrashReport report = crashed.crash(level, instant.at, choice);
      // After a process crash what is pending stays so: the same bytes, another state.
      const uint64_t content = crashed.content_key() + static_cast<uint64_t>(level);
      if (!tried->seen.insert(content).second) continue;
      if (options_.most != 0 && tried_here >= options_.most) {
        ++answer->counts.capped;
        continue;
      }
      ++tried_here;
      ++answer->counts.distinct;
      ++answer->faults[fault_name(level, depth)];
      LookTree& tree = tried->trees[level];
      const std::optional<size_t> alike = compares ? tree.find(crashed) : std::nullopt;
      const bool again = options_.recheck != 0 && content % options_.recheck == 0;
      if (alike) {
        const Answer& known = tried->answers[*alike];
        if (!again) {
          ++answer->counts.alike;
          answer->counts.violations += known.counts.violations;
          answer->counts.stayed_down += known.counts.stayed_down;
          answer->counts.unfinished += known.counts.unfinished;
          merge_findings(&answer->findings, known.findings);
          continue;
        }
        ++answer->counts.rechecked;
      }
      std::optional<Answer> ended;
      worlds_->copy(
          [&] {
            return to_text(
                crash_here(view, node, instant.at, level, report.decision, depth, *tried, again));
          },
          [&](std::optional<std::string> text) {
            if (text) ended = parse(*text);
          });
      worlds_->wait();
      if (!ended) {
        ++answer->counts.died;
        continue;
      }
      answer->counts.add(ended->counts);
      for (const auto& [fault, count] : ended->faults) answer->faults[fault] += count;
      merge_findings(&answer->findings, ended->findings);
      for (const DiskLook& look : ended->looks) looks_.add(look);
      if (ended->cut) tried->cuts.emplace(*ended->cut, std::move(ended->cut_looks));
      if (alike) {
        const Answer& known = tried->answers[*alike];
        if (ends_of(known.counts, known.findings) != ends_of(ended->counts, ended->findings)) {
          ++answer->counts.differed;
        }
      } else if (compares) {
        tree.add(crashed, ended->looks, tried->answers.size());
        ended->looks.clear();
        tried->answers.push_back(*std::move(ended));
      }
    }
  }
}

CrashExploration::Answer CrashExploration::crash_here(ClusterView& view, SimNode& node, Nanos at,
                                                      CrashLevel level, const Decision& decision,
                                                      uint32_t depth, const Tried& tried,
                                                      bool again) {
  Answer answer;
  if (crash_and_start(view, node, at, level, decision, depth, &answer)) {
    cut_off(view, node, tried, again, &answer);
  }
  answer.looks = looks_.in_order();
  return answer;
}

// What the node serves now must survive a power cut right away (ora.L10). What that leaves, and what
// the node owes since its start, says how the next start goes.
void CrashExploration::cut_off(ClusterView& view, SimNode& node, const Tried& tried, bool again,
                               Answer* answer) {
  const Nanos at = view.now() + 1;
  SimDisk left = node.disk().fork();
  left.note_looks(nullptr);
  DropAll drop;
  left.crash(CrashLevel::kP2, at, drop);
  const uint64_t cut =
      xxh3_64(cat(left.content_key(), " ", fingerprint(view.checker().ghost(node.id() - 1).acked()),
                  " ", static_cast<int>(node.phase_code()), " ", node.phase_entries(), " ",
                  static_cast<int>(node.authority())));
  const std::map<uint64_t, std::string> paths = left.paths();
  const auto known = tried.cuts.find(cut);
  if (known != tried.cuts.end()) {
    std::map<std::string, uint64_t> inodes;
    for (const auto& [inode, path] : paths) inodes.emplace(path, inode);
    for (const PathLook& there : known->second) {
      DiskLook look = there.look;
      look.inode = inodes.at(there.path);
      looks_.add(std::move(look));
    }
    if (!again) return;
    ++answer->counts.rechecked;
  }
  const bool good =
      crash_and_start(view, node, at, CrashLevel::kP2, std::nullopt, options_.nested, answer);
  for (const DiskLook& look : cut_looks_.in_order()) looks_.add(look);
  if (known != tried.cuts.end()) {
    if (!good) ++answer->counts.differed;
  } else if (good) {
    answer->cut = cut;
    for (const DiskLook& look : cut_looks_.in_order()) {
      const auto path = paths.find(look.inode);
      if (path != paths.end()) answer->cut_looks.push_back({path->second, look});
    }
  }
}

const Violation* CrashExploration::news(ClusterView& view) const {
  for (const Violation& violation : view.violations()) {
    if (shown_.count(violation.oracle) == 0) return &violation;
  }
  return nullptr;
}

// Whether the node is up again and nothing was violated.
bool CrashExploration::crash_and_start(ClusterView& view, SimNode& node, Nanos at, CrashLevel level,
                                       const std::optional<Decision>& decision, uint32_t depth,
                                       Answer* answer) {
  CrashFault crash{.node = node.name(), .restart_after = kRestartAfter};
  crash.loss = decision ? loss_of(level) : CrashLoss::kKeepSynced;
  if (level != CrashLevel::kP0) crash.level = level;
  crash.decided = decision;
  bool down = false;
  view.at(at, [&node, &crash, &down, this, at] {
    node.crash(crash, true, [&crash, &down, &node, this, at](const CrashReport& report) {
      down = true;
      node.disk().note_looks(crash.decided ? &looks_ : &cut_looks_);
      crash.decided = report.decision;
      crashes_.push_back(fault_of(crash, at));
    });
  });
  Tried tried;
  const auto give_up = [&] {
    return view.now() >= at + kStartLimit ||
           (down && !node.running() && view.now() > at + 2 * kRestartAfter);
  };
  bool going = true;
  while (going && !(down && node.up()) && !give_up()) {
    if (down && depth < options_.nested && node.running()) {
      for (const Nanos moment : node.disk().moments(view.now(), view.next_time())) {
        try_states(view, node, {moment, LastOperation::kExecuting}, {.omit = 0}, depth + 1, &tried,
                   answer);
      }
    }
    going = view.run_next();
  }
  if (const Violation* const found = news(view)) {
    ++answer->counts.recoveries;
    ++answer->counts.violations;
    const Violation& violation = *found;
    std::vector<FaultPlan> faults = view.injected();
    faults.insert(faults.end(), crashes_.begin(), crashes_.end());
    CrashFinding finding;
    finding.oracle = violation.oracle;
    finding.name = violation.name;
    finding.phase = violation.phase;
    finding.level = level;
    finding.expected = violation.expected;
    finding.actual = violation.actual;
    std::set<std::string> oracles = shown_;
    for (const Violation& any : view.violations()) oracles.insert(any.oracle);
    finding.scenario = write_(faults, {oracles.begin(), oracles.end()});
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

std::string CrashExploration::to_text(const Answer& answer) {
  Json json;
  json["counts"] = json_of(answer.counts);
  json["faults"] = answer.faults;
  json["findings"] = json_of(answer.findings);
  std::string looks;
  for (const DiskLook& look : answer.looks) add_look(look, &looks);
  json["looks"] = std::move(looks);
  if (answer.cut) json["cut"] = *answer.cut;
  std::string cut_looks;
  for (const PathLook& there : answer.cut_looks) {
    cut_looks += there.path;
    cut_looks += '\0';
    add_look(there.look, &cut_looks);
  }
  json["cut_looks"] = std::move(cut_looks);
  return text_of(json);
}

// Of a copy of this process, so of the right shape if it is whole.
std::optional<CrashExploration::Answer> CrashExploration::parse(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return std::nullopt;
  Answer answer;
  if (!read_counts(json["counts"], &answer.counts)) return std::nullopt;
  if (!read_faults(json["faults"], &answer.faults)) return std::nullopt;
  if (!read_findings(json["findings"], &answer.findings)) return std::nullopt;
  const auto* const looks = json["looks"].get_ptr<const std::string*>();
  const auto* const cut_looks = json["cut_looks"].get_ptr<const std::string*>();
  if (looks == nullptr || cut_looks == nullptr) return std::nullopt;
  for (std::string_view rest = *looks; !rest.empty();) answer.looks.push_back(take_look(&rest));
  if (json.contains("cut")) answer.cut = json["cut"].get<uint64_t>();
  for (std::string_view rest = *cut_looks; !rest.empty();) {
    std::string path(take_word(&rest));
    answer.cut_looks.push_back({std::move(path), take_look(&rest)});
  }
  return answer;
}

}  // namespace qk::sim
