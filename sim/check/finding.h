// Finding: one broken invariant, as an oracle saw it, and the sink that oracles report to.
//
// An oracle formats nothing until it has something to report.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace qk::sim {

struct Finding {
  std::string oracle;  // "ora.L1"
  std::string name;    // "acked-is-durable"
  std::string node;    // empty: of the whole cluster
  int64_t index = 0;   // log index where there is one, otherwise 0
  std::string expected;
  std::string actual;
};

using Reporter = std::function<void(const Finding&)>;

struct OracleInfo {
  std::string_view id;
  std::string_view name;
  std::string_view definition;
};

// In the order of their definition; every finding names one of them.
const std::vector<OracleInfo>& all_oracles();

// Where there is no node: a finding about the whole cluster.
inline constexpr int kCluster = -1;

class FindingSink {
 public:
  FindingSink(std::vector<std::string> nodes, Reporter reporter);

  void report(std::string_view oracle, int node, int64_t index, std::string expected,
              std::string actual) const;
  const std::string& node_name(int node) const;
  int node_count() const { return static_cast<int>(nodes_.size()); }

 private:
  std::vector<std::string> nodes_;
  Reporter reporter_;
};

}  // namespace qk::sim
