// Runner: drives the Controller of one node. It asks the controller what it needs and gives it
// that: a step when the disk is the migration's, or a step under a barrier over all lanes; it runs
// the engines' background work, one piece at a time, and tells of each mark when it is durable.
//
//   pump --> need() --kStep----> after(pause) ---> step --+
//     ^             \-kBarrier-> at_barrier -----> step --+--> after_storage --> marks, release
//     |                                                                                    |
//     +------------------------------------------------------------------------------------+
//
// One step is under way at a time. Background work has a cycle of its own, which a step does not
// hold up: pump -> busy_family() -> when_idle -> one piece -> pump.
//
// The order at the end of a step is part of the contract: what the step wrote is complete, then
// its marks are told, then the barrier is released, then the next need is asked for. So a phase
// is told before the node answers any message from within it.
//
// An owner
//   1. opens the runner: this is the start of the node's storage (Controller::open());
//   2. when what the start wrote is durable, calls start(), then starts what issues mutations;
//   3. calls pump() after every request to the controller, and after everything that may have left
//      work to an engine: each mutation, each start;
//   4. calls stop() when the node is about to end, for whatever reason, and destroys the runner
//      after everything that uses the controller's driver.
// All calls, and all that the host calls back, come from one thread at a time, never from inside a
// mutation. After a crash nothing is left of a runner: the next one opens, and the controller knows
// from its manifest how to go on.
//
// Not here: when to migrate (requests go to the controller), and whether a cluster can bear it
// (cluster_guard.h).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "migration/controller.h"

namespace qk::migration {

// What only the node's owner knows. A callback is called at most once, never from inside the call
// that hands it over (after_storage() alone may, where storage calls end when they return), and not
// at all once the node has ended.
class RunnerHost {
 public:
  virtual ~RunnerHost() = default;

  // Calls `then` when at least `ns` nanoseconds have passed, in which the disk is the node's.
  virtual void after(int64_t ns, std::function<void()> then) = 0;
  // Calls `then` when no lane has a mutation in flight, and begins none from then on until
  // release_barrier(); what is issued meanwhile waits. One barrier is asked for at a time. A node
  // that stops while it holds one is never told to release it.
  virtual void at_barrier(std::function<void()> then) = 0;
  virtual void release_barrier() = 0;
  // Calls `then` when everything that was issued to the disk so far is complete.
  virtual void after_storage(std::function<void()> then) = 0;
  // The same for one piece of background work: `then` may wait for a better time, but not forever,
  // because engines refuse mutations when too much of it is left.
  virtual void when_idle(std::function<void()> then) = 0;
  // The node must stop: it can no longer say what its storage holds. Everything durable is left as
  // it is for the next start.
  virtual void stop(const absl::Status& why) = 0;
};

// Who wants to be told, beyond what the controller itself tells.
class RunnerObserver : public ControllerObserver {
 public:
  // The mark that phase_changed() told of is durable.
  virtual void mark_durable(Phase /*from*/, const Manifest& /*to*/) {}
  // A step begins; with `at_barrier` no lane has a mutation in flight.
  virtual void step_begins(bool /*at_barrier*/) {}
  // A piece of background work of the family is done.
  virtual void background_done(const families::Family&) {}
  // Everything that a step issued is complete, and its marks are told.
  virtual void step_complete() {}
  // A step or a piece of background work has just used the disk.
  virtual void storage_used() {}
};

class Runner final : private ControllerObserver {
 public:
  // The node's start (Controller::open()); the observer comes as an argument, not in the options.
  // All that the arguments point to must outlive the runner.
  static absl::StatusOr<std::unique_ptr<Runner>> open(ControllerOptions options, RunnerHost* host,
                                                      RunnerObserver* observer = nullptr);

  Controller& controller() { return *controller_; }
  const Controller& controller() const { return *controller_; }

  // Tells of the marks of the start; from now on the migration goes on. Before it, pump() runs
  // background work alone, because there are no lanes that a barrier could hold.
  void start();
  // Begins whatever is due and not under way yet.
  void pump();
  // Nothing begins any more. What is complete is still told.
  void stop() { stopped_ = true; }
  // Taken so far.
  uint64_t steps() const { return steps_; }

 private:
  Runner(RunnerHost* host, RunnerObserver* observer) : host_(*host), observer_(observer) {}

  // ControllerObserver
  void mark_begun(Phase from, const Manifest& to) override;
  void phase_changed(Phase from, const Manifest& to) override;
  void cut_compared(int which, const CutRecord& a, const Digest& b) override;
  void export_begun() override;
  void reconciled(const std::string& action) override;

  void pump_background();
  void run_background();
  void pump_migration();
  void take_step(bool at_barrier);
  // Tells of what has been marked so far, once it is durable.
  void tell_when_durable();
  void tell_marks(uint64_t up_to);
  void storage_used();
  void fail(const absl::Status& why);

  RunnerHost& host_;
  RunnerObserver* const observer_;
  std::unique_ptr<Controller> controller_;
  std::deque<std::pair<Phase, Manifest>> marks_;  // written, not told yet
  uint64_t marks_written_ = 0;
  uint64_t marks_due_ = 0;  // of these: somebody waits for the disk, to tell of them
  uint64_t steps_ = 0;
  bool started_ = false;
  bool stopped_ = false;
  bool step_due_ = false;        // asked for, or under way
  bool background_due_ = false;  // asked for
};

}  // namespace qk::migration
