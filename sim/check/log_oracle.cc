#include "sim/check/log_oracle.h"

#include <algorithm>

namespace qk::sim {
namespace {

bool is_majority(size_t count, size_t voters) { return 2 * count > voters; }

}  // namespace

void LogOracle::seed(int node, const StateImage& state) {
  const bool at_snapshot =
      state.snapshot && state.snapshot->meta.last_included_index == state.first - 1;
  appended(node, at_snapshot ? state.snapshot->meta.last_included_term : 0, state.entries);
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

void LogOracle::committed(int node, const EntryDigest& entry, int64_t commit_term,
                          std::span<const GhostState> ghosts, std::span<const int> voters) {
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
  for (const int voter : voters) {
    const StateImage& acked = ghosts[static_cast<size_t>(voter)].acked();
    if (acked.holds(entry.index, entry.term)) holders.push_back(voter);
  }
  commit_probed(entry.index, entry.term, holders, voters);
}

void LogOracle::commit_probed(int64_t index, int64_t term, std::span<const int> holders,
                              std::span<const int> voters) const {
  size_t count = 0;
  std::string names;
  for (const int voter : voters) {
    if (std::find(holders.begin(), holders.end(), voter) != holders.end()) ++count;
  }
  if (is_majority(count, voters.size())) return;
  for (const int holder : holders) names += cat(" ", sink_->node_name(holder));
  sink_->report(
      "ora.R7", kCluster, index,
      cat("index ", index, ", term ", term, " durable on a majority of ", voters.size(), " voters"),
      cat("durable on ", count, ":", names.empty() ? " none" : names));
}

}  // namespace qk::sim
