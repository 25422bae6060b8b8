#include "sim/check/service_oracle.h"

#include <algorithm>

#include "families/base/strings.h"

namespace qk::sim {

void ServiceOracle::invoked(uint64_t operation, uint64_t payload_hash) {
  open_[operation] = {payload_hash, now_ns_};
}

void ServiceOracle::completed(uint64_t operation) {
  const auto asked = open_.find(operation);
  if (asked == open_.end()) return;
  if (!committed_.contains(asked->second.payload_hash)) {
    sink_->report("ora.C2", kCluster, static_cast<int64_t>(operation),
                  "an entry that a node has declared committed",
                  "an answer to an operation of which no entry is committed");
  }
  open_.erase(asked);
}

void ServiceOracle::look(int64_t now_ns, int64_t calm_since_ns) {
  now_ns_ = now_ns;
  for (auto& [operation, asked] : open_) {
    const int64_t since = std::max(asked.at_ns, calm_since_ns);
    if (now_ns - since <= kCompletesWithinNs) continue;
    sink_->report("ora.C5", kCluster, static_cast<int64_t>(operation),
                  cat("an answer within ", kCompletesWithinNs, " ns"),
                  cat("none ", now_ns - since,
                      " ns after it was asked for, or after the last "
                      "disturbance of the cluster"));
    asked.at_ns = now_ns;  // once in a while, should the run go on
  }
}

}  // namespace qk::sim
