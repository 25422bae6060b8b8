// run(): builds the cluster of a plan, lets virtual time pass, and says what came of it.
#include "sim/cluster/run.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <new>

#include "families/base/failure_scope.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/builtin.h"
#include "sim/cluster/cluster_view.h"
#include "sim/cluster/end_state.h"
#include "sim/cluster/faults.h"
#include "sim/cluster/initial_state.h"
#include "sim/cluster/node.h"
#include "sim/cluster/operator.h"
#include "sim/cluster/subjects.h"
#include "sim/cluster/workload.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

// One commit in so many is checked against what every disk would hold after a power cut (ora.R7);
// of a long log fewer (probe_thinning()).
constexpr uint64_t kCommitProbeEvery = 200;
// So many events lie between two records of what the random streams have drawn.
constexpr uint64_t kDrawsEvery = 4096;
// Stands where an oracle's id does; no scenario can expect it.
constexpr char kInternal[] = "internal";
// How exactly the checker sees when the cluster was last disturbed.
constexpr Nanos kLookEvery = 20 * kMillisecond;

// Whether an election in a cluster without faults ends well within its timeout: a candidate's sync,
// its question, a voter's sync, the answer.
bool timing_elects(const Plan& plan) {
  constexpr uint32_t kMostLossPpm = 100'000;
  const ClusterPlan& cluster = plan.cluster;
  if (cluster.link.loss_ppm > kMostLossPpm) return false;
  const Nanos round = 2 * (cluster.disk.sync_latency.high + cluster.link.latency.high);
  return 2 * round < cluster.election_timeout.low;
}

class Cluster final : private ClusterEvents, private ClusterView {
 public:
  Cluster(const Plan& plan, const RunOptions& options)
      : plan_(expanded(plan)),
        options_(options),
        trace_(std::make_shared<Trace>(&scheduler_, trace_start(plan), options.trace)),
        network_(&scheduler_, trace_.get(), plan.seed, link_options(plan.cluster.link), &turn_),
        checker_(node_names(plan), [this](const Finding& finding) { found(finding); }),
        probe_random_(plan.seed, "probe.commit", &turn_),
        reach_(plan.cluster.nodes.size()),
        failure_scope_([this](const std::string& what) { failed(what); }) {
    families::reset_engines_for_run(plan.seed);
    world_.plan = &plan_;
    world_.scheduler = &scheduler_;
    world_.trace = trace_.get();
    world_.network = &network_;
    world_.checker = &checker_;
    world_.events = this;
    world_.registry_of = options.registry_of;
    world_.elections = &elections_;
    world_.acks = &acks_;
    world_.reach = &reach_;
    world_.turn = &turn_;
    trace_->set_observer(&reach_);
    plant();
    for (size_t i = 0; i < plan_.cluster.nodes.size(); ++i) {
      nodes_.push_back(
          std::make_unique<SimNode>(world_, static_cast<NodeId>(i + 1), plan_.cluster.nodes[i]));
      node_pointers_.push_back(nodes_.back().get());
      checker_.set_append_partial(static_cast<int>(i), append_partial());
    }
    checker_.set_peers(peers(plan_));
    operator_ = std::make_unique<RollingOperator>(world_, node_pointers_);
    faults_ = std::make_unique<FaultInjector>(world_, node_pointers_);
    workload_ = std::make_unique<Workload>(
        world_, [this](NodeId node, std::string payload,
                       std::function<void(absl::StatusOr<std::string>)> done) {
          if (plan_.planted == kGarbledAnswers && half_way()) {
            done = [done = std::move(done)](absl::StatusOr<std::string> answer) {
              if (answer.ok()) answer->pop_back();
              done(std::move(answer));
            };
          }
          nodes_[node - 1]->propose(std::move(payload), std::move(done));
        });
    plant_failure();
  }

