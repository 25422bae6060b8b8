#include "conformance/model.h"

#include <algorithm>

#include "families/base/hash.h"
#include "families/base/suggest.h"
#include "families/fs/file_util.h"

namespace qk::sim::conformance {
namespace {

using families::HardState;
using families::LogEntry;
using families::Operation;

std::string describe(const HardState& state) {
  return cat("term ", state.term, ", vote ",
             state.voted_for.empty() ? std::string("nobody") : state.voted_for);
}

std::string describe(const LogEntry& entry) {
  return cat("entry ", entry.index, " (term ", entry.term, ", ", to_string(entry.type), ", ",
             entry.payload.size(), " bytes, hash ", hex16(xxh3_64(entry.payload)), ")");
}

std::string describe(const std::optional<SnapshotState>& snapshot) {
  if (!snapshot) return "no snapshot";
  return cat("snapshot ", snapshot->meta.last_included_index, "/",
             snapshot->meta.last_included_term, " with ", snapshot->files.size(), " files");
}

std::string describe_meta(const families::SnapshotMeta& meta) {
  return cat("snapshot meta ", meta.last_included_index, "/", meta.last_included_term, ", peers [",
             join(meta.peers), "], old peers [", join(meta.old_peers), "]");
}

template <typename T>
std::string shown(const std::optional<T>& value) {
  return value ? cat("\"", *value, "\"") : std::string("absent");
}

std::string describe_file(const TreeFile& file) {
  std::string source = file.meta.source ? cat(*file.meta.source) : std::string("absent");
  return cat(file.bytes.size(), " bytes, hash ", hex16(xxh3_64(file.bytes)), ", user_meta ",
             shown(file.meta.user_meta), ", source ", source, ", checksum ",
             shown(file.meta.checksum));
}

std::string found_expected(std::string_view found, std::string_view expected) {
  return cat("found ", found, ", expected ", expected);
}

std::string snapshot_difference(const SnapshotState& found, const SnapshotState& expected) {
  if (found.meta != expected.meta) {
    return found_expected(describe_meta(found.meta), describe_meta(expected.meta));
  }
  auto f = found.files.begin();
  auto e = expected.files.begin();
  while (f != found.files.end() || e != expected.files.end()) {
    if (e == expected.files.end() || (f != found.files.end() && f->first < e->first)) {
      return cat("snapshot file \"", f->first, "\": found, expected none of that path");
    }
    if (f == found.files.end() || e->first < f->first) {
      return cat("snapshot file \"", e->first, "\": missing");
    }
    if (f->second != e->second) {
      return cat("snapshot file \"", f->first,
                 "\": ", found_expected(describe_file(f->second), describe_file(e->second)));
    }
    ++f;
    ++e;
  }
  return "";
}

// Whether a batch may follow the log.
bool is_contiguous(const std::vector<LogEntry>& entries, int64_t next) {
  for (const LogEntry& entry : entries) {
    if (entry.index != next || entry.term < 1) return false;
    ++next;
  }
  return true;
}

Model::Verdict judge_hard_state(const HardState& from, const HardState& to) {
  const bool down = to.term < from.term;
  const bool other_vote =
      to.term == from.term && !from.voted_for.empty() && to.voted_for != from.voted_for;
  return down || other_vote ? Model::Verdict::kRefused : Model::Verdict::kApplied;
}

Model::Verdict judge_snapshot(const std::optional<SnapshotState>& current,
                              const families::SnapshotMeta& next) {
  if (next.last_included_index < 1 || next.last_included_term < 1) return Model::Verdict::kRefused;
  if (!current || next.last_included_index > current->meta.last_included_index) {
    return Model::Verdict::kApplied;
  }
  return next == current->meta ? Model::Verdict::kAlreadyPublished : Model::Verdict::kRefused;
}

}  // namespace

absl::StatusOr<std::vector<LogEntry>> read_log(families::LogStorage& log) {
  const int64_t first = log.first_index();
  const int64_t last = log.last_index();
  if (first < 1 || last < first - 1) {
    return absl::DataLossError(
        cat("log range ", first, "..", last, ", expected 1 <= first <= last + 1"));
  }
  std::vector<LogEntry> entries;
  if (first > last) return entries;
  QK_RETURN_IF_ERROR(log.scan(first, last, [&](const LogEntry& entry) {
    entries.push_back(entry);
    return absl::OkStatus();
  }));
  if (static_cast<int64_t>(entries.size()) != last - first + 1) {
    return absl::DataLossError(
        cat("scan of ", first, "..", last, " gave ", entries.size(), " entries"));
  }
  return entries;
}

absl::StatusOr<State> read_state(families::Family& family) {
  State state;
  state.first = family.log().first_index();
  QK_ASSIGN_OR_RETURN(state.entries, read_log(family.log()));
  state.hard_state = family.meta().hard_state();

  const auto reader = family.snapshot().open();
  const auto current = family.snapshot().current();
  if (absl::IsNotFound(reader.status())) {
    if (!current) return state;
    return absl::DataLossError(
        cat("current() says ", describe_meta(*current), ", and open() that there is no snapshot"));
  }
  QK_RETURN_IF_ERROR(reader.status());
  if (current != (*reader)->meta()) {
    return absl::DataLossError(cat("current() says ",
                                   current ? describe_meta(*current) : std::string("no snapshot"),
                                   ", and the reader ", describe_meta((*reader)->meta())));
  }
  SnapshotState& snapshot = state.snapshot.emplace();
  snapshot.meta = (*reader)->meta();
  for (const families::SnapshotFile& file : (*reader)->files()) {
    QK_ASSIGN_OR_RETURN(const auto opened, (*reader)->open_file(file.path));
    QK_ASSIGN_OR_RETURN(const uint64_t size, opened->size());
    std::string bytes(size, '\0');
    QK_RETURN_IF_ERROR(families::read_exact(*opened, file.path, 0, bytes));
    const bool added =
        snapshot.files.emplace(file.path, TreeFile{std::move(bytes), file.meta}).second;
    if (!added) return absl::DataLossError(cat("snapshot lists \"", file.path, "\" twice"));
  }
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> unlisted, (*reader)->unlisted());
  for (const std::string& place : unlisted) {
    QK_ASSIGN_OR_RETURN(const auto opened, (*reader)->open_unlisted(place));
    QK_ASSIGN_OR_RETURN(const uint64_t size, opened->size());
    std::string bytes(size, '\0');
    QK_RETURN_IF_ERROR(families::read_exact(*opened, place, 0, bytes));
    const bool added = snapshot.files.emplace(place, TreeFile{std::move(bytes), {}, true}).second;
    if (!added) return absl::DataLossError(cat("\"", place, "\" is listed and not listed"));
  }
  return state;
}

