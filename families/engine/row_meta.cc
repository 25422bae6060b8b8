#include "families/engine/row_meta.h"

namespace qk::families {

absl::StatusOr<std::unique_ptr<KvMeta>> KvMeta::open(KvStore* store) {
  std::unique_ptr<KvMeta> meta(new KvMeta(store));
  QK_ASSIGN_OR_RETURN(const std::string value, store->read_state(StateRow::kHardState));
  QK_ASSIGN_OR_RETURN(meta->state_, decode_hard_state(value));
  return meta;
}

Outcome KvMeta::save(const HardState& state) {
  if (const absl::Status status = store_.writable(); !status.ok()) {
    return Outcome::failed_clean(status);
  }
  if (const absl::Status status = check_hard_state_change(state_, state); !status.ok()) {
    return Outcome::failed_clean(status);
  }
  Outcome outcome = store_.mutate("save_meta", [&](KvBatch& batch) {
    KvStore::put_state(batch, StateRow::kHardState, encode_hard_state(state));
    return absl::OkStatus();
  });
  if (outcome.ok()) state_ = state;
  return outcome;
}

}  // namespace qk::families
