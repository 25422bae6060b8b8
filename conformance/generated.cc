#include "conformance/generated.h"

#include <algorithm>
#include <regex>
#include <set>

#include "conformance/crash_explorer.h"
#include "conformance/fault_judge.h"
#include "conformance/pair_context.h"
#include "conformance/runner.h"
#include "families/builtin.h"

namespace qk::sim::conformance {
namespace {

using families::FamilyDescriptor;
using families::Fault;

constexpr uint64_t kSeed = 1;
constexpr size_t kLongestWalk = 400;
constexpr size_t kFailuresKept = 20;
constexpr uint64_t kFailuresOfOneLoop = 4;

GeneratedFault failing(std::string name, int error, Fault::Effect effect, bool look = false) {
  GeneratedFault one;
  one.name = std::move(name);
  one.fault.error = error;
  one.fault.effect = effect;
  one.look = look;
  return one;
}

std::vector<GeneratedSetting> all_settings() {
  const GeneratedFault nothing_done = failing("EIO-nothing", EIO, Fault::Effect::kNone);
  const GeneratedFault all_done = failing("EIO-all", EIO, Fault::Effect::kAll);

  GeneratedSetting commit;
  commit.name = "commit";
  commit.bounds = {2, 2, 2};
  commit.every_edge = true;
  commit.losses = few_losses;
  commit.losses_of_pairs = all_or_nothing;
  commit.faults = {nothing_done, all_done};
  commit.faults_of_pairs = {nothing_done};
  commit.pair_edges_one_in = 5;

  GeneratedSetting release;
  release.name = "release";
  release.bounds = {3, 2, 2};
  release.every_edge = true;
  release.every_edge_of_pairs = true;
  release.losses = all_losses;
  release.losses_of_pairs = few_losses;
  release.faults = {nothing_done, failing("EIO-part", EIO, Fault::Effect::kPart), all_done,
                    failing("ENOSPC-nothing", ENOSPC, Fault::Effect::kNone),
                    failing("EIO-look", EIO, Fault::Effect::kNone, true)};
  release.faults_of_pairs = {nothing_done, all_done};
  release.usual_options_too = true;
  release.around_each_call = true;
  return {commit, release};
}

const std::vector<GeneratedSetting>& settings() {
  static const std::vector<GeneratedSetting> kSettings = all_settings();
  return kSettings;
}

// "P2, only 3" as a part of an id.
std::string as_part(std::string_view text) {
  std::string part;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain) {
      part += c;
    } else if (!part.empty() && part.back() != '-') {
      part += '-';
    }
  }
  return part;
}

bool is_volatile(const FamilyDescriptor& family) {
  return family.volatility == families::Volatility::kVolatile;
}

// Whether an image holds it: a node can start from it (no gap between snapshot and log), and the log
// does not contradict the snapshot, as it does while an installed one waits for the log to be dropped
// (image/exporter.h).
bool is_movable(const State& state) {
  if (!state.snapshot) return state.first == 1;
  const families::SnapshotMeta& meta = state.snapshot->meta;
  if (state.first > meta.last_included_index + 1) return false;
  return std::ranges::all_of(state.entries, [&](const families::LogEntry& entry) {
    if (entry.index == meta.last_included_index) return entry.term == meta.last_included_term;
    return entry.index > meta.last_included_index || entry.term <= meta.last_included_term;
  });
}

}  // namespace

