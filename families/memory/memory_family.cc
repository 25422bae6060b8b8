#include "families/memory/memory_family.h"

#include "families/memory/log.h"
#include "families/memory/store.h"

namespace qk::families {
namespace {

class MemoryMeta final : public MetaStorage {
 public:
  explicit MemoryMeta(MemoryStore* store) : store_(*store) {}

  HardState hard_state() const override { return store_.state().hard_state; }
  Outcome save(const HardState& state) override {
    if (absl::Status status = store_.writable(); !status.ok()) {
      return Outcome::failed_clean(status);
    }
    HardState& current = store_.state().hard_state;
    if (absl::Status status = check_hard_state_change(current, state); !status.ok()) {
      return Outcome::failed_clean(status);
    }
    current = state;
    return Outcome::success();
  }

 private:
  MemoryStore& store_;
};

class MemoryFamily final : public Family {
 public:
  explicit MemoryFamily(std::unique_ptr<MemoryStore> store)
      : store_(std::move(store)), log_(store_.get()), meta_(store_.get()) {}

  static absl::StatusOr<std::unique_ptr<Family>> open(const OpenRequest& request,
                                                      VolatileMemory* memory) {
    QK_ASSIGN_OR_RETURN(auto store, MemoryStore::open(request, memory));
    auto family = std::make_unique<MemoryFamily>(std::move(store));
    MemoryStore& opened = *family->store_;
    QK_ASSIGN_OR_RETURN(family->snapshot_,
                        TreeSnapshotStorage::open(request.fs, opened.snapshot_root(), &opened));
    return family;
  }

  LogStorage& log() override { return log_; }
  MetaStorage& meta() override { return meta_; }
  SnapshotStorage& snapshot() override { return *snapshot_; }

 private:
  // In this order: what stands on the store is destroyed before it.
  std::unique_ptr<MemoryStore> store_;
  MemoryLog log_;
  MemoryMeta meta_;
  std::unique_ptr<TreeSnapshotStorage> snapshot_;
};

}  // namespace

FamilyDescriptor memory_family(VolatileMemory* memory) {
  FamilyDescriptor family;
  family.name = "memory";
  family.format_version = cat(kMemoryFormatVersion);
  family.volatility = Volatility::kVolatile;
  family.root_names = {"instance", "instance.tmp", "snapshot"};
  family.partials = [](Operation) { return Partial::kNone; };
  family.open = [memory](const OpenRequest& request) {
    return MemoryFamily::open(request, memory);
  };
  return family;
}

}  // namespace qk::families
