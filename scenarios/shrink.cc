#include "scenarios/shrink.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <set>

#include "families/base/strings.h"
#include "scenarios/effective.h"
#include "scenarios/values.h"
#include "scenarios/written_plan.h"

namespace qk::scenarios {
namespace {

using qksim::Scenario;

// A run that stops at its violation needs no more time than this after it: clients stop that long
// before the end.
constexpr sim::Nanos kAfterViolation = 2 * sim::kSecond + sim::kMillisecond;

// So many operations are few: a failing run is not made larger in other ways to have fewer.
constexpr uint64_t kFewOperations = 3;
// They are done by then, even slowly.
constexpr sim::Nanos kFewLast = 6 * sim::kSecond;
// Seeds that few operations are tried with, and how often that is begun.
constexpr uint64_t kSeedsTried = 6;
constexpr int kMaxJumps = 3;

// Candidates for the sibling that are tried: the last ones, which are the nearest.
constexpr std::ptrdiff_t kMaxSiblings = 40;

std::string shown(double value) { return absl::StrCat(value); }
std::string shown(uint32_t value) { return cat(value); }
const std::string& shown(const std::string& value) { return value; }

std::string fault_text(const qksim::ScheduledFault& at) {
  switch (at.what_case()) {
    case qksim::ScheduledFault::kCrash:
      return cat("crash ", at.crash().node(), " at ", at.t());
    case qksim::ScheduledFault::kPartition:
      return cat("partition at ", at.t());
    case qksim::ScheduledFault::kDisk:
      return cat(qksim::DiskFault::Kind_Name(at.disk().kind()), " on the disk of ",
                 at.disk().node(), " at ", at.t());
    case qksim::ScheduledFault::kLeaderTransfer:
      return cat("transfer to ", at.leader_transfer(), " at ", at.t());
    case qksim::ScheduledFault::kRollback:
      return cat("rollback of ", at.rollback(), " at ", at.t());
    default:
      return cat("heal at ", at.t());
  }
}

class Shrinker {
 public:
  Shrinker(std::string name, const ShrinkTools& tools) : name_(std::move(name)), tools_(tools) {}

  absl::StatusOr<Shrunk> run(const LoadResult& loaded, const sim::RunResult& result) {
    const auto failure = failure_of(result);
    if (!failure) return absl::FailedPreconditionError("the run violates nothing");
    out_.failure = *failure;
    Scenario scenario =
        parsed(written_plan(loaded.effective, name_, *loaded.plan, result.injected));
    expect_nothing(&scenario);
    if (!fails(scenario)) {
      if (stopped_) return absl::CancelledError("stopped before the first step");
      return absl::FailedPreconditionError(
          "the written form of the run does not fail in the same way: please report it");
    }
    best_ = last_;
    taken_.push_back(best_);
    whole_ = parsed(text_of(best_));
    take_away();
    for (int jump = 0; jump < kMaxJumps && few_operations(); ++jump) take_away();
    out_.complete = !stopped_;
    finish();
    return std::move(out_);
  }

 private:
  // Rounds of single steps, until one of them keeps nothing.
  void take_away() {
    bool progress = true;
    while (progress && !stopped_) {
      progress = false;
      for (const auto step :
           {&Shrinker::time, &Shrinker::faults, &Shrinker::migrations, &Shrinker::nodes,
            &Shrinker::workload, &Shrinker::environment, &Shrinker::waits, &Shrinker::decisions}) {
        progress = (this->*step)() || progress;
      }
    }
  }

  // ---- One candidate

  // Whether it fails in the same way; then `last_` is its written form.
  bool fails(const Scenario& candidate) {
    if (stopped_ || (stopped_ = tools_.stop())) return false;
    passes_ = false;
    const LoadResult loaded = tools_.load({name_ + ".qks.txtpb", text_of(candidate), "/"});
    if (!loaded.plan) return false;
    ++out_.runs;
    std::optional<sim::RunResult> result = tools_.run(*loaded.plan);
    if (!result) return false;
    passes_ = result->violations.empty();
    const auto failure = failure_of(*result);
    if (!failure || !is_same(*failure)) return false;
    last_ = parsed(written_plan(loaded.effective, name_, *loaded.plan, result->injected));
    out_.result = *std::move(result);
    return true;
  }

