// MetaStorage in a state row of a KvStore.
#pragma once

#include <memory>

#include "families/contract/meta_storage.h"
#include "families/engine/store.h"

namespace qk::families {

class KvMeta final : public MetaStorage {
 public:
  static absl::StatusOr<std::unique_ptr<KvMeta>> open(KvStore* store);

  HardState hard_state() const override { return state_; }
  Outcome save(const HardState& state) override;

 private:
  explicit KvMeta(KvStore* store) : store_(*store) {}

  KvStore& store_;
  HardState state_;
};

}  // namespace qk::families
