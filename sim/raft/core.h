// Core: the Raft protocol as a pure state machine, step(event) -> effects. No I/O, no clock, no
// randomness: timers, storage and network belong to the node (node.h), which carries out the
// effects of one step in this order:
//
//   released    messages of earlier steps that waited for what is durable now
//   decisions   what was decided and why, for traces and oracles
//   persist     durable changes, per lane in token order
//   timers      (re)arm or cancel
//   messages    those that wait for nothing
//   commit      entries up to here may be applied
//   the rest    snapshot transfers, failure
//
// The core alone knows which tokens are durable, and keeps the messages that wait for one
// (ora.R13): any message waits for the hard state it speaks of, a successful append response for
// the entries that it acknowledges. event::Persisted releases them.
//
// As braft does: pre-vote with term + 1, refused while a leader is heard; a new leader first
// appends a CONFIGURATION entry with the configuration in force; heartbeats are empty
// append_entries; a leader that hears from no quorum for an election timeout steps down. A leader
// counts its own copy, and a candidate its own vote, only when it is durable. Only entries of the
// current term are committed by counting (figure 8). A follower commits what is durable with it.
//
// Verified by core_test.cc's narratives. Not here: membership change (but the configuration is
// always the log's last one, and quorums of both sides of a joint one are needed), read index.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "sim/raft/log.h"
#include "sim/raft/message.h"

namespace qk::raft {

struct CoreOptions {
  std::string self;
  size_t max_entries_per_append = 64;
  size_t max_bytes_per_append = 512 * 1024;
  size_t max_appends_in_flight = 8;  // per follower
  // An append that is not answered for so many heartbeats counts as lost.
  int retry_after_heartbeats = 2;
  // Call ids of two lives of a node must not meet, or a late answer would be taken for a new one.
  uint64_t first_call_id = 1;
  // In force while neither log nor snapshot holds a configuration.
  families::Configuration initial_configuration;
};

// What storage holds when the node starts.
struct StartState {
  families::HardState hard_state;
  std::optional<families::SnapshotMeta> snapshot;
  std::vector<std::pair<int64_t, families::Configuration>> configurations;
};

namespace event {
struct ElectionTimeout {};
struct HeartbeatTimeout {};
struct Received {
  Message message;
};
struct Propose {
  std::vector<std::string> payloads;  // one DATA entry each
};
struct Persisted {
  families::Lane lane;  // kLog or kMeta
  uint64_t token;
};
// A snapshot of the own state machine was published.
struct SnapshotSaved {
  families::SnapshotMeta meta;
};
// A leader's snapshot was published, and loaded unless the state machine was already beyond it.
struct SnapshotInstalled {
  families::SnapshotMeta meta;
  std::string leader;
  uint64_t call_id;
};
// The download of a snapshot was given up.
struct InstallRefused {
  std::string leader;
  uint64_t call_id;
};
// On the leader: `peer` answered its InstallSnapshot, or the attempt was given up.
struct InstallDone {
  std::string peer;
  bool success;
  int64_t index;
};
struct TransferLeadership {
  std::string to;
};
}  // namespace event

using Event =
    std::variant<event::ElectionTimeout, event::HeartbeatTimeout, event::Received, event::Propose,
                 event::Persisted, event::SnapshotSaved, event::SnapshotInstalled,
                 event::InstallRefused, event::InstallDone, event::TransferLeadership>;

enum class TimerAction : uint8_t {
  kNone,
  kTouch,  // start over with the delay of last time
  kArm,    // start over with a new delay
  kCancel,
};

struct Decision {
  Reason why;
  bool role_changed = false;  // or the leader that is followed
};

struct Persist {
  uint64_t token = 0;  // per lane 1, 2, ...
  families::Mutation mutation;
};

// A message, and the tokens that must be durable before it leaves.
struct Outgoing {
  Message message;
  uint64_t after_log = 0;
  uint64_t after_meta = 0;
};

// A leader asked us to take its snapshot.
struct Download {
  std::string leader;
  uint64_t call_id = 0;
  families::SnapshotMeta meta;
  std::string uri;
};

struct Effects {
  std::vector<Message> released;
  std::vector<Decision> decisions;
  std::vector<Persist> persist;
  TimerAction election_timer = TimerAction::kNone;
  TimerAction heartbeat_timer = TimerAction::kNone;
  std::vector<Message> messages;
  std::optional<int64_t> commit;
  std::optional<int64_t> proposed_at;       // Propose was accepted: index of its first entry
  bool self_vote_durable = false;           // a candidate's vote for itself counts from now on
  bool transfer_accepted = false;           // TransferLeadership was accepted
  std::optional<families::LogId> won_with;  // became leader; its last entry before its first own
  std::vector<std::string> install;         // followers that need a snapshot
  std::optional<Download> download;
  absl::Status failure;  // storage read error or broken promise: the node stops

  void clear();
};

class Core {
 public:
  Core(CoreOptions options, LogView* view);

