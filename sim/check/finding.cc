#include "sim/check/finding.h"

#include <utility>

#include "families/base/check.h"

namespace qk::sim {

FindingSink::FindingSink(std::vector<std::string> nodes, Reporter reporter)
    : nodes_(std::move(nodes)), reporter_(std::move(reporter)) {}

const std::string& FindingSink::node_name(int node) const {
  static const std::string none;
  if (node == kCluster) return none;
  QK_CHECK(node >= 0 && node < node_count());
  return nodes_[static_cast<size_t>(node)];
}

void FindingSink::report(std::string_view oracle, int node, int64_t index, std::string expected,
                         std::string actual) const {
  for (const OracleInfo& info : kOracles) {
    if (info.id != oracle) continue;
    reporter_({std::string(info.id), std::string(info.name), node_name(node), index,
               std::move(expected), std::move(actual)});
    return;
  }
  QK_CHECK(false && "an oracle that is not listed");
}

}  // namespace qk::sim
