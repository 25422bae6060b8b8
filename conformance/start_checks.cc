// START: what a node makes of storage when it starts (braft-local-format.md 7), with the real Raft
// node on top of every family: the snapshot is loaded, log and snapshot must fit together, a log
// that does not follow the snapshot is truncated or reset, a term below the log's is corrected;
// and every such change goes through the node's driver, to both families of a dual pair.
#include <algorithm>
#include <deque>
#include <set>

#include "conformance/groups.h"
#include "conformance/transfer.h"
#include "families/contract/lost_vote.h"
#include "sim/disk/losses.h"
#include "sim/raft/node.h"
#include "sim/raft/wire/convert.h"

namespace qk::sim::conformance {
namespace {

using families::LogEntry;

constexpr raft::Nanos kMs = 1'000'000;

// Storage completes at once; no timer fires and no packet leaves: only starting is looked at.
class StillEnvironment : public raft::Environment {
 public:
  raft::Nanos now() override { return 0; }
  uint64_t random_below(uint64_t) override { return 0; }
  uint64_t start_timer(raft::Nanos, std::function<void()>) override { return ++timers_; }
  void cancel_timer(uint64_t) override {}
  void send(const std::string&, raft::Packet) override {}
  void after_storage(std::function<void()> done) override { done(); }

 private:
  uint64_t timers_ = 0;
};

// Storage takes its time: what waits for it goes on in run(), and until then the lanes overlap.
class SlowStorage final : public StillEnvironment {
 public:
  void after_storage(std::function<void()> done) override { waiting_.push_back(std::move(done)); }
  // Until nothing waits, or the machine stops.
  void run(InstanceContext& c) {
    while (!waiting_.empty()) {
      c.settle();
      if (c.disk()->pinned_crash()) return;
      const std::function<void()> done = std::move(waiting_.front());
      waiting_.pop_front();
      done();
    }
  }

 private:
  std::deque<std::function<void()>> waiting_;
};

// Remembers what it was given.
class Recorder final : public raft::StateMachine {
 public:
  raft::ApplyResult apply(const LogEntry& entry) override {
    applied.push_back(entry.index);
    return {};
  }
  absl::Status save(families::SnapshotWriter&) override { return absl::OkStatus(); }
  absl::Status load(const families::SnapshotReader& reader) override {
    loaded = reader.meta().last_included_index;
    return absl::OkStatus();
  }

  int64_t loaded = 0;
  std::vector<int64_t> applied;
};

// A node on the instance that `c` has open. It knows two other peers, so it stays a follower.
struct Started {
  explicit Started(InstanceContext& c, bool accept_lost_vote = false)
      : node(options(accept_lost_vote), &c.driver(), &machine, &still, &observer) {
    status = node.start();
    node.stop();
    c.settle();
  }

  static raft::NodeOptions options(bool accept_lost_vote) {
    raft::NodeOptions options;
    options.accept_lost_vote = accept_lost_vote;
    options.group = "conformance";
    options.peer = std::string(kPeer);
    options.election_timeout_low = 150 * kMs;
    options.election_timeout_high = 300 * kMs;
    options.heartbeat = 50 * kMs;
    options.rpc_timeout = 100 * kMs;
    options.initial_configuration.peers = {std::string(kPeer), std::string(kOtherPeer)};
    return options;
  }

