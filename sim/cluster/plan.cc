#include "sim/cluster/plan.h"

#include <algorithm>

namespace qk::sim {

std::vector<std::vector<size_t>> planned_moves(const Plan& plan) {
  const std::vector<NodePlan>& nodes = plan.cluster.nodes;
  std::vector<std::string> store_of;
  for (const NodePlan& node : nodes) store_of.push_back(node.store);
  std::vector<std::vector<size_t>> moves;
  for (const MigrationPlan& migration : plan.migrations) {
    std::vector<size_t>& moved = moves.emplace_back();
    for (size_t i = 0; i < nodes.size(); ++i) {
      const bool listed = std::find(migration.nodes.begin(), migration.nodes.end(), nodes[i].id) !=
                          migration.nodes.end();
      if (!(migration.nodes.empty() || listed) || store_of[i] != migration.from) continue;
      store_of[i] = migration.to;
      moved.push_back(i);
    }
  }
  return moves;
}

}  // namespace qk::sim
