// What a family may do wrongly, whichever instance it is.
#include <algorithm>
#include <utility>

#include "sim/explore/plants.h"

namespace qk::sim::defect {

using families::HardState;
using families::LogEntry;
using families::LogStorage;
using families::MetaStorage;
using families::Outcome;
using families::SnapshotStorage;
using families::SnapshotWriter;

namespace {

using Entries = std::span<const LogEntry>;

int64_t count(Entries entries) { return static_cast<int64_t>(entries.size()); }

// Appends what `alter` makes of each entry.
void append_changed(StorageBugs& bugs, const Hit& hit,
                    const std::function<void(LogStorage&, std::vector<LogEntry>&)>& alter) {
  bugs.append = [hit, alter](LogStorage& log, Entries entries) {
    if (!hit()) return log.append(entries);
    std::vector<LogEntry> changed(entries.begin(), entries.end());
    alter(log, changed);
    return log.append(changed);
  };
}

absl::StatusOr<std::string> bytes_of(const SnapshotWriter& writer, std::string_view path) {
  QK_ASSIGN_OR_RETURN(const auto file, writer.open_file(path));
  QK_ASSIGN_OR_RETURN(const uint64_t size, file->size());
  std::string bytes(size, '\0');
  QK_ASSIGN_OR_RETURN(const size_t read, file->read_at(0, bytes));
  bytes.resize(read);
  return bytes;
}

}  // namespace

void append_skipped(StorageBugs& bugs, const Hit& hit) {
  bugs.append = [hit](LogStorage& log, Entries entries) {
    return hit() ? Outcome::success(count(entries)) : log.append(entries);
  };
}

void append_refused(StorageBugs& bugs, const Hit& hit) {
  bugs.append = [hit](LogStorage& log, Entries entries) {
    if (entries.empty() || !hit()) return log.append(entries);
    LogEntry beyond = entries.front();
    beyond.index += 1000;
    (void)log.append({&beyond, 1});
    return Outcome::success(count(entries));
  };
}

void append_late(StorageBugs& bugs, const Hit& hit) {
  auto held = std::make_shared<std::vector<LogEntry>>();
  bugs.append = [hit, held](LogStorage& log, Entries entries) {
    std::vector<LogEntry> now = std::exchange(*held, {});
    const bool late = hit();
    if (late) {
      held->assign(entries.begin(), entries.end());
    } else {
      now.insert(now.end(), entries.begin(), entries.end());
    }
    if (now.empty()) return Outcome::success(count(entries));
    const Outcome outcome = log.append(now);
    return outcome.ok() ? Outcome::success(count(entries)) : outcome;
  };
}

void append_cut_short(StorageBugs& bugs, const Hit& hit) {
  bugs.append = [hit](LogStorage& log, Entries entries) {
    if (entries.size() < 2 || !hit()) return log.append(entries);
    const Outcome outcome = log.append(entries.first(entries.size() - 1));
    return outcome.ok() ? Outcome::success(count(entries)) : outcome;
  };
}

void append_altered(StorageBugs& bugs, const Hit& hit) {
  append_changed(bugs, hit, [](LogStorage&, std::vector<LogEntry>& entries) {
    for (LogEntry& entry : entries) {
      if (entry.type == families::EntryType::kData && !entry.payload.empty()) {
        entry.payload.back() = static_cast<char>(entry.payload.back() ^ 1);
      }
    }
  });
}

void append_old_term(StorageBugs& bugs, const Hit& hit) {
  append_changed(bugs, hit, [](LogStorage& log, std::vector<LogEntry>& entries) {
    const auto before = log.term(entries.front().index - 1);
    if (before.ok() && *before >= 1) entries.front().term = *before;
  });
}

void truncate_prefix_skipped(StorageBugs& bugs, const Hit& hit) {
  bugs.truncate_prefix = [hit](LogStorage& log, int64_t first_kept) {
    return hit() ? Outcome::success() : log.truncate_prefix(first_kept);
  };
}

void truncate_prefix_one_more(StorageBugs& bugs, const Hit& hit) {
  bugs.truncate_prefix = [hit](LogStorage& log, int64_t first_kept) {
    return log.truncate_prefix(hit() ? first_kept + 1 : first_kept);
  };
}

void truncate_suffix_skipped(StorageBugs& bugs, const Hit& hit) {
  bugs.truncate_suffix = [hit](LogStorage& log, int64_t last_kept) {
    return hit() ? Outcome::success() : log.truncate_suffix(last_kept);
  };
}

void truncate_suffix_one_more(StorageBugs& bugs, const Hit& hit) {
  bugs.truncate_suffix = [hit](LogStorage& log, int64_t last_kept) {
    const int64_t one_more = std::max(last_kept - 1, log.first_index() - 1);
    return log.truncate_suffix(hit() ? one_more : last_kept);
  };
}

void reset_skipped(StorageBugs& bugs, const Hit& hit) {
  bugs.reset = [hit](LogStorage& log, int64_t next_index) {
    return hit() ? Outcome::success() : log.reset(next_index);
  };
}

void reset_one_more(StorageBugs& bugs, const Hit& hit) {
  bugs.reset = [hit](LogStorage& log, int64_t next_index) {
    return log.reset(hit() ? next_index + 1 : next_index);
  };
}

void save_skipped(StorageBugs& bugs, const Hit& hit) {
  bugs.save = [hit](MetaStorage& meta, const HardState& state) {
    return hit() ? Outcome::success() : meta.save(state);
  };
}

void save_late(StorageBugs& bugs, const Hit& hit) {
  auto held = std::make_shared<std::optional<HardState>>();
  bugs.save = [hit, held](MetaStorage& meta, const HardState& state) {
    const std::optional<HardState> before = std::exchange(*held, std::nullopt);
    if (!hit()) return meta.save(state);
    *held = state;
    return before ? meta.save(*before) : Outcome::success();
  };
}

void save_without_vote(StorageBugs& bugs, const Hit& hit) {
  bugs.save = [hit](MetaStorage& meta, const HardState& state) {
    // A vote that is already there cannot be taken back in its term.
    const bool new_term = state.term > meta.hard_state().term;
    if (state.voted_for.empty() || !hit()) return meta.save(state);
    return new_term ? meta.save({state.term, ""}) : Outcome::success();
  };
}

void save_only_new_terms(StorageBugs& bugs, const Hit& hit) {
  bugs.save = [hit](MetaStorage& meta, const HardState& state) {
    const bool same_term = state.term == meta.hard_state().term;
    return same_term && hit() ? Outcome::success() : meta.save(state);
  };
}

void publish_skipped(StorageBugs& bugs, const Hit& hit) {
  bugs.publish = [hit](SnapshotStorage& snapshot, std::unique_ptr<SnapshotWriter> writer) {
    return hit() ? Outcome::success(1) : snapshot.publish(std::move(writer));
  };
}

void publish_loses_file(StorageBugs& bugs, const Hit& hit) {
  bugs.publish = [hit](SnapshotStorage& snapshot, std::unique_ptr<SnapshotWriter> writer) {
    if (writer->files().empty() || !hit()) return snapshot.publish(std::move(writer));
    // It may be sealed, so another tree is filled; there is one writer at a time.
    std::vector<std::pair<families::SnapshotFile, std::string>> kept;
    for (size_t i = 1; i < writer->files().size(); ++i) {
      const families::SnapshotFile& file = writer->files()[i];
      const auto bytes = bytes_of(*writer, file.path);
      if (!bytes.ok()) return Outcome::indeterminate(bytes.status());
      kept.emplace_back(file, *bytes);
    }
    const families::SnapshotMeta meta = writer->meta();
    writer.reset();
    const auto fill = [&]() -> absl::Status {
      QK_ASSIGN_OR_RETURN(writer, snapshot.create());
      for (const auto& [file, bytes] : kept) {
        QK_ASSIGN_OR_RETURN(const auto to, writer->create_file(file.path));
        QK_RETURN_IF_ERROR(to->write_at(0, bytes));
        QK_RETURN_IF_ERROR(writer->add_file(file.path, file.meta));
      }
      return writer->save_meta(meta);
    };
    if (const absl::Status filled = fill(); !filled.ok()) return Outcome::indeterminate(filled);
    return snapshot.publish(std::move(writer));
  };
}

void snapshot_index_low(StorageBugs& bugs, const Hit& hit) {
  bugs.publish = [hit](SnapshotStorage& snapshot, std::unique_ptr<SnapshotWriter> writer) {
    families::SnapshotMeta meta = writer->meta();
    if (meta.last_included_index > 1 && hit()) {
      --meta.last_included_index;
      writer->save_meta(meta).IgnoreError();
    }
    return snapshot.publish(std::move(writer));
  };
}

void snapshot_term_high(StorageBugs& bugs, const Hit& hit) {
  bugs.publish = [hit](SnapshotStorage& snapshot, std::unique_ptr<SnapshotWriter> writer) {
    families::SnapshotMeta meta = writer->meta();
    if (hit()) {
      ++meta.last_included_term;
      writer->save_meta(meta).IgnoreError();
    }
    return snapshot.publish(std::move(writer));
  };
}

}  // namespace qk::sim::defect
