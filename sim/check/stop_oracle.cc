#include "sim/check/stop_oracle.h"

#include <utility>

#include "families/base/check.h"
#include "families/base/strings.h"

namespace qk::sim {

void StopOracle::starting(int node) {
  Node& n = of(node);
  ++n.incarnation;
  n.explained = false;
}

void StopOracle::explain(int node, StopReason reason, std::string text) {
  Node& n = of(node);
  n.explained = true;
  n.previous_end = reason;
  ledger_.push_back({node, n.incarnation, reason, std::move(text)});
}

void StopOracle::stopped(int node, std::string_view error) {
  Node& n = of(node);
  if (n.explained) return;
  n.previous_end.reset();
  sink_->report("ora.L12", node, 0,
                cat("incarnation ", n.incarnation, " runs until something outside it ends it"),
                cat("stopped by itself: ", error));
}

void StopOracle::refused(int node, std::string_view error) {
  Node& n = of(node);
  if (n.explained) return;
  // What a crash left must open; after any other end the node has itself to blame.
  const bool after_crash = n.previous_end == StopReason::kCrash;
  n.previous_end.reset();
  sink_->report(after_crash ? "ora.L9" : "ora.L12", node, 0,
                after_crash ? std::string("the node starts from what the crash left")
                            : cat("incarnation ", n.incarnation, " starts"),
                std::string(error));
}

std::vector<std::string> summary_of(const std::vector<LedgerRow>& ledger, const FindingSink& sink) {
  std::vector<std::string> lines;
  for (int node = 0; node < sink.node_count(); ++node) {
    uint64_t crashes = 0;
    uint64_t restarts = 0;
    std::string refusals;
    for (const LedgerRow& row : ledger) {
      if (row.node != node) continue;
      switch (row.reason) {
        case StopReason::kCrash:
          ++crashes;
          break;
        case StopReason::kOperator:
          ++restarts;
          break;
        case StopReason::kMemoryLost:
          refusals += cat(", start ", row.incarnation, " refused (A-11): ", row.text);
          break;
      }
    }
    std::string line;
    if (crashes > 0) line += cat(", ", crashes, crashes == 1 ? " crash" : " crashes", " injected");
    if (restarts > 0)
      line += cat(", ", restarts, restarts == 1 ? " restart" : " restarts", " by the operator");
    line += refusals;
    if (!line.empty()) lines.push_back(cat(sink.node_name(node), ": ", line.substr(2)));
  }
  return lines;
}

}  // namespace qk::sim
