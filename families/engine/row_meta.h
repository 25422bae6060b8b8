// RowMeta: MetaStorage in a state row of a RowStore.
#pragma once

#include <memory>

#include "families/contract/meta_storage.h"
#include "families/engine/row_store.h"

namespace qk::families {

class RowMeta final : public MetaStorage {
 public:
  // `store` must outlive the object.
  static absl::StatusOr<std::unique_ptr<RowMeta>> open(RowStore* store);

  HardState hard_state() const override { return state_; }
  Outcome save(const HardState& state) override;

 private:
  RowMeta(RowStore* store, HardState state) : store_(*store), state_(std::move(state)) {}

  RowStore& store_;
  HardState state_;
};

}  // namespace qk::families