  bool is_same(const FailureSignature& failure) const {
    return tools_.any_phase ? failure.oracle == out_.failure.oracle : failure == out_.failure;
  }

  // Takes the candidate if it fails; `what` says what it is without.
  bool take(const Scenario& candidate, const std::string& what) {
    if (text_of(candidate) == text_of(best_)) return false;
    if (!fails(candidate)) {
      if (passes_) siblings_.push_back({candidate, what});
      return false;
    }
    best_ = last_;
    taken_.push_back(best_);
    return true;
  }

  void keep(const std::string& step) {
    out_.steps.push_back(step);
    tools_.kept(step);
  }

  // ---- Lists: chunks of half the list, of a quarter, ... down to single elements

  // `without(i, n, candidate)` removes elements i .. i+n-1 and says what they are.
  template <typename Count, typename Without>
  bool thin_out(const std::string& what, Count count, Without without) {
    const int before = count(best_);
    for (int chunk = std::max(1, count(best_) / 2);; chunk /= 2) {
      // From the end: what comes later depends on what came before.
      for (int i = count(best_) - chunk; i > -chunk && !stopped_; i -= chunk) {
        const int from = std::max(0, i);
        const int n = std::min(chunk, count(best_) - from);
        if (n <= 0) continue;
        Scenario candidate = best_;
        const std::string removed = without(from, n, &candidate);
        take(candidate, removed);
      }
      if (chunk == 1 || count(best_) == 0) break;
    }
    const int after = count(best_);
    if (after >= before) return false;
    keep(cat(what, " ", before, " -> ", after));
    return true;
  }

  bool faults() {
    return thin_out(
        "faults", [](const Scenario& s) { return s.at_size(); },
        [](int from, int n, Scenario* s) {
          const std::string removed = fault_text(s->at(from));
          s->mutable_at()->DeleteSubrange(from, n);
          return cat("without ", removed, n > 1 ? cat(" and ", n - 1, " more") : std::string());
        });
  }

  bool migrations() {
    return thin_out(
        "migrations", [](const Scenario& s) { return s.migration_size(); },
        [](int from, int n, Scenario* s) {
          s->mutable_migration()->DeleteSubrange(from, n);
          return cat("without migration ", from + 1);
        });
  }

  // ---- What survived a crash: nothing of it, or less

  static uint32_t kept_operations(const qksim::ScheduledFault& at) {
    uint32_t operations = 0;
    for (const qksim::Kept& kept : at.crash().decided().kept()) operations += kept.count();
    return operations;
  }

  // Without n of them, from the i-th on; returns the file of the first.
  static std::string lose(int from, int n, qksim::Decided* decided) {
    qksim::Decided left;
    std::string file;
    int i = 0;
    for (const qksim::Kept& kept : decided->kept()) {
      for (uint32_t k = 0; k < kept.count(); ++k, ++i) {
        if (i == from) file = kept.file();
        if (i >= from && i < from + n) continue;
        qksim::Kept* one = left.add_kept();
        *one = kept;
        one->set_ordinal(kept.ordinal() + k);
        one->set_count(1);
      }
    }
    *decided->mutable_kept() = std::move(*left.mutable_kept());
    return file;
  }

  bool decisions() {
    bool progress = false;
    for (int i = 0; i < best_.at_size(); ++i) {
      if (!best_.at(i).has_crash() || kept_operations(best_.at(i)) == 0) continue;
      const std::string crash = fault_text(best_.at(i));
      const auto count = [i](const Scenario& s) {
        return i < s.at_size() ? static_cast<int>(kept_operations(s.at(i))) : 0;
      };
      const auto without = [i, &crash](int from, int n, Scenario* s) {
        qksim::Decided* decided = s->mutable_at(i)->mutable_crash()->mutable_decided();
        return cat("with ", lose(from, n, decided), " lost in the ", crash);
      };
      progress = thin_out(cat("kept by ", crash), count, without) || progress;
    }
    return progress;
  }

