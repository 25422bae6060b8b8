// MemoryStore: the state of one memory instance while it is open, and the small file by which it is
// found again.
//
// The file `instance` holds a magic line, the id and a CRC-32C, and is durable before the instance
// is used. A damaged one is DataLoss, and so is a root with snapshot trees and no such file; an id
// that the machine's memory does not know is NotFound: the state was lost in a crash.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "families/contract/family.h"
#include "families/contract/volatile_memory.h"
#include "families/engine/row_store.h"

namespace qk::families {

// The version in the magic line.
inline constexpr int kMemoryFormatVersion = 1;

// What VolatileMemory keeps: the rows. The entries are in a deque, so that both ends move without
// touching the rest.
struct MemoryState {
  std::deque<LogEntry> entries;
  std::map<StateRow, std::string> rows;
  bool open = false;
};

class MemoryStore final : public RowStore {
 public:
  static absl::StatusOr<std::unique_ptr<MemoryStore>> open(const OpenRequest& request,
                                                           VolatileMemory* memory);
  ~MemoryStore() override;

  absl::StatusOr<std::string> read_state(StateRow row) override { return state_->rows.at(row); }
  absl::StatusOr<std::optional<LogRange>> find_rows() override;
  absl::Status read_row(int64_t index, LogEntry* entry) override;
  absl::StatusOr<int64_t> read_term(int64_t index) override;
  absl::Status scan_rows(const LogRange& range, const LogStorage::Visitor& visit) override;

 protected:
  absl::Status write(const RowChange& change) override;

 private:
  MemoryStore(const OpenRequest& request, std::shared_ptr<MemoryState> state);

  std::deque<LogEntry>::iterator at(int64_t index);

  const std::shared_ptr<MemoryState> state_;
};

}  // namespace qk::families
