#include "sim/cluster/election_watch.h"

#include "families/base/strings.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

std::string range_text(Nanos low, Nanos high) {
  return cat(seconds_text(low, 3), "s to ", seconds_text(high, 3), "s");
}

}  // namespace

std::optional<std::string> ElectionWatch::failure(const ClusterPlan& plan,
                                                  uint64_t committed) const {
  if (committed > 0) return std::nullopt;
  const DurationRange& timeout = plan.election_timeout;
  const std::string timeout_text =
      cat("the election timeout (", range_text(timeout.low, timeout.high), ")");
  // Save by the candidate, question, save by the voter, answer: all within one timeout.
  std::string why;
  if (issued_ > 0 && saved_ == 0) {
    why = "no term or vote was ever saved: syncs take longer than the run";
  } else if (saved_ > 0 && fastest_save_ >= timeout.low) {
    why = cat("saving a term or vote took ", range_text(fastest_save_, slowest_save_),
              ": syncs take longer than ", timeout_text);
  } else if (saved_ > 0 && 2 * fastest_save_ >= timeout.low) {
    why = cat("saving a term or vote took ", range_text(fastest_save_, slowest_save_),
              ": a candidate's sync and then a voter's take longer than ", timeout_text);
  } else if (2 * plan.link.latency.low >= timeout.low) {
    why = cat("a message takes ", range_text(plan.link.latency.low, plan.link.latency.high),
              ": a question and its answer take longer than ", timeout_text);
  }
  if (!why.empty()) why = cat("; ", why);
  if (leaders_ > 0) return cat(leaders_, " leaders were elected, and none committed an entry", why);
  if (candidates_ > 0) return cat("no leader was elected in ", candidates_, " elections", why);
  return cat("no leader was elected: no node won a pre-vote", why);
}

}  // namespace qk::sim