  // What keeps the node from starting with what its disk holds, alone; empty: nothing, and `*state`
  // is what it holds.
  std::string refusal_at_start(size_t index, StateImage* state) {
    SimNode& node = *nodes_[index];
    node.boot_first();
    while (!node.up() && violations_.empty() && scheduler_.run_next()) {
    }
    if (!violations_.empty()) return violations_.back().actual;
    if (!node.up()) return "the node neither starts nor says why";
    const families::Configuration& configuration = node.raft()->configuration();
    // In a joint configuration each half elects for itself.
    for (const auto* voters : {&configuration.peers, &configuration.old_peers}) {
      const auto in_plan = static_cast<size_t>(
          std::count_if(voters->begin(), voters->end(), [&](const std::string& voter) {
            return std::any_of(plan_.cluster.nodes.begin(), plan_.cluster.nodes.end(),
                               [&](const NodePlan& other) { return other.peer == voter; });
          }));
      if (!voters->empty() && 2 * in_plan <= voters->size()) {
        return cat("the configuration in it is ", join(*voters), ", of which ", in_plan,
                   " are nodes of this scenario: too few to ever elect a leader");
      }
    }
    const auto names = [&](const std::vector<std::string>& peers) {
      return std::find(peers.begin(), peers.end(), node.peer()) != peers.end();
    };
    if (!names(configuration.peers) && !names(configuration.old_peers)) {
      return cat("the configuration in it is ", join(configuration.peers),
                 ", which the node's peer ", node.peer(), " is not part of");
    }
    const auto read = read_state(node.controller()->driver().authority());
    if (!read.ok()) return std::string(to_std(read.status().message()));
    *state = *read;
    return "";
  }

  // Nodes close their families while everything that a failure is told with is still there.
  ~Cluster() { nodes_.clear(); }

  RunResult run() {
    try {
      run_events();
      return conclude();
    } catch (const std::exception& exception) {
      return failed(cat("uncaught exception: ", exception.what()));
    } catch (...) {
      return failed("uncaught exception of an unknown type");
    }
  }

 private:
  void run_events() {
    const Nanos end = end_of(plan_);
    for (const auto& node : nodes_) node->boot_first();
    for (const auto& node : nodes_) start_index_ = std::max(start_index_, last_index(*node));
    workload_->start();
    operator_->start();
    faults_->start(end);
    if (end > kClientQuiet) {
      scheduler_.at(end - kClientQuiet, [this] { workload_->stop(); });
    }
    scheduler_.at(end, [this] { stopped_ = true; });
    do {
      if (options_.turn && steps_ == options_.turn->after_steps) turn(end);
      if (options_.between_events) options_.between_events(*this);
    } while (run_next());
    if (!halted_) judge_end();
    if (!halted_) checker_.finish();
  }

