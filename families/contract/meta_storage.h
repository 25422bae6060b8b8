// MetaStorage: the hard state (term, vote). After a crash it is the last saved pair or the one
// being saved, never a mix; a saved pair is never forgotten (a lost record must not read as fresh).
#pragma once

#include "families/contract/outcome.h"
#include "families/contract/types.h"

namespace qk::families {

class MetaStorage {
 public:
  virtual ~MetaStorage() = default;

  // HardState{} before the first save.
  virtual HardState hard_state() const = 0;
  // failed-clean InvalidArgument if the term would go down, or if it is unchanged and the vote
  // would change from one peer to another or to nobody.
  virtual Outcome save(const HardState& state) = 0;
};

// The rule of save(), for every family: OK or InvalidArgument with both states in the message.
absl::Status check_hard_state_change(const HardState& from, const HardState& to);

}  // namespace qk::families
