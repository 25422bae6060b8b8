// Process: what runs on a machine between two starts, and ends with the next crash: the migration
// controller under its runner, the Raft node, and the replicated state, all on one mount of the
// machine's disk. Here is the glue by which they reach virtual time, disk and network.
//
// A controller step under a barrier blocks the whole process until its disk operations are done:
// what arrives meanwhile is handled afterwards, as in a process whose only thread sits in fsync.
// Background work of the engines goes on beside it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "migration/runner.h"
#include "sim/cluster/machine.h"
#include "sim/cluster/state_machine.h"
#include "sim/cluster/witness.h"
#include "sim/raft/node.h"

namespace qk::sim {

class Process final : public raft::Environment {
 public:
  Process(SimNode& node, const World& world, Machine& machine, Witness& witness);
  ~Process() override;

  // The start of the storage; a fresh instance is made if `create` and there is none.
  absl::Status open(bool create);
  // What the start wrote is durable: tells of its marks. Raft follows.
  void announce_start() { runner_->start(); }
  absl::Status start_raft();
  // Takes messages, and goes on with the migration.
  void go_live();
  // Nothing begins any more; the end is an event of its own.
  void begin_to_stop();
  bool stopping() const { return stopping_; }
  // By a controller step under a barrier.
  bool blocked() const { return blocked_; }

  families::FileSystem& fs() { return *fs_; }
  // Null before open() and start_raft().
  migration::Controller* controller() { return runner_ ? &runner_->controller() : nullptr; }
  raft::Node* raft() { return raft_.get(); }
  uint64_t state_hash() const { return state_.state.state_hash(); }

  // Runs `fn` now, or when the process is no longer blocked.
  void when_free(std::function<void()> fn);
  // After whatever may have used the disk.
  void touch_disk();

 private:
  class ReplicatedState final : public raft::StateMachine {
   public:
    raft::ApplyResult apply(const families::LogEntry& entry) override {
      return {state.apply(entry)};
    }
    absl::Status save(families::SnapshotWriter& writer) override { return state.save(writer); }
    absl::Status load(const families::SnapshotReader& reader) override {
      return state.load(reader);
    }
    sim::StateMachine state;
  };

  class Host final : public migration::RunnerHost {
   public:
    explicit Host(Process* process) : process_(*process) {}
    void after(int64_t ns, std::function<void()> then) override;
    void at_barrier(std::function<void()> then) override;
    void release_barrier() override;
    void after_storage(std::function<void()> then) override;
    void when_idle(std::function<void()> then) override { after_storage(std::move(then)); }
    void stop(const absl::Status& why) override;

   private:
    Process& process_;
  };

  // raft::Environment
  raft::Nanos now() override { return world_.scheduler->now(); }
  uint64_t random_below(uint64_t bound) override { return machine_.elections().below(bound); }
  uint64_t start_timer(raft::Nanos delay, std::function<void()> fire) override;
  void cancel_timer(uint64_t id) override;
  void send(const std::string& to_peer, raft::Packet packet) override;
  void after_storage(std::function<void()> done) override;

  void deliver(const std::string& from_peer, const NetMessage& message);
  void transmit(NodeId to, const raft::Packet& packet);
  // What a planted bug makes of an arrival.
  void mutate_received(const std::string& from_peer, const raft::Packet& packet);

  SimNode& node_;
  World world_;
  Machine& machine_;
  Witness& witness_;
  Host host_{this};
  ReplicatedState state_;
  std::unique_ptr<families::FileSystem> fs_;
  const families::Registry registry_;  // the machine's, watched
  std::unique_ptr<migration::Runner> runner_;
  std::unique_ptr<raft::CoreTap> tap_;
  std::unique_ptr<raft::Node> raft_;  // refers to the controller's driver
  std::map<uint64_t, EventId> timers_;
  uint64_t next_timer_ = 1;
  bool stopping_ = false;
  bool blocked_ = false;
  std::deque<std::function<void()>> waiting_;
};

}  // namespace qk::sim
