#include "families/engine/kv_family.h"

#include "families/engine/format.h"
#include "families/engine/row_log.h"
#include "families/engine/row_meta.h"
#include "families/engine/store.h"

namespace qk::families {
namespace {

class KvFamily final : public Family {
 public:
  static absl::StatusOr<std::unique_ptr<Family>> open(const OpenRequest& request,
                                                      std::string_view name,
                                                      const OpenKvEngine& open_engine) {
    auto family = std::make_unique<KvFamily>();
    QK_ASSIGN_OR_RETURN(family->store_, KvStore::open(request, name, open_engine));
    QK_ASSIGN_OR_RETURN(family->log_, KvLog::open(family->store_.get()));
    QK_ASSIGN_OR_RETURN(family->meta_, KvMeta::open(family->store_.get()));
    QK_ASSIGN_OR_RETURN(family->snapshot_,
                        TreeSnapshotStorage::open(request.fs, family->store_->snapshot_root(),
                                                  family->store_.get()));
    return family;
  }

  LogStorage& log() override { return *log_; }
  MetaStorage& meta() override { return *meta_; }
  SnapshotStorage& snapshot() override { return *snapshot_; }

  size_t pending_work() const override { return store_->engine().pending_work(); }
  absl::Status run_one() override {
    absl::Status status = store_->engine().run_one();
    if (status.ok()) return status;
    return store_->fail_stop(std::move(status), "background work").status();
  }

 private:
  // In this order: what stands on the store is destroyed before it.
  std::unique_ptr<KvStore> store_;
  std::unique_ptr<KvLog> log_;
  std::unique_ptr<KvMeta> meta_;
  std::unique_ptr<TreeSnapshotStorage> snapshot_;
};

}  // namespace

FamilyDescriptor kv_family_descriptor(std::string_view name) {
  FamilyDescriptor family;
  family.name = name;
  family.format_version = cat(kKvFormatVersion);
  family.root_names = {
      "db",     "db.lock", std::string(kLogMarkName), std::string(kUnfinishedLogMarkName),
      "db.new", "snapshot"};
  // The mark tells that the newest log is missing or empty, not how many commits it had.
  family.unchecked = {{.prefix = "db/", .tail = true}};
  family.partials = [](Operation) { return Partial::kNone; };
  return family;
}

absl::StatusOr<std::unique_ptr<Family>> open_kv_family(const OpenRequest& request,
                                                       std::string_view family,
                                                       const OpenKvEngine& open_engine) {
  return KvFamily::open(request, family, open_engine);
}

}  // namespace qk::families
