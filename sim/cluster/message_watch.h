// MessageWatch: what the messages of one node promise, told to the oracles (ora.R12, ora.R13). It
// reads packets as they cross the network, not as their maker describes them.
//
// An answer does not say what it is about, so the watch remembers for a while what each append of a
// link ended with. Of some situations it tells that they were reached.
#pragma once

#include <cstdint>
#include <map>

#include "sim/check/checker.h"
#include "sim/cluster/plan.h"
#include "sim/cluster/reach.h"
#include "sim/kernel/event.h"
#include "sim/raft/wire/packet.h"

namespace qk::sim {

class MessageWatch {
 public:
  MessageWatch(Checker* checker, Reach* reach, const Plan* plan, NodeId node)
      : checker_(*checker), reach_(*reach), plan_(*plan), node_(node) {}

  // The node whose messages these are.
  struct Self {
    bool leads = false;  // in `term`
    int64_t term = 0;
    int64_t commit = 0;
    families::LogId last;
  };

  // A new life: answers to what an earlier one asked are not judged.
  void forget() {
    asked_.clear();
    asking_.clear();
  }
  void sent(NodeId to, const raft::Packet& packet, const Self& self);
  void arrived(NodeId from, const raft::Packet& packet, const Self& self);

 private:
  struct Entry {
    int64_t index = 0;
    int64_t term = 0;
  };
  // By call id. Those of a node grow.
  using Calls = std::map<uint64_t, Entry>;

  static void remember(const raft::Packet& append, Calls* calls);

  Checker& checker_;
  Reach& reach_;
  const Plan& plan_;
  const NodeId node_;
  std::map<NodeId, Calls> asked_;   // appends that this node sent, by whom they went to
  std::map<NodeId, Calls> asking_;  // appends that reached it, by sender
};

}  // namespace qk::sim
