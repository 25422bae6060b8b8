#include "families/engine/row_family.h"

#include "families/engine/row_log.h"
#include "families/engine/row_meta.h"
#include "families/engine/snapshot.h"

namespace qk::families {
namespace {

class RowFamily final : public Family {
 public:
  RowFamily(std::unique_ptr<RowStore> store, std::unique_ptr<RowLog> log,
            std::unique_ptr<RowMeta> meta, std::unique_ptr<TreeSnapshotStorage> snapshot)
      : store_(std::move(store)),
        log_(std::move(log)),
        meta_(std::move(meta)),
        snapshot_(std::move(snapshot)) {}

  LogStorage& log() override { return *log_; }
  MetaStorage& meta() override { return *meta_; }
  SnapshotStorage& snapshot() override { return *snapshot_; }

  size_t pending_work() const override { return store_->pending_work(); }
  absl::Status run_one() override {
    const absl::Status status = store_->run_one();
    return status.ok() ? status : store_->fail_stop(status, "background work").status();
  }

  absl::Status close() override {
    snapshot_.reset();
    meta_.reset();
    log_.reset();
    return store_->close();
  }

 private:
  // In this order: what uses the store is destroyed before it.
  const std::unique_ptr<RowStore> store_;
  std::unique_ptr<RowLog> log_;
  std::unique_ptr<RowMeta> meta_;
  std::unique_ptr<TreeSnapshotStorage> snapshot_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Family>> open_row_family(std::unique_ptr<RowStore> store) {
  QK_ASSIGN_OR_RETURN(std::unique_ptr<RowLog> log, RowLog::open(store.get()));
  QK_ASSIGN_OR_RETURN(std::unique_ptr<RowMeta> meta, RowMeta::open(store.get()));
  QK_ASSIGN_OR_RETURN(std::unique_ptr<TreeSnapshotStorage> snapshot,
                      TreeSnapshotStorage::open(store.get()));
  return std::make_unique<RowFamily>(std::move(store), std::move(log), std::move(meta),
                                     std::move(snapshot));
}

}  // namespace qk::families
