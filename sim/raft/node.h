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
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "families/contract/mutation.h"
#include "sim/raft/message.h"
#include "sim/raft/wire/packet.h"

namespace qk::raft {

using Nanos = int64_t;

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
};

// Everything impure that a node needs. Callbacks come from the event loop, except that
// after_storage may also call at once; the node copes with both.
class Environment {
 public:
  virtual ~Environment() = default;
  virtual Nanos now() = 0;
  virtual uint64_t random_below(uint64_t bound) = 0;  // bound >= 1
  virtual uint64_t start_timer(Nanos delay, std::function<void()> fire) = 0;
  virtual void cancel_timer(uint64_t id) = 0;  // a timer that fired or was cancelled: no effect
  virtual void send(const std::string& to_peer, Packet packet) = 0;
  // Storage calls are synchronous; in virtual time they end later. Calls `done` when everything
  // issued to the disk so far is complete.
  virtual void after_storage(std::function<void()> done) = 0;
};

struct ApplyResult {
  std::string response;
};

class StateMachine {
 public:
  virtual ~StateMachine() = default;
  // DATA entries, in index order, each once (again after a restart, from the snapshot on).
  virtual ApplyResult apply(const families::LogEntry& entry) = 0;
  // Writes and adds the files of the state as of the last apply(); the node saves the meta.
  virtual absl::Status save(families::SnapshotWriter& writer) = 0;
  // Replaces the whole state.
  virtual absl::Status load(const families::SnapshotReader& reader) = 0;
};

// For oracles and traces. Called at the instant the thing happens; must not call the node.
class NodeObserver {
 public:
  virtual ~NodeObserver() = default;
  virtual void role_changed(Role, int64_t /*term*/, const Reason& /*why*/) {}
  // Any other decision worth a line in a trace.
  virtual void decided(const Reason& /*why*/) {}
  virtual void term_changed(int64_t /*term*/) {}  // adopted in memory; durable later
  // When the grant leaves; for the vote for itself when it is durable.
  virtual void vote_granted(int64_t /*term*/, const std::string& /*candidate*/) {}
  // `last` is the new leader's last entry before its first own one.
  virtual void leader_started(int64_t /*term*/, const families::LogId& /*last*/) {}
  // Ids 1, 2, ... in the order of StorageDriver::apply(). Completion of two lanes may interleave.
  virtual void mutation_issued(uint64_t /*id*/, const families::Mutation&) {}
  virtual void mutation_completed(uint64_t /*id*/, const families::Outcome&) {}
  // `message` is what the packet says, nullptr for get_file.
  virtual void message_sent(const std::string& /*to*/, const Packet&, const Message* /*message*/) {}
  // A packet or snapshot offer from `from` was dropped as invalid.
  virtual void refused(const std::string& /*from*/, const absl::Status& /*why*/) {}
  virtual void committed(int64_t /*index*/, int64_t /*term*/) {}
  virtual void applied(const families::LogEntry&) {}  // every type
  virtual void snapshot_published(const families::SnapshotMeta&) {}
  // A leader's snapshot became the state machine's state.
  virtual void snapshot_installed(const families::SnapshotMeta&) {}
  virtual void failed(const absl::Status&) {}
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
  void request_barrier(std::function<void()> ready);
  void release_barrier();

  // Snapshot of what is applied, unless there is nothing new or one is under way.
  void trigger_snapshot();
  // Nothing is called or sent after it.
  void stop();

  bool failed() const;
  const absl::Status& failure() const;  // OK unless failed()
  Role role() const;
  int64_t term() const;
  int64_t commit_index() const;
  int64_t applied_index() const;
  int64_t last_index() const;
  const std::string& leader() const;  // empty: unknown
  const families::Configuration& configuration() const;
  // The end of the log that storage was not given yet: for oracles.
  std::vector<families::LogEntry> queued_entries() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qk::raft
