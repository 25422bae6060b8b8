#include "sim/check/log_oracle.h"

#include <algorithm>

namespace qk::sim {
namespace {}  // namespace

void LogOracle::seed(int node, const StateImage& state) {
  const bool at_snapshot =
      state.snapshot && state.snapshot->meta.last_included_index == state.first - 1;
  appended(node, at_snapshot ? state.snapshot->meta.last_included_term : 0, state.entries);
  for (const auto& [index, configuration] : state.configurations) {
    configuration_seen(index, state.find(index)->term, configuration);
  }
}

void LogOracle::configuration_seen(int64_t index, int64_t term,
                                   const families::Configuration& configuration) {
  configurations_[{index, term}] = configuration;
}

families::Configuration LogOracle::in_force(const GhostState& ghost) const {
  const auto& snapshot = ghost.acked().snapshot;
  const int64_t covered = snapshot ? snapshot->meta.last_included_index : 0;
  for (auto it = configurations_.rbegin(); it != configurations_.rend(); ++it) {
    const auto& [index, term] = it->first;
    if (index <= covered) break;
    if (ghost.term_at(index) == term) return it->second;
  }
  if (snapshot && !snapshot->meta.peers.empty()) {
    return {snapshot->meta.peers, snapshot->meta.old_peers};
  }
  return {peers_, {}};
}

bool LogOracle::knows(const StateImage& state) const {
  return std::all_of(state.entries.begin(), state.entries.end(), [&](const EntryDigest& entry) {
    const auto found = written_.find({entry.index, entry.term});
    return found != written_.end() && found->second.entry == entry;
  });
}

void LogOracle::appended(int node, int64_t previous_term, std::span<const EntryDigest> entries) {
  for (const EntryDigest& entry : entries) {
    const auto [found, inserted] = written_.try_emplace(std::pair(entry.index, entry.term),
                                                        Written{entry, previous_term, node});
    Written& known = found->second;
    if (!inserted) {
      if (known.entry != entry) {
        sink_->report("ora.R4", node, entry.index,
                      cat(describe(known.entry), ", as ", sink_->node_name(known.node), " has it"),
                      describe(entry));
      } else if (known.previous_term != 0 && previous_term != 0 &&
                 known.previous_term != previous_term) {
        sink_->report("ora.R4", node, entry.index - 1,
                      cat("term ", known.previous_term, " before ", describe(entry), ", as ",
                          sink_->node_name(known.node), " has it"),
                      cat("term ", previous_term));
      }
      if (known.previous_term == 0) known.previous_term = previous_term;
    }
    if (entry.term < previous_term) {
      sink_->report("ora.R4", node, entry.index, cat("term at least ", previous_term),
                    describe(entry));
    }
    previous_term = entry.term;
  }
}

void LogOracle::leader_elected(int node, int64_t term, const StateImage& log) const {
  const int64_t covered = log.snapshot ? log.snapshot->meta.last_included_index : 0;
  for (auto it = committed_.upper_bound(covered); it != committed_.end(); ++it) {
    const auto& [index, committed] = *it;
    if (committed.commit_term >= term) continue;
    const EntryDigest* found = log.find(index);
    if (found && *found == committed.entry) continue;
    sink_->report(
        "ora.R5", node, index,
        cat("leader of term ", term, " holds ", describe(committed.entry), ", committed by ",
            sink_->node_name(committed.node), " in term ", committed.commit_term),
        found ? describe(*found) : cat("log [", log.first, ", ", log.last, "]"));
    return;
  }
}

void LogOracle::commit_advanced(int node, int64_t index, int64_t term, int64_t node_term) const {
  if (index <= commit_index() || term == node_term) return;
  // What the snapshots of initial directories hold was committed before anybody said so. It ends
  // with the first commit in a leader's own term.
  if (committed_.empty()) return;
  const Committed& last = committed_.rbegin()->second;
  if (last.entry.term < last.commit_term) return;
  sink_->report(
      "ora.R7", node, index,
      cat("a new commit index at an entry of term ", node_term, ", the term of who advances it"),
      cat("index ", index, ", term ", term));
}

void LogOracle::committed(int node, const EntryDigest& entry, int64_t commit_term,
                          std::span<const GhostState> ghosts) {
  const auto [found, inserted] =
      committed_.try_emplace(entry.index, Committed{entry, commit_term, node});
  if (!inserted) {
    if (found->second.entry != entry) {
      sink_->report("ora.R6", node, entry.index,
                    cat(describe(found->second.entry), ", committed by ",
                        sink_->node_name(found->second.node)),
                    cat(describe(entry), " declared committed"));
    }
    return;
  }
  std::vector<int> holders;
  for (size_t i = 0; i < ghosts.size(); ++i) {
    if (ghosts[i].acked().holds(entry.index, entry.term)) holders.push_back(static_cast<int>(i));
  }
  commit_probed(entry.index, entry.term, holders, ghosts[static_cast<size_t>(node)]);
}

void LogOracle::commit_probed(int64_t index, int64_t term, std::span<const int> holders,
                              const GhostState& ghost) const {
  const families::Configuration configuration = in_force(ghost);
  for (const std::vector<std::string>* half : {&configuration.peers, &configuration.old_peers}) {
    if (half == &configuration.old_peers && half->empty()) continue;
    size_t count = 0;
    std::string names;
    for (const int holder : holders) {
      const std::string& peer = peers_[static_cast<size_t>(holder)];
      const bool votes = std::find(half->begin(), half->end(), peer) != half->end();
      if (votes) ++count;
      names += cat(" ", sink_->node_name(holder), votes ? "" : " (no vote)");
    }
    if (2 * count > half->size()) continue;
    sink_->report("ora.R7", kCluster, index,
                  cat("index ", index, ", term ", term, " durable on a majority of ", half->size(),
                      half == &configuration.old_peers ? " old" : "", " voters"),
                  cat("durable on ", count, ":", names.empty() ? " none" : names));
    return;
  }
}

}  // namespace qk::sim