std::string describe(const State& state) {
  return cat("log ", state.first, "..", state.last(), ", ", describe(state.hard_state), ", ",
             describe(state.snapshot));
}

std::string first_difference(const State& found, const State& expected) {
  if (found == expected) return "";
  const int64_t from = std::max(found.first, expected.first);
  const int64_t to = std::min(found.last(), expected.last());
  for (int64_t index = from; index <= to; ++index) {
    const LogEntry& f = found.entries[static_cast<size_t>(index - found.first)];
    const LogEntry& e = expected.entries[static_cast<size_t>(index - expected.first)];
    if (f != e) return found_expected(describe(f), describe(e));
  }
  if (found.first != expected.first || found.last() != expected.last()) {
    return found_expected(cat("log ", found.first, "..", found.last()),
                          cat(expected.first, "..", expected.last()));
  }
  if (found.hard_state != expected.hard_state) {
    return found_expected(describe(found.hard_state), describe(expected.hard_state));
  }
  if (found.snapshot.has_value() != expected.snapshot.has_value()) {
    return found_expected(describe(found.snapshot), describe(expected.snapshot));
  }
  return snapshot_difference(*found.snapshot, *expected.snapshot);
}

Change append(std::vector<LogEntry> entries) {
  Change change;
  change.operation = Operation::kAppend;
  change.entries = std::move(entries);
  return change;
}

