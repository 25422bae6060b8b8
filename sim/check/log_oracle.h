// LogOracle: the replicated log.
//
//   ora.R4  two entries of equal index and term are equal in type and payload, and the entries
//           before them have equal terms; by induction the logs are equal up to there. Judged when
//           an entry is handed to storage, and over the initial directories.
//   ora.R5  the log of a leader elected in term T, storage's and what it still queues, holds every
//           entry that was declared committed in a term below T (or a snapshot covers it)
//   ora.R6  (with ApplyOracle) no two nodes declare different entries committed at one index
//   ora.R7  when an index is first declared committed, a majority of voters durably holds it: of
//           the voters in the last configuration entry of the log (or else the snapshot) of the
//           node that says so; of a joint one, a majority of each half. Machines without a vote do
//           not count. The cheap half counts the nodes whose *acked* storage holds it;
//           commit_probed judges what a caller found on disks with everything unsynced dropped. And
//           the first commit index that covers an entry is of the term of the node that says so: a
//           majority that holds an entry of an earlier term alone proves nothing (figure 8).
//
// Not checked: entries below the first one that a node retains.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "sim/check/finding.h"
#include "sim/check/ghost_state.h"

namespace qk::sim {

class LogOracle {
 public:
  explicit LogOracle(const FindingSink* sink) : sink_(sink) {}

  void seed(int node, const StateImage& state);
  // `previous_term`: of the entry before the first one; 0 if it is not known.
  void appended(int node, int64_t previous_term, std::span<const EntryDigest> entries);
  // `log`: everything that the new leader's log holds.
  void leader_elected(int node, int64_t term, const StateImage& log) const;
  // What the configuration entry (index, term) says, wherever it was seen.
  void configuration_seen(int64_t index, int64_t term,
                          const families::Configuration& configuration);
  // The node's commit index advances to an entry of `term`; the node is in `node_term`.
  void commit_advanced(int node, int64_t index, int64_t term, int64_t node_term) const;
  // `commit_term`: the current term of the node that says so. `ghosts`: of all nodes.
  void committed(int node, const EntryDigest& entry, int64_t commit_term,
                 std::span<const GhostState> ghosts);
  // `ghost`: of the node that declared it committed.
  void commit_probed(int64_t index, int64_t term, std::span<const int> holders,
                     const GhostState& ghost) const;

  // Of the nodes, in their order: how configurations name them.
  void set_peers(std::vector<std::string> peers) { peers_ = std::move(peers); }

  const std::vector<std::string>& peers() const { return peers_; }

  // The last configuration that the node's log holds, or its snapshot's; all nodes while neither
  // has one.
  families::Configuration in_force(const GhostState& ghost) const;

  // Each entry of the state was handed to storage by some node, with this index and term.
  bool knows(const StateImage& state) const;

  int64_t commit_index() const { return committed_.empty() ? 0 : committed_.rbegin()->first; }

 private:
  struct Written {
    EntryDigest entry;
    int64_t previous_term = 0;
    int node = 0;
  };
  struct Committed {
    EntryDigest entry;
    int64_t commit_term = 0;
    int node = 0;
  };

  const FindingSink* sink_;
  std::vector<std::string> peers_;
  std::map<std::pair<int64_t, int64_t>, families::Configuration> configurations_;
  std::map<std::pair<int64_t, int64_t>, Written> written_;  // by (index, term)
  std::map<int64_t, Committed> committed_;                  // by index
};

}  // namespace qk::sim