  // ---- Single values

  // Tries the values in order, the simplest first, and takes the first that fails.
  template <typename Value, typename Get, typename Set>
  bool simplify(const std::string& what, std::initializer_list<Value> values, Get get, Set set) {
    for (const Value& value : values) {
      const Value before = get(best_);
      if (value == before) return false;
      Scenario candidate = best_;
      set(&candidate, value);
      if (!take(candidate, cat("with ", what, " ", shown(value)))) continue;
      keep(cat(what, " ", shown(before), " -> ", shown(value)));
      return true;
    }
    return false;
  }

  // Halves a number down to `least`.
  template <typename Get, typename Set>
  bool reduce(const std::string& what, uint64_t least, Get get, Set set) {
    const uint64_t before = get(best_);
    uint64_t low = least;  // fails below it for all that is known
    while (get(best_) > low && !stopped_) {
      const uint64_t now = get(best_);
      const uint64_t middle = low + (now - low) / 2;
      Scenario candidate = best_;
      set(&candidate, middle);
      if (!take(candidate, cat("with ", what, " ", middle))) low = middle + 1;
    }
    if (get(best_) >= before) return false;
    keep(cat(what, " ", before, " -> ", get(best_)));
    return true;
  }

  bool time() {
    const sim::Nanos t = out_.result.violations.front().t + kAfterViolation;
    const Parsed<sim::Nanos> before =
        parse_duration(best_.has_until() ? best_.until() : best_.run_for());
    if (!before.ok() || t >= before.value()) return false;
    Scenario candidate = best_;
    candidate.set_until(duration_text(t));
    if (!take(candidate, cat("until ", duration_text(t)))) return false;
    keep(cat("time ", duration_text(before.value()), " -> ", duration_text(t)));
    return true;
  }

  bool nodes() {
    if (best_.cluster().node_size() > 0) {
      return thin_out(
          "nodes", [](const Scenario& s) { return s.cluster().node_size(); },
          [](int from, int n, Scenario* s) {
            s->mutable_cluster()->mutable_node()->DeleteSubrange(from, n);
            return cat("without node ", from + 1);
          });
    }
    return simplify<uint32_t>(
        "nodes", {1, 2, 3, 4}, [](const Scenario& s) { return s.cluster().nodes(); },
        [](Scenario* s, uint32_t n) {
          s->mutable_cluster()->set_nodes(std::min(n, s->cluster().nodes()));
        });
  }

  bool workload() {
    bool progress = false;
    const auto number = [&](const char* what, uint64_t least, auto get, auto set) {
      progress = reduce(what, least, get, set) || progress;
    };
    number(
        "clients", 0, [](const Scenario& s) { return uint64_t{s.workload().clients()}; },
        [](Scenario* s, uint64_t n) {
          s->mutable_workload()->set_clients(static_cast<uint32_t>(n));
        });
    if (best_.workload().clients() > 0) {
      number(
          "rate", 1, [](const Scenario& s) { return uint64_t{s.workload().rate()}; },
          [](Scenario* s, uint64_t n) {
            s->mutable_workload()->set_rate(static_cast<uint32_t>(n));
          });
      // A run without a limit has as many as it came to; more than that is no limit.
      if (!best_.workload().has_operations()) {
        Scenario candidate = best_;
        candidate.mutable_workload()->set_operations(std::max<uint64_t>(1, operations()));
        take(candidate, "with fewer operations");
      }
      if (best_.workload().has_operations()) {
        number(
            "operations", 1, [](const Scenario& s) { return s.workload().operations(); },
            [](Scenario* s, uint64_t n) { s->mutable_workload()->set_operations(n); });
      }
      number(
          "keys", 1, [](const Scenario& s) { return uint64_t{s.workload().keys()}; },
          [](Scenario* s, uint64_t n) {
            s->mutable_workload()->set_keys(static_cast<uint32_t>(n));
          });
      const auto ratio = [&](const char* what, auto get, auto set) {
        progress = simplify<double>(what, {0.0}, get, set) || progress;
      };
      ratio(
          "read_ratio", [](const Scenario& s) { return s.workload().read_ratio(); },
          [](Scenario* s, double r) { s->mutable_workload()->set_read_ratio(r); });
      ratio(
          "cas_ratio", [](const Scenario& s) { return s.workload().cas_ratio(); },
          [](Scenario* s, double r) { s->mutable_workload()->set_cas_ratio(r); });
      ratio(
          "counter_ratio", [](const Scenario& s) { return s.workload().counter_ratio(); },
          [](Scenario* s, double r) { s->mutable_workload()->set_counter_ratio(r); });
      progress =
          simplify<std::string>(
              "value_size", {"16B"}, [](const Scenario& s) { return s.workload().value_size(); },
              [](Scenario* s, const std::string& v) {
                s->mutable_workload()->set_value_size(v);
              }) ||
          progress;
    }
    return progress;
  }