  // Start rules on the log (check_consistency, set_snapshot, term correction). FailedPrecondition
  // with a reason if log and snapshot do not fit together; nothing is to be persisted then.
  absl::Status start(StartState state);
  // Valid until the next step; the caller may move parts out.
  Effects& step(Event event);
  Effects& effects() { return effects_; }

  Role role() const { return role_; }
  int64_t term() const { return hard_state_.term; }
  const families::HardState& hard_state() const { return hard_state_; }
  const std::string& leader() const { return leader_; }  // empty: unknown
  int64_t commit() const { return commit_; }
  bool transferring() const { return !transfer_to_.empty(); }
  // Of a leader: up to where it counts `peer`'s log as equal to its own. Else, or of nobody: 0.
  int64_t match(const std::string& peer) const {
    const auto it = progress_.find(peer);
    return it == progress_.end() ? 0 : it->second.match;
  }
  RaftLog& log() { return log_; }
  const RaftLog& log() const { return log_; }
  // Messages that may not leave yet, in the order of their steps.
  const std::deque<Outgoing>& waiting() const { return waiting_; }
  // Call ids are shared with the node's own calls.
  uint64_t next_call_id() { return next_call_id_++; }

 private:
  // What the leader knows of one follower.
  struct Progress {
    enum class State : uint8_t { kProbe, kReplicate, kSnapshot };
    struct Call {
      uint64_t id = 0;
      int64_t last = 0;  // success means: matches up to here
    };
    State state = State::kProbe;
    int64_t next = 1;
    int64_t match = 0;
    std::deque<Call> calls;
    Call heartbeat;
    int silent_heartbeats = 0;        // since the last answer to an append, while one is in flight
    int64_t back_off = 1;             // doubles with every refusal in a row
    bool wait_for_heartbeat = false;  // after a failed snapshot transfer
    bool heard = false;               // since the last quorum check
  };

  // core.cc
  void handle(event::ElectionTimeout);
  void handle(event::HeartbeatTimeout);
  void handle(event::Received event);
  void handle(event::Persisted event);
  void handle(event::Propose event);
  void become_follower(int64_t term, std::string leader, Reason why);
  void set_hard_state(int64_t term, std::string voted_for);
  void decide(Reason why, bool role_changed = false);
  void send(const std::string& to, uint64_t call_id, decltype(Message::body) body,
            uint64_t after_log = 0);
  void send_when_durable(Outgoing outgoing, std::vector<Message>* leaving);
  void fail(absl::Status status);
  bool is_member(const std::string& peer) const;
  void check_invariants() const;

  // election.cc
  void start_pre_vote();
  void start_election(Reason why);
  void count_votes();
  void become_leader();
  void check_quorum();
  void receive(const Message& from, const VoteRequest& request);
  void receive(const Message& from, const VoteResponse& response);
  void receive(const Message& from, const TimeoutNowRequest& request);
  void receive(const Message& from, const TimeoutNowResponse& response);
  void handle(event::TransferLeadership event);
  void continue_transfer();

  // replication.cc
  bool accept_leader(const std::string& from, int64_t term);
  void receive(const Message& from, AppendRequest& request);
  void receive(const Message& from, const AppendResponse& response);
  bool take_entries(const std::string& leader, std::vector<families::LogEntry>& entries);
  void fail_committed(const std::string& leader, const families::LogId& theirs, int64_t ours);
  void append(std::vector<families::LogEntry> entries);
  void replicate(const std::string& peer, Progress& progress);
  void replicate_all();
  void send_heartbeat(const std::string& peer, Progress& progress);
  void sync_progress_with_configuration();
  void advance_commit();

  // snapshot.cc
  void receive(const Message& from, InstallRequest& request);
  void receive(const Message& from, const InstallResponse& response);
  void handle(event::SnapshotSaved event);
  void handle(event::SnapshotInstalled event);
  void handle(event::InstallRefused event);
  void handle(event::InstallDone event);
  bool set_snapshot(const families::SnapshotMeta& meta);

  CoreOptions options_;
  RaftLog log_;
  Effects effects_;

  families::HardState hard_state_;
  bool hard_state_changed_ = false;  // in this step; saved once at its end
  // Of each lane, the last token that was issued and the last that is durable.
  uint64_t log_issued_ = 0;
  uint64_t log_durable_ = 0;
  uint64_t meta_issued_ = 0;
  uint64_t meta_durable_ = 0;
  std::deque<Outgoing> waiting_;

  Role role_ = Role::kFollower;
  std::string leader_;
  int64_t commit_ = 0;
  int64_t known_committed_ =
      0;  // follower: committed by a leader whose log ours matches up to here
  uint64_t next_call_id_;

  std::set<std::string> votes_;    // of this (pre-)election
  uint64_t round_first_call_ = 0;  // answers to earlier rounds do not count
  uint64_t vote_token_ = 0;        // own vote, not yet durable

  std::map<std::string, Progress> progress_;  // leader: everybody else
  std::string transfer_to_;
  int transfer_timeouts_ = 0;
};

}  // namespace qk::raft
