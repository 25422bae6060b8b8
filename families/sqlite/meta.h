// MetaStorage in a state row of a SqliteStore.
#pragma once

#include <memory>

#include "families/contract/meta_storage.h"
#include "families/sqlite/database.h"

namespace qk::families {

class SqliteMeta final : public MetaStorage {
 public:
  static absl::StatusOr<std::unique_ptr<SqliteMeta>> open(SqliteStore* store);

  HardState hard_state() const override { return state_; }
  Outcome save(const HardState& state) override;

 private:
  explicit SqliteMeta(SqliteStore* store) : store_(store) {}

  SqliteStore* const store_;
  HardState state_;
};

}  // namespace qk::families
