// Rules that hold in every family and are therefore decided above all of them.
#include "families/contract/rules.h"

#include <algorithm>

#include "families/contract/lost_vote.h"
#include "families/contract/meta_storage.h"
#include "families/contract/snapshot_storage.h"
#include "families/fs/file_util.h"

namespace qk::families {
namespace {

constexpr size_t kMaxNameBytes = 4096;
constexpr size_t kMaxComponentBytes = 255;

// Components that the kernel walks for a name, without those that change nothing: directories and
// "..", then the file.
using Steps = std::vector<std::string_view>;

std::string join_components(const std::vector<std::string_view>& components) {
  std::string path;
  for (const std::string_view component : components) {
    if (!path.empty()) path += '/';
    path += component;
  }
  return path;
}

// Where the steps lead, from the top of the tree.
std::string place_of(std::span<const std::string_view> steps) {
  std::vector<std::string_view> components;
  for (const std::string_view step : steps) {
    if (step == "..") {
      components.pop_back();
    } else {
      components.push_back(step);
    }
  }
  return join_components(components);
}

absl::StatusOr<Steps> walk_name(std::string_view name) {
  const auto refused = [&](const std::string& why) {
    return absl::InvalidArgumentError(
        cat("snapshot file \"", name.substr(0, kMaxNameBytes), "\": ", why));
  };
  if (name.empty() || name.size() > kMaxNameBytes || name.find('\0') != std::string_view::npos) {
    return refused(
        cat("a name of ", name.size(), " bytes, expected 1..", kMaxNameBytes, " without NUL"));
  }
  Steps steps;
  size_t depth = 0;
  bool names_file = false;
  for (std::string_view rest = name;;) {
    const size_t slash = rest.find('/');
    const std::string_view component = rest.substr(0, slash);
    if (component.size() > kMaxComponentBytes) {
      return refused(cat("a component of ", component.size(), " bytes, expected at most ",
                         kMaxComponentBytes));
    }
    names_file = !component.empty() && component != "." && component != "..";
    if (component == "..") {
      if (depth == 0) return refused("the name leaves the snapshot, expected a file inside it");
      --depth;
      steps.push_back(component);
    } else if (names_file) {
      if (depth == 0 && component == kSnapshotTableName) {
        return refused("the name is reserved for the snapshot's table, expected another one");
      }
      ++depth;
      steps.push_back(component);
    }
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (!names_file) return refused("the name is a directory's, expected a file's");
  return steps;
}

std::string describe(const HardState& state) {
  return cat("(term ", state.term, ", vote ", state.voted_for.empty() ? "nobody" : state.voted_for,
             ")");
}

}  // namespace

absl::Status check_entry(const LogEntry& entry, int64_t expected) {
  const auto bad = [&](const std::string& what) {
    return absl::InvalidArgumentError(cat("entry ", entry.index, ": ", what));
  };
  if (entry.index != expected) return bad(cat("expected index ", expected));
  if (entry.index == INT64_MAX) return bad(cat("expected an index below ", INT64_MAX));
  if (entry.term < 1) return bad(cat("term ", entry.term, ", expected at least 1"));
  if (entry.payload.size() > kMaxEntryPayload) {
    return bad(
        cat("payload of ", entry.payload.size(), " bytes, expected at most ", kMaxEntryPayload));
  }
  switch (entry.type) {
    case EntryType::kData:
      return absl::OkStatus();
    case EntryType::kNoOp:
      if (entry.payload.empty()) return absl::OkStatus();
      return bad(cat("no-op with a payload of ", entry.payload.size(), " bytes, expected none"));
    case EntryType::kConfiguration:
      if (auto decoded = decode_configuration(entry.payload); !decoded.ok()) {
        return bad(cat("configuration does not decode: ", to_std(decoded.status().message())));
      }
      return absl::OkStatus();
  }
  return bad(cat("type ", static_cast<int>(entry.type), ", expected 1, 2 or 3"));
}

absl::Status check_hard_state(const HardState& state) {
  if (state.term < 1) {
    return absl::InvalidArgumentError(
        cat("hard state ", describe(state), ": expected a term of at least 1"));
  }
  if (state.voted_for.empty()) return absl::OkStatus();
  const auto canonical = canonical_peer(state.voted_for);
  if (!canonical.ok()) return annotate(canonical.status(), "vote");
  if (*canonical == state.voted_for) return absl::OkStatus();
  return absl::InvalidArgumentError(
      cat("vote \"", state.voted_for, "\": expected the canonical form \"", *canonical, "\""));
}

absl::Status check_snapshot_meta(const SnapshotMeta& meta) {
  // An entry may follow the snapshot, so its index is below the last that there is.
  if (meta.last_included_index < 1 || meta.last_included_index == INT64_MAX ||
      meta.last_included_term < 1) {
    return absl::InvalidArgumentError(
        cat("snapshot at index ", meta.last_included_index, ", term ", meta.last_included_term,
            ": both must be at least 1, and the index below ", INT64_MAX));
  }
  constexpr size_t kOverhead = 4;  // of a peer in an image, which no family exceeds
  size_t bytes = 0;
  for (const auto* peers : {&meta.peers, &meta.old_peers}) {
    for (const std::string& peer : *peers) bytes += kOverhead + peer.size();
  }
  if (bytes <= kMaxPeersBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(cat("snapshot at index ", meta.last_included_index,
                                        ": peers of ", bytes, " bytes, expected at most ",
                                        kMaxPeersBytes));
}

absl::Status check_identity_text(std::string_view group, std::string_view peer,
                                 std::string_view lineage) {
  constexpr size_t kMaxBytes = 1024;
  if (group.empty()) return absl::InvalidArgumentError("identity: no group, expected one");
  for (const auto& [what, text] : {std::pair("group", group), {"lineage", lineage}}) {
    if (text.size() > kMaxBytes) {
      return absl::InvalidArgumentError(
          cat("identity: ", what, " of ", text.size(), " bytes, expected at most ", kMaxBytes));
    }
    for (const char byte : text) {
      if (static_cast<unsigned char>(byte) >= 0x20 && byte != 0x7f) continue;
      return absl::InvalidArgumentError(cat("identity: ", what, " with the control character ",
                                            static_cast<int>(static_cast<unsigned char>(byte)),
                                            ", expected none"));
    }
  }
  const auto canonical = canonical_peer(peer);
  if (!canonical.ok()) return annotate(canonical.status(), "identity");
  if (!peer.empty() && *canonical == peer) return absl::OkStatus();
  return absl::InvalidArgumentError(
      cat("identity: peer \"", peer, "\", expected a peer in canonical form"));
}

absl::Status check_index(std::string_view where, const LogRange& log, int64_t index) {
  if (index >= log.first && index <= log.last) return absl::OkStatus();
  return absl::OutOfRangeError(
      cat(where, ": log index ", index, ", expected one in ", log.first, "..", log.last));
}

absl::Status check_scan(std::string_view where, const LogRange& log, int64_t from, int64_t to) {
  if (from > to) {
    return absl::InvalidArgumentError(
        cat(where, ": scan of ", from, "..", to, ": the range is empty"));
  }
  QK_RETURN_IF_ERROR(check_index(where, log, from));
  return check_index(where, log, to);
}

absl::Status check_append(std::string_view where, int64_t next, std::span<const LogEntry> entries) {
  for (const LogEntry& entry : entries) {
    if (const absl::Status status = check_entry(entry, next); !status.ok()) {
      return annotate(status, cat(where, ": append"));
    }
    ++next;
  }
  return absl::OkStatus();
}

absl::Status check_truncate_suffix(std::string_view where, const LogRange& log, int64_t last_kept) {
  if (last_kept >= log.first - 1) return absl::OkStatus();
  return absl::InvalidArgumentError(cat(where, ": truncate_suffix: found last kept index ",
                                        last_kept, ", expected at least ", log.first - 1));
}

absl::Status check_reset(std::string_view where, int64_t next_index) {
  if (next_index >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      cat(where, ": reset: found next index ", next_index, ", expected at least 1"));
}

absl::Status check_bulk_load(std::string_view where, const LogRange& log, int64_t first_index) {
  if (log != LogRange{}) {
    return absl::FailedPreconditionError(cat(where, ": bulk load: the log holds ", log.first, "..",
                                             log.last, ", expected a fresh one"));
  }
  if (first_index >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      cat(where, ": bulk load: found first index ", first_index, ", expected at least 1"));
}

absl::Status check_hard_state_change(const HardState& from, const HardState& to) {
  if (const absl::Status status = check_hard_state(to); !status.ok()) {
    return annotate(status, "save_meta");
  }
  if (to.term < from.term) {
    return absl::InvalidArgumentError(
        cat("save_meta: term goes down: found ", describe(to), ", saved ", describe(from)));
  }
  if (to.term == from.term && !from.voted_for.empty() && to.voted_for != from.voted_for) {
    return absl::InvalidArgumentError(cat("save_meta: vote changes within a term: found ",
                                          describe(to), ", saved ", describe(from)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> snapshot_file_place(std::string_view name) {
  QK_ASSIGN_OR_RETURN(const Steps steps, walk_name(name));
  return place_of(steps);
}

std::pair<size_t, bool> SnapshotPlaces::step_into(size_t parent, std::string_view component,
                                                  bool directory) {
  const auto& below = places_[parent].below;
  if (const auto found = below.find(component); found != below.end()) {
    return {found->second, false};
  }
  const size_t made = places_.size();
  places_[parent].below.emplace(component, made);
  Place& place = places_.emplace_back();
  place.parent = parent;
  place.name = names_.size();
  place.directory = directory;
  return {made, true};
}

absl::StatusOr<SnapshotPlaces::Added> SnapshotPlaces::add(const SnapshotFile& file) {
  const std::string_view name = file.path;
  QK_ASSIGN_OR_RETURN(const Steps steps, walk_name(name));
  if (file.meta.source && *file.meta.source != 0 && *file.meta.source != 1) {
    return absl::InvalidArgumentError(
        cat("snapshot file \"", name, "\": file source ", *file.meta.source, ", expected 0 or 1"));
  }
  constexpr size_t kOverhead = 64;  // of a file in the table, in any encoding
  table_bytes_ += kOverhead + name.size() + file.meta.user_meta.value_or("").size() +
                  file.meta.checksum.value_or("").size();
  if (table_bytes_ > kMaxFileTableBytes) {
    return absl::InvalidArgumentError(cat("snapshot file \"", name, "\": the table has ",
                                          table_bytes_, " bytes up to it, expected at most ",
                                          kMaxFileTableBytes));
  }
  const auto collides = [&](size_t count, size_t place) {
    const size_t other = places_[place].name;
    return absl::InvalidArgumentError(cat("snapshot files \"", name, "\" and \"",
                                          other < names_.size() ? names_[other] : name, "\": \"",
                                          place_of(std::span(steps).first(count)),
                                          "\" is a file in one and a directory in the other"));
  };
  size_t at = 0;
  for (size_t i = 0; i + 1 < steps.size(); ++i) {
    at = steps[i] == ".." ? places_[at].parent : step_into(at, steps[i], true).first;
    if (!places_[at].directory) return collides(i + 1, at);
  }
  const auto [place, made] = step_into(at, steps.back(), false);
  if (places_[place].directory) return collides(steps.size(), place);
  if (made) places_[place].file = files_++;
  names_.emplace_back(name);
  return Added{place_of(steps), places_[place].file, !made};
}

bool SnapshotPlaces::holds(std::string_view place) const {
  size_t at = 0;
  while (true) {
    const size_t slash = place.find('/');
    const auto found = places_[at].below.find(place.substr(0, slash));
    if (found == places_[at].below.end()) return false;
    at = found->second;
    if (slash == std::string_view::npos) return !places_[at].directory;
    place.remove_prefix(slash + 1);
  }
}

absl::StatusOr<SnapshotPlaces> check_snapshot_files(const std::vector<SnapshotFile>& files) {
  SnapshotPlaces places;
  for (const SnapshotFile& file : files) QK_RETURN_IF_ERROR(places.add(file).status());
  return places;
}

absl::StatusOr<std::unique_ptr<File>> create_snapshot_file(FileSystem& fs, std::string_view tree,
                                                           std::string_view name) {
  QK_ASSIGN_OR_RETURN(const Steps steps, walk_name(name));
  std::string path(tree);
  for (size_t i = 0; i + 1 < steps.size(); ++i) {
    if (steps[i] == "..") {
      path.resize(path.rfind('/'));
      continue;
    }
    path += cat("/", steps[i]);
    const absl::Status made = fs.mkdir(path);
    if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  }
  return fs.open(cat(path, "/", steps.back()), {.create = true, .truncate = true});
}

absl::StatusOr<std::vector<std::string>> unlisted_snapshot_files(
    FileSystem& fs, const std::string& tree, const std::vector<SnapshotFile>& table) {
  QK_ASSIGN_OR_RETURN(const SnapshotPlaces places, check_snapshot_files(table));
  QK_ASSIGN_OR_RETURN(std::vector<std::string> present, list_tree(fs, tree));
  std::erase_if(present, [&](const std::string& path) {
    return path == kSnapshotTableName || places.holds(path);
  });
  for (const std::string& path : present) {
    QK_ASSIGN_OR_RETURN(const FileStat stat, fs.stat(join_path(tree, path)));
    if (stat.kind == FileKind::kFile) continue;
    return absl::FailedPreconditionError(
        cat(join_path(tree, path), ": not a regular file, expected only files in a snapshot"));
  }
  return present;
}

absl::Status check_vote_not_lost(const HardState& state, int64_t last_log_term,
                                 const std::optional<SnapshotMeta>& snapshot) {
  const int64_t snapshot_term = snapshot ? snapshot->last_included_term : 0;
  if (state.term >= last_log_term && state.term >= snapshot_term) return absl::OkStatus();
  return absl::FailedPreconditionError(
      cat("lost vote: the hard state is ", describe(state), ", but ",
          last_log_term >= snapshot_term ? "the last log entry" : "the snapshot", " has term ",
          std::max(last_log_term, snapshot_term),
          "; expected a term that is not below it (a later save of term and vote was lost)"));
}

absl::StatusOr<PublishVerdict> judge_publish(const std::optional<SnapshotMeta>& current,
                                             const SnapshotMeta& next) {
  if (const absl::Status status = check_snapshot_meta(next); !status.ok()) {
    return annotate(status, "publish");
  }
  if (!current || next.last_included_index > current->last_included_index) {
    return PublishVerdict::kPublish;
  }
  if (next == *current) return PublishVerdict::kAlreadyPublished;
  return absl::InvalidArgumentError(
      cat("publish: snapshot at index ", next.last_included_index, ", term ",
          next.last_included_term, ", but the current one is at index ",
          current->last_included_index, ", term ", current->last_included_term,
          next.last_included_index == current->last_included_index
              ? ": equal index with different term or configuration"
              : ": the index goes down"));
}

}  // namespace qk::families
