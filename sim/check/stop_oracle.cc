#include "sim/check/stop_oracle.h"

#include <utility>

#include "families/base/check.h"
#include "families/base/strings.h"

namespace qk::sim {

void StopOracle::starting(int node) {
  Node& n = of(node);
  ++n.incarnation;
  n.explained = false;
  n.disk_errors.clear();
}

void StopOracle::explain(int node, StopReason reason, std::string text) {
  Node& n = of(node);
  n.explained = true;
  n.previous_end = reason;
  ledger_.push_back({node, n.incarnation, reason, std::move(text)});
}

void StopOracle::disk_failed(int node, absl::StatusCode code, std::string what) {
  of(node).disk_errors[code] = std::move(what);
}

bool StopOracle::explained_by_disk(int node, absl::StatusCode code) {
  const auto found = of(node).disk_errors.find(code);
  if (found == of(node).disk_errors.end()) return false;
  explain(node, StopReason::kDiskFault, found->second);
  return true;
}

void StopOracle::damaged(int node, bool may_forget, absl::StatusCode code, std::string what) {
  if (may_forget) of(node).may_forget = what;
  of(node).damage[code] = std::move(what);
}

bool StopOracle::explained_by_damage(int node, absl::StatusCode code, std::string_view error) {
  const Node& n = of(node);
  const auto found = n.damage.find(code);
  const bool told = found != n.damage.end() && error.find('/') != std::string_view::npos;
  if (!told && n.may_forget.empty()) return false;
  explain(node, StopReason::kDamage,
          cat(told ? found->second : n.may_forget, "; the node says: ", error));
  return true;
}

void StopOracle::stopped(int node, absl::StatusCode code, std::string_view error) {
  Node& n = of(node);
  if (n.explained || explained_by_disk(node, code) || explained_by_damage(node, code, error))
    return;
  n.previous_end.reset();
  sink_->report("ora.L12", node, 0,
                cat("incarnation ", n.incarnation, " runs until something outside it ends it"),
                cat("stopped by itself: ", error));
}

bool StopOracle::refused(int node, absl::StatusCode code, std::string_view error) {
  Node& n = of(node);
  if (n.explained) return false;
  // Who finds damage at a start finds it again at the next one: such a node stays down.
  if (explained_by_damage(node, code, error)) return false;
  if (explained_by_disk(node, code)) return true;
  // What a crash or a disk fault left must open; after any other end the node has itself to blame.
  const bool after_crash = n.previous_end == StopReason::kCrash;
  const bool after_fault = n.previous_end == StopReason::kDiskFault;
  n.previous_end.reset();
  sink_->report(after_crash || after_fault ? "ora.L9" : "ora.L12", node, 0,
                after_crash   ? std::string("the node starts from what the crash left")
                : after_fault ? std::string("the node starts from what the disk fault left")
                              : cat("incarnation ", n.incarnation, " starts"),
                std::string(error));
  return false;
}

std::vector<std::string> summary_of(const std::vector<LedgerRow>& ledger, const FindingSink& sink) {
  std::vector<std::string> lines;
  for (int node = 0; node < sink.node_count(); ++node) {
    uint64_t crashes = 0;
    uint64_t restarts = 0;
    uint64_t faults = 0;
    uint64_t damage = 0;
    std::string last_damage;
    std::string last_fault;
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
        case StopReason::kDiskFault:
          ++faults;
          last_fault = cat(row.text, " in incarnation ", row.incarnation);
          break;
        case StopReason::kDamage:
          ++damage;
          last_damage = cat(row.text, ", in incarnation ", row.incarnation);
          break;
        case StopReason::kForgot:
          refusals += cat(", out of service from start ", row.incarnation, " on: ", row.text);
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
    if (faults > 0) {
      line += cat(", ", faults, faults == 1 ? " stop" : " stops", " on a disk fault",
                  faults == 1 ? " (" : " (the last: ", last_fault, ")");
    }
    if (damage > 0) {
      line += cat(", ", damage, damage == 1 ? " end" : " ends", " on damage to its disk",
                  damage == 1 ? " (" : " (the last: ", last_damage, ")");
    }
    line += refusals;
    if (!line.empty()) lines.push_back(cat(sink.node_name(node), ": ", line.substr(2)));
  }
  return lines;
}

}  // namespace qk::sim