  // ---- Few operations in place of many
  //
  // What many operations bring to light, because a snapshot, a full segment or a probe comes only now
  // and then, few may show as well in a cluster that is set up so that it comes at once: with snapshots
  // after every entry, values that fill a segment, operations that take their time, a crash where the
  // violation was. Where several faults are left, one at an early moment may do. None of this is a
  // single step from the run at hand, and each candidate has one chance in a few to hit the right
  // moment: so it is tried for some seeds.

  struct Setting {
    uint32_t snapshot_every = 0;  // 0: as it is
    bool large_values = false;
    bool slow = false;  // one client, one operation a second
    bool crash = false;
  };

  static std::vector<Setting> settings(bool crash) {
    std::vector<Setting> all;
    for (const bool crashes : {false, true}) {
      if (crashes && !crash) continue;
      for (const bool slow : {false, true}) {
        for (const bool large : {false, true}) {
          for (const uint32_t every : {0, 1, 3}) all.push_back({every, large, slow, crashes});
        }
      }
    }
    return all;
  }

  // The faults as they are; then each kind that is left, once.
  std::vector<Scenario> with_one_fault() const {
    std::vector<Scenario> all = {best_};
    if (best_.at_size() < 2) return all;
    std::set<int> seen;
    for (const qksim::ScheduledFault& fault : best_.at()) {
      if (!seen.insert(fault.what_case()).second) continue;
      Scenario one = best_;
      one.clear_at();
      *one.add_at() = fault;
      all.push_back(one);
      if (!fault.has_partition()) continue;
      // The leader, once it has something to lose.
      qksim::ScheduledFault* at = one.mutable_at(0);
      at->mutable_partition()->clear_side();
      at->mutable_partition()->add_side()->add_node("@leader");
      at->set_for_("1500ms");
      for (const char* t : {"1s", "2s"}) {
        at->set_t(t);
        all.push_back(one);
      }
    }
    return all;
  }

  Scenario set_up(Scenario scenario, const Setting& setting, uint64_t seed) const {
    const sim::Violation& violation = out_.result.violations.front();
    qksim::Workload* workload = scenario.mutable_workload();
    workload->set_operations(kFewOperations);
    if (setting.slow) {
      workload->set_clients(1);
      workload->set_rate(1);
    }
    if (setting.large_values) workload->set_value_size("4KiB");
    if (setting.snapshot_every > 0) {
      scenario.mutable_cluster()->set_snapshot_every_entries(setting.snapshot_every);
    }
    sim::Nanos end = std::max(violation.t, kFewLast);
    if (setting.crash) {
      constexpr sim::Nanos kRestart = 100 * sim::kMillisecond;
      qksim::ScheduledFault* at = scenario.add_at();
      at->set_t(duration_text(violation.t));
      at->mutable_crash()->set_node(violation.node);
      at->mutable_crash()->set_restart_after(duration_text(kRestart));
      at->mutable_crash()->set_unsynced(qksim::Crash::KEEP_SYNCED);
      end += kRestart;
    }
    const Parsed<sim::Nanos> whole = parse_duration(whole_.run_for());
    if (whole.ok() && end + kAfterViolation < whole.value()) {
      scenario.set_until(duration_text(end + kAfterViolation));
    } else {
      scenario.clear_until();
    }
    if (seed != best_.seed()) {
      scenario.set_seed(seed);
      // What a crash left names what this run does not have.
      for (qksim::ScheduledFault& at : *scenario.mutable_at()) {
        if (at.has_crash()) at.mutable_crash()->clear_decided();
      }
    }
    return scenario;
  }

