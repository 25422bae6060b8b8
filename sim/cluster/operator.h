// RollingOperator: the person with the runbook. It takes a cluster through the plan's migrations,
// one node at a time: followers first, the leader last after a leadership transfer, with the
// cluster guard asked before each risky step. It sees what an operator sees (phases, health,
// leader) and acts only through the controller's requests, a leadership transfer and planned
// restarts.
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/world.h"

namespace qk::sim {

class RollingOperator {
 public:
  RollingOperator(const World& world, std::vector<SimNode*> nodes);

  void start();
  // Every migration of the plan has ended, well or not.
  bool done() const { return migration_ >= world_.plan->migrations.size(); }
  // Why a migration was given up, one line each.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  enum class Stage : uint8_t { kChoose, kStart, kCopy, kDual, kValidate, kCut, kProbe, kAccept };

  void tick();
  void advance();
  void next_stage(Stage stage);
  void choose();
  void leave(std::string note);
  bool guard_allows();
  bool healthy(const SimNode& node) const;
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
};

}  // namespace qk::sim
