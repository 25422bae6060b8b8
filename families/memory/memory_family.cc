#include "families/memory/memory_family.h"

#include "families/engine/row_family.h"
#include "families/memory/store.h"

namespace qk::families {

FamilyDescriptor memory_family(VolatileMemory* memory) {
  FamilyDescriptor family;
  family.name = "memory";
  family.format_version = cat(kMemoryFormatVersion);
  family.volatility = Volatility::kVolatile;
  family.root_names = {"instance", "instance.tmp", "snapshot"};
  family.partials = [](Operation) { return Partial::kNone; };
  family.open = [memory](const OpenRequest& request) -> absl::StatusOr<std::unique_ptr<Family>> {
    QK_ASSIGN_OR_RETURN(std::unique_ptr<MemoryStore> store, MemoryStore::open(request, memory));
    return open_row_family(std::move(store));
  };
  return family;
}

}  // namespace qk::families
