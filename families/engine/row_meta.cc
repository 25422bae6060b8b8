#include "families/engine/row_meta.h"

namespace qk::families {

absl::StatusOr<std::unique_ptr<RowMeta>> RowMeta::open(RowStore* store) {
  QK_ASSIGN_OR_RETURN(const std::string value, store->read_state(StateRow::kHardState));
  QK_ASSIGN_OR_RETURN(HardState state, decode_hard_state(value));
  return std::unique_ptr<RowMeta>(new RowMeta(store, std::move(state)));
}

Outcome RowMeta::save(const HardState& state) {
  QK_REFUSE_IF_ERROR(store_.writable());
  QK_REFUSE_IF_ERROR(check_hard_state_change(state_, state));
  const std::string value = encode_hard_state(state);
  Outcome outcome = store_.commit("save_meta", {.state = {{StateRow::kHardState, value}}});
  if (outcome.ok()) state_ = state;
  return outcome;
}

}  // namespace qk::families
