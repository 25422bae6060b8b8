// A hard state whose term is below that of the last log entry or of the snapshot: the save of the
// higher term was lost, and with it maybe a vote in it, so the node may vote twice in that term. A
// missing `raft_meta` beside a log of term 2 or more is the usual case.
//
// braft's storage opens such a state, and so does every family; braft's node raises the term to the
// last entry's plus one and goes on. Here no node starts on it and no image is made of it, unless
// the caller accepts the loss. Our own node saves a term before it writes anything of that term
// (sim/raft/lanes.h), so no crash leaves such a state.
#pragma once

#include <optional>

#include "families/contract/types.h"

namespace qk::families {

// FailedPrecondition with both terms if the vote may be lost. `last_log_term` is 0 for an empty
// log.
absl::Status check_vote_not_lost(const HardState& state, int64_t last_log_term,
                                 const std::optional<SnapshotMeta>& snapshot);

}  // namespace qk::families
