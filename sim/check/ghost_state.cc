#include "sim/check/ghost_state.h"

#include <algorithm>
#include <array>
#include <utility>

#include "families/base/check.h"

namespace qk::sim {
namespace {

using families::Operation;

void set_empty(StateImage* log, int64_t first) {
  log->entries.clear();
  log->first = first;
  log->last = first - 1;
}

// What the contract says that the mutation does to the log (log_storage.h).
void apply_to_log(const GhostMutation& mutation, StateImage* log) {
  switch (mutation.operation) {
    case Operation::kAppend:
      log->entries.insert(log->entries.end(), mutation.entries.begin(), mutation.entries.end());
      log->last += static_cast<int64_t>(mutation.entries.size());
      return;
    case Operation::kTruncatePrefix: {
      const int64_t first = mutation.index;
      if (first <= log->first) return;
      if (first > log->last) return set_empty(log, first);
      log->entries.erase(log->entries.begin(), log->entries.begin() + (first - log->first));
      log->first = first;
      return;
    }
    case Operation::kTruncateSuffix:
      if (mutation.index >= log->last || mutation.index < log->first - 1) return;
      log->entries.resize(static_cast<size_t>(mutation.index - log->first + 1));
      log->last = mutation.index;
      return;
    case Operation::kReset:
      return set_empty(log, mutation.index);
    case Operation::kSaveMeta:
    case Operation::kPublish:
      return;
  }
}

bool same_log(const StateImage& a, const StateImage& b) {
  return a.first == b.first && a.last == b.last && a.entries == b.entries;
}

// `state` is `log` and then a prefix of `batch`.
bool is_batch_prefix(const StateImage& state, const StateImage& log,
                     const std::vector<EntryDigest>& batch) {
  const int64_t extra = state.last - log.last;
  return state.first == log.first && extra >= 0 && extra <= static_cast<int64_t>(batch.size()) &&
         std::equal(log.entries.begin(), log.entries.end(), state.entries.begin()) &&
         std::equal(batch.begin(), batch.begin() + extra,
                    state.entries.begin() + static_cast<int64_t>(log.entries.size()));
}

bool replaces(const std::optional<SnapshotDigest>& current, const SnapshotDigest& next) {
  return !current || next.meta.last_included_index > current->meta.last_included_index;
}

std::string describe_range(const StateImage& state) {
  return cat("log [", state.first, ", ", state.last, "]");
}

std::string describe_open(const std::vector<GhostMutation>& lane) {
  if (lane.empty()) return ", nothing open";
  std::string text = ", open:";
  for (const GhostMutation& mutation : lane) {
    text += cat(" ", to_string(mutation.operation));
    if (mutation.operation != Operation::kAppend) {
      text += cat("(", mutation.index, ")");
    } else if (!mutation.entries.empty()) {
      text += cat("(", mutation.entries.front().index, "..", mutation.entries.back().index, ")");
    }
  }
  return text;
}

}  // namespace

GhostMutation ghost_of(uint64_t id, const families::Mutation& mutation,
                       std::optional<uint64_t> tree) {
  GhostMutation ghost;
  ghost.id = id;
  ghost.operation = mutation.operation;
  for (const families::LogEntry& entry : mutation.entries) {
    ghost.entries.push_back(digest_of(entry));
  }
  ghost.index = mutation.index;
  ghost.hard_state = mutation.hard_state;
  if (mutation.operation == Operation::kPublish) {
    QK_CHECK(mutation.writer != nullptr);
    ghost.snapshot = SnapshotDigest{mutation.writer->meta(), tree};
  }
  return ghost;
}

std::optional<Complaint> find_hole(const StateImage& state) {
  const int64_t covered = state.snapshot ? state.snapshot->meta.last_included_index : 0;
  if (state.first > covered + 1) {
    return Complaint{"ora.L4", covered + 1,
                     cat("a log that begins at index ", covered + 1, " at the latest"),
                     cat("log [", state.first, ", ", state.last, "], ", describe(state.snapshot))};
  }
  for (size_t i = 0; i < state.entries.size(); ++i) {
    const int64_t index = state.first + static_cast<int64_t>(i);
    if (state.entries[i].index == index) continue;
    return Complaint{"ora.L4", index, cat("an entry of index ", index), describe(state.entries[i])};
  }
  return std::nullopt;
}

void GhostState::adopt(const StateImage& state) {
  acked_ = state;
  for (Lane& open : lanes_) open.clear();
}

GhostState::Lane& GhostState::lane(Operation operation) {
  return lanes_[static_cast<size_t>(families::lane_of(operation))];
}

std::pair<GhostState::Lane*, size_t> GhostState::find(uint64_t id) {
  for (Lane& open : lanes_) {
    for (size_t i = 0; i < open.size(); ++i) {
      if (open[i].id == id) return {&open, i};
    }
  }
  QK_CHECK(false && "outcome of a mutation that was not issued");
  return {};
}

void GhostState::issue(GhostMutation mutation) {
  lane(mutation.operation).push_back(std::move(mutation));
}

std::optional<Complaint> GhostState::ack(uint64_t id, int64_t count) {
  const auto [open, position] = find(id);
  const GhostMutation mutation = std::move((*open)[position]);
  open->erase(open->begin() + static_cast<int64_t>(position));
  ++acked_count_;
  std::optional<Complaint> complaint;
  if (position > 0) {
    complaint = {"ora.L2", 0, "acks of a lane in issue order",
                 cat("mutation ", id, " acked while ", open->front().id, " is open")};
  }
  switch (mutation.operation) {
    case Operation::kAppend: {
      const int64_t size = static_cast<int64_t>(mutation.entries.size());
      if (count != size) {
        return Complaint{"ora.L1", size == 0 ? 0 : mutation.entries.front().index,
                         cat("an acked append of ", size, " entries counts all of them"),
                         cat("it counts ", count)};
      }
      if (size > 0 && mutation.entries.front().index != acked_.last + 1) {
        return Complaint{"ora.L2", mutation.entries.front().index,
                         cat("append at index ", acked_.last + 1),
                         cat("acked append at index ", mutation.entries.front().index)};
      }
      break;
    }
    case Operation::kSaveMeta:
      acked_.hard_state = mutation.hard_state;
      break;
    case Operation::kPublish: {
      const bool replace = replaces(acked_.snapshot, *mutation.snapshot);
      if (count != (replace ? 1 : 0)) {
        return Complaint{"ora.L1", mutation.snapshot->meta.last_included_index,
                         replace ? "publish makes it the current snapshot"
                                 : cat("publish keeps the current ", describe(acked_.snapshot)),
                         cat("acked with count ", count)};
      }
      if (replace) acked_.snapshot = mutation.snapshot;
      break;
    }
    default:
      break;
  }
  apply_to_log(mutation, &acked_);
  return complaint;
}

void GhostState::fail_clean(uint64_t id) {
  const auto [open, position] = find(id);
  open->erase(open->begin() + static_cast<int64_t>(position));
}

void GhostState::fail_indeterminate(uint64_t id, int64_t count) {
  const auto [open, position] = find(id);
  GhostMutation& mutation = (*open)[position];
  if (mutation.operation != Operation::kAppend || position > 0) return;
  GhostMutation durable = mutation;
  durable.entries.resize(
      std::clamp<size_t>(static_cast<size_t>(count), 0, mutation.entries.size()));
  apply_to_log(durable, &acked_);
  mutation.entries.erase(mutation.entries.begin(),
                         mutation.entries.begin() + static_cast<int64_t>(durable.entries.size()));
}

bool GhostState::idle() const {
  return std::all_of(lanes_.begin(), lanes_.end(), [](const Lane& open) { return open.empty(); });
}

StateImage GhostState::log_view() const {
  StateImage log = acked_;
  for (const GhostMutation& mutation : lane(families::Lane::kLog)) apply_to_log(mutation, &log);
  return log;
}

int64_t GhostState::term_at(int64_t index) const {
  bool reset = false;
  const Lane& log = lane(families::Lane::kLog);
  for (auto mutation = log.rbegin(); mutation != log.rend() && !reset; ++mutation) {
    for (const EntryDigest& entry : mutation->entries) {
      if (entry.index == index) return entry.term;
    }
    reset = mutation->operation == Operation::kReset;
  }
  const EntryDigest* entry = reset ? nullptr : acked_.find(index);
  if (entry) return entry->term;
  std::vector<const SnapshotDigest*> snapshots;
  for (const GhostMutation& open : lane(families::Lane::kSnapshot)) {
    snapshots.push_back(&*open.snapshot);
  }
  if (acked_.snapshot) snapshots.push_back(&*acked_.snapshot);
  for (const SnapshotDigest* snapshot : snapshots) {
    if (snapshot->meta.last_included_index == index) return snapshot->meta.last_included_term;
  }
  return 0;
}

std::optional<Complaint> GhostState::judge(const StateImage& state, bool append_prefix) const {
  std::vector<Complaint> all = complaints(state, append_prefix);
  if (all.empty()) return std::nullopt;
  return std::move(all.front());
}

std::vector<Complaint> GhostState::complaints(const StateImage& state, bool append_prefix) const {
  std::vector<Complaint> all;
  for (std::optional<Complaint>& complaint :
       std::array{judge_meta(state), judge_log(state, append_prefix), judge_snapshot(state)}) {
    if (complaint) all.push_back(*std::move(complaint));
  }
  if (!all.empty() && state.fresh()) {
    return {Complaint{"ora.L13", 0,
                      cat("acked ", describe_range(acked_), ", ", describe(acked_.hard_state), ", ",
                          describe(acked_.snapshot)),
                      "a fresh instance"}};
  }
  return all;
}

std::optional<Complaint> GhostState::judge_log(const StateImage& state, bool append_prefix) const {
  if (same_log(state, acked_)) return std::nullopt;
  StateImage log = acked_;
  for (const GhostMutation& mutation : lane(families::Lane::kLog)) {
    if (append_prefix && mutation.operation == Operation::kAppend &&
        is_batch_prefix(state, log, mutation.entries)) {
      return std::nullopt;
    }
    apply_to_log(mutation, &log);
    if (same_log(state, log)) return std::nullopt;
  }
  return explain_log(state);
}

// `state` is not a legal outcome. It lost something if an entry is missing that nothing open may
// remove; otherwise it holds something that it may not.
Complaint GhostState::explain_log(const StateImage& state) const {
  const Lane& open = lane(families::Lane::kLog);
  int64_t first = acked_.first;
  int64_t last = acked_.last;
  std::vector<EntryDigest> known = acked_.entries;
  for (const GhostMutation& mutation : open) {
    if (mutation.operation == Operation::kTruncatePrefix) first = std::max(first, mutation.index);
    if (mutation.operation == Operation::kTruncateSuffix) last = std::min(last, mutation.index);
    if (mutation.operation == Operation::kReset) last = first - 1;
    known.insert(known.end(), mutation.entries.begin(), mutation.entries.end());
  }
  for (int64_t i = first; i <= last; ++i) {
    const EntryDigest* found = state.find(i);
    if (!found || *found != *acked_.find(i)) {
      return {"ora.L1", i, cat(describe(*acked_.find(i)), " acked"),
              found ? describe(*found) : describe_range(state)};
    }
  }
  const std::string expected = cat("acked ", describe_range(acked_), describe_open(open));
  for (const EntryDigest& entry : state.entries) {
    if (std::find(known.begin(), known.end(), entry) == known.end()) {
      return {"ora.L2", entry.index, expected,
              cat(describe_range(state), " with ", describe(entry))};
    }
  }
  return {"ora.L2",
          state.first != acked_.first ? state.first : std::min(state.last, acked_.last) + 1,
          expected, describe_range(state)};
}

std::optional<Complaint> GhostState::judge_meta(const StateImage& state) const {
  const families::HardState& acked = acked_.hard_state;
  const families::HardState& found = state.hard_state;
  if (found == acked) return std::nullopt;
  const Lane& open = lane(families::Lane::kMeta);
  for (const GhostMutation& mutation : open) {
    if (found == mutation.hard_state) return std::nullopt;
  }
  const bool behind =
      found.term < acked.term || (found.term == acked.term && !acked.voted_for.empty());
  std::string expected = cat("acked ", describe(acked));
  for (const GhostMutation& mutation : open) {
    expected += cat(", open ", describe(mutation.hard_state));
  }
  return Complaint{behind ? "ora.L5" : "ora.L2", 0, std::move(expected), describe(found)};
}

std::optional<Complaint> GhostState::judge_snapshot(const StateImage& state) const {
  if (same_snapshot(state.snapshot, acked_.snapshot)) return std::nullopt;
  const Lane& open = lane(families::Lane::kSnapshot);
  std::string expected;
  for (const GhostMutation& mutation : open) {
    if (replaces(acked_.snapshot, *mutation.snapshot) &&
        same_snapshot(state.snapshot, mutation.snapshot)) {
      return std::nullopt;
    }
  }
  // Older, gone, or damaged at its own index is a loss; a later one was never issued.
  const bool newer = state.snapshot && replaces(acked_.snapshot, *state.snapshot);
  expected = cat("acked ", describe(acked_.snapshot));
  for (const GhostMutation& mutation : open) {
    expected += cat(", open ", describe(mutation.snapshot));
  }
  const auto& named = newer ? state.snapshot : acked_.snapshot;
  return Complaint{newer ? "ora.L2" : "ora.L1", named ? named->meta.last_included_index : 0,
                   std::move(expected), describe(state.snapshot)};
}

}  // namespace qk::sim
