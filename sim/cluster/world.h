// World: what every part of a running cluster shares. It owns nothing; the Cluster does.
#pragma once

#include <algorithm>
#include <functional>
#include <string>

#include "sim/check/checker.h"
#include "sim/cluster/ack_watch.h"
#include "sim/cluster/election_watch.h"
#include "sim/cluster/mutant.h"
#include "sim/cluster/plan.h"
#include "sim/cluster/reach.h"
#include "sim/kernel/scheduler.h"
#include "sim/kernel/trace.h"
#include "sim/legacy/legacy_family.h"
#include "sim/net/network.h"

namespace qk::sim {

class SimNode;

// What parts tell each other through the cluster, so that none of them knows the others.
class ClusterEvents {
 public:
  virtual ~ClusterEvents() = default;
  virtual void phase_entered(SimNode& node, PhaseCode from, PhaseCode to) = 0;
  virtual void migration_progressed(SimNode& node) = 0;
  virtual void disk_advanced(SimNode& node) = 0;
  virtual void commit_advanced(SimNode& node, int64_t index, int64_t term) = 0;
};

struct World {
  const Plan* plan = nullptr;
  Scheduler* scheduler = nullptr;
  Trace* trace = nullptr;
  Network* network = nullptr;
  Checker* checker = nullptr;
  ClusterEvents* events = nullptr;
  ElectionWatch* elections = nullptr;
  AckWatch* acks = nullptr;
  Reach* reach = nullptr;
  Mutant* mutant = nullptr;        // null: nothing is planted
  const uint64_t* turn = nullptr;  // of all random streams
  // The families of a machine with this memory.
  std::function<families::Registry(families::VolatileMemory*)> registry_of = simulated_families;

  RandomStream stream(std::string_view name) const { return RandomStream(plan->seed, name, turn); }
  // 0: nobody of the cluster.
  NodeId id_of(std::string_view peer) const {
    const auto& nodes = plan->cluster.nodes;
    const auto it = std::find_if(nodes.begin(), nodes.end(),
                                 [&](const NodePlan& node) { return node.peer == peer; });
    return it == nodes.end() ? 0 : static_cast<NodeId>(it - nodes.begin() + 1);
  }
};

}  // namespace qk::sim
