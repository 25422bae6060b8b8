// The state graph of the contract: every state that one instance can reach within small bounds, and
// every call that it can be given in each of them, those that change nothing and those that must be
// refused included. It is generated from the model (model.h) alone: a state is a State, and what a
// call does to it is what Model says.
//
// Names are stable: they say what a state or a call is, and do not depend on the bounds.
//
//   state  1:12.t2p.s1     the log's first index, the term of each entry ("-": empty); term and vote
//                          (p and q are two peers, "-" is nobody); the snapshot's index, 0: none
//   call   append:12       entries of these terms; append:none, :gap, :overlap, :hole, :term0
//          prefix:3 suffix:0 reset:2     as in families::Mutation
//          save:t2p        publish:1     publish:1-other (other peers), :0, :term0
//          nothing         an empty batch: what surrounds a call, opening and closing, by itself
//
// What an entry or a snapshot holds follows from its index and term, so that the same index has other
// bytes, another length and another type when it is written again.
//
// Not here: more than one call in flight, reading, several readers of a snapshot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "conformance/model.h"

namespace qk::sim::conformance {

struct GraphBounds {
  int64_t last_index = 2;      // of the log; it may begin one index later
  int64_t terms = 2;           // of entries and votes: 1..terms
  int64_t snapshot_index = 2;  // snapshots at 1..snapshot_index
};

struct GraphEdge {
  size_t from = 0;
  size_t to = 0;
  std::string name;
  Change change;
  Model::Verdict verdict = Model::Verdict::kApplied;
};

struct GraphState {
  std::string name;
  State state;
  std::vector<size_t> edges;  // that begin here
  size_t parent = 0;          // the edge by which it is reached first; the first state has none
};

class StateGraph {
 public:
  explicit StateGraph(const GraphBounds& bounds);

  const std::vector<GraphState>& states() const { return states_; }
  const std::vector<GraphEdge>& edges() const { return edges_; }
  // A shortest way from a fresh instance, as edges.
  std::vector<size_t> path_to(size_t state) const;

  // Walks that take every edge, each from a fresh instance and of at most `longest` steps beyond the
  // way to its first new edge: the nearest edge that no walk has taken, again and again.
  struct Step {
    size_t edge = 0;
    bool is_new = false;
  };
  std::vector<std::vector<Step>> walks(size_t longest) const;

  // One edge for each call in each state of its own domain: the rest of its state is picked so that
  // all of it occurs. Ascending.
  std::vector<size_t> edges_by_domain() const;

 private:
  std::vector<GraphState> states_;
  std::vector<GraphEdge> edges_;
};

}  // namespace qk::sim::conformance
