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

std::vector<Finding> FindingSink::take(int node) {
  const auto held = held_.extract(node);
  return held.empty() ? std::vector<Finding>() : held.mapped();
}

void FindingSink::report(std::string_view oracle, int node, int64_t index, std::string expected,
                         std::string actual) const {
  for (const OracleInfo& info : kOracles) {
    if (info.id != oracle) continue;
    Finding finding{std::string(info.id), std::string(info.name), node_name(node), index,
                    std::move(expected),  std::move(actual)};
    const auto held = held_.find(node);
    if (held != held_.end()) {
      held->second.push_back(std::move(finding));
    } else {
      reporter_(finding);
    }
    return;
  }
  QK_CHECK(false && "an oracle that is not listed");
}

}  // namespace qk::sim
