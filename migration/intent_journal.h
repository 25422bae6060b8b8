// IntentJournal: what a dual write is about to do, durable before it is done (migration.md 7).
//
// Each lane has one file with two slots used in turn. A record is synced before the primary write
// begins, and a lane has one mutation in flight, so the newest valid record of a lane describes the
// only mutation that a crash can have cut in half. A torn record is a mutation that never began.
// Records carry digests instead of payloads: the payload of a redo is in the primary.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "families/contract/mutation.h"
#include "families/fs/file_system.h"

namespace qk::migration {

// Identifies an entry in a record; compared, never trusted to reconstruct anything.
struct EntryMark {
  int64_t term = 0;
  uint64_t hash = 0;  // XXH3 over type and payload
  friend bool operator==(const EntryMark&, const EntryMark&) = default;
};
EntryMark mark_of(const families::LogEntry& entry);

struct Intent {
  uint64_t seq = 0;
  families::Operation operation = families::Operation::kAppend;
  std::string primary_instance;  // ids, so that a record of another attempt is never applied
  std::string mirror_instance;

  // Arguments, by operation as in families::Mutation.
  std::vector<EntryMark> entries;  // kAppend; the first has index pre_last + 1
  int64_t index = 0;
  families::HardState hard_state;
  families::SnapshotMeta snapshot;

  // State of the lane before, equal in both families.
  int64_t pre_first = 0;
  int64_t pre_last = 0;
  families::HardState pre_hard_state;
  std::optional<families::SnapshotMeta> pre_snapshot;

  friend bool operator==(const Intent&, const Intent&) = default;
};

class IntentJournal {
 public:
  // A longer append is split by the caller into several mutations of at most this many entries.
  static constexpr size_t kMaxEntries = 1024;

  // Opens or creates the journal files in `directory` (NODE/migration), durably.
  static absl::StatusOr<std::unique_ptr<IntentJournal>> open(families::FileSystem* fs,
                                                             std::string directory);
  // Removes the files, durably. Missing files are fine.
  static absl::Status remove(families::FileSystem* fs, std::string_view directory);

  // Durable on OK; on error nothing may be written to either family.
  absl::Status write(const Intent& intent);

  // The newest record of a lane, whether or not its mutation was completed.
  const std::optional<Intent>& newest(families::Lane lane) const;

 private:
  struct LaneFile {
    std::string path;
    std::unique_ptr<families::File> file;
    int next_slot = 0;
    std::optional<Intent> newest;
  };

  absl::Status load(LaneFile* lane);

  std::array<LaneFile, families::kLaneCount> lanes_;
};

}  // namespace qk::migration
