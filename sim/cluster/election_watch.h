// ElectionWatch: why a run had no leader. A cluster whose disks or links are slower than its
// election timeout elects nobody however long it runs; "0 entries were committed" does not say so.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "sim/cluster/plan.h"

namespace qk::sim {

class ElectionWatch {
 public:
  void candidate() { ++candidates_; }
  void leader() { ++leaders_; }
  void vote_issued() { ++issued_; }
  // From issue to the completion that the node waits for.
  void vote_saved(Nanos took) {
    fastest_save_ = saved_ == 0 ? took : std::min(fastest_save_, took);
    slowest_save_ = std::max(slowest_save_, took);
    ++saved_;
  }

  // Why the whole run had no leader, or leaders that committed nothing; nullopt if it had one that
  // did. `committed`: entries, during the run.
  std::optional<std::string> failure(const ClusterPlan& plan, uint64_t committed) const;

 private:
  uint64_t candidates_ = 0;
  uint64_t leaders_ = 0;
  uint64_t issued_ = 0;
  uint64_t saved_ = 0;
  Nanos fastest_save_ = 0;
  Nanos slowest_save_ = 0;
};

}  // namespace qk::sim
