// PromiseOracle: what a node says of its storage to others, against what its storage has
// acknowledged.
//
//   ora.R12  a success that a leader counts is about entries that the follower durably holds.
//            Judged when the answer arrives at a node that leads in the term of the answer,
//            unless the follower has moved on to a later term.
//   ora.R13  a message that leaves speaks of a term, a granted vote, or entries, that are durable
//            on its sender: acknowledged by all the storage that the sender's phase demands.
//
// Both are judged against the ghost, so whether what was acknowledged is durable is not judged here
// (ora.L1, ora.D1). Not judged: pre-votes, which speak of a term that nobody is in; chunks of
// snapshots; what a leader tells of its commit index (ora.R7).
#pragma once

#include <cstdint>
#include <string>

#include "sim/check/finding.h"
#include "sim/check/ghost_state.h"

namespace qk::sim {

class PromiseOracle {
 public:
  explicit PromiseOracle(const FindingSink* sink) : sink_(sink) {}

  // A message leaves `node`, whose storage owes `ghost`: it is of this term; grants this vote; says
  // that the log holds this entry, and so all before it.
  void speaks_of_term(int node, int64_t term, const GhostState& ghost) const;
  void grants(int node, int64_t term, const std::string& candidate, const GhostState& ghost) const;
  void confirms(int node, int64_t index, int64_t term, const GhostState& ghost) const;
  // The answer of `follower` reaches the leader of `leader_term`, who counts it for this entry.
  void counted(int follower, int64_t leader_term, int64_t index, int64_t term,
               const GhostState& ghost) const;

 private:
  const FindingSink* sink_;
};

}  // namespace qk::sim
