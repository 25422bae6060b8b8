// MemoryLog: the entries in a deque, so that both ends move without touching the rest. A mutation
// is done when it returns; nothing is written anywhere.
#pragma once

#include "families/contract/log_storage.h"
#include "families/memory/store.h"

namespace qk::families {

class MemoryLog final : public LogStorage {
 public:
  explicit MemoryLog(MemoryStore* store) : store_(*store) {}

  int64_t first_index() const override { return store_.state().first; }
  int64_t last_index() const override {
    return first_index() + static_cast<int64_t>(store_.state().entries.size()) - 1;
  }

  absl::StatusOr<LogEntry> entry(int64_t index) override;
  absl::StatusOr<int64_t> term(int64_t index) override;
  absl::Status scan(int64_t from, int64_t to, const Visitor& visit) override;

  Outcome append(std::span<const LogEntry> entries) override;
  Outcome truncate_prefix(int64_t first_kept) override;
  Outcome truncate_suffix(int64_t last_kept) override;
  Outcome reset(int64_t next_index) override;

 private:
  absl::Status check_index(int64_t index) const;
  const LogEntry& at(int64_t index) const;

  MemoryStore& store_;
};

}  // namespace qk::families
