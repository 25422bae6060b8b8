// Shrinking: a scenario that fails, made as small as it goes while it fails in the same way.
//
// Method. The failing run is written out (written_plan.h), so that all it does is in the text. Then
// one thing after another is taken away: faults, what crashes left, migrations, nodes, clients,
// operations, properties of links and disks, waits, time. A step that still fails with the same
// signature is kept, and written out again, so that decisions which no longer apply are gone. Rounds go
// on until one of them keeps nothing. Where more than a few operations or several faults are left then,
// few operations are tried in clusters that make more of them: with larger values, more frequent
// snapshots, a slower pace, a crash, one fault of each kind alone, and some other seeds; from one that
// fails the rounds begin again. The result is as small as steps of this kind can make it, which is not
// the smallest there is.
//
// Nothing here reads a clock or draws anything: same failure, same calls of `run`, same result,
// unless time runs out.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/loader.h"
#include "sim/cluster/run.h"

namespace qk::scenarios {

// What must stay: the oracle that the first violation broke, and the phase of its node. Not the last
// fault before it, by which a sweep also tells findings apart: shrinking takes faults away.
struct FailureSignature {
  std::string oracle;
  std::string phase;
  bool operator==(const FailureSignature&) const = default;
};

// Nothing, if the run violates nothing.
std::optional<FailureSignature> failure_of(const sim::RunResult& result);

struct ShrinkTools {
  std::function<LoadResult(const ScenarioSource&)> load;
  // Nothing, if the run ended in a failed check of the program's own: another failure. Of a run that
  // does not fail as the one to shrink does, verdict, oracle and phase are enough.
  std::function<std::optional<sim::RunResult>(const sim::Plan&)> run;
  // A failure of the same oracle counts, whatever the phase of the node. For who knows that there is
  // one bug, because it was planted: of an unknown one another phase is often another bug.
  bool any_phase = false;
  // Asked before each run: whether to stop here, and go on to look for the run that passes.
  std::function<bool()> stop = [] { return false; };
  // Asked before each run of that: whether to end without one.
  std::function<bool()> give_up = [] { return false; };
  // Told of each step that was kept: "faults 12 -> 3".
  std::function<void(const std::string&)> kept = [](const std::string&) {};
};

struct Shrunk {
  // A scenario that expects the violation, and pins seed and planted bug; loads and runs as a file.
  std::string text;
  FailureSignature failure;
  sim::RunResult result;
  // The nearest scenario that was tried and passes, as a file; of a planted bug one without it.
  // Empty: none was found.
  std::string sibling;
  std::string difference;          // of the sibling: "without crash n2 at 22.8s"
  std::vector<std::string> steps;  // that were kept
  uint64_t runs = 0;
  bool complete = false;  // the last round kept nothing
};

// `loaded` is what ran and failed with `result`. The scenario is called `name`, and the sibling
// NAME-passes. FailedPrecondition if `result` has no violation, or if its written form does not
// fail in the same way.
// Cancelled: `stop` said so before that was known.
absl::StatusOr<Shrunk> shrink(const LoadResult& loaded, const sim::RunResult& result,
                              const std::string& name, const ShrinkTools& tools);

}  // namespace qk::scenarios
