// MigratingNode: one node under migration's controller, with side A of a pair as its family and
// side B as what it migrates to, and a model of what was acknowledged. Time is the node's own, so
// that a check can let a cut go stale.
//
// open(), apply() and restart() hold the node to the model, and while it writes both families,
// both.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conformance/pair_context.h"
#include "migration/stepwise_runner.h"

namespace qk::sim::conformance {

class MigratingNode : private migration::RunnerObserver {
 public:
  // With `registry` instead of the pair's, if given; it must outlive the node.
  explicit MigratingNode(PairContext* c, const families::Registry* registry = nullptr,
                         std::string_view name = "node");
  ~MigratingNode() override;

  // This node on a fork of its context: closed, with everything that it remembers.
  std::unique_ptr<MigratingNode> on(PairContext* fork) const;

  // What the roots of all instances that nodes of this pair migrate to begin with.
  static std::string target_prefix(const PairContext& c);

  // A fresh node with this history.
  void begin(const std::vector<Change>& history);
  // Opens it again; the check of the state is left to the caller.
  absl::Status open();
  void close();
  // close(), open(), and everything acknowledged is there.
  void restart();
  // The machine stops; simulated disks only.
  CrashReport crash(CrashLevel level, Choice& choice);

  bool is_open() const { return runner_ != nullptr; }
  // A start or a step of the migration is under way.
  bool working() const { return working_; }
  migration::Controller& controller() { return runner_->controller(); }
  migration::Phase phase() const { return runner_->controller().phase(); }
  const Model& model() const { return model_; }
  void adopt(State state) { model_ = Model(std::move(state)); }
  State state();

  // Through the node's driver; must be acknowledged.
  void apply(const Change& change);
  void apply(const std::vector<Change>& changes);
  families::Outcome try_apply(const Change& change);
  // Appends `count` entries to what is there.
  void append_some(int64_t count = 1);
  // What the model holds is in the authority, and in the mirror while there is one.
  void expect_state();

  // A request to migrate to B, with generous bounds of freshness.
  migration::MigrationRequest request() const;
  void start_migration();
  // One step, if the controller needs one; false if it needs none. An error of it fails the check.
  bool step();
  absl::StatusOr<bool> try_step();
  // The request that leads on from a phase in which the controller needs nothing.
  void request_next();
  // Steps and makes the requests on the way, from whatever phase, until it is `phase`; restarts for
  // the probe before acceptance. The check fails if that takes too long.
  void advance_to(migration::Phase phase);

  // Of every manifest written, in order; the phases that differ from the one before.
  const std::vector<migration::Phase>& phases() const { return phases_; }
  // The state at a mutation number that a cut may name.
  std::optional<State> state_at(uint64_t seq) const;
  // The migration's own clock: each look takes a nanosecond.
  int64_t& clock() { return clock_; }

  // What one step of the controller copies, from the next open() on; few by default, so that much
  // can happen in between.
  void set_step_entries(int64_t count) { step_entries_ = count; }
  // How many mutations may wait for B until it has caught up, from the next open() on.
  void set_max_queued(size_t count) { max_queued_ = count; }

  const std::string& directory() const { return directory_; }
  const std::string& initial_root() const { return initial_root_; }
  // Of B in the newest manifest; empty before the first one.
  const std::string& target_root() const { return target_root_; }

 private:
  void phase_changed(migration::Phase from, const migration::Manifest& to) override;
  void note_state();
  // Up to so many pieces of the engines' background work.
  void drain(uint64_t most);

  PairContext& c_;
  const families::Registry* const registry_;
  const std::string name_;
  const std::string directory_;
  const std::string initial_root_;
  std::string target_root_;
  RandomStream ids_;
  RandomStream background_;
  std::optional<families::Registry> planted_;  // planting.h
  int64_t clock_ = 1;
  int64_t step_entries_ = 3;
  size_t max_queued_ = migration::ControllerOptions().max_queued;
  bool created_ = false;
  bool working_ = false;
  Model model_;
  std::map<uint64_t, State> states_;  // by mutation number
  std::vector<migration::Phase> phases_;
  std::unique_ptr<migration::StepwiseRunner> runner_;
};

}  // namespace qk::sim::conformance
