// Node: one Raft peer at run time, around the pure core: lanes, timers, apply, snapshots, clients.
// Single-threaded and event driven; everything impure comes through Environment.
//
// Durability. Every durable change goes through the StorageDriver, those of the start rules
// included. Each lane (log, meta, snapshot) has one mutation in flight; appends that arrive
// meanwhile form the next batch. A message leaves, an entry counts, a snapshot allows compaction
// only after the mutations that it speaks of have completed (ora.R13, lane fence). A mutation that
// does not end ok, and a read that fails, stop the node for good: it acks nothing afterwards, and
// what its storage holds is decided by the next start.
//
// Start (braft-local-format.md 7): the snapshot is loaded into the state machine, log and snapshot
// must fit together, a log that does not follow the snapshot is truncated or reset, a term below
// the log's is corrected.
//
// Not here: membership change, read index, throttling.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "families/contract/mutation.h"
#include "sim/raft/core.h"
#include "sim/raft/core_tap.h"
#include "sim/raft/environment.h"
#include "sim/raft/lanes.h"
#include "sim/raft/snapshot_download.h"
#include "sim/raft/snapshot_server.h"

namespace qk::raft {

struct NodeOptions {
  std::string group;
  std::string peer;  // canonical PeerId text
  Nanos election_timeout_low = 0;
  Nanos election_timeout_high = 0;
  Nanos heartbeat = 0;
  Nanos rpc_timeout = 0;
  uint32_t snapshot_every_entries = 0;  // 0: only by trigger_snapshot()
  size_t max_entries_per_append = 64;
  uint32_t snapshot_chunk = 65536;
  // Start on a state whose vote may be lost (families/contract/lost_vote.h), with a term above all
  // that the log and the snapshot show, as braft does. Otherwise the start is refused.
  bool accept_lost_vote = false;
  // In force while neither log nor snapshot holds a configuration (braft's initial_conf).
  families::Configuration initial_configuration;
  // Outlives the node. Null: nothing comes between the node and its core.
  CoreTap* tap = nullptr;
};

// The log of the authoritative family.
class StorageView final : public LogView {
 public:
  explicit StorageView(families::StorageDriver* driver) : driver_(driver) {}
  int64_t first() const override { return log().first_index(); }
  int64_t last() const override { return log().last_index(); }
  absl::StatusOr<int64_t> term(int64_t index) override { return log().term(index); }
  absl::StatusOr<std::vector<families::LogEntry>> entries(int64_t from, int64_t to,
                                                          size_t max_bytes) override;

 private:
  families::LogStorage& log() const { return driver_->authority().log(); }
  families::StorageDriver* driver_;
};

class Node {
 public:
  // All must outlive the node; driver, state machine and observer are used from within its calls.
  Node(NodeOptions options, families::StorageDriver* driver, StateMachine* state_machine,
       Environment* environment, NodeObserver* observer);
  ~Node();  // as stop()
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // FailedPrecondition, without any change, if log and snapshot do not fit together. Once.
  absl::Status start();
  void receive(const std::string& from_peer, const Packet& packet);

  // `done` is called once, possibly at once: with the response; PermissionDenied (not the leader,
  // the message names it if known, nothing was appended); or Aborted (leadership or storage lost:
  // outcome unknown). Never after stop().
  using Done = std::function<void(absl::StatusOr<ApplyResult>)>;
  void propose(std::string payload, Done done);

  // FailedPrecondition if not the leader, InvalidArgument if `to_peer` is not another member.
  // Proposals are refused until the transfer succeeds or an election timeout has passed.
  absl::Status transfer_leadership(const std::string& to_peer);

  // Barrier over all lanes: `ready` is called (at once if it can be) when no mutation is in flight,
  // and none starts until release_barrier(). Work queued meanwhile goes on afterwards. One at a
  // time. A node that fails meanwhile may never be ready.
  void request_barrier(std::function<void()> ready) { lanes_.request_barrier(std::move(ready)); }
  void release_barrier() { lanes_.release_barrier(); }

  // Snapshot of what is applied, unless there is nothing new or one is under way.
  void trigger_snapshot();
  // Nothing is called or sent after it.
  void stop();

  bool failed() const { return !failure_.ok(); }
  const absl::Status& failure() const { return failure_; }  // OK unless failed()
  Role role() const { return core_.role(); }
  int64_t term() const { return core_.term(); }
  int64_t commit_index() const { return core_.commit(); }
  int64_t applied_index() const { return applied_; }
  int64_t snapshot_index() const { return core_.log().snapshot().last_included_index; }
  int64_t last_index() const { return core_.log().last().index; }
  families::LogId last_log() const { return core_.log().last(); }
  const std::string& leader() const { return core_.leader(); }  // empty: unknown
  const families::Configuration& configuration() const { return core_.log().configuration(); }
  // The end of the log that storage was not given yet: for oracles.
  std::vector<families::LogEntry> queued_entries() const { return lanes_.queued_entries(); }

 private:
  // The publish in flight is complete; handled in its turn, as events of the core are.
  struct Published {};
  using Work = std::variant<Event, Published>;
  struct Proposal {
    int64_t index = 0;
    Done done;
  };

  // node.cc
  void post(Work work);
  void drain();
  Effects& step(Event event);
  void carry_out(Effects& effects);
  void announce(const Effects& effects);
  void after_role_change();
  void transmit(const Message& message);
  void transmit(const std::string& to, Packet packet, const Message* message);
  void apply_committed(int64_t commit);
  bool apply_entry(const families::LogEntry& entry);
  void abort_proposals(std::string_view why);
  void fail(const absl::Status& status);
  absl::Status refusal() const;

  // node_timers.cc
  void set_timers(const Effects& effects);
  void arm_election_timer(bool new_delay);
  void start_election_timer(Nanos delay);
  void on_election_timer();
  void start_heartbeat_timer();
  void on_heartbeat_timer();
  void cancel_timers();

  // node_snapshot.cc
  void on_published();
  void offer_snapshot(const std::string& follower);
  void begin_download(Download offer);
  void on_download(SnapshotDownload::Result result);
  void publish_download();
  void abandon_download();

  const NodeOptions options_;
  families::StorageDriver* driver_;
  StateMachine* state_machine_;
  Environment* environment_;
  NodeObserver* observer_;
  StorageView view_;
  Core core_;
  Lanes lanes_;
  SnapshotServer server_;

  bool started_ = false;
  bool halted_ = false;   // stopped or failed
  bool stopped_ = false;  // no callback any more
  absl::Status failure_;
  bool busy_ = false;
  std::deque<Work> work_;

  Role role_ = Role::kFollower;  // as last announced
  int64_t term_ = 0;
  int64_t applied_ = 0;
  uint64_t snapshot_token_ = 0;
  std::deque<Done> proposing_;      // one per Propose event in work_
  std::deque<Proposal> proposals_;  // appended, by index

  std::optional<families::SnapshotMeta> saving_;  // own snapshot, being published
  std::unique_ptr<SnapshotDownload> download_;
  bool publishing_download_ = false;

  uint64_t election_timer_ = 0;
  Nanos election_timer_at_ = 0;
  Nanos election_delay_ = 0;
  Nanos election_deadline_ = 0;
  uint64_t heartbeat_timer_ = 0;
  uint64_t download_timer_ = 0;
};

}  // namespace qk::raft