  bool few_operations() {
    const uint64_t before = best_.workload().operations();
    const int faults = best_.at_size();
    const bool few = best_.workload().clients() == 0 ||
                     (best_.workload().has_operations() && before <= kFewOperations);
    if (few && faults < 2) return false;
    const bool crashes = std::any_of(best_.at().begin(), best_.at().end(),
                                     [](const auto& at) { return at.has_crash(); });
    const bool crash = !crashes && !out_.result.violations.front().node.empty();
    const std::vector<Scenario> scenarios = with_one_fault();
    const std::vector<Setting> all = settings(crash);
    const uint64_t first = best_.seed();
    for (uint64_t seed = first; seed < first + kSeedsTried; ++seed) {
      for (size_t i = few ? 1 : 0; i < scenarios.size(); ++i) {
        for (const Setting& setting : all) {
          if (stopped_) return false;
          if (!take(set_up(scenarios[i], setting, seed), "with few operations")) continue;
          keep(cat("operations ", before, " -> ", best_.workload().operations(), ", faults ",
                   faults, " -> ", best_.at_size(),
                   seed == first ? std::string() : cat(", seed ", seed)));
          return true;
        }
      }
    }
    return false;
  }

  bool environment() {
    bool progress = false;
    const auto clean_link = [&](const char* what, auto get, auto set) {
      progress = simplify<double>(what, {0.0}, get, set) || progress;
    };
    clean_link(
        "link.loss", [](const Scenario& s) { return s.cluster().link().loss(); },
        [](Scenario* s, double v) { s->mutable_cluster()->mutable_link()->set_loss(v); });
    clean_link(
        "link.duplicate", [](const Scenario& s) { return s.cluster().link().duplicate(); },
        [](Scenario* s, double v) { s->mutable_cluster()->mutable_link()->set_duplicate(v); });
    clean_link(
        "link.reorder", [](const Scenario& s) { return s.cluster().link().reorder(); },
        [](Scenario* s, double v) { s->mutable_cluster()->mutable_link()->set_reorder(v); });
    clean_link(
        "link.late", [](const Scenario& s) { return s.cluster().link().late(); },
        [](Scenario* s, double) {
          s->mutable_cluster()->mutable_link()->clear_late();
          s->mutable_cluster()->mutable_link()->clear_late_by();
        });
    progress =
        simplify<uint32_t>(
            // The more often, the fewer operations it takes to come to one.
            "snapshot_every_entries", {0, 1, 2, 4, 8},
            [](const Scenario& s) { return s.cluster().snapshot_every_entries(); },
            [](Scenario* s, uint32_t v) { s->mutable_cluster()->set_snapshot_every_entries(v); }) ||
        progress;
    return progress;
  }

  // What the operator waits for, as far as there are migrations.
  bool waits() {
    bool progress = false;
    for (int i = 0; i < best_.migration_size(); ++i) {
      const auto wait = [&](const char* what, auto get, auto set) {
        progress =
            simplify<std::string>(
                cat("migration ", i + 1, " ", what), {"100ms", "500ms"},
                [&](const Scenario& s) { return get(s.migration(i)); },
                [&](Scenario* s, const std::string& v) { set(s->mutable_migration(i), v); }) ||
            progress;
      };
      wait(
          "start", [](const qksim::Migration& m) { return m.start(); },
          [](qksim::Migration* m, const std::string& v) { m->set_start(v); });
      wait(
          "dual_write_for", [](const qksim::Migration& m) { return m.dual_write_for(); },
          [](qksim::Migration* m, const std::string& v) { m->set_dual_write_for(v); });
      wait(
          "soak", [](const qksim::Migration& m) { return m.soak(); },
          [](qksim::Migration* m, const std::string& v) { m->set_soak(v); });
    }
    return progress;
  }

