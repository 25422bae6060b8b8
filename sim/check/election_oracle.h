// ElectionOracle: terms, votes and leaders.
//
//   ora.R1  no two nodes become leader in one term
//   ora.R2  a node grants its vote to one candidate per term, over its whole life: restarts,
//           migrations and rollbacks included, and the vote that its initial directory holds
//   ora.R3  the term that a node has seen never decreases within one life; a crash may take back a
//           term that was not saved yet, and nothing else (ora.L5, ora.R13)
//
// Not checked: that a vote was deserved (ora.R5 shows it), and leases.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "families/contract/types.h"
#include "sim/check/dual_oracle.h"
#include "sim/check/finding.h"

namespace qk::sim {

class ElectionOracle {
 public:
  explicit ElectionOracle(const FindingSink* sink);

  void seed(int node, const families::HardState& state);
  void leader_elected(int node, int64_t term);
  // Its own vote included; `candidate` is canonical PeerId text.
  void vote_granted(int node, int64_t term, const std::string& candidate);
  void term_observed(int node, int64_t term);
  // A new life begins with this term, which may be lower than what the last one has seen.
  void recovered(int node, int64_t term) {
    int64_t& seen = nodes_[static_cast<size_t>(node)].term;
    seen = std::min(seen, term);
  }

  // The vote of the highest term.
  const std::optional<Vote>& last_vote(int node) const;

 private:
  struct Node {
    std::map<int64_t, std::string> votes;
    std::optional<Vote> last_vote;
    int64_t term = 0;
  };

  const FindingSink* sink_;
  std::vector<Node> nodes_;
  std::map<int64_t, int> leaders_;  // by term
};

}  // namespace qk::sim
