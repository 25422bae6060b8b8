// RollingOperator: the person with the runbook. It takes a cluster through the plan's migrations,
// one node at a time: followers first, the leader last after a leadership transfer, with the
// cluster guard asked before each risky step. It sees what an operator sees (phases, health,
// leader, the leader's configuration) and acts only through the controller's requests, a leadership
// transfer and planned restarts.
//
// Whenever it does not go on it has a reason, which is in the trace (mig.wait) from the look that
// found it to the look that found another one.
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "sim/cluster/world.h"

namespace qk::sim {

class RollingOperator {
 public:
  RollingOperator(const World& world, std::vector<SimNode*> nodes);

  void start();
  // Every migration of the plan has ended, well or not.
  bool done() const { return migration_ >= world_.plan->migrations.size(); }
  // Why a migration was given up, and which phases were gone through again, one line each.
  std::vector<std::string> notes() const;
  // A node has entered `to`; `reason`: what its manifest says of it.
  void phase_entered(const SimNode& node, PhaseCode from, PhaseCode to, std::string_view reason);
  // Which moves of the plan no node was ever asked to make, or refused, and why.
  std::vector<std::string> not_started() const;

  // What hindered the roll, each reason once, the longest first; and, if it is not done, what it
  // waits for now, first. For people: "n2 for 1.84s: n2 is down".
  std::vector<std::string> waits() const;

 private:
  enum class Stage : uint8_t {
    kChoose,
    kRetire,
    kRetired,
    kStart,
    kCopy,
    kDual,
    kValidate,
    kCut,
    kProbe,
    kAccept
  };

  struct Wait {
    std::string node;  // empty: between two nodes
    RollWait why = RollWait::kNone;
    std::string reason;
    Nanos total = 0;  // over all stays in it that have ended
    uint64_t stays = 0;
    friend bool same(const Wait& a, const Wait& b) {
      return a.node == b.node && a.why == b.why && a.reason == b.reason;
    }
  };

  void tick();
  void advance();
  void take_step();
  // Said by every step that does not go on; a step that does says nothing.
  void wait(RollWait why, std::string reason);
  void record_wait(Wait now);
  void tell_progress();
  void next_stage(Stage stage);
  void choose();
  void leave(std::string note);
  void not_started(const SimNode& node, std::string_view reason);
  void start_node();
  // Whether the guard lets the node take a step now. Waits, or gives the node up, if not.
  bool guard_allows();
  // Whether it is time for the leader to hand over to another voter first; asks for it then.
  bool hands_over();
  bool votes(const SimNode& node) const;
  // Why the node cannot be worked on; nullopt if it can.
  std::optional<std::string> ailment(const SimNode& node) const;
  bool healthy(const SimNode& node) const { return !ailment(node); }
  SimNode* leader() const;
  void after_rollback();

  World world_;
  std::vector<SimNode*> nodes_;
  size_t migration_ = 0;
  std::vector<SimNode*> done_;  // of the present migration
  SimNode* node_ = nullptr;
  Stage stage_ = Stage::kChoose;
  Nanos stage_since_ = 0;
  Nanos idle_until_ = 0;
  uint32_t retries_ = 0;
  std::vector<std::string> notes_;
  // Of a node from one phase of a migration to an earlier one, or to the same.
  struct Return {
    NodeId node = 0;
    PhaseCode from = PhaseCode::kA;
    PhaseCode to = PhaseCode::kA;
    std::string cause;   // without the figures of one time
    std::string reason;  // the last one
    uint64_t times = 0;
  };
  std::vector<Return> returns_;
  // How far the roll is: migration, nodes done, retries of the present one, its phase, its stage.
  using Place = std::tuple<size_t, size_t, uint32_t, migration::Phase, Stage>;
  Place furthest_;
  struct NotStarted {
    size_t migration = 0;
    NodeId node = 0;
    std::string reason;
  };
  std::vector<NotStarted> not_started_;
  Wait waiting_;  // as of the last look
  Nanos waiting_since_ = 0;
  bool went_on_ = true;      // the step of this look
  std::vector<Wait> ended_;  // hindered ones, each once
};

}  // namespace qk::sim
