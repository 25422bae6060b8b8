// What a legal state is, decided once for every family, for images and for tools: what one of them
// takes, all take. Errors are InvalidArgument and say what was found and what was expected.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "families/contract/types.h"

namespace qk::families {

// The largest payload of an entry, so that a frame of an image holds any entry.
inline constexpr size_t kMaxEntryPayload = (256u << 20) - 64;
// Of all peers of a snapshot, and of all that its table says about its files; so that a file of
// 64 MiB, the longest that `local` reads, holds any table.
inline constexpr size_t kMaxPeersBytes = kMaxConfigurationBytes;
inline constexpr size_t kMaxFileTableBytes = 60u << 20;

// Index `expected` and below INT64_MAX, a term of at least 1, a known type, and the payload that
// the type has: none in a no-op, a ConfigurationPBMeta in a configuration.
absl::Status check_entry(const LogEntry& entry, int64_t expected);
// A term of at least 1; nobody's vote, or a peer's in canonical form.
absl::Status check_hard_state(const HardState& state);

// Index and term of at least 1, the index below INT64_MAX, peers within kMaxPeersBytes.
absl::Status check_snapshot_meta(const SnapshotMeta& meta);

// Whose state an instance or an image holds: a group of 1..1024 bytes, a peer in canonical form, a
// lineage of at most 1024 bytes (empty: never migrated); no control characters.
absl::Status check_identity_text(std::string_view group, std::string_view peer,
                                 std::string_view lineage);

// ---- The arguments of calls. Each storage asks once, before it does anything; that a stopped
// instance refuses comes first (fail_stop.h). Messages begin with `where`, which names the storage.
// The rule of save() is beside MetaStorage, that of publish() beside SnapshotStorage.

// The entries that a log retains, or a part of them; empty if last == first - 1.
struct LogRange {
  int64_t first = 1;
  int64_t last = 0;
  bool empty() const { return last < first; }
  friend bool operator==(const LogRange&, const LogRange&) = default;
};

// OutOfRange unless the log has the entry.
absl::Status check_index(std::string_view where, const LogRange& log, int64_t index);
// LogStorage::scan(): InvalidArgument for an empty range, OutOfRange unless the log has all of it.
absl::Status check_scan(std::string_view where, const LogRange& log, int64_t from, int64_t to);
// LogStorage::append(): a batch whose first entry must have index `next`.
absl::Status check_append(std::string_view where, int64_t next, std::span<const LogEntry> entries);
// LogStorage::truncate_suffix(): at least the index before the first entry.
absl::Status check_truncate_suffix(std::string_view where, const LogRange& log, int64_t last_kept);
// LogStorage::reset(): at least 1.
absl::Status check_reset(std::string_view where, int64_t next_index);
// LogStorage::bulk_load(): FailedPrecondition unless the log is fresh; a first index of at least 1.
absl::Status check_bulk_load(std::string_view where, const LogRange& log, int64_t first_index);

// ---- The files of a snapshot

// Where `local` keeps the table of a snapshot; no file of a snapshot may lie there or below it, in
// any family.
inline constexpr std::string_view kSnapshotTableName = "__raft_snapshot_meta";

// The place of a snapshot file in its tree: the normal form of its name, without empty, "."
// and ".." components and without a leading '/'. braft joins `path + "/" + name` without looking,
// so "/max_id.json", "./data", "d//x" and "a/../b" are names in use; each is kept as it was listed,
// and the file lies at "max_id.json", "data", "d/x" and "b".
//
// Refused: a name that leaves the tree, one that ends as a directory's does, the table's, and one
// that no file system holds (a name has 1..4096 bytes without NUL, a component at most 255).
absl::StatusOr<std::string> snapshot_file_place(std::string_view name);

// The files of one snapshot as they are listed one after the other. Several names may share a
// place, which is then one file with several names. No place may be a directory that another name
// leads through, "a" in "a/../b" included, because the kernel walks it. A file's source is 0 or 1
// if it has one, and all that is said about the files fits in kMaxFileTableBytes.
class SnapshotPlaces {
 public:
  struct Added {
    std::string place;
    size_t file = 0;      // number of the place, from 0 in order of their first names
    bool shared = false;  // an earlier name lies there, too
  };
  absl::StatusOr<Added> add(const SnapshotFile& file);
  bool holds(std::string_view place) const;

 private:
  // A node of a tree, so that a name costs what it is long, however deep it leads. Names the first
  // name that led here.
  struct Place {
    std::map<std::string, size_t, std::less<>> below;
    size_t parent = 0;
    size_t name = 0;
    bool directory = true;
    size_t file = 0;
  };
  // The place below `parent`, made if it is not there; its number, and whether it was made.
  std::pair<size_t, bool> step_into(size_t parent, std::string_view component, bool directory);

  std::vector<Place> places_ = std::vector<Place>(1);  // the first is the tree itself
  std::vector<std::string> names_;
  size_t files_ = 0;
  size_t table_bytes_ = 0;
};

// The places of a whole table, and what the table says about each file.
absl::StatusOr<SnapshotPlaces> check_snapshot_files(const std::vector<SnapshotFile>& files);

}  // namespace qk::families
