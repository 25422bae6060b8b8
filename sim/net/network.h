// Network: delivers messages between nodes in virtual time, with latency, loss, duplication,
// reordering and partitions.
//
// Model. A link is directed. It keeps order: a message arrives no earlier than the one sent before
// it, unless it is picked for reordering, which multiplies its latency by ten and lets later ones
// overtake it, or to be late, which adds so much that its sender or its receiver may have restarted
// in between. Each copy of a duplicated message travels by itself, the second out of order.
// A partition drops what is sent across it, and what is in flight when its delivery falls due. A
// message to a node that is down at delivery is lost; one from a sender that has crashed since is
// not, and may reach the sender's peers after its next incarnation has spoken.
//
// Each link draws from a stream of its own, a fixed number of draws per message (two more if any
// may be late), so that one more
// message on one link changes nothing on another.
//
// Not modelled: bandwidth, connections and their resets, corruption of bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/kernel/event.h"
#include "sim/kernel/random.h"
#include "sim/kernel/scheduler.h"
#include "sim/kernel/trace.h"

namespace qk::sim {

struct NetMessage {
  uint16_t type = 0;
  uint64_t term = 0;  // term and index are for the trace alone
  uint64_t index = 0;
  std::string bytes;
};

struct LinkOptions {
  Nanos latency_low = 1 * kMillisecond;
  Nanos latency_high = 10 * kMillisecond;
  uint32_t loss_ppm = 0;
  uint32_t duplicate_ppm = 0;
  uint32_t reorder_ppm = 0;
  uint32_t late_ppm = 0;
  Nanos late_low = 0;
  Nanos late_high = 0;
};

class Network {
 public:
  using Handler = std::function<void(NodeId from, const NetMessage& message)>;
  using PartitionId = uint64_t;
  static constexpr NodeId kMaxNodes = 64;  // a side of a partition is a bit set in the trace

  // Nodes are those of the trace, at most kMaxNodes; all are up, none is attached.
  // `turn`: see RandomStream.
  Network(Scheduler* scheduler, Trace* trace, uint64_t seed, const LinkOptions& options,
          const uint64_t* turn = nullptr);
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // Who receives what is sent to `node`. Replaces an earlier handler; an empty one detaches.
  void attach(NodeId node, Handler handler);
  // Requires the sender to be up. Sending to oneself is a bug of the caller.
  void send(NodeId from, NodeId to, NetMessage message);

  // Cuts every link between nodes of different sides; if `asymmetric`, only links from the first
  // side to the others. Nodes in no side keep all their links. Partitions add up.
  PartitionId partition(const std::vector<std::vector<NodeId>>& sides, bool asymmetric);
  // Ends one partition; one that has ended, or never was, is left alone.
  void heal(PartitionId id);
  void heal_all();
  // No partition lasts.
  bool is_whole() const { return partitions_.empty(); }
  // A link is open if no partition cuts it.
  bool is_open(NodeId from, NodeId to) const { return link(from, to).cuts == 0; }

  void set_node_up(NodeId node, bool up);
  bool is_node_up(NodeId node) const { return nodes_[node].up; }

  // Draws of the streams of the links that lead from `node`.
  uint64_t draws(NodeId node) const;

  size_t in_flight() const { return in_flight_.size() - free_.size(); }

 private:
  struct Link {
    RandomStream stream;
    Nanos last_arrival = 0;
    uint32_t cuts = 0;  // partitions that cut it
  };
  struct Node {
    std::shared_ptr<const Handler> handler;  // shared with a delivery in progress
    bool up = true;
  };
  struct InFlight {
    NodeId from = 0;
    NodeId to = 0;
    bool copy = false;
    uint64_t msg = 0;
    NetMessage message;
  };
  struct Partition {
    PartitionId id = 0;
    std::vector<std::vector<NodeId>> sides;
    bool asymmetric = false;
  };

  const Link& link(NodeId from, NodeId to) const { return links_[from * nodes_.size() + to]; }
  Link& link(NodeId from, NodeId to) { return links_[from * nodes_.size() + to]; }
  void launch(InFlight flight, Nanos arrival);
  void deliver(size_t slot);
  void drop(const InFlight& flight, DropReason reason);
  void cut(const Partition& partition, int32_t change);
  void record(const Partition& partition);

  Scheduler* scheduler_;
  Trace* trace_;
  LinkOptions options_;
  uint64_t next_msg_ = 1;
  PartitionId next_partition_ = 1;
  std::vector<Node> nodes_;  // by NodeId; [0] is unused
  std::vector<Link> links_;  // [from * nodes + to]
  std::vector<InFlight> in_flight_;
  std::vector<size_t> free_;
  std::vector<Partition> partitions_;
};

}  // namespace qk::sim
