// ClusterView: what somebody who explores a run from inside sees of it, between two events. It is
// the run itself: what is done here is done to it, so explorers do it in a copy of the process.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "sim/check/checker.h"
#include "sim/cluster/plan.h"
#include "sim/kernel/time.h"

namespace qk::sim {

class SimNode;
struct Violation;

class ClusterView {
 public:
  virtual ~ClusterView() = default;

  virtual std::span<SimNode* const> nodes() const = 0;
  virtual const Checker& checker() const = 0;
  virtual Nanos now() const = 0;
  // Of the event that is next; the end of the run if there is none.
  virtual Nanos next_time() = 0;
  virtual void at(Nanos t, std::function<void()> fn) = 0;
  // False: the run is over, by time or by a violation.
  virtual bool run_next() = 0;
  // The run is over now: what is left of it is of no interest.
  virtual void end() = 0;
  virtual const std::vector<Violation>& violations() const = 0;
  // As RunResult::injected, so far.
  virtual std::vector<FaultPlan> injected() const = 0;
};

}  // namespace qk::sim
