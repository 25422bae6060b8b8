// Process: what runs on a SimNode between two starts, and the glue by which the Raft node reaches
// virtual time, the network, the trace and the oracles. It ends with the crash.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "sim/cluster/node.h"

namespace qk::sim {

// Everything of a node lies below this directory of its disk.
inline constexpr char kNodeDir[] = "/node";

PhaseCode code_of(migration::Phase phase);
PhaseRecord record_of(const migration::Manifest& manifest);

class SimNode::Process final : public raft::Environment, public raft::NodeObserver {
 public:
  Process(SimNode& node, const World& world);
  ~Process() override;

  void start_node();
  // The node stops by itself; an operator brings it back later.
  void storage_failed(const absl::Status& status);

  std::unique_ptr<migration::Runner> runner;
  std::unique_ptr<raft::Node> node;

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

  // raft::Environment
  raft::Nanos now() override;
  uint64_t random_below(uint64_t bound) override;
  uint64_t start_timer(raft::Nanos delay, std::function<void()> fire) override;
  void cancel_timer(uint64_t id) override;
  void send(const std::string& to_peer, raft::Packet packet) override;
  void after_storage(std::function<void()> done) override;

  // raft::NodeObserver
  void role_changed(raft::Role role, int64_t term, const raft::Reason& why) override;
  void term_changed(int64_t term) override;
  void vote_granted(int64_t term, const std::string& candidate) override;
  void leader_started(int64_t term, const families::LogId& last) override;
  void mutation_issued(uint64_t id, const families::Mutation& mutation) override;
  void mutation_completed(uint64_t id, const families::Outcome& outcome) override;
  void message_sent(const std::string& to, const raft::Packet& packet,
                    const raft::Message* message) override;
  void committed(int64_t index, int64_t term) override;
  void applied(const families::LogEntry& entry) override;
  void snapshot_published(const families::SnapshotMeta& meta) override;
  void snapshot_installed(const families::SnapshotMeta& meta) override;
  void failed(const absl::Status& status) override;

  NodeId peer_id(const std::string& peer) const;
  int index() const { return node_.id_ - 1; }

  SimNode& node_;
  World world_;
  ReplicatedState state_machine_;
  std::map<uint64_t, EventId> timers_;
  uint64_t next_timer_ = 1;
  struct OpenMutation {
    families::Operation operation;
    Nanos issued;
  };
  std::map<uint64_t, OpenMutation> open_;
  raft::Role role_ = raft::Role::kFollower;
  uint64_t message_term_ = 0;  // of the message being sent, for the trace
  uint64_t message_index_ = 0;
};

}  // namespace qk::sim