  // What the checker needs to tell a cluster that is stuck from one that is disturbed.
  void look() {
    next_look_ = scheduler_.now() + kLookEvery;
    const bool whole = std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) {
      return node->up() && !node->is_slow() && !node->disk().disturbed();
    });
    checker_.look(scheduler_.now(), whole && network_.is_whole() && timing_elects(plan_));
  }

  void turn(Nanos end) {
    turned_ = {trace_->events(), scheduler_.now()};
    turn_ = options_.turn->key;
    faults_->draw_again(end);
  }

  // ClusterView
  std::span<SimNode* const> nodes() const override { return node_pointers_; }
  const Checker& checker() const override { return checker_; }
  Nanos now() const override { return scheduler_.now(); }
  Nanos next_time() override { return scheduler_.next_time().value_or(end_of(plan_)); }
  void at(Nanos t, std::function<void()> fn) override { scheduler_.at(t, std::move(fn)); }
  bool run_next() override {
    if (stopped_ || halted_ || !scheduler_.run_next()) return false;
    ++steps_;
    if (trace_->events() >= next_draws_) record_draws();
    if (scheduler_.now() >= next_look_) look();
    return !stopped_ && !halted_;
  }
  void end() override { stopped_ = true; }
  const std::vector<Violation>& violations() const override { return violations_; }
  std::vector<FaultPlan> injected() const override { return faults_->injected(); }

  // Of each stream that has drawn since the last time: a run that goes another way than it should
  // shows by them whose chance parted first.
  void record_draws() {
    next_draws_ = trace_->events() + kDrawsEvery;
    size_t stream = 0;
    const auto tell = [&](std::string_view name, uint64_t draws) {
      if (stream == draws_.size()) draws_.push_back(0);
      if (std::exchange(draws_[stream++], draws) == draws) return;
      Event event{.kind = EventKind::kRngDraws};
      event.args = {xxh3_64(name), draws};
      trace_->record(event, name);
    };
    for (const auto& node : nodes_) {
      node->tell_draws(tell);
      tell(cat("net.", node->id()), network_.draws(node->id()));
    }
    workload_->tell_draws(tell);
    tell("probe.commit", probe_random_.draws());
  }

  // In what state the run leaves the cluster. What no quorum holds any more is a violation
  // (ora.R7), unless a crash took it from a volatile family (A-11): then nothing is broken, and
  // nothing works.
  void judge_end() {
    if (last_commit_.node != nullptr) {
      const auto& [node, index, term] = last_commit_;
      checker_.commit_probe(node->id() - 1, index, term, durable_holders(index, term));
      if (halted_) return;
      lost_ = lost_commit(node_pointers_, checker_.configuration(node->id() - 1), index, term);
    }
    leaderless_ = leaderless(node_pointers_);
  }

  std::vector<int> durable_holders(int64_t index, int64_t term) const {
    std::vector<int> holders;
    for (const auto& node : nodes_) {
      const int i = node->id() - 1;
      // What a damaged node acknowledged counts: that it may have lost it is in the fault budget.
      if ((checker_.damaged(i) && checker_.ghost(i).acked().holds(index, term)) ||
          node->holds_durably(index, term)) {
        holders.push_back(i);
      }
    }
    return holders;
  }

  // The run cannot go on, and is told as far as it went.
  RunResult failed(const std::string& what) {
    found({kInternal, "internal-error", "", 0, "no failure of the simulation itself", what});
    const RunResult result = conclude();
    if (options_.internal_error) options_.internal_error(result);
    return result;
  }

  bool half_way() const { return scheduler_.now() >= plan_.run_for / 2; }

  void plant() {
    const std::string& name = plan_.planted;
    if (name.empty() || name == kCheckFails || name == kException || name == kGarbledAnswers)
      return;
    if (options_.mutant_of) mutant_ = options_.mutant_of(plan_);
    QK_CHECK(mutant_ != nullptr && "a planted bug that nobody makes");
    mutant_->share(&turn_);
    world_.mutant = mutant_.get();
  }

  void plant_failure() {
    if (plan_.planted != kCheckFails && plan_.planted != kException) return;
    scheduler_.at(plan_.run_for / 2, [this] {
      if (plan_.planted == kException) throw std::bad_alloc();
      QK_CHECK(!half_way() && "planted");
    });
  }

  static Nanos end_of(const Plan& plan) {
    return std::min(plan.run_for, plan.until.value_or(plan.run_for));
  }

  static Plan expanded(Plan plan) {
    expand_random(&plan, end_of(plan));
    return plan;
  }

  static TraceStart trace_start(const Plan& plan) {
    return {plan.chain_hash, plan.seed, node_names(plan)};
  }

  static LinkOptions link_options(const LinkPlan& plan) {
    LinkOptions options;
    options.latency_low = plan.latency.low;
    options.latency_high = plan.latency.high;
    options.loss_ppm = plan.loss_ppm;
    options.duplicate_ppm = plan.duplicate_ppm;
    options.reorder_ppm = plan.reorder_ppm;
    options.late_ppm = plan.late_ppm;
    options.late_low = plan.late_by.low;
    options.late_high = plan.late_by.high;
    return options;
  }

  static std::vector<std::string> node_names(const Plan& plan) {
    std::vector<std::string> names;
    for (const NodePlan& node : plan.cluster.nodes) names.push_back(node.id);
    return names;
  }

  static std::vector<std::string> peers(const Plan& plan) {
    std::vector<std::string> peers;
    for (const NodePlan& node : plan.cluster.nodes) peers.push_back(node.peer);
    return peers;
  }

  // A node of the run may live on any family of the plan.
  families::Partial append_partial() const {
    families::VolatileMemory memory(0);
    const families::Registry registry = world_.registry_of(&memory);
    for (const StorePlan& store : plan_.stores) {
      const families::FamilyDescriptor* family = registry.find(store.family);
      QK_CHECK(family != nullptr);
      if (family->partials(families::Operation::kAppend) == families::Partial::kBatchPrefix) {
        return families::Partial::kBatchPrefix;
      }
    }
    return families::Partial::kNone;
  }

  static int64_t last_index(const SimNode& node) {
    return node.controller() == nullptr
               ? 0
               : node.controller()->driver().authority().log().last_index();
  }

  // ClusterEvents
  void phase_entered(SimNode& node, PhaseCode from, PhaseCode to) override {
    acks_.phase(node.name(), to);
    faults_->phase_entered(node, from, to);
    operator_->phase_entered(node, from, to, node.phase_reason());
  }
  void migration_progressed(SimNode& node) override { faults_->migration_progressed(node); }
  void disk_advanced(SimNode& node) override { faults_->disk_advanced(node); }
  void commit_advanced(SimNode& node, int64_t index, int64_t term) override {
    const bool news = index > commit_;
    commit_ = std::max(commit_, index);
    if (news) last_commit_ = {&node, index, term};
    faults_->commit_advanced(index);
    if (!news) return;
    const uint64_t thinning = probe_thinning(checker_.ghost(node.id() - 1).acked());
    if (probe_random_.below(kCommitProbeEvery * thinning) != 0) return;
    if (passes_over(thinning, node.probe_thinning_by_bytes(), &commits_passed_over_)) {
      return;
    }
    checker_.commit_probe(node.id() - 1, index, term, durable_holders(index, term));
  }

  // A run ends at its first violation; one that expects some, when it has shown them all or at the
  // first that is not expected.
  bool halts() const {
    if (options_.keep_going) return false;
    const std::vector<std::string> found = violated();
    const std::vector<std::string> expected = expected_violations();
    return found == expected ||
           !std::includes(expected.begin(), expected.end(), found.begin(), found.end());
  }

  // Ids of oracles, each once, sorted.
  std::vector<std::string> violated() const {
    std::vector<std::string> ids;
    for (const Violation& violation : violations_) ids.push_back(violation.oracle);
    return as_set(std::move(ids));
  }

  std::vector<std::string> expected_violations() const {
    if (plan_.expect.verdict != ExpectPlan::Verdict::kViolation) return {};
    return as_set(plan_.expect.violates);
  }

  static std::vector<std::string> as_set(std::vector<std::string> ids) {
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
  }

  void found(const Finding& finding) {
    Event event{.kind = EventKind::kCheckViolation};
    Violation violation{finding};
    for (const auto& node : nodes_) {
      if (node->name() != finding.node) continue;
      event.node = node->id();
      violation.phase = std::string(to_string(node->phase_code()));
    }
    event.args = {xxh3_64(finding.oracle), static_cast<uint64_t>(finding.index),
                  xxh3_64(finding.expected), xxh3_64(finding.actual)};
    violation.last_fault = last_fault();
    violation.seq = trace_->record(event, cat(finding.oracle, " ", finding.name));
    violation.t = scheduler_.now();
    violation.chain = trace_->chain();
    violations_.push_back(std::move(violation));
    halted_ = halts();
  }

  std::string last_fault() const {
    const std::vector<Mark>& marks = trace_->marks();
    for (auto mark = marks.rbegin(); mark != marks.rend(); ++mark) {
      switch (mark->event.kind) {
        case EventKind::kFaultCrash:
        case EventKind::kFaultPartition:
        case EventKind::kFaultSlowDisk:
        case EventKind::kFaultRollback:
        case EventKind::kFaultDisk:
        case EventKind::kNodeStop:
          return cat(info(mark->event.kind).name, " ", trace_->node_name(mark->event.node), " #",
                     mark->event.seq);
        default:
          break;
      }
    }
    return "none";
  }

  RunResult conclude() {
    RunResult result;
    result.committed = static_cast<uint64_t>(std::max<int64_t>(0, commit_ - start_index_));
    acks_.end(scheduler_.now());
    result.ack_gap = acks_.longest();
    if (operator_ != nullptr) {
      result.notes = operator_->notes();
      result.waits = operator_->waits();
    }
    result.stops = checker_.ledger();
    if (faults_ != nullptr) result.injected = faults_->injected();
    for (size_t i = 0; i < kOracleCount; ++i) {
      const uint64_t times = checker_.evaluations()[i];
      result.evaluated[std::string(kOracles[i].id)] = times;
      if (times == 0) result.unjudged.emplace_back(kOracles[i].id);
    }
    const bool expects = plan_.expect.verdict == ExpectPlan::Verdict::kViolation;
    const bool internal = !violations_.empty() && violations_.back().oracle == kInternal;
    if (!internal) {
      // A run that stopped at a violation says nothing about what would have come.
      if (!halted_) judge_expectations(&result);
      if (expects) judge_violations(&result);
    }
    if (internal) {
      result.verdict = Verdict::kInternalError;
    } else if (expects ? !result.unmet.empty() : !violations_.empty()) {
      result.verdict = Verdict::kViolation;
    } else if (!result.inconclusive.empty()) {
      result.verdict = Verdict::kInconclusive;
    } else if (expects) {
      result.verdict = Verdict::kExpected;
    }
    result.violations = violations_;
    Event end{.kind = EventKind::kRunEnd};
    end.args = {static_cast<uint64_t>(result.verdict), result.committed};
    trace_->record(end);
    // What families write when they are closed is no longer the run.
    for (const auto& node : nodes_) node->disk().set_observer(nullptr);
    result.simulated = scheduler_.now();
    result.events = trace_->events();
    result.chain = trace_->chain();
    result.digest = to_hex(trace_->digest());
    result.trace = trace_;
    result.reach = reach_.counts(reach_subjects());
    if (options_.tuples) result.tuples = reach_.tuples();
    result.steps = steps_;
    result.turned = turned_;
    return result;
  }

  bool damages() const {
    return plan_.random.damages() ||
           std::any_of(plan_.faults.begin(), plan_.faults.end(), [](const FaultPlan& fault) {
             const auto* error = std::get_if<DiskErrorFault>(&fault.what);
             return error != nullptr && is_damage(error->fault.kind);
           });
  }

  Reach::Subjects reach_subjects() const {
    families::VolatileMemory memory(0);
    const families::Registry registry = world_.registry_of(&memory);
    const bool is_volatile =
        std::any_of(plan_.stores.begin(), plan_.stores.end(), [&](const StorePlan& store) {
          return registry.find(store.family)->volatility == families::Volatility::kVolatile;
        });
    return {.migration = !plan_.migrations.empty(),
            .volatile_family = is_volatile,
            .duplicates = plan_.cluster.link.duplicate_ppm > 0,
            .defect = !plan_.planted.empty() || damages()};
  }

  // Exactly the listed oracles: one that stays silent is as wrong as one that is not listed.
  void judge_violations(RunResult* result) const {
    const std::vector<std::string> found = violated();
    const std::vector<std::string> expected = expected_violations();
    const auto lacks = [](const std::vector<std::string>& ids, const std::string& id) {
      return !std::binary_search(ids.begin(), ids.end(), id);
    };
    for (const std::string& id : expected) {
      if (lacks(found, id)) {
        result->unmet.push_back(cat("expected a violation of ", id, ", found ",
                                    found.empty() ? std::string("none") : join(found)));
      }
    }
    for (const std::string& id : found) {
      if (lacks(expected, id)) {
        result->unmet.push_back(cat(id, " is not among the expected violations: ", join(expected)));
      }
    }
  }

  void judge_expectations(RunResult* result) const {
    for (const std::string& id : plan_.expect.migrated) {
      for (const auto& node : nodes_) {
        if (node->name() == id) judge_migrated(*node, result);
      }
    }
    // A node that damage took out of service ends the roll where it is.
    const bool cut_short = std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& node) {
      return checker_.damaged(node->id() - 1) && !node->up();
    });
    for (std::string& line : operator_->not_started()) {
      (cut_short ? result->notes : result->inconclusive).push_back(std::move(line));
    }
    if (result->committed < plan_.expect.min_committed) {
      result->inconclusive.push_back(cat(result->committed, " entries were committed, expected ",
                                         plan_.expect.min_committed, " at least"));
    }
    if (plan_.expect.max_ack_gap &&
        (!result->ack_gap || result->ack_gap->length() > *plan_.expect.max_ack_gap)) {
      result->inconclusive.push_back(
          result->ack_gap
              ? cat("no client was answered for ", to_text(*result->ack_gap), ", expected at most ",
                    seconds_text(*plan_.expect.max_ack_gap, 2), "s")
              : std::string("max_ack_gap is expected of a run without clients"));
    }
    const auto failure = elections_.failure(plan_.cluster, result->committed);
    if (failure) result->inconclusive.push_back(*failure);
    if (plan_.expect.unavailable_at_end) {
      if (!lost_ && !leaderless_) {
        result->inconclusive.push_back(
            "the run ends with a leader that a majority follows, and nothing committed is lost; "
            "expected unavailable_at_end");
      }
    } else {
      if (lost_) result->inconclusive.push_back(*lost_);
      if (leaderless_ && !failure) result->inconclusive.push_back(*leaderless_);
    }
    for (std::string& line : faults_->unfired()) result->inconclusive.push_back(std::move(line));
    for (std::string& line : faults_->undecided()) result->inconclusive.push_back(std::move(line));
    // A kind of which none came may be chance; a run that asks for random faults and has none at
    // all has not shown what it was made for.
    const FaultInjector::Undrawn undrawn = faults_->undrawn();
    result->no_random_fault = undrawn.all;
    if (undrawn.all) {
      result->inconclusive.push_back(
          cat("random faults are asked for, and none was injected: ", join(undrawn.kinds)));
    } else {
      for (const std::string& kind : undrawn.kinds) {
        result->notes.push_back(cat("no random ", kind, " was injected"));
      }
    }
    for (const std::string& id : result->unjudged) {
      if (must_judge(id, plan_) && !(cut_short && is_of_migration(id)))
        result->inconclusive.push_back(cat(id, " was never evaluated"));
    }
  }

  // The node must end on the store that the last migration of it leads to.
  void judge_migrated(const SimNode& node, RunResult* result) const {
    const auto moves = planned_moves(plan_);
    std::optional<size_t> last;
    for (size_t i = 0; i < moves.size(); ++i) {
      const auto index = static_cast<size_t>(node.id() - 1);
      if (std::find(moves[i].begin(), moves[i].end(), index) != moves[i].end()) last = i;
    }
    if (last && node.accepted_migration() == last &&
        node.last_phase() == migration::Phase::kAccepted) {
      return;
    }
    result->inconclusive.push_back(
        cat(node.name(), " ended in phase ", migration::to_string(node.last_phase()), " on store ",
            in_quotes(node.store()), ", expected accepted on store ",
            in_quotes(last ? plan_.migrations[*last].to : std::string("none"))));
  }

  const Plan plan_;
  const RunOptions options_;
  uint64_t turn_ = 0;  // of all random streams
  uint64_t steps_ = 0;
  std::optional<RunResult::Turned> turned_;
  Scheduler scheduler_;
  std::shared_ptr<Trace> trace_;
  Network network_;
  Checker checker_;
  RandomStream probe_random_;
  uint64_t commits_passed_over_ = 0;
  ElectionWatch elections_;
  AckWatch acks_;
  Reach reach_;
  World world_;
  std::unique_ptr<Mutant> mutant_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::vector<SimNode*> node_pointers_;
  std::unique_ptr<RollingOperator> operator_;
  std::unique_ptr<FaultInjector> faults_;
  std::unique_ptr<Workload> workload_;
  std::vector<Violation> violations_;
  bool stopped_ = false;  // by its time
  bool halted_ = false;   // by a violation
  FailureScope failure_scope_;
  struct LastCommit {
    SimNode* node = nullptr;  // that declared it
    int64_t index = 0;
    int64_t term = 0;
  };
  LastCommit last_commit_;
  std::optional<std::string> lost_;        // at the end: see lost_commit()
  std::optional<std::string> leaderless_;  // at the end
  int64_t commit_ = 0;
  int64_t start_index_ = 0;
  uint64_t next_draws_ = kDrawsEvery;
  Nanos next_look_ = 0;
  std::vector<uint64_t> draws_;  // as last recorded, in the order in which streams are told
};

}  // namespace

RunResult run(const Plan& plan, const RunOptions& options) {
  return std::make_unique<Cluster>(plan, options)->run();
}

std::vector<BadStart> check_initial(const Plan& plan) {
  std::vector<BadStart> bad;
  Plan alone = plan;
  alone.faults.clear();
  alone.random = {};
  alone.migrations.clear();
  alone.planted.clear();
  std::vector<InitialState> states;
  for (size_t i = 0; i < plan.cluster.nodes.size(); ++i) {
    if (!plan.cluster.nodes[i].initial && !plan.cluster.nodes[i].place) continue;
    // In a cluster of its own, so that no other node's messages reach it.
    InitialState state{i, {}};
    std::string reason =
        std::make_unique<Cluster>(alone, RunOptions{})->refusal_at_start(i, &state.state);
    if (!reason.empty()) {
      bad.push_back({i, std::move(reason)});
    } else if (plan.cluster.nodes[i].initial) {
      states.push_back(std::move(state));
    }
  }
  // What a node that cannot begin holds says nothing about the others.
  if (!bad.empty()) return bad;
  return check_one_cluster(plan, states);
}

}  // namespace qk::sim