const GeneratedSetting* generated_setting(std::string_view name) {
  for (const GeneratedSetting& one : settings()) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

std::vector<std::string> generated_setting_names() {
  std::vector<std::string> names;
  for (const GeneratedSetting& one : settings()) names.push_back(one.name);
  return names;
}

void UnitResult::add(const UnitResult& other) {
  for (const auto& [name, times] : other.counts) counts[name] += times;
  failed += other.failed;
  for (const GeneratedFailure& one : other.failures) {
    if (failures.size() < kFailuresKept) failures.push_back(one);
  }
}

uint64_t UnitResult::cases() const {
  uint64_t sum = 0;
  for (const auto& [name, times] : counts) sum += name == "equal images" ? 0 : times;
  return sum;
}

// A filter, and what of it says something about the first so many parts of an id.
class GeneratedSuite::Filter {
 public:
  explicit Filter(const std::string& text) : text_(text), any_(text.empty()) {
    if (any_) return;
    whole_ = std::regex(text);
    const size_t begin = text.rfind('^', 0) == 0 ? 1 : 0;
    if (text.compare(begin, 4, "GEN/") != 0) return;
    size_t parts = 0;
    for (size_t at = begin; at < text.size(); ++at) {
      if (text[at] == '/' && ++parts >= 3) add_head(parts, text.substr(begin, at - begin));
    }
    if (++parts >= 3) add_head(parts, text.substr(begin, text.size() - begin));
  }

  const std::string& text() const { return text_; }
  bool any() const { return any_; }
  bool wants(const std::string& id) const { return any_ || std::regex_search(id, whole_); }
  // Whether ids that begin with this, which has so many parts, may be wanted.
  bool may_want(const std::string& head, size_t parts) const {
    const auto it = heads_.find(parts);
    return any_ || it == heads_.end() ||
           std::regex_search(head, it->second, std::regex_constants::match_continuous);
  }

 private:
  // What is cut out of a regular expression may be none by itself.
  void add_head(size_t parts, const std::string& text) {
    try {
      heads_.emplace(parts, std::regex(text));
    } catch (const std::regex_error&) {
    }
  }

  const std::string text_;
  const bool any_;
  std::regex whole_;
  std::map<size_t, std::regex> heads_;
};

struct GeneratedSuite::Subject {
  const FamilyDescriptor* family = nullptr;
  const FamilyDescriptor* mirror = nullptr;  // null: alone
  bool small = false;
  bool reads_mirror = false;  // of a pair

  bool is_pair() const { return mirror != nullptr; }
  bool forgets() const { return is_volatile(*family) || (is_pair() && is_volatile(*mirror)); }
  std::string name() const {
    if (!is_pair()) return cat(family->name, small ? "/small" : "/usual");
    return cat(family->name, "-", mirror->name, reads_mirror ? "/mirror" : "/primary");
  }
};

struct GeneratedSuite::Unit {
  enum class Kind : uint8_t { kWalk, kState, kImages };
  size_t subject = 0;
  Kind kind = Kind::kWalk;
  size_t number = 0;          // of the walk or state
  std::vector<size_t> edges;  // of the state
};

// One unit while it runs.
class GeneratedSuite::Running {
 public:
  Running(GeneratedSuite* suite, const Unit& unit, const Host& host, const Filter& filter)
      : suite_(*suite),
        graph_(suite->graph_),
        setting_(suite->setting_),
        subject_(suite->subjects_[unit.subject]),
        unit_(unit),
        host_(host),
        filter_(filter),
        prefix_(cat("GEN/", subject_.name(), "/")) {}

  UnitResult run() {
    if (!filter_.may_want(prefix_, 3)) return std::move(result_);
    const PlantingScope planted(host_.planting);
    switch (unit_.kind) {
      case Unit::Kind::kWalk:
        walk();
        break;
      case Unit::Kind::kState:
        state();
        break;
      case Unit::Kind::kImages:
        for (size_t number = 0; number < graph_.states().size(); ++number) move(number);
        break;
    }
    host_.lose_memory();
    return std::move(result_);
  }

 private:
  std::string state_id(size_t state) const { return cat(prefix_, graph_.states()[state].name); }
  std::string edge_id(size_t edge) const {
    return cat(state_id(graph_.edges()[edge].from), "/", graph_.edges()[edge].name);
  }

  // Whether it held.
  bool judge(std::string_view kind, const std::string& id, const std::function<void()>& body) {
    if (!kind.empty()) ++result_.counts[std::string(kind)];
    try {
      body();
      return true;
    } catch (const CheckFailed& failed) {
      ++result_.failed;
      if (result_.failures.size() < kFailuresKept) result_.failures.push_back({id, failed.message});
      return false;
    }
  }

  std::unique_ptr<InstanceContext> fresh() const {
    const FamilyDescriptor* read = subject_.family;
    const FamilyDescriptor* other = subject_.mirror;
    if (subject_.reads_mirror) std::swap(read, other);
    const Role role = !subject_.is_pair()     ? Role::kPlain
                      : subject_.reads_mirror ? Role::kMirror
                                              : Role::kPrimary;
    auto c =
        std::make_unique<InstanceContext>(host_, read, other, role, DiskKind::kSimulated, kSeed);
    if (subject_.small) c->set_options(small_units(*subject_.family));
    return c;
  }

  // ---- Walks

  void walk() {
    const std::vector<StateGraph::Step>& steps = suite_.walks_[unit_.number];
    std::vector<bool> wanted(steps.size(), false);
    size_t end = 0;
    for (size_t i = 0; i < steps.size(); ++i) {
      wanted[i] = steps[i].is_new && (filter_.any() || filter_.wants(step_id(steps[i])));
      if (wanted[i]) end = i + 1;
    }
    families::reset_engines_for_run(kSeed);
    std::unique_ptr<InstanceContext> c;
    for (size_t i = 0; i < end; ++i) {
      const bool held = judge(wanted[i] ? "steps" : "", step_id(steps[i]), [&] {
        if (c == nullptr) {
          c = fresh();
          c->begin();
        }
        at(cat("walk ", unit_.number, ", step ", i + 1), [&] {
          c->apply(graph_.edges()[steps[i].edge].change);
          if (!steps[i].is_new) return;
          c->expect_lookups();
          c->reopen();
        });
      });
      if (!held) {
        // What is left of the walk has nothing to stand on; it counts as not run.
        result_.counts["steps not reached"] += static_cast<uint64_t>(
            std::count(wanted.begin() + static_cast<std::ptrdiff_t>(i) + 1, wanted.end(), true));
        break;
      }
    }
    if (c != nullptr && c->is_open()) c->close();
  }
  std::string step_id(const StateGraph::Step& step) const {
    return cat(edge_id(step.edge), "/step");
  }

  // ---- States

  // The closed instance in this state; how it got there is the same whatever ran before.
  InstanceContext& base(size_t state) {
    auto& bases = suite_.bases_;
    if (suite_.based_ != unit_.subject) {
      bases.clear();
      suite_.based_ = unit_.subject;
    }
    if (const auto it = bases.find(state); it != bases.end()) return *it->second;
    std::unique_ptr<InstanceContext> made;
    if (state == 0) {
      families::reset_engines_for_run(kSeed);
      made = fresh();
      made->begin();
    } else {
      const GraphEdge& edge = graph_.edges()[graph_.states()[state].parent];
      made = base(edge.from).fork();
      families::reset_engines_for_run(kSeed);
      made->expect_ok("open", made->open());
      made->apply(edge.change);
    }
    made->close();
    return *(bases[state] = made->fork());
  }

  void state() {
    const std::string id = state_id(unit_.number);
    if (!filter_.may_want(id, 4)) return;
    if (subject_.forgets()) {
      for (const size_t edge : unit_.edges) forget(edge);
      return;
    }
    InstanceContext* from = nullptr;
    if (!judge("", id, [&] { from = &base(unit_.number); })) return;
    for (const size_t edge : unit_.edges) {
      if (!filter_.may_want(edge_id(edge), 5)) continue;
      crash(*from, edge);
      fail(*from, edge);
    }
  }

  void crash(InstanceContext& from, size_t number) {
    const GraphEdge& edge = graph_.edges()[number];
    const std::string id = edge_id(number);
    const auto case_id = [&](const CrashCase& one) {
      return cat(id, "/crash-", one.point, "/", as_part(one.loss->name));
    };
    CrashCases cases;
    cases.wants = [&](const CrashCase& one) {
      if (one.loss == nullptr) {
        // So that an engine draws the same whether or not other points were tried.
        families::reset_engines_for_run(kSeed);
        return filter_.may_want(cat(id, "/crash-", one.point), 6);
      }
      if (!filter_.any() && !filter_.wants(case_id(one))) return false;
      ++result_.counts["equal images"];
      return true;
    };
    cases.run = [&](const CrashCase& one, const std::function<void()>& judge_image) {
      --result_.counts["equal images"];
      judge("crashes", case_id(one), judge_image);
    };
    const bool alone = !subject_.is_pair();
    const LossSource& losses = alone ? setting_.losses : setting_.losses_of_pairs;
    const bool changes = edge.from != edge.to;
    const bool around = edge.name == "nothing" || (changes && alone && setting_.around_each_call);
    judge("", cat(id, "/crash"), [&] {
      families::reset_engines_for_run(kSeed);
      CrashExplorer explorer(&from, edge.change, cases);
      if (edge.name == "nothing") explorer.crash_inside(Stage::kOpen, losses);
      explorer.crash_inside(Stage::kChange, losses);
      if (around) {
        explorer.crash_inside(Stage::kBackground, all_or_nothing);
        explorer.crash_inside(Stage::kClose, all_or_nothing);
      }
      if (changes) explorer.crash_afterwards(alone ? few_losses : all_or_nothing);
    });
  }

  void fail(InstanceContext& from, size_t number) {
    const GraphEdge& edge = graph_.edges()[number];
    const std::string id = edge_id(number);
    for (const GeneratedFault& fault :
         subject_.is_pair() ? setting_.faults_of_pairs : setting_.faults) {
      uint64_t failed = 0;
      bool reached = true;
      for (uint64_t n = 1; reached && failed < kFailuresOfOneLoop; ++n) {
        const std::string case_id = cat(id, "/fail-", n, "/", fault.name);
        // Whether there is an n-th call shows only when it fails.
        const bool wanted = filter_.wants(case_id);
        const auto fail_it = [&] {
          families::reset_engines_for_run(kSeed);
          reached = fail_call(from, edge.change, n, fault.fault,
                              fault.look ? CallKind::kLook : CallKind::kMutating);
        };
        if (wanted) {
          if (!judge("failing calls", case_id, fail_it)) ++failed;
          if (!reached) --result_.counts["failing calls"];
        } else {
          try {
            fail_it();
          } catch (const CheckFailed&) {
          }
        }
      }
    }
  }

  // What a volatile family shows after a crash; its memory cannot be copied, so each case makes the
  // instance from nothing.
  void forget(size_t number) {
    const GraphEdge& edge = graph_.edges()[number];
    for (const Loss& loss : {process_deaths(0, kSeed).front(), all_or_nothing(0, kSeed).front()}) {
      const std::string id = cat(edge_id(number), "/crash-acknowledged/", as_part(loss.name));
      if (!filter_.wants(id)) continue;
      families::reset_engines_for_run(kSeed);
      judge("crashes", id, [&] {
        const auto c = fresh();
        c->begin();
        for (const size_t step : graph_.path_to(edge.from)) c->apply(graph_.edges()[step].change);
        c->apply(edge.change);
        crash_and_expect_absent(*c, loss);
      });
    }
  }

  // ---- Images

  void move(size_t number) {
    const std::string id = cat(state_id(number), "/move");
    const State& state = graph_.states()[number].state;
    if (!filter_.wants(id)) return;
    families::reset_engines_for_run(kSeed);
    judge("moves", id, [&] {
      PairContext c(host_, subject_.family, subject_.mirror, DiskKind::kSimulated, kSeed);
      c.create(PairContext::kA);
      for (const size_t step : graph_.path_to(number)) {
        c.apply(PairContext::kA, graph_.edges()[step].change);
      }
      if (!is_movable(state)) {
        const auto image = export_image(c.at(PairContext::kA), c.descriptor(PairContext::kA));
        const absl::Status refused =
            image.ok() ? c.import_into(PairContext::kB, *image) : image.status();
        return c.expect(!refused.ok(),
                        "found an image of a state that no node starts from, expected a refusal");
      }
      const std::string image = c.export_from(PairContext::kA);
      c.expect_ok("verify", verify_bytes(image));
      c.expect_ok("import", c.import_into(PairContext::kB, image));
      c.expect_same_state("imported",
                          c.expect_value("read", read_state(c.must_open(PairContext::kB))), state);
      c.expect_equal_digests();
      c.close(PairContext::kB);
      c.expect_same_state("opened again",
                          c.expect_value("read", read_state(c.must_open(PairContext::kB))), state);
      c.close(PairContext::kB);
      c.close(PairContext::kA);
    });
  }

  GeneratedSuite& suite_;
  const StateGraph& graph_;
  const GeneratedSetting& setting_;
  const Subject& subject_;
  const Unit& unit_;
  const Host& host_;
  const Filter& filter_;
  const std::string prefix_;
  UnitResult result_;
};

GeneratedSuite::GeneratedSuite(const GeneratedSetting* setting, const families::Registry* registry,
                               const std::vector<std::string>& families)
    : setting_(*setting),
      registry_(*registry),
      graph_(setting->bounds),
      walks_(graph_.walks(kLongestWalk)) {
  const auto wanted = [&](const FamilyDescriptor& family) {
    return families.empty() ||
           std::find(families.begin(), families.end(), family.name) != families.end();
  };
  for (const FamilyDescriptor& family : registry_.all()) {
    if (!wanted(family)) continue;
    const bool has_units = !small_units(family).empty();
    if (has_units) subjects_.push_back({&family, nullptr, true, false});
    if (!has_units || setting_.usual_options_too)
      subjects_.push_back({&family, nullptr, false, false});
  }
  for (const FamilyDescriptor& family : registry_.all()) {
    for (const FamilyDescriptor& mirror : registry_.all()) {
      if (!wanted(family) && !wanted(mirror)) continue;
      subjects_.push_back({&family, &mirror, false, false});
      subjects_.push_back({&family, &mirror, false, true});
    }
  }

  const std::vector<size_t> by_domain = graph_.edges_by_domain();
  const auto has = [](const std::vector<size_t>& sorted, size_t number) {
    return std::binary_search(sorted.begin(), sorted.end(), number);
  };
  for (size_t subject = 0; subject < subjects_.size(); ++subject) {
    const Subject& one = subjects_[subject];
    const auto add = [&](Unit::Kind kind, size_t number, std::vector<size_t> edges = {}) {
      Unit unit;
      unit.subject = subject;
      unit.kind = kind;
      unit.number = number;
      unit.edges = std::move(edges);
      units_.push_back(std::move(unit));
    };
    // A walk holds both sides of a pair to equal digests, whichever of them is read.
    if (!one.reads_mirror) {
      for (size_t walk = 0; walk < walks_.size(); ++walk) add(Unit::Kind::kWalk, walk);
      if (one.is_pair()) add(Unit::Kind::kImages, 0);
    }
    const bool every = one.is_pair() ? setting_.every_edge_of_pairs : setting_.every_edge;
    const uint64_t one_in = one.is_pair() ? setting_.pair_edges_one_in : 1;
    for (size_t state = 0; state < graph_.states().size(); ++state) {
      std::vector<size_t> edges;
      for (const size_t edge : graph_.states()[state].edges) {
        if (!every && !has(by_domain, edge)) continue;
        // Other edges of each pair.
        if ((edge + subject) % one_in != 0) continue;
        edges.push_back(edge);
      }
      if (!edges.empty()) add(Unit::Kind::kState, state, std::move(edges));
    }
  }
}

GeneratedSuite::~GeneratedSuite() = default;

size_t GeneratedSuite::units() const { return units_.size(); }

size_t GeneratedSuite::walk_steps() const {
  size_t steps = 0;
  for (const auto& walk : walks_) steps += walk.size();
  return steps;
}

std::string GeneratedSuite::subject_name(size_t unit) const {
  return subjects_[units_[unit].subject].name();
}

std::string GeneratedSuite::unit_name(size_t unit) const {
  const Unit& one = units_[unit];
  switch (one.kind) {
    case Unit::Kind::kWalk:
      return cat(subject_name(unit), "/walk-", one.number);
    case Unit::Kind::kState:
      return cat(subject_name(unit), "/", graph_.states()[one.number].name);
    case Unit::Kind::kImages:
      return cat(subject_name(unit), "/images");
  }
  return "?";
}

UnitResult GeneratedSuite::run(size_t unit, const Host& host, const std::string& filter) {
  if (filter_ == nullptr || filter_->text() != filter) filter_ = std::make_unique<Filter>(filter);
  return Running(this, units_[unit], host, *filter_).run();
}

}  // namespace qk::sim::conformance
