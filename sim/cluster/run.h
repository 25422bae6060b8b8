// run(): executes a plan on simulated disks, network and clock, while the oracles watch.
//
// Same plan, same binary, another compiler or build type: the same result, chain included. It reads
// no wall time, touches no real file, and leaves nothing behind; a caller that wants a run directory
// writes one from the result.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/check/finding.h"
#include "sim/cluster/ack_watch.h"
#include "sim/cluster/cluster_view.h"
#include "sim/cluster/mutant.h"
#include "sim/cluster/plan.h"
#include "sim/kernel/time.h"
#include "sim/kernel/trace.h"
#include "sim/legacy/legacy_family.h"

namespace qk::sim {

// Clients go quiet before the end, so that the history closes and the nodes come to rest.
inline constexpr Nanos kClientQuiet = 2 * kSecond;

// A finding, and where in the run it was made.
struct Violation : Finding {
  Nanos t = 0;
  uint64_t seq = 0;        // the event that showed it
  std::string phase = {};  // of the node
  std::string last_fault = {};
  uint64_t chain = 0;  // at `seq`
};

struct RunResult {
  Verdict verdict = Verdict::kPass;
  std::vector<Violation> violations;
  std::vector<std::string> inconclusive;  // reasons: "scenario.txtpb:21: never fired"
  std::vector<std::string> unmet;         // how the violations differ from the expected ones
  Nanos simulated = 0;
  uint64_t events = 0;
  uint64_t chain = 0;
  std::string digest;  // SHA-256 over the chain's checkpoints, hex
  uint64_t committed = 0;
  std::vector<std::string> unjudged;  // ids of oracles that were never evaluated
  std::vector<std::string> notes;
  std::vector<std::string> stops;  // the ledger of explained stops, one line for each node
  std::vector<std::string> waits;  // RollingOperator::waits()
  // What the plan's faults and the drawn ones came to; the same plan with these for its faults, and
  // no random ones, is the same run.
  std::vector<FaultPlan> injected;
  std::optional<AckGap> ack_gap;  // the longest; nullopt: there were no clients
  // As much as RunOptions::trace asked for. The run is over: it is read, never recorded to.
  std::shared_ptr<const Trace> trace;
  std::map<std::string, uint64_t> evaluated = {};  // oracle id -> how often it was evaluated
  std::map<std::string, uint64_t> reach = {};      // Reach::counts()
  std::vector<std::string> tuples = {};            // Reach::tuples(), if RunOptions asked for them
  // One of `inconclusive` is that random faults are asked for and none was injected: of one seed
  // among many that is chance.
  bool no_random_fault = false;
  uint64_t steps = 0;  // of the scheduler
  // Of a run that turned: what it had when it did.
  struct Turned {
    uint64_t events = 0;
    Nanos t = 0;
  };
  std::optional<Turned> turned = {};
};

// Another future: the run is as planned for so many steps of its scheduler, from then on every
// random stream draws other values. What crashes leave that are still to come is drawn again; faults
// that a scenario drew come at other times, to other nodes; all else of the plan stays.
struct Turn {
  uint64_t after_steps = 0;
  uint64_t key = 0;  // which future; not 0
};

struct RunOptions {
  bool keep_going = false;  // go on after the first violation
  TraceLevel trace = TraceLevel::kMarks;
  bool tuples = false;  // RunResult::tuples is asked for
  // Called with what is known so far when a check of our own fails inside the run, or an exception
  // is not caught. It should end the process: nothing of the run can be relied on any more. If it
  // returns, a failed check aborts the process, and run() returns after an exception.
  std::function<void(const RunResult&)> internal_error;
  // The families of a machine with this memory; tests put theirs in.
  std::function<families::Registry(families::VolatileMemory*)> registry_of = simulated_families;
  // Makes the defect that Plan::planted names, other than those of plan.h itself. A plan that names
  // one that it does not make is a bug of the caller.
  std::function<std::unique_ptr<Mutant>(const Plan&)> mutant_of = {};
  std::optional<Turn> turn = {};
  // Called before each event, and before the first one.
  std::function<void(ClusterView&)> between_events = {};
};

RunResult run(const Plan& plan, const RunOptions& options);

// Starts each node that begins with a directory, or is told where its storage lies, alone and
// without faults, and says which of these a run cannot begin with: one that the node refuses, or
// whose configuration it is not part of, or of whose voters too few are nodes of the plan to ever
// elect a leader; and, if there is none, whether they are of one cluster (check_one_cluster()).
// That is a mistake in the input, and no finding about what runs.
std::vector<BadStart> check_initial(const Plan& plan);

}  // namespace qk::sim
