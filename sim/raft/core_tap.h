// CoreTap: what may come between whoever drives a core and the core itself, for planted bugs: a
// rule of Raft is broken by what the core is told and by what is made of its effects, so the core
// needs no switch for it. rule_mutants.h has the rules; without a tap a step costs a null check.
#pragma once

#include <vector>

#include "sim/raft/core.h"

namespace qk::raft {

class CoreTap {
 public:
  virtual ~CoreTap() = default;
  // The core is about to get `event`, which may be changed. What is put into `first` it gets before
  // that. False: it does not get the event at all.
  virtual bool before(Core& core, Event& event, std::vector<Event>* first) = 0;
  // The effects of a step, before anybody carries them out.
  virtual void after(Core& core, Effects* effects) = 0;
};

}  // namespace qk::raft