Change truncate_prefix(int64_t first_kept) {
  Change change;
  change.operation = Operation::kTruncatePrefix;
  change.index = first_kept;
  return change;
}

Change truncate_suffix(int64_t last_kept) {
  Change change;
  change.operation = Operation::kTruncateSuffix;
  change.index = last_kept;
  return change;
}

Change reset(int64_t next_index) {
  Change change;
  change.operation = Operation::kReset;
  change.index = next_index;
  return change;
}

Change save_meta(HardState state) {
  Change change;
  change.operation = Operation::kSaveMeta;
  change.hard_state = std::move(state);
  return change;
}

Change publish(SnapshotState snapshot) {
  Change change;
  change.operation = Operation::kPublish;
  change.snapshot = std::move(snapshot);
  return change;
}

std::string describe(const Change& change) {
  const std::string name(to_string(change.operation));
  switch (change.operation) {
    case Operation::kAppend:
      if (change.entries.empty()) return cat(name, " of nothing");
      return cat(name, " ", change.entries.front().index, "..", change.entries.back().index);
    case Operation::kSaveMeta:
      return cat(name, " (", describe(change.hard_state), ")");
    case Operation::kPublish:
      return cat(name, " ", change.snapshot.meta.last_included_index, "/",
                 change.snapshot.meta.last_included_term);
    default:
      return cat(name, " ", change.index);
  }
}

Model::Verdict Model::judge(const Change& change) const {
  switch (change.operation) {
    case Operation::kAppend:
      return is_contiguous(change.entries, state_.last() + 1) ? Verdict::kApplied
                                                              : Verdict::kRefused;
    case Operation::kTruncatePrefix:
      return Verdict::kApplied;
    case Operation::kTruncateSuffix:
      return change.index < state_.first - 1 ? Verdict::kRefused : Verdict::kApplied;
    case Operation::kReset:
      return change.index < 1 ? Verdict::kRefused : Verdict::kApplied;
    case Operation::kSaveMeta:
      return judge_hard_state(state_.hard_state, change.hard_state);
    case Operation::kPublish:
      return judge_snapshot(state_.snapshot, change.snapshot.meta);
  }
  return Verdict::kRefused;
}

int64_t Model::count(const Change& change) const {
  if (change.operation == Operation::kAppend) return static_cast<int64_t>(change.entries.size());
  return change.operation == Operation::kPublish && judge(change) == Verdict::kApplied ? 1 : 0;
}

Model::Verdict Model::apply(const Change& change) {
  const Verdict verdict = judge(change);
  if (verdict != Verdict::kApplied) return verdict;
  std::vector<LogEntry>& entries = state_.entries;
  switch (change.operation) {
    case Operation::kAppend:
      entries.insert(entries.end(), change.entries.begin(), change.entries.end());
      break;
    case Operation::kTruncatePrefix: {
      if (change.index <= state_.first) break;
      const auto dropped = std::min(change.index - state_.first, state_.last() - state_.first + 1);
      entries.erase(entries.begin(), entries.begin() + dropped);
      state_.first = change.index;
      break;
    }
    case Operation::kTruncateSuffix:
      if (change.index >= state_.last()) break;
      entries.resize(static_cast<size_t>(change.index - state_.first + 1));
      break;
    case Operation::kReset:
      entries.clear();
      state_.first = change.index;
      break;
    case Operation::kSaveMeta:
      state_.hard_state = change.hard_state;
      break;
    case Operation::kPublish:
      state_.snapshot = change.snapshot;
      break;
  }
  return verdict;
}

std::vector<State> Model::after_crash(const Change& change, families::Partial partial) const {
  std::vector<State> states = {state_};
  if (change.operation == Operation::kAppend && partial == families::Partial::kBatchPrefix &&
      judge(change) == Verdict::kApplied) {
    for (size_t count = 1; count < change.entries.size(); ++count) {
      Model part(state_);
      part.apply(append(
          {change.entries.begin(), change.entries.begin() + static_cast<std::ptrdiff_t>(count)}));
      states.push_back(part.state());
    }
  }
  Model after(state_);
  after.apply(change);
  states.push_back(after.state());
  return states;
}

}  // namespace qk::sim::conformance
