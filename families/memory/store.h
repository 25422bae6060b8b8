// MemoryStore: the state of one memory instance while it is open, and the small file by which it is
// found again.
//
// The file `instance` holds a magic line, the id and a CRC-32C, and is durable before the instance
// is used. A damaged one is DataLoss, and so is a root with snapshot trees and no such file; an id
// that the machine's memory does not know is NotFound: the state was lost in a crash.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "families/contract/family.h"
#include "families/contract/volatile_memory.h"
#include "families/engine/snapshot.h"

namespace qk::families {

// The version in the magic line.
inline constexpr int kMemoryFormatVersion = 1;

// What VolatileMemory keeps.
struct MemoryState {
  int64_t first = 1;
  std::deque<LogEntry> entries;
  HardState hard_state;
  std::string snapshot_record;  // of encode_snapshot()
  bool open = false;
};

class MemoryStore final : public SnapshotRecordStore {
 public:
  static absl::StatusOr<std::unique_ptr<MemoryStore>> open(const OpenRequest& request,
                                                           VolatileMemory* memory);
  ~MemoryStore() override;

  FileSystem& fs() { return *fs_; }
  const std::string& root() const { return root_; }
  std::string snapshot_root() const;
  MemoryState& state() { return *state_; }
  const MemoryState& state() const { return *state_; }

  absl::Status writable() const override;
  absl::StatusOr<std::string> load_snapshot_record() override;
  Outcome commit_snapshot_record(std::string_view record) override;
  Outcome fail_stop(absl::Status cause, std::string_view what) override;

 private:
  MemoryStore(FileSystem* fs, std::string root, std::shared_ptr<MemoryState> state);

  FileSystem* const fs_;
  const std::string root_;
  const std::shared_ptr<MemoryState> state_;
  absl::Status poison_;
};

}  // namespace qk::families
