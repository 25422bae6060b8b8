#include "families/contract/volatile_memory.h"

#include "families/base/bytes.h"
#include "families/base/check.h"

namespace qk::families {

std::string VolatileMemory::new_id() {
  std::string bytes;
  put_be64(&bytes, nonce_);
  put_be64(&bytes, ++ids_);
  return to_hex(bytes);
}

void VolatileMemory::put(std::string_view id, std::shared_ptr<void> state) {
  QK_CHECK(state != nullptr);
  const bool inserted = states_.try_emplace(std::string(id), std::move(state)).second;
  QK_CHECK(inserted);
}

std::shared_ptr<void> VolatileMemory::find(std::string_view id) const {
  const auto it = states_.find(id);
  return it == states_.end() ? nullptr : it->second;
}

void VolatileMemory::drop(std::string_view id) {
  const auto it = states_.find(id);
  if (it != states_.end()) states_.erase(it);
}

}  // namespace qk::families
