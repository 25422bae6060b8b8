// What a node is given: time, chance and transport, the state machine, and somebody who watches.
// Besides these it touches its StorageDriver alone.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "families/contract/mutation.h"
#include "sim/raft/message.h"
#include "sim/raft/wire/packet.h"

namespace qk::raft {

using Nanos = int64_t;

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

// What a node waits for with a timer.
enum class Timer : uint8_t { kElection, kHeartbeat, kDownload };

// For oracles and traces. Called at the instant the thing happens; must not call the node.
class NodeObserver {
 public:
  virtual ~NodeObserver() = default;
  virtual void role_changed(Role, int64_t /*term*/, const Reason& /*why*/) {}
  // Any other decision worth a line in a trace.
  virtual void decided(const Reason& /*why*/) {}
  virtual void timer_fired(Timer) {}              // it ran out, and something follows from that
  virtual void term_changed(int64_t /*term*/) {}  // adopted in memory; durable later
  // When the grant leaves; for the vote for itself when it is durable.
  virtual void vote_granted(int64_t /*term*/, const std::string& /*candidate*/) {}
  // `last` is the new leader's last entry before its first own one.
  virtual void leader_started(int64_t /*term*/, const families::LogId& /*last*/) {}
  // 1, 2, ... in the order of StorageDriver::apply(). Completion of two lanes may interleave.
  virtual void mutation_issued(uint64_t /*sequence*/, const families::Mutation&) {}
  virtual void mutation_completed(uint64_t /*sequence*/, const families::Outcome&) {}
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

}  // namespace qk::raft
