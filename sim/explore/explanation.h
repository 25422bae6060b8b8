// Explanation: from the first faulty step to a violation, in words, out of the full trace of the
// run.
//
//   what      the violation, as the run reported it
//   subject   the mutation that the finding is about (suspect.h): when its node was given it, when
//             the node said that it was done, who waited for it; or that it was in flight when the
//             process ended, with whatever else was
//   disk      what the node did with its disk for it, and which bytes a power cut could still take
//   sides     where two families are compared, what a power cut could take of each
//   since     what happened to the node and to the same files between then and the violation
//   step      the first faulty one, and what follows such a step elsewhere
//   chain     the causes of the violation, the nearest last; of storage, from the last mutation on
//
// What is said follows from the trace alone: no oracle, no file and no run is asked. It is a way to
// look, not a proof: the first faulty step is named where one of a few known shapes fits, and
// otherwise it says that none does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/cluster/run.h"
#include "sim/kernel/trace.h"

namespace qk::sim {

struct ExplainOptions {
  // Lines of the trace before the event, of its node or, with `cone`, of its causal past: what led
  // to it by causes and, on each node, by coming before.
  uint64_t radius = 40;
  bool cone = false;
};

// `trace` is at kFull; its events are 1 .. trace.events(), and the violation's among them.
std::string explain_violation(const Trace& trace, const Violation& violation,
                              const ExplainOptions& options);
// `seq`: 1 .. trace.events().
std::string explain_event(const Trace& trace, uint64_t seq, const ExplainOptions& options);

}  // namespace qk::sim
