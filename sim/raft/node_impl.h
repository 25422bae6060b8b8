// The parts of a node; see node.h for what it promises.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sim/raft/core.h"
#include "sim/raft/lanes.h"
#include "sim/raft/node.h"
#include "sim/raft/snapshot_download.h"
#include "sim/raft/snapshot_server.h"

namespace qk::raft {

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

class Node::Impl {
 public:
  Impl(NodeOptions options, families::StorageDriver* driver, StateMachine* state_machine,
       Environment* environment, NodeObserver* observer);
  ~Impl();

  absl::Status start();
  void receive(const std::string& from, const Packet& packet);
  void propose(std::string payload, Done done);
  absl::Status transfer_leadership(const std::string& to);
  void trigger_snapshot();
  void stop();

  Lanes& lanes() { return lanes_; }
  const Core& core() const { return core_; }
  int64_t applied() const { return applied_; }
  const absl::Status& failure() const { return failure_; }

 private:
  // A mutation ended; handled in its turn, as events of the core are.
  struct MutationDone {
    families::Lane lane;
    uint64_t token;
  };
  struct Proposal {
    int64_t index = 0;
    Done done;
  };

  // node.cc
  void post(std::variant<Event, MutationDone> work);
  void drain();
  void handle(MutationDone done);
  void carry_out(Effects& effects);
  void announce(const Effects& effects);
  void after_role_change();
  void send_when_durable(Outgoing outgoing);
  void release_held_messages();
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
  std::deque<std::variant<Event, MutationDone>> work_;

  Role role_ = Role::kFollower;  // as last announced
  int64_t term_ = 0;
  int64_t applied_ = 0;
  uint64_t log_durable_ = 0;
  uint64_t meta_durable_ = 0;
  uint64_t snapshot_token_ = 0;
  std::deque<Outgoing> held_;
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
