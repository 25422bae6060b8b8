// Trace: what happened in a run, and a hash chain over it that tells two runs apart at their first
// different event.
//
// The chain covers every event at every level, so runs at different levels compare. Canonical bytes
// are our own fixed encoding: the fields of Event in declared order, little-endian, no padding.
//   node chain  c = XXH3(c' || t, lc, args, incarnation, node, kind)      one per node
//   chain       h = XXH3(h' || seq, cause, msg, span, c of the event's node)
// A node's chain leaves out run-wide counters, so it changes only when that node itself behaves
// differently: comparing node chains at a checkpoint (every 1024 events) names the node that parted
// first. Both start from scenario hash, seed and node names. The digest is the SHA-256 over the
// chain at all checkpoints and at the end.
//
// A cause is an event that the trace keeps: at kMarks, the nearest mark that led to the event.
//
// What it costs: two short hashes per event, no allocation and no text at kNone and kMarks except
// for marks. Text is outside the chain; what it says must follow from hashed fields or be comment.
// The trace lives in memory alone: nothing of it survives the process unless someone writes it out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "families/base/hash.h"
#include "sim/kernel/event.h"
#include "sim/kernel/phase.h"
#include "sim/kernel/scheduler.h"

namespace qk::sim {

// How much of the trace a run keeps: nothing but the chain, the marks, or every event as well.
enum class TraceLevel : uint8_t { kNone, kMarks, kFull };

struct TraceStart {
  uint64_t scenario_hash = 0;
  uint64_t seed = 0;
  std::vector<std::string> nodes;  // names of nodes 1, 2, ...
};

// What is known of a node from its events so far.
struct NodeState {
  bool up = true;
  Role role = Role::kFollower;
  PhaseCode phase = PhaseCode::kA;
  uint64_t term = 0;
  int64_t commit = 0;
  int64_t last_a = 0;   // last log index of store A; -1: it does not exist
  int64_t last_b = -1;  // of store B
};

struct Mark {
  Event event;
  uint64_t chain = 0;  // h at the event
  NodeState state;     // of the event's node, after it
  std::string text;
  uint64_t cause = 0;  // the nearest mark that led to it; 0: none did
};

// Told of every event, at every level, when it is recorded. Must not record.
class TraceObserver {
 public:
  virtual ~TraceObserver() = default;
  virtual void recorded(const Event& event) = 0;
};

class Trace {
 public:
  static constexpr uint64_t kCheckpointEvery = 1024;

  // Takes time and causes from `scheduler`, which must outlive it.
  Trace(Scheduler* scheduler, TraceStart start, TraceLevel level);
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  // Records `event` at the present instant and returns its seq. `text` is kept for marks, and for
  // every event at kFull: do not build one for nothing.
  uint64_t record(Event event, std::string_view text = {});
  // Must outlive the recording; null: nobody.
  void set_observer(TraceObserver* observer) { observer_ = observer; }

  TraceLevel level() const { return level_; }
  // Whether text of marks is kept, for callers to whom it costs something to make.
  bool keeps_marks() const { return level_ != TraceLevel::kNone; }
  bool keeps_all() const { return level_ == TraceLevel::kFull; }
  const TraceStart& start() const { return start_; }
  size_t nodes() const { return start_.nodes.size(); }
  // "n1"; "-" for node 0.
  std::string_view node_name(NodeId node) const;

  uint64_t events() const { return seq_; }
  uint64_t chain() const { return chain_; }
  uint64_t node_chain(NodeId node) const { return nodes_[node].chain; }
  // SHA-256 over the checkpoints and the present chain.
  Digest digest() const;
  uint32_t incarnation(NodeId node) const { return nodes_[node].incarnation; }
  const NodeState& state(NodeId node) const { return nodes_[node].state; }

  // Chains after event 1024 * (i + 1): the run's, then those of nodes 0, 1, ...
  size_t checkpoints() const { return checkpoints_.size() / (nodes_.size() + 1); }
  uint64_t checkpoint_chain(size_t i) const { return checkpoints_[i * (nodes_.size() + 1)]; }
  uint64_t checkpoint_node_chain(size_t i, NodeId node) const {
    return checkpoints_[i * (nodes_.size() + 1) + 1 + node];
  }

  // kMarks and kFull.
  const std::vector<Mark>& marks() const { return marks_; }
  // kFull: every event, seq 1 .. events().
  const Event& event(uint64_t seq) const;
  // Of an event that is kept; empty: it has none.
  std::string_view text(uint64_t seq) const;

 private:
  struct Node {
    uint64_t chain = 0;
    uint64_t lc = 0;
    uint32_t incarnation = 0;
    NodeState state;
  };
  static constexpr size_t kBlock = 4096;  // events per allocation at kFull

  void follow(const Event& event);
  void checkpoint();
  void keep(const Event& event);

  Scheduler* scheduler_;
  TraceObserver* observer_ = nullptr;
  TraceStart start_;
  TraceLevel level_;
  uint64_t seq_ = 0;
  uint64_t chain_ = 0;
  std::vector<Node> nodes_;  // [0]: the simulator
  std::vector<uint64_t> checkpoints_;
  std::vector<Mark> marks_;
  std::vector<std::pair<uint64_t, std::string>> texts_;  // of events that are no marks, by seq
  std::vector<std::vector<Event>> blocks_;  // of kBlock, so that no event is ever copied again
};

}  // namespace qk::sim
