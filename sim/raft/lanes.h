// Lanes: the queue between what a node decided and its StorageDriver. One lane each for log, meta
// and snapshot; each is serial with one mutation in flight, and different lanes overlap in time.
//
// A mutation is applied synchronously when its lane is free and is complete when
// Environment::after_storage says so. Appends that wait for one in flight are joined into one
// batch (group commit).
//
// What was issued to the log or snapshot lane after a save of a higher term starts only when that
// save is complete, as in braft, where the save is synchronous. So no crash leaves an entry or a
// snapshot of a term that was never saved, beside a vote that was forgotten
// (families/contract/lost_vote.h).
//
// A barrier lets what is in flight end and starts nothing more.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sim/raft/environment.h"

namespace qk::raft {

class Lanes {
 public:
  // The mutation with `token` and those before it on the lane are complete with this outcome.
  using Completed = std::function<void(families::Lane, uint64_t token, const families::Outcome&)>;

  Lanes(families::StorageDriver* driver, Environment* environment, NodeObserver* observer,
        Completed completed);

  // Tokens rise per lane.
  void issue(uint64_t token, families::Mutation mutation);
  // Starts what can be started.
  void pump();

  // See Node::request_barrier().
  void request_barrier(std::function<void()> ready);
  void release_barrier();

  // Entries of appends that storage was not given yet, in index order.
  std::vector<families::LogEntry> queued_entries() const;

  // No completion is reported and nothing starts any more.
  void stop();

 private:
  struct Item {
    uint64_t token = 0;
    families::Mutation mutation;
    uint64_t after_meta = 0;  // the token on the meta lane that must be complete before
  };
  struct InFlight {
    uint64_t token;
    uint64_t sequence;
    families::Outcome outcome;
  };
  struct LaneState {
    std::deque<Item> queue;
    std::optional<InFlight> in_flight;
  };

  bool may_start(const Item& item) const;
  void start(families::Lane lane);
  void complete(families::Lane lane);
  void check_barrier();

  families::StorageDriver* driver_;
  Environment* environment_;
  NodeObserver* observer_;
  Completed completed_;
  std::array<LaneState, families::kLaneCount> lanes_;
  uint64_t next_sequence_ = 1;
  int64_t term_ = 0;         // of the last save that was issued
  uint64_t term_token_ = 0;  // of the last save that was issued and raised the term
  bool pumping_ = false;
  bool barrier_ = false;
  std::function<void()> barrier_ready_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // completions of a dead node are void
};

}  // namespace qk::raft