  // ---- Text

  static Scenario parsed(const std::string& text) {
    Scenario scenario;
    QK_CHECK(google::protobuf::TextFormat::ParseFromString(text, &scenario));
    return scenario;
  }
  static std::string text_of(const Scenario& scenario) { return effective_text(scenario, "/"); }

  // How many client operations the last failing run came to, at most: each commits an entry or
  // reads through the log.
  uint64_t operations() const { return out_.result.committed; }

  static void expect_nothing(Scenario* scenario) {
    scenario->clear_expect();
    scenario->clear_tag();
  }

  void finish() {
    Scenario scenario = best_;
    out_.failure.phase = out_.result.violations.front().phase;
    scenario.set_summary(cat("Shrunk: ", out_.failure.oracle, " in phase ", out_.failure.phase));
    scenario.mutable_expect()->set_verdict(qksim::Expect::VIOLATION);
    scenario.mutable_expect()->clear_violates();
    scenario.mutable_expect()->add_violates(out_.failure.oracle);
    out_.text = text_of(scenario);
    find_sibling();
  }

  // A run that violates nothing may still not pass, because it ends too early to have judged
  // anything; it then gets the time that the whole run had.
  void find_sibling() {
    const std::string failing = name_;
    name_ = failing + "-passes";
    // Of a planted bug the nearest is the run without it, as small as it can be and still pass.
    if (best_.has_planted()) {
      siblings_.clear();
      for (Scenario& honest : taken_) {
        honest.clear_planted();
        siblings_.push_back({honest, cat("without the planted bug ", best_.planted())});
      }
    }
    for (auto sibling = siblings_.rbegin(); sibling != siblings_.rend(); ++sibling) {
      if (sibling - siblings_.rbegin() == kMaxSiblings || tools_.give_up()) break;
      for (const bool longer : {false, true}) {
        Scenario candidate = sibling->scenario;
        candidate.set_name(name_);
        candidate.set_summary(cat("The nearest run that passes: ", sibling->what));
        if (longer) {
          candidate.clear_until();
          candidate.set_run_for(whole_.run_for());
        }
        const LoadResult loaded = tools_.load({name_ + ".qks.txtpb", text_of(candidate), "/"});
        if (!loaded.plan) continue;
        ++out_.runs;
        const auto result = tools_.run(*loaded.plan);
        if (!result || result->verdict != sim::Verdict::kPass) continue;
        if (!loaded.plan->planted.empty()) continue;  // never PASS
        out_.sibling = text_of(candidate);
        out_.difference = sibling->what;
        name_ = failing;
        return;
      }
    }
    name_ = failing;
  }

  struct Sibling {
    Scenario scenario;
    std::string what;
  };

  std::string name_;
  const ShrinkTools& tools_;
  Scenario whole_;  // before the first step
  Scenario best_;   // fails
  Scenario last_;   // of fails()
  bool passes_ = false;
  bool stopped_ = false;
  std::vector<Scenario> taken_;    // every step that was kept, the last one last
  std::vector<Sibling> siblings_;  // every step that violates nothing
  Shrunk out_;
};

}  // namespace

std::optional<FailureSignature> failure_of(const sim::RunResult& result) {
  if (result.violations.empty()) return std::nullopt;
  return FailureSignature{result.violations.front().oracle, result.violations.front().phase};
}

absl::StatusOr<Shrunk> shrink(const LoadResult& loaded, const sim::RunResult& result,
                              const std::string& name, const ShrinkTools& tools) {
  return Shrinker(name, tools).run(loaded, result);
}

}  // namespace qk::scenarios
