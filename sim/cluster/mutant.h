// Mutant: a planted bug, as a run sees it: the places where something outside the product may come
// between a node and its disk, its families, its messages, its core, or between the simulation and what a
// crash leaves. The product itself has no switch for any of it. Which bugs there are is the
// catalogue's matter (sim/explore/planted.h); a run only asks.
//
// Every hook does nothing unless it is overridden. A mutant draws from streams of its own, so that
// until it acts the run is the one that it would be without it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "families/contract/family.h"
#include "migration/cluster_guard.h"
#include "sim/disk/choice.h"
#include "sim/kernel/event.h"
#include "sim/raft/core_tap.h"
#include "sim/raft/wire/packet.h"

namespace qk::sim {

class Witness;

// Of whom a hook is asked.
struct MutantNode {
  NodeId id = 0;
  const Witness* witness = nullptr;  // outlives all that a hook returns
};

class Mutant {
 public:
  virtual ~Mutant() = default;

  // The mutant's streams turn with those of the run (RandomStream).
  virtual void share(const uint64_t* /*turn*/) {}
  // A process begins. What lies between it and its disk, and the families that it can open.
  virtual std::unique_ptr<families::FileSystem> file_system(
      const MutantNode& /*node*/, std::unique_ptr<families::FileSystem> disk) {
    return disk;
  }
  virtual families::Registry registry(const MutantNode& /*node*/,
                                      const families::Registry& families) {
    return families;
  }
  // What lies between it and its Raft core; null: nothing. Outlives its Raft node.
  virtual std::unique_ptr<raft::CoreTap> core_tap(const MutantNode& /*node*/) { return nullptr; }
  // A message leaves: `packets` holds it alone, and what it holds afterwards leaves instead.
  virtual void sending(NodeId /*from*/, NodeId /*to*/, std::vector<raft::Packet>* /*packets*/) {}
  // A message arrives; `answers` leave at once, for its sender.
  virtual void receiving(NodeId /*from*/, NodeId /*to*/, const raft::Packet& /*packet*/,
                         std::vector<raft::Packet>* /*answers*/) {}
  // What the operator's guard is told of the nodes, in their order.
  virtual void surveyed(std::vector<migration::NodeStatus>* /*cluster*/) {}
  // A request of the operator to a node is answered with OK, and forgotten.
  virtual bool forgets_request(NodeId /*node*/) { return false; }
  // What a client is answered at once, before anything is done; nullopt: nothing.
  virtual std::optional<std::string> answer(NodeId /*node*/, std::string_view /*payload*/) {
    return std::nullopt;
  }
  // Who decides what a power cut leaves.
  virtual std::unique_ptr<Choice> choice(std::unique_ptr<Choice> drawn) { return drawn; }
};

}  // namespace qk::sim