  StillEnvironment still;
  Recorder machine;
  raft::NodeObserver observer;
  raft::Node node;
  absl::Status status;
};

// Starts a node and says what storage must hold afterwards.
struct Expected {
  int64_t term = 1;
  std::string vote;
  int64_t first = 1;
  int64_t last = 0;
};

void expect_started(InstanceContext& c, const Started& started, const Expected& expected) {
  c.expect_ok("start", started.status);
  c.expect(!started.node.failed(),
           cat("the node: found failed, ", started.node.failure().ToString()));
  State state = c.model().state();
  c.expect_equal("the node's term", started.node.term(), expected.term);
  c.expect_equal("the node's last index", started.node.last_index(), expected.last);
  state.hard_state = {expected.term, expected.vote};
  std::erase_if(state.entries, [&](const LogEntry& entry) {
    return entry.index < expected.first || entry.index > expected.last;
  });
  state.first = expected.first;
  c.adopt(state);
  c.expect_state();
  c.reopen();
  // A second start finds nothing to correct.
  const Started again(c);
  c.expect_ok("start again", again.status);
  c.expect_state();
}

void without_init(InstanceContext& c) {
  c.begin();
  const Started started(c);
  expect_started(c, started, {});
  c.expect_equal("the loaded snapshot", started.machine.loaded, int64_t{0});
  c.expect_equal("peers in force", started.node.configuration().peers.size(), size_t{2});
}

void with_state(InstanceContext& c) {
  c.begin({save_meta({4, std::string(kOtherPeer)}), append(entries(1, 9, 3)),
           publish(snapshot(5, 3)), truncate_prefix(3)});
  const Started started(c);
  expect_started(c, started, {4, std::string(kOtherPeer), 3, 9});
  c.expect_equal("the loaded snapshot", started.machine.loaded, int64_t{5});
  c.expect_equal("the node's commit index", started.node.commit_index(), int64_t{5});
  c.expect_equal("applied", started.node.applied_index(), int64_t{5});
  c.expect(started.machine.applied.empty(), "entries applied before anybody committed them");
}

// The snapshot's configuration is in force until the log has a later one.
void membership_from_sm(InstanceContext& c) {
  c.begin({append(entries(1, 9, 3)), save_meta({3, ""}), publish(snapshot(5, 3))});
  c.expect(Started(c).node.configuration().peers == snapshot(5, 3).meta.peers,
           "the configuration: found another one than the snapshot's");
  const families::Configuration later{{std::string(kPeer), std::string(kThirdPeer)}, {}};
  c.apply(append({configuration(10, 3, later)}));
  c.expect(Started(c).node.configuration() == later,
           "the configuration: found another one than the log's last");
  const families::Configuration joint{{std::string(kPeer)},
                                      {std::string(kPeer), std::string(kThirdPeer)}};
  c.apply(append({entry(11, 3), configuration(12, 3, joint), no_op(13, 3)}));
  c.expect(Started(c).node.configuration() == joint, "the configuration: found no joint one");
  c.apply(truncate_suffix(11));
  c.expect(Started(c).node.configuration() == later,
           "the configuration after a truncation: found one that is cut off");
}

// The log ends before the snapshot: an install that was cut short. It restarts after it.
void segment_behind_snapshot(InstanceContext& c) {
  c.begin({append(entries(1, 9, 2)), save_meta({3, ""})});
  c.apply(publish(snapshot(20, 3)));
  const Started started(c);
  expect_started(c, started, {3, "", 21, 20});
}

void log_equal_to_snapshot(InstanceContext& c) {
  c.begin({append(entries(1, 20, 3)), save_meta({3, ""}), publish(snapshot(20, 3))});
  const Started started(c);
  expect_started(c, started, {3, "", 1, 20});
}

// The log begins right after the snapshot.
void segment_past_snapshot(InstanceContext& c) {
  c.begin({append(entries(1, 20, 3)), save_meta({3, ""}), publish(snapshot(12, 3)),
           truncate_prefix(13)});
  const Started started(c);
  expect_started(c, started, {3, "", 13, 20});
}

void log_empty_behind_snapshot(InstanceContext& c) {
  c.begin({append(entries(1, 12, 3)), save_meta({3, ""}), publish(snapshot(12, 3)),
           truncate_prefix(13)});
  const Started started(c);
  expect_started(c, started, {3, "", 13, 12});
}

// The log has another term at the snapshot's index: it is of another history.
void conflict_at_same_index(InstanceContext& c) {
  c.begin({append(entries(1, 20, 2)), save_meta({5, ""})});
  c.apply(publish(snapshot(12, 4)));
  const Started started(c);
  expect_started(c, started, {5, "", 13, 12});
}

// A vote was lost: a node starts on such a state only if it is told to, and then nobody may be
// voted for in the log's last term again.
void term_correction(InstanceContext& c) {
  c.begin({append(entries(1, 5, 1))});
  c.apply(append(entries(6, 9, 6)));
  {
    const Started refused(c);
    c.expect_code("start", refused.status, absl::StatusCode::kFailedPrecondition);
    c.expect_state();
  }
  c.expect_code("export", export_image(c.subject(), c.family(), 1, false).status(),
                absl::StatusCode::kFailedPrecondition);
  const Started started(c, true);
  expect_started(c, started, {7, "", 1, 9});
}

// The snapshot's term counts as the log's does.
void term_below_snapshot_refused(InstanceContext& c) {
  c.begin({append(entries(1, 9, 1))});
  c.apply(publish(snapshot(9, 4)));
  {
    const Started refused(c);
    c.expect_code("start", refused.status, absl::StatusCode::kFailedPrecondition);
    c.expect_state();
  }
  c.expect_code("export", export_image(c.subject(), c.family(), 1, false).status(),
                absl::StatusCode::kFailedPrecondition);
}

void expect_refused(InstanceContext& c) {
  const Started started(c);
  c.expect_code("start", started.status, absl::StatusCode::kFailedPrecondition);
  // Without any change.
  c.expect_state();
  c.reopen();
}

void snapshot_log_gap_refused(InstanceContext& c) {
  c.begin({append(entries(1, 20, 3)), save_meta({3, ""}), publish(snapshot(5, 3))});
  c.apply(truncate_prefix(9));
  expect_refused(c);
}

void log_without_snapshot_refused(InstanceContext& c) {
  c.begin({append(entries(1, 20, 3)), save_meta({3, ""})});
  c.apply(truncate_prefix(9));
  expect_refused(c);
}

void reset_without_snapshot_refused(InstanceContext& c) {
  c.begin({append(entries(1, 20, 3)), save_meta({3, ""})});
  c.apply(reset(40));
  expect_refused(c);
}

// No write of a node leaves these, and no start of braft mends them.
void falling_terms_refused(InstanceContext& c) {
  c.begin({save_meta({9, ""}), append(entries(1, 4, 3))});
  c.apply(append({entry(5, 2)}));
  expect_refused(c);
}

void terms_below_snapshot_refused(InstanceContext& c) {
  c.begin({save_meta({9, ""}), append(entries(1, 9, 3)), publish(snapshot(5, 3)),
           truncate_prefix(6), publish(snapshot(9, 3)), truncate_prefix(10)});
  c.apply(append(entries(10, 12, 2)));
  expect_refused(c);
}

// Whatever a crash of an installing follower leaves, the node starts, and storage is one history.
void crash_while_installing(InstanceContext& c) {
  if (c.is_volatile()) c.not_applicable("volatile: nothing survives a crash (A-11)");
  c.begin({append(entries(1, 9, 2)), save_meta({4, ""})});
  c.close();
  for (uint64_t n = 1;; ++n) {
    const auto m = c.fork();
    m->expect_ok("open", m->open());
    m->disk()->pin_crash_at_operation(m->disk()->operation_count() + n);
    m->expect_ok("publish", m->try_apply(publish(snapshot(30, 4))));
    m->expect_ok("reset", m->try_apply(reset(31)));
    if (!m->disk()->pinned_crash()) break;
    DropAll nothing;
    KeepAll everything;
    for (Choice* choice : {static_cast<Choice*>(&nothing), static_cast<Choice*>(&everything)}) {
      const auto crashed = m->fork();
      crashed->crash(CrashLevel::kP2, *choice);
      crashed->expect_ok("open", crashed->open());
      crashed->adopt(crashed->state());
      const bool installed = crashed->model().state().snapshot.has_value();
      const Started started(*crashed);
      expect_started(*crashed, started,
                     installed ? Expected{4, "", 31, 30} : Expected{4, "", 1, 9});
    }
  }
}

// A leader of a higher term sends entries: wherever the machine stops, no entry of that term is
// there without the term, or a vote in it could be forgotten.
void crash_between_term_and_entries(InstanceContext& c) {
  if (c.is_volatile()) c.not_applicable("volatile: nothing survives a crash (A-11)");
  c.begin({append(entries(1, 9, 2)), save_meta({4, ""})});
  c.close();
  const raft::Packet packet = raft::to_packet(
      {std::string(kPeer), 1, raft::AppendRequest{9, {9, 2}, 0, entries(10, 12, 9)}}, "conformance",
      std::string(kOtherPeer));
  std::set<uint64_t> seen;
  for (uint64_t n = 1;; ++n) {
    auto machine = c.fork();
    machine->expect_ok("open", machine->open());
    machine->disk()->pin_crash_at_operation(machine->disk()->operation_count() + n);
    {
      SlowStorage storage;
      Recorder state_machine;
      raft::NodeObserver observer;
      raft::Node node(Started::options(false), &machine->driver(), &state_machine, &storage,
                      &observer);
      machine->expect_ok("start", node.start());
      node.receive(std::string(kOtherPeer), packet);
      storage.run(*machine);
      node.stop();
      if (!machine->disk()->pinned_crash()) {
        machine->expect_equal("the node's last index", node.last_index(), int64_t{12});
        machine->expect_equal("the node's term", node.term(), int64_t{9});
        break;
      }
    }
    c.count("crash points");
    const auto stopped = machine->fork();
    machine.reset();
    DropAll nothing;
    const size_t pending = stopped->fork()->crash(CrashLevel::kP2, nothing).pending;
    for (const Loss& loss : reorderings(pending, c.seed())) {
      const auto crashed = stopped->fork();
      const CrashReport report = crashed->crash(loss.level, *loss.choice());
      if (!seen.insert(crashed->disk()->image_hash()).second) continue;
      c.count("distinct");
      const absl::Status opened = crashed->open();
      at(cat("disk operation ", n, ", ", loss.name, ": ", report.text), [&] {
        crashed->expect_ok("open", opened);
        const State state = crashed->state();
        crashed->expect_ok(
            "the term", families::check_vote_not_lost(
                            state.hard_state, state.entries.back().term,
                            state.snapshot ? std::optional(state.snapshot->meta) : std::nullopt));
      });
    }
  }
}

}  // namespace

std::vector<Check> start_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> ids,
                       std::function<void(InstanceContext&)> run) -> Check& {
    checks.push_back(instance_check("START", std::move(name), std::move(ids), std::move(run)));
    return checks.back();
  };
  add("without_init", {"SB-25", "CI-3"}, without_init);
  add("with_state", {"SB-18", "SB-19", "SB-25", "CI-3"}, with_state);
  add("membership_from_sm", {"SB-21", "SB-25", "BC-7"}, membership_from_sm);
  add("segment_behind_snapshot", {"SB-25", "SB-31", "SB-34"}, segment_behind_snapshot);
  add("log_equal_to_snapshot", {"SB-25"}, log_equal_to_snapshot);
  add("segment_past_snapshot", {"SB-25", "CI-3"}, segment_past_snapshot);
  add("log_empty_behind_snapshot", {"SB-16", "SB-25", "CI-3"}, log_empty_behind_snapshot);
  add("conflict_at_same_index", {"SB-25", "SB-34"}, conflict_at_same_index);
  add("term_correction", {"SB-18", "SB-25", "SB-32"}, term_correction);
  add("term_below_snapshot_refused", {"SB-18", "SB-25"}, term_below_snapshot_refused);
  add("snapshot_log_gap_refused", {"SB-25", "CI-3"}, snapshot_log_gap_refused);
  add("log_without_snapshot_refused", {"SB-25", "CI-3"}, log_without_snapshot_refused);
  add("reset_without_snapshot_refused", {"SB-25", "CI-3"}, reset_without_snapshot_refused);
  add("falling_terms_refused", {"SB-25", "CI-3"}, falling_terms_refused);
  add("terms_below_snapshot_refused", {"SB-25", "CI-3"}, terms_below_snapshot_refused);
  add("crash_while_installing", {"SB-25", "SB-33"}, crash_while_installing).disks = kSimulatedOnly;
  add("crash_between_term_and_entries", {"SB-18", "SB-25"}, crash_between_term_and_entries).disks =
      kSimulatedOnly;
  return checks;
}

}  // namespace qk::sim::conformance
